// SPDX-License-Identifier: Apache-2.0
//! What is refused when policies are loaded, where and with which advice.

use super::*;
use crate::verdict::load::Problem;

const SCOPE: &str = "(principal, action, resource)";
const HEAD: &str = "@id(\"a\")\n@reason(\"because\")\n";

fn source(text: &str, by: By) -> Source<'_> {
    Source {
        name: "team.cedar",
        text,
        by,
    }
}

#[track_caller]
fn refused(text: &str, by: By) -> LoadError {
    Engine::load(true, &[source(text, by)]).unwrap_err()
}

/// A text, where it is refused, and words of what is said.
type Case = (String, (usize, usize), &'static str);

#[track_caller]
fn assert_refused(cases: &[Case]) {
    for (text, place, said) in cases {
        let error = refused(text, By::Operator);
        assert!(error.to_string().contains(said), "{said}: {error}");
        assert_eq!((error.line, error.column), *place, "{error}");
        assert_eq!(error.file, "team.cedar");
        assert!(!error.fix().is_empty());
    }
}

#[test]
fn what_is_no_cedar_is_refused_where_it_stops_being() {
    let scope = SCOPE;
    assert_refused(&[
        (format!("{HEAD}forbid {scope}"), (3, 37), "unexpected end"),
        (format!("{HEAD}forbit {scope};"), (3, 1), "forbit"),
        (
            format!("{HEAD}forbid {scope} when {{ context.files >> 1 }};"),
            (3, 60),
            "",
        ),
        (
            "@id(\"a\") @reason(\"b\") forbid (principal == ?principal, action, resource);"
                .to_owned(),
            (1, 44),
            "templates",
        ),
    ]);
}

#[test]
fn what_the_schema_does_not_know_or_can_never_apply_is_refused() {
    let scope = SCOPE;
    assert_refused(&[
        (
            format!("{HEAD}forbid {scope} when {{ context.fils > 1 }};"),
            (3, 45),
            "did you mean `files`",
        ),
        (
            format!("{HEAD}forbid {scope} when {{ context.files > \"1\" }};"),
            (3, 61),
            "unexpected type",
        ),
        (
            format!("{HEAD}forbid {scope}\nwhen {{ context.kinds.contains(Kind::\"delte\") }};"),
            (4, 31),
            "delte",
        ),
        (
            format!("{HEAD}forbid {scope} when {{ context.posture == Posture::\"readonly\" }};"),
            (3, 64),
            "readonly",
        ),
        (
            format!("{HEAD}forbid (principal, action == Action::\"run\", resource);"),
            (3, 30),
            "run_unattended",
        ),
        (
            format!("{HEAD}forbid {scope} when {{ context.certified && false }};"),
            (1, 1),
            "impossible",
        ),
    ]);
}

#[test]
fn a_policy_without_a_fit_id_and_reason_is_refused() {
    let scope = SCOPE;
    assert_refused(&[
        (format!("\n  // a\nforbid {scope};"), (3, 1), "needs @id"),
        (
            format!("@id(\"a b\") @reason(\"b\") forbid {scope};"),
            (1, 1),
            "needs @id",
        ),
        (
            format!("@id(\"a\") forbid {scope};"),
            (1, 1),
            "needs @reason",
        ),
        (
            format!("@id(\"a\") @reason(\" \") forbid {scope};"),
            (1, 1),
            "needs @reason",
        ),
        (
            format!("@id(\"a\") @reason(\"a\u{202E}b\") forbid {scope};"),
            (1, 1),
            "needs @reason",
        ),
        (
            format!("{HEAD}forbid {scope};\n{HEAD}forbid {scope};"),
            (4, 5),
            "the id a is taken",
        ),
        (
            format!("@id(\"harm-critical\") @reason(\"a\") forbid {scope};"),
            (1, 5),
            "default.cedar",
        ),
    ]);
}

#[test]
fn an_addition_may_forbid_but_not_permit() {
    let permit = format!("// mine\n{HEAD}permit (principal, action, resource);");
    let error = refused(&permit, By::Addition);
    assert_eq!((error.line, &error.problem), (2, &Problem::Permit));
    assert!(
        error
            .to_string()
            .contains("write what it should not do as a forbid")
    );

    let text = r#"@id("mine") @reason("no cats") forbid (principal, action, resource)
        when { context.programs.contains("cat") };"#;
    let engine = Engine::load(true, &[source(text, By::Addition)]).unwrap();
    let mut facts = calm();
    assert_decides(&engine, &facts, Verdict::Allow, "risk-low");
    facts.does.programs.insert("cat");
    assert_decides(&engine, &facts, Verdict::Deny, "mine");
    assert_eq!(engine.decide(&facts).determining[0].by, By::Addition);
}

#[test]
fn an_addition_may_not_take_an_id_of_the_operators() {
    let text = format!("{HEAD}forbid (principal, action, resource);");
    let both = [source(&text, By::Operator), source(&text, By::Addition)];
    let error = Engine::load(true, &both).unwrap_err();
    assert!(matches!(error.problem, Problem::Taken(..)), "{error}");
}

#[test]
fn one_bad_file_among_good_ones_loads_nothing() {
    let good = format!("{HEAD}forbid (principal, action, resource);");
    let both = [source(&good, By::Operator), source("forbid", By::Operator)];
    assert!(Engine::load(true, &both).is_err());
}

#[test]
fn what_would_exhaust_the_stack_is_refused_before_cedar_reads_it() {
    for body in [
        format!("{}true{}", "(".repeat(5000), ")".repeat(5000)),
        format!("{}true{}", "[".repeat(50), "]".repeat(50)),
        format!("{}true", "if true then true else ".repeat(2000)),
        format!("{}1 > 0", "1 + ".repeat(30_000)),
        format!("context{}", ".a".repeat(30_000)),
        format!("true{}", " && true".repeat(50_000)),
    ] {
        let text = format!("{HEAD}forbid (principal, action, resource) when {{ {body} }};");
        let error = refused(&text, By::Addition);
        assert!(matches!(error.problem, Problem::Large(_)), "{error}");
    }
}

#[test]
fn what_is_as_deep_as_may_be_is_read_or_refused_without_a_crash() {
    for body in [
        format!("{}true{}", "(".repeat(14), ")".repeat(14)),
        format!("{}true", "if true then true else ".repeat(64)),
        format!("{}1 > context.files", "1 + ".repeat(990)),
        format!("context{}", ".a".repeat(990)),
        format!("true{}", " && true".repeat(3500)),
    ] {
        let text = format!("{HEAD}forbid (principal, action, resource) when {{ {body} }};");
        if let Ok(engine) = Engine::load(true, &[source(&text, By::Addition)]) {
            assert!(engine.decide(&calm()).verdict >= Verdict::Allow);
        }
    }
}

#[test]
fn more_files_or_policies_than_are_judged_in_time_are_refused() {
    let none = source("// nothing", By::Addition);
    assert!(Engine::load(true, &[none; 62]).is_ok());
    assert!(Engine::load(true, &[none; 63]).is_err());
    let many: String = (0..512)
        .map(|id| format!("@id(\"a{id}\") @reason(\"b\") forbid {SCOPE};\n"))
        .collect();
    let error = refused(&many, By::Operator);
    assert!(matches!(error.problem, Problem::Large(_)), "{error}");
}

#[test]
fn a_comment_that_looks_like_a_policy_is_none() {
    let text = format!(
        "// permit (principal, action, resource);\n{HEAD}forbid (principal, action, resource)\n\
         when {{ context.programs.contains(\"; permit (principal, action, resource); //\") }};"
    );
    let engine = Engine::load(false, &[source(&text, By::Addition)]).unwrap();
    assert_eq!(engine.decide(&calm()).verdict, Verdict::Deny);
}

#[test]
fn an_engine_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&engine());
}
