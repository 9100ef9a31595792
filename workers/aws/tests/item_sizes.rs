//! The largest items by DynamoDB's own rules ("DynamoDB item sizes and formats": text is its bytes in UTF-8 and counts with its
//! attribute's name; a map or list has 3 bytes, each element 1). No local engine enforces the limit.

#![allow(clippy::unwrap_used)]

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use tidegate_contract::plan::{MAX_SERVERS_PER_JOB, MAX_SERVERS_PER_WAVE, Plan};
use tidegate_contract::records::{MembersRecord, ShardRecord, Target};
use tidegate_contract::{ExecutionId, ExecutionType, Mode, SourceServerId};
use tidegate_core::membership::{self, Groups, Inventory};
use tidegate_core::observed::SourceServer;
use tidegate_core::{input_check, time, wave_start};

const LIMIT: usize = 400 * 1_024;
/// Most groups a wave has, each in an account of its own here.
const GROUPS: usize = 50;
/// Most attempts of a wave.
const ATTEMPTS: u32 = 10;

fn size_of_item(record: &impl Serialize) -> usize {
    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(record).unwrap();
    item.iter().map(|(name, value)| name.len() + size(value)).sum()
}

fn size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        // At most: a byte for two digits, and one.
        AttributeValue::N(digits) => digits.len() + 1,
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + size(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + size(value)).sum::<usize>(),
        _ => 1,
    }
}

/// 500 servers in 50 accounts, each value as long as it may be, in characters of four bytes where it may have any.
fn longest_members() -> MembersRecord {
    let id = |n: usize| format!("s-{n:017x}");
    let group = |group: usize| {
        let ids: Vec<String> = (group * 10..group * 10 + 10).map(id).collect();
        let options: BTreeMap<&String, _> =
            ids.iter().map(|id| (id, json!({"recoverySnapshotId": "pit-0123456789abcdef0"}))).collect();
        json!({"region": "us-isob-northwest-1", "accountId": format!("{:012}", group + 1), "sourceServerIds": ids, "serverOptions": options})
    };
    let plan = json!({"planId": "p", "planName": "p", "waves": [
        {"waveNumber": 1, "waveName": "w", "groups": (0..GROUPS).map(group).collect::<Vec<_>>()}]});
    let plan: Plan = input_check::parse_plan(&plan.to_string()).unwrap();
    let server = |n: usize| SourceServer {
        source_server_id: SourceServerId(id(n)),
        tags: BTreeMap::from([("Name".to_owned(), "𝄞".repeat(256))]),
        hostname: Some("𝄞".repeat(256)),
        replication_state: "CONTINUOUS".to_owned(),
        lag_seconds: Some(0),
    };
    let servers: Vec<SourceServer> = (0..MAX_SERVERS_PER_WAVE).map(server).collect();
    let targets = membership::targets(&plan, &Groups::new(), "111122223333");
    assert_eq!(targets.len(), GROUPS);
    let inventory: Inventory = targets.into_iter().map(|target| (target, servers.clone())).collect();
    let mut waves = membership::resolve(&plan, &Groups::new(), &inventory, "111122223333").unwrap();
    MembersRecord {
        execution_id: ExecutionId("x".repeat(80)),
        wave_key: "0001#members".to_owned(),
        wave_number: 1,
        membership_hash: "f".repeat(64),
        members: waves.remove(0),
        named_roles: false,
    }
}

#[test]
fn the_longest_legal_members_fit_into_an_item_and_come_back_whole() {
    let record = longest_members();
    assert_eq!(record.members.len(), MAX_SERVERS_PER_WAVE);
    let bytes = size_of_item(&record);
    assert!(bytes < LIMIT, "{bytes} bytes");
    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(&record).unwrap();
    assert_eq!(serde_dynamo::from_item::<_, MembersRecord>(item).unwrap(), record);
}

