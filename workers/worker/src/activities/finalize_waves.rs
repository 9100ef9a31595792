//! What finalize does to the waves before it writes the outcome: launches nobody answered are looked for, workers that are
//! still at it are fenced off, open waves are closed, gaps of enrichment are filled. Nothing here decides an outcome.

use crate::activities::cleanup_view;
use crate::activities::enrichment::{enrich, save_shard};
use crate::error::ActivityError;
use crate::world::World;
use tidegate_aws::ports::{Created, RunItems, Written};
use tidegate_contract::activities::Ending;
use tidegate_contract::records::{ExecutionRecord, IntentState, ShardRecord};
use tidegate_contract::{LaunchStatus, WaveStatus};
use tidegate_core::{finalize, time};
use tracing::{info, warn};

/// How long finalize fills gaps of enrichment before it writes the outcome all the same. EC2 in an impaired Region answers
/// each call with a time-out, and this task has three minutes.
const FILL_SECONDS: u32 = 20;

/// Waves that cannot go on are closed, so that no reader sees one POLLING in an execution that has ended.
pub(super) async fn close(
    world: &World,
    ending: &Ending,
    record: &ExecutionRecord,
    run: &mut RunItems,
) -> Result<(), ActivityError> {
    name_unanswered(world, record, run).await;
    // Shards before waves: a start-wave that was frozen goes by its shard's version when it sends.
    for mut fenced in finalize::fence_shards(&run.waves, &run.shards, ending, world.clock.now()) {
        save_shard(world, &mut fenced).await?;
        if let Some(stored) = run.shards.iter_mut().find(|shard| shard.wave_key == fenced.wave_key) {
            *stored = fenced;
        }
    }
    for mut wave in finalize::close_waves(record, &run.waves, &run.shards, ending, world.clock.now()) {
        let known = run.waves.iter().position(|stored| stored.wave_number == wave.wave_number);
        let lost = match known {
            Some(_) => {
                wave.version += 1;
                world.store.update_wave(&wave).await? == Written::Stale
            }
            None => world.store.create_wave(&wave).await? == Created::Existed,
        };
        if lost {
            return Err(ActivityError::superseded(&format!("wave {}", wave.wave_number)));
        }
        match known {
            Some(position) => run.waves[position] = wave,
            None => run.waves.push(wave),
        }
    }
    Ok(())
}

/// A launch that was sent and not answered may have a job. If DRS tells, it is named; if not, the outcome does not wait.
async fn name_unanswered(world: &World, record: &ExecutionRecord, run: &mut RunItems) {
    let began = world.clock.now();
    let open: Vec<u32> =
        run.waves.iter().filter(|wave| !wave.status.is_settled()).map(|wave| wave.wave_number).collect();
    for shard in &mut run.shards {
        let unanswered = shard.intent.state == IntentState::Intended && shard.intent.last_sent_at.is_some();
        if !unanswered || !open.contains(&shard.wave_number) {
            continue;
        }
        if time::seconds_between(began, world.clock.now()) >= FILL_SECONDS {
            return;
        }
        let before = shard.clone();
        if let Err(error) = cleanup_view::adopt_unanswered(world, record, shard).await {
            // What was not stored is not known: the next reader looks again.
            *shard = before;
            warn!(wave = shard.wave_number, error = %error.chain(), "UnansweredLaunchNotLookedFor");
        }
    }
}

/// The fallback enrichment: servers that launched while EC2 or DRS could not be read. Skips what is filled already.
pub(super) async fn fill_gaps(world: &World, shards: &mut [ShardRecord]) {
    let began = world.clock.now();
    for shard in shards {
        if time::seconds_between(began, world.clock.now()) >= FILL_SECONDS {
            warn!(wave = shard.wave_number, "FallbackEnrichmentCutShort");
            return;
        }
        let gaps: Vec<_> = shard
            .server_statuses
            .iter()
            .filter(|server| server.launch_status == LaunchStatus::Launched && !server.is_enriched())
            .map(|server| server.source_server_id.clone())
            .collect();
        if gaps.is_empty() {
            continue;
        }
        info!(wave = shard.wave_number, servers = gaps.len(), "FallbackEnrichment");
        let before = shard.clone();
        enrich(world.targets.as_ref(), shard, &gaps).await;
        if *shard != before
            && let Err(error) = save_shard(world, shard).await
        {
            // Enrichment never holds the outcome up.
            warn!(wave = shard.wave_number, error = %error.chain(), "FallbackEnrichmentNotStored");
        }
    }
}

/// Waves of these statuses.
pub(super) fn count(run: &RunItems, wanted: &[WaveStatus]) -> u32 {
    u32::try_from(run.waves.iter().filter(|wave| wanted.contains(&wave.status)).count()).unwrap_or(u32::MAX)
}
