//! Attempts of tasks: clocks, tokens, Retry, Catch, stop, and the history they cost.

use serde_json::{Value, json};

use super::driver::{Run, WORK};
use crate::machine::{CallId, Effect, Event, Handled, HistoryEvent, Status, Token};

/// A machine of one activity task; whatever is caught ends with its data.
fn work(fields: Value) -> String {
    machine(WORK, fields)
}

fn machine(resource: &str, fields: Value) -> String {
    let mut task = json!({ "Type": "Task", "Resource": resource, "End": true });
    task.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({ "StartAt": "Work", "States": { "Work": task, "Caught": { "Type": "Succeed" } } }).to_string()
}

const CALLBACK: &str = "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken";
const CALL: &str = "arn:aws:states:::aws-sdk:dynamodb:getItem";

fn catch(errors: &[&str]) -> Value {
    json!([{ "ErrorEquals": errors, "ResultPath": "$.caught", "Next": "Caught" }])
}

fn retry(errors: &[&str], fields: Value) -> Value {
    let mut retrier = json!({ "ErrorEquals": errors });
    retrier.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!([retrier])
}

/// The next call: its id, its parameters, its token.
fn call(run: &mut Run) -> (CallId, Value, Option<Token>) {
    match run.next() {
        Effect::CallService { call_id, parameters, callback_token, .. } => (call_id, parameters, callback_token),
        other => panic!("{other:?}; {:?}", run.execution.status()),
    }
}

fn returned(run: &mut Run, call_id: CallId, output: Value) -> Handled {
    run.handle(Event::ServiceResult { call_id, result: Ok(output) })
}

fn status(run: &Run) -> &'static str {
    match run.execution.status() {
        Status::Running => "RUNNING",
        Status::Succeeded { .. } => "SUCCEEDED",
        Status::Failed { .. } => "FAILED",
        Status::TimedOut => "TIMED_OUT",
        Status::Aborted => "ABORTED",
    }
}

#[test]
fn the_history_costs_what_it_costs_on_aws() {
    let mut activity = Run::of(&work(json!({})), json!({}));
    let token = activity.picked_up();
    activity.heartbeat(&token);
    activity.succeed(&token, json!(1));
    assert_eq!(
        activity.events(),
        [
            "ExecutionStarted",
            "TaskStateEntered",
            "ActivityScheduled",
            "ActivityStarted",
            "ActivitySucceeded",
            "TaskStateExited",
            "ExecutionSucceeded",
        ]
    );

    let mut service = Run::of(&machine(CALL, json!({})), json!({}));
    let (id, ..) = call(&mut service);
    returned(&mut service, id, json!({}));
    assert_eq!(
        service.events()[1..6],
        ["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited"]
    );

    let mut callback = Run::of(&machine(CALLBACK, json!({})), json!({}));
    let (id, _, token) = call(&mut callback);
    returned(&mut callback, id, json!({}));
    callback.succeed(&token.unwrap(), json!({}));
    assert_eq!(
        callback.events()[1..7],
        ["TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited"]
    );

    let mut retried = Run::of(&work(json!({ "Retry": retry(&["E"], json!({})) })), json!({}));
    for _ in 0..2 {
        let token = retried.picked_up();
        retried.fail(&token, "E");
    }
    let token = retried.picked_up();
    retried.succeed(&token, json!(1));
    assert_eq!(retried.total(), 7 + 2 * 3, "a failed attempt costs three");
    assert_eq!(retried.execution.history().counts().map(|(_, count)| count).sum::<u32>(), retried.total());
    assert!(retried.execution.history().counts().any(|(name, count)| (name, count) == ("ActivityFailed", 2)));
}

