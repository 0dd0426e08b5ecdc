// SPDX-License-Identifier: Apache-2.0
//! The program `ampoule-policy`: `ampoule policy`, `ampoule model` and `ampoule watch`, which
//! `ampoule` hands on.
//!
//! A program of its own because of what it does and what it weighs. It reads text that agents
//! wrote, with parsers of which two are C, where `ampoule` supervises guests; and it is four times
//! as large, and a program that has to start in no time pays for every relocation it carries.

use std::ffi::OsString;
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

/// As in `ampoule`.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(host::cli::judge::main(&args))
}
