#![allow(clippy::unwrap_used)]

use super::*;
use serde_json::json;

fn member(n: u32, name: &str, hostname: &str) -> Member {
    serde_json::from_value(json!({
        "sourceServerId": format!("s-{n:017x}"), "importance": "critical", "serverName": name, "hostname": hostname,
        "target": {"accountId": "111122223333", "region": "us-west-2"},
    }))
    .unwrap()
}

fn server(n: u32) -> Member {
    member(n, &format!("server-{n}"), &format!("host-{n}"))
}

fn asked(execution_type: ExecutionType, mode: Mode, confirmed: bool) -> Asked {
    Asked { execution_type, mode, confirmed }
}

const RECOVERY: ExecutionType = ExecutionType::Recovery;
const DRILL: ExecutionType = ExecutionType::Drill;

fn told(problems: &[Problem]) -> String {
    problems.iter().map(|one| format!("{}: {}\n", one.field, one.message)).collect()
}

#[test]
fn a_plan_has_one_digest_however_it_is_spelled() {
    let read = |text: &str| crate::input_check::parse_plan(text).unwrap();
    let plain = read(
        r#"{"planId":"p","planName":"n","waves":[{"waveNumber":1,"waveName":"w","groups":[{"region":"us-west-2","tags":{"a":"b"}}]}]}"#,
    );
    let spaced = read(
        r#"{ "planName": "n", "planId": "p",
             "waves": [ { "waveName": "w", "waveNumber": 1, "pauseBeforeWave": false, "groups": [ { "tags": {"a": "b"}, "region": "us-west-2" } ] } ] }"#,
    );
    assert_eq!(plan_hash(&plain), plan_hash(&spaced));
    assert_eq!(plan_hash(&plain).len(), 64);
    let mut other = plain.clone();
    other.waves[0].groups[0].tags.insert("a".to_owned(), "c".to_owned());
    assert_ne!(plan_hash(&plain), plan_hash(&other));
}

/// The tool sends back the digests that the record shows. Of a record of before ADR 0023 that of the members covers their roles.
#[test]
fn a_continuation_is_confirmed_by_the_digests_of_its_record() {
    let members: Membership = vec![vec![server(1)]];
    let record = |hash: Option<&str>| {
        let record =
            ExecutionRecord::pending("run-1".into(), "arn".to_owned(), "crm".into(), DRILL, Mode::Run, String::new());
        ExecutionRecord { membership_hash: hash.map(str::to_owned), ..record }
    };
    let expected = Expected { plan_hash: None, membership_hash: Some("covers-roles".to_owned()) };
    let carried = Found::carried(&record(Some("covers-roles")), &members);
    assert_eq!(refusals(Some(&expected), &carried), []);
    assert_eq!(carried.servers, 1);
    let without = Found::carried(&record(None), &members);
    assert_eq!(without.membership_hash, membership::hash(&members));
    assert_eq!(refusals(Some(&expected), &without).len(), 1);
}

/// P5: what was confirmed is what runs. What was not given is not compared.
#[test]
fn another_plan_or_other_members_than_confirmed_are_refused() {
    let found = Found {
        plan_hash: "p1".to_owned(),
        plan_updated_at: Some("2026-11-30T00:00:00.000Z".to_owned()),
        membership_hash: "m1".to_owned(),
        servers: 7,
    };
    let expected = |plan: Option<&str>, members: Option<&str>| Expected {
        plan_hash: plan.map(str::to_owned),
        membership_hash: members.map(str::to_owned),
    };
    for fine in [None, Some(expected(None, None)), Some(expected(Some("p1"), Some("m1")))] {
        assert_eq!(refusals(fine.as_ref(), &found), [], "{fine:?}");
    }
    let problems = refusals(Some(&expected(Some("p0"), Some("m0"))), &found);
    let told = told(&problems);
    for named in ["expected.planHash: is p0", "(p1)", "2026-11-30", "expected.membershipHash: is m0", "7, m1"] {
        assert!(told.contains(named), "{named} not in {told}");
    }
    assert!(problems.iter().all(|one| one.remedy.contains("CHECK")));
}