#[test]
fn a_queued_activity_never_times_out_and_a_started_one_does() {
    let limits = json!({ "TimeoutSeconds": 60, "HeartbeatSeconds": 20, "Catch": catch(&["States.ALL"]) });
    let mut run = Run::of(&work(limits.clone()), json!({}));
    let (token, _) = run.task();
    run.tick(1_000_000);
    assert_eq!((status(&run), run.execution.wake_at()), ("RUNNING", None));

    // Silence ends it by heartbeat, at the second.
    run.started(&token);
    run.tick(19);
    assert_eq!(status(&run), "RUNNING");
    run.tick(1);
    assert_eq!(run.execution.data()["caught"], json!({ "Error": "States.HeartbeatTimeout", "Cause": "" }));
    assert_eq!(run.count(HistoryEvent::ActivityTimedOut), 1);

    // Beats do not stretch the timeout.
    let mut run = Run::of(&work(limits), json!({}));
    let token = run.picked_up();
    for _ in 0..3 {
        run.tick(15);
        assert_eq!(run.heartbeat(&token), Handled::Accepted);
    }
    run.tick(14);
    assert_eq!(status(&run), "RUNNING");
    run.tick(1);
    assert_eq!(run.execution.data()["caught"]["Error"], "States.Timeout");
    assert_eq!(run.heartbeat(&token), Handled::TaskTimedOut);
}

#[test]
fn a_late_answer_is_refused_even_before_the_timeout_is_noticed() {
    let mut run = Run::of(&work(json!({ "TimeoutSeconds": 60, "Catch": catch(&["States.Timeout"]) })), json!({}));
    let token = run.picked_up();
    run.now += jiff::SignedDuration::from_secs(60);
    assert_eq!(run.succeed(&token, json!(1)), Handled::TaskTimedOut);
    assert_eq!(run.execution.data()["caught"]["Error"], "States.Timeout");
}

#[test]
fn limits_come_by_path_too() {
    let limits = json!({ "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h", "InputPath": "$.in" });
    let mut run = Run::of(&work(limits.clone()), json!({ "in": { "t": 9, "h": 4 } }));
    run.picked_up();
    run.tick(4);
    assert_eq!(run.failed(), Some("States.HeartbeatTimeout"));
    for input in [json!({ "t": 9 }), json!({ "t": 0, "h": 1 }), json!({ "t": "9", "h": 1 }), json!({ "t": 4, "h": 4 })]
    {
        let mut run = Run::of(&work(limits.clone()), json!({ "in": input }));
        run.advance();
        assert_eq!(run.failed(), Some("States.Runtime"), "{input}");
    }
}

#[test]
fn calls_and_callbacks_time_out_from_their_schedule() {
    for (resource, event) in [(CALL, HistoryEvent::TaskTimedOut), (CALLBACK, HistoryEvent::TaskTimedOut)] {
        let mut run = Run::of(&machine(resource, json!({ "TimeoutSeconds": 60 })), json!({}));
        let (id, ..) = call(&mut run);
        run.tick(60);
        assert_eq!((run.failed(), run.count(event)), (Some("States.Timeout"), 1));
        assert_eq!(returned(&mut run, id, json!({})), Handled::TaskTimedOut, "the response comes too late");
    }
    let limits = json!({ "TimeoutSeconds": 60, "HeartbeatSeconds": 10 });
    let mut run = Run::of(&machine(CALLBACK, limits), json!({}));
    let (id, _, token) = call(&mut run);
    returned(&mut run, id, json!({}));
    run.tick(9);
    assert_eq!(run.heartbeat(&token.unwrap()), Handled::Accepted);
    run.tick(9);
    assert_eq!(status(&run), "RUNNING");
    run.tick(1);
    assert_eq!(run.failed(), Some("States.Timeout"), "recorded of a callback");
}

#[test]
fn every_attempt_has_a_token_of_its_own() {
    let mut run = Run::of(&work(json!({ "Retry": retry(&["E"], json!({})) })), json!({}));
    let first = run.picked_up();
    assert_eq!(run.started(&first), Handled::TaskTimedOut, "handed out once");
    run.fail(&first, "E");
    let (second, _) = run.task();
    assert_ne!(first, second);
    assert_eq!(run.succeed(&first, json!(1)), Handled::TaskTimedOut, "a zombie is fenced off");
    assert_eq!(run.succeed(&second, json!(1)), Handled::TaskDoesNotExist, "nobody has this token yet");
    assert_eq!(run.succeed(&Token::from("made up"), json!(1)), Handled::TaskDoesNotExist);
    run.started(&second);
    assert_eq!(run.succeed(&second, json!(1)), Handled::Accepted);
    assert_eq!(run.fail(&second, "E"), Handled::TaskTimedOut, "one answer per token");
    assert_eq!(run.execution.data(), &json!(1));
    assert_eq!(format!("{second:?}"), "Token(…)", "a token is not printed");
}

