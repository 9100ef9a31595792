//! Heartbeats, dead tokens, deadlines.

use crate::fake_service::{FakeTaskService, Fault, Op};
use crate::rig::{
    DEADLINE, HEARTBEAT, HOLD, Outcome, Rig, TIMEOUT, handler, options, registration, service, working_for,
};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_runtime::{ActivityHandler, TaskFailure, TaskServiceErrorClass as Class};
use tokio::sync::oneshot;
use tokio::time::sleep;

const LONG_WORK: Duration = Duration::from_secs(400);

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_long_work_alive_at_a_third_of_the_limit() {
    let service = service();
    let rig = Rig::start(&service, registration(working_for(LONG_WORK)));
    let raw = service.schedule("{}");
    let (_, answer) = service.answered(&raw).await;
    assert_eq!(answer.error(), "", "400 s of work under a 60 s heartbeat limit");
    let mut signs = vec![service.started(&raw)];
    signs.extend(service.calls(Op::Heartbeat));
    assert_eq!(signs.len(), 20, "19 beats in 400 s, and none after the answer");
    for pair in signs.windows(2) {
        assert!(pair[1].duration_since(pair[0]) <= HEARTBEAT / 3 + Duration::from_millis(5));
    }
    sleep(LONG_WORK).await;
    assert_eq!(service.calls(Op::Heartbeat).len(), 19);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failing_heartbeats_do_not_fail_the_work_and_are_repeated_in_time() {
    for class in [Class::Transient, Class::Throttled, Class::Denied, Class::Rejected] {
        let service = service();
        // Four failures in a row, then heartbeats work again: still within the limit.
        service.script(Op::Heartbeat, Fault::Fails(class), 4);
        let rig = Rig::start(&service, registration(working_for(LONG_WORK)));
        let raw = service.schedule("{}");
        assert_eq!(service.answered(&raw).await.1.error(), "", "{class}");
        rig.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_heartbeat_leaves_time_for_the_next() {
    let service = service();
    service.script(Op::Heartbeat, Fault::Hangs, 2);
    let rig = Rig::start(&service, registration(working_for(LONG_WORK)));
    let raw = service.schedule("{}");
    assert_eq!(service.answered(&raw).await.1.error(), "");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_token_cancels_the_work_and_no_answer_is_sent() {
    let service = service();
    let (saw_cancel, cancel_seen) = oneshot::channel();
    let saw_cancel = std::sync::Mutex::new(Some(saw_cancel));
    let work = handler(move |input, ctx| {
        let saw_cancel = saw_cancel.lock().unwrap().take();
        async move {
            if let Some(saw_cancel) = saw_cancel {
                ctx.cancelled.cancelled().await;
                saw_cancel.send(tokio::time::Instant::now()).unwrap();
            }
            Ok(input)
        }
    });
    let rig = Rig::start(&service, registration(work));
    let raw = service.schedule("{}");
    service.until("the task is taken", |s| s.takers().contains_key(&raw)).await;
    let started = service.started(&raw);
    service.kill(&raw);
    let cancelled_at = cancel_seen.await.unwrap();
    assert!(cancelled_at.duration_since(started) <= HEARTBEAT / 3 + Duration::from_millis(5));
    // The slot is free again: the next task is taken and answered.
    let next = service.schedule("{}");
    assert_eq!(service.answered(&next).await.1.error(), "");
    let summary = rig.stop().await;
    assert_eq!((summary.succeeded, summary.abandoned), (1, 1));
    assert_eq!(service.calls(Op::Success).len(), 1, "only the second task was answered");
    assert!(service.calls(Op::Failure).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_dies_while_the_handler_winds_down_is_not_answered() {
    // Deadline at 585 s, patience until 592 s, a beat every 21 s: the 28th beat, at 588 s, finds the token dead.
    let service = FakeTaskService::new(TIMEOUT, Duration::from_secs(63), HOLD);
    let mut registration = registration(working_for(TIMEOUT * 2));
    registration.heartbeat = Duration::from_secs(63);
    let mut options = options("w1");
    options.cancel_patience = Duration::from_secs(7);
    let rig = Rig::start_with(&service, registration, options);
    let raw = service.schedule("{}");
    service.until("27 beats", |s| s.calls(Op::Heartbeat).len() == 27).await;
    service.kill(&raw);
    service.until("28 beats", |s| s.calls(Op::Heartbeat).len() == 28).await;
    assert_eq!(rig.stop().await.abandoned, 1);
    assert!(service.calls(Op::Failure).is_empty());
}

#[tokio::test(start_paused = true)]
async fn heartbeats_go_on_while_the_answer_is_retried() {
    let service = service();
    let mut options = options("w1");
    options.throttle_backoff.initial = Duration::from_secs(20);
    // Throttled answers over more than three heartbeat limits; without beats the token would be dead.
    service.script(Op::Success, Fault::Fails(Class::Throttled), 6);
    let rig = Rig::start_with(&service, registration(working_for(Duration::from_secs(1))), options);
    let raw = service.schedule("{}");
    let (at, answer) = service.answered(&raw).await;
    assert_eq!(answer.error(), "");
    assert!(at.duration_since(service.started(&raw)) > HEARTBEAT * 3);
    assert_eq!(rig.stop().await.succeeded, 1);
}

#[tokio::test(start_paused = true)]
async fn the_worker_answers_its_deadline_before_the_service_gives_up() {
    for (timeout, heartbeat) in [(600, 60), (3600, 60), (10, 3), (2, 1)] {
        let (timeout, heartbeat) = (Duration::from_secs(timeout), Duration::from_secs(heartbeat));
        let service = FakeTaskService::new(timeout, heartbeat, HOLD);
        let mut registration = registration(working_for(Duration::from_secs(100_000)));
        (registration.timeout, registration.heartbeat) = (timeout, heartbeat);
        let rig = Rig::start(&service, registration);
        let raw = service.schedule("{}");
        let (at, answer) = service.answered(&raw).await;
        assert_eq!(answer.error(), DEADLINE);
        let took = at.duration_since(service.started(&raw));
        assert!(took < timeout && took >= timeout / 2, "{took:?} of {timeout:?}");
        rig.stop().await;
    }
}

type End = fn() -> Outcome;

fn ending_when_cancelled(ends: Arc<AtomicUsize>, end: End) -> Arc<dyn ActivityHandler> {
    handler(move |_, ctx| {
        let ends = Arc::clone(&ends);
        async move {
            ctx.cancelled.cancelled().await;
            assert!(tokio::time::Instant::now() >= ctx.deadline);
            ends.fetch_add(1, Ordering::Relaxed);
            end()
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_winds_down_at_the_deadline_has_the_last_word() {
    let ends = Arc::new(AtomicUsize::new(0));
    let cases: [(End, &str); 2] =
        [(|| Ok(json!({"adopted": true})), ""), (|| Err(TaskFailure::new("Test.Other", "job-1 may exist")), DEADLINE)];
    for (end, error) in cases {
        let service = service();
        let rig = Rig::start(&service, registration(ending_when_cancelled(Arc::clone(&ends), end)));
        let raw = service.schedule("{}");
        let (at, answer) = service.answered(&raw).await;
        assert_eq!(answer.error(), error);
        if let crate::fake_service::Accepted::Failure { cause, .. } = &answer {
            assert!(cause.contains("job-1 may exist"), "{cause}");
        }
        assert!(at.duration_since(service.started(&raw)) < TIMEOUT);
        rig.stop().await;
    }
    assert_eq!(ends.load(Ordering::Relaxed), 2);
}
