//! Everything about one execution, as a report that fits its width: header, gate, waves, servers, errors, timeline, timings.

use super::gate::wave_title;
use super::problems::render_problems;
use super::progress::{badge, instances_hint, timing, wave_seconds};
use super::spelled::spelled_run;
use super::table::{left, render_table, right};
use super::text::{
    answer, cause_lines, claimed, clock, count, date_time, day_clock, duration, first_sentence, or_dash, render_cause,
    wrapped,
};
use crate::view::{RunView, WaveView};
use jiff::Timestamp;
use tidegate_contract::records::{ExecutionRecord, GateKind, Report, ServerStatus, TimelineEntry, WaveJob};
use tidegate_contract::{ExecutionStatus, PostLaunchStatus, WaveStatus};
use tidegate_core::observed::MISSING_JOB_SECONDS;
use tidegate_core::time;

/// From here on a table has room for everything side by side.
const WIDE: usize = 110;

/// The report. Holds no token.
pub(crate) fn render_show(view: &RunView, now: Timestamp, width: usize) -> String {
    let view = &spelled_run(view);
    let record = &view.record;
    let mut sections = vec![header(view, now, width)];
    sections.extend(gate(record, now, width));
    if let Some(outcome) = record.outcome.as_ref().filter(|outcome| cause_lines(&outcome.cause).len() > 1) {
        sections.push(titled("Outcome", &render_cause(&outcome.cause, width)));
    }
    if !record.warnings.is_empty() {
        sections.push(titled("Warnings", &render_problems(&record.warnings, width)));
    }
    if !view.waves.is_empty() {
        sections.push(titled("Waves", &waves(view, now, width)));
    }
    if view.waves.iter().any(|wave| wave.servers().next().is_some()) {
        sections.push(titled("Servers", &servers(view, width)));
    }
    if !view.unreadable.is_empty() {
        let lines: Vec<String> = view.unreadable.iter().map(|line| format!("  {}", wrapped(line, width, 2))).collect();
        sections.push(titled("Unreadable", &lines.join("\n")));
    }
    let errors = errors(view, width);
    if !errors.is_empty() {
        sections.push(titled("Errors", &errors));
    }
    if !record.timeline.is_empty() {
        sections.push(titled("Timeline (UTC)", &timeline(record, width)));
    }
    sections.extend(record.report.as_ref().map(|report| titled("Report", &figures(record.status, report))));
    sections.join("\n\n")
}

fn titled(title: &str, body: &str) -> String {
    format!("{title}\n{body}")
}

fn header(view: &RunView, now: Timestamp, width: usize) -> String {
    let record = &view.record;
    let mut lines = vec![format!("{}  {}", record.execution_id, badge(record))];
    let mut field = |name: &str, value: &str| lines.push(format!("  {name:<9} {}", wrapped(value, width, 12)));
    let by = record
        .initiated_by
        .as_deref()
        .map(|by| format!(", started by {}, its input says", claimed(by)))
        .unwrap_or_default();
    field("plan", &format!("{} {}{by}", record.plan_id, claimed(&record.plan_name)));
    field("status", &status_line(record));
    if let Some(old) = &record.continues {
        let since = record.first_start_time.as_deref().map(|start| format!(", begun {}", date_time(start)));
        field("continues", &format!("{old}{}", since.unwrap_or_default()));
    }
    if let Some(by) = &record.continued_by {
        field("continued", &format!("by {by}"));
    }
    let ended = record.end_time.as_deref().map(|end| format!(", ended {}", date_time(end))).unwrap_or_default();
    field("started", &format!("{}{ended}", date_time(&record.start_time)));
    field("duration", &timing(record, now));
    let failed = if record.failed_waves > 0 { format!(", {} failed", record.failed_waves) } else { String::new() };
    field(
        "waves",
        &format!(
            "{} of {} completed{failed}; {}",
            record.completed_waves,
            record.total_waves,
            count(record.total_servers, "server")
        ),
    );
    if let Some(hint) = instances_hint(record) {
        field("instances", &hint);
    }
    for request in view.pending_requests() {
        field("requests", &request);
    }
    lines.join("\n")
}

