//! What changed between two looks at an execution, a line each: the story in a log.

use super::gate::wave_title;
use super::spelled::spelled_run;
use super::text::{QUOTE, answer, cause_lines, claimed, count};
use crate::view::{RunView, WaveView};
use tidegate_contract::records::{Cleanup, ExecutionRecord, ServerStatus};
use tidegate_contract::{ExecutionStatus, LaunchStatus, PostLaunchStatus};
use tidegate_core::continuation::terms;

/// Answers at gates; everything else in the timeline shows in statuses.
const TOLD_EVENTS: &[&str] = &["RESUMED", "DECIDED"];

/// One line of the story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) text: String,
    /// Worth a lasting line above moving bars, which show the rest.
    pub(crate) lasting: bool,
}

/// Everything that is new in `now`; with nothing before, where things stand.
pub(crate) fn render_changes(before: Option<&RunView>, now: &RunView) -> Vec<Change> {
    let (before, now) = (before.map(spelled_run), spelled_run(now));
    let (before, now) = (before.as_ref(), &now);
    let mut changes = Changes(Vec::new());
    changes.execution(before.map(|view| &view.record), &now.record);
    changes.requests(before, now);
    for wave in &now.waves {
        changes.wave(&now.record, before.and_then(|view| view.wave(wave.number)), wave);
    }
    changes.ending(before.map(|view| &view.record), &now.record);
    changes.0
}

struct Changes(Vec<Change>);

impl Changes {
    fn say(&mut self, text: String) {
        self.0.push(Change { text, lasting: false });
    }

    fn stress(&mut self, text: String) {
        self.0.push(Change { text, lasting: true });
    }

    fn execution(&mut self, before: Option<&ExecutionRecord>, now: &ExecutionRecord) {
        let Some(before) = before else {
            self.say(format!(
                "{} of plan {} {}: {}, {}; {}",
                super::progress::badge(now),
                now.plan_id,
                claimed(&now.plan_name),
                count(now.total_waves, "wave"),
                count(now.total_servers, "server"),
                now.status
            ));
            for warning in &now.warnings {
                self.stress(format!("warning: {}: {}", warning.field, warning.message));
            }
            return;
        };
        for entry in now.timeline.iter().skip(before.timeline.len()) {
            if TOLD_EVENTS.contains(&entry.event.as_str()) {
                self.stress(
                    format!("{} {} {}", wave_title(now, entry.wave_number), entry.event, answer(&entry.detail))
                        .trim_end()
                        .to_owned(),
                );
            }
        }
        // A pause comes after the end of the wave before it, and is told after it.
        if !now.status.is_terminal() && now.status != ExecutionStatus::Paused {
            self.status(Some(before), now);
        }
    }

    fn requests(&mut self, before: Option<&RunView>, now: &RunView) {
        let Some(before) = before else { return };
        let known = before.pending_requests();
        for request in now.pending_requests().into_iter().filter(|request| !known.contains(request)) {
            self.stress(request);
        }
    }

    fn status(&mut self, before: Option<&ExecutionRecord>, now: &ExecutionRecord) {
        if let Some(before) = before.filter(|before| before.status != now.status) {
            self.say(format!("{} -> {}", before.status, now.status));
        }
    }

