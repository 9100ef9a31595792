//! Where a deployment may recover: the accounts it has a role in, and the Regions. Both are settings of the workers. A plan
//! names accounts only, so that its author cannot lend the workers a role, or another tenant's external id.

use crate::input_check::problem;
use crate::membership::{self, Groups};
use crate::plan_check::too_many_targets;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tidegate_contract::plan::Plan;
use tidegate_contract::records::{Problem, Target};

/// A role in an account that owns servers.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetRole {
    pub role_arn: String,
    /// The role's trust policy asks for it.
    #[serde(default)]
    pub external_id: Option<String>,
}

impl fmt::Debug for TargetRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetRole").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

/// Where the workers of a deployment get to, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    home: String,
    roles: BTreeMap<String, TargetRole>,
    regions: BTreeSet<String>,
}

/// Whose credentials lead to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// The workers' own.
    Own,
    Role(&'a TargetRole),
}

/// A target that this deployment does not get to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unreachable {
    #[error("the deployment has no role in account {0}")]
    Account(String),
    #[error("{0} is not one of the deployment's recovery Regions")]
    Region(String),
}

impl Unreachable {
    /// What a platform engineer does about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Account(_) => {
                "correct accountId, or add the account with its role to target_accounts (TIDEGATE_TARGET_ACCOUNTS) and deploy"
            }
            Self::Region(_) => "correct the region, or add it to recovery_regions (TIDEGATE_REGIONS) and deploy",
        }
    }
}

impl Reach {
    /// The workers' own account, the roles by account, the Regions.
    pub const fn new(home: String, roles: BTreeMap<String, TargetRole>, regions: BTreeSet<String>) -> Self {
        Self { home, roles, regions }
    }

    /// The way to a target. Nothing is called for it.
    pub fn way_to(&self, target: &Target) -> Result<Way<'_>, Unreachable> {
        if !self.regions.contains(&target.region) {
            return Err(Unreachable::Region(target.region.clone()));
        }
        match self.roles.get(&target.account_id) {
            Some(role) => Ok(Way::Role(role)),
            None if target.account_id == self.home => Ok(Way::Own),
            None => Err(Unreachable::Account(target.account_id.clone())),
        }
    }

    /// What is wrong with where a plan leads, each account and Region once, at the first field that names it.
    pub fn check_plan(&self, plan: &Plan, groups: &Groups, home_account: &str) -> Vec<Problem> {
        let mut places: Vec<(String, Target)> = Vec::new();
        for (index, wave) in plan.waves.iter().enumerate() {
            for (group_index, group) in wave.groups.iter().enumerate() {
                let Some(target) = membership::target_of(group, groups, home_account) else { continue };
                let at = format!("plan.waves[{index}].groups[{group_index}]");
                let field = match &group.protection_group_id {
                    Some(_) => format!("{at}.protectionGroupId"),
                    None => at,
                };
                places.push((field, target));
            }
        }
        let targets: BTreeSet<&Target> = places.iter().map(|(_, target)| target).collect();
        too_many_targets(targets.len(), "plan").into_iter().chain(self.unreachable(&places)).collect()
    }

    /// The same for members that an earlier call, or an earlier execution, resolved.
    pub fn check_targets(&self, targets: &[Target]) -> Vec<Problem> {
        let places: Vec<_> = targets.iter().map(|target| ("plan".to_owned(), target.clone())).collect();
        self.unreachable(&places)
    }

    fn unreachable(&self, places: &[(String, Target)]) -> Vec<Problem> {
        let mut told = BTreeSet::new();
        let mut problems = Vec::new();
        for (field, target) in places {
            let Err(why) = self.way_to(target) else { continue };
            if told.insert(why.clone()) {
                problems.push(problem(field, &why.to_string(), why.remedy()));
            }
        }
        problems
    }
}

