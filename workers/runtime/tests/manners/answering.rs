//! A task taken is answered once: panics, bad input, limits, and the fate of every send.

use crate::fake_service::{Accepted, FakeTaskService, Fault, Op};
use crate::rig::{
    DEADLINE, HOLD, INTERNAL, INVALID_INPUT, Outcome, Rig, TIMEOUT, echo, handler, registration, service,
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tidegate_runtime::{
    ActivityHandler, MAX_CAUSE_BYTES, MAX_ERROR_BYTES, MAX_OUTPUT_BYTES, TaskFailure, TaskServiceErrorClass as Class,
    WorkerSummary,
};
use tokio::time::Instant;

/// Runs one task to the worker's end and returns what the service accepted.
async fn answer_of(work: Arc<dyn ActivityHandler>, input: &str) -> (Accepted, WorkerSummary) {
    let service = service();
    let rig = Rig::start(&service, registration(work));
    let raw = service.schedule(input);
    let (_, answer) = service.answered(&raw).await;
    let summary = rig.stop().await;
    assert_eq!(service.answers(&raw).len(), 1);
    (answer, summary)
}

fn returning(end: impl Fn() -> Outcome + Send + Sync + 'static) -> Arc<dyn ActivityHandler> {
    handler(move |_, _| std::future::ready(end()))
}

#[tokio::test(start_paused = true)]
async fn a_result_is_sent_as_it_is() {
    let (answer, summary) = answer_of(echo(), r#"{"waveNumber": 2}"#).await;
    assert_eq!(answer, Accepted::Success(r#"{"waveNumber":2}"#.to_owned()));
    assert_eq!((summary.tasks_taken, summary.succeeded), (1, 1));
    let (answer, summary) = answer_of(returning(|| Err(TaskFailure::new("Test.Conflict", "held"))), "{}").await;
    assert_eq!(answer, Accepted::Failure { error: "Test.Conflict".to_owned(), cause: "held".to_owned() });
    assert_eq!((summary.tasks_taken, summary.failed), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_as_internal() {
    for work in [
        handler(|_, _| async { panic!("wave table is empty") }),
        // Before the first await, and with a formatted payload.
        handler(|input, _| -> std::future::Ready<Outcome> { panic!("wave table is empty for {input}") }),
    ] {
        let (answer, summary) = answer_of(work, "{}").await;
        let Accepted::Failure { error, cause } = answer else { panic!("{answer:?}") };
        assert_eq!(error, INTERNAL);
        assert!(cause.contains("wave table is empty"), "{cause}");
        assert_eq!(summary.failed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn input_that_is_not_json_is_answered_without_running_the_handler() {
    let work = handler(|_, _| -> std::future::Ready<Outcome> { panic!("must not run") });
    for input in ["", "{", "{'a': 1}", "{} {}"] {
        let (answer, _) = answer_of(Arc::clone(&work), input).await;
        assert_eq!(answer.error(), INVALID_INPUT, "{input:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_output_over_the_limit_is_refused_before_it_is_sent() {
    let fits = returning(|| Ok(Value::String("x".repeat(MAX_OUTPUT_BYTES - 2))));
    assert_eq!(answer_of(fits, "{}").await.0.error(), "");

    let service = service();
    let rig = Rig::start(&service, registration(returning(|| Ok(Value::String("x".repeat(MAX_OUTPUT_BYTES - 1))))));
    let raw = service.schedule("{}");
    assert_eq!(service.answered(&raw).await.1.error(), INTERNAL);
    assert!(service.calls(Op::Success).is_empty());
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn cause_and_error_name_are_cut_to_the_services_limits() {
    let work = returning(|| Err(TaskFailure::new("E".repeat(300), "é".repeat(20_000))));
    let (Accepted::Failure { error, cause }, _) = answer_of(work, "{}").await else { panic!("a failure") };
    assert_eq!((error.len(), cause.len()), (MAX_ERROR_BYTES, MAX_CAUSE_BYTES));
}

#[tokio::test(start_paused = true)]
async fn answers_are_retried_until_they_are_accepted() {
    for fault in
        [Fault::Fails(Class::Transient), Fault::Fails(Class::Throttled), Fault::Fails(Class::Denied), Fault::Hangs]
    {
        let service = service();
        service.script(Op::Success, fault, 4);
        let rig = Rig::start(&service, registration(echo()));
        let raw = service.schedule("{}");
        service.answered(&raw).await;
        assert_eq!(service.calls(Op::Success).len(), 5);
        assert_eq!(rig.stop().await.succeeded, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_response_is_looked_into_and_not_counted_as_accepted() {
    let service = service();
    service.script(Op::Success, Fault::LostResponse, 1);
    let rig = Rig::start(&service, registration(echo()));
    let raw = service.schedule("{}");
    service.until("the answer is sent again", |s| s.calls(Op::Success).len() == 2).await;
    let summary = rig.stop().await;
    assert_eq!(service.answers(&raw).len(), 1);
    assert_eq!((summary.succeeded, summary.abandoned), (0, 1));
    assert_eq!(service.calls(Op::Success).len(), 2, "a dead token ends the retries");
}

#[tokio::test(start_paused = true)]
async fn answering_ends_with_the_services_timeout() {
    let service = service();
    service.always(Op::Success, Fault::Fails(Class::Transient));
    let rig = Rig::start(&service, registration(echo()));
    let (first, second) = (service.schedule("1"), service.schedule("2"));
    service.until("the slot is free again", |s| s.takers().contains_key(&second)).await;
    let freed = Instant::now().duration_since(service.started(&first));
    assert!(freed >= TIMEOUT - Duration::from_secs(1) && freed <= TIMEOUT + Duration::from_secs(16), "{freed:?}");
    assert!(service.answers(&first).is_empty());
    assert_eq!(rig.stop().await.abandoned, 2);
}

#[tokio::test(start_paused = true)]
async fn an_output_the_service_rejects_is_answered_as_internal() {
    let service = service();
    service.script(Op::Success, Fault::Fails(Class::Rejected), 1);
    let rig = Rig::start(&service, registration(echo()));
    let raw = service.schedule("{}");
    let (_, answer) = service.answered(&raw).await;
    let Accepted::Failure { error, cause } = answer else { panic!("{answer:?}") };
    assert_eq!(error, INTERNAL);
    assert!(!cause.contains(&raw), "the service's message repeats the token: {cause}");
    assert_eq!(rig.stop().await.failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failure_the_service_rejects_is_given_up() {
    let service = service();
    service.always(Op::Failure, Fault::Fails(Class::Rejected));
    let rig = Rig::start(&service, registration(returning(|| Err(TaskFailure::new("Test.X", "y")))));
    service.schedule("{}");
    service.until("the failure is sent", |s| s.calls(Op::Failure).len() == 1).await;
    assert_eq!(rig.stop().await.abandoned, 1);
    assert_eq!(service.calls(Op::Failure).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_adapter_that_panics_while_answering_still_ends_the_task() {
    let service = service();
    service.script(Op::Success, Fault::Panics, 1);
    let rig = Rig::start(&service, registration(echo()));
    service.schedule("{}");
    let next = service.schedule("{}");
    service.answered(&next).await;
    let summary = rig.stop().await;
    assert_eq!((summary.tasks_taken, summary.succeeded, summary.abandoned), (2, 1, 1));
}

/// Real time and threads, because a blocked thread cannot be had on paused time. Every wait is on a condition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_is_answered_for_and_keeps_its_slot() {
    let limit = Duration::from_secs(2);
    let service = FakeTaskService::new(limit, Duration::from_millis(1900), HOLD);
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Mutex::new(blocked);
    let work = handler(move |input, _| {
        if input == json!("block") {
            blocked.lock().unwrap().recv().ok();
        }
        std::future::ready(Ok(input))
    });
    let mut registration = registration(work);
    (registration.timeout, registration.heartbeat) = (limit, service.heartbeat);
    let rig = Rig::start(&service, registration);
    let (first, second) = (service.schedule(r#""block""#), service.schedule("{}"));
    let answered = tokio::time::timeout(Duration::from_secs(60), service.answered(&first)).await;
    let (_, answer) = answered.expect("the worker answers while the handler blocks");
    assert_eq!(answer.error(), DEADLINE);
    assert_eq!(service.calls(Op::Poll).len(), 1, "its slot is not given to another task");
    release.send(()).unwrap();
    assert_eq!(service.answered(&second).await.1.error(), "");
    drop(release);
    rig.shutdown.cancel();
    service.schedule("{}");
    rig.ended().await.unwrap();
}
