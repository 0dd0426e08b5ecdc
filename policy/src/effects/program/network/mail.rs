// SPDX-License-Identifier: Apache-2.0
//! Mail from the command line.

use super::super::super::word::Taint;
use super::super::super::{Effect, Harm, Kind, Target};
use super::super::files::content;
use super::super::system::rows::scan;
use super::super::{Call, Outcome};

/// What sending a mail comes to: it cannot be taken back.
pub(super) fn run(call: &Call) -> Outcome {
    let valued = "-s -a -A -c -b -r -f -F -S -i -e -H --attach --body --to --from --server \
        --attach-type --header -t -C -N -p -q -u";
    let mut options = scan(call, valued);
    let mut outcome = Outcome::default();
    if call.name == "sendmail" || call.name == "msmtp" {
        options = scan(call, "-f -F -C -a -X -B -O -o");
    }
    if options.has_exactly(&["-V", "-h", "-H"]) && call.name != "mail" {
        return outcome;
    }
    let mut taint = call.stdin.taint.clone();
    let attachments = match call.name {
        "sendmail" | "msmtp" => &[][..],
        _ => &["-a", "-A", "--attach", "--body", "-i"][..],
    };
    for path in options.values(attachments) {
        taint.join(&content(call, path.trim_start_matches('@')).taint);
    }
    if let Some(arg) = call.args.iter().find(|arg| arg.text.starts_with("--exec")) {
        let target = Target::Program(arg.text.clone());
        let why = "the mailer would run a command";
        outcome.add(
            Effect::new(Kind::Execute, Harm::High, target, "mail:runs", why),
            arg,
        );
    }
    let to = options.operands.last().map(|arg| arg.text.as_str());
    let to = to.or(options.value(&["--to"])).unwrap_or_default();
    if to.is_empty() && !options.has(&["-t"]) {
        return outcome;
    }
    let span = call.args.last().map(|arg| arg.span).unwrap_or_default();
    outcome.effects.push(mail(to, &taint).at(span));
    outcome
}

fn mail(to: &str, taint: &Taint) -> Effect {
    let inside =
        !to.is_empty() && !to.contains('@') && !to.contains(super::super::super::word::UNKNOWN);
    let harm = match taint {
        Taint {
            secret: Some(_), ..
        } if inside => Harm::Medium,
        Taint {
            secret: Some(_), ..
        } => Harm::Critical,
        _ if inside => Harm::Low,
        Taint { file: Some(_), .. } => Harm::High,
        _ => Harm::Medium,
    };
    let host = to.rsplit('@').next().unwrap_or_default();
    let why = "a mail cannot be taken back";
    Effect::new(
        Kind::Send,
        harm,
        Target::Host(host.to_owned()),
        "mail:send",
        why,
    )
}
