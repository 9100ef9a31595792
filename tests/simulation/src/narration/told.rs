//! What is asked and answered at a port, in a few words.

use crate::tables::Refused;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Display;
use tidegate_aws::PortError;
use tidegate_aws::ports::{GoodRun, RunItems};
use tidegate_aws::store::writes::{Change, Write};
use tidegate_contract::records::{
    ExecutionRecord, GroupRecord, JobRecord, LockRecord, MembersRecord, PlanRecord, Requests, ShardRecord, WaveRecord,
};
use tidegate_core::observed::{
    Instance, Job, JobLogItem, JobServer, LaunchAction, LaunchSettings, NativeExecution, RecoveryInstance,
    SeenExecution, SourceServer, TaggedInstance,
};
use tidegate_core::time::format;
use tidegate_simulator::wire;

/// The longest text of one line: an input or an answer may hold a whole plan.
const MOST_CHARS: usize = 400;
/// What a reader of a story wants to know of an item, whatever its kind.
const FIELDS: &[&str] = &[
    "/version",
    "/status",
    "/phase",
    "/attempt",
    "/intent/state",
    "/intent/attempt",
    "/intent/lastSentAt",
    "/intent/refusal",
    "/job/jobId",
    "/job/status",
    "/earlierJobs",
    "/cancelRequested",
    "/continues",
    "/continuedBy",
    "/cleanup/status",
    "/cleanup/version",
    "/cleanup/jobs",
    "/error",
];

/// The beginning of a text.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

fn picked(item: &Value) -> String {
    let field = |pointer: &&str| {
        let value = item
            .pointer(pointer)
            .filter(|value| !value.is_null() && **value != "" && **value != Value::Array(Vec::new()))?;
        let name = pointer.trim_start_matches('/').replace('/', ".");
        Some(match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        })
    };
    short(&list(FIELDS.iter().filter_map(field)))
}

/// A write of the store: the item and what it is to become.
pub(crate) fn write(write: &Write) -> String {
    let table = format!("{:?}", write.table);
    let keys = |key: &[(&'static str, String)]| list(key.iter().map(|(_, value)| value));
    match &write.change {
        Change::Put(item) => {
            let key = ["/server", "/executionId", "/waveKey"].iter().filter_map(|key| item.pointer(key)?.as_str());
            format!("{table} {} {}", list(key), picked(item))
        }
        Change::Update { key, .. } => {
            let value = |(name, value): &(String, Value)| match value {
                Value::Object(_) => format!("{name}({})", picked(value)),
                other => format!("{name}={}", short(&other.to_string())),
            };
            format!("{table} {} {}", keys(key), list(write.values.iter().map(value)))
        }
        Change::Delete { key } => format!("{table} {}", keys(key)),
    }
}

/// Jobs by their ids.
pub(crate) fn jobs_named(ids: &Option<Vec<String>>, since: Option<&str>) -> String {
    let since = since.map(|since| format!("since {since}"));
    list(ids.iter().flatten().cloned().chain(since))
}

/// Servers asked about.
pub(crate) fn instances_of(ids: &[impl Display]) -> String {
    short(&list(ids))
}

/// An answer in a few words.
pub(crate) trait Told {
    fn told(&self) -> String;
}

impl<T: Told> Told for Result<T, PortError> {
    fn told(&self) -> String {
        match self {
            Ok(answer) => short(&answer.told()),
            Err(error) => format!("{error} ({:?}, {:?})", error.class, error.sent),
        }
    }
}

impl Told for Result<(), Refused> {
    fn told(&self) -> String {
        match self {
            Ok(()) => "written".to_owned(),
            Err(_) => "not written: its condition failed".to_owned(),
        }
    }
}

impl<T: Told> Told for Option<T> {
    fn told(&self) -> String {
        self.as_ref().map_or_else(|| "none".to_owned(), T::told)
    }
}

impl<T: Told> Told for Vec<T> {
    fn told(&self) -> String {
        if self.is_empty() {
            return "none".to_owned();
        }
        self.iter().map(T::told).collect::<Vec<_>>().join("; ")
    }
}

impl Told for bool {
    fn told(&self) -> String {
        self.to_string()
    }
}

macro_rules! records {
    ($($record:ty),* $(,)?) => {
        $(impl Told for $record {
            fn told(&self) -> String {
                record(self)
            }
        })*
    };
}

records!(ExecutionRecord, GroupRecord, JobRecord, MembersRecord, PlanRecord, ShardRecord, WaveRecord);

fn record(record: &impl Serialize) -> String {
    serde_json::to_value(record).map(|item| picked(&item)).unwrap_or_default()
}

impl Told for Requests {
    fn told(&self) -> String {
        format!("pause {:?}, cancel {:?}", self.pause, self.cancel)
    }
}

impl Told for SeenExecution {
    fn told(&self) -> String {
        self.status.clone()
    }
}

impl Told for GoodRun {
    fn told(&self) -> String {
        self.execution_id.to_string()
    }
}

impl Told for LockRecord {
    fn told(&self) -> String {
        format!("held by {}", self.execution_id)
    }
}

impl Told for RunItems {
    fn told(&self) -> String {
        let waves = self.waves.iter().map(|wave| format!("{} {}", wave.wave_key, wave.told()));
        let shards = self.shards.iter().map(|shard| format!("{} {}", shard.wave_key, shard.told()));
        waves.chain(shards).collect::<Vec<_>>().join("; ")
    }
}

impl Told for Job {
    fn told(&self) -> String {
        let server = |server: &JobServer| format!("{} {:?}", server.source_server_id, server.launch);
        let created = self.created_at.map(format).unwrap_or_default();
        let servers: Vec<String> = self.servers.iter().map(server).collect();
        format!("{} {} {} of {created} [{}]", self.job_id, self.initiated_by, self.status.as_str(), servers.join(", "))
    }
}

impl Told for wire::Job {
    fn told(&self) -> String {
        crate::translation::job(self.clone()).told()
    }
}

impl Told for JobLogItem {
    fn told(&self) -> String {
        self.event.clone()
    }
}

impl Told for RecoveryInstance {
    fn told(&self) -> String {
        let kind = if self.is_drill { "drill" } else { "recovery" };
        let job = self.job_id.as_ref().map_or("no job", |job| job.as_str());
        format!("{} {kind} of {} by {job}", self.recovery_instance_id, self.source_server_id)
    }
}

impl Told for Instance {
    fn told(&self) -> String {
        format!("{} {}", self.instance_id, self.state)
    }
}

impl Told for TaggedInstance {
    fn told(&self) -> String {
        let job = self.job_id.as_ref().map_or("no job", |job| job.as_str());
        format!("{} of {} by {job}", self.instance_id, self.source_server_id)
    }
}

impl Told for LaunchSettings {
    fn told(&self) -> String {
        let stopped = if self.leaves_stopped { ", left stopped" } else { "" };
        format!("post-launch actions {}{stopped}", if self.post_launch_enabled { "on" } else { "off" })
    }
}

impl Told for LaunchAction {
    fn told(&self) -> String {
        let active = if self.active { "active" } else { "inactive" };
        format!("{active}{}", if self.optional { " optional" } else { "" })
    }
}

impl Told for SourceServer {
    fn told(&self) -> String {
        format!("{} {}", self.source_server_id, self.replication_state)
    }
}

impl Told for NativeExecution {
    fn told(&self) -> String {
        format!("{} [{}]", self.execution_arn, list(&self.source_server_ids))
    }
}
