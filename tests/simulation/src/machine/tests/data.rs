//! Data in, data out: paths, templates, intrinsics, ResultPath, Choice, Wait and Fail. One row per behaviour.

use serde_json::{Value, json};

use super::driver::{ARN, Run};
use crate::machine::Status;

/// Runs a single Pass, Wait or Succeed state and gives its output, or the error.
fn outcome(state: &Value, input: &Value) -> Result<Value, String> {
    let mut state = state.clone();
    if state["Type"] != "Succeed" {
        state["End"] = true.into();
    }
    let machine = json!({ "StartAt": "Here", "States": { "Here": state } });
    let mut run = Run::of(&machine.to_string(), input.clone());
    run.advance();
    match run.execution.status() {
        Status::Succeeded { output } => Ok(output.clone()),
        Status::Failed { error, .. } => Err(error.clone()),
        other => panic!("{other:?} of {state}"),
    }
}

#[track_caller]
fn check(state: Value, input: Value, expected: Result<Value, &str>) {
    assert_eq!(outcome(&state, &input), expected.map_err(str::to_owned), "{state} on {input}");
}

#[test]
fn a_pass_state_moves_data() {
    let input = json!({ "a": { "b": [1, { "c": 2 }] }, "odd name": 3, "null": null, "none": [] });
    let context = json!({
        "Type": "Pass",
        "Parameters": {
            "id.$": "$$.Execution.Id", "name.$": "$$.Execution.Name", "start.$": "$$.Execution.StartTime",
            "input.$": "$$.Execution.Input.none", "state.$": "$$.State.Name", "entered.$": "$$.State.EnteredTime",
        },
    });
    let time = "2026-03-01T03:00:00.000Z";
    check(
        context,
        input.clone(),
        Ok(json!({ "id": ARN, "name": "run-1", "start": time, "input": [], "state": "Here", "entered": time })),
    );
    for (fields, expected) in [
        (json!({}), Ok(input.clone())),
        (json!({ "InputPath": "$.a" }), Ok(input["a"].clone())),
        (json!({ "InputPath": "$.a.b[1]['c']" }), Ok(json!(2))),
        (json!({ "InputPath": "$.a.b[-1].c" }), Ok(json!(2))),
        (json!({ "InputPath": "$['odd name']" }), Ok(json!(3))),
        (json!({ "InputPath": "$.null" }), Ok(json!(null))),
        (json!({ "InputPath": null }), Ok(json!({}))),
        (json!({ "OutputPath": null }), Ok(json!({}))),
        (json!({ "OutputPath": "$.a.b[0]" }), Ok(json!(1))),
        (json!({ "InputPath": "$.a.b[*].c" }), Ok(json!([2]))),
        (json!({ "InputPath": "$.none[*]" }), Ok(json!([]))),
        (json!({ "InputPath": "$.a", "Parameters": { "x.$": "$.b[0]", "y": 1 } }), Ok(json!({ "x": 1, "y": 1 }))),
        (json!({ "Result": { "not.$": "$.a path" } }), Ok(json!({ "not.$": "$.a path" }))),
        (json!({ "Result": 1, "ResultPath": null }), Ok(input.clone())),
        (json!({ "Result": 1, "ResultPath": "$.a", "OutputPath": "$.a" }), Ok(json!(1))),
        (
            json!({ "Result": 1, "ResultPath": "$.new.deep.er", "OutputPath": "$.new" }),
            Ok(json!({ "deep": { "er": 1 } })),
        ),
        (json!({ "InputPath": "$.a", "ResultPath": "$.copy", "OutputPath": "$.copy.b[0]" }), Ok(json!(1))),
        // The raw input is what ResultPath combines with, not what InputPath selected.
        (json!({ "InputPath": "$.a", "Result": 1, "ResultPath": "$.a", "OutputPath": "$.null" }), Ok(json!(null))),
        (json!({ "Parameters": { "list": [{ "x.$": "$.a.b[0]" }, 2] } }), Ok(json!({ "list": [{ "x": 1 }, 2] }))),
    ] {
        let mut state = json!({ "Type": "Pass" });
        state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        check(state, input.clone(), expected);
    }
}

