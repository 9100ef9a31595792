//! Promises made to people, and about the order of things: who has to speak before what, what has to be on record before
//! DRS is asked, what a COMPLETED wave has stored. Like [`crate::invariants`], read from the tables and from what people and
//! DRS did, never from what an activity says.

use crate::invariants::planned::Planned;
use crate::invariants::stored::{completed_wave_is_stored, jobs_are_ours};
use crate::invariants::{
    CANCEL_KEPT, CANCEL_WINS, CLEANED_OR_SAID, CLEANUP_FENCED, DECIDED_BY_PERSON, GATE_TAKES_REQUEST, INTENT_FIRST,
    LOCKED, MACHINE_AGREES, NO_TOKEN_LEFT, NOT_GIVEN_UP, OWN_JOBS, PAUSE_GRANTED, PAUSE_KEPT, POLICY_OR_PERSON,
    RESUMED_BY_PERSON, RETRIED_BY_PERSON, RIGHT_KIND, STATUS_FORWARD, Violation, WAVE_ORDER, WAVES_COUNTED, broken,
    chain, field, listed_jobs, number, seconds_between, servers, shards_of, text, timeline, waves_of,
};
use crate::people::{Act, ActKind};
use crate::ports::State;
use crate::script::Word;
use crate::tables::Item;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_contract::tables::TableKey;

/// The beginning of the reason of a gate that was asked for.
const ASKED: &str = "an operator asked for a pause";
/// The beginning of every task token of the interpreter.
const TOKEN: &str = "AAAAKgAAAAIAAAAA";

/// What has been seen so far of one execution.
#[derive(Debug, Default)]
pub struct Promises {
    status: String,
    acts_seen: usize,
    entries_seen: usize,
    /// For each act: how many pauses the record had when it was done.
    pauses_at: Vec<usize>,
    launches_seen: usize,
    cleanup_version: u64,
    cleanup_jobs: Value,
    waves: BTreeMap<u64, WaveSeen>,
}

#[derive(Debug, Default)]
struct WaveSeen {
    /// The attempt that was last stored.
    attempt: u64,
    /// How often it has begun in this execution.
    begun: usize,
    settled: bool,
    /// How many acts there had been when it was last seen to settle.
    acts: usize,
}

fn wave_of(value: &Value) -> u64 {
    value.get("waveNumber").and_then(Value::as_u64).unwrap_or_default()
}

/// Timeline entries of an event, with their waves.
fn entries<'a>(record: &'a Item, event: &'a str) -> impl Iterator<Item = u64> + 'a {
    timeline(record).filter(move |entry| field(entry, "event") == event).map(wave_of)
}

/// Whether a person gave this execution one of these answers at this kind of gate, between its opening and this entry.
fn said(state: &State, record: &Item, gate: &str, entry: &Value, words: impl Fn(Word) -> bool) -> bool {
    let at = |entry: &Value| field(entry, "at").parse::<Timestamp>().ok();
    let opening = if gate == "AwaitResume" { "PAUSED" } else { "DECISION_NEEDED" };
    let openings = timeline(record).filter(|entry| field(entry, "event") == opening).filter_map(at);
    let Some(then) = at(entry) else { return false };
    let Some(opened) = openings.filter(|opened| *opened <= then).max() else { return false };
    let given = |kind: &ActKind| matches!(kind, ActKind::Answer { state, word } if state == gate && words(*word));
    let id = text(record, "executionId");
    let so = |act: &Act| act.execution_id == id && (opened..=then).contains(&act.at) && given(&act.what);
    state.people.iter().any(so)
}

/// A decision as the timeline has it.
fn decision(word: Word) -> &'static str {
    match word {
        Word::Retry => "retry",
        Word::Skip => "skip",
        Word::Continue => "continue",
        Word::Abort => "abort",
        _ => "none",
    }
}

