//! Who is in which wave. Resolved once, before wave 1, and stored with a digest: an edit of tags or plan during a pause
//! must not change a run that is under way (lesson c-22).

use crate::input_check::problem;
use crate::observed::SourceServer;
use crate::wave_start::beginning;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use tidegate_contract::foreign::{echo, spell_out};
use tidegate_contract::plan::{
    Group, MAX_SERVERS_PER_JOB, MAX_SERVERS_PER_WAVE, MinLaunched, Plan, ProtectionGroup, Wave,
};
use tidegate_contract::records::{Member, Problem, Target};
use tidegate_contract::{Importance, SourceServerId};

/// Protection groups by id, as stored.
pub type Groups = BTreeMap<String, ProtectionGroup>;
/// Every source server of each target.
pub type Inventory = BTreeMap<Target, Vec<SourceServer>>;

/// Members per wave, in plan order.
pub type Membership = Vec<Vec<Member>>;

/// Ids of the protection groups a plan names.
pub fn group_ids(plan: &Plan) -> BTreeSet<String> {
    plan.waves.iter().flat_map(|wave| &wave.groups).filter_map(|group| group.protection_group_id.clone()).collect()
}

/// Every account and Region the plan reaches into. Groups that name an unknown protection group are left to `resolve`.
pub fn targets(plan: &Plan, groups: &Groups, home_account: &str) -> BTreeSet<Target> {
    plan.waves
        .iter()
        .flat_map(|wave| &wave.groups)
        .filter_map(|group| source_of(group, groups, home_account))
        .map(|source| source.target)
        .collect()
}

/// The members of every wave, or everything that is wrong.
pub fn resolve(
    plan: &Plan,
    groups: &Groups,
    inventory: &Inventory,
    home_account: &str,
) -> Result<Membership, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut waves = Vec::new();
    for (index, wave) in plan.waves.iter().enumerate() {
        let field = format!("plan.waves[{index}]");
        let mut members = Vec::new();
        for (group_index, group) in wave.groups.iter().enumerate() {
            let group_field = format!("{field}.groups[{group_index}]");
            let Some(source) = source_of(group, groups, home_account) else {
                problems.push(unknown_group(group, &group_field));
                continue;
            };
            resolve_group(wave, group, &source, inventory, &group_field, &mut members, &mut problems);
        }
        for member in &members {
            if let Some(first) = seen.insert(lock_key(member), wave.wave_number) {
                problems.push(problem(
                    &field,
                    &format!("{} is already in wave {first}", member.source_server_id),
                    "a server may be launched by one wave only: narrow the tags or remove the id",
                ));
            }
        }
        check_size(wave, &field, &members, &mut problems);
        waves.push(members);
    }
    if problems.is_empty() { Ok(waves) } else { Err(problems) }
}

/// Digest of a membership: order and content, nothing else.
pub fn hash(membership: &Membership) -> String {
    let text = serde_json::to_string(membership).unwrap_or_default();
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Key of a server's lock: `account/region/id`.
pub fn lock_key(member: &Member) -> String {
    server_key(&member.target, &member.source_server_id)
}

/// [`lock_key`] of a server that is known by its target and id.
pub fn server_key(target: &Target, id: &SourceServerId) -> String {
    format!("{}/{}/{id}", target.account_id, target.region)
}

/// Splits a wave into jobs: one target each, at most 100 servers each (quota L-B827C881), order kept.
pub fn shards(members: &[Member]) -> Vec<(Target, Vec<Member>)> {
    let mut by_target: BTreeMap<&Target, Vec<Member>> = BTreeMap::new();
    for member in members {
        by_target.entry(&member.target).or_default().push(member.clone());
    }
    by_target
        .into_iter()
        .flat_map(|(target, members)| {
            members.chunks(MAX_SERVERS_PER_JOB).map(|chunk| (target.clone(), chunk.to_vec())).collect::<Vec<_>>()
        })
        .collect()
}

/// How many servers `minLaunched` asks for; None when the wave has none.
pub fn required_servers(min_launched: Option<&MinLaunched>, total: u32) -> Option<u32> {
    match min_launched? {
        MinLaunched::Count(count) => Some(*count),
        MinLaunched::Share(share) => {
            let percent: u32 = share.trim_end_matches('%').parse().unwrap_or(100);
            Some((total * percent).div_ceil(100))
        }
    }
}

struct Source<'a> {
    target: Target,
    ids: &'a [SourceServerId],
    tags: &'a BTreeMap<String, String>,
}

