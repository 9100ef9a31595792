//! Mistakes in the state machine: the shipped text, changed where an author could have erred. `None`: the place is not
//! there any more, and the bug has to be written anew.

use serde_json::{Value, json};

/// Changes the parsed definition.
pub(super) type Mutation = fn(&mut Value) -> Option<()>;

fn state<'a>(machine: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    machine.get_mut("States")?.get_mut(name)
}

fn set(machine: &mut Value, name: &str, field: &str, value: Value) -> Option<()> {
    *state(machine, name)?.get_mut(field)? = value;
    Some(())
}

/// Choices of a state that lead to `next` lead to `instead`.
fn redirect(machine: &mut Value, name: &str, next: &str, instead: &str) -> Option<()> {
    let choices = state(machine, name)?.get_mut("Choices")?.as_array_mut()?;
    let mut found = None;
    for choice in choices.iter_mut().filter(|choice| choice["Next"] == next) {
        choice["Next"] = json!(instead);
        found = Some(());
    }
    found
}

fn catch_to(machine: &mut Value, name: &str, error: &str, next: &str, result_path: &str) -> Option<()> {
    let catches = state(machine, name)?.get_mut("Catch")?.as_array_mut()?;
    let catch = catches
        .iter_mut()
        .find(|catch| catch["ErrorEquals"].as_array().is_some_and(|names| names.contains(&json!(error))))?;
    catch["Next"] = json!(next);
    catch["ResultPath"] = json!(result_path);
    Some(())
}

fn without(machine: &mut Value, name: &str, field: &str) -> Option<()> {
    state(machine, name)?.as_object_mut()?.remove(field).map(drop)
}

/// Takes an assignment out of an UpdateExpression, with its name and value.
fn unassign(machine: &mut Value, name: &str, assignment: &str, alias: &str, value: &str) -> Option<()> {
    let parameters = state(machine, name)?.get_mut("Parameters")?;
    let expression = parameters.get("UpdateExpression")?.as_str()?.to_owned();
    let shorter = expression.replace(assignment, "");
    parameters["UpdateExpression"] = json!(shorter);
    parameters["ExpressionAttributeNames"].as_object_mut()?.remove(alias)?;
    parameters["ExpressionAttributeValues"].as_object_mut()?.remove(value)?;
    (shorter != expression).then_some(())
}

pub(super) fn planned_pause_skipped(machine: &mut Value) -> Option<()> {
    redirect(machine, "GateNeeded", "PlannedPause", "EnterWave")
}

pub(super) fn requested_pause_ignored(machine: &mut Value) -> Option<()> {
    redirect(machine, "GateNeeded", "TakePauseRequest", "EnterWave")
}

pub(super) fn pause_request_kept(machine: &mut Value) -> Option<()> {
    redirect(machine, "GateNeeded", "TakePauseRequest", "RequestedPause")
}

pub(super) fn cancel_ignored(machine: &mut Value) -> Option<()> {
    redirect(machine, "GateNeeded", "CancelRequested", "EnterWave")
}

pub(super) fn cancel_while_paused_ignored(machine: &mut Value) -> Option<()> {
    redirect(machine, "CancelledWhilePaused", "CancelRequested", "EnterWave")
}

pub(super) fn resume_on_timeout(machine: &mut Value) -> Option<()> {
    catch_to(machine, "AwaitResume", "States.Timeout", "KeepAnswer", "$.answer")
}

pub(super) fn resume_on_decline(machine: &mut Value) -> Option<()> {
    catch_to(machine, "AwaitResume", "States.ALL", "KeepAnswer", "$.answer")
}

pub(super) fn failed_wave_goes_on(machine: &mut Value) -> Option<()> {
    redirect(machine, "WaveSettled", "FailurePolicy", "CloseWave")
}

pub(super) fn abort_decision_continues(machine: &mut Value) -> Option<()> {
    redirect(machine, "ActOnDecision", "AbortedByOperator", "ContinuePastWave")
}

pub(super) fn first_poll_settles(machine: &mut Value) -> Option<()> {
    redirect(machine, "WaveSettled", "WaitForWave", "CloseWave")
}

pub(super) fn no_retry_of_a_poll(machine: &mut Value) -> Option<()> {
    without(machine, "PollWave", "Retry")
}

pub(super) fn no_catch_of_prepare(machine: &mut Value) -> Option<()> {
    without(machine, "Prepare", "Catch")
}

pub(super) fn partial_succeeds(machine: &mut Value) -> Option<()> {
    redirect(machine, "Outcome", "Partial", "Completed")
}

pub(super) fn cleanup_forgotten(machine: &mut Value) -> Option<()> {
    redirect(machine, "CleanupDue", "HoldDrill", "Outcome")
}

pub(super) fn cleanup_not_followed(machine: &mut Value) -> Option<()> {
    set(machine, "StartCleanup", "Next", json!("Outcome"))
}

