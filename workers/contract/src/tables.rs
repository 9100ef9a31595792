//! The table layout: keys, indexes, names. Read by Terraform and the local deploy through the generated contract.

use crate::ids::ExecutionId;
use crate::status::closed_set;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

closed_set!(
    /// A table, by the key used in configuration (`TIDEGATE_TABLES`).
    TableKey {
        ExecutionHistory = "executionHistory",
        ExecutionWaves = "executionWaves",
        ExecutionRequests = "executionRequests",
        ExecutionGates = "executionGates",
        RecoveryPlans = "recoveryPlans",
        ProtectionGroups = "protectionGroups",
        ServerLocks = "serverLocks",
    }
);

/// Layout of one table. All key attributes are text.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TableSpec {
    pub key: TableKey,
    /// Name after the deployment's prefix.
    pub name: &'static str,
    /// Stands for the full name in the state machine.
    pub placeholder: &'static str,
    pub partition_key: &'static str,
    pub sort_key: Option<&'static str>,
    pub indexes: &'static [IndexSpec],
    /// Number attribute with an epoch second after which the item may go.
    pub ttl_attribute: Option<&'static str>,
}

/// A global secondary index with all attributes.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexSpec {
    pub name: &'static str,
    pub partition_key: &'static str,
    pub sort_key: &'static str,
}

/// Every table.
pub const TABLES: &[TableSpec] = &[
    TableSpec {
        key: TableKey::ExecutionHistory,
        name: "execution-history",
        placeholder: "ExecutionHistoryTableName",
        partition_key: "executionId",
        sort_key: Some("planId"),
        indexes: &[
            IndexSpec { name: "StatusIndex", partition_key: "status", sort_key: "startTime" },
            IndexSpec { name: "planIdIndex", partition_key: "planId", sort_key: "startTime" },
        ],
        ttl_attribute: Some("expiresAt"),
    },
    TableSpec {
        key: TableKey::ExecutionWaves,
        name: "execution-waves",
        placeholder: "ExecutionWavesTableName",
        partition_key: "executionId",
        sort_key: Some("waveKey"),
        indexes: &[],
        ttl_attribute: Some("expiresAt"),
    },
    // Written by people, who may write anything: read by `Requests` and by the machine's filters, and decoded by nothing else.
    TableSpec {
        key: TableKey::ExecutionRequests,
        name: "execution-requests",
        placeholder: "ExecutionRequestsTableName",
        partition_key: "executionId",
        sort_key: None,
        indexes: &[],
        ttl_attribute: Some("expiresAt"),
    },
    // Task tokens of gates, apart from the records because IAM cannot tell parts of an attribute from each other: who reads
    // here may answer.
    TableSpec {
        key: TableKey::ExecutionGates,
        name: "execution-gates",
        placeholder: "ExecutionGatesTableName",
        partition_key: "executionId",
        sort_key: None,
        indexes: &[],
        ttl_attribute: Some("expiresAt"),
    },
    TableSpec {
        key: TableKey::RecoveryPlans,
        name: "recovery-plans",
        placeholder: "RecoveryPlansTableName",
        partition_key: "planId",
        sort_key: None,
        indexes: &[],
        ttl_attribute: None,
    },
    TableSpec {
        key: TableKey::ProtectionGroups,
        name: "protection-groups",
        placeholder: "ProtectionGroupsTableName",
        partition_key: "groupId",
        sort_key: None,
        indexes: &[],
        ttl_attribute: None,
    },
    TableSpec {
        key: TableKey::ServerLocks,
        name: "server-locks",
        placeholder: "ServerLocksTableName",
        partition_key: "server",
        sort_key: None,
        indexes: &[],
        ttl_attribute: None,
    },
];

/// Sort key of a wave's own item: `0001`.
pub fn wave_key(wave_number: u32) -> String {
    format!("{wave_number:04}")
}

/// Sort key of a job's item, whose partition key is the job's id.
pub const JOB_KEY: &str = "job";

/// Sort key of the item that says under which plan an execution's record lies.
pub const RECORD_KEY: &str = "record";

/// Its partition key. No execution has such a name.
pub fn record_partition(id: &ExecutionId) -> String {
    format!("record#{id}")
}

/// Sort key of a shard's item: `0001#01`.
pub fn shard_key(wave_number: u32, shard_number: u32) -> String {
    format!("{wave_number:04}#{shard_number:02}")
}

/// Sort key of a wave's membership item: `0001#members`.
pub fn members_key(wave_number: u32) -> String {
    format!("{wave_number:04}#members")
}