/// How often people decided so about this wave, in this execution, since that moment.
fn decided(state: &State, id: &str, wave_number: u64, word: Word, since: &str) -> usize {
    let Some(record) = state.tables.query(TableKey::ExecutionHistory, id, "").next() else { return 0 };
    let about = |entry: &&Value| {
        field(entry, "event") == "DECIDED"
            && wave_of(entry) == wave_number
            && seconds_between(since, field(entry, "at")).is_none_or(|after| after + state.clocks_differ >= 0)
            && said(state, record, "AwaitDecision", entry, |given| given == word)
    };
    // A write whose answer was lost is repeated, with the same moment.
    timeline(record).filter(about).map(|entry| field(entry, "at")).collect::<BTreeSet<_>>().len()
}

/// Errors that pass by themselves.
const PASSING: &[&str] = &[
    "Tidegate.Transient",
    "Tidegate.Throttled",
    "States.HeartbeatTimeout",
    "States.Timeout",
    "DynamoDb.SdkClientException",
    "DynamoDb.ThrottlingException",
    "DynamoDb.ProvisionedThroughputExceededException",
    "DynamoDb.RequestLimitExceededException",
    "DynamoDb.InternalServerErrorException",
];
/// The outage every task has to live through.
const OUTAGE_SECONDS: i64 = 1_800;

/// Half an hour of any passing error is retried: whoever gives a task up earlier turns a hiccup into a failed recovery.
/// `been`: the states the execution rested in so far, and when they were entered; `data`: what the next one gets.
pub(crate) fn not_given_up_early(
    been: &[(i64, Arc<str>)],
    state: &str,
    second: i64,
    data: &Value,
) -> Result<(), Violation> {
    // Where the ways out of a task's Catch come to rest, and where the data has the error then.
    let place = match state {
        // The failure an operator has decided about is passed on with his word: it was judged when the gate opened.
        "Finalize" if data.pointer("/ending/reason").is_some_and(|reason| reason == "ABORTED_BY_OPERATOR") => {
            return Ok(());
        }
        "Finalize" => "/ending/failure/Error",
        "AnnounceDecision" => "/wave/failure/Error",
        "RecordCleanupFailed" => "/error/Error",
        _ => return Ok(()),
    };
    let Some((since, task)) = been.last() else { return Ok(()) };
    let error = data.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let tried = second - since;
    if PASSING.contains(&error) && tried < OUTAGE_SECONDS {
        let detail = format!("{task} after {tried} s: {error}");
        return broken(NOT_GIVEN_UP, detail);
    }
    Ok(())
}

/// What of an execution was written since the last check; nothing else can have broken a promise.
#[derive(Debug, Default)]
pub struct Touched<'a> {
    pub record: bool,
    /// Sort keys of its waves, shards and members.
    pub keys: Vec<&'a str>,
}

impl Promises {
    /// Checks one execution after something changed.
    pub(crate) fn check(
        &mut self,
        state: &State,
        id: &str,
        plan: Option<&Planned>,
        touched: &Touched<'_>,
    ) -> Result<(), Violation> {
        let record = state.tables.query(TableKey::ExecutionHistory, id, "").next();
        self.launches_are_announced(state, id, record)?;
        let Some(record) = record else { return Ok(()) };
        if touched.record || state.people.len() > self.acts_seen {
            self.gates_open_as_designed(state, record)?;
            self.status_moves_as_designed(record)?;
            self.cleanup_is_fenced(state, id, record)?;
        }
        for key in &touched.keys {
            let Some(item) = state.tables.get(TableKey::ExecutionWaves, id, key) else { continue };
            match key.split_once('#') {
                None => {
                    jobs_are_ours(state, id, listed_jobs(item))?;
                    self.wave_moves_as_promised(state, id, record, plan, item)?;
                    completed_wave_is_stored(state, id, record, item)?;
                }
                Some((_, "members")) => {}
                Some((wave, _)) => {
                    let job = item.get("job").and_then(|job| job.get("jobId")?.as_str());
                    let earlier = item.get("earlierJobs").and_then(Value::as_array).into_iter().flatten();
                    jobs_are_ours(state, id, job.into_iter().chain(earlier.filter_map(Value::as_str)))?;
                    let wave = state.tables.get(TableKey::ExecutionWaves, id, wave);
                    wave.map_or(Ok(()), |wave| completed_wave_is_stored(state, id, record, wave))?;
                }
            }
        }
        Ok(())
    }

