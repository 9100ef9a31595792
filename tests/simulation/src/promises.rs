//! Promises made to people, and about the order of things: who has to speak before what, what has to be on record before
//! DRS is asked, what a COMPLETED wave has stored. Like [`crate::invariants`], read from the tables and from what people and
//! DRS did, never from what an activity says.

use crate::invariants::{Violation, chain};
use crate::people::ActKind;
use crate::ports::State;
use crate::script::Word;
use crate::tables::Item;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tidegate_contract::tables::TableKey;
use tidegate_core::wave_poll::ENRICHMENT_GRACE_SECONDS;

/// The beginning of every task token of the interpreter.
const TOKEN: &str = "AAAAKgAAAAIAAAAA";

/// What has been seen so far of one execution.
#[derive(Debug, Default)]
pub struct Promises {
    status: String,
    acts_seen: usize,
    /// For each act: how many pauses the record had when it was done.
    pauses_at: Vec<usize>,
    launches_seen: usize,
    cleanup_version: u64,
    cleanup_jobs: Value,
    waves: BTreeMap<u64, WaveSeen>,
}

#[derive(Debug, Default)]
struct WaveSeen {
    started: bool,
    settled: bool,
    /// How many acts there had been when it was last seen to settle.
    acts: usize,
}

fn text<'a>(item: &'a Item, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(item: &Item, name: &str) -> u64 {
    item.get(name).and_then(Value::as_u64).unwrap_or_default()
}

fn field<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn servers(shard: &Item) -> impl Iterator<Item = &Value> {
    shard.get("serverStatuses").and_then(Value::as_array).into_iter().flatten()
}

fn broken(rule: &'static str, detail: impl Into<String>) -> Result<(), Violation> {
    Err(Violation { rule, detail: detail.into() })
}

/// Timeline entries of an event, with their waves.
fn entries<'a>(record: &'a Item, event: &'a str) -> impl Iterator<Item = u64> + 'a {
    let all = record.get("timeline").and_then(Value::as_array).into_iter().flatten();
    all.filter(move |entry| field(entry, "event") == event)
        .map(|entry| entry.get("waveNumber").and_then(Value::as_u64).unwrap_or_default())
}

fn seconds_between(from: &str, to: &str) -> Option<i64> {
    let (from, to): (Timestamp, Timestamp) = (from.parse().ok()?, to.parse().ok()?);
    Some(to.duration_since(from).as_secs())
}

/// How often people gave one of these answers to an execution or to one it continues, and Step Functions took it.
fn answers(state: &State, id: &str, gate: &str, words: impl Fn(Word) -> bool) -> usize {
    let chain = chain(&state.tables, id);
    let given = |kind: &ActKind| matches!(kind, ActKind::Answer { state, word } if state == gate && words(*word));
    state.people.iter().filter(|act| chain.contains(&act.execution_id.as_str()) && given(&act.what)).count()
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
        return broken("No task is given up for a passing error within half an hour.", detail);
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

fn waves_of<'a>(state: &'a State, id: &str) -> Vec<&'a Item> {
    let items = state.tables.query_keyed(TableKey::ExecutionWaves, id, "");
    items.filter(|(key, _)| !key.contains('#')).map(|(_, item)| item).collect()
}

fn shards_of<'a>(state: &'a State, id: &str, wave: &'a str) -> impl Iterator<Item = &'a Item> + use<'a> {
    let items = state.tables.query_keyed(TableKey::ExecutionWaves, id, wave);
    items.filter(|(key, _)| key.contains('#') && !key.ends_with("#members")).map(|(_, item)| item)
}

