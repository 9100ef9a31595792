//! The interpreter against executions that AWS was recorded to run (`make recordings FILE=…`). Tasks are answered as recorded;
//! compared are the states entered, the status, output and error, and, told apart, the cause.

#![allow(clippy::print_stdout)]

use std::{collections::VecDeque, fs};

use serde::Deserialize;
use serde_json::Value;

use super::driver::Run;
use crate::machine::{Definition, Effect, Event, Status};

#[derive(Deserialize)]
struct Case {
    id: String,
    definition: String,
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    row: Option<Value>,
    #[serde(default)]
    events: Vec<Value>,
}

/// What became of an attempt of a task.
enum Answer {
    Submitted(Value),
    Done(Value),
    Failed(Option<String>, Option<String>),
    Silence,
}

struct End {
    status: &'static str,
    output: Option<Value>,
    error: Option<String>,
    cause: Option<String>,
    states: Vec<String>,
}

/// The details of an event: the one member that ends so.
fn details(event: &Value) -> &Value {
    let members = event.as_object().into_iter().flatten();
    members.filter(|(name, _)| name.ends_with("EventDetails")).map(|(_, value)| value).next().unwrap_or(&Value::Null)
}

fn text(value: &Value, name: &str) -> Option<String> {
    // A cause that is JSON was recorded as what it says.
    value.get(name).map(|found| found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

/// Data of an event. What was recorded as text is JSON text still.
fn data(value: &Value) -> Value {
    let found = value.get("output").cloned().unwrap_or(Value::Null);
    found.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(found)
}

fn answers(events: &[Value]) -> VecDeque<Answer> {
    events
        .iter()
        .filter_map(|event| {
            let (kind, told) = (event["type"].as_str().unwrap_or_default(), details(event));
            let rest = ["LambdaFunction", "Activity", "Task"].iter().find_map(|prefix| kind.strip_prefix(prefix))?;
            Some(match rest {
                "Submitted" => Answer::Submitted(data(told)),
                "Succeeded" => Answer::Done(data(told)),
                "Failed" => Answer::Failed(text(told, "error"), text(told, "cause")),
                "TimedOut" => Answer::Silence,
                _ => return None,
            })
        })
        .collect()
}

fn recorded(case: &Case) -> Option<End> {
    if let Some(row) = &case.row {
        let output = Some(row["output"].clone());
        return Some(End { status: "SUCCEEDED", output, error: None, cause: None, states: Vec::new() });
    }
    let last = case.events.last()?;
    let told = details(last);
    let (status, output) = match last["type"].as_str()? {
        "ExecutionSucceeded" => ("SUCCEEDED", Some(data(told))),
        "ExecutionFailed" => ("FAILED", None),
        "ExecutionAborted" => ("ABORTED", None),
        "ExecutionTimedOut" => ("TIMED_OUT", None),
        _ => ("RUNNING", None),
    };
    let entered =
        case.events.iter().filter(|event| event["type"].as_str().is_some_and(|kind| kind.ends_with("Entered")));
    let states = entered.filter_map(|event| text(details(event), "name")).collect();
    Some(End { status, output, error: text(told, "error"), cause: text(told, "cause"), states })
}

/// Runs it; `None` when it waits for what was not recorded.
fn run(case: &Case) -> Result<Option<End>, String> {
    let lambda = "arn:aws:lambda:us-east-1:111111111111:function:fake";
    let definition = case.definition.replace(lambda, "arn:aws:states:::lambda:invoke");
    Definition::parse(&definition).map_err(|error| error.to_string())?;
    let input =
        case.input.as_deref().map_or(Ok(Value::Null), serde_json::from_str).map_err(|error| error.to_string())?;
    let (mut run, mut answers) = (Run::of(&definition, input), answers(&case.events));
    loop {
        run.advance();
        let Some(effect) = run.effects.pop_front() else {
            let waits = case
                .events
                .last()
                .is_some_and(|last| last["type"] == "WaitStateEntered" || last["type"] == "ExecutionStarted");
            match run.execution.wake_at() {
                Some(wake) if !waits && wake > run.now => run.now = wake,
                _ => return Ok(Some(end(&run))),
            }
            continue;
        };
        let (mut token, call) = match effect {
            Effect::Ended => return Ok(Some(end(&run))),
            Effect::ScheduleActivity { token, .. } => {
                run.started(&token);
                (Some(token), None)
            }
            Effect::CallService { call_id, callback_token, .. } => (callback_token, Some(call_id)),
        };
        let Some(mut answer) = answers.pop_front() else { return Ok(None) };
        if let (Some(call_id), Answer::Submitted(output)) = (call, &answer) {
            run.handle(Event::ServiceResult { call_id, result: Ok(output.clone()) });
            let Some(next) = answers.pop_front() else { return Ok(None) };
            answer = next;
        } else if call.is_some() {
            token = None;
        }
        match (answer, token, call) {
            (Answer::Done(output), Some(token), _) => drop(run.succeed(&token, output)),
            (Answer::Done(output), None, Some(call_id)) => {
                run.handle(Event::ServiceResult { call_id, result: Ok(output) });
            }
            (Answer::Failed(error, cause), Some(token), _) => drop(run.handle(Event::Failure { token, error, cause })),
            (Answer::Failed(error, cause), None, Some(call_id)) => {
                let result = Err((error.unwrap_or_default(), cause.unwrap_or_default()));
                run.handle(Event::ServiceResult { call_id, result });
            }
            (Answer::Silence, ..) => run.now = run.execution.wake_at().unwrap_or(run.now),
            _ => return Ok(None),
        }
    }
}

fn end(run: &Run) -> End {
    let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let (status, output, error, cause) = match run.execution.status() {
        Status::Running => ("RUNNING", None, None, None),
        Status::Succeeded { output } => ("SUCCEEDED", Some(output.clone()), None, None),
        Status::Failed { error, cause } => ("FAILED", None, told(error), told(cause)),
        Status::TimedOut => ("TIMED_OUT", None, None, None),
        Status::Aborted => ("ABORTED", None, None, None),
    };
    End { status, output, error, cause, states: run.path() }
}

/// Equal, where what was replaced in a recording (`<…>`, `timestamp`) is any text.
fn alike(recorded: &Value, given: &Value) -> bool {
    match (recorded, given) {
        (Value::String(recorded), _) if recorded.contains('<') && recorded.contains('>') => true,
        (Value::String(recorded), _) if ["timestamp", "date", "datetime"].contains(&recorded.as_str()) => true,
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| alike(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, value)| right.get(name).is_some_and(|given| alike(value, given)))
        }
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => recorded == given,
    }
}

