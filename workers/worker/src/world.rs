//! The ports every activity is built on, and the settings that are not part of an input.

use crate::error::ActivityError;
use std::sync::Arc;
use tidegate_aws::ports::{Clock, ExecutionReader, Store, Targets};
use tidegate_contract::records::{ExecutionRecord, TimelineEntry};
use tidegate_contract::{ErrorName, ExecutionId};
use tidegate_core::time;
use tidegate_runtime::MetricSink;

/// The world as the activities see it.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    pub targets: Arc<dyn Targets>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<dyn MetricSink>,
    pub settings: Settings,
}

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

/// A line of the timeline, now.
pub fn timeline(clock: &dyn Clock, event: &str, wave_number: u32, detail: impl Into<String>) -> TimelineEntry {
    TimelineEntry { at: time::format(clock.now()), event: event.to_owned(), wave_number, detail: detail.into() }
}
