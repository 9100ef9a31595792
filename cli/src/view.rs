//! One execution as its readers see it: the record, and its waves in plan order, started or not.

use std::collections::BTreeMap;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::{
    Asked, ExecutionRecord, Flag, Requests, ServerStatus, ShardRecord, WaveCounts, WaveRecord,
};
use tidegate_contract::{JobId, WavePhase, WaveStatus};

/// A started wave's items.
pub(crate) type WaveItems = (WaveRecord, Vec<ShardRecord>);

/// The record and everything stored about its waves.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunView {
    pub(crate) record: ExecutionRecord,
    pub(crate) waves: Vec<WaveView>,
    pub(crate) requests: Requests,
    /// Items of its waves that are none, each with its key and why.
    pub(crate) unreadable: Vec<String>,
}

/// One wave of the plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WaveView {
    pub(crate) number: u32,
    pub(crate) name: String,
    planned_servers: u32,
    /// None until the wave has started.
    pub(crate) item: Option<WaveRecord>,
    pub(crate) shards: Vec<ShardRecord>,
}

impl RunView {
    pub(crate) fn new(record: ExecutionRecord, waves: Vec<WaveRecord>, shards: Vec<ShardRecord>) -> Self {
        let mut items: BTreeMap<u32, WaveItems> =
            waves.into_iter().map(|wave| (wave.wave_number, (wave, Vec::new()))).collect();
        for shard in shards {
            if let Some((_, of_wave)) = items.get_mut(&shard.wave_number) {
                of_wave.push(shard);
            }
        }
        Self::from_items(record, &items)
    }

    /// From waves that were read one by one.
    pub(crate) fn from_items(record: ExecutionRecord, items: &BTreeMap<u32, WaveItems>) -> Self {
        let mut waves: Vec<WaveView> = record
            .waves
            .iter()
            .map(|planned| WaveView {
                number: planned.wave_number,
                name: planned.wave_name.clone(),
                planned_servers: planned.server_count,
                item: None,
                shards: Vec::new(),
            })
            .collect();
        for (number, (wave, shards)) in items {
            // A wave outside the plan's list would be a fault of ours; hiding it would hide the fault.
            let position = waves.iter().position(|planned| planned.number == *number).unwrap_or_else(|| {
                waves.push(WaveView {
                    number: *number,
                    name: wave.wave_name.clone(),
                    planned_servers: wave.counts.total,
                    item: None,
                    shards: Vec::new(),
                });
                waves.len() - 1
            });
            waves[position].item = Some(wave.clone());
            waves[position].shards = shards.clone();
        }
        Self { record, waves, requests: Requests::default(), unreadable: Vec::new() }
    }

    /// What is asked of it and not done yet. A flag in the record is that of an execution under an earlier definition.
    pub(crate) fn pending_requests(&self) -> Vec<String> {
        if self.record.status.is_terminal() {
            return Vec::new();
        }
        let asked = |what: &str, asked: Asked, flag: Flag, by: &Option<String>| {
            let says = by.as_ref().map(|by| format!(" (says {})", spell_out(by))).unwrap_or_default();
            match asked {
                Asked::Yes => Some(format!("{what} requested{says}")),
                Asked::Unclear => Some(format!("{what} requested unclearly{says}: a gate opens before the next wave")),
                Asked::No => flag.is_on().then(|| format!("{what} requested")),
            }
        };
        let Requests { pause, cancel, pause_by, cancel_by } = &self.requests;
        [
            asked("cancel", *cancel, self.record.cancel_requested, cancel_by),
            asked("pause", *pause, self.record.pause_requested, pause_by),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    pub(crate) fn wave(&self, number: u32) -> Option<&WaveView> {
        self.waves.iter().find(|wave| wave.number == number)
    }
}

impl WaveView {
    pub(crate) fn status(&self) -> WaveStatus {
        self.item.as_ref().map_or(WaveStatus::Pending, |item| item.status)
    }

    pub(crate) fn phase(&self) -> Option<WavePhase> {
        self.item.as_ref().map(|item| item.phase)
    }

    pub(crate) fn counts(&self) -> WaveCounts {
        let planned = WaveCounts { total: self.planned_servers, ..WaveCounts::default() };
        self.item.as_ref().map_or(planned, |item| item.counts)
    }

    /// What went wrong with the wave beyond what its servers tell themselves.
    pub(crate) fn own_error(&self) -> Option<&str> {
        let error = self.item.as_ref().map(|item| item.error.as_str()).filter(|error| !error.is_empty())?;
        let told = self.servers().filter_map(|server| server.error.as_deref()).any(|told| error.contains(told));
        (!told).then_some(error)
    }

    /// Since when DRS has not listed a job of this wave any more; its recorded status is only what DRS said last.
    pub(crate) fn missing_since(&self, job_id: &JobId) -> Option<&str> {
        let jobs = self.shards.iter().filter_map(|shard| shard.job.as_ref());
        jobs.filter(|job| job.job_id == *job_id).find_map(|job| job.missing_since.as_deref())
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &ServerStatus> {
        self.shards.iter().flat_map(|shard| &shard.server_statuses)
    }
}
