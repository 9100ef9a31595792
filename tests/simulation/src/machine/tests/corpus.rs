//! The corpus in `tests/simulation/machines`: small machines with scripted answers, which the local strict MiniStack runs
//! too (`tests/simulation/test_against_ministack.py`). `README.md` there describes the format.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::driver::{ARN, Run, WORK};
use crate::machine::{Effect, Event, Handled, Readings, Status};

/// One file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Machine {
    #[serde(rename = "about")]
    _about: String,
    definition: Value,
    /// The table's items before the run. Here the script says what the service answers; MiniStack has a real table.
    #[serde(default, rename = "items")]
    _items: Vec<Value>,
    input: Value,
    #[serde(default)]
    script: Vec<Step>,
    expect: Expect,
    /// Where AWS's sources differ, what is expected if they are read the other way.
    other_reading: Option<Expect>,
}

/// What happens to one attempt of a task.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    state: String,
    input: Option<Value>,
    returns: Option<Value>,
    raises: Option<Failure>,
    succeed: Option<Value>,
    fail: Option<Sent>,
    #[serde(default)]
    silence: bool,
    #[serde(default)]
    stop: bool,
}

/// What SendTaskFailure is called with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    error: Option<String>,
    cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure {
    error: String,
    cause: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expect {
    status: String,
    output: Option<Value>,
    error: Option<String>,
    states: Vec<String>,
    /// Of the task events only: the others follow from the states.
    #[serde(default)]
    task_events: Vec<String>,
}

impl Machine {
    pub(crate) fn definition(&self) -> Value {
        let text = self.definition.to_string().replace("${activity}", WORK).replace("${table}", "corpus");
        serde_json::from_str(&text).unwrap()
    }
}

/// Every machine of the corpus.
pub(crate) fn machines() -> Vec<Machine> {
    by_name().into_values().collect()
}

fn by_name() -> BTreeMap<String, Machine> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("machines");
    let mut machines = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&path).unwrap();
            machines
                .insert(name.clone(), serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")));
        }
    }
    machines
}

#[test]
fn every_machine_does_what_its_file_says() {
    let machines = by_name();
    assert!(machines.len() >= 12, "only {} machines were found", machines.len());
    for (name, machine) in &machines {
        check(name, machine, Readings::RECORDED, &machine.expect);
        check(name, machine, Readings::OTHER, machine.other_reading.as_ref().unwrap_or(&machine.expect));
    }
}

fn check(name: &str, machine: &Machine, readings: Readings, expect: &Expect) {
    let mut run = Run::of(&machine.definition().to_string(), machine.input.clone());
    run.execution.read_as(readings);
    for (number, step) in machine.script.iter().enumerate() {
        let at = format!("{name}, step {number}");
        let effect = run.next();
        assert_ne!(effect, Effect::Ended, "{at}: {:?}", run.execution.status());
        assert_eq!(run.execution.current_state(), Some(step.state.as_str()), "{at}");
        play(&mut run, effect, step, &at);
    }
    assert_eq!(run.next(), Effect::Ended, "{name}: nothing is left to do");
    assert!(run.effects.is_empty(), "{name}");

    let (status, output, error) = match run.execution.status() {
        Status::Running => unreachable!(),
        Status::Succeeded { output } => ("SUCCEEDED", Some(output), None),
        Status::Failed { error, .. } => ("FAILED", None, Some(error).filter(|error| !error.is_empty())),
        Status::TimedOut => ("TIMED_OUT", None, None),
        Status::Aborted => ("ABORTED", None, None),
    };
    assert_eq!((status, error), (expect.status.as_str(), expect.error.as_ref()), "{name}");
    let expected = expect.output.as_ref().map(|output| output.to_string().replace("${execution}", ARN));
    assert_eq!(output.map(Value::to_string), expected, "{name}");
    assert_eq!(run.path(), expect.states, "{name}");
    let is_of_task =
        |event: &&str| event.starts_with("Activity") || event.starts_with("Task") && !event.contains("State");
    assert_eq!(run.events().into_iter().filter(is_of_task).collect::<Vec<_>>(), expect.task_events, "{name}");
}

fn play(run: &mut Run, effect: Effect, step: &Step, at: &str) {
    let token = match effect {
        Effect::ScheduleActivity { token, input, .. } => {
            assert_eq!(step.input.as_ref().unwrap_or(&input), &input, "{at}");
            assert_eq!(run.started(&token), Handled::Accepted, "{at}");
            Some(token)
        }
        Effect::CallService { call_id, callback_token, .. } => {
            let result = match (&step.returns, &step.raises) {
                (Some(output), None) => Ok(output.clone()),
                (None, Some(failure)) => Err((failure.error.clone(), failure.cause.clone())),
                _ => panic!("{at}: a service returns or raises"),
            };
            assert_eq!(run.handle(Event::ServiceResult { call_id, result }), Handled::Accepted, "{at}");
            callback_token
        }
        Effect::Ended => unreachable!(),
    };
    let Some(token) = token else {
        assert!(
            step.succeed.is_none() && step.fail.is_none() && !step.silence && !step.stop,
            "{at}: no token to answer"
        );
        return;
    };
    match (&step.succeed, &step.fail) {
        (Some(output), None) => assert_eq!(run.succeed(&token, output.clone()), Handled::Accepted, "{at}"),
        (None, Some(Sent { error, cause })) => {
            let (error, cause) = (error.clone(), cause.clone());
            assert_eq!(run.handle(Event::Failure { token, error, cause }), Handled::Accepted, "{at}");
        }
        _ if step.stop => run.execution.stop(run.now),
        // Time passes until a clock ends the attempt or the execution.
        _ if step.silence => run.now = run.execution.wake_at().unwrap_or_else(|| panic!("{at}: no clock runs")),
        _ => assert!(step.raises.is_some(), "{at}: nobody answers the token"),
    }
}
