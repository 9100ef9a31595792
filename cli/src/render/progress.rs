//! Live progress: the overall line and a line per wave, drawn as bars on a terminal.

use super::text::{count, duration};
use crate::looking::cleanup_is_open;
use crate::view::{RunView, WaveView};
use jiff::Timestamp;
use std::collections::BTreeSet;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::{Cleanup, ExecutionRecord, InstanceTerms, WaveRecord};
use tidegate_contract::{CleanupStatus, ExecutionStatus, ExecutionType, Mode, WavePhase, WaveStatus};
use tidegate_core::continuation::terms;
use tidegate_core::time;

/// A wave as a bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) ready: u64,
    pub(crate) total: u64,
    pub(crate) message: String,
}

/// Longest label; longer wave names are cut.
const LABEL: usize = 26;

/// `DRILL  POLLING  wave 2 of 3  41m 00s of 1h 00m expected (68%)`.
pub(crate) fn render_overall(view: &RunView, now: Timestamp) -> String {
    let record = &view.record;
    let mut parts = vec![badge(record), record.status.to_string()];
    if !record.status.is_terminal() && record.current_wave > 0 {
        parts.push(format!("wave {} of {}", record.current_wave, record.total_waves));
    } else {
        parts.push(format!("{} of {}", record.completed_waves, count(record.total_waves, "wave")));
    }
    parts.push(timing(record, now));
    if let Some(extra) = view.pending_requests().into_iter().next().or_else(|| aftermath(record, now)) {
        parts.push(extra);
    }
    parts.join("  ")
}

/// `DRILL`, `RECOVERY`, `DRILL dry run`.
pub(crate) fn badge(record: &ExecutionRecord) -> String {
    let word = record.execution_type.as_str();
    match record.mode {
        Mode::Run => word.to_owned(),
        Mode::DryRun => format!("{word} dry run"),
        Mode::Check => format!("{word} check"),
    }
}

/// `41m 00s of 1h 00m expected (68%)`.
pub(crate) fn timing(record: &ExecutionRecord, now: Timestamp) -> String {
    let elapsed = elapsed_seconds(record, now);
    let expected = record.expected_duration;
    if expected == 0 || record.mode != Mode::Run {
        return duration(elapsed);
    }
    let percent = u64::from(elapsed) * 100 / u64::from(expected);
    let so_far = if record.status.is_terminal() { String::new() } else { format!(" ({percent}%)") };
    format!("{} of {} expected{so_far}", duration(elapsed), duration(expected))
}

/// From the start to the end, or until now.
pub(crate) fn elapsed_seconds(record: &ExecutionRecord, now: Timestamp) -> u32 {
    record.duration_seconds.unwrap_or_else(|| {
        let until = record.end_time.as_deref().and_then(time::parse).unwrap_or(now);
        time::seconds_since(&record.start_time, until)
    })
}

/// What still happens after the outcome is written.
fn aftermath(record: &ExecutionRecord, now: Timestamp) -> Option<String> {
    let due = record.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due);
    match &record.cleanup {
        Some(cleanup) if cleanup.status == CleanupStatus::Running => {
            Some(format!("terminating {}", count(cleanup.instances, "instance")))
        }
        Some(_) | None if !due || !cleanup_is_open(record) => None,
        Some(_) | None => {
            let held = record.end_time.as_deref().map_or(0, |end| time::seconds_since(end, now));
            let rest = terms(record).hold_seconds.saturating_sub(held);
            Some(if rest > 0 {
                format!("instances held for {} more", duration(rest))
            } else {
                "cleanup due".to_owned()
            })
        }
    }
}

/// One wave's bar.
pub(crate) fn render_bar(view: &RunView, wave: &WaveView, now: Timestamp) -> Bar {
    let counts = wave.counts();
    let label: String = format!("{} {}", wave.number, spell_out(&wave.name)).chars().take(LABEL).collect();
    let mut parts = Vec::new();
    match &wave.item {
        None if view.record.status.is_terminal() => parts.push("never started".to_owned()),
        None => parts.push("waiting".to_owned()),
        Some(item) => {
            parts.push(stage(&view.record, item));
            if counts.failed > 0 {
                parts.push(format!("{} failed", counts.failed));
            }
            if counts.skipped > 0 {
                parts.push(format!("{} skipped", counts.skipped));
            }
            if item.attempt > 1 {
                parts.push(format!("attempt {}", item.attempt));
            }
            if item.attempt > 0 {
                parts.push(duration(wave_seconds(item, now)));
            }
        }
    }
    if let Some(gate) = view.record.gate.as_ref().filter(|gate| gate.wave_number == wave.number) {
        parts.insert(0, format!("PAUSED {}", duration(time::seconds_since(&gate.since, now))));
    }
    Bar { label, ready: u64::from(counts.ready), total: u64::from(counts.total), message: parts.join(", ") }
}

