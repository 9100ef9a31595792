//! Continuing an execution that ended without having recovered everything: whether it may be, where it goes on, what the new
//! execution takes over and what it still has to launch.
//!
//! ```text
//!   wave of the old run      standing       the new run's item      begins at
//!   COMPLETED, PARTIAL       Done           as it was               passed by
//!   SKIPPED by an operator   Done           as it was               passed by
//!   FAILED, all terminal     Failed         FAILED                  the next attempt: only what failed and left nothing
//!   under way                Interrupted    FAILED                  the next attempt, the same intents: look, then adopt
//!   never started            Untouched      none                    attempt 1
//! ```
//! Whether a wave failed or was interrupted is told by its servers, not by its item: finalize marks every open wave FAILED.

use crate::input_check::{drill_replaces_nothing_recovered, problem};
use crate::membership::Membership;
use crate::observed::RecoveryInstance;
use crate::time;
use crate::wave_start::retry_shard;
use crate::wave_verdict::{ServerFate, apply_policy, count, fate};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::activities::WaveDescriptor;
use tidegate_contract::input::ContinueInput;
use tidegate_contract::records::{
    Cleanup, ExecutionRecord, InstanceTerms, IntentState, Member, Problem, ShardRecord, Target, WaveRecord,
};
use tidegate_contract::{
    CleanupStatus, ExecutionId, ExecutionStatus, ExecutionType, LaunchStatus, Mode, SourceServerId, WavePhase,
    WaveStatus,
};

/// The timeline's entry of the write that makes an execution IN_PROGRESS: from then on it may launch, and what it took over
/// is its own.
pub const BEGAN: &str = "PREPARED";

/// The timeline's entry of a gate that somebody let the execution pass; written by the machine.
const RESUMED: &str = "RESUMED";

/// True once prepare has done everything, locks and takeover included.
pub fn has_begun(record: &ExecutionRecord) -> bool {
    record.timeline.iter().any(|entry| entry.event == BEGAN)
}

/// What became of a record's `continuedBy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor<'a> {
    /// Nobody continues it.
    None,
    /// This execution is about to take over; it may still fail to.
    Preparing(&'a ExecutionId),
    /// This execution has taken over: instances and their cleanup are its own.
    Owner(&'a ExecutionId),
    /// This execution ended before it took over: everything is as if it had never been.
    NeverBegan(&'a ExecutionId),
}

/// `by`: the record of the execution named in `continuedBy`. It is created before the name is written, so one that is not
/// there has been removed since: it counts as the owner, because nobody can tell any more.
pub fn successor<'a>(record: &'a ExecutionRecord, by: Option<&ExecutionRecord>) -> Successor<'a> {
    match (&record.continued_by, by) {
        (None, _) => Successor::None,
        (Some(id), None) => Successor::Owner(id),
        (Some(id), Some(by)) if has_begun(by) => Successor::Owner(id),
        (Some(id), Some(by)) if by.status.is_terminal() => Successor::NeverBegan(id),
        (Some(id), Some(_)) => Successor::Preparing(id),
    }
}

/// Whose the drill instances on a record's shards are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances<'a> {
    /// This execution's: it may terminate them.
    Own,
    /// Not decided yet: that execution is about to take them over, or to fail to.
    Undecided(&'a ExecutionId),
    /// That execution's, and only its cleanup may touch them.
    Of(&'a ExecutionId),
}

/// Whether an execution may terminate what its shards name. An execution that was to continue another one and ended before
/// it began has copies of that one's shards, but never took the instances over.
pub fn instances_of<'a>(record: &'a ExecutionRecord, by: Option<&ExecutionRecord>) -> Instances<'a> {
    if let Some(first) = record.continues.as_ref().filter(|_| !has_begun(record)) {
        return Instances::Of(first);
    }
    match successor(record, by) {
        Successor::None | Successor::NeverBegan(_) => Instances::Own,
        Successor::Preparing(id) => Instances::Undecided(id),
        Successor::Owner(id) => Instances::Of(id),
    }
}