/// P4: a rogue agent joins by its tags.
#[test]
fn who_joins_leaves_or_moves_is_named() {
    let id = ExecutionId::from("drill-7");
    let before = vec![vec![server(1), server(2)], vec![server(3)]];
    let now = vec![vec![server(1), server(9)], vec![server(2)]];
    let earlier = Earlier { id: &id, members: Some(&before) };
    let drill = judge(&now, Some(&earlier), asked(DRILL, Mode::Run, false));
    assert_eq!(drill.problems, []);
    let told = told(&drill.warnings);
    for named in [
        "plan.waves[0]: s-00000000000000009 (server-9) in us-west-2 of account 111122223333 has joined since drill-7",
        "plan.waves[1]: s-00000000000000002 (server-2) in us-west-2 of account 111122223333 was in wave 1 in drill-7",
        "plan.waves[1]: s-00000000000000003 (server-3) in us-west-2 of account 111122223333 has left since drill-7",
    ] {
        assert!(told.contains(named), "{named} not in\n{told}");
    }
    assert_eq!(drill.warnings.len(), 3, "who stays is not told");
    for (mode, confirmed, refused) in
        [(Mode::Run, false, true), (Mode::Run, true, false), (Mode::Check, false, false), (Mode::DryRun, false, false)]
    {
        let recovery = judge(&now, Some(&earlier), asked(RECOVERY, mode, confirmed));
        assert_eq!(!recovery.problems.is_empty(), refused, "{mode} {confirmed}");
        assert_eq!(
            recovery.problems.len() + recovery.warnings.len(),
            3,
            "a confirmed change is on record all the same"
        );
    }
    let refused = judge(&now, Some(&earlier), asked(RECOVERY, Mode::Run, false));
    assert!(refused.problems[0].remedy.contains(&membership::hash(&now)), "{:?}", refused.problems[0]);
}

#[test]
fn the_same_members_and_a_first_run_say_nothing() {
    let id = ExecutionId::from("drill-7");
    let members = vec![vec![server(1), server(2)]];
    let earlier = Earlier { id: &id, members: Some(&members) };
    assert_eq!(judge(&members, Some(&earlier), asked(RECOVERY, Mode::Run, false)), Readiness::default());
    assert_eq!(judge(&members, None, asked(RECOVERY, Mode::Run, false)), Readiness::default());
    let lost = judge(&members, Some(&Earlier { id: &id, members: None }), asked(RECOVERY, Mode::Run, false));
    assert!(told(&lost.problems).contains("drill-7") && told(&lost.problems).contains("not stored any more"));
}

#[test]
fn two_servers_of_one_name_are_a_problem_with_both_ids() {
    for twin in [member(2, "CRM-db-01 ", "other"), member(2, "other", "crm-db-01")] {
        let members = vec![vec![member(1, "crm-db-01", "crm-db-01")], vec![twin]];
        for execution_type in [DRILL, RECOVERY] {
            let found = judge(&members, None, asked(execution_type, Mode::Run, false));
            let told = told(&found.problems);
            assert!(told.starts_with("plan.waves[1]: ") && found.problems.len() == 1, "{told}");
            assert!(told.contains("s-00000000000000001") && told.contains("s-00000000000000002"), "{told}");
        }
        let confirmed = judge(&members, None, asked(RECOVERY, Mode::Run, true));
        assert_eq!((confirmed.problems.len(), confirmed.warnings.len()), (0, 1));
        let check = judge(&members, None, asked(RECOVERY, Mode::Check, false));
        assert_eq!((check.problems.len(), check.warnings.len()), (0, 1), "a check tells the digest that confirms it");
    }
    let nameless = vec![vec![member(1, "", ""), member(2, "", "")]];
    assert_eq!(judge(&nameless, None, asked(DRILL, Mode::Run, false)), Readiness::default());
}
