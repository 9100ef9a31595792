//! Executions, a line each.

use super::progress::elapsed_seconds;
use super::spelled::spelled;
use super::table::{left, render_table, right, whole};
use super::text::{date_time, duration, or_dash, wrapped};
use jiff::Timestamp;
use tidegate_aws::store::Listed;
use tidegate_contract::Mode;
use tidegate_contract::foreign::spell_out;
use tidegate_contract::records::ExecutionRecord;

/// From here on there is room for plan, duration and person.
const WIDE: usize = 100;
/// Longest name of an execution (API model of Step Functions).
const MAX_NAME: usize = 80;

/// The list, or a sentence when it is empty.
pub(crate) fn render_list(lines: &[Listed], now: Timestamp, width: usize) -> String {
    if lines.is_empty() {
        return "no executions".to_owned();
    }
    let mut records = Vec::new();
    let mut unreadable = Vec::new();
    for line in lines {
        match line {
            Listed::Execution(record) => records.push(listed(record)),
            Listed::Unreadable(item) => unreadable.push(wrapped(&spell_out(&item.to_string()), width, 2)),
        }
    }
    let table = (!records.is_empty()).then(|| table(&records, now, width));
    table.into_iter().chain(unreadable).collect::<Vec<_>>().join("\n")
}

fn table(records: &[ExecutionRecord], now: Timestamp, width: usize) -> String {
    let wide = width >= WIDE;
    let mut columns = vec![whole("execution"), left("type"), left("status"), right("waves"), whole("started (UTC)")];
    if wide {
        columns.insert(1, left("plan"));
        columns.extend([right("duration"), left("by (typed)")]);
    }
    // Two names in a line need the room, and few executions have them.
    let linked = wide && records.iter().any(|record| link(record).is_some());
    if linked {
        columns.push(left("link"));
    }
    let rows = records.iter().map(|record| {
        let kind = match record.mode {
            Mode::Run => record.execution_type.to_string(),
            mode => format!("{} {mode}", record.execution_type),
        };
        let mut row = vec![
            record.execution_id.to_string(),
            kind,
            record.status.to_string(),
            format!("{}/{}", record.completed_waves, record.total_waves),
            date_time(&record.start_time).replace(" UTC", ""),
        ];
        if wide {
            row.insert(1, record.plan_id.to_string());
            row.extend([duration(elapsed_seconds(record, now)), or_dash(record.initiated_by.as_deref())]);
        }
        if linked {
            row.push(or_dash(link(record).as_deref()));
        }
        row
    });
    render_table(&columns, rows, width)
}

/// As it may be shown. A name is never broken, so that it can be copied: one that Step Functions would not give is cut.
fn listed(record: &ExecutionRecord) -> ExecutionRecord {
    let mut shown = spelled(record);
    let name = &mut shown.execution_id.0;
    if let Some((end, _)) = name.char_indices().nth(MAX_NAME) {
        name.replace_range(end.., "...");
    }
    shown
}

/// Which execution this one continues, and which continues it.
fn link(record: &ExecutionRecord) -> Option<String> {
    let continues = record.continues.as_ref().map(|old| format!("continues {old}"));
    let continued = record.continued_by.as_ref().map(|new| format!("continued by {new}"));
    match (continues, continued) {
        (Some(continues), Some(continued)) => Some(format!("{continues}, {continued}")),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{NAME, now, record};
    use tidegate_aws::store::Unreadable;
    use tidegate_contract::ExecutionStatus;

    fn line(record: ExecutionRecord) -> Listed {
        Listed::Execution(Box::new(record))
    }

    #[test]
    fn an_unreadable_item_is_a_line_and_the_rest_is_there() {
        let (execution_id, plan_id, why) =
            ("drill\n-1".to_owned(), "!".to_owned(), "missing field `status`".to_owned());
        let bad = Listed::Unreadable(Unreadable { execution_id, plan_id, why });
        let text = render_list(&[line(record(ExecutionStatus::Completed)), bad.clone()], now(), 120);
        assert!(text.contains(NAME), "{text}");
        let told = text.lines().last().unwrap_or_default();
        assert_eq!(told, r#"unreadable: execution "drill\n-1" of plan "!": missing field `status`"#);
        assert!(render_list(&[bad], now(), 120).starts_with("unreadable"));
    }

    #[test]
    fn a_line_tells_what_an_execution_is_and_how_it_stands() {
        let text = render_list(&[line(record(ExecutionStatus::Completed))], now(), 120);
        let line = text.lines().last().unwrap_or_default();
        for told in [NAME, "crm", "DRILL", "COMPLETED", "1/3", "2026-01-02 03:00:00", "41m 00s", "ann"] {
            assert!(line.contains(told), "{told} not in {line}");
        }
    }

    #[test]
    fn continuations_name_each_other_where_there_is_room() {
        let (mut old, mut new) = (record(ExecutionStatus::Failed), record(ExecutionStatus::Polling));
        old.continued_by = Some("run-2".into());
        new.continues = Some("run-1".into());
        let text = render_list(&[line(new), line(old)], now(), 140);
        assert!(text.contains("continues run-1") && text.contains("continued by run-2"), "{text}");
        assert!(!render_list(&[line(record(ExecutionStatus::Failed))], now(), 140).contains("link"));
    }

    #[test]
    fn eighty_columns_are_enough() {
        let mut long = record(ExecutionStatus::Polling);
        long.execution_id = "crm-tolerant-recovery-20260102-030000".into();
        let text = render_list(&[line(record(ExecutionStatus::TimedOut)), line(long)], now(), 80);
        assert!(
            text.contains("crm-tolerant-recovery-20260102-030000 "),
            "a name is copied, so it is never broken:\n{text}"
        );
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(render_list(&[], now(), 80), "no executions");
    }
}
