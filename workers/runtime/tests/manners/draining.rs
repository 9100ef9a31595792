//! Shutdown: no poll dropped, no task left unanswered, and an end in bounded time.

use crate::fake_service::{Fault, Op};
use crate::rig::{HOLD, Outcome, Rig, SHUTDOWN, echo, handler, options, registration, service, working_for};
use serde_json::json;
use std::time::Duration;
use tidegate_runtime::{ActivityRegistration, HealthStatus, TaskServiceErrorClass as Class};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

const MOMENT: Duration = Duration::from_millis(5);

#[tokio::test(start_paused = true)]
async fn a_poll_in_flight_is_waited_out_and_no_new_one_starts() {
    let service = service();
    let mut registration = registration(echo());
    (registration.pollers, registration.slots) = (2, 2);
    let rig = Rig::start(&service, registration);
    service.until("both polls are open", |s| s.open_polls() == 2).await;
    sleep(Duration::from_secs(10)).await;
    let asked = Instant::now();
    rig.shutdown.cancel();
    sleep(MOMENT).await;
    assert_eq!(rig.health.report().status, HealthStatus::Draining);
    rig.ended().await.unwrap();
    assert!(asked.elapsed() >= HOLD - Duration::from_secs(10) && asked.elapsed() < HOLD);
    assert_eq!(service.dropped_polls(), 0);
    assert_eq!(service.calls(Op::Poll).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_arrives_while_draining_is_answered_at_once_and_not_started() {
    let service = service();
    let work = handler(|_, _| -> std::future::Ready<Outcome> { panic!("must not run") });
    let rig = Rig::start(&service, registration(work));
    service.until("a poll is open", |s| s.open_polls() == 1).await;
    rig.shutdown.cancel();
    // Within the grace: a task that were started now would run.
    sleep(Duration::from_secs(10)).await;
    let raw = service.schedule("{}");
    let (at, answer) = service.answered(&raw).await;
    assert_eq!(answer.error(), SHUTDOWN);
    assert!(at.duration_since(service.started(&raw)) < MOMENT);
    let summary = rig.ended().await.unwrap();
    assert_eq!((summary.tasks_taken, summary.failed), (1, 1));
    assert_eq!(service.calls(Op::Poll).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_in_hand_may_finish_within_the_grace_and_is_told_of_the_drain() {
    let service = service();
    let work = handler(|_, ctx| async move {
        ctx.draining.cancelled().await;
        assert!(!ctx.cancelled.is_cancelled(), "the grace comes first");
        sleep(Duration::from_secs(20)).await;
        Ok(json!({"done": true}))
    });
    let rig = Rig::start(&service, registration(work));
    let raw = service.schedule("{}");
    service.until("the task is taken", |s| s.takers().contains_key(&raw)).await;
    let asked = Instant::now();
    let summary = rig.stop().await;
    assert_eq!(summary.succeeded, 1);
    assert!(asked.elapsed() >= Duration::from_secs(20) && asked.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn work_past_the_grace_is_cancelled_and_answered_as_shutdown() {
    let service = service();
    let options = options("w1");
    let (grace, patience) = (options.drain_grace, options.cancel_patience);
    let rig = Rig::start_with(&service, registration(working_for(Duration::from_secs(500))), options);
    let raw = service.schedule("{}");
    service.until("the task is taken", |s| s.takers().contains_key(&raw)).await;
    let asked = Instant::now();
    rig.shutdown.cancel();
    let (at, answer) = service.answered(&raw).await;
    assert_eq!(answer.error(), SHUTDOWN);
    let took = at.duration_since(asked);
    assert!(took >= grace + patience && took < grace + patience + MOMENT, "{took:?}");
    assert_eq!(rig.ended().await.unwrap().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_success_given_right_after_the_cancel_is_the_truth_and_is_sent() {
    let service = service();
    let work = handler(|_, ctx| async move {
        ctx.cancelled.cancelled().await;
        Ok(json!({"jobId": "drsjob-1"}))
    });
    let rig = Rig::start(&service, registration(work));
    let raw = service.schedule("{}");
    service.until("the task is taken", |s| s.takers().contains_key(&raw)).await;
    assert_eq!(rig.stop().await.succeeded, 1);
    assert_eq!(service.answers(&raw)[0].1.error(), "");
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_within_its_bound_even_when_no_call_returns() {
    for fault in [Fault::Hangs, Fault::Fails(Class::Transient)] {
        let service = service();
        let (started, mut running) = mpsc::channel(1);
        let work = handler(move |input, _| {
            let started = started.clone();
            async move {
                started.send(()).await.unwrap();
                sleep(Duration::from_secs(500)).await;
                Ok(input)
            }
        });
        let options = options("w1");
        let bound = options.drain_bound();
        let registration = ActivityRegistration { slots: 2, ..registration(work) };
        let rig = Rig::start_with(&service, registration, options);
        service.schedule("{}");
        running.recv().await.unwrap();
        service.until("the second poll is open", |s| s.calls(Op::Poll).len() == 2).await;
        service.always(Op::Failure, fault);
        let asked = Instant::now();
        let summary = rig.stop().await;
        assert!(asked.elapsed() <= bound, "{:?} of {bound:?}", asked.elapsed());
        assert_eq!((summary.tasks_taken, summary.abandoned), (1, 1));
        assert!(!service.calls(Op::Failure).is_empty(), "at least one answer was tried");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_during_a_backoff_does_not_poll_again() {
    let service = service();
    service.always(Op::Poll, Fault::Fails(Class::Throttled));
    let rig = Rig::start(&service, registration(echo()));
    service.until("polls fail", |s| s.calls(Op::Poll).len() == 3).await;
    let asked = Instant::now();
    assert_eq!(rig.stop().await.polls, 3);
    assert!(asked.elapsed() < MOMENT);
}
