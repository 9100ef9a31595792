//! A line of the report for people, and what the whole comes to.

use super::{Line, Report, Verdict};

pub(crate) fn render_line(line: &Line) -> String {
    let word = match line.verdict {
        Verdict::AsAssumed => "as assumed",
        Verdict::Differs => "DIFFERS",
        Verdict::NotAnswered => "not answered",
        Verdict::NotAsked => "not asked",
    };
    let told = format!("{word:<13} {}: {}", line.check, line.observed);
    if line.verdict == Verdict::Differs {
        format!("{told}\n              we assumed that {} ({})", line.assumed, line.place)
    } else {
        told
    }
}

pub(crate) fn render_sum(report: &Report) -> String {
    let count = |verdict| report.lines.iter().filter(|line| line.verdict == verdict).count();
    format!(
        "{} as assumed, {} differ, {} not answered, {} not asked",
        count(Verdict::AsAssumed),
        count(Verdict::Differs),
        count(Verdict::NotAnswered),
        count(Verdict::NotAsked)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accept::assumptions::LAUNCH_END;

    fn report(lines: Vec<Line>) -> Report {
        Report {
            schema_version: 1,
            tidegate: "0",
            environment: "dev".to_owned(),
            partition: "aws".to_owned(),
            account_id: "111122223333".to_owned(),
            region: "us-west-2".to_owned(),
            plan_id: "crm".to_owned(),
            throw_away_server: None,
            begun: String::new(),
            ended: None,
            lines,
        }
    }

    #[test]
    fn only_a_report_that_was_answered_as_assumed_is_good() {
        let line = |verdict| Line::new("c", &LAUNCH_END, verdict, "o");
        for (verdict, good) in [
            (Verdict::AsAssumed, true),
            (Verdict::NotAsked, true),
            (Verdict::NotAnswered, false),
            (Verdict::Differs, false),
        ] {
            let report = report(vec![line(Verdict::AsAssumed), line(verdict)]);
            assert_eq!(report.is_as_assumed(), good, "{verdict:?}");
        }
        let told = render_line(&line(Verdict::Differs));
        assert!(told.contains("docs/semantics.md#drs-launch-end") && told.contains("LAUNCH_END"), "{told}");
        assert_eq!(render_line(&line(Verdict::NotAnswered)).lines().count(), 1);
        let sum = render_sum(&report(vec![line(Verdict::NotAnswered), line(Verdict::Differs)]));
        assert_eq!(sum, "0 as assumed, 1 differ, 1 not answered, 0 not asked");
    }
}
