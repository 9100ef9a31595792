//! Every renderer over texts written to look like ours, in every field that can hold one at once.

use crate::drift::Drift;
use crate::fixtures::{now, partial_view, paused_view, record};
use crate::output::finished;
use crate::render::text::folded;
use crate::render::{changes, check, drift, gate, list, plan, problems, progress, redact, show};
use crate::verdict::{Machine, judge};
use crate::view::RunView;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidegate_aws::stepfunctions::MachineStatus;
use tidegate_aws::store::{Listed, Unreadable};
use tidegate_contract::activities::PreparedRun;
use tidegate_contract::foreign::{escape_json, spell_out_lines};
use tidegate_contract::input::ExecutionInput;
use tidegate_contract::records::{Asked, ExecutionRecord, GateKind, Problem, Requests, WaveRecord};
use tidegate_contract::{ExecutionId, ExecutionStatus};

const CORPUS: &str = include_str!("../../../tests/security/foreign-texts.json");

/// Fields that are no free text of others: names of things that are looked up by them.
const OURS: &[&str] = &["executionId", "executionArn", "schemaVersion"];

fn corpus() -> Vec<(String, String)> {
    let corpus: Value = serde_json::from_str(CORPUS).unwrap();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap().to_owned();
    corpus["texts"].as_array().unwrap().iter().map(|entry| (text(entry, "what"), text(entry, "text"))).collect()
}

/// Paths of every string in a value.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) if !OURS.iter().any(|ours| path.ends_with(&format!("/{ours}"))) => found.push(path.to_owned()),
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{path}/{index}"), found));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| leaves(value, &format!("{path}/{name}"), found));
        }
        _ => {}
    }
}

/// The value with the text in each field whose type takes it: whatever is no status, number or the like.
fn poisoned<T: Serialize + DeserializeOwned>(value: &T, text: &str) -> T {
    let mut value = serde_json::to_value(value).unwrap();
    let mut paths = Vec::new();
    leaves(&value, "", &mut paths);
    let mut taken = 0;
    for path in paths {
        let mut tried = value.clone();
        *tried.pointer_mut(&path).unwrap() = json!(text);
        if serde_json::from_value::<T>(tried.clone()).is_ok() {
            value = tried;
            taken += 1;
        }
    }
    assert!(taken > 0);
    serde_json::from_value(value).unwrap()
}

fn poisoned_run(view: &RunView, text: &str) -> RunView {
    let mut record = poisoned(&view.record, text);
    record.initiated_by = Some(text.to_owned());
    record.continues = Some(text.into());
    record.continued_by = Some(text.into());
    record.warnings = vec![problem(text)];
    record.timeline.iter_mut().for_each(|entry| entry.event = "RESUMED".to_owned());
    if let Some(first) = record.timeline.first_mut() {
        first.event = "CREATED".to_owned();
    }
    let waves: Vec<WaveRecord> =
        view.waves.iter().filter_map(|wave| wave.item.as_ref()).map(|wave| poisoned(wave, text)).collect();
    let shards = view.waves.iter().flat_map(|wave| &wave.shards).map(|shard| {
        let mut shard = poisoned(shard, text);
        for server in &mut shard.server_statuses {
            server.error = Some(text.to_owned());
            server.warning = Some(text.to_owned());
        }
        shard
    });
    let requests = Requests {
        pause: Asked::Yes,
        cancel: Asked::Unclear,
        pause_by: Some(text.to_owned()),
        cancel_by: Some(text.to_owned()),
    };
    RunView { requests, unreadable: vec![text.to_owned()], ..RunView::new(record, waves, shards.collect()) }
}

fn problem(text: &str) -> Problem {
    Problem { field: text.to_owned(), message: text.to_owned(), remedy: text.to_owned() }
}

/// What each renderer says, by its name.
fn rendered(text: &str, width: usize) -> Vec<(&'static str, String)> {
    let mut told = Vec::new();
    for view in [paused_view(GateKind::Decision), partial_view()] {
        let bad = poisoned_run(&view, text);
        let changed: Vec<_> =
            [None, Some(&view)].into_iter().flat_map(|before| changes::render_changes(before, &bad)).collect();
        told.extend(changed.iter().map(|change| ("render_changes", change.text.clone())));
        told.push(("render_show", show::render_show(&bad, now(), width)));
        told.push(("render_overall", progress::render_overall(&bad, now())));
        told.push(("instances_hint", progress::instances_hint(&bad.record).unwrap_or_default()));
        for wave in &bad.waves {
            let bar = progress::render_bar(&bad, wave, now());
            told.extend([("render_bar", bar.label), ("render_bar", bar.message)]);
        }
        told.extend(gate::render_gate(&bad.record, "t", now()).map(|text| ("render_gate", text)));
        let unreadable = Unreadable { execution_id: text.to_owned(), plan_id: text.to_owned(), why: text.to_owned() };
        let lines = [Listed::Execution(Box::new(bad.record.clone())), Listed::Unreadable(unreadable)];
        told.push(("render_list", list::render_list(&lines, now(), width)));
        told.push(("render_continuation", plan::render_continuation(&bad.record, None, "run-2")));
        told.push(("render_run_json", escape_json(&format!("{:#}", redact::render_run_json(&bad))).into_owned()));
        told.push((
            "render_record_json",
            escape_json(&format!("{:#}", redact::render_record_json(&bad.record))).into_owned(),
        ));
        told.push(("judge", judge(&bad.record, &Machine::Unknown).err().unwrap_or_default()));
    }
    let open = poisoned(&record(ExecutionStatus::Polling), text);
    let ended =
        MachineStatus { status: "FAILED".to_owned(), error: Some(text.to_owned()), cause: Some(text.to_owned()) };
    told.push(("judge", judge(&open, &Machine::Ended(ended.clone())).unwrap_err()));
    told.push(("render_refusal", check::render_refusal(&ended, width)));
    told.push(("render_problems", problems::render_problems(&[problem(text)], width)));
    let drifted: (ExecutionRecord, Machine, Drift) = (open, Machine::Unknown, Drift::Open);
    told.push(("render_drifts", drift::render_drifts(&[drifted], width)));
    told.push(("render_drift", drift::render_drift(Drift::Open).to_owned()));
    told.push(("render_unseen", drift::render_unseen(&[ExecutionStatus::Failed], 7)));
    let other = ExecutionId::from(text);
    told.push(("render_agreed", drift::render_agreed("run-1", ExecutionStatus::Failed, Some(&other))));
    told.push(("render_prepared", check::render_prepared(&prepared(text), width)));
    told.push(("render_place", plan::render_place(text, Some(text))));
    told.push(("render_checked", check::render_checked(&prepared(text), width)));
    let input = input(text);
    told.push(("render_intention", plan::render_intention(&input, input.plan.as_ref(), "run-1")));
    told
}