#[test]
fn against_recordings() {
    let path = std::env::var("RECORDINGS").expect("RECORDINGS names the file");
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let (mut equal, mut cause, mut refused, mut unlike) = (0, 0, 0, Vec::new());
    for case in &cases {
        let (Some(wanted), given) = (recorded(case), run(case)) else { continue };
        let Ok(given) = given else {
            refused += 1;
            continue;
        };
        let same = given.as_ref().is_some_and(|given| {
            let output = |end: &End| end.output.clone().unwrap_or_default();
            // Of an execution that was stopped, or whose recording ends before it does, the rest is not known.
            let cut = ["ABORTED", "RUNNING"].contains(&wanted.status);
            (cut || (wanted.status == given.status
                && alike(&output(&wanted), &output(given))
                && wanted.error == given.error))
                && (wanted.states.is_empty() || wanted.states == given.states)
        });
        match given {
            Some(given) if same && (wanted.cause == given.cause || case.row.is_some()) => equal += 1,
            Some(_) if same => cause += 1,
            _ => unlike.push(case.id.as_str()),
        }
    }
    println!(
        "interpreter: {} cases, {equal} equal, {cause} with another cause, {} different, {refused} refused",
        cases.len(),
        unlike.len()
    );
    unlike.iter().for_each(|id| println!("  different: {id}"));
    assert!(equal > 0, "no case of {path} could be run");
}