    fn status_moves_as_designed(&mut self, record: &Item) -> Result<(), Violation> {
        let (before, now) = (std::mem::take(&mut self.status), text(record, "status").to_owned());
        let back = match (before.as_str(), now.as_str()) {
            (before, "PENDING") => !before.is_empty() && before != "PENDING",
            (before, "IN_PROGRESS") => !matches!(before, "" | "PENDING" | "IN_PROGRESS"),
            _ => false,
        };
        self.status.clone_from(&now);
        if back { broken(STATUS_FORWARD, format!("{before} became {now}")) } else { Ok(()) }
    }

    fn gates_open_as_designed(&mut self, state: &State, record: &Item) -> Result<(), Violation> {
        let pauses = entries(record, "PAUSED").count();
        self.acts_seen = state.people.len();
        self.pauses_at.resize(state.people.len(), pauses);
        let granted: BTreeSet<&str> = timeline(record)
            .filter(|entry| field(entry, "event") == "PAUSED" && field(entry, "detail").starts_with(ASKED))
            .map(|entry| field(entry, "at"))
            .collect();
        let id = text(record, "executionId");
        let requests = state.people.iter().filter(|act| act.execution_id == id);
        let requests = requests.filter(|act| act.what == ActKind::Request("pauseRequested")).count();
        if granted.len() > requests {
            return broken(GATE_TAKES_REQUEST, format!("{} gates for {requests} requests", granted.len()));
        }
        let new = timeline(record).skip(self.entries_seen);
        self.entries_seen = timeline(record).count();
        for entry in new {
            let (event, wave) = (field(entry, "event"), wave_of(entry));
            if event == "RESUMED" && !said(state, record, "AwaitResume", entry, |word| !word.declines()) {
                return broken(RESUMED_BY_PERSON, format!("resumed before wave {wave}"));
            }
            let detail = field(entry, "detail");
            if event == "DECIDED" && !said(state, record, "AwaitDecision", entry, |word| decision(word) == detail) {
                return broken(DECIDED_BY_PERSON, format!("{detail} wave {wave}, and nobody said so"));
            }
        }
        Ok(())
    }

    fn wave_moves_as_promised(
        &mut self,
        state: &State,
        id: &str,
        record: &Item,
        plan: Option<&Planned>,
        wave: &Item,
    ) -> Result<(), Violation> {
        let (wave_number, attempt) = (number(wave, "waveNumber"), number(wave, "attempt"));
        let settled = !text(wave, "endTime").is_empty();
        let seen = self.waves.entry(wave_number).or_default();
        // What a continuation takes over, before it begins, began in the execution it continues.
        let begins = attempt > seen.attempt && text(record, "status") != "PENDING";
        // A wave that began in the execution that is continued had its pause there.
        let (before, carried) = (seen.begun, seen.attempt > 0);
        if settled && !seen.settled {
            seen.acts = state.people.len();
        }
        (seen.attempt, seen.settled, seen.begun) = (seen.attempt.max(attempt), settled, before + usize::from(begins));
        if !begins {
            return Ok(());
        }
        if before == 0 {
            return self.wave_begins(state, id, record, plan, wave_number, carried);
        }
        if before > decided(state, id, wave_number, Word::Retry, "") {
            return broken(RETRIED_BY_PERSON, format!("wave {wave_number}, attempt {attempt}"));
        }
        Ok(())
    }

