//! Slot before poll, several pollers, empty polls, failing polls.

use crate::fake_service::{FakeTaskService, Fault, Op};
use crate::rig::{HEARTBEAT, Lines, Rig, TIMEOUT, echo, handler, options, registration, service, working_for};
use std::sync::Arc;
use std::time::Duration;
use tidegate_runtime::{BackoffBounds, HealthStatus, TaskServiceErrorClass as Class, WorkerError};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

#[tokio::test(start_paused = true)]
async fn no_slot_no_poll() {
    let service = service();
    let gate = Arc::new(Notify::new());
    let release = Arc::clone(&gate);
    let work = handler(move |input, _| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            Ok(input)
        }
    });
    let rig = Rig::start(&service, tidegate_runtime::ActivityRegistration { pollers: 3, ..registration(work) });
    let (first, second) = (service.schedule("1"), service.schedule("2"));
    service.until("the first task is taken", |s| s.takers().contains_key(&first)).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(service.calls(Op::Poll).len(), 1, "the only slot is taken, so nobody polls");
    assert!(!service.takers().contains_key(&second));
    assert_eq!(rig.health.report().status, HealthStatus::Ok, "a full worker is alive");
    release.notify_one();
    service.until("the second task is taken", |s| s.takers().contains_key(&second)).await;
    release.notify_one();
    service.answered(&second).await;
    assert_eq!(service.most_open_polls(), 1, "one slot, one poll, whatever the pollers");
    assert_eq!(rig.stop().await.succeeded, 2);
}

