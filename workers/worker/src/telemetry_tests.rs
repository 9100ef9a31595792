//! No filter of any shape lets what the SDK logs of a request out: directives by target, by span, by field, the broadest and
//! the longest ones, and ones made up.

use super::*;
use proptest::prelude::*;
use std::sync::{Arc, Mutex};
use tracing::subscriber::with_default;

const SECRET: &str = "AAAA-a-task-token";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// One event and one span of each target and level, all with the secret. Callsites are static, so the targets are spelled here.
macro_rules! speak {
    ($($target:literal)*) => {$(
        let span = tracing::trace_span!(target: $target, "request", body = SECRET);
        let _in = span.enter();
        tracing::trace!(target: $target, body = SECRET, "{}", SECRET);
        tracing::debug!(target: $target, body = SECRET, "{}", SECRET);
        let span = tracing::debug_span!(target: $target, "request", body = SECRET);
        let _in = span.enter();
        tracing::warn!(target: $target, "heard");
    )*};
}

/// As the SDK speaks while a task is worked on.
fn all_speak() {
    let task = tracing::warn_span!(target: "tidegate_runtime::telemetry", "task", activity = "start-wave-v1", token_hash = "ab12");
    let _in = task.enter();
    speak!(
        "aws_smithy_runtime::client" "aws_smithy_runtime::client::orchestrator" "aws_smithy_runtime_api::http::request"
        "aws_smithy_http_client::client" "aws_runtime::auth" "aws_sdk_sfn::operation::get_activity_task"
        "aws_sdk_dynamodb::operation::query" "aws_sdk_sts::operation::assume_role" "aws_config::sts" "aws_sigv4::http_request"
        "hyper" "hyper_util::client" "h2::codec" "rustls::conn" "log" "tokio" "" "tidegate" "xtidegate_runtime"
    );
    tracing::trace!(target: "tidegate_runtime::poller", "ours");
}

fn logged(filter: &str) -> Option<String> {
    let captured = Captured::default();
    let subscriber = subscriber(filter, captured.clone()).ok()?;
    with_default(subscriber, all_speak);
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    Some(text)
}

#[test]
fn nothing_below_info_gets_out_that_is_not_ours() {
    for filter in [
        "trace",
        "debug",
        "info,aws_smithy_runtime::client=trace",
        "info,aws_smithy_runtime::client::orchestrator=trace",
        "info,[task]=trace",
        "[task{activity=start-wave-v1}]=trace",
        "[{token_hash}]=trace",
        "info,[request{body}]=trace",
        "info,aws_sdk_sfn[request]=trace,aws_sdk_sfn::operation::get_activity_task[task]=trace",
        "aws_sdk_dynamodb=trace,aws_sdk_sts=trace,aws_config=trace,hyper=trace,log=trace,tokio=trace",
        "tidegate=trace,xtidegate_runtime=trace",
        "off,aws_sigv4=trace",
    ] {
        let text = logged(filter).unwrap();
        assert!(!text.contains(SECRET), "{filter}:\n{text}");
        assert!(text.is_empty() || text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}

#[test]
fn our_own_lines_follow_the_filter() {
    assert!(logged("trace").unwrap().contains("ours") && logged("info").unwrap().contains("heard"));
    assert!(!logged("info").unwrap().contains("ours") && !logged("off").unwrap().contains("heard"));
    assert!(logged("info,tidegate_runtime::poller=trace").unwrap().contains("ours"));
}

#[test]
fn a_raw_line_holds_nothing_that_deceives() {
    let captured = Captured::default();
    let name = "db\n{\"level\":\"INFO\"}\u{202e}\u{9b}\u{2028}\u{200b}";
    with_default(subscriber("info", captured.clone()).unwrap(), || tracing::info!(name, "Seen"));
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["name"], name);
}

fn directive() -> impl Strategy<Value = String> {
    let target = prop_oneof![
        Just(String::new()),
        "(aws_smithy_runtime|aws_sdk_sfn|aws_sdk_dynamodb|aws_config|hyper|h2|tokio|log|tidegate)(::[a-z_]{1,12}){0,3}",
        "aws_smithy_runtime::client(::orchestrator)?",
        "aws_sdk_sfn::operation::get_activity_task",
    ];
    let span = prop_oneof![
        Just(String::new()),
        Just("[task]".to_owned()),
        Just("[request]".to_owned()),
        Just("[{body}]".to_owned()),
        Just("[task{activity=start-wave-v1}]".to_owned()),
        Just("[request{body=.*}]".to_owned()),
    ];
    let level = prop_oneof![Just("=trace"), Just("=debug"), Just("=info"), Just("=5"), Just("=off"), Just("")];
    (target, span, level).prop_map(|(target, span, level)| {
        if target.is_empty() && span.is_empty() { "trace".to_owned() } else { format!("{target}{span}{level}") }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_filter_made_up_lets_it_out(directives in prop::collection::vec(directive(), 1..6)) {
        let filter = directives.join(",");
        if let Some(text) = logged(&filter) {
            prop_assert!(!text.contains(SECRET), "{}:\n{}", filter, text);
        }
    }
}
