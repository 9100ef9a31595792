//! Metrics as CloudWatch Embedded Metric Format lines: one JSON object on one line of standard output, which the log driver
//! turns into metrics without an API call. An EMF line must be the whole log event, so it does not go through the tracing
//! formatter.
//!
//! Identifiers (execution, server, token hash) are plain properties, never dimensions: each distinct dimension value is a
//! custom metric that is paid for.

use crate::clock;
use crate::telemetry::METRIC_DROPPED;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The namespace of every metric of the product.
pub const NAMESPACE: &str = "DRS-Orchestration";
/// Time from taking a task to the end of answering it, in milliseconds. Dimension: `Activity`.
pub const TASK_DURATION: &str = "TaskDuration";
/// One per task taken. Dimensions: `Activity`, `Result` (success, failure, abandoned).
pub const TASK_RESULT: &str = "TaskResult";
/// One per poll that the service took, with or without a task. Dimension: `Activity`. The sign of life that an alarm can
/// miss: Step Functions itself reports a task's wait only once somebody has taken it.
pub const POLL_ACCEPTED: &str = "PollAccepted";
/// The dimension that names the activity.
pub const ACTIVITY: &str = "Activity";
/// The dimension that names how a task ended.
pub const RESULT: &str = "Result";

/// The units used here (CloudWatch's own words).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// A plain count.
    Count,
}

impl Unit {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
            Self::Count => "Count",
        }
    }
}

/// One EMF line under construction. Handlers build their own metrics with it too.
#[derive(Debug, Clone)]
pub struct EmfRecord {
    directives: Vec<Value>,
    members: Map<String, Value>,
}

impl Default for EmfRecord {
    fn default() -> Self {
        Self::new()
    }
}

impl EmfRecord {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self { directives: Vec::new(), members: Map::new() }
    }

    /// Adds a metric with its dimensions. A dimension set earlier may be repeated; its last value counts for the line.
    #[must_use]
    pub fn metric(mut self, name: &str, unit: Unit, value: f64, dimensions: &[(&str, &str)]) -> Self {
        let keys: Vec<&str> = dimensions.iter().map(|(key, _)| *key).collect();
        self.directives.push(json!({
            "Namespace": NAMESPACE,
            "Dimensions": [keys],
            "Metrics": [{ "Name": name, "Unit": unit.as_str() }],
        }));
        self.members.insert(name.to_owned(), json!(value));
        for (key, dimension) in dimensions {
            self.members.insert((*key).to_owned(), json!(dimension));
        }
        self
    }

    /// Adds a plain property: searchable in the logs, free of charge, no dimension.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// The line, stamped with the given wall-clock time, without a line end.
    #[must_use]
    pub fn to_line(&self, epoch_millis: u64) -> String {
        let mut root = self.members.clone();
        root.insert("_aws".to_owned(), json!({ "Timestamp": epoch_millis, "CloudWatchMetrics": self.directives }));
        Value::Object(root).to_string()
    }

    /// Stamps the record with the wall clock and hands it to `sink`.
    pub fn emit(&self, sink: &dyn MetricSink) {
        sink.write_line(&self.to_line(clock::epoch_millis()));
    }
}

/// Where metric lines go.
pub trait MetricSink: Send + Sync + 'static {
    /// Takes one line, without a line end. A sink that fails drops the line: no task fails for a metric.
    fn write_line(&self, line: &str);
}

/// Drops every line.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiscardMetrics;

impl MetricSink for DiscardMetrics {
    fn write_line(&self, _line: &str) {}
}

/// Writes lines to a writer.
#[derive(Debug)]
pub struct WriterMetrics<W>(Mutex<W>);

impl<W: Write + Send + 'static> WriterMetrics<W> {
    /// Writes to `writer`.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Self(Mutex::new(writer))
    }
}

impl WriterMetrics<std::io::Stdout> {
    /// Writes to standard output, where the container's log driver reads.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(std::io::stdout())
    }
}

impl<W: Write + Send + 'static> MetricSink for WriterMetrics<W> {
    fn write_line(&self, line: &str) {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One write for line and line end: the log formatter writes to the same stream between our calls.
        let wrote = writer.write_all(format!("{line}\n").as_bytes()).and_then(|()| writer.flush());
        if let Err(problem) = wrote {
            tracing::debug!(error = %problem, "{}", METRIC_DROPPED);
        }
    }
}

/// The record of one poll that was answered.
pub(crate) fn poll_record(activity: &str, worker_name: &str) -> EmfRecord {
    EmfRecord::new()
        .metric(POLL_ACCEPTED, Unit::Count, 1.0, &[(ACTIVITY, activity)])
        .property("workerName", worker_name)
}

/// The record of one finished task.
pub(crate) fn task_record(
    activity: &str,
    result: &str,
    duration: Duration,
    worker_name: &str,
    token_hash: &str,
    error: Option<&str>,
) -> EmfRecord {
    let record = EmfRecord::new()
        .metric(TASK_DURATION, Unit::Milliseconds, duration.as_secs_f64() * 1000.0, &[(ACTIVITY, activity)])
        .metric(TASK_RESULT, Unit::Count, 1.0, &[(ACTIVITY, activity), (RESULT, result)])
        .property("workerName", worker_name)
        .property("tokenHash", token_hash);
    match error {
        Some(error) => record.property("error", error),
        None => record,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn task_record_is_one_emf_line_without_ids_as_dimensions() {
        let line = task_record("poll", "failure", Duration::from_millis(1500), "w1", "abc", Some("T.X"))
            .to_line(1_700_000_000_000);
        assert!(!line.contains('\n'));
        let root: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(root["_aws"]["Timestamp"], 1_700_000_000_000_u64);
        let directives = root["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert_eq!(directives.len(), 2);
        for directive in directives {
            assert_eq!(directive["Namespace"], "DRS-Orchestration");
            // Every referenced member exists in the root, or CloudWatch drops the line.
            let metric = directive["Metrics"][0]["Name"].as_str().unwrap();
            assert!(root[metric].is_number(), "{metric}");
            for dimension in directive["Dimensions"][0].as_array().unwrap() {
                let dimension = dimension.as_str().unwrap();
                assert!([ACTIVITY, RESULT].contains(&dimension), "{dimension}");
                assert!(root[dimension].is_string(), "{dimension}");
            }
        }
        assert_eq!(root["TaskDuration"], 1500.0);
        assert_eq!(root["Result"], "failure");
        assert_eq!(root["tokenHash"], "abc");
        assert_eq!(root["error"], "T.X");
    }

    #[test]
    fn writer_ends_each_line_and_survives_a_broken_writer() {
        #[derive(Clone, Default)]
        struct Shared(std::sync::Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        struct Broken;
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let shared = Shared::default();
        let sink = WriterMetrics::new(shared.clone());
        sink.write_line("{}");
        sink.write_line("{}");
        assert_eq!(*shared.0.lock().unwrap(), b"{}\n{}\n");
        WriterMetrics::new(Broken).write_line("{}");
    }
}
