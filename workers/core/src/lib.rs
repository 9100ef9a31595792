//! Every decision of Tidegate, as synchronous functions of (plan, observation, now).
//!
//! ```text
//!   input + plan ──check──> problems | run sheet          (input_check, plan_check, membership, readiness)
//!   what was confirmed, what ran before ──> refuse | warn  (confirmation)
//!   what runs for a server, whose it is ──> refuse | warn   (deletions)
//!   intent + looked-up jobs + now ──> start | adopt | wait (wave_start)
//!   shard + what DRS and EC2 say + now ──> shard'          (wave_poll)
//!   shards + policy + now ──> verdict, next interval       (wave_verdict, poll_interval)
//!   an ended run's waves and shards ──> where to go on    (continuation)
//!   what Step Functions says, our record ──> is it over? (provenance)
//!   plan's wave list + stored waves + ending ──> outcome   (finalize)
//! ```
//!
//! What may not live here: async, AWS, files, environment, randomness, and a clock: `now` is always an argument.

pub mod cleanup;
pub mod confirmation;
pub mod continuation;
pub mod deletions;
pub mod finalize;
pub mod input_check;
pub mod membership;
pub mod observed;
pub mod plan_check;
pub mod poll_interval;
pub mod provenance;
pub mod reach;
pub mod readiness;
pub mod time;
pub mod wave_poll;
pub mod wave_start;
pub mod wave_verdict;
