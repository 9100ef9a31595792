//! The machine that ships, by scripted answers.

use std::{cell::Cell, fs, path::Path, sync::Arc};

use serde_json::{Value, json};

use super::driver::{Answer, Run};
use crate::machine::{Definition, Effect, HistoryEvent, Status};

/// The committed definition with its placeholders filled in, as Terraform and the local stack do.
fn definition() -> Arc<Definition> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../statemachine/recovery.asl.json");
    let text = fs::read_to_string(file).unwrap();
    let mut pieces = text.split("${");
    let mut filled = pieces.next().unwrap().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once('}').unwrap();
        match name.strip_suffix("ActivityArn") {
            Some(activity) => filled += &format!("arn:aws:states:us-west-2:111122223333:activity:{activity}"),
            None => filled += name,
        }
        filled += rest;
    }
    Arc::new(Definition::parse(&filled).unwrap_or_else(|error| panic!("{error}")))
}

/// What the world of a run answers where a test says nothing else.
struct World {
    on_failure: &'static str,
    pause_before: u64,
}

impl World {
    fn answer(&self, state: &str, effect: &Effect) -> Answer {
        let input = match effect {
            Effect::ScheduleActivity { input, .. } | Effect::CallService { parameters: input, .. } => input,
            Effect::Ended => unreachable!(),
        };
        let wave = input["waveNumber"].as_u64();
        Answer::Result(match state {
            "Prepare" => json!({
                "mode": "RUN", "executionType": "DRILL", "planId": "crm", "planName": "CRM", "waveCount": 3,
                "firstIndex": 0, "firstAttempts": [1, 1, 1], "completedWaves": 0,
                "waves": (1..=3).map(|wave| json!({
                    "waveNumber": wave, "waveName": format!("wave {wave}"), "waveKey": format!("{wave:04}"),
                    "pauseBeforeWave": wave == self.pause_before, "gateTimeoutSeconds": 3600,
                    "waitAfterSeconds": 5, "onFailure": self.on_failure,
                })).collect::<Vec<_>>(),
            }),
            "ReadCancelBeforeWave" | "ReadPauseBeforeWave" | "ReadCancelAfterResume" | "ReadCancelAfterDecision" => {
                json!({ "Count": 0 })
            }
            "StartWave" => verdict(wave.unwrap(), "STARTING", 0),
            "PollWave" => verdict(wave.unwrap(), "COMPLETED", 1),
            "AwaitResume" => json!({}),
            "Finalize" => {
                let completed = input["ending"]["reason"] == "ALL_WAVES_SETTLED";
                json!({
                    "status": if completed { "COMPLETED" } else { "FAILED" }, "planId": "crm", "holdSeconds": 30,
                    "cleanupDue": completed, "error": "Tidegate.Refused", "cause": input["ending"]["reason"],
                })
            }
            "StartCleanup" => cleanup(false, "RUNNING", 0),
            "PollCleanup" => cleanup(true, "COMPLETED", 1),
            _ => json!({}),
        })
    }
}

fn verdict(wave: u64, status: &str, polls: u64) -> Value {
    let settled = status != "STARTING";
    json!({
        "waveNumber": wave, "status": status, "settled": settled, "startPending": false, "nextPollSeconds": 20,
        "pollsUsed": polls, "completedWaves": if status == "COMPLETED" { wave } else { wave - 1 },
        "cancelRequested": false, "failure": { "Error": "Tidegate.WaveFailed", "Cause": "a server failed" },
    })
}

fn cleanup(settled: bool, status: &str, polls: u64) -> Value {
    json!({ "settled": settled, "startPending": false, "status": status, "nextPollSeconds": 20, "pollsUsed": polls })
}

