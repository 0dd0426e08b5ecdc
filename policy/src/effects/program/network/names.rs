// SPDX-License-Identifier: Apache-2.0
//! Questions about names, which carry data as well as any request: `dig`, `host`, `ping`.

use super::super::super::word::Arg;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::system::rows::scan;
use super::super::{Call, Outcome};
use super::url::{Near, near};

/// What asking comes to.
pub(super) fn run(call: &Call) -> Option<Outcome> {
    if matches!(call.name, "resolvectl" | "getent") && !carries_any(call) {
        return (call.name == "getent").then(Outcome::default);
    }
    let mut outcome = Outcome::default();
    for arg in call.args {
        if let Some(effect) = carries(arg) {
            outcome.add(effect, arg);
        }
    }
    let pings = matches!(call.name, "ping" | "ping6" | "fping");
    let options = scan(call, "-c -i -s -W -w -I -t -p -l -Q");
    if pings && options.has(&["-f"]) {
        let host = options.operands.last().map_or("", |arg| arg.text.as_str());
        let harm = if near(host) == Near::Local {
            Harm::Low
        } else {
            Harm::High
        };
        let why = "a flood of packets keeps others from the host";
        let target = Target::Host(host.to_owned());
        outcome.effects.push(Effect::new(
            Kind::Disrupt,
            harm,
            target,
            "network:flood",
            why,
        ));
    }
    Some(outcome)
}

fn carries_any(call: &Call) -> bool {
    call.args.iter().any(|arg| carries(arg).is_some())
}

/// Data in a name goes to whoever answers for the domain.
fn carries(arg: &Arg) -> Option<Effect> {
    let harm = if arg.taint.secret.is_some() {
        Harm::Critical
    } else if arg.is_unknown()
        && (arg.taint.file.is_some() || arg.taint.decoded)
        && arg.text.contains('.')
    {
        Harm::High
    } else {
        return None;
    };
    let why = "data in a name goes to whoever answers for the domain";
    let target = Target::Host(arg.text.clone());
    Some(Effect::new(
        Kind::Send,
        harm,
        target,
        "network:name-carries",
        why,
    ))
}