fn source_of<'a>(group: &'a Group, groups: &'a Groups, home_account: &str) -> Option<Source<'a>> {
    let (region, account, ids, tags) = match &group.protection_group_id {
        Some(id) => {
            let stored = groups.get(id)?;
            (stored.region.clone(), &stored.account_id, &stored.source_server_ids, &stored.tags)
        }
        None => (group.region.clone()?, &group.account_id, &group.source_server_ids, &group.tags),
    };
    let account_id = account.as_deref().unwrap_or(home_account).to_owned();
    Some(Source { target: Target { account_id, region }, ids, tags })
}

/// The account and Region a group leads to; None if it names an unknown protection group.
pub(crate) fn target_of(group: &Group, groups: &Groups, home_account: &str) -> Option<Target> {
    source_of(group, groups, home_account).map(|source| source.target)
}

fn unknown_group(group: &Group, field: &str) -> Problem {
    let id = group.protection_group_id.as_deref().unwrap_or_default();
    problem(
        &format!("{field}.protectionGroupId"),
        &format!("there is no protection group \"{}\"", echo(id)),
        "store it in the protection-groups table, or correct the id",
    )
}

fn resolve_group(
    wave: &Wave,
    group: &Group,
    source: &Source<'_>,
    inventory: &Inventory,
    field: &str,
    members: &mut Vec<Member>,
    problems: &mut Vec<Problem>,
) {
    let known: &[SourceServer] = inventory.get(&source.target).map_or(&[], Vec::as_slice);
    let mut chosen: Vec<&SourceServer> = Vec::new();
    for id in source.ids {
        match known.iter().find(|server| server.source_server_id == *id) {
            Some(server) => chosen.push(server),
            None => problems.push(problem(
                &format!("{field}.sourceServerIds"),
                &format!(
                    "DRS has no source server {id} in {} of account {}",
                    source.target.region, source.target.account_id
                ),
                "correct the id, the region or the accountId",
            )),
        }
    }
    if !source.tags.is_empty() {
        let by_tag =
            known.iter().filter(|server| source.tags.iter().all(|(key, value)| server.tags.get(key) == Some(value)));
        for server in by_tag {
            if !chosen.iter().any(|other| other.source_server_id == server.source_server_id) {
                chosen.push(server);
            }
        }
    }
    if chosen.is_empty() && source.ids.is_empty() {
        problems.push(problem(
            &format!("{field}.tags"),
            &format!(
                "no source server of {} in account {} has these tags",
                source.target.region, source.target.account_id
            ),
            "correct the tags (case counts), or tag the servers in DRS",
        ));
    }
    for id in group.server_options.keys() {
        if !chosen.iter().any(|server| server.source_server_id == *id) {
            problems.push(problem(
                &format!("{field}.serverOptions.{id}"),
                "is not a member of this group",
                "remove it, or add the server to the group",
            ));
        }
    }
    members.extend(chosen.into_iter().map(|server| member(wave, group, source, server)));
}

/// Of a name, for people. A tag's value may have 256 characters of four bytes; a wave's item holds 500 servers in 400 KB.
const MAX_NAME_BYTES: usize = 200;

fn member(wave: &Wave, group: &Group, source: &Source<'_>, server: &SourceServer) -> Member {
    let options = group.server_options.get(&server.source_server_id);
    let unnamed = if wave.min_launched.is_some() { Importance::Optional } else { Importance::Critical };
    // The agent's host gives its own name, and anybody who registers it the tag: what is not to be shown is spelled out.
    let shown = |name: &str| beginning(&spell_out(name), MAX_NAME_BYTES);
    let hostname = shown(server.hostname.as_deref().unwrap_or_default());
    let name = server.tags.get("Name").map(|name| shown(name));
    Member {
        source_server_id: server.source_server_id.clone(),
        target: source.target.clone(),
        importance: options.and_then(|options| options.importance).or(group.importance).unwrap_or(unnamed),
        server_name: name.unwrap_or_else(|| hostname.clone()),
        hostname,
        recovery_snapshot_id: options.and_then(|options| options.recovery_snapshot_id.clone()),
        post_launch_expected: false,
    }
}

