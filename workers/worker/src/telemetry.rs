//! Logs: JSON lines on standard error. Metrics go to standard output, one EMF line each, so that neither breaks the other.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Installs the subscriber. `filter` is `TIDEGATE_LOG`'s text, such as `info` or `tidegate_runtime=debug,info`.
pub fn init(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("TIDEGATE_LOG: {error}"))?;
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| format!("the log cannot be set up: {error}"))
}