fn status_line(record: &ExecutionRecord) -> String {
    let mut line = record.status.to_string();
    if let Some(outcome) = record.outcome.as_ref().filter(|outcome| !outcome.error.is_empty()) {
        line.push_str(&format!(", {}: {}", outcome.error, first_sentence(&outcome.cause)));
    } else if !record.status.is_terminal() && record.current_wave > 0 {
        line.push_str(&format!(", {} of {}", wave_title(record, record.current_wave), record.total_waves));
    }
    line
}

/// Without commands: `watch` prints those, and this may be pasted into a report.
fn gate(record: &ExecutionRecord, now: Timestamp, width: usize) -> Option<String> {
    let gate = record.gate.as_ref()?;
    let stood = time::seconds_since(&gate.since, now);
    let (kind, decision) = match gate.kind {
        GateKind::Resume => ("RESUME", ""),
        GateKind::Decision => ("DECISION", " --decision retry|skip|continue|abort"),
    };
    let text = format!(
        "{kind} at {}, {}, open for {} of {}; answer it with: tidegate resume {}{decision}",
        wave_title(record, gate.wave_number),
        gate.reason,
        duration(stood),
        duration(gate.timeout_seconds),
        record.execution_id,
    );
    Some(titled("Gate", &format!("  {}", wrapped(&text, width, 2))))
}

fn waves(view: &RunView, now: Timestamp, width: usize) -> String {
    let wide = width >= WIDE;
    let mut columns = vec![
        right("wave"),
        left("name"),
        left("status"),
        right("servers"),
        right("ready"),
        right("failed"),
        right("duration"),
    ];
    if wide {
        columns.push(left("jobs"));
    }
    let rows = view.waves.iter().map(|wave| {
        let counts = wave.counts();
        let mut row = vec![
            wave.number.to_string(),
            wave.name.clone(),
            wave.status().to_string(),
            counts.total.to_string(),
            counts.ready.to_string(),
            counts.failed.to_string(),
            wave.item
                .as_ref()
                .filter(|item| item.attempt > 0)
                .map_or("-".to_owned(), |item| duration(wave_seconds(item, now))),
        ];
        if wide {
            row.push(or_dash(Some(&jobs(wave).map(|told| job(wave, told)).collect::<Vec<_>>().join("\n"))));
        }
        row
    });
    let table = render_table(&columns, rows, width);
    if wide {
        return table;
    }
    let told = view
        .waves
        .iter()
        .flat_map(|wave| jobs(wave).map(|told| format!("job of wave {}: {}", wave.number, job(wave, told))));
    told.fold(table, |text, line| format!("{text}\n  {}", wrapped(&line, width, 4)))
}

fn jobs(wave: &WaveView) -> impl Iterator<Item = &WaveJob> {
    wave.item.iter().flat_map(|item| &item.jobs)
}

fn job(wave: &WaveView, job: &WaveJob) -> String {
    match wave.missing_since(&job.job_id) {
        Some(_) => format!("{} {} NOT LISTED", job.job_id, job.region),
        None => format!("{} {} {}", job.job_id, job.region, job.status),
    }
}

fn servers(view: &RunView, width: usize) -> String {
    let rows = || view.waves.iter().flat_map(|wave| wave.servers().map(move |server| (wave.number, server)));
    if width >= WIDE {
        let columns = [
            right("wave"),
            left("server\nsource server"),
            left("launch\nlaunched at"),
            left("instance\nstate"),
            left("type\nprivate IP"),
            left("post-launch\nactions"),
            left("point in time\n(UTC)"),
        ];
        let rows = rows().map(|(wave, server)| {
            vec![
                wave.to_string(),
                format!("{}\n{}", name(server), server.source_server_id),
                format!("{}\n{}", server.launch_status, launched(server)),
                format!("{}\n{}", or_dash(server.instance_id.as_deref()), or_dash(server.instance_state.as_deref())),
                format!("{}\n{}", or_dash(server.instance_type.as_deref()), or_dash(server.private_ip.as_deref())),
                post_launch(server),
                point_in_time(server),
            ]
        });
        return render_table(&columns, rows, width);
    }
    let columns = [
        right("wave"),
        left("server\nsource server\npost-launch"),
        left("launch\nat\nfrom"),
        left("instance\ntype\nstate"),
        left("private IP"),
    ];
    let rows = rows().map(|(wave, server)| {
        vec![
            wave.to_string(),
            format!("{}\n{}\n{}", name(server), server.source_server_id, post_launch(server)),
            format!("{}\n{}\n{}", server.launch_status, launched(server), point_in_time(server)),
            format!(
                "{}\n{}\n{}",
                or_dash(server.instance_id.as_deref()),
                or_dash(server.instance_type.as_deref()),
                or_dash(server.instance_state.as_deref())
            ),
            or_dash(server.private_ip.as_deref()),
        ]
    });
    render_table(&columns, rows, width)
}

