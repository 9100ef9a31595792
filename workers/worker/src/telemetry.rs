//! Logs: JSON lines on standard error. Metrics go to standard output, one EMF line each, so that neither breaks the other.

use std::io::{self, Write};
use tidegate_contract::foreign::escape_json;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

/// Installs the subscriber. `filter` is `TIDEGATE_LOG`'s text, such as `info` or `tidegate_runtime=debug,info`.
pub fn init(filter: &str) -> Result<(), String> {
    subscriber(filter, io::stderr)?.try_init().map_err(|error| format!("the log cannot be set up: {error}"))
}

/// What `filter` lets through, and of that only what may ever be logged, as lines for `writer`.
pub fn subscriber<W>(filter: &str, writer: W) -> Result<impl Subscriber + Send + Sync, String>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let chosen = EnvFilter::try_new(filter).map_err(|error| format!("TIDEGATE_LOG: {error}"))?;
    let lines = fmt::layer().json().flatten_event(true).with_writer(InPlainLines(writer));
    Ok(tracing_subscriber::registry().with(chosen).with(filter_fn(may_be_logged)).with(lines))
}

/// The SDK and the HTTP stack log whole requests and responses below info, task tokens and credentials in their bodies. So
/// everything below info that is not our own stays out. A layer of its own and no directive: among directives a longer target
/// or a span's wins, and `TIDEGATE_LOG` could name one.
fn may_be_logged(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    *metadata.level() <= Level::INFO || target.starts_with("tidegate_")
}

/// Raw lines hold no control, bidirectional or invisible character: whoever reads the log in a terminal reads what is there.
struct InPlainLines<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for InPlainLines<W> {
    type Writer = PlainLine<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        PlainLine(self.0.make_writer())
    }
}

struct PlainLine<W>(W);

impl<W: Write> Write for PlainLine<W> {
    /// The formatter hands over each line as a whole.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_all(escape_json(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "telemetry_tests.rs"]
mod tests;
