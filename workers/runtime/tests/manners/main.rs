//! The worker's manners, each a test against [`fake_service::FakeTaskService`] on paused tokio time: virtual minutes pass in
//! milliseconds, and nothing waits for luck. One binary, because each manner needs the same fake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod answering;
mod draining;
mod fake_service;
mod health_endpoint;
mod heartbeats;
mod logs;
mod polling;
mod rig;
mod sharing;