impl Promises {
    /// Checks one execution after something changed.
    pub fn check(&mut self, state: &State, id: &str, touched: &Touched<'_>) -> Result<(), Violation> {
        let Some(record) = state.tables.query(TableKey::ExecutionHistory, id, "").next() else {
            return Ok(());
        };
        if touched.record || state.people.len() > self.acts_seen {
            self.gates_open_as_designed(state, id, record)?;
            self.status_moves_as_designed(record)?;
            self.cleanup_is_fenced(record)?;
        }
        for key in &touched.keys {
            let Some(item) = state.tables.get(TableKey::ExecutionWaves, id, key) else { continue };
            match key.split_once('#') {
                None => {
                    self.wave_moves_as_promised(state, id, record, item)?;
                    completed_wave_is_stored(state, id, record, item)?;
                }
                Some((_, "members")) => members_are_those_of_the_record(record, item)?,
                Some((wave, _)) => {
                    jobs_are_ours(state, item)?;
                    let wave = state.tables.get(TableKey::ExecutionWaves, id, wave);
                    wave.map_or(Ok(()), |wave| completed_wave_is_stored(state, id, record, wave))?;
                }
            }
        }
        self.launches_are_announced(state, id, record)
    }

    fn status_moves_as_designed(&mut self, record: &Item) -> Result<(), Violation> {
        let (before, now) = (std::mem::take(&mut self.status), text(record, "status").to_owned());
        let back = match (before.as_str(), now.as_str()) {
            (before, "PENDING") => !before.is_empty() && before != "PENDING",
            (before, "IN_PROGRESS") => !matches!(before, "" | "PENDING" | "IN_PROGRESS"),
            _ => false,
        };
        self.status.clone_from(&now);
        if back {
            broken("An execution's status moves forward only.", format!("{before} became {now}"))
        } else {
            Ok(())
        }
    }

    fn gates_open_as_designed(&mut self, state: &State, id: &str, record: &Item) -> Result<(), Violation> {
        let pauses = entries(record, "PAUSED").count();
        let asked_now = state.people.len() > self.acts_seen;
        self.acts_seen = state.people.len();
        self.pauses_at.resize(state.people.len(), pauses);
        let opened = text(record, "status") == "PAUSED" && self.status != "PAUSED" && !self.status.is_empty();
        let kind = record.get("gate").map(|gate| field(gate, "kind"));
        if opened && kind == Some("RESUME") && text(record, "pauseRequested") == "true" && !asked_now {
            return broken("A gate that opens takes the request for a pause with it.", "pauseRequested stays true");
        }
        let resumed: BTreeSet<u64> = entries(record, "RESUMED").collect();
        if resumed.len() > answers(state, id, "AwaitResume", |word| word != Word::Decline) {
            return broken("A run resumes only because a person said so.", format!("resumed before waves {resumed:?}"));
        }
        if entries(record, "DECIDED").next().is_some() && answers(state, id, "AwaitDecision", |_| true) == 0 {
            return broken("A failed wave is decided by a person only.", "nobody answered");
        }
        Ok(())
    }

    fn wave_moves_as_promised(&mut self, state: &State, id: &str, record: &Item, wave: &Item) -> Result<(), Violation> {
        let wave_number = number(wave, "waveNumber");
        let (started, settled) = (number(wave, "attempt") > 0, !text(wave, "endTime").is_empty());
        let seen = self.waves.entry(wave_number).or_default();
        // What a continuation takes over, before it begins, began in the execution it continues.
        let begins = started && !seen.started && text(record, "status") != "PENDING";
        if settled && !seen.settled {
            seen.acts = state.people.len();
        }
        (seen.started, seen.settled) = (seen.started || started, settled);
        if begins { self.wave_begins(state, id, record, &waves_of(state, id), wave_number) } else { Ok(()) }
    }

