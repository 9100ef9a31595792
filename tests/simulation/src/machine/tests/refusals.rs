//! Definitions that are refused when they are parsed, each for its own reason.

use serde_json::{Value, json};

use super::driver::WORK;
use crate::machine::Definition;

fn refused(definition: &Value) -> String {
    match Definition::parse(&definition.to_string()) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("accepted: {definition}"),
    }
}

#[test]
fn a_state_with_something_unknown_or_wrong_is_refused() {
    let task = |fields: Value| {
        let mut state = json!({ "Type": "Task", "Resource": WORK, "End": true });
        state.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        state
    };
    let pass = |field: &str, value: Value| json!({ "Type": "Pass", "End": true, field: value });
    let choice = |rule: Value| {
        let mut rule = rule;
        rule["Next"] = "Here".into();
        json!({ "Type": "Choice", "Choices": [rule] })
    };
    let variable = |test: &str, operand: Value| choice(json!({ "Variable": "$.a", test: operand }));
    let parameter = |text: &str| pass("Parameters", json!({ "x.$": text }));
    let retry = |field: &str, value: Value| task(json!({ "Retry": [{ "ErrorEquals": ["E"], field: value }] }));
    for (state, problem) in [
        (json!({ "Type": "Map" }), "the type Map is not supported"),
        (json!({ "Type": "Parallel" }), "the type Parallel is not supported"),
        (json!({ "End": true }), "Type is missing"),
        (json!([]), "an object is expected"),
        (json!({ "Type": "Pass" }), "either Next or End"),
        (json!({ "Type": "Pass", "Next": "Here", "End": true }), "either Next or End"),
        (json!({ "Type": "Pass", "Next": "Nowhere" }), "there is no state 'Nowhere'"),
        (pass("Assign", json!({})), "the field Assign is not supported here"),
        (pass("QueryLanguage", json!("JSONata")), "QueryLanguage JSONata is not supported"),
        (pass("Parameters", json!([])), "Parameters is not an object"),
        (pass("Parameters", json!({ "x.$": 1 })), "'x.$' must name a field and hold a path"),
        (pass("Parameters", json!({ "x.$": "$.a", "x": 1 })), "'x' is set twice"),
        (parameter("plain"), "neither a path nor an intrinsic"),
        (parameter("$.a..b"), "recursive descent is not supported"),
        (parameter("$.a[?(@.b)]"), "neither an index nor a field"),
        (parameter("$.a[0:2]"), "neither an index nor a field"),
        (parameter("$.a["), "has no ']'"),
        (parameter("$.a b"), "follows the end"),
        (parameter("$$.Map.Item.Value"), "not a part of the context object"),
        (parameter("$$.Execution.RoleArn"), "not a part of the context object"),
        (parameter("$$.Execution"), "not a part of the context object"),
        (parameter("States.Hash($.a, 'MD5')"), "the intrinsic function 'States.Hash' is not supported"),
        (parameter("States.UUID("), "is not an argument"),
        (parameter("States.UUID() "), "follows the end"),
        (parameter("States.UUID(1)"), "takes 0 arguments, not 1"),
        (parameter("States.MathAdd($.a)"), "takes 2 arguments, not 1"),
        (parameter("States.MathAdd($.a 1)"), "',' or ')' is expected"),
        (parameter("States.ArrayLength(\"a\")"), "single quotes"),
        (parameter("States.Format('{} {}', 1)"), "has 2 places for 1 values"),
        (parameter("States.Format('{x}', 1)"), "neither {} nor escaped"),
        (parameter("States.Format('open"), "no closing quote"),
        (parameter("States.Format('\\n')"), "an escape"),
        (parameter(&format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11))), "levels deep"),
        (pass("InputPath", json!(1)), "InputPath is a path or null"),
        (pass("ResultPath", json!("$.list[0]")), "may name fields of the input only"),
        (pass("ResultPath", json!("$$.Execution.Input")), "may name fields of the input only"),
        (json!({ "Type": "Wait", "End": true }), "a Wait has one of"),
        (json!({ "Type": "Wait", "Seconds": 1, "SecondsPath": "$.a", "End": true }), "a Wait has one of"),
        (json!({ "Type": "Wait", "Seconds": -1, "End": true }), "a whole number from 0"),
        (json!({ "Type": "Wait", "Timestamp": "soon", "End": true }), "Timestamp is not one"),
        (json!({ "Type": "Wait", "SecondsPath": "$.a[*]", "End": true }), "more than one value"),
        (json!({ "Type": "Fail", "Error": "E", "ErrorPath": "$.e" }), "exclude each other"),
        (json!({ "Type": "Fail", "Next": "Here" }), "the field Next is not supported here"),
        (json!({ "Type": "Succeed", "End": true }), "the field End is not supported here"),
        (json!({ "Type": "Choice", "Choices": [] }), "Choices is empty"),
        (json!({ "Type": "Choice", "Choices": [{ "Variable": "$.a", "IsNull": true }] }), "a choice has no Next"),
        (choice(json!({ "Variable": "$.a" })), "needs exactly one test"),
        (choice(json!({ "And": [] })), "at least one rule"),
        (choice(json!({ "Xor": [] })), "the rule 'Xor' is not supported"),
        (choice(json!({ "Condition": "{% true %}" })), "the rule 'Condition' is not supported"),
        (variable("StringEquals", json!(1)), "cannot be compared"),
        (variable("NumericEquals", json!("1")), "cannot be compared"),
        (variable("BooleanGreaterThan", json!(true)), "is not supported"),
        (variable("StringLike", json!("a")), "is not supported"),
        (variable("IsPresent", json!("yes")), "is true or false"),
        (variable("IsThere", json!(true)), "is not supported"),
        (variable("StringMatches", json!("\\a")), "escapes neither"),
        (variable("StringEqualsPath", json!("$.b[*]")), "more than one value"),
        (
            json!({ "Type": "Choice", "Default": "No", "Choices": [{ "Variable": "$.a", "IsNull": true, "Next": "Here" }] }),
            "no state 'No'",
        ),
        (task(json!({ "Resource": "arn:aws:lambda:us-west-2:111122223333:function:f" })), "the resource"),
        (task(json!({ "Resource": "arn:aws:states:::states:startExecution.sync:2" })), "the resource"),
        (task(json!({ "Resource": "arn:aws:states:::states:startExecution.sync" })), "the resource"),
        (task(json!({ "Credentials": {} })), "the field Credentials is not supported here"),
        (task(json!({ "TimeoutSeconds": 0 })), "a whole number from 1"),
        (task(json!({ "TimeoutSeconds": 1, "TimeoutSecondsPath": "$.t" })), "exclude each other"),
        (task(json!({ "TimeoutSeconds": 30, "HeartbeatSeconds": 30 })), "must be smaller"),
        (retry("MaxAttempts", json!(-1)), "a whole number from 0"),
        (retry("IntervalSeconds", json!(0)), "a whole number from 1"),
        (retry("BackoffRate", json!(0.5)), "BackoffRate is a number from 1.0"),
        (retry("JitterStrategy", json!("HALF")), "does not exist"),
        (retry("Backoff", json!(1)), "the field Backoff is not supported here"),
        (task(json!({ "Retry": [{ "ErrorEquals": [] }] })), "a list of error names"),
        (task(json!({ "Retry": [{ "ErrorEquals": ["States.ALL", "E"] }] })), "alone and last"),
        (
            task(json!({ "Catch": [
                { "ErrorEquals": ["States.ALL"], "Next": "Here" }, { "ErrorEquals": ["E"], "Next": "Here" },
            ] })),
            "alone and last",
        ),
        (task(json!({ "Catch": [{ "ErrorEquals": ["E"] }] })), "a Catch has no Next"),
        (task(json!({ "Catch": [{ "ErrorEquals": ["E"], "Next": "No" }] })), "there is no state 'No'"),
    ] {
        let error = refused(&json!({ "StartAt": "Here", "States": { "Here": state } }));
        assert!(error.starts_with("state 'Here': ") && error.contains(problem), "{error}\nnot: {problem}");
    }
}