#[test]
fn a_path_that_leads_nowhere_ends_the_execution() {
    for state in [
        json!({ "Type": "Pass", "Parameters": { "x.$": "$.missing" } }),
        json!({ "Type": "Pass", "Parameters": { "deep": [{ "x.$": "$.there.missing" }] } }),
        json!({ "Type": "Pass", "Parameters": { "x.$": "States.Format('{}', $.missing)" } }),
        json!({ "Type": "Pass", "Parameters": { "x.$": "$.list[5]" } }),
        json!({ "Type": "Pass", "Parameters": { "x.$": "$.list[-2]" } }),
        json!({ "Type": "Pass", "Parameters": { "x.$": "$$.Task.Token" } }),
        json!({ "Type": "Pass", "InputPath": "$.missing" }),
        json!({ "Type": "Pass", "OutputPath": "$.missing" }),
        json!({ "Type": "Succeed", "InputPath": "$.missing" }),
        json!({ "Type": "Wait", "SecondsPath": "$.missing" }),
        json!({ "Type": "Wait", "SecondsPath": "$.text" }),
        json!({ "Type": "Wait", "SecondsPath": "$.negative" }),
        json!({ "Type": "Wait", "SecondsPath": "$.fraction" }),
        json!({ "Type": "Wait", "TimestampPath": "$.text" }),
    ] {
        let input = json!({ "there": {}, "list": [1], "text": "soon", "negative": -1, "fraction": 1.5 });
        check(state, input, Err("States.Runtime"));
    }
}

#[test]
fn result_path_does_not_destroy_what_is_in_the_way() {
    let state = json!({ "Type": "Pass", "Result": 1, "ResultPath": "$.name.first" });
    check(state.clone(), json!({ "other": 2 }), Ok(json!({ "other": 2, "name": { "first": 1 } })));
    for input in [json!({ "name": "text" }), json!({ "name": null }), json!([1]), json!("text"), json!(null)] {
        check(state.clone(), input, Err("States.ResultPathMatchFailure"));
    }
}