#[test]
fn three_waves_with_a_gate_and_a_cleanup_complete() {
    let world = World { on_failure: "abort", pause_before: 2 };
    let mut run = Run::compiled(&definition(), json!({ "planId": "crm", "executionType": "DRILL" }));
    let mut gates = Vec::new();
    let status = run.answer(|state, effect| {
        if let Effect::CallService { callback_token: Some(token), parameters, service, action, .. } = effect {
            assert_eq!((service.as_str(), action.as_str()), ("dynamodb", "updateItem"));
            assert_eq!(parameters["ExpressionAttributeValues"][":token"]["S"], token.as_str());
            gates.push(state.to_owned());
        }
        world.answer(state, effect)
    });
    let Status::Succeeded { output } = status else { panic!("{status:?}") };
    assert_eq!(output["status"], "COMPLETED");
    assert_eq!(gates, ["AwaitResume"]);

    let wave = |gate: &[&'static str]| -> Vec<&'static str> {
        let before = ["NextWave", "PickWave", "ReadCancelBeforeWave", "ReadPauseBeforeWave", "GateNeeded"];
        let after = [
            "EnterWave",
            "StartWave",
            "WaveSettled",
            "WaitForWave",
            "PollWave",
            "WaveSettled",
            "CloseWave",
            "WaitAfterWave",
            "AdvanceWave",
        ];
        [&before[..], gate, &after[..]].concat()
    };
    let expected = [
        vec!["Begin", "Prepare", "CheckOnly", "FirstWave"],
        wave(&[]),
        wave(&[
            "PlannedPause",
            "AnnouncePause",
            "OpenResumeGate",
            "AwaitResume",
            "KeepAnswer",
            "RecordResume",
            "ReadCancelAfterResume",
            "CancelledWhilePaused",
        ]),
        wave(&[]),
        vec!["NextWave", "AllWavesSettled", "Finalize", "CleanupDue", "HoldDrill", "BeginCleanup", "StartCleanup"],
        vec!["CleanupSettled", "WaitForCleanup", "PollCleanup", "CleanupSettled", "Outcome", "Completed"],
    ]
    .concat();
    assert_eq!(run.path(), expected);
    assert_eq!(run.count(HistoryEvent::TaskSubmitted), 1, "one callback");
    assert_eq!((run.now - "2026-03-01T03:00:00Z".parse::<jiff::Timestamp>().unwrap()).get_seconds(), 125);
}

#[test]
fn a_refused_plan_is_finalized_and_fails() {
    let world = World { on_failure: "abort", pause_before: 0 };
    let mut run = Run::compiled(&definition(), json!({ "planId": "none" }));
    let mut failure = Value::Null;
    let status = run.answer(|state, effect| match (state, effect) {
        ("Prepare", _) => Answer::Error("Tidegate.PlanRefused", "no such plan"),
        ("Finalize", Effect::ScheduleActivity { input, .. }) => {
            failure = input["ending"].clone();
            world.answer(state, effect)
        }
        _ => world.answer(state, effect),
    });
    assert_eq!(status, Status::Failed { error: "Tidegate.Refused".to_owned(), cause: "REFUSED".to_owned() });
    assert_eq!(run.path(), ["Begin", "Prepare", "PrepareFailed", "Finalize", "CleanupDue", "Outcome", "Failed"]);
    assert_eq!(failure["failure"]["Error"], "Tidegate.PlanRefused");
    assert_eq!(run.count(HistoryEvent::ActivityFailed), 1, "a refusal is not retried");
}

#[test]
fn a_failed_wave_is_retried_by_decision() {
    let world = World { on_failure: "gate", pause_before: 0 };
    let mut run = Run::compiled(&definition(), json!({ "planId": "crm" }));
    let (decisions, attempts) = (Cell::new(0), Cell::new(0));
    let status = run.answer(|state, effect| match (state, effect) {
        ("PollWave", Effect::ScheduleActivity { input, .. }) if input["waveNumber"] == 2 => {
            attempts.set(input["waveAttempt"].as_u64().unwrap());
            if attempts.get() == 1 { Answer::Result(verdict(2, "FAILED", 1)) } else { world.answer(state, effect) }
        }
        ("AwaitDecision", _) => {
            decisions.set(decisions.get() + 1);
            // The first answer is not a decision: the gate opens again, and nothing is lost.
            Answer::Result(if decisions.get() == 1 { json!({}) } else { json!({ "decision": "retry" }) })
        }
        _ => world.answer(state, effect),
    });
    assert!(matches!(status, Status::Succeeded { .. }), "{status:?}");
    assert_eq!((decisions.get(), attempts.get()), (2, 2));
    let path = run.path();
    let from = path.iter().position(|state| state == "FailurePolicy").unwrap();
    assert_eq!(
        path[from..from + 16],
        [
            "FailurePolicy",
            "FailedWave",
            "AnnounceDecision",
            "OpenDecisionGate",
            "AwaitDecision",
            "ReadDecision",
            "NoDecision",
            "AnnounceDecision",
            "OpenDecisionGate",
            "AwaitDecision",
            "ReadDecision",
            "DecidedRetry",
            "KeepDecision",
            "RecordDecision",
            "ReadCancelAfterDecision",
            "ActOnDecision",
        ]
    );
}

/// An item holds 400 KB, this machine's state 256 KiB, and SendTaskSuccess takes nearly as much. Whatever a person pastes into an
/// answer, the gate goes on, and the answer is not carried through the rest of the run.
#[test]
fn an_answer_of_any_length_resumes() {
    let kept = ["AwaitResume", "KeepAnswer", "RecordResume", "ReadCancelAfterResume"];
    let measured = ["AwaitResume", "KeepAnswer", "RecordResume", "RecordLongResume", "ReadCancelAfterResume"];
    let over_the_item = ["AwaitResume", "KeepAnswer", "RecordLongResume", "ReadCancelAfterResume"];
    let over_the_state = ["AwaitResume", "RecordLongResume", "ReadCancelAfterResume"];
    let long = |length: usize| json!({ "comment": "x".repeat(length) });
    for (answer, fits_item, expected) in [
        (long(10), true, &kept[..]),
        (long(2_000), true, &measured),
        (long(150_000), false, &over_the_item),
        // Quotes double where the answer becomes text.
        (json!({ "comment": "\"".repeat(100_000) }), false, &over_the_item),
        (long(262_100), false, &over_the_state),
    ] {
        let world = World { on_failure: "abort", pause_before: 2 };
        let mut run = Run::compiled(&definition(), json!({ "planId": "crm", "executionType": "DRILL" }));
        let mut recorded = Vec::new();
        let status = run.answer(|state, effect| {
            let Effect::CallService { parameters, .. } = effect else { return world.answer(state, effect) };
            let values = &parameters["ExpressionAttributeValues"];
            let length = |value: &Value| value["S"].as_str().map_or(0, |text| text.chars().count());
            match state {
                "AwaitResume" => Answer::Result(answer.clone()),
                "KeepAnswer" if !fits_item => Answer::Error("DynamoDb.DynamoDbException", "Item size has exceeded"),
                "KeepAnswer" => {
                    recorded.push(length(&values[":answer"]));
                    world.answer(state, effect)
                }
                // The table's own condition, on what KeepAnswer has stored.
                "RecordResume" if recorded[0] > 2_000 => {
                    assert_eq!(values[":longest"]["N"], "2000");
                    Answer::Error("DynamoDb.ConditionalCheckFailedException", "")
                }
                "RecordResume" | "RecordLongResume" => {
                    let detail = &values[":entry"]["L"][0]["M"]["detail"];
                    assert!(length(detail) <= 2_000 && length(&values[":answer"]) <= 2_000, "{state}");
                    world.answer(state, effect)
                }
                _ => world.answer(state, effect),
            }
        });
        let Status::Succeeded { output } = status else { panic!("{status:?}") };
        assert!(output.to_string().len() < 10_000, "the answer is not carried on");
        let path = run.path();
        let from = path.iter().position(|state| state == "AwaitResume").unwrap();
        assert_eq!(path[from..from + expected.len()], *expected);
    }
}

/// Of a decision whose answer is too long the decision counts; one that does not fit into the state is asked for again.
#[test]
fn a_decision_of_any_length_is_taken_or_asked_for_again() {
    let world = World { on_failure: "gate", pause_before: 0 };
    let mut run = Run::compiled(&definition(), json!({ "planId": "crm" }));
    let (mut asked, mut details) = (0, Vec::new());
    let status = run.answer(|state, effect| match (state, effect) {
        ("PollWave", Effect::ScheduleActivity { input, .. }) if input["waveNumber"] == 2 => {
            Answer::Result(verdict(2, "FAILED", 1))
        }
        ("AwaitDecision", _) => {
            asked += 1;
            let comment = "x".repeat(if asked == 1 { 262_100 } else { 200_000 });
            Answer::Result(json!({ "decision": "skip", "comment": comment }))
        }
        ("KeepDecision", _) => Answer::Error("DynamoDb.DynamoDbException", "Item size has exceeded"),
        ("RecordLongDecision" | "CloseWave", Effect::CallService { parameters, .. }) => {
            let entry = &parameters["ExpressionAttributeValues"][":entry"]["L"][0]["M"];
            details.push((entry["event"]["S"].clone(), entry["detail"]["S"].clone()));
            world.answer(state, effect)
        }
        _ => world.answer(state, effect),
    });
    assert!(matches!(status, Status::Succeeded { .. }), "{status:?}");
    assert_eq!(asked, 2);
    let told: Vec<_> =
        details.iter().map(|(event, detail)| (event.as_str().unwrap(), detail.as_str().unwrap())).collect();
    assert_eq!(
        told,
        [("WAVE_CLOSED", "COMPLETED"), ("DECIDED", "skip"), ("WAVE_CLOSED", "SKIPPED"), ("WAVE_CLOSED", "COMPLETED")]
    );
}

#[test]
fn one_turn_of_the_poll_loop_costs_nine_events() {
    let total = |polls: u64| {
        let world = World { on_failure: "abort", pause_before: 0 };
        let mut run = Run::compiled(&definition(), json!({ "planId": "crm" }));
        let mut left = polls;
        run.answer(|state, effect| {
            if state == "PollWave" && left > 0 {
                left -= 1;
                return Answer::Result(verdict(1, "STARTING", 1));
            }
            world.answer(state, effect)
        });
        run.total()
    };
    assert_eq!(total(1) - total(0), 9);
    assert_eq!(total(100) - total(0), 900);
}

#[test]
fn a_gate_that_nobody_answers_times_out_by_the_path() {
    let world = World { on_failure: "abort", pause_before: 1 };
    let mut run = Run::compiled(&definition(), json!({ "planId": "crm" }));
    loop {
        let effect = run.next();
        if effect == Effect::Ended {
            break;
        }
        let state = run.execution.current_state().unwrap().to_owned();
        let Answer::Result(output) = world.answer(&state, &effect) else { unreachable!() };
        match effect {
            Effect::ScheduleActivity { token, .. } => {
                run.started(&token);
                run.succeed(&token, output);
            }
            Effect::CallService { call_id, .. } => {
                run.handle(crate::machine::Event::ServiceResult { call_id, result: Ok(output) });
            }
            Effect::Ended => unreachable!(),
        }
    }
    assert!(run.path().contains(&"GateTimedOut".to_owned()));
    assert_eq!(run.count(HistoryEvent::TaskTimedOut), 1);
    assert!(run.now >= "2026-03-01T04:00:00Z".parse().unwrap(), "the gate was open for its hour");
}
