//! What a whole run logs: one span and one terminal event per task, metrics beside it, and never a token.

use crate::fake_service::{Fault, Op};
use crate::rig::{INTERNAL, Lines, Rig, handler, options, registration, service};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tidegate_runtime::{TaskFailure, TaskServiceErrorClass as Class, TaskToken, telemetry};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::FmtSpan;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

thread_local! {
    static THIS_TEST: RefCell<Captured> = RefCell::default();
}

/// Lines go to the buffer of the thread that logs, which is the test's own: its runtime has one thread.
struct ByThread;

impl<'a> MakeWriter<'a> for ByThread {
    type Writer = Captured;
    fn make_writer(&'a self) -> Captured {
        THIS_TEST.with_borrow(Captured::clone)
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn events(&self, message: &str) -> Vec<Value> {
        let all: Vec<Value> = self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        all.into_iter().filter(|event| event["fields"]["message"] == message).collect()
    }
}

/// Everything is captured: TRACE level, span starts and ends included. One subscriber for the whole process: with one per
/// thread, tracing caches "nobody listens" for a callsite that another test reaches first.
fn capture() -> Captured {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(tracing::Level::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_writer(ByThread)
            .finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    THIS_TEST.set(Captured::default());
    THIS_TEST.with_borrow(Captured::clone)
}

#[tokio::test(start_paused = true)]
async fn a_run_through_every_error_path_tells_each_task_once_and_never_a_token() {
    let captured = capture();
    let service = service();
    let metrics = Lines::default();
    let mut options = options("w1");
    options.metrics = Arc::new(metrics.clone());
    let work = handler(|input, ctx| async move {
        match input["do"].as_str().unwrap() {
            "succeed" => {
                tracing::Span::current().record("execution_id", "drill-0042");
                tracing::info!("inside the handler");
                Ok(input)
            }
            "fail" => Err(TaskFailure::new("Test.Conflict", "held by drill-0041")),
            "panic" => panic!("scripted panic"),
            "wait" => {
                ctx.cancelled.cancelled().await;
                Ok(input)
            }
            _ => {
                tokio::time::sleep(Duration::from_secs(100)).await;
                Ok(input)
            }
        }
    });
    let rig = Rig::start_with(&service, registration(work), options);
    let mut expected: HashMap<String, (&str, &str)> = HashMap::new();
    let mut run = |what: &str, result: &'static str, answer: &'static str| {
        let raw = service.schedule(what);
        expected.insert(TaskToken::new(raw.clone()).short_hash(), (result, answer));
        raw
    };
    let finished = |count: usize| {
        let captured = captured.clone();
        service.until("the task is finished", move |_| captured.events(telemetry::TASK_FINISHED).len() == count)
    };

    service.answered(&run(r#"{"do": "succeed"}"#, "success", "accepted")).await;
    service.answered(&run(r#"{"do": "fail"}"#, "failure", "accepted")).await;
    service.answered(&run(r#"{"do": "panic"}"#, "failure", "accepted")).await;
    service.answered(&run("not json", "failure", "accepted")).await;
    // Heartbeats that fail in each way, then an answer refused and one lost.
    service.script(Op::Heartbeat, Fault::Fails(Class::Transient), 2);
    service.script(Op::Heartbeat, Fault::Fails(Class::Denied), 1);
    service.answered(&run(r#"{"do": "work"}"#, "success", "accepted")).await;
    service.script(Op::Success, Fault::Fails(Class::Throttled), 2);
    service.script(Op::Success, Fault::Fails(Class::Rejected), 1);
    service.answered(&run(r#"{"do": "succeed"}"#, "failure", "accepted")).await;
    service.script(Op::Success, Fault::LostResponse, 1);
    run(r#"{"do": "succeed"}"#, "abandoned", "unknown");
    finished(7).await;
    service.script(Op::Success, Fault::Panics, 1);
    run(r#"{"do": "succeed"}"#, "abandoned", "interrupted");
    finished(8).await;
    let killed = run(r#"{"do": "wait"}"#, "abandoned", "unwanted");
    service.until("the task is taken", |s| s.takers().contains_key(&killed)).await;
    service.kill(&killed);
    finished(9).await;
    service.script(Op::Poll, Fault::Fails(Class::Transient), 20);
    service.until("polls have failed", |s| s.calls(Op::Poll).len() > 30).await;
    service.until("a poll is open", |s| s.open_polls() == 1).await;
    rig.shutdown.cancel();
    service.answered(&run(r#"{"do": "succeed"}"#, "failure", "accepted")).await;
    let summary = rig.ended().await.unwrap();
    assert_eq!(summary.tasks_taken, 10);
    assert_eq!((summary.succeeded, summary.failed, summary.abandoned), (2, 5, 3));

    let text = captured.text();
    assert!(text.contains("HeartbeatMissed") && text.contains("HeartbeatRefused") && text.contains("AnswerFailed"));
    assert!(text.contains("PollFailed") && text.contains("WorkerDraining") && text.contains("inside the handler"));
    assert!(!text.contains("RAWTOKEN"), "a raw token was logged");
    assert!(!text.contains("scripted panic of"), "no input is logged");

    let finished = captured.events(telemetry::TASK_FINISHED);
    assert_eq!(captured.events(telemetry::TASK_RECEIVED).len(), 10);
    assert_eq!(finished.len(), 10, "exactly one terminal event per task");
    for event in &finished {
        let fields = &event["fields"];
        let told = (fields["result"].as_str().unwrap(), fields["answer"].as_str().unwrap());
        assert_eq!(expected.remove(fields["token_hash"].as_str().unwrap()), Some(told));
        assert_eq!(fields["activity"], "poll-wave-v1");
        assert!(fields["duration_ms"].is_u64());
        assert_eq!(fields["error"].is_string(), told.0 == "failure" || told.1 == "interrupted", "{fields}");
        assert_eq!(event["span"]["name"], "task");
        assert_eq!(event["span"]["worker"], "w1");
        let level = event["level"].as_str().unwrap();
        match (told, fields["error"].as_str()) {
            (("success", _), _) => assert_eq!(level, "INFO"),
            ((_, "interrupted"), _) | (_, Some(INTERNAL)) => assert_eq!(level, "ERROR"),
            _ => assert_eq!(level, "WARN"),
        }
    }
    assert!(expected.is_empty());

    let lines = metrics.take();
    let of_tasks = lines.iter().filter(|line| line.contains("TaskResult"));
    assert_eq!(of_tasks.count(), 10, "one metric line per task");
    assert!(lines.iter().all(|line| !line.contains("RAWTOKEN")));
    let count = |result: &str| {
        let results = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        results.filter(|line| line["Result"] == result && line["TaskResult"] == 1.0).count()
    };
    assert_eq!((count("success"), count("failure"), count("abandoned")), (2, 5, 3));
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_records_is_on_its_lines_and_on_the_terminal_event() {
    let captured = capture();
    let service = service();
    let work = handler(|input, _| async move {
        tracing::Span::current().record("execution_id", "drill-0042");
        tracing::Span::current().record("wave", 3);
        tracing::info!("inside the handler");
        Ok(input)
    });
    let rig = Rig::start(&service, registration(work));
    let raw = service.schedule("{}");
    service.answered(&raw).await;
    rig.stop().await;
    for message in ["inside the handler", telemetry::TASK_FINISHED] {
        let events = captured.events(message);
        assert_eq!(events.len(), 1, "{message}");
        let span = &events[0]["span"];
        assert_eq!((&span["name"], &span["execution_id"]), (&"task".into(), &"drill-0042".into()));
        assert_eq!(span["wave"], 3);
        assert_eq!(span["token_hash"], TaskToken::new(raw.clone()).short_hash());
    }
}

#[tokio::test(start_paused = true)]
async fn the_level_of_poll_failures_rises() {
    let captured = capture();
    let service = service();
    service.script(Op::Poll, Fault::Fails(Class::Transient), 16);
    let rig = Rig::start(&service, registration(crate::rig::echo()));
    service.until("the failures are over", |s| s.calls(Op::Poll).len() == 17).await;
    rig.stop().await;
    let levels: Vec<String> = captured
        .events(telemetry::POLL_FAILED)
        .iter()
        .map(|event| event["level"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<&str> = [["DEBUG"; 4].as_slice(), &["WARN"; 10], &["ERROR"; 2]].concat();
    assert_eq!(levels, expected);
}