#[test]
fn intrinsic_functions_compute() {
    let input = json!({ "n": 3, "f": 2.5, "list": [1, "a", { "k": null }, 1.0], "o": { "a": 1, "b": [true, "x"] }, "t": "{}-{}" });
    let failure = || Err("States.IntrinsicFailure");
    for (function, expected) in [
        ("States.Format('{} of {}: {}', $.n, 'it\\'s', null)", Ok(json!("3 of it's: null"))),
        ("States.Format('\\{{}\\} \\\\', $.f)", Ok(json!("{2.5} \\"))),
        ("States.Format('{}', $.o)", Ok(json!("{a=1, b=[true, x]}"))),
        ("States.Format($.t, 1, true)", Ok(json!("1-true"))),
        ("States.Format($.t, 1)", failure()),
        ("States.Format($.t, 1, 2, 3)", failure()),
        ("States.Format($.n, 1)", failure()),
        ("States.MathAdd($.n, -4)", Ok(json!(-1))),
        ("States.MathAdd($.n, $.f)", Ok(json!(6))),
        ("States.MathAdd($.n, $.t)", failure()),
        ("States.MathAdd(9223372036854775807, 1)", failure()),
        ("States.MathAdd(1e300, 1)", failure()),
        ("States.ArrayGetItem($.list, 1)", Ok(json!("a"))),
        ("States.ArrayGetItem($.list, 4)", failure()),
        ("States.ArrayGetItem($.list, -1)", failure()),
        ("States.ArrayGetItem($.o, 0)", failure()),
        ("States.ArrayLength($.list)", Ok(json!(4))),
        ("States.ArrayLength($.t)", failure()),
        ("States.Array()", Ok(json!([]))),
        ("States.Array($.n, 'x', States.Array(false))", Ok(json!([3, "x", [false]]))),
        ("States.ArrayContains($.list, 'a')", Ok(json!(true))),
        ("States.ArrayContains($.list, 1)", Ok(json!(true))),
        ("States.ArrayContains($.list, $.o)", Ok(json!(false))),
        ("States.ArrayRange(1, 9, 2)", Ok(json!([1, 3, 5, 7, 9]))),
        ("States.ArrayRange(3, 1, -1)", Ok(json!([3, 2, 1]))),
        ("States.ArrayRange(1, 3, -1)", Ok(json!([]))),
        ("States.ArrayRange(5, 5, 2)", Ok(json!([5]))),
        ("States.ArrayRange(1, 3, 0)", failure()),
        ("States.ArrayRange(1, 1000, 1)", Ok((1..=1000).collect())),
        ("States.ArrayRange(0, 1000, 1)", failure()),
        ("States.ArrayRange(-9223372036854775808, 9223372036854775807, 1)", failure()),
        ("States.ArrayRange(-9223372036854775808, 0, -1)", failure()),
        ("States.StringSplit('a:b::c', ':')", Ok(json!(["a", "b", "c"]))),
        ("States.StringSplit($.list, ':')", failure()),
        ("States.ArrayPartition($.list, 3)", Ok(json!([[1, "a", { "k": null }], [1.0]]))),
        ("States.ArrayPartition($.list, 0)", failure()),
        ("States.JsonToString($.o)", Ok(json!("{\"a\":1,\"b\":[true,\"x\"]}"))),
        ("States.StringToJson('[1, \"a\"]')", Ok(json!([1, "a"]))),
        ("States.StringToJson('no')", failure()),
        ("States.StringToJson($.n)", failure()),
        ("States.JsonMerge($.o, $.list[2], false)", Ok(json!({ "a": 1, "b": [true, "x"], "k": null }))),
        ("States.JsonMerge($.o, $.o, true)", failure()),
        ("States.JsonMerge($.o, $.n, false)", failure()),
    ] {
        let state = json!({ "Type": "Pass", "Parameters": { "x.$": function }, "OutputPath": "$.x" });
        check(state, input.clone(), expected);
    }
}

#[test]
fn a_uuid_is_one_and_comes_from_the_seed() {
    let state = json!({ "Type": "Pass", "Parameters": { "x.$": "States.UUID()", "y.$": "States.UUID()" } });
    let first = outcome(&state, &json!({})).unwrap();
    assert_eq!(first, outcome(&state, &json!({})).unwrap(), "the same seed");
    assert_ne!(first["x"], first["y"]);
    let uuid = first["x"].as_str().unwrap();
    let lengths: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(&uuid[14..15], "4");
    assert!("89ab".contains(&uuid[19..20]));
}

