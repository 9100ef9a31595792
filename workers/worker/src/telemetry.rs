//! Logs: JSON lines on standard error. Metrics go to standard output, one EMF line each, so that neither breaks the other.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Crates that log whole requests below info, task tokens in their bodies included. No filter lets them.
const WHOLE_REQUESTS: &[&str] = &[
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "aws_smithy_http_client",
    "aws_runtime",
    "aws_sdk_sfn",
    "hyper",
    "hyper_util",
    "h2",
];

/// Installs the subscriber. `filter` is `TIDEGATE_LOG`'s text, such as `info` or `tidegate_runtime=debug,info`.
pub fn init(filter: &str) -> Result<(), String> {
    let mut filter = EnvFilter::try_new(filter).map_err(|error| format!("TIDEGATE_LOG: {error}"))?;
    for target in WHOLE_REQUESTS {
        let cap = format!("{target}=info").parse().map_err(|error| format!("log filter: {error}"))?;
        filter = filter.add_directive(cap);
    }
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init()
        .map_err(|error| format!("the log cannot be set up: {error}"))
}