#[test]
fn a_machine_with_something_unknown_or_wrong_is_refused() {
    let states = json!({ "A": { "Type": "Succeed" } });
    for (definition, problem) in [
        (json!({ "StartAt": "B", "States": states }), "there is no state 'B'"),
        (json!({ "States": states }), "StartAt is missing"),
        (json!({ "StartAt": "A" }), "States is missing"),
        (json!({ "StartAt": "A", "States": states, "Version": "2.0" }), "Version is 1.0"),
        (json!({ "StartAt": "A", "States": states, "QueryLanguage": "JSONata" }), "is not supported"),
        (json!({ "StartAt": "A", "States": states, "TimeoutSeconds": 0 }), "a whole number from 1"),
        (json!({ "StartAt": "A", "States": states, "Processor": {} }), "the field Processor is not supported here"),
        (json!({ "StartAt": "A", "States": states, "Comment": "${Arn}" }), "the placeholder ${Arn} is not filled in"),
        (json!("text"), "an object is expected"),
    ] {
        let error = refused(&definition);
        assert!(error.starts_with("the state machine: ") && error.contains(problem), "{error}");
    }
    let name = "x".repeat(81);
    assert!(refused(&json!({ "StartAt": name, "States": { &name: { "Type": "Succeed" } } })).contains("80 characters"));
    assert_eq!(Definition::parse("{").unwrap_err().to_string(), "the definition is not JSON");
}