pub(super) fn all_of_the_stored_waves(machine: &mut Value) -> Option<()> {
    // After a wave, the machine asks whether the stored waves are settled; of course they are. It tells finalize their
    // number, and finalize believes it (see the port of the same bug).
    set(machine, "AdvanceWave", "Next", json!("AllWavesSettled"))?;
    let parameters = state(machine, "AllWavesSettled")?.get_mut("Parameters")?;
    parameters.as_object_mut()?.remove("waveCount.$")?;
    parameters["waveCount.$"] = json!("$.cursor.index");
    Some(())
}

/// Adds an assignment to an UpdateExpression.
fn assign(machine: &mut Value, name: &str, attribute: &str, value: Value) -> Option<()> {
    let parameters = state(machine, name)?.get_mut("Parameters")?;
    let expression = parameters.get("UpdateExpression")?.as_str()?.to_owned();
    parameters["UpdateExpression"] = json!(expression.replacen("SET ", "SET #mistake = :mistake, ", 1));
    parameters["ExpressionAttributeNames"]["#mistake"] = json!(attribute);
    parameters["ExpressionAttributeValues"][":mistake"] = value;
    Some(())
}

pub(super) fn gate_without_timeout(machine: &mut Value) -> Option<()> {
    without(machine, "AwaitResume", "TimeoutSecondsPath")
}

pub(super) fn polls_every_second(machine: &mut Value) -> Option<()> {
    without(machine, "WaitForWave", "SecondsPath")?;
    state(machine, "WaitForWave")?["Seconds"] = json!(1);
    Some(())
}

pub(super) fn status_of_its_own(machine: &mut Value) -> Option<()> {
    let values = state(machine, "EnterWave")?.pointer_mut("/Parameters/ExpressionAttributeValues")?;
    values[":running"] = json!({ "S": "RUNNING" });
    let parameters = state(machine, "EnterWave")?.get_mut("Parameters")?;
    let expression = parameters.get("UpdateExpression")?.as_str()?.replace("#status = :polling", "#status = :running");
    parameters["UpdateExpression"] = json!(expression);
    Some(())
}

pub(super) fn machine_completes(machine: &mut Value) -> Option<()> {
    let parameters = state(machine, "CloseWave")?.get_mut("Parameters")?;
    let expression = parameters.get("UpdateExpression")?.as_str()?.replacen("SET ", "SET #status = :done, ", 1);
    parameters["UpdateExpression"] = json!(expression);
    parameters["ExpressionAttributeValues"][":done"] = json!({ "S": "COMPLETED" });
    Some(())
}

pub(super) fn wave_end_is_the_end(machine: &mut Value) -> Option<()> {
    assign(machine, "CloseWave", "endTime", json!({ "S.$": "$$.State.EnteredTime" }))
}

pub(super) fn pause_without_gate(machine: &mut Value) -> Option<()> {
    unassign(machine, "OpenResumeGate", ", #gate = :gate", "#gate", ":gate")
}

pub(super) fn token_in_the_record(machine: &mut Value) -> Option<()> {
    let record = state(machine, "OpenResumeGate")?.get("Parameters")?.clone();
    let parameters = state(machine, "AwaitResume")?.get_mut("Parameters")?;
    for field in ["TableName", "Key"] {
        parameters[field] = record.get(field)?.clone();
    }
    Some(())
}

pub(super) fn token_in_an_event(machine: &mut Value) -> Option<()> {
    let mut event = state(machine, "AnnouncePause")?.clone();
    event.pointer_mut("/Parameters/Entries/0/Detail")?["token.$"] = json!("$$.Task.Token");
    let gate = state(machine, "AwaitResume")?;
    gate["Resource"] = json!("arn:${Partition}:states:::events:putEvents.waitForTaskToken");
    gate["Parameters"] = event.get("Parameters")?.clone();
    Some(())
}

pub(super) fn wave_skipped(machine: &mut Value) -> Option<()> {
    let parameters = state(machine, "AdvanceWave")?.get_mut("Parameters")?;
    parameters["index.$"] = json!("States.MathAdd($.cursor.index, 2)");
    Some(())
}

pub(super) fn later_waves_forgotten(machine: &mut Value) -> Option<()> {
    set(machine, "AdvanceWave", "Next", json!("AllWavesSettled"))
}

pub(super) fn throttled_gate_is_a_no(machine: &mut Value) -> Option<()> {
    catch_to(machine, "AwaitResume", "DynamoDb.ThrottlingException", "GateDeclined", "$.error")
}

pub(super) fn silence_is_a_no(machine: &mut Value) -> Option<()> {
    catch_to(machine, "AwaitResume", "States.Timeout", "GateDeclined", "$.error")
}

pub(super) fn second_decision_by_itself(machine: &mut Value) -> Option<()> {
    let choices = state(machine, "FailurePolicy")?.get_mut("Choices")?.as_array_mut()?;
    let again = json!({ "Variable": "$.cursor.attempt", "NumericGreaterThan": 1, "Next": "DecidedContinue" });
    choices.insert(0, again);
    Some(())
}

pub(super) fn retries_by_itself(machine: &mut Value) -> Option<()> {
    redirect(machine, "FailurePolicy", "FailedWave", "RetryWave")
}

pub(super) fn recoveries_cleaned_up(machine: &mut Value) -> Option<()> {
    redirect(machine, "CleanupDue", "Outcome", "HoldDrill")
}
