//! Checks a request against its shape and tells every field that is wrong at once, as the service does.

use crate::error::{ApiError, FieldProblem};
use crate::operation::Operation;
use crate::shapes::{Form, Member, Shape, input_of};
use serde_json::Value;

/// Refuses an input that the service's own validation would refuse.
pub(crate) fn validate(operation: Operation, input: &Value) -> Result<(), ApiError> {
    if !input.is_object() {
        return Err(ApiError::cannot_parse("The body must be a JSON object"));
    }
    let mut problems = Vec::new();
    structure("", input_of(operation), input, &mut problems);
    match problems.is_empty() {
        true => Ok(()),
        false => Err(ApiError::validation(problems)),
    }
}

fn structure(path: &str, members: &[Member], value: &Value, problems: &mut Vec<FieldProblem>) {
    let Some(object) = value.as_object() else {
        return problems.push(problem(path, "must be a structure"));
    };
    for member in members {
        let path = if path.is_empty() { member.name.to_owned() } else { format!("{path}.{}", member.name) };
        // restJson1 takes null for "not given".
        match object.get(member.name).filter(|value| !value.is_null()) {
            Some(value) => shape(&path, &member.shape, value, problems),
            None if member.required => {
                problems.push(problem(&path, "failed to satisfy constraint: Member must not be null"))
            }
            None => {}
        }
    }
}

fn shape(path: &str, wanted: &Shape, value: &Value, problems: &mut Vec<FieldProblem>) {
    match wanted {
        Shape::Structure(members) => structure(path, members, value, problems),
        Shape::Flag if value.is_boolean() => {}
        Shape::Flag => problems.push(problem(path, "must be a boolean")),
        Shape::Whole { min, max } => match value.as_i64() {
            Some(number) if (*min..=*max).contains(&number) => {}
            Some(_) => problems
                .push(problem(path, &format!("failed to satisfy constraint: Member must be between {min} and {max}"))),
            None => problems.push(problem(path, "must be an integer")),
        },
        Shape::Text { min, max, form } => match value.as_str() {
            Some(text) if !(*min..=*max).contains(&text.chars().count()) => {
                problems.push(problem(
                    path,
                    &format!("failed to satisfy constraint: Member must have length between {min} and {max}"),
                ));
            }
            Some(text) if !has_form(text, *form) => {
                problems.push(problem(
                    path,
                    "failed to satisfy constraint: Member must satisfy its pattern or enum value set",
                ));
            }
            Some(_) => {}
            None => problems.push(problem(path, "must be a string")),
        },
        Shape::List { min, max, of } => match value.as_array() {
            Some(items) if !(*min..=*max).contains(&items.len()) => {
                problems.push(problem(
                    path,
                    &format!("failed to satisfy constraint: Member must have length between {min} and {max}"),
                ));
            }
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    shape(&format!("{path}[{index}]"), of, item, problems);
                }
            }
            None => problems.push(problem(path, "must be a list")),
        },
        Shape::Tags => match value.as_object() {
            Some(tags) if tags.len() > 50 => problems.push(problem(path, "holds more than 50 tags")),
            Some(tags) => {
                for (key, value) in tags {
                    let fits =
                        key.chars().count() <= 256 && value.as_str().is_some_and(|text| text.chars().count() <= 256);
                    if !fits {
                        problems.push(problem(&format!("{path}.{key}"), "must be a string of at most 256 characters"));
                    }
                    // Of every service: the prefix is AWS's own.
                    if key.to_ascii_lowercase().starts_with("aws:") {
                        problems.push(problem(&format!("{path}.{key}"), "begins with aws:, which is reserved"));
                    }
                }
            }
            None => problems.push(problem(path, "must be a map of strings")),
        },
    }
}

fn problem(name: &str, message: &str) -> FieldProblem {
    FieldProblem { name: name.to_owned(), message: message.to_owned() }
}

fn has_form(text: &str, form: Form) -> bool {
    let id = |prefix: &str, text: &str| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 17 && rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    match form {
        Form::Any => true,
        Form::Id(prefix) => id(prefix, text),
        Form::Instance => {
            text.strip_prefix("i-").is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        // The model's pattern ends in Z. Whether the service takes an offset too is unknown; a client that sends one would
        // find out in the middle of a failover, so it finds out here.
        Form::Time => text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        Form::Arn => text.starts_with("arn:"),
        Form::PlanArn => text.starts_with("arn:aws") && text.contains(":drs:"),
        Form::Uuid => {
            let parts: Vec<&str> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
        }
        Form::ActionResource => id("s-", text) || id("lct-", text),
        Form::OneOf(values) => values.contains(&text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn refused(operation: Operation, input: Value) -> Vec<String> {
        let body = validate(operation, &input).unwrap_err().body();
        assert_eq!(body["reason"], "fieldValidationFailed");
        body["fieldList"].as_array().unwrap().iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let input = json!({"sourceServers": [{"sourceServerID": "s-1"}, {}], "isDrill": "yes", "tags": {"a": 1}});
        let told = refused(Operation::StartRecovery, input);
        assert_eq!(told, ["sourceServers[0].sourceServerID", "sourceServers[1].sourceServerID", "isDrill", "tags.a"]);
        let reserved = json!({"sourceServers": [{"sourceServerID": "s-00000000000000001"}], "tags": {"AWS:x": "1", "x:aws:": "1"}});
        assert_eq!(refused(Operation::StartRecovery, reserved), ["tags.AWS:x"]);
        assert_eq!(refused(Operation::StartRecovery, json!({"sourceServers": []})), ["sourceServers"]);
        assert_eq!(refused(Operation::StartRecovery, json!({})), ["sourceServers"]);
    }

    #[test]
    fn sizes_are_those_of_the_model() {
        let servers = |n: usize| json!({"sourceServers": vec![json!({"sourceServerID": "s-00000000000000001"}); n]});
        assert!(validate(Operation::StartRecovery, &servers(200)).is_ok());
        assert_eq!(refused(Operation::StartRecovery, servers(201)), ["sourceServers"]);
        assert_eq!(refused(Operation::DescribeJobs, json!({"maxResults": 0})), ["maxResults"]);
        assert_eq!(
            refused(Operation::ListLaunchActions, json!({"resourceId": "s-00000000000000001", "maxResults": 1001})),
            ["maxResults"]
        );
    }

    #[test]
    fn times_in_filters_end_in_z() {
        let from = |text: &str| json!({"filters": {"fromDate": text}});
        assert!(validate(Operation::DescribeJobs, &from("2026-11-20T03:00:00Z")).is_ok());
        assert!(validate(Operation::DescribeJobs, &from("2026-11-20T03:00:00.123456Z")).is_ok());
        assert_eq!(refused(Operation::DescribeJobs, from("2026-11-20T03:00:00+00:00")), ["filters.fromDate"]);
        assert_eq!(refused(Operation::DescribeJobs, from("1763607600")), ["filters.fromDate"]);
    }

    #[test]
    fn null_is_not_given_and_unknown_members_are_ignored() {
        assert!(validate(Operation::DescribeJobs, &json!({"filters": null, "maxResults": null, "new": 1})).is_ok());
    }
}