    fn wave_begins(
        &self,
        state: &State,
        id: &str,
        record: &Item,
        plan: Option<&Planned>,
        wave_number: u64,
        carried: bool,
    ) -> Result<(), Violation> {
        let planned = plan.and_then(|plan| plan.waves.get(&wave_number));
        let pauses = planned.is_some_and(|wave| wave.pauses);
        if pauses && !carried && !entries(record, "RESUMED").any(|resumed| resumed == wave_number) {
            return broken(PAUSE_KEPT, format!("wave {wave_number}"));
        }
        if wave_number <= 1 {
            return Ok(());
        }
        let waves: Vec<&Item> = waves_of(state, id).collect();
        let Some(before) = waves.iter().find(|wave| number(wave, "waveNumber") + 1 == wave_number) else {
            return broken(WAVE_ORDER, format!("wave {wave_number} begins, and there is none before it"));
        };
        let acts = self.waves.get(&(wave_number - 1)).map_or(0, |seen| seen.acts);
        let paused = entries(record, "PAUSED").count();
        for (index, act) in state.people.iter().enumerate().take(acts).filter(|(_, act)| act.execution_id == id) {
            match act.what {
                ActKind::Request("cancelRequested") => {
                    return broken(CANCEL_KEPT, format!("wave {wave_number}"));
                }
                ActKind::Request("pauseRequested") if self.pauses_at.get(index).is_some_and(|then| *then == paused) => {
                    return broken(PAUSE_GRANTED, format!("wave {wave_number}"));
                }
                ActKind::Request(_) | ActKind::Answer { .. } => {}
            }
        }
        // A cancel during a pause wins over the resume that ends it.
        let cancel = state
            .people
            .iter()
            .position(|act| act.execution_id == id && act.what == ActKind::Request("cancelRequested"));
        let resume = state.people.iter().rposition(|act| {
            let resume = |kind: &ActKind| matches!(kind, ActKind::Answer { state, .. } if state == "AwaitResume");
            act.execution_id == id && resume(&act.what)
        });
        if pauses && cancel.zip(resume).is_some_and(|(cancel, resume)| cancel < resume) {
            return broken(CANCEL_WINS, format!("wave {wave_number}"));
        }
        let since = text(before, "attemptStartTime");
        let chain = chain(&state.tables, id);
        let word = |word: Word| chain.iter().any(|id| decided(state, id, wave_number - 1, word, since) > 0);
        let policy = plan.and_then(|plan| plan.waves.get(&(wave_number - 1))).map(|wave| wave.on_failure.as_str());
        let may = match (text(before, "status"), policy.unwrap_or_else(|| text(before, "onFailure"))) {
            ("COMPLETED" | "PARTIAL", _) | ("FAILED", "continue") => true,
            ("SKIPPED", _) => text(record, "mode") == "DRY_RUN" || word(Word::Skip),
            ("FAILED", "gate") => word(Word::Continue),
            _ => false,
        };
        if !may {
            let detail = format!("wave {wave_number} after a wave {}", text(before, "status"));
            return broken(POLICY_OR_PERSON, detail);
        }
        Ok(())
    }

    /// What must be on record before DRS is asked to launch.
    fn launches_are_announced(&mut self, state: &State, id: &str, record: Option<&Item>) -> Result<(), Violation> {
        let new = state.launches.all().get(self.launches_seen..).unwrap_or_default();
        self.launches_seen = state.launches.all().len();
        // What was on record when a late one left may be gone.
        for launch in new.iter().filter(|launch| *launch.by == *id && !launch.late) {
            let job = &launch.job;
            let asked: BTreeSet<&str> = launch.servers.iter().map(|server| server.as_str()).collect();
            let names = |shard: &&Item| servers(shard).any(|server| asked.contains(field(server, "sourceServerId")));
            let (Some(record), Some(shard)) = (record, shards_of(state, id, "").find(names)) else {
                return broken(INTENT_FIRST, format!("{job}, for servers that are on no record"));
            };
            let intent = shard.get("intent").unwrap_or(&Value::Null);
            let intended: BTreeSet<&str> = intent
                .get("sourceServerIds")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            if intended != asked || field(intent, "state") != "INTENDED" || field(intent, "lastSentAt").is_empty() {
                return broken(INTENT_FIRST, job.to_string());
            }
            let drill = text(record, "executionType") == "DRILL";
            if launch.is_drill != drill {
                return broken(RIGHT_KIND, job.to_string());
            }
            for server in asked {
                let locked = state
                    .tables
                    .all(TableKey::ServerLocks)
                    .any(|lock| text(lock, "executionId") == id && text(lock, "server").ends_with(server));
                if !locked {
                    return broken(LOCKED, server);
                }
            }
        }
        Ok(())
    }

