// SPDX-License-Identifier: Apache-2.0
//! The program `ampoule`: everything is in the library; this is where the process ends.

use std::ffi::OsString;
use std::process::ExitCode;

use dlmalloc::GlobalDlmalloc;

/// musl's own allocator asks the kernel for pages, and gives them back, at nearly every call of a
/// program as small as this.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(host::cli::main(&args))
}
