//! The shipped machines obey every rule, and every rule finds the fault it is there for: each example bends a shipped machine
//! (or the contract) in one place and names the one rule that must speak, alone.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidegate_contract::machines::{MACHINES, MachineSpec};
use tidegate_tests::asl::{Contract, RULES, lint};
use tidegate_tests::repository;

fn shipped(name: &str) -> Value {
    repository::json(&format!("statemachine/{name}.asl.json")).unwrap()
}

/// The place of a value in the machine; a wrong pointer is a wrong example and must not pass.
fn at<'a>(machine: &'a mut Value, pointer: &str) -> &'a mut Value {
    machine.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer} in the shipped machine"))
}

fn state<'a>(machine: &'a mut Value, name: &str) -> &'a mut Value {
    at(machine, &format!("/States/{name}"))
}

fn remove(object: &mut Value, field: &str) {
    assert!(object.as_object_mut().unwrap().remove(field).is_some(), "there is no {field} to remove");
}

fn remove_text(list: &mut Value, text: &str) {
    let items = list.as_array_mut().unwrap();
    let before = items.len();
    items.retain(|item| item != text);
    assert_eq!(items.len() + 1, before, "{text} is not in the list");
}

fn push(list: &mut Value, item: Value) {
    list.as_array_mut().unwrap().push(item);
}

struct Example {
    machine: &'static str,
    rule: &'static str,
    fault: &'static str,
    bend: fn(&mut Value, &mut Contract),
}

const fn example(rule: &'static str, fault: &'static str, bend: fn(&mut Value, &mut Contract)) -> Example {
    Example { machine: "recovery", rule, fault, bend }
}

const fn of_reconcile(rule: &'static str, fault: &'static str, bend: fn(&mut Value, &mut Contract)) -> Example {
    Example { machine: "reconcile", rule, fault, bend }
}

