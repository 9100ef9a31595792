//! `tidegate list`.

use crate::args::ListArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::render::list::render_list;
use crate::render::redact::render_record_json;
use crate::session::Session;
use serde_json::Value;
use std::process::ExitCode;
use tidegate_contract::records::ExecutionRecord;
use tidegate_contract::{ExecutionStatus, PlanId};

/// A plan's executions are filtered by status here; nobody looks further back than this.
const MOST_OF_A_PLAN: usize = 1_000;

pub(super) async fn run(session: &Session, output: &Output, args: &ListArgs) -> Result<ExitCode, CliError> {
    let found = fetch(session, args).await?;
    let records = newest(found, args.status, usize::from(args.limit));
    let text = if args.json {
        format!("{:#}", Value::Array(records.iter().map(render_record_json).collect()))
    } else {
        render_list(&records, session.now(), output.width())
    };
    output.result(&text)?;
    Ok(ExitCode::SUCCESS)
}

async fn fetch(session: &Session, args: &ListArgs) -> Result<Vec<ExecutionRecord>, CliError> {
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

/// Newest first. An execution whose status changed between two queries comes once, as it was read last.
fn newest(found: Vec<ExecutionRecord>, status: Option<ExecutionStatus>, limit: usize) -> Vec<ExecutionRecord> {
    let mut records: Vec<ExecutionRecord> = Vec::new();
    for record in found.into_iter().filter(|record| status.is_none_or(|wanted| wanted == record.status)) {
        match records.iter().position(|known| known.execution_id == record.execution_id) {
            Some(position) => records[position] = record,
            None => records.push(record),
        }
    }
    records.sort_by(|one, other| other.start_time.cmp(&one.start_time));
    records.truncate(limit);
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::record;

    #[test]
    fn newest_first_each_once_and_no_more_than_asked_for() {
        let named = |name: &str, start: &str, status| {
            let mut record = record(status);
            record.execution_id = name.into();
            record.start_time = start.to_owned();
            record
        };
        let found = || {
            vec![
                named("b", "2026-01-02T03:00:00.000Z", ExecutionStatus::Polling),
                named("a", "2026-01-01T03:00:00.000Z", ExecutionStatus::Completed),
                named("c", "2026-01-03T03:00:00.000Z", ExecutionStatus::Completed),
                named("b", "2026-01-02T03:00:00.000Z", ExecutionStatus::Completed),
            ]
        };
        let names =
            |records: Vec<ExecutionRecord>| records.into_iter().map(|record| record.execution_id.0).collect::<String>();
        assert_eq!(names(newest(found(), None, 9)), "cba");
        assert_eq!(names(newest(found(), None, 2)), "cb");
        assert_eq!(names(newest(found(), Some(ExecutionStatus::Polling), 9)), "b");
        assert_eq!(newest(found(), None, 9)[1].status, ExecutionStatus::Completed);
    }
}