#[test]
fn members_of_earlier_releases_and_their_digest_are_read_and_a_target_that_is_missing_is_not_made_up() {
    let target = Target { account_id: "111122223333".to_owned(), region: "us-west-2".to_owned() };
    let mut stored = json!({
        "executionId": "e", "waveKey": "0001#members", "waveNumber": 1, "membershipHash": "h",
        "members": [{"sourceServerId": "s-00000000000000001", "importance": "critical", "target": target,
                     "serverName": "db", "hostname": "db", "postLaunchExpected": true}]});
    let record: MembersRecord = serde_json::from_value(stored.clone()).unwrap();
    assert_eq!(record.members[0].target, target);
    // As the release before wrote it: the digest of a run that is continued covers each field.
    let before = r#"[[{"sourceServerId":"s-00000000000000001","target":{"accountId":"111122223333","region":"us-west-2"},"importance":"critical","serverName":"db","hostname":"db","postLaunchExpected":true}]]"#;
    assert_eq!(serde_json::to_string(&vec![&record.members]).unwrap(), before);
    assert!(!record.named_roles);
    // As a release stored it that took the role from the plan: its account is what counts, and what it said goes no further.
    let mut with_role = stored.clone();
    with_role["targets"] = json!([{"accountId": "444455556666", "region": "us-west-2",
        "role": {"roleArn": "arn:aws:iam::444455556666:role/t", "externalId": "between-two"}}]);
    with_role["members"][0]["target"] = json!(0);
    let item: HashMap<String, AttributeValue> = serde_dynamo::to_item(&with_role).unwrap();
    let record: MembersRecord = serde_dynamo::from_item(item).unwrap();
    assert!(record.named_roles);
    assert_eq!(record.members[0].target.account_id, "444455556666");
    assert!(!serde_json::to_string(&record).unwrap().contains("between-two"));
    stored["members"][0]["target"] = json!(1);
    let error = serde_json::from_value::<MembersRecord>(stored).unwrap_err().to_string();
    assert!(error.contains("s-00000000000000001 has a target that is not listed"), "{error}");
}

/// Field case F15: 100 servers, each refused in each of the attempts a wave may have, with a text that is not ASCII.
#[test]
fn a_shard_that_failed_as_often_and_as_wordily_as_it_may_fits_into_an_item() {
    let at = |second: u32| jiff::Timestamp::from_second(1_800_000_000 + i64::from(second)).unwrap();
    let mut members = longest_members().members;
    members.truncate(MAX_SERVERS_PER_JOB);
    let target = members[0].target.clone();
    members.iter_mut().for_each(|member| member.target = target.clone());
    let wave = serde_json::from_value(json!({"waveNumber": 1, "waveName": "w", "groups": []})).unwrap();
    let id = ExecutionId("x".repeat(80));
    let (_, mut shards) = wave_start::open_wave(&id, ExecutionType::Recovery, Mode::Run, &wave, &members, at(0));
    let mut shard: ShardRecord = shards.remove(0);
    for attempt in 1..=ATTEMPTS {
        wave_start::retry_shard(&mut shard, attempt, at(attempt * 10));
        wave_start::refused(&mut shard, &"起動に失敗".repeat(20_000), at(attempt * 10 + 5));
    }
    let long = || Some("i-0123456789abcdef0".to_owned());
    for server in &mut shard.server_statuses {
        assert_eq!(server.transition_history.len(), 2 * ATTEMPTS as usize);
        server.recovery_job_id = Some("drsjob-0123456789abcdef0".into());
        server.recovery_instance_id = long();
        server.set_instance("i-0123456789abcdef0");
        server.instance_type = Some("u-24tb1.112xlarge".to_owned());
        server.private_ip = Some("255.255.255.255".to_owned());
        server.instance_state = Some("shutting-down".to_owned());
        server.warning = Some("w".repeat(200));
        let time = Some(time::format(at(1)));
        server.launch_time.clone_from(&time);
        server.last_polled_time.clone_from(&time);
        server.launched_time.clone_from(&time);
        server.point_in_time = time;
    }
    let bytes = size_of_item(&shard);
    assert!(bytes < LIMIT, "{bytes} bytes");
}
