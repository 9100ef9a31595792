//! What earlier releases wrote into records and is read no more.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What a group named until the deployment knew the roles.
const ACCOUNT_ROLE: &str = "accountRole";

/// A record's plan. One that names roles is read as one that names their accounts: the rest of it runs on, and its external
/// ids go no further.
pub(super) fn plan_of_accounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if !text.contains(ACCOUNT_ROLE) {
        return Ok(text);
    }
    let Ok(mut plan) = serde_json::from_str::<Value>(&text) else { return Ok(text) };
    let waves = plan.get_mut("waves").and_then(Value::as_array_mut).into_iter().flatten();
    let groups = waves.filter_map(|wave| wave.get_mut("groups")?.as_array_mut()).flatten();
    for group in groups.filter_map(Value::as_object_mut) {
        let Some(role) = group.remove(ACCOUNT_ROLE) else { continue };
        // arn:aws:iam::ACCOUNT:role/NAME
        let account = role.get("roleArn").and_then(|arn| arn.as_str()?.split(':').nth(4));
        if let Some(account) = account {
            group.insert("accountId".to_owned(), account.into());
        }
    }
    Ok(plan.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use serde_json::json;

    #[derive(Deserialize)]
    struct Record {
        #[serde(deserialize_with = "plan_of_accounts")]
        plan: String,
    }

    fn read(plan: &str) -> String {
        serde_json::from_value::<Record>(json!({ "plan": plan })).unwrap().plan
    }

    #[test]
    fn a_plan_of_roles_is_read_as_one_of_accounts_and_gives_its_external_ids_away_no_more() {
        let groups = json!([
            {"region": "us-west-2", "tags": {"a": "b"},
             "accountRole": {"roleArn": "arn:aws:iam::444455556666:role/p/t", "externalId": "a-word-between-two"}},
            {"region": "us-west-2", "tags": {"note": "accountRole"}},
        ]);
        let waves = json!([{"waveNumber": 1, "waveName": "w", "groups": groups}]);
        let read = read(&json!({"planId": "p", "planName": "p", "waves": waves}).to_string());
        assert!(!read.contains("a-word-between-two") && !read.contains("roleArn"), "{read}");
        let plan: Plan = serde_json::from_str(&read).unwrap();
        let accounts: Vec<_> = plan.waves[0].groups.iter().map(|group| group.account_id.as_deref()).collect();
        assert_eq!(accounts, [Some("444455556666"), None]);
    }

    #[test]
    fn any_other_text_stays_as_it_is() {
        for text in ["", "{\"planId\": \"p\"}", "accountRole, but no JSON"] {
            assert_eq!(read(text), text);
        }
    }
}
