//! Many tasks at once, over two workers and a service that misbehaves.

use crate::fake_service::{Fault, Op};
use crate::rig::{Rig, handler, options, registration, service};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tidegate_runtime::{TaskFailure, TaskServiceErrorClass as Class};

const TASKS: usize = 200;
const SLOTS: usize = 8;

#[tokio::test(start_paused = true)]
async fn two_workers_share_two_hundred_tasks_and_each_is_answered_once() {
    let service = service();
    let (running, most_running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, most) = (Arc::clone(&running), Arc::clone(&most_running));
    let work = handler(move |input, _| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            let number = input["number"].as_u64().unwrap();
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(100 + number % 7 * 900)).await;
            now.fetch_sub(1, Ordering::SeqCst);
            match number % 10 {
                3 => Err(TaskFailure::new("Test.Conflict", "held")),
                7 => panic!("scripted panic of task {number}"),
                _ => Ok(input),
            }
        }
    });
    // Faults without an effect: each of these answers must be sent again.
    service.script(Op::Success, Fault::Fails(Class::Throttled), 10);
    service.script(Op::Success, Fault::Fails(Class::Transient), 10);
    service.script(Op::Poll, Fault::Fails(Class::Transient), 5);
    service.script(Op::Heartbeat, Fault::Fails(Class::Transient), 5);
    let start = |name: &str, seed| {
        let mut registration = registration(Arc::clone(&work));
        (registration.pollers, registration.slots) = (4, SLOTS);
        let mut options = options(name);
        options.jitter_seed = Some(seed);
        Rig::start_with(&service, registration, options)
    };
    let (left, right) = (start("left", 1), start("right", 2));
    let tokens: Vec<String> = (0..TASKS).map(|n| service.schedule(&format!(r#"{{"number": {n}}}"#))).collect();
    service.until("every task is answered", |s| tokens.iter().all(|raw| !s.answers(raw).is_empty())).await;
    left.shutdown.cancel();
    let (left, right) = (left.ended().await.unwrap(), right.stop().await);
    for raw in &tokens {
        assert_eq!(service.answers(raw).len(), 1);
    }
    let workers: HashSet<String> = service.takers().into_values().collect();
    assert_eq!(workers, HashSet::from(["left".to_owned(), "right".to_owned()]));
    assert_eq!(left.tasks_taken + right.tasks_taken, TASKS as u64);
    assert_eq!(left.succeeded + right.succeeded, 160);
    assert_eq!(left.failed + right.failed, 40);
    assert_eq!(left.abandoned + right.abandoned, 0);
    assert!(most_running.load(Ordering::SeqCst) <= 2 * SLOTS);
    assert!(most_running.load(Ordering::SeqCst) > SLOTS, "the workers did work side by side");
    assert_eq!(service.dropped_polls(), 0);
}