#[test]
fn a_callback_has_its_token_in_the_context_and_others_have_none() {
    let parameters = json!({ "Parameters": { "token.$": "$$.Task.Token" }, "Catch": catch(&["States.ALL"]) });
    let mut run = Run::of(&machine(CALLBACK, parameters.clone()), json!({}));
    let (_, filled, token) = call(&mut run);
    assert_eq!(filled["token"], token.unwrap().as_str());
    for resource in [WORK, CALL] {
        let mut run = Run::of(&machine(resource, parameters.clone()), json!({}));
        run.advance();
        assert_eq!(run.failed(), Some("States.Runtime"), "{resource}");
    }
}

#[test]
fn an_answer_that_overtakes_its_call_waits_for_it() {
    let mut run = Run::of(&machine(CALLBACK, json!({})), json!({}));
    let (id, _, token) = call(&mut run);
    let token = token.unwrap();
    assert_eq!(run.succeed(&token, json!("early")), Handled::Accepted);
    assert_eq!(run.succeed(&token, json!("again")), Handled::TaskTimedOut);
    assert_eq!(status(&run), "RUNNING");
    returned(&mut run, id, json!({}));
    assert_eq!(run.execution.data(), &json!("early"));
    assert_eq!(run.count(HistoryEvent::TaskSubmitted), 1);
}

#[test]
fn a_callback_whose_call_fails_is_a_failed_task() {
    let mut run = Run::of(
        &machine(CALLBACK, json!({ "Catch": catch(&["DynamoDb.ConditionalCheckFailedException"]) })),
        json!({}),
    );
    let (call_id, _, token) = call(&mut run);
    let error = ("DynamoDb.ConditionalCheckFailedException".to_owned(), "no".to_owned());
    run.handle(Event::ServiceResult { call_id, result: Err(error) });
    assert_eq!(run.execution.data()["caught"]["Cause"], "no");
    assert_eq!(run.succeed(&token.unwrap(), json!(1)), Handled::TaskTimedOut);
    assert_eq!(returned(&mut run, CallId(77), json!(1)), Handled::TaskDoesNotExist);
}

#[test]
fn results_are_selected_and_placed() {
    for (fields, expected) in [
        (json!({}), json!({ "r": 1, "s": [2] })),
        (json!({ "ResultPath": null }), json!({ "in": 0 })),
        (json!({ "ResultPath": "$.out" }), json!({ "in": 0, "out": { "r": 1, "s": [2] } })),
        (json!({ "ResultSelector": { "x.$": "$.s[0]", "at.$": "$$.State.Name" } }), json!({ "x": 2, "at": "Work" })),
        (json!({ "ResultPath": "$.out", "OutputPath": "$.out.r" }), json!(1)),
        (json!({ "OutputPath": null }), json!({})),
    ] {
        let mut run = Run::of(&work(fields.clone()), json!({ "in": 0 }));
        let token = run.picked_up();
        run.succeed(&token, json!({ "r": 1, "s": [2] }));
        assert_eq!(run.execution.data(), &expected, "{fields}");
    }
    for fields in [
        json!({ "ResultSelector": { "x.$": "$.missing" } }),
        json!({ "OutputPath": "$.missing" }),
        json!({ "InputPath": "$.missing" }),
        json!({ "Parameters": { "x.$": "$.missing" } }),
    ] {
        let mut fields = fields;
        fields["Catch"] = catch(&["States.ALL"]);
        fields["Retry"] = retry(&["States.ALL"], json!({}));
        let mut run = Run::of(&work(fields.clone()), json!({ "in": 0 }));
        run.advance();
        if let Some(Effect::ScheduleActivity { token, .. }) = run.effects.pop_front() {
            run.started(&token);
            run.succeed(&token, json!({}));
        }
        assert_eq!(run.failed(), Some("States.Runtime"), "{fields}: nothing catches it");
    }
}

