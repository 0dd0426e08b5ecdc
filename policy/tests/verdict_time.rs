// SPDX-License-Identifier: Apache-2.0
//! How long a verdict takes, once its facts are known.
//!
//! `cargo test -p policy --release --test verdict_time -- --ignored --nocapture`

use std::hint::black_box;
use std::time::Instant;

use policy::effects::{Effect, Harm, Kind, Target};
use policy::verdict::facts::{Bps, Model, Posture};
use policy::verdict::{Engine, Facts, Verdict};

#[test]
#[ignore = "measures time, which says little on a shared machine"]
fn time_of_a_decision() {
    let engine = Engine::load(true, &[]).unwrap();
    let mut facts = Facts::default();
    facts.risk.model = Model::Valid;
    facts.risk.upper = Bps::new(100);
    facts.risk.ask_threshold = Bps::new(3000);
    facts.posture = Posture::Normal;
    for (kind, target) in [
        (Kind::Read, Target::Nothing),
        (Kind::Execute, Target::Program("cargo".to_owned())),
        (Kind::Connect, Target::Host("example.com".to_owned())),
    ] {
        let effect = Effect::new(kind, Harm::Low, target, "test:rule", "it is a test");
        facts.does.effect(&effect);
    }
    assert_eq!(engine.decide(&facts).verdict, Verdict::Allow);
    for _ in 0..3 {
        let start = Instant::now();
        for _ in 0..2000 {
            black_box(engine.decide(black_box(&facts)));
        }
        println!("{:?} a decision", start.elapsed() / 2000);
    }
}