fn check_size(wave: &Wave, field: &str, members: &[Member], problems: &mut Vec<Problem>) {
    if members.len() > MAX_SERVERS_PER_WAVE {
        problems.push(problem(
            field,
            &format!("has {} servers, more than the {MAX_SERVERS_PER_WAVE} DRS launches at a time", members.len()),
            "split it into several waves",
        ));
    }
    let total = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let required = required_servers(wave.min_launched.as_ref(), total);
    if required.is_some_and(|required| total > 0 && required > total) {
        problems.push(problem(
            &format!("{field}.minLaunched"),
            &format!("asks for {} of {total} servers", required.unwrap_or_default()),
            "lower it, or add servers",
        ));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn server(n: u32, tier: &str) -> SourceServer {
        SourceServer {
            source_server_id: SourceServerId(format!("s-{n:017x}")),
            tags: BTreeMap::from([("tier".to_owned(), tier.to_owned())]),
            hostname: Some(format!("host-{n}")),
            replication_state: "CONTINUOUS".to_owned(),
            lag_seconds: Some(0),
        }
    }

    fn home(region: &str) -> Target {
        Target { account_id: "111122223333".to_owned(), region: region.to_owned() }
    }

    fn resolve_waves(waves: serde_json::Value, servers: Vec<SourceServer>) -> Result<Membership, Vec<Problem>> {
        let plan = serde_json::from_value(json!({"planId": "p", "planName": "p", "waves": waves})).unwrap();
        resolve(&plan, &Groups::new(), &Inventory::from([(home("us-west-2"), servers)]), "111122223333")
    }

    #[test]
    fn members_come_by_id_and_by_tag_each_once() {
        let waves = json!([{"waveNumber": 1, "waveName": "db", "groups": [
            {"region": "us-west-2", "sourceServerIds": ["s-00000000000000001"], "tags": {"tier": "db"}}]}]);
        let members = resolve_waves(waves, vec![server(1, "db"), server(2, "db"), server(3, "web")]).unwrap();
        assert_eq!(members[0].len(), 2);
        assert_eq!(members[0][0].server_name, "host-1");
    }

    #[test]
    fn unknown_servers_empty_groups_and_double_membership_are_told_together() {
        let waves = json!([
            {"waveNumber": 1, "waveName": "a", "groups": [{"region": "us-west-2", "sourceServerIds": ["s-00000000000000009"]}]},
            {"waveNumber": 2, "waveName": "b", "groups": [{"region": "us-west-2", "tags": {"tier": "none"}}]},
            {"waveNumber": 3, "waveName": "c", "groups": [{"region": "us-west-2", "tags": {"tier": "db"}}]},
            {"waveNumber": 4, "waveName": "d", "groups": [{"region": "us-west-2", "sourceServerIds": ["s-00000000000000001"]}]},
            {"waveNumber": 5, "waveName": "e", "groups": [{"protectionGroupId": "missing"}]}]);
        let fields: Vec<_> =
            resolve_waves(waves, vec![server(1, "db")]).unwrap_err().into_iter().map(|p| p.field).collect();
        assert_eq!(
            fields,
            [
                "plan.waves[0].groups[0].sourceServerIds",
                "plan.waves[1].groups[0].tags",
                "plan.waves[3]",
                "plan.waves[4].groups[0].protectionGroupId",
            ]
        );
    }

    #[test]
    fn a_wave_with_min_launched_makes_unnamed_servers_optional() {
        let waves = json!([{"waveNumber": 1, "waveName": "db", "minLaunched": "50%", "groups": [
            {"region": "us-west-2", "tags": {"tier": "db"},
             "serverOptions": {"s-00000000000000001": {"importance": "critical"}}}]}]);
        let members = resolve_waves(waves, vec![server(1, "db"), server(2, "db")]).unwrap();
        assert_eq!(members[0][0].importance, Importance::Critical);
        assert_eq!(members[0][1].importance, Importance::Optional);
    }

    #[test]
    fn three_hundred_servers_make_three_jobs() {
        let members = resolve_waves(
            json!([{"waveNumber": 1, "waveName": "db", "groups": [{"region": "us-west-2", "tags": {"tier": "db"}}]}]),
            (1..=300).map(|n| server(n, "db")).collect(),
        )
        .unwrap();
        let shards = shards(&members[0]);
        assert_eq!(shards.iter().map(|(_, servers)| servers.len()).collect::<Vec<_>>(), [100, 100, 100]);
    }

    #[test]
    fn shares_are_rounded_up() {
        assert_eq!(required_servers(Some(&MinLaunched::Share("80%".to_owned())), 6), Some(5));
        assert_eq!(required_servers(Some(&MinLaunched::Count(2)), 6), Some(2));
        assert_eq!(required_servers(None, 6), None);
    }
}