    fn wave(&mut self, record: &ExecutionRecord, before: Option<&WaveView>, now: &WaveView) {
        let Some(item) = &now.item else { return };
        let title = wave_title(record, now.number);
        let known = before.and_then(|wave| wave.item.as_ref());
        for job in &item.jobs {
            if known.is_none_or(|known| known.jobs.iter().all(|other| other.job_id != job.job_id)) {
                self.say(format!("{title} job {} in {} of account {}", job.job_id, job.region, job.account_id));
            }
            let was = before.and_then(|wave| wave.missing_since(&job.job_id));
            match (was, now.missing_since(&job.job_id)) {
                (None, Some(_)) => self.stress(format!("{title} job {} is not listed by DRS any more", job.job_id)),
                (Some(_), None) => self.stress(format!("{title} job {} is listed by DRS again", job.job_id)),
                _ => {}
            }
        }
        for server in now.servers() {
            let known =
                before.and_then(|wave| wave.servers().find(|other| other.source_server_id == server.source_server_id));
            self.server(&title, known, server);
        }
        let stands = |wave: &WaveView| {
            (wave.status(), wave.phase(), wave.counts(), wave.item.as_ref().map_or(0, |item| item.attempt))
        };
        if before.map(stands) != Some(stands(now)) {
            let counts = item.counts;
            let mut text = format!("{title} {}", item.status);
            if !item.status.is_settled() {
                text.push_str(&format!(" {}", item.phase));
            }
            text.push_str(&format!(", {} of {} ready", counts.ready, counts.total));
            for (number, word) in [(counts.failed, "failed"), (counts.skipped, "skipped")] {
                if number > 0 {
                    text.push_str(&format!(", {number} {word}"));
                }
            }
            if item.attempt > 1 {
                text.push_str(&format!(" (attempt {})", item.attempt));
            }
            if let Some(error) = now.own_error().filter(|error| known.is_none_or(|known| known.error != *error)) {
                text.push_str(&format!(": {error}"));
            }
            if item.status.is_settled() && known.is_none_or(|known| known.status != item.status) {
                self.stress(text);
            } else {
                self.say(text);
            }
        }
    }

    fn server(&mut self, wave: &str, before: Option<&ServerStatus>, now: &ServerStatus) {
        let name = if now.server_name.is_empty() { now.hostname.as_str() } else { now.server_name.as_str() };
        let server = format!("{wave} {name} {}", now.source_server_id);
        let launch = before.map(|server| server.launch_status);
        if launch != Some(now.launch_status) {
            let was = launch.map(|status| format!("{status} -> ")).unwrap_or_default();
            let error = now.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            let text = format!("{server} {was}{}{}{error}", now.launch_status, instance(now));
            if now.launch_status == LaunchStatus::Failed { self.stress(text) } else { self.say(text) }
        } else if before.is_some_and(|server| server.remark() != now.remark())
            && let Some(error) = now.remark()
        {
            self.stress(format!("{server} {}: {error}", now.launch_status));
        } else if before.is_some_and(|server| !server.is_enriched()) && now.is_enriched() {
            self.say(format!("{server} is{}", instance(now)));
        }
        let actions = before.map_or(PostLaunchStatus::NotConfigured, |server| server.post_launch_actions_status);
        if actions != now.post_launch_actions_status {
            self.say(format!("{server} post-launch actions {}", now.post_launch_actions_status));
        }
    }

    fn ending(&mut self, before: Option<&ExecutionRecord>, now: &ExecutionRecord) {
        if now.status == ExecutionStatus::Paused {
            self.status(before, now);
        }
        if now.status.is_terminal() && before.is_none_or(|before| !before.status.is_terminal()) {
            let reason = now.outcome.as_ref().filter(|outcome| !outcome.error.is_empty());
            let reason = reason.map(|outcome| format!(", {}", outcome.error)).unwrap_or_default();
            let elapsed = now
                .duration_seconds
                .map(|seconds| format!(" after {}", super::text::duration(seconds)))
                .unwrap_or_default();
            let causes = now.outcome.as_ref().map(|outcome| cause_lines(&outcome.cause)).unwrap_or_default();
            let causes = causes.iter().fold(String::new(), |text, line| format!("{text}\n{QUOTE}{line}"));
            self.stress(format!("{}{elapsed}{reason}{causes}", now.status));
            let held = now.outcome.as_ref().is_some_and(|outcome| outcome.cleanup_due)
                && terms(now).hold_seconds > 0
                && now.cleanup.is_none();
            if held {
                self.stress(format!(
                    "instances are held for {} before they are terminated",
                    super::text::duration(terms(now).hold_seconds)
                ));
            }
        }
        let stands =
            |record: &ExecutionRecord| record.cleanup.as_ref().map(|cleanup| (cleanup.status, cleanup.instances));
        if let Some(cleanup) = &now.cleanup
            && before.and_then(stands) != stands(now)
        {
            self.stress(ended_cleanup(cleanup));
        }
    }
}

