// SPDX-License-Identifier: Apache-2.0
//! The program `ampoule`: everything is in the library; this is where the process ends.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    ExitCode::from(host::cli::main(&args))
}