/// How long a drill's instances stay up: as its record says, or, if it asked for less than the run it continues had promised, as
/// it asked once somebody has let it go on. Whoever may start could throw away what others keep else; an answer of a gate takes
/// the right to approve.
pub fn terms(record: &ExecutionRecord) -> InstanceTerms {
    let own = InstanceTerms { hold_seconds: record.hold_seconds, keep_instances: record.keep_instances };
    record.weakened.filter(|_| record.timeline.iter().any(|entry| entry.event == RESUMED)).unwrap_or(own)
}

/// The terms of a continuation: those that hold, and those that will once a gate was answered, where they promise less.
pub fn terms_of(request: &ContinueInput, old: &ExecutionRecord) -> (InstanceTerms, Option<InstanceTerms>) {
    let before = terms(old);
    let asked = InstanceTerms {
        hold_seconds: request.options.hold_seconds.unwrap_or(before.hold_seconds),
        keep_instances: request.options.keep_instances.unwrap_or(before.keep_instances),
    };
    let weaker = if before.keep_instances {
        !asked.keep_instances
    } else {
        !asked.keep_instances && asked.hold_seconds < before.hold_seconds
    };
    if weaker { (before, Some(asked)) } else { (asked, None) }
}

/// Why the input contradicts the execution it names.
pub fn contradictions(request: &ContinueInput, old: &ExecutionRecord) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(given) = request.execution_type.filter(|given| *given != old.execution_type) {
        problems.push(problem(
            "executionType",
            &format!("is {given}, but {} is a {}", old.execution_id, old.execution_type),
            "leave it out: a continuation is of the same type",
        ));
    }
    if let Some(given) = request.mode.filter(|given| *given != Mode::Run) {
        problems.push(problem("mode", &format!("is {given}, but a continuation runs"), "leave it out"));
    }
    let options = &request.options;
    let drill_only = [
        ("options.holdSeconds", options.hold_seconds.is_some_and(|seconds| seconds > 0)),
        ("options.keepInstances", options.keep_instances == Some(true)),
    ];
    for (field, _) in
        drill_only.into_iter().filter(|(_, given)| *given && old.execution_type == ExecutionType::Recovery)
    {
        problems.push(problem(field, "is for drills only: a recovery's instances are always kept", "leave it out"));
    }
    if options.replace_recovered && old.execution_type.is_drill() {
        problems.push(drill_replaces_nothing_recovered());
    }
    problems
}

/// Why this execution cannot be continued, whatever its waves say.
pub fn refusals(old: &ExecutionRecord, successor: &Successor<'_>) -> Vec<Problem> {
    let id = &old.execution_id;
    let refuse = |message: String, remedy: &str| problem("continueExecution", &message, remedy);
    let mut problems = Vec::new();
    if old.mode != Mode::Run {
        problems.push(refuse(format!("{id} was a {}: it launched nothing", old.mode), "start the plan itself"));
    } else if !old.status.is_terminal() {
        problems.push(refuse(
            format!("{id} has not ended: its record says {}", old.status),
            &format!(
                "let it end, or cancel it; if its Step Functions execution has ended already, run `tidegate reconcile {id}` first"
            ),
        ));
    } else if old.status == ExecutionStatus::Completed {
        problems.push(refuse(format!("{id} is COMPLETED: nothing is left to do"), "start the plan for another run"));
    } else if !has_begun(old) {
        problems.push(match &old.continues {
            Some(first) => refuse(
                format!("{id} ended before it had taken over anything of {first}"),
                &format!("continue {first} instead"),
            ),
            None => refuse(format!("{id} ended before it began: it launched nothing"), "start the plan itself"),
        });
    }
    if let Some(cleanup) = old.cleanup.as_ref().filter(|cleanup| !is_untouched(cleanup)) {
        problems.push(refuse(
            format!("the cleanup of {id} is {}: its drill instances are gone or about to go", cleanup.status),
            "start the plan again; a drill that may be continued needs options.keepInstances or time in options.holdSeconds",
        ));
    }
    match successor {
        Successor::None | Successor::NeverBegan(_) => {}
        Successor::Preparing(by) => {
            problems.push(refuse(format!("{id} is being continued by {by}"), &format!("watch {by}")));
        }
        Successor::Owner(by) => {
            problems.push(refuse(
                format!("{id} was continued by {by}"),
                &format!("continue {by} instead, once it has ended"),
            ));
        }
    }
    problems
}

