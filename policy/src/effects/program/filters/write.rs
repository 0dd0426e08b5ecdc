// SPDX-License-Identifier: Apache-2.0
//! Filters that also write what they read: `tee`, `sponge`, the clipboard.

use super::super::{Call, Outcome};
use super::input::{extend, write};
use super::scan;
use crate::effects::word::Stream;
use crate::effects::{Effect, Harm, Kind, Target};

/// What it would do, or nothing when the program is none of these.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    Some(match call.name {
        "tee" => {
            let mut out = to_files(call);
            out.stdout = call.stdin.clone();
            out
        }
        "sponge" => to_files(call),
        "xclip" | "xsel" | "pbcopy" | "pbpaste" | "wl-copy" | "wl-paste" | "clip.exe" | "clip" => {
            clipboard(call)
        }
        _ => return None,
    })
}

fn to_files(call: &Call) -> Outcome {
    let options = scan(call.args, "");
    let adds = options.has(&["-a", "--append"]);
    let mut out = Outcome::default();
    for arg in &options.operands {
        if adds {
            extend(call, arg, call.stdin, &mut out);
        } else {
            write(call, arg, call.stdin, &mut out);
        }
    }
    out
}

fn clipboard(call: &Call) -> Outcome {
    let mut out = Outcome::default();
    let options = scan(call.args, "-selection -sel -d -display -t -target");
    let reads = call.name.ends_with("paste") || options.has(&["-o", "-out", "--output"]);
    if reads {
        return out;
    }
    if let Some(secret) = &call.stdin.taint.secret {
        out.effects.push(Effect::new(
            Kind::TouchSecret,
            Harm::Medium,
            Target::Program(call.name.to_owned()),
            "secret:clipboard",
            format!("puts {secret} where every program of the desktop can read it"),
        ));
    }
    out.stdout = Stream::empty();
    out
}
