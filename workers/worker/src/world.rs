//! The ports every activity is built on, and the settings that are not part of an input.

use crate::error::ActivityError;
use std::sync::Arc;
use tidegate_aws::ports::{Clock, ExecutionReader, RequestReader, Store, Targets, Witness};
use tidegate_contract::records::{ExecutionRecord, TimelineEntry};
use tidegate_contract::{ErrorName, ExecutionId};
use tidegate_core::reach::Reach;
use tidegate_core::time;
use tidegate_runtime::MetricSink;

/// The world as the activities see it.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    pub targets: Arc<dyn Targets>,
    pub witness: Arc<dyn Witness>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<dyn MetricSink>,
    /// Where the deployment may recover.
    pub reach: Arc<Reach>,
    pub settings: Settings,
}

/// The world of an execution: its sessions in other accounts carry its name.
pub type WorldOf = Arc<dyn Fn(&ExecutionId) -> World + Send + Sync>;

/// Deployment settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Tag DRS jobs with the execution, wave and intent. Off unless wanted: it needs drs:TagResource, and there is a
    /// field report that tags change how DRS converts (lesson c-37). Adoption works without.
    pub tag_jobs: bool,
}

/// The record of a running execution, or the reason why there is none.
pub async fn load_execution(reader: &dyn ExecutionReader, id: &ExecutionId) -> Result<ExecutionRecord, ActivityError> {
    reader.find_execution(id).await?.ok_or_else(|| {
        ActivityError::new(ErrorName::Internal, format!("execution {id} has no record although it was prepared"))
    })
}

/// Whether the end of this execution was asked for: today beside the record, in it under an earlier definition.
pub async fn cancel_requested(reader: &dyn RequestReader, record: &ExecutionRecord) -> Result<bool, ActivityError> {
    Ok(record.cancel_requested.is_on() || reader.requests(&record.execution_id).await?.cancel.is_yes())
}

/// What is known of the execution that holds a server.
pub enum Holder {
    Running,
    /// Or there never was one.
    Ended,
    /// Nobody can tell from the records: the lock stands, and this is why.
    Unreadable(String),
}

/// How the execution of a lock stands.
pub async fn holder(reader: &dyn ExecutionReader, id: &ExecutionId) -> Result<Holder, ActivityError> {
    if id.as_str().is_empty() {
        return Ok(Holder::Unreadable("the lock names no execution".to_owned()));
    }
    match reader.find_execution(id).await {
        Ok(record) if record.as_ref().is_none_or(|record| record.status.is_terminal()) => Ok(Holder::Ended),
        Ok(_) => Ok(Holder::Running),
        Err(error) if error.is_unreadable() => Ok(Holder::Unreadable(error.message)),
        Err(error) => Err(error.into()),
    }
}

/// A line of the timeline, now.
pub fn timeline(clock: &dyn Clock, event: &str, wave_number: u32, detail: impl Into<String>) -> TimelineEntry {
    TimelineEntry { at: time::format(clock.now()), event: event.to_owned(), wave_number, detail: detail.into() }
}