#[test]
fn what_fails_after_the_answer_can_be_caught_with_the_raw_input() {
    for (fields, error) in [
        (json!({ "ResultPath": "$.in.way" }), "States.ResultPathMatchFailure"),
        (json!({ "ResultPath": "$.in.way", "OutputPath": "$.in" }), "States.ResultPathMatchFailure"),
        (json!({ "ResultSelector": { "x.$": "States.MathAdd('a', 1)" } }), "States.IntrinsicFailure"),
        (json!({ "Parameters": { "x.$": "States.MathAdd('a', 1)" } }), "States.IntrinsicFailure"),
    ] {
        let mut fields = fields;
        fields["Catch"] = catch(&["States.ALL"]);
        let mut run = Run::of(&work(fields.clone()), json!({ "in": 0 }));
        run.advance();
        if let Some(Effect::ScheduleActivity { token, .. }) = run.effects.pop_front() {
            run.started(&token);
            run.succeed(&token, json!({}));
        }
        assert_eq!(run.execution.data()["in"], 0, "{fields}");
        assert_eq!(run.execution.data()["caught"]["Error"], error, "{fields}");
    }
}

#[test]
fn error_names_match_as_recorded() {
    for (errors, error, caught) in [
        ("E", "E", true),
        ("E", "F", false),
        ("States.ALL", "E", true),
        ("States.ALL", "States.Timeout", true),
        ("States.ALL", "States.Runtime", false),
        ("States.Runtime", "States.Runtime", false),
        ("States.ALL", "States.DataLimitExceeded", true),
        ("States.DataLimitExceeded", "States.DataLimitExceeded", true),
        ("States.TaskFailed", "E", true),
        ("States.TaskFailed", "States.Permissions", true),
        ("States.TaskFailed", "States.Timeout", false),
        ("States.TaskFailed", "States.HeartbeatTimeout", false),
        ("States.TaskFailed", "States.DataLimitExceeded", false),
        ("States.Timeout", "States.HeartbeatTimeout", false),
        ("States.HeartbeatTimeout", "States.HeartbeatTimeout", true),
    ] {
        let mut run = Run::of(&work(json!({ "Catch": catch(&[errors]) })), json!({}));
        let token = run.picked_up();
        run.fail(&token, error);
        assert_eq!(run.failed().is_none(), caught, "{errors} {error}");
        assert_eq!(run.count(HistoryEvent::TaskStateExited), u32::from(caught), "an uncaught failure exits nothing");
    }
}

#[test]
fn catch_places_the_error_where_it_is_told() {
    let error = json!({ "Error": "E", "Cause": "because" });
    for (fields, expected) in [
        (json!({}), error.clone()),
        (json!({ "ResultPath": "$.e" }), json!({ "in": 0, "e": error })),
        (json!({ "ResultPath": null }), json!({ "in": 0 })),
    ] {
        let mut catcher = json!({ "ErrorEquals": ["E"], "Next": "Caught" });
        catcher.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut run = Run::of(&work(json!({ "Catch": [catcher], "OutputPath": "$.not.applied" })), json!({ "in": 0 }));
        let token = run.picked_up();
        run.fail(&token, "E");
        assert_eq!(run.execution.data(), &expected, "{fields}");
        assert_eq!(run.path(), ["Work", "Caught"]);
    }
}

/// The pauses before the retries, until the execution ends.
fn pauses(retry: Value, errors: &[&str]) -> Vec<f64> {
    let mut run = Run::of(&work(json!({ "Retry": retry })), json!({}));
    let mut pauses = Vec::new();
    for error in errors {
        let token = run.picked_up();
        run.fail(&token, error);
        let before = run.now;
        let Some(wake) = run.execution.wake_at() else { break };
        pauses.push((wake - before).total(jiff::Unit::Second).unwrap());
    }
    pauses
}