const EXAMPLES: &[Example] = &[
    example("comment", "a state says nothing", |m, _| remove(state(m, "WaitForWave"), "Comment")),
    example("query-language", "a state speaks JSONata", |m, _| {
        state(m, "FirstWave")["QueryLanguage"] = json!("JSONata")
    }),
    example("query-language", "nothing is declared", |m, _| remove(m, "QueryLanguage")),
    example("transition-exists", "a misspelt Next", |m, _| {
        *at(m, "/States/AnnouncePause/Catch/0/Next") = json!("AwaitResumption")
    }),
    example("reachable", "an orphan", |m, _| {
        m["States"]["Orphan"] = json!({"Type": "Pass", "Comment": "Nobody comes here.", "Next": "Finalize"});
    }),
    example("no-end-field", "a Task that ends the execution", |m, _| {
        remove(state(m, "AnnounceCleanupFailed"), "Next");
        state(m, "AnnounceCleanupFailed")["End"] = json!(true);
    }),
    example("machine-timeout", "shorter than the longest plan", |m, _| m["TimeoutSeconds"] = json!(86_400)),
    example("task-timeout", "a write without a timeout", |m, _| remove(state(m, "EnterWave"), "TimeoutSeconds")),
    example("task-timeout", "a gate with two timeouts", |m, _| state(m, "AwaitResume")["TimeoutSeconds"] = json!(60)),
    example("activity-times", "a timeout of its own", |m, _| state(m, "PollWave")["TimeoutSeconds"] = json!(121)),
    example("activity-times", "no heartbeat: a dead worker goes unnoticed", |m, _| {
        remove(state(m, "PollWave"), "HeartbeatSeconds")
    }),
    example("heartbeat-third", "the contract itself is too slow", |m, contract| {
        state(m, "PollWave")["HeartbeatSeconds"] = json!(40);
        *contract.document.pointer_mut("/activities/2/heartbeatSeconds").unwrap() = json!(40);
    }),
    example("gate-no-heartbeat", "a person who must send heartbeats", |m, _| {
        state(m, "AwaitResume")["HeartbeatSeconds"] = json!(60)
    }),
    example("retry-bounded", "no MaxAttempts (3 by default)", |m, _| {
        remove(at(m, "/States/PollWave/Retry/2"), "MaxAttempts")
    }),
    example("retry-bounded", "everybody retries at the same second", |m, _| {
        remove(at(m, "/States/PollWave/Retry/2"), "JitterStrategy")
    }),
    example("retry-bounded", "waits grow without limit", |m, _| {
        remove(at(m, "/States/ReadCancelBeforeWave/Retry/0"), "MaxDelaySeconds")
    }),
    example("retry-present", "a read that gives up at once", |m, _| remove(state(m, "ReadCancelBeforeWave"), "Retry")),
    example("gate-retries-its-write", "a person's no is asked for again", |m, _| {
        push(at(m, "/States/AwaitResume/Retry/0/ErrorEquals"), json!("States.TaskFailed"));
    }),
    example("retry-unmodelled", "one error without a name ends a recovery", |m, _| {
        at(m, "/States/EnterWave/Retry").as_array_mut().unwrap().pop();
    }),
    example("retry-unmodelled", "one error without a name ends a gate", |m, _| {
        remove(state(m, "AwaitDecision"), "Retry")
    }),
    example("retry-both-timeouts", "only one kind of timeout", |m, _| {
        remove_text(at(m, "/States/PollWave/Retry/2/ErrorEquals"), "States.HeartbeatTimeout")
    }),
    example("retry-failed-entry", "a refused event is not sent again", |m, _| {
        remove_text(at(m, "/States/AnnouncePause/Retry/0/ErrorEquals"), "EventBridge.FailedEntry");
    }),
    example("catch-all", "a Task without Catch", |m, _| remove(state(m, "AnnouncePause"), "Catch")),
    example("all-alone-and-last", "States.ALL in company", |m, _| {
        push(at(m, "/States/StartWave/Catch/0/ErrorEquals"), json!("States.TaskFailed"))
    }),
    example("error-known", "a name no worker answers", |m, _| {
        push(at(m, "/States/StartWave/Retry/2/ErrorEquals"), json!("Tidegate.OutcomeUnknown"))
    }),
    example("error-known", "another service's error", |m, _| {
        push(at(m, "/States/ReadCancelBeforeWave/Retry/0/ErrorEquals"), json!("EventBridge.InternalException"))
    }),
    example("error-known", "the optimized integration's spelling", |m, _| {
        push(at(m, "/States/ReadCancelBeforeWave/Retry/0/ErrorEquals"), json!("DynamoDB.ThrottlingException"));
    }),
    example("error-known", "an error nothing can take", |m, _| {
        push(at(m, "/States/ReadCancelBeforeWave/Retry/0/ErrorEquals"), json!("States.Runtime"))
    }),
    example("error-named", "an error nobody decided about", |m, _| {
        remove_text(at(m, "/States/StartWave/Retry/1/ErrorEquals"), "Tidegate.Superseded")
    }),
    example("error-once", "two retriers for one error", |m, _| {
        push(at(m, "/States/Prepare/Retry/3/ErrorEquals"), json!("Tidegate.Throttled"))
    }),
    example("choice-default", "an unknown value ends the execution", |m, _| {
        remove(state(m, "CancelledWhilePaused"), "Default")
    }),
    example("default-role", "an unknown value starts the wave", |m, _| {
        state(m, "GateNeeded")["Default"] = json!("EnterWave")
    }),
    example("default-role", "an unknown value is as good as done", |m, _| {
        state(m, "NextWave")["Default"] = json!("AllWavesSettled")
    }),
    example("default-role", "an unknown outcome of the cleanup is waited away", |m, _| {
        state(m, "CleanupSettled")["Default"] = json!("HoldDrill");
    }),
    example("finalize-on-every-path", "a fault that only fails the execution", |m, _| {
        *at(m, "/States/EnterWave/Catch/0/Next") = json!("UnknownOutcome");
    }),
    example("after-finalize", "finalized twice", |m, _| {
        *at(m, "/States/StartCleanup/Catch/0/Next") = json!("Undecidable")
    }),
    example("success-is-earned", "another word for success", |m, _| {
        push(
            at(m, "/States/Outcome/Choices"),
            json!({"Variable": "$.outcome.status", "StringEquals": "PARTIAL", "Next": "Completed"}),
        );
    }),
    example("cycle-waits", "a poll loop that spins", |m, _| {
        *state(m, "WaitToStart") = json!({"Type": "Pass", "Comment": "No time to wait.", "Next": "StartWave"});
    }),
    example("result-path", "a write's answer replaces the state", |m, _| remove(state(m, "EnterWave"), "ResultPath")),
    example("result-path", "an event's receipt replaces the state", |m, _| {
        state(m, "AnnouncePause")["ResultPath"] = json!("$")
    }),
    example("result-path", "an error replaces the state", |m, _| {
        remove(at(m, "/States/AnnouncePause/Catch/0"), "ResultPath")
    }),
    example("path-plain", "a filter", |m, _| {
        *at(m, "/States/PickWave/Parameters/index.$") = json!("$.run.waves[?(@.waveNumber == 1)].waveNumber");
    }),
    example("intrinsic-safe", "a random number", |m, _| {
        state(m, "PickWave")["Parameters"]["salt.$"] = json!("States.MathRandom(1, 9)")
    }),
    example("choice-operator", "a pattern", |m, _| {
        let branch = at(m, "/States/CheckOnly/Choices/2");
        remove(branch, "StringEquals");
        branch["StringMatches"] = json!("DRY*");
    }),
    example("path-always-there", "identity taken from the caller's input (lesson c-03)", |m, _| {
        *at(m, "/States/Begin/Parameters/executionId.$") = json!("$.Execution.Id");
    }),
    example("path-always-there", "a misspelt field", |m, _| {
        *at(m, "/States/GateNeeded/Choices/2/Variable") = json!("$.controls.pauseRequest")
    }),
    example("path-always-there", "an operator's answer read without IsPresent", |m, _| {
        push(
            at(m, "/States/ReadDecision/Choices"),
            json!({"Variable": "$.answer.approvedBy", "StringEquals": "me", "Next": "DecidedSkip"}),
        );
    }),
    example("path-always-there", "a field only one of two ways has written", |m, _| {
        *at(m, "/States/WaitForWave/SecondsPath") = json!("$.gate.seconds");
    }),
    example("path-always-there", "a field the activity does not promise", |m, _| {
        *at(m, "/States/WaitForWave/SecondsPath") = json!("$.wave.nextPollMillis");
    }),
    example("activity-input", "a required field is missing", |m, _| {
        remove(at(m, "/States/PollWave/Parameters"), "waveAttempt.$")
    }),
    example("activity-input", "a field nobody knows", |m, _| {
        state(m, "PollWave")["Parameters"]["planName.$"] = json!("$.run.planName")
    }),
    example("activity-input", "the whole state in one field", |m, _| {
        *at(m, "/States/Finalize/Parameters/input.$") = json!("$")
    }),
    example("token-in-gates-only", "the token in an event (lesson c-41)", |m, _| {
        at(m, "/States/AnnouncePause/Parameters/Entries/0/Detail")["token.$"] = json!("$$.Task.Token");
    }),
    example("token-in-gates-only", "the wrong context path (lesson c-03)", |m, _| {
        *at(m, "/States/AwaitResume/Parameters/ExpressionAttributeValues/:token/S.$") = json!("$$.State.Name");
    }),
    example("resource-known", "an unconditional put", |m, _| {
        state(m, "EnterWave")["Resource"] = json!("arn:${Partition}:states:::aws-sdk:dynamodb:putItem");
    }),
    example("no-account-or-region", "one partition", |m, _| {
        state(m, "Begin")["Comment"] = json!("As arn:aws:states:::events:putEvents does.");
    }),
    example("error-known", "a name DynamoDB gives and Step Functions does not", |m, _| {
        push(at(m, "/States/KeepAnswer/Catch/0/ErrorEquals"), json!("DynamoDb.ValidationException"));
    }),
    example("no-account-or-region", "one account's table", |m, _| {
        state(m, "Begin")["Comment"] = json!("See arn:aws:dynamodb:eu-west-1:111122223333:table/history.");
    }),
    example("no-account-or-region", "one Region", |m, _| {
        state(m, "Begin")["Comment"] = json!("Runs in eu-central-2 only.")
    }),
    example("placeholder-whole", "a placeholder inside a text", |m, _| {
        *at(m, "/States/EnterWave/Parameters/TableName") = json!("dev-${ExecutionHistoryTableName}");
    }),
    example("placeholder-contract", "a placeholder nobody fills in", |m, _| {
        *at(m, "/States/EnterWave/Parameters/TableName") = json!("${ExecutionsTableName}");
    }),
    example("placeholder-contract", "a placeholder nobody uses", |_, contract| {
        push(&mut contract.document["stateMachines"][0]["placeholders"], json!("AlarmTopicArn"));
    }),
    example("write-conditional", "the last writer wins", |m, _| {
        let parameters = at(m, "/States/EnterWave/Parameters");
        remove(parameters, "ConditionExpression");
        remove(&mut parameters["ExpressionAttributeValues"], ":inProgress");
    }),
    example("write-conditional", "half a key", |m, _| remove(at(m, "/States/CloseWave/Parameters/Key"), "planId")),
    example("count-only", "the item comes along", |m, _| {
        *at(m, "/States/ReadPauseBeforeWave/Parameters/Select") = json!("ALL_ATTRIBUTES");
    }),
    example("gate-apart", "the token in the record", |m, _| {
        *at(m, "/States/AwaitResume/Parameters/TableName") = json!("${ExecutionHistoryTableName}");
        at(m, "/States/AwaitResume/Parameters/Key")["planId"] = json!({"S.$": "$.run.planId"});
    }),
    example("expression-names", "a name that is not defined", |m, _| {
        remove(at(m, "/States/RecordResume/Parameters/ExpressionAttributeNames"), "#gate");
    }),
    example("expression-names", "a value that is not used", |m, _| {
        at(m, "/States/CloseWave/Parameters/ExpressionAttributeValues")[":now"] = json!({"S": "x"});
    }),
    example("status-writes", "COMPLETED before Finalize (lesson c-01)", |m, _| {
        *at(m, "/States/CloseWave/Parameters/ExpressionAttributeValues/:polling/S") = json!("COMPLETED");
    }),
    example("event-contract", "an event no rule waits for", |m, _| {
        *at(m, "/States/AnnouncePause/Parameters/Entries/0/DetailType") = json!("Tidegate Execution Halted");
    }),
    of_reconcile("ask-without-data", "the whole input in the answer", |m, _| {
        remove(at(m, "/States/AskStepFunctions/Parameters"), "IncludedData");
    }),
    of_reconcile("machine-timeout", "none at all", |m, _| remove(m, "TimeoutSeconds")),
    of_reconcile("finalize-on-every-path", "telling people is as good as reconciling", |m, _| {
        let mut told = state(m, "AnnounceCleanupLeft").clone();
        told["Parameters"]["Entries"][0]["Detail"] = json!({"reason": "somebody stopped something"});
        (told["Next"], told["Catch"][0]["Next"]) = (json!("Told"), json!("Told"));
        m["States"]["Tell"] = told;
        m["States"]["Told"] = json!({"Type": "Succeed", "Comment": "Somebody knows."});
        push(
            at(m, "/States/HowDidItEnd/Choices"),
            json!({"Variable": "$.execution.status", "StringEquals": "LOST", "Next": "Tell"}),
        );
    }),
    of_reconcile("ask-before-finalize", "the event is believed", |m, _| {
        let end = m["States"]["Begin"].clone();
        m["States"]["Begin"] = json!({"Type": "Pass", "Comment": "In a hurry.", "Next": "Shortcut", "ResultPath": "$.about",
            "Result": {"executionId": "x", "machine": "m", "recoveryMachine": "m"}});
        m["States"]["Shortcut"] = json!({"Type": "Choice", "Comment": "Is it the first time?", "Default": "UnknownStatus",
            "Choices": [{"Variable": "$.about.executionId", "StringEquals": "x", "Next": "Stopped"},
                        {"Variable": "$.about.executionId", "StringEquals": "y", "Next": "Looks"}]});
        m["States"]["Looks"] = end;
    }),
    of_reconcile("ask-before-finalize", "a run that was redriven is closed", |m, _| {
        *at(m, "/States/HowDidItEnd/Choices/8/Next") = json!("MachineFailed");
    }),
    of_reconcile("ask-before-finalize", "one look at a running execution is enough", |m, _| {
        *at(m, "/States/HowDidItEnd/Choices/6/Next") = json!("Stopped");
        // Keeps the second look reachable, so that one rule speaks alone.
        *at(m, "/States/HowDidItEnd/Choices/7/Next") = json!("WaitToLookAgain");
    }),
    of_reconcile("success-is-earned", "instances nobody works on are not worth a word", |m, _| {
        *at(m, "/States/WhatIsLeft/Choices/1/Next") = json!("Reconciled");
        *at(m, "/States/BeginCleanup/Next") = json!("AnnounceCleanupLeft");
        *at(m, "/States/AnnounceCleanupLeft/Next") = json!("ReopenCleanup");
        *at(m, "/States/AnnounceCleanupLeft/Catch/0/Next") = json!("ReopenCleanup");
    }),
    of_reconcile("after-finalize", "finalized again when the cleanup fails", |m, _| {
        *at(m, "/States/StartCleanup/Catch/0/Next") = json!("Stopped");
    }),
    of_reconcile("path-always-there", "a field that is not in every event", |m, _| {
        *at(m, "/States/Finalize/Parameters/ending.$") = json!("$.detail.cause");
    }),
    of_reconcile("error-known", "the API's name instead of the SDK's prefix", |m, _| {
        push(at(m, "/States/AskStepFunctions/Retry/1/ErrorEquals"), json!("StepFunctions.ThrottlingException"));
    }),
    of_reconcile("placeholder-contract", "a placeholder nobody fills in", |m, _| {
        *at(m, "/States/AnnounceCleanupLeft/Parameters/Entries/0/EventBusName") = json!("${EventBus}");
    }),
];