fn ended_cleanup(cleanup: &Cleanup) -> String {
    let error = if cleanup.error.is_empty() { String::new() } else { format!(": {}", cleanup.error) };
    format!("cleanup {}, {}{error}", cleanup.status, count(cleanup.instances, "instance"))
}

fn instance(server: &ServerStatus) -> String {
    [&server.instance_id, &server.instance_type, &server.private_ip]
        .into_iter()
        .flatten()
        .fold(String::new(), |text, word| format!("{text} {word}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{drill_view, entry, missing_job, partial_view};
    use tidegate_contract::WavePhase;

    fn lines(before: Option<&RunView>, now: &RunView) -> Vec<String> {
        render_changes(before, now).into_iter().map(|change| change.text).collect()
    }

    #[test]
    fn the_first_look_tells_where_things_stand() {
        let told = lines(None, &drill_view());
        assert_eq!(told[0], "DRILL of plan crm \"CRM platform\": 3 waves, 6 servers; POLLING");
        assert!(told.contains(&"wave 1 \"database\" COMPLETED, 2 of 2 ready".to_owned()), "{told:#?}");
        assert!(told.contains(&"wave 2 \"application\" POLLING CONVERSION, 1 of 2 ready".to_owned()), "{told:#?}");
    }

    #[test]
    fn what_stays_is_not_told_again() {
        assert!(lines(Some(&drill_view()), &drill_view()).is_empty());
    }

    #[test]
    fn a_transition_is_told_with_its_instance() {
        let (before, mut now) = (drill_view(), drill_view());
        now.waves[1].shards[0].server_statuses[1] = crate::fixtures::server(2, 2, LaunchStatus::Launched);
        now.waves[1].item.as_mut().unwrap().phase = WavePhase::Enriching;
        assert_eq!(
            lines(Some(&before), &now),
            [
                "wave 2 \"application\" crm-2-02 s-00020000000000002 IN_PROGRESS -> LAUNCHED i-00020000000000002 r6i.2xlarge 172.31.2.2",
                "wave 2 \"application\" POLLING ENRICHING, 1 of 2 ready",
            ]
        );
    }

    #[test]
    fn answers_failures_and_the_end_last() {
        let (before, mut now) = (drill_view(), partial_view());
        now.record.timeline = vec![TOLD_EVENTS[0], "WAVE_CLOSED"].into_iter().map(|event| entry(event, 2)).collect();
        let lasting: Vec<String> = render_changes(Some(&before), &now)
            .into_iter()
            .filter(|change| change.lasting)
            .map(|change| change.text)
            .collect();
        assert_eq!(lasting[0], "wave 2 \"application\" RESUMED");
        assert!(lasting.iter().any(|line| line.contains("IN_PROGRESS -> FAILED: LAUNCH_FAILED")), "{lasting:#?}");
        assert!(
            lasting.contains(
                &"PARTIAL after 41m 00s, Tidegate.Partial\n  | not everything was recovered: wave 2 PARTIAL".to_owned()
            ),
            "{lasting:#?}"
        );
        assert_eq!(lasting.last().unwrap(), "cleanup RUNNING, 3 instances");
    }

    #[test]
    fn a_job_that_drs_lists_no_more_is_told_and_so_is_its_return() {
        let (here, mut gone) = (drill_view(), drill_view());
        let job_id = gone.waves[1].item.as_ref().unwrap().jobs[0].job_id.clone();
        gone.waves[1].shards[0].job = Some(missing_job(&job_id));
        let told = format!("wave 2 \"application\" job {job_id} is");
        assert_eq!(lines(Some(&here), &gone), [format!("{told} not listed by DRS any more")]);
        assert_eq!(lines(Some(&gone), &here), [format!("{told} listed by DRS again")]);
        assert!(lines(Some(&gone), &gone).is_empty());
    }

    #[test]
    fn a_pause_is_a_status_change() {
        let (before, mut now) = (drill_view(), drill_view());
        now.record.status = ExecutionStatus::Paused;
        assert_eq!(lines(Some(&before), &now), ["POLLING -> PAUSED"]);
    }
}
