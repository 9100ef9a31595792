//! Whether a recovery has to wait for post-launch actions, read while DRS launches (adr/0018): nothing needs it before a
//! server is up, and DRS publishes no rate for the two calls it takes a server. What was read stays on the shard, so a poll
//! that is throttled leaves the rest to the next one. Like all enrichment it never fails its caller.

use crate::activities::poll_wave::PollWorld;
use futures::StreamExt;
use futures::stream;
use tidegate_aws::PortError;
use tidegate_aws::ports::Drs;
use tidegate_contract::SourceServerId;
use tidegate_contract::records::ShardRecord;
use tidegate_core::observed::{LaunchAction, LaunchSettings};
use tidegate_core::{time, wave_poll};
use tracing::warn;

/// Calls in flight at once for a shard; a wave has five shards at most, and they share DRS's rate.
const IN_FLIGHT: usize = 2;
/// A poll stops asking after this long, so that what it is for is not late.
const READ_SECONDS: u32 = 10;

/// Reads what is unread, as far as DRS lets us now.
pub(super) async fn read_launch_settings(world: &PollWorld, shard: &mut ShardRecord) {
    let unread = wave_poll::unread_settings(shard);
    if unread.is_empty() {
        return;
    }
    let drs = match world.targets.drs(&shard.target).await {
        Ok(drs) => drs,
        Err(error) => return unreadable(shard, &error),
    };
    let until = time::after(world.clock.now(), READ_SECONDS);
    let mut answers = stream::iter(unread)
        .take_while(|_| std::future::ready(world.clock.now() < until))
        .map(|id| ask(drs.as_ref(), id))
        .buffer_unordered(IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok((id, settings, actions)) => wave_poll::apply_settings(shard, &id, settings, &actions),
            Err(error) => return unreadable(shard, &error),
        }
    }
}

async fn ask(
    drs: &dyn Drs,
    id: SourceServerId,
) -> Result<(SourceServerId, LaunchSettings, Vec<LaunchAction>), PortError> {
    let settings = drs.launch_settings(&id).await?;
    let actions = if wave_poll::may_run_actions(settings) { drs.launch_actions(&id).await? } else { Vec::new() };
    Ok((id, settings, actions))
}

fn unreadable(shard: &ShardRecord, error: &PortError) {
    warn!(wave = shard.wave_number, shard = shard.shard_number, %error, "LaunchSettingsUnread: the next poll goes on");
}