// AC-1.4 (placeholder-contract), AC-2.5, AC-4.2, FR-4.5, FR-5.5, NFR-4.1 (finalize-on-every-path, after-finalize,
// success-is-earned), NFR-4.4 (comment), NFR-1.3, TC-2.2 (write-conditional), TC-2.1 (machine-timeout), c-04..c-06 and c-41.
#[test]
fn the_shipped_machines_obey_every_rule() {
    for MachineSpec { name, .. } in MACHINES {
        let findings = lint(name, &shipped(name), &Contract::shipped());
        let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{name}:\n{}", told.join("\n"));
    }
}

#[test]
fn every_rule_finds_its_fault_and_no_other_rule_speaks() {
    let mut wrong = Vec::new();
    for Example { machine: name, rule, fault, bend } in EXAMPLES {
        let (mut machine, mut contract) = (shipped(name), Contract::shipped());
        bend(&mut machine, &mut contract);
        let findings = lint(name, &machine, &contract);
        let speaking: BTreeSet<&str> = findings.iter().map(|finding| finding.rule).collect();
        if speaking != BTreeSet::from([*rule]) {
            let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
            wrong.push(format!("{name}, {rule} ({fault}): {speaking:?}\n    {}", told.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_an_example_and_an_id_of_its_own() {
    let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    let shown: BTreeSet<&str> = EXAMPLES.iter().map(|example| example.rule).collect();
    assert_eq!(ids.iter().copied().collect::<BTreeSet<_>>(), shown);
    assert_eq!(ids.len(), shown.len(), "two rules share an id");
    assert!(RULES.iter().all(|rule| !rule.says.is_empty()));
}

#[test]
fn what_is_no_machine_is_a_finding_and_no_panic() {
    for nonsense in [
        json!(null),
        json!([]),
        json!({"StartAt": 3, "States": {"A": 7, "B": {"Type": "Task", "Catch": {}, "Retry": "x"}}}),
    ] {
        for MachineSpec { name, .. } in MACHINES {
            assert!(!lint(name, &nonsense, &Contract::shipped()).is_empty());
        }
    }
}