/// The wave's status once it is settled, and until then what it is waiting for, in words.
fn stage(record: &ExecutionRecord, item: &WaveRecord) -> String {
    if item.status.is_settled() {
        return item.status.to_string();
    }
    let words = match item.phase {
        WavePhase::Starting => "starting jobs",
        WavePhase::Snapshot => "taking snapshots",
        WavePhase::Conversion => "converting, the longest part",
        WavePhase::Launching => "launching instances",
        WavePhase::PostLaunch => match record.execution_type {
            ExecutionType::Drill => "post-launch actions (not waited for)",
            ExecutionType::Recovery => "post-launch actions",
        },
        WavePhase::Enriching => "reading instance details",
        WavePhase::Settled => "settling",
    };
    words.to_owned()
}

/// How long the wave has run, or ran.
pub(crate) fn wave_seconds(item: &WaveRecord, now: Timestamp) -> u32 {
    let until = item.end_time.as_deref().and_then(time::parse).unwrap_or(now);
    time::seconds_since(&item.start_time, until)
}

/// Which waves have a bar when there are more than `size`: those around the current one.
pub(crate) fn window(view: &RunView, size: usize) -> &[WaveView] {
    let total = view.waves.len();
    if total <= size {
        return &view.waves;
    }
    let current = view.waves.iter().position(|wave| wave.status() != WaveStatus::Completed).unwrap_or(total - 1);
    let begin = current.saturating_sub(size / 3).min(total - size);
    &view.waves[begin..begin + size]
}

/// What becomes of the launched instances; only what is true at this moment.
pub(crate) fn instances_hint(record: &ExecutionRecord) -> Option<String> {
    if record.mode != Mode::Run {
        return Some("dry run: nothing is launched".to_owned());
    }
    if record.execution_type == ExecutionType::Recovery {
        return None;
    }
    let InstanceTerms { hold_seconds, keep_instances } = terms(record);
    if keep_instances {
        return Some("instances are kept running, as asked; terminate them yourself".to_owned());
    }
    let held = if hold_seconds > 0 { format!(", {} after its end", duration(hold_seconds)) } else { String::new() };
    let Some(outcome) = record.outcome.as_ref().filter(|_| record.status.is_terminal()) else {
        return (record.status != ExecutionStatus::Pending)
            .then(|| format!("instances will be terminated when the drill has ended{held}"));
    };
    let Some(cleanup) = &record.cleanup else {
        return Some(if outcome.cleanup_due {
            format!("instances will be terminated{held}")
        } else {
            "no instance was launched, so there is none to terminate".to_owned()
        });
    };
    let instances = count(cleanup.instances, "instance");
    Some(match cleanup.status {
        CleanupStatus::NotNeeded => "no instance was left to terminate".to_owned(),
        CleanupStatus::Running => format!("{instances} being terminated"),
        CleanupStatus::Completed => format!("{instances} terminated{}", replaced(cleanup)),
        CleanupStatus::Failed => format!("instances are NOT all terminated: {}", spell_out(&cleanup.error)),
    })
}