#[tokio::test(start_paused = true)]
async fn several_pollers_hold_several_polls_open() {
    let service = service();
    let mut registration = registration(echo());
    (registration.pollers, registration.slots) = (3, 10);
    let rig = Rig::start(&service, registration);
    service.until("three polls are open", |s| s.open_polls() == 3).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(service.most_open_polls(), 3);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn empty_polls_are_normal_and_follow_each_other() {
    let service = service();
    let rig = Rig::start(&service, registration(echo()));
    sleep(Duration::from_secs(605)).await;
    assert_eq!(service.calls(Op::Poll).len(), 11, "one poll a minute, without a pause");
    let summary = rig.stop().await;
    assert_eq!((summary.polls, summary.tasks_taken), (11, 0));
}

#[tokio::test(start_paused = true)]
async fn each_poll_that_the_service_took_is_a_sign_of_life_and_a_failed_one_is_none() {
    let service = service();
    service.script(Op::Poll, Fault::Fails(Class::Throttled), 2);
    let metrics = Lines::default();
    let mut options = options("w1");
    options.metrics = Arc::new(metrics.clone());
    let rig = Rig::start_with(&service, registration(echo()), options);
    service.until("two polls failed, the third is open", |s| s.calls(Op::Poll).len() == 3).await;
    assert_eq!(metrics.take(), Vec::<String>::new(), "nothing was taken yet");
    service.until("the third came back empty", |s| s.calls(Op::Poll).len() == 4).await;
    let lines = metrics.take();
    let record: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((lines.len(), &record["PollAccepted"]), (1, &1.0.into()));
    assert_eq!(record["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0], serde_json::json!(["Activity"]));
    assert_eq!(record["Activity"], "poll-wave-v1");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_hold_polls_is_not_hammered() {
    let service = FakeTaskService::new(TIMEOUT, HEARTBEAT, Duration::ZERO);
    let rig = Rig::start(&service, registration(echo()));
    sleep(Duration::from_secs(10)).await;
    let polls = service.calls(Op::Poll).len();
    assert!((40..=51).contains(&polls), "one poll per 200 ms, got {polls}");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failing_polls_back_off_and_start_over_after_a_success() {
    let service = service();
    service.script(Op::Poll, Fault::Fails(Class::Transient), 12);
    let mut options = options("w1");
    options.poll_backoff = BackoffBounds::new(Duration::from_secs(1), Duration::from_secs(30));
    let rig = Rig::start_with(&service, registration(echo()), options);
    service.until("the failures are over", |s| s.calls(Op::Poll).len() == 13).await;
    let gaps: Vec<f64> = gaps(&service.calls(Op::Poll));
    for (attempt, gap) in gaps.iter().enumerate() {
        let full = 2_f64.powi(i32::try_from(attempt).unwrap()).min(30.0);
        assert!(*gap >= full / 2.0 - 0.01 && *gap <= full + 0.01, "gap {attempt} is {gap}, of {full}");
    }
    assert!(gaps.iter().any(|gap| gap.fract() > 0.01), "waits carry jitter: {gaps:?}");
    // The 13th poll succeeds (empty, after its hold); the next failure starts at the shortest wait again.
    service.script(Op::Poll, Fault::Fails(Class::Transient), 1);
    service.until("two more polls", |s| s.calls(Op::Poll).len() == 15).await;
    let calls = service.calls(Op::Poll);
    assert!(calls[14].duration_since(calls[13]) <= Duration::from_millis(1010));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn throttled_polls_wait_on_the_slower_series() {
    let service = service();
    service.script(Op::Poll, Fault::Fails(Class::Throttled), 1);
    let rig = Rig::start(&service, registration(echo()));
    service.until("a second poll", |s| s.calls(Op::Poll).len() == 2).await;
    assert!(gaps(&service.calls(Op::Poll))[0] >= 1.0);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_never_returns_is_cut_past_the_services_own_limit_and_repeated() {
    let service = service();
    service.script(Op::Poll, Fault::Hangs, 1);
    let rig = Rig::start(&service, registration(echo()));
    service.until("a second poll", |s| s.calls(Op::Poll).len() == 2).await;
    assert!(gaps(&service.calls(Op::Poll))[0] >= 75.0);
    assert_eq!(rig.health.report().status, HealthStatus::Ok);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refused_polls_end_the_worker_after_its_tasks_are_answered() {
    for class in [Class::Denied, Class::Missing] {
        let service = service();
        let mut registration = registration(working_for(Duration::from_secs(20)));
        registration.slots = 2;
        let rig = Rig::start(&service, registration);
        // The open poll brings the task; the next one is refused while the work runs.
        service.until("a poll is open", |s| s.open_polls() == 1).await;
        service.always(Op::Poll, Fault::Fails(class));
        let raw = service.schedule("{}");
        let error = rig.ended().await.unwrap_err();
        let WorkerError::PollRefused { activity, source, .. } = &error else { panic!("{error:?}") };
        assert_eq!((activity.as_str(), source.class), ("poll-wave-v1", class));
        let text = error.to_string();
        assert!(text.contains("activity:poll-wave-v1") && text.contains("states:GetActivityTask"), "{text}");
        assert_eq!(service.answers(&raw).len(), 1, "the task in hand was finished first");
        assert_eq!(service.answers(&raw)[0].1.error(), "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_during_shutdown_does_not_turn_it_into_a_failure() {
    let service = service();
    service.script(Op::Poll, Fault::FailsLate(Class::Denied), 1);
    let rig = Rig::start(&service, registration(echo()));
    service.until("a poll is open", |s| s.open_polls() == 1).await;
    assert_eq!(rig.stop().await.polls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_adapter_ends_the_worker_and_leaves_no_task_unanswered() {
    let service = service();
    let mut registration = registration(working_for(Duration::from_secs(20)));
    registration.slots = 2;
    let rig = Rig::start(&service, registration);
    // The open poll brings the task; the next one panics while the work runs.
    service.until("a poll is open", |s| s.open_polls() == 1).await;
    service.always(Op::Poll, Fault::Panics);
    let raw = service.schedule("{}");
    assert!(matches!(rig.ended().await, Err(WorkerError::PollerPanicked)));
    assert_eq!(service.answers(&raw).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn unusable_options_are_refused_before_the_first_poll() {
    let service = service();
    let rig = Rig::start_with(&service, registration(echo()), options(""));
    assert!(matches!(rig.ended().await, Err(WorkerError::InvalidOption(_))));
    assert!(service.calls(Op::Poll).is_empty());
}

fn gaps(calls: &[Instant]) -> Vec<f64> {
    calls.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs_f64()).collect()
}