    fn wave_begins(
        &self,
        state: &State,
        id: &str,
        record: &Item,
        waves: &[&Item],
        wave_number: u64,
    ) -> Result<(), Violation> {
        let planned = record.get("waves").and_then(Value::as_array).into_iter().flatten();
        let pauses = planned
            .filter(|wave| wave.get("waveNumber").and_then(Value::as_u64) == Some(wave_number))
            .any(|wave| wave.get("pauseBeforeWave") == Some(&Value::Bool(true)));
        if pauses && !entries(record, "RESUMED").any(|resumed| resumed == wave_number) {
            return broken("A planned pause is never passed without a person's word.", format!("wave {wave_number}"));
        }
        let Some(before) = waves.iter().find(|wave| number(wave, "waveNumber") + 1 == wave_number) else {
            return Ok(());
        };
        let acts = self.waves.get(&(wave_number - 1)).map_or(0, |seen| seen.acts);
        let paused = entries(record, "PAUSED").count();
        for (index, act) in state.people.iter().enumerate().take(acts).filter(|(_, act)| act.execution_id == id) {
            match act.what {
                ActKind::Request("cancelRequested") => {
                    return broken(
                        "No wave begins after a cancel that came before its turn.",
                        format!("wave {wave_number}"),
                    );
                }
                ActKind::Request("pauseRequested") if self.pauses_at.get(index).is_some_and(|then| *then == paused) => {
                    return broken(
                        "A request for a pause is granted before the next wave.",
                        format!("wave {wave_number}"),
                    );
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
            return broken("A cancel wins over the resume that follows it.", format!("wave {wave_number}"));
        }
        let word = |wanted: Word| answers(state, id, "AwaitDecision", |word| word == wanted) > 0;
        let dry = text(record, "mode") == "DRY_RUN";
        let may = match (text(before, "status"), text(before, "onFailure")) {
            ("COMPLETED" | "PARTIAL", _) => true,
            ("SKIPPED", _) => dry || word(Word::Skip),
            ("FAILED", "continue") => true,
            ("FAILED", "gate") => word(Word::Continue) || word(Word::Skip),
            _ => false,
        };
        if !may {
            let detail = format!("wave {wave_number} after a wave {}", text(before, "status"));
            return broken("After a failed wave the plan's policy decides, or a person.", detail);
        }
        Ok(())
    }

    /// What must be on record before DRS is asked to launch.
    fn launches_are_announced(&mut self, state: &State, id: &str, record: &Item) -> Result<(), Violation> {
        let new = state.launches.all().get(self.launches_seen..).unwrap_or_default();
        self.launches_seen = state.launches.all().len();
        // What was on record when a late one left may be gone.
        for launch in new.iter().filter(|launch| *launch.by == *id && !launch.late) {
            let job = &launch.job;
            let asked: BTreeSet<&str> = launch.servers.iter().map(|server| server.as_str()).collect();
            let names = |shard: &&Item| servers(shard).any(|server| asked.contains(field(server, "sourceServerId")));
            let Some(shard) = shards_of(state, id, "").find(names) else { continue };
            let intent = shard.get("intent").unwrap_or(&Value::Null);
            let intended: BTreeSet<&str> = intent
                .get("sourceServerIds")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            if intended != asked || field(intent, "state") != "INTENDED" || field(intent, "lastSentAt").is_empty() {
                return broken("StartRecovery is sent only for an intent on record, marked as sent.", job.to_string());
            }
            let drill = text(record, "executionType") == "DRILL";
            if launch.is_drill != drill {
                return broken("A drill is launched as a drill, a recovery as a recovery.", job.to_string());
            }
            for server in asked {
                let locked = state
                    .tables
                    .all(TableKey::ServerLocks)
                    .any(|lock| text(lock, "executionId") == id && text(lock, "server").ends_with(server));
                if !locked {
                    return broken("Only a server this run has locked is launched.", server);
                }
            }
        }
        Ok(())
    }

    fn cleanup_is_fenced(&mut self, record: &Item) -> Result<(), Violation> {
        let Some(cleanup) = record.get("cleanup") else { return Ok(()) };
        let version = cleanup.get("version").and_then(Value::as_u64).unwrap_or_default();
        let jobs = cleanup.get("jobs").cloned().unwrap_or_default();
        let known = self.cleanup_version;
        let lost = version < known || version > known + 1 || (version == known && jobs != self.cleanup_jobs);
        (self.cleanup_version, self.cleanup_jobs) = (version, jobs);
        if lost && known > 0 {
            return broken("A cleanup is only ever replaced by its next version.", format!("{known} by {version}"));
        }
        Ok(())
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
            return broken("The record counts its waves right.", format!("{told}, not {completed} and {failed}"));
        }
        let outcome = |name: &str| record.get("outcome").map(|outcome| field(outcome, name));
        // Unless the machine was made to fail.
        let made_to = outcome("reason") == Some("MACHINE_FAILED");
        if outcome("error") == Some("Tidegate.MachineFault") && !made_to {
            return broken("The machine and the record never disagree about the waves.", text(record, "status"));
        }
        let cleanup = record.get("cleanup").map(|cleanup| field(cleanup, "status"));
        let kept = record.get("keepInstances") == Some(&Value::Bool(true));
        let drill = text(record, "executionType") == "DRILL";
        // Who continues a run takes its instances over.
        let launched =
            state.launches.all().iter().any(|launch| *launch.by == *id) && !record.contains_key("continuedBy");
        if drill && !kept && launched && !matches!(cleanup, Some("COMPLETED" | "FAILED")) {
            return broken(
                "A drill's instances are cleaned up, or the record says that they are not.",
                cleanup.unwrap_or("none"),
            );
        }
        let everything = waves.iter().copied().chain([record]);
        if everything.flat_map(Item::values).any(|value| value.to_string().contains(TOKEN)) {
            return broken("No task token is left in the records of a finished run.", id);
        }
        Ok(())
    }
}

/// A COMPLETED wave has its servers on record, with what EC2 says of them; a wave may end without EC2's word only when EC2
/// was given time to speak.
fn completed_wave_is_stored(state: &State, id: &str, record: &Item, wave: &Item) -> Result<(), Violation> {
    if text(wave, "status") != "COMPLETED" || text(record, "mode") == "DRY_RUN" {
        return Ok(());
    }
    let end = text(wave, "endTime");
    let late = || {
        seconds_between(text(wave, "attemptStartTime"), end).is_some_and(|seconds| {
            seconds + state.clocks_differ >= i64::try_from(number(wave, "timeoutSeconds")).unwrap_or(0)
        })
    };
    for server in shards_of(state, id, text(wave, "waveKey")).flat_map(servers) {
        if field(server, "launchStatus") != "LAUNCHED" {
            return broken("Every server of a COMPLETED wave is LAUNCHED on record.", server.to_string());
        }
        let enriched = ["instanceId", "recoveryInstanceId", "instanceType", "privateIp", "launchTime"]
            .iter()
            .all(|name| !field(server, name).is_empty());
        let waited = || {
            seconds_between(field(server, "launchedTime"), end)
                .is_some_and(|seconds| seconds + state.clocks_differ >= i64::from(ENRICHMENT_GRACE_SECONDS))
        };
        if !(enriched || waited() || late()) {
            return broken(
                "A wave is COMPLETED after its servers are enriched, or EC2 had its time.",
                server.to_string(),
            );
        }
    }
    Ok(())
}

fn jobs_are_ours(state: &State, shard: &Item) -> Result<(), Violation> {
    let job = shard.get("job").map_or("", |job| field(job, "jobId"));
    if !job.is_empty() && state.launches.of_job(job).is_none() {
        return broken("Every job on record was started by this run.", job);
    }
    Ok(())
}

fn members_are_those_of_the_record(record: &Item, members: &Item) -> Result<(), Violation> {
    let hash = text(record, "membershipHash");
    if !hash.is_empty() && text(members, "membershipHash") != hash {
        return broken("Who is in a wave never changes.", text(members, "waveKey"));
    }
    Ok(())
}
