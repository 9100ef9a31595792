//! Who is in a wave, and how a DynamoDB item holds 500 of them.

use super::Target;
use crate::ids::{ExecutionId, SourceServerId};
use crate::status::Importance;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Item `0001#members` of `execution-waves`: who is in the wave, resolved once by prepare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "StoredMembers", into = "StoredMembers")]
pub struct MembersRecord {
    pub execution_id: ExecutionId,
    pub wave_key: String,
    pub wave_number: u32,
    pub membership_hash: String,
    pub members: Vec<Member>,
    /// An earlier release stored it with roles. They are not read, so its digest, which covers them, cannot be made again.
    pub named_roles: bool,
}

/// [`MembersRecord`] as it is stored: each target once, because an item of 500 members holds 400 KB.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StoredMembers {
    execution_id: ExecutionId,
    wave_key: String,
    wave_number: u32,
    /// Digest of the whole membership this item belongs to: of two attempts to prepare, the first one's stays.
    membership_hash: String,
    #[serde(default)]
    targets: Vec<StoredPlace>,
    members: Vec<Member<StoredTarget>>,
}

/// Where a stored member's target is.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum StoredTarget {
    /// At this place of `targets`.
    At(usize),
    /// Here, as earlier releases stored it.
    Here(StoredPlace),
}

/// A target as it is stored.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StoredPlace {
    account_id: String,
    region: String,
    /// Of earlier releases: that there was one is all that is asked.
    #[serde(default, skip_serializing)]
    #[schemars(skip)]
    role: Option<serde::de::IgnoredAny>,
}

impl From<&Target> for StoredPlace {
    fn from(target: &Target) -> Self {
        Self { account_id: target.account_id.clone(), region: target.region.clone(), role: None }
    }
}

impl From<MembersRecord> for StoredMembers {
    fn from(record: MembersRecord) -> Self {
        let mut targets: Vec<StoredPlace> = Vec::new();
        let members = record.members.into_iter().map(|member| {
            let of_member = StoredPlace::from(&member.target);
            let place = targets.iter().position(|target| *target == of_member).unwrap_or_else(|| {
                targets.push(of_member);
                targets.len() - 1
            });
            member.with_target(StoredTarget::At(place))
        });
        Self {
            execution_id: record.execution_id,
            wave_key: record.wave_key,
            wave_number: record.wave_number,
            membership_hash: record.membership_hash,
            members: members.collect(),
            targets,
        }
    }
}

impl TryFrom<StoredMembers> for MembersRecord {
    type Error = String;

    fn try_from(stored: StoredMembers) -> Result<Self, String> {
        let (mut members, mut named_roles) = (Vec::with_capacity(stored.members.len()), false);
        for member in stored.members {
            let place = match &member.target {
                StoredTarget::Here(place) => Some(place),
                StoredTarget::At(number) => stored.targets.get(*number),
            };
            let place = place.ok_or_else(|| format!("{} has a target that is not listed", member.source_server_id))?;
            named_roles |= place.role.is_some();
            let target = Target { account_id: place.account_id.clone(), region: place.region.clone() };
            members.push(member.with_target(target));
        }
        Ok(Self {
            execution_id: stored.execution_id,
            wave_key: stored.wave_key,
            wave_number: stored.wave_number,
            membership_hash: stored.membership_hash,
            members,
            named_roles,
        })
    }
}

/// One server of a wave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member<T = Target> {
    pub source_server_id: SourceServerId,
    pub target: T,
    pub importance: Importance,
    #[serde(default)]
    pub server_name: String,
    #[serde(default)]
    pub hostname: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_snapshot_id: Option<String>,
    /// Written by releases whose prepare read it, and part of the digest of what they prepared; read no more.
    #[serde(default)]
    pub post_launch_expected: bool,
}

impl<T> Member<T> {
    fn with_target<U>(self, target: U) -> Member<U> {
        Member {
            source_server_id: self.source_server_id,
            target,
            importance: self.importance,
            server_name: self.server_name,
            hostname: self.hostname,
            recovery_snapshot_id: self.recovery_snapshot_id,
            post_launch_expected: self.post_launch_expected,
        }
    }
}
