//! Whatever the definition, the input and the events: no panic, and what must hold holds.

use std::{collections::BTreeSet, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Map, Value, json};

use super::{
    corpus::machines,
    driver::{ARN, WORK},
};
use crate::machine::{
    CallId, Context, Definition, Effect, Event, Execution, Handled, HistoryEvent, MAX_HISTORY_EVENTS, Status, Token,
};

const SEEDS: u64 = 500;

const PATHS: [&str; 14] = [
    "$",
    "$.a",
    "$.n",
    "$.t",
    "$$.State.Name",
    "$.b.c",
    "$.a[0]",
    "$.a[-9]",
    "$.list[*].a",
    "$['b']",
    "$.r",
    "$$.Execution.Input.a",
    "$$.Task.Token",
    "$$.State.RetryCount",
];
const CALLS: [&str; 12] = [
    "States.Format('{} {}', $.a, $.n)",
    "States.MathAdd($.n, 1)",
    "States.MathAdd($.n, $.n)",
    "States.ArrayGetItem($.list, $.n)",
    "States.ArrayRange($.n, $.a, $.n)",
    "States.ArrayPartition($.list, $.n)",
    "States.JsonToString($)",
    "States.StringToJson($.t)",
    "States.JsonMerge($.b, $, false)",
    "States.UUID()",
    "States.ArrayContains($.list, $.a)",
    "States.Format($.t, $.list)",
];
const NAMES: [&str; 4] = ["A", "B", "C", "D"];

