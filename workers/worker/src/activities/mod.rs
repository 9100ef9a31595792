//! One file an activity. Each promises what design section 6 says of it, and says in its head what is true when it
//! succeeds and what may be true when it fails.

mod cleanup_owner;
mod cleanup_view;
mod deletion_look;
pub mod enrichment;
pub mod finalize_execution;
mod finalize_waves;
mod launch_settings;
pub mod poll_cleanup;
pub mod poll_wave;
mod prepare_confirmed;
mod prepare_continuation;
pub mod prepare_execution;
mod prepare_locks;
mod prepare_look;
pub mod start_cleanup;
pub mod start_wave;

use crate::handler::Handler;
use crate::world::WorldOf;
use std::sync::Arc;
use tidegate_contract::ActivityName;
use tidegate_contract::activities::{CleanupInput, FinalizeInput, PrepareInput, WaveInput};

/// The handler of an activity.
pub fn handler(name: ActivityName, world: &WorldOf) -> Arc<Handler> {
    let world = world.clone();
    match name {
        ActivityName::PrepareExecution => {
            Handler::new(name, move |input: PrepareInput| prepare_execution::run(world(&input.execution_id), input))
        }
        ActivityName::StartWave => {
            Handler::new(name, move |input: WaveInput| start_wave::run(world(&input.execution_id), input))
        }
        ActivityName::PollWave => Handler::new(name, move |input: WaveInput| {
            // The narrow view is the point: poll-wave gets no port that could write an execution's status (FR-2.4).
            poll_wave::run(poll_wave::PollWorld::from(&world(&input.execution_id)), input)
        }),
        ActivityName::FinalizeExecution => {
            Handler::new(name, move |input: FinalizeInput| finalize_execution::run(world(&input.execution_id), input))
        }
        ActivityName::StartCleanup => {
            Handler::new(name, move |input: CleanupInput| start_cleanup::run(world(&input.execution_id), input))
        }
        ActivityName::PollCleanup => {
            Handler::new(name, move |input: CleanupInput| poll_cleanup::run(world(&input.execution_id), input))
        }
    }
}
