//! What poll-wave and finalize share: asking DRS and EC2 about launched servers, and saving items under their version.
//! Enrichment never fails its caller (S000): what cannot be read now is read at the next poll, or by finalize.

use crate::error::ActivityError;
use crate::world::World;
use tidegate_aws::PortError;
use tidegate_aws::ports::{Targets, WaveStore, Written};
use tidegate_contract::SourceServerId;
use tidegate_contract::records::{ShardRecord, WaveRecord};
use tidegate_core::wave_poll;
use tracing::{info, warn};

/// Resolves the recovery instances of `servers`, then asks EC2 about instances with missing or changing details. False when
/// one of the two did not answer.
pub async fn enrich(targets: &dyn Targets, shard: &mut ShardRecord, servers: &[SourceServerId]) -> bool {
    let mut answered = true;
    if !servers.is_empty() {
        match recovery_instances(targets, shard, servers).await {
            Ok(instances) => wave_poll::apply_recovery_instances(shard, &instances),
            Err(error) => {
                answered = false;
                warn!(wave = shard.wave_number, shard = shard.shard_number, %error, "EnrichmentFailed: DRS");
            }
        }
    }
    let ids = wave_poll::plan_ec2(shard);
    if ids.is_empty() {
        return answered;
    }
    match instances(targets, shard, &ids).await {
        Ok(instances) => {
            wave_poll::apply_instances(shard, &instances);
            info!(
                wave = shard.wave_number,
                shard = shard.shard_number,
                asked = ids.len(),
                found = instances.len(),
                "EnrichmentApplied"
            );
        }
        Err(error) => {
            answered = false;
            warn!(wave = shard.wave_number, shard = shard.shard_number, %error, "EnrichmentFailed: EC2");
        }
    }
    answered
}

async fn recovery_instances(
    targets: &dyn Targets,
    shard: &ShardRecord,
    servers: &[SourceServerId],
) -> Result<Vec<tidegate_core::observed::RecoveryInstance>, PortError> {
    targets.drs(&shard.target).await?.recovery_instances(servers).await
}

async fn instances(
    targets: &dyn Targets,
    shard: &ShardRecord,
    ids: &[String],
) -> Result<Vec<tidegate_core::observed::Instance>, PortError> {
    targets.ec2(&shard.target).await?.instances(ids).await
}

/// Stores a shard as its next version, or says that another attempt was faster.
pub async fn store_shard(store: &dyn WaveStore, shard: &mut ShardRecord) -> Result<(), ActivityError> {
    shard.version += 1;
    match store.update_shard(shard).await? {
        Written::Stored => Ok(()),
        Written::Stale => Err(ActivityError::superseded(&format!("shard {}", shard.wave_key))),
    }
}

/// Stores a wave as its next version, or says that another attempt was faster.
pub async fn store_wave(store: &dyn WaveStore, wave: &mut WaveRecord) -> Result<(), ActivityError> {
    wave.version += 1;
    match store.update_wave(wave).await? {
        Written::Stored => Ok(()),
        Written::Stale => Err(ActivityError::superseded(&format!("wave {}", wave.wave_number))),
    }
}

/// [`store_shard`] for activities with the whole world in hand.
pub async fn save_shard(world: &World, shard: &mut ShardRecord) -> Result<(), ActivityError> {
    store_shard(world.store.as_ref(), shard).await
}

/// [`store_wave`] for activities with the whole world in hand.
pub async fn save_wave(world: &World, wave: &mut WaveRecord) -> Result<(), ActivityError> {
    store_wave(world.store.as_ref(), wave).await
}