fn value(rng: &mut StdRng, depth: u32) -> Value {
    match rng.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => rng.random::<bool>().into(),
        2 => rng.random_range(-3_i64..9).into(),
        3 => json!(rng.random::<f64>() * 1e19),
        4 => rng.random::<i64>().into(),
        5 => match rng.random_range(0..30) {
            // Two of them are over the quota.
            0 => "x".repeat(140_000).into(),
            _ => (*["", "{}", "{\"a\":1}", "2026-01-01T00:00:00Z", "é\u{1}\"{"].choose(rng).unwrap()).into(),
        },
        6 => (0..rng.random_range(0..4)).map(|_| value(rng, depth - 1)).collect(),
        _ => ["a", "b", "c", "n", "t", "list"]
            .into_iter()
            .map(|name| (name.to_owned(), value(rng, depth - 1)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// An object with the fields the paths look for, of any kind.
fn input(rng: &mut StdRng) -> Value {
    let mut fields = Map::new();
    for name in ["a", "b", "n", "t", "list"] {
        if rng.random_ratio(19, 20) {
            fields.insert(name.to_owned(), value(rng, 3));
        }
    }
    if rng.random_ratio(9, 10) {
        fields.insert("n".to_owned(), rng.random_range(-2..5).into());
    }
    fields.into()
}

fn state(rng: &mut StdRng) -> Value {
    let name = |rng: &mut StdRng| *NAMES.choose(rng).unwrap();
    // Mostly paths that are there: a machine that fails at once tries nothing.
    let path = |rng: &mut StdRng| {
        if rng.random_ratio(9, 10) { PATHS[rng.random_range(0..5)] } else { *PATHS.choose(rng).unwrap() }
    };
    let template = |rng: &mut StdRng| {
        let mut fields = Map::new();
        for field in ["a", "r"] {
            let text = if rng.random_ratio(5, 6) { path(rng) } else { CALLS.choose(rng).unwrap() };
            match rng.random_range(0..3) {
                0 => fields.insert(format!("{field}.$"), text.into()),
                1 => fields.insert(field.to_owned(), json!([{ "x.$": text }])),
                _ => fields.insert(field.to_owned(), value(rng, 1)),
            };
        }
        Value::Object(fields)
    };
    let result_path = |rng: &mut StdRng| ["$", "$.a", "$.b.c", "$.r", "$.r", "$.r.s.t"].choose(rng).copied().unwrap();
    let mut state = match rng.random_range(0..10) {
        0 => return json!({ "Type": "Fail", "Error": "Named", "CausePath": CALLS.choose(rng).unwrap() }),
        1 => return json!({ "Type": "Succeed", "OutputPath": path(rng) }),
        2 => json!({ "Type": "Wait", "SecondsPath": "$.n" }),
        3 => {
            let test = *["NumericLessThan", "IsPresent", "StringMatches", "TimestampLessThanPath"].choose(rng).unwrap();
            let operand = match test {
                "NumericLessThan" => json!(3),
                "IsPresent" => json!(true),
                "StringMatches" => json!("*a*"),
                _ => json!("$.t"),
            };
            let rule = json!({ "Not": { "Variable": "$.n", test: operand }, "Next": name(rng) });
            return json!({ "Type": "Choice", "Choices": [rule], "Default": name(rng) });
        }
        4..=5 => json!({ "Type": "Pass", "Parameters": template(rng), "ResultPath": result_path(rng) }),
        _ => {
            let resource = [
                WORK,
                "arn:aws:states:::aws-sdk:dynamodb:getItem",
                "arn:aws:states:::aws-sdk:dynamodb:updateItem.waitForTaskToken",
            ]
            .choose(rng)
            .copied()
            .unwrap();
            json!({
                "Type": "Task", "Resource": resource, "TimeoutSeconds": 60, "HeartbeatSeconds": 9,
                "ResultPath": result_path(rng),
                "Retry": [{ "ErrorEquals": ["E", "States.Timeout"], "BackoffRate": 1e9, "JitterStrategy": "FULL" }],
                "Catch": [
                    { "ErrorEquals": ["States.DataLimitExceeded"], "ResultPath": null, "Next": name(rng) },
                    { "ErrorEquals": ["States.ALL"], "ResultPath": result_path(rng), "Next": name(rng) },
                ],
            })
        }
    };
    for field in ["InputPath", "OutputPath"] {
        if rng.random_ratio(1, 8) {
            state[field] = path(rng).into();
        }
    }
    if state["Type"] == "Task" && rng.random() {
        state["Parameters"] = template(rng);
    }
    if state["Type"] == "Task" && rng.random_ratio(1, 4) {
        state["Catch"] = json!([]);
    }
    if rng.random_ratio(1, 6) {
        state["End"] = true.into()
    } else {
        state["Next"] = name(rng).into()
    }
    state
}

/// Any event, mostly about what is open.
fn event(rng: &mut StdRng, tokens: &[Token], calls: &[CallId]) -> Event {
    let token = tokens.choose(rng).cloned().unwrap_or_else(|| Token::from("unknown"));
    let (token, last) =
        (if rng.random() { token } else { tokens.last().cloned().unwrap_or(token.clone()) }, calls.last());
    match rng.random_range(0..9) {
        0..=2 => Event::ActivityStarted { token },
        3 => Event::Heartbeat { token },
        4 => Event::Success { token, output: value(rng, 2) },
        5 => {
            let error = ["E", "States.Timeout", "States.Runtime", "", "Other"].choose(rng).copied().unwrap();
            let error = Some(error.to_owned()).filter(|_| rng.random_bool(0.8));
            Event::Failure { token, error, cause: Some(String::new()).filter(|_| rng.random()) }
        }
        6 => Event::ServiceResult { call_id: CallId(rng.random_range(0..9)), result: Ok(Value::Null) },
        7 => {
            let call_id = last.copied().unwrap_or(CallId(0));
            Event::ServiceResult { call_id, result: Err(("E".to_owned(), "why".to_owned())) }
        }
        _ => Event::ServiceResult { call_id: last.copied().unwrap_or(CallId(0)), result: Ok(input(rng)) },
    }
}

fn live(definition: &Arc<Definition>, rng: &mut StdRng) -> Execution {
    let mut now: Timestamp = "2026-03-01T03:00:00Z".parse().unwrap();
    let input = input(rng);
    let context = Context {
        execution_id: ARN.to_owned(),
        execution_name: "run".to_owned(),
        start_time: now,
        input: input.clone(),
    };
    let mut execution = Execution::start(definition, context, input, now);
    let (mut tokens, mut calls, mut ends) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rng.random_range(1..200) {
        for effect in execution.advance(now, rng) {
            match effect {
                Effect::ScheduleActivity { token, .. } => tokens.push(token),
                Effect::CallService { call_id, callback_token, .. } => {
                    calls.push(call_id);
                    tokens.extend(callback_token);
                }
                Effect::Ended => ends += 1,
            }
        }
        let running = execution.status() == &Status::Running;
        assert_eq!(ends, u32::from(!running), "the end is told once");
        assert_eq!(execution.current_state().is_some(), running);
        assert!(running || execution.wake_at().is_none());
        assert!(execution.wake_at().is_none_or(|wake| wake > now), "after advance nothing is due");
        assert!(execution.history().total() <= MAX_HISTORY_EVENTS);
        assert_eq!(execution.data.size(), execution.data.value().to_string().len());
        match rng.random_range(0..20) {
            0 if rng.random_ratio(1, 4) => execution.stop(now),
            1..=4 => now = execution.wake_at().unwrap_or(now).min(now + SignedDuration::from_hours(24 * 9000)),
            6 if execution.redrive(now) => {
                assert!(!running, "only what has ended is redriven");
                ends -= 1;
            }
            5 => now += SignedDuration::from_millis(rng.random_range(0..20_000)),
            _ => {
                let (event, before) = (event(rng, &tokens, &calls), execution.history().total());
                let handled = execution.handle(event, now);
                assert!(running || handled != Handled::Accepted, "nothing is accepted after the end");
                assert!(handled == Handled::Accepted || execution.history().total() == before);
            }
        }
    }
    execution
}

#[test]
fn random_machines_under_random_events() {
    let (mut errors, mut events) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let states: Map<_, _> = NAMES.iter().map(|name| ((*name).to_owned(), state(&mut rng))).collect();
        let text = json!({ "StartAt": "A", "TimeoutSeconds": 9999, "States": states }).to_string();
        let Ok(definition) = Definition::parse(&text) else { continue };
        let definition = Arc::new(definition);
        for _ in 0..3 {
            let execution = live(&definition, &mut rng);
            events.extend(execution.history().counts().map(|(name, _)| name));
            if let Status::Failed { error, .. } = execution.status() {
                errors.insert(error.clone());
            }
        }
    }
    // Guards that the generator reaches what it is meant to try.
    for event in HistoryEvent::ALL {
        assert!(events.contains(event.name()), "{} never happened, only {events:?}", event.name());
    }
    for error in ["Runtime", "DataLimitExceeded", "IntrinsicFailure", "ResultPathMatchFailure", "HeartbeatTimeout"] {
        assert!(errors.contains(&format!("States.{error}")), "{error} never happened, only {errors:?}");
    }
}

#[test]
fn damaged_definitions_are_refused_or_run() {
    let sound: Vec<Value> = machines().into_iter().map(|machine| machine.definition()).collect();
    let (mut refused, mut run) = (0, 0);
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut damaged = sound.choose(&mut rng).unwrap().clone();
        // Mostly by something of its kind from elsewhere, or no damage would get past the first look.
        let target = pick_mut(&mut damaged, &mut rng);
        for _ in 0..50 {
            let part = pick(sound.choose(&mut rng).unwrap(), &mut rng).clone();
            if std::mem::discriminant(&part) == std::mem::discriminant(&*target) {
                *target = if rng.random_ratio(1, 20) { value(&mut rng, 1) } else { part };
                break;
            }
        }
        let mut text = damaged.to_string();
        if rng.random_ratio(1, 5) {
            let places: Vec<_> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
            let splinter = ["'", "$", "[", "\\\\", "{}", ")", "é"].choose(&mut rng).unwrap();
            text.insert_str(*places.choose(&mut rng).unwrap(), splinter);
        }
        match Definition::parse(&text) {
            Err(_) => refused += 1,
            Ok(definition) => {
                run += 1;
                live(&Arc::new(definition), &mut rng);
            }
        }
    }
    assert!(refused > 100 && run > 100, "{refused} refused, {run} run");
}

fn pick<'a>(value: &'a Value, rng: &mut StdRng) -> &'a Value {
    let children: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    match children.choose(rng) {
        Some(child) if rng.random_ratio(4, 5) => pick(child, rng),
        _ => value,
    }
}

fn pick_mut<'a>(value: &'a mut Value, rng: &mut StdRng) -> &'a mut Value {
    let count = match value {
        Value::Object(fields) => fields.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    if count == 0 || rng.random_ratio(1, 5) {
        return value;
    }
    let position = rng.random_range(0..count);
    let child = match value {
        Value::Object(fields) => fields.values_mut().nth(position),
        Value::Array(items) => items.get_mut(position),
        _ => None,
    };
    pick_mut(child.unwrap(), rng)
}