    fn cleanup_is_fenced(&mut self, state: &State, id: &str, record: &Item) -> Result<(), Violation> {
        let Some(cleanup) = record.get("cleanup") else { return Ok(()) };
        let version = cleanup.get("version").and_then(Value::as_u64).unwrap_or_default();
        let jobs = cleanup.get("jobs").cloned().unwrap_or_default();
        let known = self.cleanup_version;
        let lost = version < known || version > known + 1 || (version == known && jobs != self.cleanup_jobs);
        (self.cleanup_version, self.cleanup_jobs) = (version, jobs);
        if lost && known > 0 {
            return broken(CLEANUP_FENCED, format!("{known} by {version}"));
        }
        let chain = chain(&state.tables, id);
        let ours = |job: &str| state.terminations.iter().any(|one| one.job == job && chain.contains(&&*one.by));
        match listed_jobs(cleanup).find(|job| !ours(job)) {
            Some(job) => broken(OWN_JOBS, job),
            None => Ok(()),
        }
    }

    /// What must hold once the run is over.
    pub fn check_end(&self, state: &State, id: &str) -> Result<(), Violation> {
        let Some(record) = state.tables.query(TableKey::ExecutionHistory, id, "").next() else {
            return Ok(());
        };
        let waves: Vec<&Item> = state
            .tables
            .query(TableKey::ExecutionWaves, id, "")
            .filter(|item| item.contains_key("shardCount"))
            .collect();
        let count = |wanted: &[&str]| waves.iter().filter(|wave| wanted.contains(&text(wave, "status"))).count() as u64;
        let (completed, failed) = (count(&["COMPLETED", "PARTIAL"]), count(&["FAILED"]));
        if number(record, "completedWaves") != completed || number(record, "failedWaves") != failed {
            let told = format!("{} and {}", number(record, "completedWaves"), number(record, "failedWaves"));
            return broken(WAVES_COUNTED, format!("{told}, not {completed} and {failed}"));
        }
        let outcome = |name: &str| record.get("outcome").map(|outcome| field(outcome, name));
        // Unless the machine was made to fail.
        let made_to = outcome("reason") == Some("MACHINE_FAILED");
        if outcome("error") == Some("Tidegate.MachineFault") && !made_to {
            return broken(MACHINE_AGREES, text(record, "status"));
        }
        let cleanup = record.get("cleanup").map(|cleanup| field(cleanup, "status"));
        let kept = record.get("keepInstances") == Some(&Value::Bool(true));
        let drill = text(record, "executionType") == "DRILL";
        // Who continues a run takes its instances over.
        let launched =
            state.launches.all().iter().any(|launch| *launch.by == *id) && !record.contains_key("continuedBy");
        if drill && !kept && launched && !matches!(cleanup, Some("COMPLETED" | "FAILED")) {
            return broken(CLEANED_OR_SAID, cleanup.unwrap_or("none"));
        }
        let everything = waves.iter().copied().chain([record]);
        if everything.flat_map(Item::values).any(|value| value.to_string().contains(TOKEN)) {
            return broken(NO_TOKEN_LEFT, id);
        }
        Ok(())
    }
}