#[test]
fn retries_pause_as_told() {
    let all = ["E"; 60];
    assert_eq!(pauses(retry(&["E"], json!({})), &all), [1.0, 2.0, 4.0]);
    assert_eq!(pauses(retry(&["E"], json!({ "MaxAttempts": 0 })), &all), [0.0; 0]);
    let capped = json!({ "IntervalSeconds": 3, "BackoffRate": 1.5, "MaxDelaySeconds": 7, "MaxAttempts": 5 });
    assert_eq!(pauses(retry(&["E"], capped.clone()), &all), [3.0, 4.5, 6.75, 7.0, 7.0]);
    assert_eq!(pauses(retry(&["F"], capped.clone()), &all), [0.0; 0]);

    let mut jittered = capped;
    jittered["JitterStrategy"] = "FULL".into();
    jittered["MaxAttempts"] = 45.into();
    let drawn = pauses(retry(&["E"], jittered.clone()), &all);
    assert_eq!(drawn.len(), 45);
    assert!(drawn.iter().all(|pause| (0.0..=7.0).contains(pause)), "{drawn:?}");
    assert!(drawn.iter().any(|pause| *pause < 2.0) && drawn.iter().any(|pause| *pause > 5.0), "{drawn:?}");
    assert_eq!(drawn, pauses(retry(&["E"], jittered), &all), "the same seed draws the same");
}

#[test]
fn each_retrier_counts_for_itself_and_the_first_that_matches_decides() {
    let two = json!([
        { "ErrorEquals": ["A"], "IntervalSeconds": 10, "MaxAttempts": 1 },
        { "ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 20, "MaxAttempts": 2, "BackoffRate": 1.0 },
    ]);
    assert_eq!(pauses(two.clone(), &["B", "A", "B", "B"]), [20.0, 10.0, 20.0]);
    assert_eq!(pauses(two, &["A", "A", "A"]), [10.0]);
}

#[test]
fn retry_counters_begin_anew_at_each_visit() {
    let machine = json!({
        "StartAt": "Work",
        "States": {
            "Work": {
                "Type": "Task", "Resource": WORK, "Parameters": { "retries.$": "$$.State.RetryCount" },
                "Retry": retry(&["E"], json!({ "MaxAttempts": 1 })), "Next": "Work",
            },
        },
    });
    let mut run = Run::of(&machine.to_string(), json!({}));
    for _ in 0..3 {
        for retries in 0..2 {
            let (token, input) = run.task();
            assert_eq!(input["retries"], retries);
            run.started(&token);
            if retries == 0 {
                run.fail(&token, "E")
            } else {
                run.succeed(&token, json!({}))
            };
        }
    }
    assert_eq!(run.count(HistoryEvent::ActivityFailed), 3);
}

#[test]
fn a_stopped_execution_runs_no_catch_and_its_tokens_are_dead() {
    let mut run = Run::of(&work(json!({ "Catch": catch(&["States.ALL"]), "TimeoutSeconds": 9 })), json!({}));
    let token = run.picked_up();
    run.execution.stop(run.now);
    run.execution.stop(run.now);
    run.advance();
    assert_eq!(run.effects, [Effect::Ended], "told once");
    run.advance();
    assert_eq!((run.effects.len(), run.execution.wake_at(), run.execution.current_state()), (1, None, None));
    assert_eq!(run.succeed(&token, json!(1)), Handled::TaskTimedOut);
    run.tick(10);
    assert_eq!(status(&run), "ABORTED");
    assert_eq!(run.events().last(), Some(&"ExecutionAborted"));

    let mut queued = Run::of(&work(json!({})), json!({}));
    let (token, _) = queued.task();
    queued.execution.stop(queued.now);
    assert_eq!(queued.started(&token), Handled::TaskTimedOut, "a queued task is not handed out any more");
}

#[test]
fn the_machine_timeout_ends_everything() {
    let mut text: Value = serde_json::from_str(&work(json!({ "Catch": catch(&["States.ALL"]) }))).unwrap();
    text["TimeoutSeconds"] = 30.into();
    let mut run = Run::of(&text.to_string(), json!({}));
    let token = run.picked_up();
    assert_eq!(run.execution.wake_at(), Some(run.now + jiff::SignedDuration::from_secs(30)));
    run.tick(29);
    assert_eq!(run.heartbeat(&token), Handled::Accepted);
    run.now += jiff::SignedDuration::from_secs(1);
    assert_eq!(run.succeed(&token, json!(1)), Handled::TaskTimedOut);
    assert_eq!(status(&run), "TIMED_OUT");
    assert_eq!(run.events().last(), Some(&"ExecutionTimedOut"));
    assert_eq!(run.effects, [Effect::Ended]);
}
