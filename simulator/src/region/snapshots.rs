//! Points in time. Those of the point-in-time policy lie on the clock's round moments, so they need not be stored: the same
//! moment always has the same id.

use super::{Context, Region, Server};
use crate::error::ApiError;
use crate::paging::{Direction, PageRequest, page};
use crate::time::Stamp;
use crate::wire::{DescribeRecoverySnapshots, Items, RecoverySnapshot, SnapshotsOrder};
use jiff::Timestamp;

/// The default policy: every 10 minutes for an hour, every hour for a day, every day for a week.
const POLICY: [(i64, i64); 3] = [(600, 3_600), (3_600, 86_400), (86_400, 7 * 86_400)];

impl Region {
    pub(crate) fn describe_recovery_snapshots(
        &self,
        input: DescribeRecoverySnapshots,
        ctx: &Context<'_>,
    ) -> Result<Items<RecoverySnapshot>, ApiError> {
        let server = self.servers.get(&input.source_server_id);
        // ResourceNotFound is not among this operation's errors.
        let server = server.ok_or_else(|| ApiError::invalid("sourceServerID", "is not a source server"))?;
        let filters = input.filters.unwrap_or_default();
        let from = moment("filters.fromDateTime", filters.from_date_time.as_deref())?;
        let to = moment("filters.toDateTime", filters.to_date_time.as_deref())?;
        let mut items = self.snapshots(server, ctx);
        items.retain(|item| {
            from.is_none_or(|from| item.timestamp.0 >= from) && to.is_none_or(|to| item.timestamp.0 <= to)
        });
        let direction = match input.order {
            Some(SnapshotsOrder::Descending) => {
                items.reverse();
                Direction::Descending
            }
            _ => Direction::Ascending,
        };
        let request = PageRequest { max_results: input.max_results, next_token: input.next_token };
        let key = |item: &RecoverySnapshot| format!("{} {}", item.timestamp, item.snapshot_id);
        let (items, next_token) = page("DescribeRecoverySnapshots", items, direction, key, &request, ctx.page_size)?;
        Ok(Items { items, next_token })
    }

    /// When a snapshot was taken; `None` for one that does not exist (any more).
    pub(super) fn snapshot_time(&self, server: &str, snapshot: &str, ctx: &Context<'_>) -> Option<Stamp> {
        let all = self.snapshots(self.servers.get(server)?, ctx);
        all.into_iter().find(|item| item.snapshot_id == snapshot).map(|item| item.timestamp)
    }

    /// When the newest one was taken.
    pub(super) fn newest_snapshot(&self, server: &str, ctx: &Context<'_>) -> Option<Stamp> {
        self.snapshots(self.servers.get(server)?, ctx).last().map(|item| item.timestamp)
    }

    /// Oldest first. A source that is dead gets none any more.
    fn snapshots(&self, server: &Server, ctx: &Context<'_>) -> Vec<RecoverySnapshot> {
        if !server.has_recovery_point() {
            return Vec::new();
        }
        let id = server.facts.source_server_id.as_str();
        let last = self.dead_since(id, ctx).unwrap_or(ctx.now).as_second();
        let mut moments: Vec<i64> = POLICY
            .iter()
            .flat_map(|(every, kept)| {
                let newest = last.div_euclid(*every);
                let count = kept / every;
                (newest - count + 1..=newest).map(move |slot| slot * every)
            })
            .collect();
        moments.sort_unstable();
        moments.dedup();
        let mut all: Vec<RecoverySnapshot> = moments
            .into_iter()
            .filter_map(|second| Timestamp::from_second(second).ok())
            .map(|at| {
                let at = Stamp(at);
                let named = at.to_string();
                let disks = server
                    .facts
                    .volumes
                    .iter()
                    .map(|volume| format!("snap-{}", ctx.dice.hex(&[id, &named, &volume.device_name], 17)));
                RecoverySnapshot {
                    snapshot_id: format!("pit-{}", ctx.dice.hex(&[id, &named, "pit"], 17)),
                    source_server_id: id.to_owned(),
                    expected_timestamp: at,
                    timestamp: at,
                    ebs_snapshots: disks.collect(),
                }
            })
            .chain(server.snapshots.iter().cloned())
            .collect();
        all.sort_by(|a, b| (a.timestamp, &a.snapshot_id).cmp(&(b.timestamp, &b.snapshot_id)));
        all
    }
}

/// A moment in a filter; validation has seen its form already.
pub(super) fn moment(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| text.parse().map_err(|_| ApiError::invalid(field, "is not a moment"))).transpose()
}