/// What another run's launch had deleted before.
fn replaced(cleanup: &Cleanup) -> String {
    let runs: BTreeSet<&str> = cleanup.replaced.iter().map(|one| one.by.as_str()).collect();
    if runs.is_empty() {
        return String::new();
    }
    let number = u32::try_from(cleanup.replaced.len()).unwrap_or(u32::MAX);
    format!(", {} deleted by DRS for {}", number, spell_out(&runs.into_iter().collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{cleanup, drill_view, now, outcome, partial_view, paused_view, record, wave};
    use tidegate_contract::records::{Asked, Flag, GateKind};

    #[test]
    fn the_overall_line_tells_badge_status_wave_and_time() {
        assert_eq!(
            render_overall(&drill_view(), now()),
            "DRILL  POLLING  wave 2 of 3  41m 00s of 1h 00m expected (68%)"
        );
        let mut view = drill_view();
        view.requests.pause = Asked::Yes;
        assert!(render_overall(&view, now()).ends_with("pause requested"));
        view.requests.cancel = Asked::Unclear;
        assert!(render_overall(&view, now()).contains("cancel requested unclearly"));
        let mut view = drill_view();
        view.record.pause_requested = Flag::On;
        assert!(render_overall(&view, now()).ends_with("pause requested"), "under an earlier definition");
        assert_eq!(
            render_overall(&partial_view(), now()),
            "DRILL  PARTIAL  3 of 3 waves  41m 00s of 1h 00m expected  terminating 3 instances"
        );
    }

    #[test]
    fn a_drill_that_is_held_says_for_how_long() {
        let mut view = partial_view();
        view.record.cleanup = None;
        view.record.hold_seconds = 600;
        let later = now() + jiff::SignedDuration::from_secs(60);
        assert!(render_overall(&view, later).ends_with("instances held for 9m 00s more"));
        assert!(render_overall(&view, now() + jiff::SignedDuration::from_secs(700)).ends_with("cleanup due"));
    }

    #[test]
    fn bars_tell_what_each_wave_is_waiting_for() {
        let view = drill_view();
        let bars: Vec<Bar> = view.waves.iter().map(|wave| render_bar(&view, wave, now())).collect();
        assert_eq!((bars[0].ready, bars[0].total), (2, 2));
        assert_eq!(bars[0].message, "COMPLETED, 19m 45s");
        assert_eq!(bars[1].message, "converting, the longest part, 16m 00s");
        assert_eq!((bars[2].label.as_str(), bars[2].message.as_str()), ("3 web", "waiting"));
        assert_eq!((bars[2].ready, bars[2].total), (0, 2));
        let paused = paused_view(GateKind::Resume);
        assert!(render_bar(&paused, &paused.waves[1], now()).message.starts_with("PAUSED 20m 00s"));
    }

    #[test]
    fn of_many_waves_those_around_the_current_one_are_shown() {
        let mut record = record(ExecutionStatus::Polling);
        let template = record.waves[0].clone();
        record.waves = (1..=40)
            .map(|wave_number| tidegate_contract::activities::WaveDescriptor { wave_number, ..template.clone() })
            .collect();
        let done = (1..=20).map(|number| wave(number, WaveStatus::Completed)).collect();
        let view = RunView::new(record, done, Vec::new());
        let shown: Vec<u32> = window(&view, 9).iter().map(|wave| wave.number).collect();
        assert_eq!(shown, (18..=26).collect::<Vec<_>>());
        assert_eq!(window(&view, 100).len(), 40);
    }

    #[test]
    fn what_another_runs_launch_had_deleted_is_told_with_its_name() {
        let mut record = record(ExecutionStatus::Completed);
        record.outcome = Some(outcome("", "", true));
        let mut done = cleanup(CleanupStatus::Completed);
        done.replaced.push(tidegate_contract::records::ReplacedInstance {
            instance_id: "i-0".to_owned(),
            source_server_id: "s-0".into(),
            by: "run-2".to_owned(),
        });
        record.cleanup = Some(done);
        assert_eq!(instances_hint(&record).unwrap(), "3 instances terminated, 1 deleted by DRS for run-2");
    }

    #[test]
    fn termination_is_promised_only_when_it_is_true() {
        let promise = |change: &dyn Fn(&mut ExecutionRecord)| {
            let mut record = record(ExecutionStatus::Polling);
            change(&mut record);
            instances_hint(&record).unwrap_or_default()
        };
        assert!(promise(&|_| {}).contains("will be terminated"));
        assert!(!promise(&|record| record.keep_instances = true).contains("will be terminated"));
        assert_eq!(promise(&|record| record.execution_type = ExecutionType::Recovery), "");
        assert_eq!(promise(&|record| record.mode = Mode::DryRun), "dry run: nothing is launched");
        let ended = |due: bool, cleaned: Option<CleanupStatus>| {
            let mut record = record(ExecutionStatus::Completed);
            record.outcome = Some(outcome("", "", due));
            record.cleanup = cleaned.map(cleanup);
            instances_hint(&record).unwrap()
        };
        assert!(ended(true, None).contains("will be terminated"));
        assert!(ended(false, None).contains("no instance was launched"));
        assert_eq!(ended(true, Some(CleanupStatus::Completed)), "3 instances terminated");
        assert!(ended(true, Some(CleanupStatus::Failed)).contains("NOT all terminated"));
    }
}