/// `yes`, `no`, or the error.
fn choose(rule: &Value, data: &Value) -> String {
    let mut rule = rule.clone();
    rule["Next"] = "Yes".into();
    let machine = json!({
        "StartAt": "Ask",
        "States": {
            "Ask": { "Type": "Choice", "Choices": [rule], "Default": "No" },
            "Yes": { "Type": "Pass", "Result": "yes", "End": true },
            "No": { "Type": "Pass", "Result": "no", "End": true },
        },
    });
    let mut run = Run::of(&machine.to_string(), data.clone());
    run.advance();
    match run.execution.status() {
        Status::Succeeded { output } => output.as_str().unwrap().to_owned(),
        Status::Failed { error, .. } => error.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn choice_rules_compare() {
    let a = |test: &str, operand: Value| json!({ "Variable": "$.a", test: operand });
    for (rule, data, expected) in [
        (a("IsPresent", json!(true)), json!({ "a": null }), "yes"),
        (a("IsPresent", json!(true)), json!({}), "no"),
        (json!({ "Variable": "$.a.b.c", "IsPresent": false }), json!({ "a": 1 }), "yes"),
        (a("IsNull", json!(true)), json!({ "a": null }), "yes"),
        (a("IsNull", json!(true)), json!({}), "States.Runtime"),
        (a("IsString", json!(true)), json!({ "a": "x" }), "yes"),
        (a("IsNumeric", json!(false)), json!({ "a": "x" }), "yes"),
        (a("IsBoolean", json!(true)), json!({ "a": 0 }), "no"),
        (a("IsTimestamp", json!(true)), json!({ "a": "2026-01-01T00:00:00Z" }), "yes"),
        (a("IsTimestamp", json!(true)), json!({ "a": "2026-01-01" }), "no"),
        (a("IsTimestamp", json!(true)), json!({ "a": "2026-01-01T00:00:00" }), "no"),
        (a("StringEquals", json!("x")), json!({}), "States.Runtime"),
        (a("StringEquals", json!("x")), json!({ "a": "x" }), "yes"),
        (a("StringEquals", json!("1")), json!({ "a": 1 }), "no"),
        (a("StringLessThan", json!("b")), json!({ "a": "a" }), "yes"),
        (a("StringGreaterThanPath", json!("$.b")), json!({ "a": "b", "b": "a" }), "yes"),
        (a("StringEqualsPath", json!("$.b")), json!({ "a": "b" }), "States.Runtime"),
        (a("NumericEquals", json!(1)), json!({ "a": 1.0 }), "yes"),
        (a("NumericEquals", json!(1)), json!({ "a": true }), "no"),
        (a("NumericEquals", json!(1)), json!({ "a": "1" }), "no"),
        (a("NumericLessThanEqualsPath", json!("$.b")), json!({ "a": 2, "b": 2 }), "yes"),
        (a("NumericLessThanPath", json!("$.b")), json!({ "a": 2, "b": "3" }), "no"),
        (a("NumericGreaterThanEquals", json!(2.5)), json!({ "a": 2 }), "no"),
        (a("BooleanEquals", json!(true)), json!({ "a": "true" }), "no"),
        (a("BooleanEqualsPath", json!("$.b")), json!({ "a": false, "b": false }), "yes"),
        (
            a("TimestampLessThanPath", json!("$.b")),
            json!({ "a": "2026-01-01T00:00:00Z", "b": "2026-01-01T00:00:00-01:00" }),
            "yes",
        ),
        (a("TimestampEquals", json!("2026-01-01T00:00:00Z")), json!({ "a": "soon" }), "no"),
        (a("StringMatches", json!("i-*.log")), json!({ "a": "i-77.log.log" }), "yes"),
        (a("StringMatches", json!("i-*.log")), json!({ "a": "i-77.logs" }), "no"),
        (a("StringMatches", json!("*a*b*")), json!({ "a": "xaybz" }), "yes"),
        (a("StringMatches", json!("a\\*b")), json!({ "a": "axb" }), "no"),
        (a("StringMatches", json!("a\\*b")), json!({ "a": "a*b" }), "yes"),
        (a("StringMatches", json!("*")), json!({ "a": "" }), "yes"),
        (a("StringMatches", json!("")), json!({ "a": "a" }), "no"),
        (json!({ "Not": a("BooleanEquals", json!(true)) }), json!({ "a": 1 }), "yes"),
        // And and Or stop where the answer is known, which is what makes a guard by IsPresent work.
        (json!({ "And": [a("IsPresent", json!(true)), a("StringEquals", json!("x"))] }), json!({}), "no"),
        (json!({ "Or": [a("IsPresent", json!(false)), a("StringEquals", json!("x"))] }), json!({}), "yes"),
        (json!({ "Or": [a("StringEquals", json!("x")), a("IsPresent", json!(false))] }), json!({}), "States.Runtime"),
        (
            json!({ "And": [a("IsString", json!(true)), { "Not": a("StringEquals", json!("y")) }] }),
            json!({ "a": "x" }),
            "yes",
        ),
        (json!({ "Variable": "$$.Execution.Name", "StringEquals": "run-1" }), json!({}), "yes"),
    ] {
        assert_eq!(choose(&rule, &data), expected, "{rule} on {data}");
    }
}

#[test]
fn a_choice_takes_the_first_rule_that_holds_and_fails_without_one() {
    let machine = json!({
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Choice", "InputPath": "$.in", "OutputPath": "$.out",
                "Choices": [
                    { "Variable": "$.n", "NumericGreaterThan": 5, "Next": "Many" },
                    { "Variable": "$.n", "NumericGreaterThan": 2, "Next": "Some" },
                ],
            },
            "Many": { "Type": "Succeed" },
            "Some": { "Type": "Succeed" },
        },
    });
    for (n, expected) in [(9, "Many"), (3, "Some")] {
        let mut run = Run::of(&machine.to_string(), json!({ "in": { "n": n }, "out": [n] }));
        run.advance();
        assert_eq!(run.path(), ["Ask", expected]);
        assert_eq!(run.execution.data(), &json!([n]));
    }
    let mut run = Run::of(&machine.to_string(), json!({ "in": { "n": 0 } }));
    run.advance();
    assert_eq!(run.failed(), Some("States.NoChoiceMatched"));
    assert_eq!(run.events(), ["ExecutionStarted", "ChoiceStateEntered", "ExecutionFailed"]);
}