fn name(server: &ServerStatus) -> String {
    or_dash(Some(if server.server_name.is_empty() { &server.hostname } else { &server.server_name }))
}

fn launched(server: &ServerStatus) -> String {
    or_dash(server.launched_time.as_deref().map(clock).as_deref())
}

fn post_launch(server: &ServerStatus) -> String {
    match server.post_launch_actions_status {
        PostLaunchStatus::NotConfigured => "-".to_owned(),
        status => status.to_string(),
    }
}

fn point_in_time(server: &ServerStatus) -> String {
    or_dash(server.point_in_time.as_deref().map(day_clock).as_deref())
}

fn errors(view: &RunView, width: usize) -> String {
    let mut lines = Vec::new();
    for wave in &view.waves {
        let open = jobs(wave).filter(|_| !wave.status().is_settled());
        for (job, since) in open.filter_map(|job| Some((job, wave.missing_since(&job.job_id)?))) {
            lines.push(format!(
                "wave {}: DRS has not listed job {} since {} UTC; it said {} last. Its servers are followed for {}, then those \
                 that are not up count as failed",
                wave.number,
                job.job_id,
                clock(since),
                job.status,
                duration(MISSING_JOB_SECONDS)
            ));
        }
        // Of a wave that never started the table says enough.
        if let Some(error) = wave.own_error().filter(|_| wave.status() != WaveStatus::Skipped) {
            lines.push(format!("wave {}: {error}", wave.number));
        }
        for (server, remark) in wave.servers().filter_map(|server| Some((server, server.remark()?))) {
            lines.push(format!("wave {} {} {}: {remark}", wave.number, name(server), server.source_server_id));
        }
    }
    if let Some(cleanup) = view.record.cleanup.as_ref().filter(|cleanup| !cleanup.error.is_empty()) {
        lines.push(format!("cleanup: {}", cleanup.error));
    }
    lines.iter().map(|line| format!("  {}", wrapped(line, width, 4))).collect::<Vec<_>>().join("\n")
}