/// A cleanup that never asked DRS for anything: it could not begin, or the run was stopped before it.
fn is_untouched(cleanup: &Cleanup) -> bool {
    cleanup.status == CleanupStatus::Failed && cleanup.jobs.is_empty() && cleanup.instances == 0
}

/// Where a wave of the old run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Done,
    Interrupted,
    Failed,
    Untouched,
}

/// Judges one wave of the old run by its item and its shards.
pub fn standing(wave: Option<&WaveRecord>, shards: &[&ShardRecord], execution_type: ExecutionType) -> Standing {
    let Some(wave) = wave else { return Standing::Untouched };
    match wave.status {
        WaveStatus::Completed | WaveStatus::Partial => Standing::Done,
        // Finalize's word for a wave that never began; an operator's skip has an attempt behind it.
        WaveStatus::Skipped if wave.attempt == 0 => Standing::Untouched,
        WaveStatus::Skipped => Standing::Done,
        WaveStatus::Pending | WaveStatus::Starting | WaveStatus::Polling | WaveStatus::Failed => {
            if shards.iter().any(|shard| shard.intent.attempt > wave.attempt) {
                // It failed, and its retry was interrupted half way: the next attempt is that retry.
                return Standing::Failed;
            }
            let shards: Vec<ShardRecord> = shards.iter().map(|shard| with_withdrawn_open(shard)).collect();
            let settled = count(&shards, execution_type).active == 0;
            let failed = apply_policy(&shards, wave.min_launched.as_ref(), execution_type) == WaveStatus::Failed;
            if settled && failed { Standing::Failed } else { Standing::Interrupted }
        }
    }
}

/// An ended run as its items tell it.
#[derive(Debug, Clone, Copy)]
pub struct OldRun<'a> {
    pub execution_type: ExecutionType,
    /// The planned waves.
    pub waves: &'a [WaveDescriptor],
    pub items: &'a [WaveRecord],
    pub shards: &'a [ShardRecord],
}

