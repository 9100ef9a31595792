//! The control API under `/_simulator/`: for tests and for people. It is not part of DRS, needs no signature, and listens on
//! the same loopback port.

use super::{Shared, now};
use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_simulator::{FaultRule, Inventory, JournalEntry, NativeExecution, Scenario};

type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refused(error: impl std::fmt::Display) -> (StatusCode, Json<Value>) {
    (StatusCode::BAD_REQUEST, Json(json!({"message": error.to_string()})))
}

/// Parses here and not with an extractor, so that every mistake is answered as JSON with the reason.
fn parse<T: serde::de::DeserializeOwned>(body: &str) -> Result<T, (StatusCode, Json<Value>)> {
    serde_json::from_str(body).map_err(refused)
}

/// One or many of something.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

fn one_or_many<T: serde::de::DeserializeOwned>(body: &str) -> Result<Vec<T>, (StatusCode, Json<Value>)> {
    let values = match parse::<OneOrMany>(body)? {
        OneOrMany::Many(values) => values,
        OneOrMany::One(value) => vec![value],
    };
    values.into_iter().map(|value| serde_json::from_value(value).map_err(refused)).collect()
}

pub(crate) async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub(crate) async fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"message": "no such control operation"}))).into_response()
}

/// Counters: per operation, in total, and of the calls that may change something.
pub(crate) async fn calls(State(shared): State<Shared>) -> Json<Value> {
    let model = shared.model();
    let journal = model.journal();
    Json(json!({
        "total": journal.total().calls,
        "mutating": journal.mutating().calls,
        "mutatingEffects": journal.mutating().effects,
        "operations": journal.counts(),
    }))
}

/// What `GET /_simulator/journal` selects.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JournalQuery {
    /// Only this operation.
    operation: Option<String>,
    /// Only entries after this sequence number.
    after: Option<u64>,
    /// Only calls that may change something.
    mutating: Option<bool>,
    /// The newest so many.
    limit: Option<usize>,
}

pub(crate) async fn journal(State(shared): State<Shared>, Query(query): Query<JournalQuery>) -> Answer {
    let model = shared.model();
    let wanted = |entry: &&JournalEntry| {
        query.operation.as_deref().is_none_or(|name| name == entry.operation)
            && query.after.is_none_or(|after| entry.sequence > after)
            && query.mutating.is_none_or(|mutating| mutating == entry.mutating)
    };
    let mut entries: Vec<&JournalEntry> =
        model.journal().entries().rev().filter(wanted).take(query.limit.unwrap_or(usize::MAX)).collect();
    entries.reverse();
    Ok(Json(json!({"entries": entries, "calls": model.journal().total().calls})))
}

pub(crate) async fn forget_journal(State(shared): State<Shared>) -> Json<Value> {
    shared.model().journal_mut().clear();
    Json(json!({}))
}

pub(crate) async fn faults(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({"faults": shared.model().faults().rules()}))
}

/// Adds one fault rule or a list of them. All or nothing.
pub(crate) async fn add_faults(State(shared): State<Shared>, body: String) -> Answer {
    let rules: Vec<FaultRule> = one_or_many(&body)?;
    for rule in &rules {
        rule.check().map_err(refused)?;
    }
    let mut model = shared.model();
    let mut ids = Vec::new();
    for rule in rules {
        ids.push(model.faults_mut().add(rule, now()).map_err(refused)?);
    }
    Ok(Json(json!({"ids": ids})))
}

pub(crate) async fn clear_faults(State(shared): State<Shared>) -> Json<Value> {
    shared.model().faults_mut().clear();
    Json(json!({}))
}

pub(crate) async fn remove_fault(State(shared): State<Shared>, Path(id): Path<String>) -> Answer {
    match shared.model().faults_mut().remove(&id) {
        true => Ok(Json(json!({}))),
        false => Err((StatusCode::NOT_FOUND, Json(json!({"message": format!("no fault {id}")})))),
    }
}

pub(crate) async fn play(State(shared): State<Shared>, body: String) -> Answer {
    let scenario: Scenario = parse(&body)?;
    shared.model().play(scenario, now()).map_err(refused)?;
    Ok(Json(json!({})))
}

/// Adds what an inventory file may hold.
pub(crate) async fn add_servers(State(shared): State<Shared>, body: String) -> Answer {
    let inventory: Inventory = parse(&body)?;
    let added = shared.model().add_inventory(&inventory, now()).map_err(refused)?;
    Ok(Json(json!({"added": added})))
}

pub(crate) async fn put_native_executions(State(shared): State<Shared>, body: String) -> Answer {
    let executions: Vec<NativeExecution> = one_or_many(&body)?;
    shared.model().put_native_executions(executions, now()).map_err(refused)?;
    Ok(Json(json!({})))
}

/// An instance somebody terminated in EC2.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Terminated {
    instance_id: String,
}

/// DRS learns that EC2 has terminated an instance.
pub(crate) async fn terminated_in_ec2(State(shared): State<Shared>, body: String) -> Answer {
    let Terminated { instance_id } = parse(&body)?;
    match shared.model().terminated_in_ec2(&instance_id, now()) {
        true => Ok(Json(json!({}))),
        false => Err(refused(format!("no recovery instance {instance_id}"))),
    }
}

pub(crate) async fn state(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.model().state(now()))
}

pub(crate) async fn reset(State(shared): State<Shared>) -> Answer {
    shared.model().reset(now()).map_err(refused)?;
    shared.changed.notify_one();
    Ok(Json(json!({})))
}