fn timeline(record: &ExecutionRecord, width: usize) -> String {
    let lines = record.timeline.iter().map(|entry| {
        let wave = if entry.wave_number == 0 { String::new() } else { format!("wave {}", entry.wave_number) };
        let text = format!("  {}  {wave:<8} {} {}", day_clock(&entry.at), entry.event, told(entry));
        let (head, tail) = text.split_at(text.floor_char_boundary(27));
        head.to_owned() + &wrapped(tail, width, 27)
    });
    lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Whoever starts an execution types their name: the first entry has it.
fn told(entry: &TimelineEntry) -> String {
    match entry.event.as_str() {
        "CREATED" if !entry.detail.is_empty() => format!("by {}, its input says", claimed(&entry.detail)),
        _ => answer(&entry.detail),
    }
}

fn figures(status: ExecutionStatus, report: &Report) -> String {
    let mut lines = vec![format!(
        "  recovered        {} of {}, {} failed",
        report.launched,
        count(report.servers, "server"),
        report.failed
    )];
    let paused = if report.paused_seconds > 0 {
        format!(", of which {} at gates", duration(report.paused_seconds))
    } else {
        String::new()
    };
    // A run that was cut short has recovered something, but achieved no objective.
    let word =
        if matches!(status, ExecutionStatus::Completed | ExecutionStatus::Partial) { "achieved" } else { "so far" };
    let rto = report.rto_seconds.map_or("-".to_owned(), |seconds| duration(seconds) + &paused);
    let age = |seconds| format!("{}, the age of the oldest data at the start", duration(seconds));
    lines.push(format!("  {:<17}{rto}", format!("RTO {word}")));
    lines.push(format!("  {:<17}{}", format!("RPO {word}"), report.rpo_seconds.map_or("-".to_owned(), age)));
    lines.join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{drill_view, missing_job, now, partial_view, paused_view};

    fn widest(text: &str) -> usize {
        text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
    }

    #[test]
    fn the_report_fits_its_width_with_nothing_broken_in_the_middle() {
        for view in [drill_view(), paused_view(GateKind::Resume), paused_view(GateKind::Decision), partial_view()] {
            for width in [80, 100, 120, 200] {
                let text = render_show(&view, now(), width);
                assert!(widest(&text) <= width, "{width}:\n{text}");
                for whole in [
                    "i-00010000000000001",
                    "s-00010000000000001",
                    "172.31.1.1",
                    "drsjob-00000000000000001",
                    "r6i.2xlarge",
                    "LAUNCHED",
                ] {
                    assert!(text.contains(whole), "{whole} at {width}:\n{text}");
                }
                assert!(!text.contains('\u{1b}'));
            }
        }
    }

    #[test]
    fn the_report_tells_outcome_errors_and_figures() {
        let text = render_show(&partial_view(), now(), 120);
        for told in [
            "crm-drill-20260102-030000  DRILL",
            "PARTIAL, Tidegate.Partial: not everything was recovered: wave 2 PARTIAL",
            "2026-01-02 03:00:00 UTC, ended 2026-01-02 03:41:00 UTC",
            "41m 00s of 1h 00m expected",
            "3 instances being terminated",
            "wave 2 crm-2-02 s-00020000000000002: LAUNCH_FAILED: there is no capacity",
            "recovered        5 of 6 servers, 1 failed",
            "RTO achieved     40m 00s, of which 1m 05s at gates",
            "RPO achieved     1m 53s",
            "WAVE_CLOSED",
        ] {
            assert!(text.contains(told), "{told} not in\n{text}");
        }
    }

    /// What the record says of such a job is only what DRS said last: STARTED would be a lie.
    #[test]
    fn a_job_that_drs_lists_no_more_is_told_as_such() {
        let mut view = drill_view();
        let job_id = view.waves[1].item.as_ref().unwrap().jobs[0].job_id.clone();
        let started = format!("{job_id} us-west-2 STARTED");
        assert!(render_show(&view, now(), 120).contains(&started), "{}", render_show(&view, now(), 120));
        view.waves[1].shards[0].job = Some(missing_job(&job_id));
        for width in [80, 120] {
            let text = render_show(&view, now(), width);
            assert!(!text.contains(&started) && text.contains(&format!("{job_id} us-west-2 NOT LISTED")), "{text}");
            let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(told.contains(&format!("wave 2: DRS has not listed job {job_id} since 03:38:30 UTC")), "{text}");
            assert!(told.contains("it said STARTED last") && told.contains("followed for 10m 00s"), "{text}");
            assert!(widest(&text) <= width, "{text}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_every_reason() {
        let mut record = crate::fixtures::record(ExecutionStatus::Failed);
        record.waves.clear();
        let cause = "the plan does not fit\n- waves[0]: no server s-1. Remedy: correct it.\n- waves[1]: empty. Remedy: fill it.";
        record.outcome = Some(crate::fixtures::outcome("Tidegate.PlanRefused", cause, false));
        let text = render_show(&RunView::new(record, Vec::new(), Vec::new()), now(), 80);
        assert!(
            text.contains("waves[0]: no server s-1") && text.contains("- waves[1]: empty. Remedy: fill it."),
            "{text}"
        );
        assert!(!text.contains("Waves"), "{text}");
    }

    #[test]
    fn an_open_gate_stands_at_the_top() {
        let text = render_show(&paused_view(GateKind::Decision), now(), 120);
        assert!(text.contains("DECISION at wave 2 \"application\""), "{text}");
        assert!(text.contains("open for 20m 00s of 1d 00h"), "{text}");
    }

    #[test]
    fn a_name_full_of_escapes_breaks_nothing() {
        let mut view = drill_view();
        view.waves[0].shards[0].server_statuses[0].server_name = "evil\u{1b}[2J\rname".to_owned();
        let text = render_show(&view, now(), 120);
        assert!(text.contains(r"evil\u{1b}[2J\u{d}name") && !text.contains('\u{1b}'), "{text}");
    }
}
