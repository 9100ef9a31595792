//! The quotas: payload, history, and depth; and the size that is kept along.

use serde_json::{Value, json};

use super::driver::{Run, WORK};
use crate::machine::{Effect, MAX_HISTORY_EVENTS, Readings, payload::Payload};

const LIMIT: usize = 262_144;

fn text(bytes: usize) -> Value {
    Value::String("x".repeat(bytes - 2))
}

fn task(fields: Value) -> String {
    let mut task = json!({ "Type": "Task", "Resource": WORK, "End": true });
    task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "StartAt": "Work", "States": { "Work": task, "Caught": { "Type": "Succeed" } } }).to_string()
}

#[test]
fn a_payload_of_exactly_the_quota_passes_and_one_byte_more_does_not() {
    let pass = json!({ "StartAt": "P", "States": { "P": { "Type": "Pass", "End": true } } }).to_string();
    for (size, error) in [(LIMIT, None), (LIMIT + 1, Some("States.DataLimitExceeded"))] {
        let mut input = Run::of(&pass, text(size));
        input.advance();
        assert_eq!(input.failed(), error);

        let mut result = Run::of(&task(json!({})), json!({}));
        let token = result.picked_up();
        result.succeed(&token, text(size));
        assert_eq!(result.failed(), error);

        // {"in":…,"out":1}
        let added = r#"{"in":,"out":1}"#.len();
        let state = json!({ "Type": "Pass", "Result": 1, "ResultPath": "$.out", "End": true });
        let placed = json!({ "StartAt": "P", "States": { "P": state } }).to_string();
        let mut placed = Run::of(&placed, json!({ "in": text(size - added) }));
        placed.advance();
        assert_eq!(placed.failed(), error);

        // {"longer":…}
        let fields = json!({ "Parameters": { "longer.$": "$.in" } });
        let mut parameters = Run::of(&task(fields), json!({ "in": text(size - 11) }));
        parameters.advance();
        assert_eq!(parameters.failed(), error);
        assert_eq!(parameters.effects[0] == Effect::Ended, error.is_some());
    }
}

#[test]
fn too_much_data_is_caught_by_its_own_name_and_as_aws_is_read_by_all() {
    let (recorded, other) = (Readings::RECORDED, Readings::OTHER);
    for (errors, readings, caught) in [
        ("States.ALL", recorded, true),
        ("States.ALL", other, false),
        ("States.TaskFailed", recorded, false),
        ("States.DataLimitExceeded", other, true),
    ] {
        let catch = json!([{ "ErrorEquals": [errors], "ResultPath": null, "Next": "Caught" }]);
        let mut run = Run::of(&task(json!({ "ResultPath": "$.out", "Catch": catch })), json!({ "in": text(150_000) }));
        run.execution.read_as(readings);
        let token = run.picked_up();
        run.succeed(&token, text(150_000));
        assert_eq!(run.failed().is_none(), caught, "{errors}");
        if caught {
            assert_eq!(run.execution.data().as_object().unwrap().len(), 1, "the raw input");
        }
    }
}

#[test]
fn output_path_counts_before_the_quota_does() {
    for (output_path, error) in [("$", Some("States.DataLimitExceeded")), ("$.out", None)] {
        let fields = json!({ "ResultPath": "$.out", "OutputPath": output_path });
        let mut run = Run::of(&task(fields), json!({ "in": text(150_000) }));
        let token = run.picked_up();
        run.succeed(&token, text(150_000));
        assert_eq!(run.failed(), error);
    }
}

#[test]
fn the_history_ends_the_execution_at_its_quota() {
    let spin = json!({ "StartAt": "Spin", "States": { "Spin": { "Type": "Pass", "Next": "Spin" } } }).to_string();
    let mut run = Run::of(&spin, json!({}));
    run.advance();
    assert_eq!(run.failed(), Some("States.Runtime"));
    assert_eq!(run.total(), MAX_HISTORY_EVENTS);
    assert_eq!(run.events().last(), Some(&"ExecutionFailed"));
}

#[test]
fn a_full_history_stops_tasks_too() {
    let task = json!({ "Type": "Task", "Resource": WORK, "Next": "Work" });
    let retry = json!([{ "ErrorEquals": ["E"], "MaxAttempts": 99_999, "MaxDelaySeconds": 1 }]);
    for retried in [false, true] {
        let mut task = task.clone();
        task["Retry"] = retry.clone();
        let machine = json!({ "StartAt": "Work", "States": { "Work": task } }).to_string();
        let mut run = Run::of(&machine, json!({}));
        while !matches!(run.next(), Effect::Ended) {
            // `next` took the effect; the token is the one the execution waits for.
            run.answer_current(retried);
        }
        assert_eq!((run.failed(), run.total()), (Some("States.Runtime"), MAX_HISTORY_EVENTS));
    }
}

#[test]
fn data_that_wraps_itself_is_refused_before_the_stack_ends() {
    let wrap = json!({ "Type": "Pass", "Parameters": { "x.$": "$" }, "Next": "Wrap" });
    let machine = json!({ "StartAt": "Wrap", "States": { "Wrap": wrap } }).to_string();
    let mut run = Run::of(&machine, json!({}));
    run.advance();
    assert_eq!(run.failed(), Some("States.Runtime"));
    let nest = json!({ "Type": "Pass", "ResultPath": "$.a.b.c", "Next": "Nest" });
    let machine = json!({ "StartAt": "Nest", "States": { "Nest": nest } }).to_string();
    let mut run = Run::of(&machine, json!({}));
    run.advance();
    assert_eq!(run.failed(), Some("States.Runtime"));
}

#[test]
fn the_size_that_is_kept_is_the_size_of_the_text() {
    let values = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(10),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1.5),
        json!(1e300),
        json!(""),
        json!("q\"\\/\n\u{1}\u{8}\u{7f}é🌊"),
        json!([]),
        json!([1, [2, {}]]),
        json!({ "a\"": { "b": [] }, "c": "" }),
    ];
    for value in &values {
        let payload = Payload::new(value.clone(), "value").unwrap();
        assert_eq!(payload.size(), value.to_string().len(), "{value}");
    }
    let mut payload = Payload::new(json!({}), "value").unwrap();
    let paths: [&[&str]; 6] = [&["a"], &["b", "c"], &["b", "d", "e"], &["a"], &["b"], &["x y", "\""]];
    for (turn, value) in values.iter().enumerate() {
        let path: Vec<String> = paths[turn % paths.len()].iter().map(|name| (*name).to_owned()).collect();
        if payload.insert(&path, value.clone(), true).is_ok() {
            assert_eq!(payload.size(), payload.value().to_string().len(), "{}", payload.value());
        }
    }
    assert!(payload.size() > 50, "most of it was placed");
}