#[test]
fn a_wait_ends_when_it_should() {
    for (fields, seconds) in [
        (json!({ "Seconds": 90 }), 90),
        (json!({ "SecondsPath": "$.n" }), 5),
        (json!({ "InputPath": "$.in", "SecondsPath": "$.n" }), 7),
        (json!({ "Timestamp": "2026-03-01T03:01:00Z" }), 60),
        (json!({ "TimestampPath": "$.t" }), 30),
        (json!({ "Seconds": 0 }), 0),
        (json!({ "Timestamp": "2020-01-01T00:00:00Z" }), 0),
    ] {
        let mut state = json!({ "Type": "Wait", "End": true });
        state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let machine = json!({ "StartAt": "Wait", "States": { "Wait": state } });
        let mut run =
            Run::of(&machine.to_string(), json!({ "n": 5, "in": { "n": 7 }, "t": "2026-03-01T04:00:30+01:00" }));
        run.advance();
        if seconds > 0 {
            assert_eq!(run.execution.status(), &Status::Running, "{state}");
            run.tick(seconds - 1);
            assert_eq!(run.execution.status(), &Status::Running, "{state}");
            run.tick(1);
        }
        assert!(matches!(run.execution.status(), Status::Succeeded { .. }), "{state}");
        assert_eq!(run.total(), 4);
    }
}

#[test]
fn a_fail_state_says_what_it_is_told() {
    let input = json!({ "e": "Plan.Bad", "n": 1 });
    for (fields, error, cause) in [
        (json!({ "Error": "E", "Cause": "why" }), "E", "why"),
        (json!({}), "", ""),
        (json!({ "ErrorPath": "$.e", "CausePath": "States.Format('n is {}', $.n)" }), "Plan.Bad", "n is 1"),
    ] {
        let mut state = json!({ "Type": "Fail" });
        state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let machine = json!({ "StartAt": "No", "States": { "No": state } });
        let mut run = Run::of(&machine.to_string(), input.clone());
        run.advance();
        assert_eq!(run.execution.status(), &Status::Failed { error: error.to_owned(), cause: cause.to_owned() });
        assert_eq!(run.events(), ["ExecutionStarted", "FailStateEntered", "ExecutionFailed"]);
    }
    for fields in [json!({ "ErrorPath": "$.missing" }), json!({ "CausePath": "$.n" })] {
        let mut state = json!({ "Type": "Fail" });
        state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let machine = json!({ "StartAt": "No", "States": { "No": state } });
        let mut run = Run::of(&machine.to_string(), input.clone());
        run.advance();
        assert_eq!(run.failed(), Some("States.Runtime"), "{state}");
    }
}