fn prepared(text: &str) -> PreparedRun {
    let mut run: PreparedRun = serde_json::from_value(json!({
        "planId": text, "planName": text, "executionType": "DRILL", "mode": "CHECK", "waveCount": 1,
        "membershipHash": "x", "firstIndex": 0, "firstAttempts": [1], "completedWaves": 0, "warnings": [],
        "waves": [{"waveNumber": 1, "waveKey": "0001", "waveName": text, "pauseBeforeWave": true, "onFailure": "gate",
                   "timeoutSeconds": 7200, "waitAfterSeconds": 0, "gateTimeoutSeconds": 86400, "serverCount": 2}],
    }))
    .unwrap();
    run.warnings = vec![problem(text)];
    run
}

/// As if no schema had refused it.
fn input(text: &str) -> ExecutionInput {
    serde_json::from_value(json!({"executionType": "RECOVERY", "initiatedBy": text, "plan": {
        "planId": "crm", "planName": text, "waves": [{"waveNumber": 1, "waveName": text, "groups": [
            {"groupName": text, "region": text, "tags": {text: text}}, {"protectionGroupId": text}]}]}}))
    .unwrap()
}

#[test]
fn no_text_of_others_begins_a_line_or_changes_how_ours_is_shown() {
    for (index, (what, text)) in corpus().into_iter().enumerate() {
        for width in [[80, 100, 140][index % 3]] {
            for (by, told) in rendered(&text, width) {
                assert_eq!(spell_out_lines(&told), told, "{by}: {what}");
                assert_eq!(finished(&told, false), told, "{by}: {what}");
                // As a terminal shows it, which breaks what is wider than itself.
                let on_screen =
                    if by == "render_changes" { folded(&format!("12:00:00  {told}"), width, 10) } else { told };
                for line in on_screen.lines() {
                    assert!(!line.starts_with("FORGED"), "{by}: {what}: {on_screen}");
                    let ours = line.trim_start().trim_start_matches(['|', ' ']).starts_with("aws ");
                    let drawn = unicode_width::UnicodeWidthStr::width(line);
                    let breaks = ["render_changes", "render_show", "render_problems", "render_refusal"].contains(&by);
                    assert!(!breaks || ours || drawn <= width, "{by}, {drawn} of {width}: {what}: {line}");
                }
            }
        }
    }
}

#[test]
fn lines_are_as_many_whatever_the_names_hold() {
    let lines = |text: &str| -> Vec<(&'static str, usize)> {
        rendered(text, 20_000).into_iter().map(|(by, told)| (by, told.lines().count())).collect()
    };
    let plain = lines("db FORGED");
    for (what, text) in corpus() {
        // A cause may have lines of its own, which are quoted, and an answer that is JSON is told in words.
        let own = ["render_changes", "render_show", "render_refusal"];
        for ((by, count), (_, expected)) in lines(&text).into_iter().zip(&plain) {
            assert!(count == *expected || own.contains(&by), "{by}: {what}: {count} lines, not {expected}");
        }
    }
}

#[test]
fn json_means_what_is_stored() {
    for (what, text) in corpus() {
        let bad = poisoned_run(&paused_view(GateKind::Resume), &text);
        let value = redact::render_run_json(&bad);
        let told = escape_json(&format!("{value:#}")).into_owned();
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), value, "{what}");
    }
}

#[test]
fn every_renderer_is_among_them() {
    let here: BTreeSet<&str> = rendered("x", 80).into_iter().map(|(by, _)| by).collect();
    let sources = [
        include_str!("changes.rs"),
        include_str!("check.rs"),
        include_str!("drift.rs"),
        include_str!("gate.rs"),
        include_str!("list.rs"),
        include_str!("plan.rs"),
        include_str!("problems.rs"),
        include_str!("progress.rs"),
        include_str!("redact.rs"),
        include_str!("show.rs"),
    ];
    // Another module of renderers is another line above.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/render");
    let of_letters = ["foreign_tests.rs", "mod.rs", "paint.rs", "spelled.rs", "table.rs", "text.rs"];
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), sources.len() + of_letters.len());
    for source in sources {
        for found in source.split("fn render_").skip(1) {
            let name = format!("render_{}", found.split(['(', '<']).next().unwrap());
            assert!(here.contains(name.as_str()), "{name} is not tried here");
        }
    }
}