impl OldRun<'_> {
    /// The standing of every planned wave, in order.
    pub fn standings(&self) -> Vec<Standing> {
        self.waves.iter().map(|wave| self.standing_of(wave.wave_number)).collect()
    }

    /// The standing of one wave.
    pub fn standing_of(&self, wave_number: u32) -> Standing {
        let item = self.items.iter().find(|item| item.wave_number == wave_number);
        let shards: Vec<&ShardRecord> = self.shards.iter().filter(|shard| shard.wave_number == wave_number).collect();
        standing(item, &shards, self.execution_type)
    }

    /// The attempt at which a wave is taken up again.
    pub fn next_attempt(&self, wave_number: u32) -> u32 {
        self.items.iter().find(|item| item.wave_number == wave_number).map_or(1, |item| item.attempt + 1)
    }

    /// Servers that still have to be launched, by wave: the others run, are on their way, or may be (start-wave looks for an
    /// [unanswered](Self::unanswered) call), and what holds them is our own.
    pub fn to_launch(&self, membership: &Membership, now: Timestamp) -> Membership {
        self.waves
            .iter()
            .zip(membership)
            .map(|(wave, members)| match self.standing_of(wave.wave_number) {
                Standing::Done => Vec::new(),
                Standing::Untouched => members.clone(),
                Standing::Interrupted | Standing::Failed => {
                    let mut unsent = self.intended(wave.wave_number, now);
                    unsent.retain(|shard| shard.intent.last_sent_at.is_none());
                    of_shards(members, &unsent)
                }
            })
            .collect()
    }

    /// Shards with a call that was made and never answered. The new run looks for their jobs, and where it finds none it sends
    /// again: a call that never reached DRS is no reason to leave its servers out.
    pub fn unanswered(&self, now: Timestamp) -> Vec<ShardRecord> {
        let mut shards: Vec<ShardRecord> =
            self.waves.iter().flat_map(|wave| self.intended(wave.wave_number, now)).collect();
        shards.retain(|shard| shard.intent.last_sent_at.is_some());
        shards
    }

    /// Shards of a wave whose launch is open when start-wave of the new run meets them.
    fn intended(&self, wave_number: u32, now: Timestamp) -> Vec<ShardRecord> {
        let (standing, next) = (self.standing_of(wave_number), self.next_attempt(wave_number));
        if matches!(standing, Standing::Done | Standing::Untouched) {
            return Vec::new();
        }
        let met = |shard: &ShardRecord| {
            let mut met = carry_shard(shard, standing, next, &shard.execution_id);
            retry_shard(&mut met, next, now);
            met
        };
        let shards = self.shards.iter().filter(|shard| shard.wave_number == wave_number).map(met);
        shards.filter(|shard| shard.intent.state == IntentState::Intended).collect()
    }

    /// Servers the old run has ready, by target.
    pub fn ready_servers(&self) -> BTreeMap<Target, Vec<SourceServerId>> {
        let mut ready: BTreeMap<Target, Vec<SourceServerId>> = BTreeMap::new();
        for shard in self.shards {
            let ids = shard
                .server_statuses
                .iter()
                .filter(|server| fate(server, self.execution_type) == ServerFate::Ready)
                .map(|server| server.source_server_id.clone());
            ready.entry(shard.target.clone()).or_default().extend(ids);
        }
        ready.retain(|_, ids| !ids.is_empty());
        ready
    }

    /// Ready servers whose instance DRS does not list any more, or as one that is gone. Worth a warning and no more: an instance may have been taken
    /// out of DRS on purpose, so its absence proves nothing, and a second launch cannot be called back.
    pub fn vanished(&self, target: &Target, instances: &[RecoveryInstance]) -> Vec<Problem> {
        let alive = instances.iter().filter(|instance| instance.state.is_alive());
        let listed: BTreeSet<&str> = alive.map(|instance| instance.recovery_instance_id.as_str()).collect();
        let mut warnings = Vec::new();
        for shard in self.shards.iter().filter(|shard| shard.target == *target) {
            for server in &shard.server_statuses {
                let gone = server.recovery_instance_id.as_deref().filter(|id| !listed.contains(id));
                if let Some(instance) = gone.filter(|_| fate(server, self.execution_type) == ServerFate::Ready) {
                    warnings.push(problem(
                        &format!("plan.waves[{}]", shard.wave_number.saturating_sub(1)),
                        &format!(
                            "{} counts as launched, but its recovery instance {instance} is gone, or DRS lists it no more",
                            server.source_server_id
                        ),
                        "look whether the server runs; a continuation does not launch it again",
                    ));
                }
            }
        }
        warnings
    }
}

/// The members whose launch these shards intend.
pub fn of_shards(members: &[Member], shards: &[ShardRecord]) -> Vec<Member> {
    let intended: BTreeSet<(&Target, &SourceServerId)> =
        shards.iter().flat_map(|shard| shard.intent.source_server_ids.iter().map(|id| (&shard.target, id))).collect();
    members.iter().filter(|one| intended.contains(&(&one.target, &one.source_server_id))).cloned().collect()
}

/// A shard as the new execution takes it over. Of an interrupted wave the intent keeps its id, its servers and its times, so
/// that start-wave looks for the very call the old run made, and it is at the next attempt already, so that nothing is retried:
/// the wave goes on as if it had not been interrupted. An intent that was withdrawn is open again.
pub fn carry_shard(shard: &ShardRecord, standing: Standing, next_attempt: u32, id: &ExecutionId) -> ShardRecord {
    let mut carried = match standing {
        Standing::Interrupted => with_withdrawn_open(shard),
        Standing::Done | Standing::Failed | Standing::Untouched => shard.clone(),
    };
    carried.execution_id = id.clone();
    carried.version = 1;
    if standing == Standing::Interrupted {
        carried.intent.attempt = next_attempt;
        if let Some(job) = &mut carried.job {
            // Nobody looked meanwhile: grace periods begin with the new run's own first look.
            job.completed_seen_at = None;
            job.missing_since = None;
        }
    }
    carried
}

