//! `tidegate list`.

use crate::args::ListArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::render::list::render_list;
use crate::render::redact::render_record_json;
use crate::session::Session;
use serde_json::{Value, json};
use std::process::ExitCode;
use tidegate_aws::store::Listed;
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::{ExecutionStatus, PlanId};

/// A plan's executions are filtered by status here; nobody looks further back than this.
const MOST_OF_A_PLAN: usize = 1_000;

pub(super) async fn run(session: &Session, output: &Output, args: &ListArgs) -> Result<ExitCode, CliError> {
    let found = fetch(session, args).await?;
    let lines = newest(found, args.status, usize::from(args.limit));
    if args.json {
        output.json(&Value::Array(lines.iter().map(line_json).collect()))?;
    } else {
        output.result(&render_list(&lines, session.now(), output.width()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn line_json(line: &Listed) -> Value {
    match line {
        Listed::Execution(record) => render_record_json(record),
        Listed::Unreadable(item) => {
            json!({ "executionId": item.execution_id, "planId": item.plan_id, "unreadable": item.why })
        }
    }
}

async fn fetch(session: &Session, args: &ListArgs) -> Result<Vec<Listed>, CliError> {
    let limit = usize::from(args.limit);
    if let Some(plan) = &args.plan {
        let most = if args.status.is_some() { MOST_OF_A_PLAN } else { limit };
        let found = session.store.list_by_plan(&PlanId::from(plan.as_str()), most).await;
        return found.map_err(CliError::port("cannot list executions"));
    }
    let mut found = Vec::new();
    for status in
        ExecutionStatus::ALL.iter().copied().filter(|status| args.status.is_none_or(|wanted| wanted == *status))
    {
        let of_status = session.store.list_by_status(status, limit).await;
        found.extend(of_status.map_err(CliError::port("cannot list executions"))?);
    }
    Ok(found)
}

/// Newest first, then what cannot be read. An execution whose status changed between two queries comes once, as it was read
/// last.
fn newest(found: Vec<Listed>, status: Option<ExecutionStatus>, limit: usize) -> Vec<Listed> {
    let mut records: Vec<Box<ExecutionRecord>> = Vec::new();
    let mut unreadable = Vec::new();
    for line in found {
        match line {
            Listed::Execution(record) if status.is_none_or(|wanted| wanted == record.status) => {
                match records.iter().position(|known| known.execution_id == record.execution_id) {
                    Some(position) => records[position] = record,
                    None => records.push(record),
                }
            }
            Listed::Unreadable(item) if !unreadable.contains(&item) => unreadable.push(item),
            Listed::Execution(_) | Listed::Unreadable(_) => {}
        }
    }
    records.sort_by(|one, other| other.start_time.cmp(&one.start_time));
    records.truncate(limit);
    records.into_iter().map(Listed::Execution).chain(unreadable.into_iter().map(Listed::Unreadable)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::record;
    use tidegate_aws::store::Unreadable;

    #[test]
    fn newest_first_each_once_and_no_more_than_asked_for() {
        let named = |name: &str, start: &str, status| {
            let mut record = record(status);
            record.execution_id = name.into();
            record.start_time = start.to_owned();
            Listed::Execution(Box::new(record))
        };
        let found = || {
            vec![
                named("b", "2026-01-02T03:00:00.000Z", ExecutionStatus::Polling),
                named("a", "2026-01-01T03:00:00.000Z", ExecutionStatus::Completed),
                named("c", "2026-01-03T03:00:00.000Z", ExecutionStatus::Completed),
                named("b", "2026-01-02T03:00:00.000Z", ExecutionStatus::Completed),
            ]
        };
        let name = |line: Listed| match line {
            Listed::Execution(record) => record.execution_id.0,
            Listed::Unreadable(item) => item.execution_id,
        };
        let names = |lines: Vec<Listed>| lines.into_iter().map(name).collect::<String>();
        assert_eq!(names(newest(found(), None, 9)), "cba");
        assert_eq!(names(newest(found(), None, 2)), "cb");
        assert_eq!(names(newest(found(), Some(ExecutionStatus::Polling), 9)), "b");
        assert!(
            matches!(&newest(found(), None, 9)[1], Listed::Execution(one) if one.status == ExecutionStatus::Completed)
        );
        let item = Unreadable { execution_id: "?".to_owned(), plan_id: "!".to_owned(), why: "no status".to_owned() };
        let with_it =
            || found().into_iter().chain([Listed::Unreadable(item.clone()), Listed::Unreadable(item.clone())]);
        assert_eq!(names(newest(with_it().collect(), None, 2)), "cb?", "told once, and never instead of an execution");
    }
}