/// The roles by account, as the workers' setting has them. What is wrong is told without a word of the text, which holds
/// external ids.
pub fn parse_roles(text: &str) -> Result<BTreeMap<String, TargetRole>, String> {
    let roles: BTreeMap<String, TargetRole> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("is not a JSON map of account ids to {{roleArn, externalId}} (line {line}, column {column})")
    })?;
    for (account, role) in &roles {
        let of_account = role.role_arn.split(':').collect::<Vec<_>>();
        let [arn, _, iam, "", owner, name] = of_account[..] else {
            return Err(format!("names no role's ARN for account {account}"));
        };
        if arn != "arn" || iam != "iam" || !name.starts_with("role/") || !is_account(account) {
            return Err(format!("names no role's ARN for account {account}"));
        }
        if owner != account {
            return Err(format!("names a role of account {owner} for account {account}"));
        }
        if role.external_id.as_ref().is_some_and(|id| !(2..=1_224).contains(&id.len())) {
            return Err(format!(
                "has an external id for account {account} that STS does not take: 2 to 1224 characters"
            ));
        }
    }
    Ok(roles)
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;
    use tidegate_contract::plan::MAX_TARGETS;

    const HOME: &str = "111122223333";

    fn reach() -> Reach {
        let roles =
            json!({"444455556666": {"roleArn": "arn:aws:iam::444455556666:role/t", "externalId": "between-two"}});
        let regions = BTreeSet::from(["us-west-2".to_owned(), "eu-west-1".to_owned()]);
        Reach::new(HOME.to_owned(), parse_roles(&roles.to_string()).unwrap(), regions)
    }

    fn target(account: &str, region: &str) -> Target {
        Target { account_id: account.to_owned(), region: region.to_owned() }
    }

    fn plan(groups: &serde_json::Value) -> Plan {
        let waves = json!([{"waveNumber": 1, "waveName": "w", "groups": groups}]);
        serde_json::from_value(json!({"planId": "p", "planName": "p", "waves": waves})).unwrap()
    }

    #[test]
    fn the_way_leads_home_or_through_the_deployments_role_and_nowhere_else() {
        let reach = reach();
        assert_eq!(reach.way_to(&target(HOME, "us-west-2")), Ok(Way::Own));
        let Ok(Way::Role(role)) = reach.way_to(&target("444455556666", "eu-west-1")) else { unreachable!() };
        assert_eq!(role.external_id.as_deref(), Some("between-two"));
        let no_role = Unreachable::Account("777788889999".to_owned());
        assert_eq!(reach.way_to(&target("777788889999", "us-west-2")), Err(no_role));
        let no_region = Unreachable::Region("us-evil-1".to_owned());
        assert_eq!(reach.way_to(&target("444455556666", "us-evil-1")), Err(no_region));
    }

    #[test]
    fn every_account_and_region_that_is_not_reached_is_told_once_at_its_field() {
        let group = |account: &str, region: &str| json!({"accountId": account, "region": region, "tags": {"a": "b"}});
        let groups = json!([
            group("444455556666", "us-west-2"),
            group("777788889999", "us-west-2"),
            group("777788889999", "eu-west-1"),
            {"region": "us-evil-1", "tags": {"a": "b"}},
            {"protectionGroupId": "stored"},
        ]);
        let stored = json!({"groupId": "stored", "groupName": "s", "region": "us-west-2", "accountId": "000011112222"});
        let stored = Groups::from([("stored".to_owned(), serde_json::from_value(stored).unwrap())]);
        let problems = reach().check_plan(&plan(&groups), &stored, HOME);
        let told: Vec<_> = problems.iter().map(|one| (one.field.as_str(), one.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("plan.waves[0].groups[1]", "the deployment has no role in account 777788889999"),
                ("plan.waves[0].groups[3]", "us-evil-1 is not one of the deployment's recovery Regions"),
                ("plan.waves[0].groups[4].protectionGroupId", "the deployment has no role in account 000011112222"),
            ]
        );
        assert!(problems.iter().all(|one| one.remedy.contains("deploy")), "{problems:?}");
    }

    #[test]
    fn a_thousand_made_up_regions_are_refused() {
        let name = |n: u8| char::from(b'a' + n);
        let region =
            |n: u16| format!("us-{}{}{}-1", name((n / 100) as u8), name((n / 10 % 10) as u8), name((n % 10) as u8));
        let groups: Vec<_> = (0..1_000).map(|n| json!({"region": region(n), "tags": {"a": "b"}})).collect();
        let problems = reach().check_plan(&plan(&json!(groups)), &Groups::new(), HOME);
        assert!(
            problems[0].message.contains("1000 places") && problems[0].message.contains("100"),
            "{:?}",
            problems[0]
        );
        assert_eq!(problems.len(), 1 + 1_000, "the error that carries them tells the first ones");
        let at_most: Vec<_> = groups.into_iter().take(MAX_TARGETS).collect();
        assert!(!reach().check_plan(&plan(&json!(at_most)), &Groups::new(), HOME)[0].message.contains("places"));
    }

    #[test]
    fn a_setting_that_is_wrong_is_told_without_an_external_id() {
        let secret = "between-you-and-me";
        let arn = "arn:aws:iam::444455556666:role/t";
        for wrong in [
            json!({"444455556666": {"roleArn": arn, "externalId": [secret]}}),
            json!({"444455556666": secret}),
            json!({"444455556666": {"roleArn": arn, "external": secret}}),
            json!({"444455556666": {"roleArn": "arn:aws:iam::777788889999:role/t", "externalId": secret}}),
            json!({"44": {"roleArn": "arn:aws:iam::44:role/t", "externalId": secret}}),
            json!({"444455556666": {"roleArn": "arn:aws:iam::444455556666:user/t", "externalId": secret}}),
            json!({"444455556666": {"roleArn": arn, "externalId": secret.repeat(100)}}),
            json!([secret]),
        ] {
            let told = parse_roles(&wrong.to_string()).unwrap_err();
            assert!(!told.contains(secret) && told.len() > 10, "{told}");
        }
        assert_eq!(parse_roles("{}"), Ok(BTreeMap::new()));
        assert!(!format!("{:?}", reach()).contains("between-two"));
    }
}