/// A cancel or the run's end withdraws an intent, so that nobody sends it: its servers are not launched yet, they did not
/// fail. Those of an intent that DRS refused did; whether a call is on its mark tells nothing, because a refused call takes
/// its own mark back.
fn with_withdrawn_open(shard: &ShardRecord) -> ShardRecord {
    let mut open = shard.clone();
    if shard.intent.state != IntentState::Refused || !shard.intent.withdrawn || shard.job.is_some() {
        return open;
    }
    open.intent.state = IntentState::Intended;
    open.intent.refusal = String::new();
    open.intent.withdrawn = false;
    open.phase = WavePhase::Starting;
    for server in &mut open.server_statuses {
        let waiting = shard.intent.source_server_ids.contains(&server.source_server_id);
        if waiting && server.launch_status == LaunchStatus::Failed {
            // The refusal's own transition goes: the server waits as it did before.
            server.transition_history.pop();
            server.launch_status = LaunchStatus::Pending;
            server.error = None;
        }
    }
    open
}

/// A wave's item as the new execution takes it over; None for a wave that begins anew. One that is to go on is FAILED until
/// start-wave opens its next attempt, with the plan's whole time before it: no wave is under way before the machine enters it.
/// Polls are counted from here, because they are paid for out of the new execution's history.
pub fn carry_wave(wave: &WaveRecord, standing: Standing, id: &ExecutionId, now: Timestamp) -> Option<WaveRecord> {
    let mut carried = WaveRecord { execution_id: id.clone(), version: 1, poll_attempts: 0, ..wave.clone() };
    match standing {
        Standing::Untouched => return None,
        Standing::Done => {}
        Standing::Failed | Standing::Interrupted => {
            carried.status = WaveStatus::Failed;
            carried.phase = WavePhase::Settled;
            carried.end_time.get_or_insert_with(|| time::format(now));
        }
    }
    Some(carried)
}

/// Where the machine's cursor begins.
#[derive(Debug, Clone, PartialEq)]
pub struct StartingPoint {
    /// The waves as the machine is to see them.
    pub waves: Vec<WaveDescriptor>,
    pub first_index: u32,
    pub first_attempts: Vec<u32>,
    pub completed_waves: u32,
}

/// The starting point, from what lies in the new execution and from nothing else, so that a repeated prepare answers the same.
///
/// A wave that had begun does not pause again: somebody let it begin, and somebody asked to continue it. A settled wave
/// behind the first one is passed: no pause, no wait. A wave that never began pauses as the plan says, also if its gate was
/// answered in the old run. `asks_first`: a person has to say yes before the execution goes on at all.
pub fn starting_point(planned: &[WaveDescriptor], carried: &[WaveRecord], asks_first: bool) -> StartingPoint {
    let mut waves = planned.to_vec();
    let mut first_attempts = Vec::new();
    let (mut first_index, mut completed_waves) = (None, 0);
    for (index, wave) in (0u32..).zip(&mut waves) {
        let item = carried.iter().find(|item| item.wave_number == wave.wave_number);
        let status = item.map(|item| item.status);
        let done = matches!(status, Some(WaveStatus::Completed | WaveStatus::Partial | WaveStatus::Skipped));
        wave.pause_before_wave &= item.is_none();
        if done {
            wave.wait_after_seconds = 0;
        } else {
            first_index.get_or_insert(index);
        }
        if first_index.is_none() && status != Some(WaveStatus::Skipped) {
            completed_waves += 1;
        }
        let attempt = item.map_or(0, |item| item.attempt);
        first_attempts.push(if done { attempt } else { attempt + 1 });
    }
    if asks_first && let Some(first) = first_index.and_then(|index| waves.get_mut(index as usize)) {
        first.pause_before_wave = true;
    }
    let all = u32::try_from(waves.len()).unwrap_or(u32::MAX);
    StartingPoint { waves, first_index: first_index.unwrap_or(all), first_attempts, completed_waves }
}

#[cfg(test)]
#[path = "continuation_tests.rs"]
mod tests;
