//! Reads what a person typed, and says everything that is wrong with its shape at once, by field.
//!
//! The generated JSON schemas are the judge, so that the schemas people validate with, and the worker, never differ.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::LazyLock;
use tidegate_contract::document::schema_of;
use tidegate_contract::foreign::{SHOWN_PATTERN, echo, first_deceiving};
use tidegate_contract::input::{ContinueInput, ExecutionInput, Request};
use tidegate_contract::plan::{Plan, ProtectionGroup};
use tidegate_contract::records::Problem;

/// Most problems reported for one document, and one that counts the rest; the cause of an error holds 32 KiB.
const MAX_PROBLEMS: usize = 50;

/// The execution's input, whether it names a plan or an execution to continue; on failure every problem of its shape.
pub fn parse_request(input: &Value) -> Result<Request, Vec<Problem>> {
    if input.get(CONTINUE).is_some_and(|id| !id.is_null()) {
        return parse_continuation(input).map(Request::Continue);
    }
    parse_input(input).map(Box::new).map(Request::Plan)
}

/// The field that tells a continuation from a plan's run.
const CONTINUE: &str = "continueExecution";

fn parse_continuation(input: &Value) -> Result<ContinueInput, Vec<Problem>> {
    let mut frame = input.clone();
    let mut problems = Vec::new();
    for field in ["planId", "plan"] {
        let given = frame.as_object_mut().and_then(|fields| fields.remove(field));
        if given.is_some_and(|value| !value.is_null()) {
            problems.push(problem(
                field,
                &format!("{CONTINUE} and {field} are both given, but the plan is the continued execution's own"),
                &format!("leave {field} out to continue, or {CONTINUE} to start the plan anew"),
            ));
        }
    }
    if let Some(mode @ ("CHECK" | "DRY_RUN")) = frame.get("mode").and_then(Value::as_str) {
        problems.push(problem(
            "mode",
            &format!("is {mode}, but a continuation runs: it adopts what runs already"),
            "leave mode out",
        ));
    }
    problems.extend(shape_problems(&CONTINUATION, &frame, ""));
    finish(&frame, problems, "")
}

/// The input of a plan's run; on failure every problem of its shape, an inline plan's included.
pub fn parse_input(input: &Value) -> Result<ExecutionInput, Vec<Problem>> {
    // An inline plan is judged by itself, so that its problems are told one by one.
    let mut frame = input.clone();
    let inline = frame.as_object_mut().and_then(|fields| fields.remove("plan"));
    let mut problems = shape_problems(&INPUT, &frame, "");
    if let Some(plan) = inline.as_ref().filter(|plan| !plan.is_null()) {
        problems.extend(shape_problems(&PLAN, plan, "plan"));
    }
    let has_plan_id = frame.get("planId").is_some_and(|id| !id.is_null());
    let has_plan = inline.as_ref().is_some_and(|plan| !plan.is_null());
    if input.is_object() && has_plan_id == has_plan {
        let (message, remedy) = if has_plan {
            ("planId and plan are both given", "keep one: planId for a stored plan, plan for an inline one")
        } else {
            (
                "no plan is named",
                "add planId, the id of a stored plan, or plan, an inline plan; or continueExecution to continue a run",
            )
        };
        problems.push(problem("planId", message, remedy));
    }
    let is_drill = frame.get("executionType").and_then(Value::as_str) == Some("DRILL");
    if is_drill && frame.pointer("/options/replaceRecovered") == Some(&Value::Bool(true)) {
        problems.push(drill_replaces_nothing_recovered());
    }
    finish(input, problems, "")
}

/// No drill may cost a recovery instance, whatever its input says.
pub(crate) fn drill_replaces_nothing_recovered() -> Problem {
    problem(
        "options.replaceRecovered",
        "is for recoveries only: no drill may delete a recovery instance",
        "leave it out, and leave recovered servers out of the drill",
    )
}

/// A stored plan's text.
pub fn parse_plan(text: &str) -> Result<Plan, Vec<Problem>> {
    parse_text(&PLAN, text, "plan")
}

/// A stored protection group's text.
pub fn parse_group(text: &str, field: &str) -> Result<ProtectionGroup, Vec<Problem>> {
    parse_text(&GROUP, text, field)
}

fn parse_text<T: DeserializeOwned>(schema: &Schema, text: &str, field: &str) -> Result<T, Vec<Problem>> {
    let value: Value = serde_json::from_str(text)
        .map_err(|error| vec![problem(field, &format!("is not JSON: {error}"), "store it again as valid JSON")])?;
    finish(&value, shape_problems(schema, &value, field), field)
}

fn finish<T: DeserializeOwned>(value: &Value, mut problems: Vec<Problem>, field: &str) -> Result<T, Vec<Problem>> {
    if problems.is_empty() {
        return serde_json::from_value(value.clone())
            .map_err(|error| vec![problem(field, &echo(&error.to_string()), "see docs/input.md")]);
    }
    problems.sort();
    problems.dedup();
    Err(bounded(problems))
}

/// As many problems as one cause holds, and one that counts the rest. What is bounded already stays as it is.
pub fn bounded(mut problems: Vec<Problem>) -> Vec<Problem> {
    if problems.len() > MAX_PROBLEMS + 1 {
        let more = problems.len() - MAX_PROBLEMS;
        problems.truncate(MAX_PROBLEMS);
        problems.push(problem("input", &format!("and {more} more problems"), "correct those above first"));
    }
    problems
}

/// A compiled schema. Compiling one costs milliseconds, checking a document with it microseconds.
type Schema = LazyLock<Result<Validator, String>>;

static INPUT: Schema = LazyLock::new(compile::<ExecutionInput>);
static CONTINUATION: Schema = LazyLock::new(compile::<ContinueInput>);
static PLAN: Schema = LazyLock::new(compile::<Plan>);
static GROUP: Schema = LazyLock::new(compile::<ProtectionGroup>);

fn compile<T: JsonSchema>() -> Result<Validator, String> {
    jsonschema::validator_for(&schema_of::<T>()).map_err(|error| error.to_string())
}

fn shape_problems(schema: &Schema, value: &Value, prefix: &str) -> Vec<Problem> {
    match &**schema {
        Ok(validator) => problems_of(validator, value, prefix),
        Err(error) => {
            vec![problem(prefix, &format!("cannot be checked: {error}"), "report this as a fault of Tidegate")]
        }
    }
}

fn problems_of(validator: &Validator, value: &Value, prefix: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for error in validator.iter_errors(value) {
        explain(&error, prefix, &mut problems);
    }
    problems
}

/// The name `options.replaceRecovered` had before it said what happens. It is not taken for the new one: who wrote it meant
/// a second instance.
const FORMER_REPLACE_RECOVERED: &str = "relaunchRecovered";
const RENAMED: &str = "is called replaceRecovered now: DRS deletes a server's recovery instance, with its data, before it \
                       launches another";

/// What groups named until the deployment knew the roles. Refused, and told without its content, which holds an external id.
const FORMER_ACCOUNT_ROLE: &str = "accountRole";
const ROLES_ARE_THE_DEPLOYMENTS: &str = "is no plan's to name any more: the deployment has one role for each account \
                                         (target_accounts), with its external id";

fn explain(error: &ValidationError<'_>, prefix: &str, problems: &mut Vec<Problem>) {
    let field = field_name(prefix, error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            for name in unexpected {
                let path = if field.is_empty() { echo(name) } else { format!("{field}.{}", echo(name)) };
                if name == FORMER_REPLACE_RECOVERED {
                    problems.push(problem(&path, RENAMED, "set options.replaceRecovered to true if it may be deleted"));
                    continue;
                }
                if name == FORMER_ACCOUNT_ROLE {
                    problems.push(problem(&path, ROLES_ARE_THE_DEPLOYMENTS, "name the account instead: accountId"));
                    continue;
                }
                problems.push(problem(&path, "is not a field of this object", "remove it, or correct its spelling"));
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().map_or_else(|| property.to_string(), str::to_owned);
            let path = if field.is_empty() { name } else { format!("{field}.{name}") };
            problems.push(problem(&path, "is missing", "add it; see docs/input.md"));
        }
        ValidationErrorKind::Enum { options } => {
            let allowed: Vec<String> = options.as_array().into_iter().flatten().map(Value::to_string).collect();
            let message = format!("{} is not allowed", quoted(error));
            problems.push(problem(&field, &message, &format!("use one of {}", allowed.join(", "))));
        }
        ValidationErrorKind::Pattern { pattern } if pattern == SHOWN_PATTERN => {
            let found = error.instance().as_str().and_then(first_deceiving).unwrap_or_default();
            let message = format!("holds the character {found}, which is not shown or changes how other text is shown");
            let remedy =
                "leave out line breaks, control characters, invisible ones and those that turn the direction of text";
            problems.push(problem(&field, &message, remedy));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            explain_alternatives(error, &field, prefix, context, problems);
        }
        _ => problems.push(problem(&field, &told(error), SEE_INPUT)),
    }
}

const SEE_INPUT: &str = "see docs/input.md for what is allowed";

/// What the validator says, with the value as far as it may be quoted.
fn told(error: &ValidationError<'_>) -> String {
    error.masked_with(quoted(error)).to_string()
}

/// The refused value: its beginning, and nothing of what may hold an external id, which is a secret.
fn quoted(error: &ValidationError<'_>) -> String {
    let secret = error.instance_path().as_str().split('/').any(|part| part == "accountRole");
    if secret { "the value".to_owned() } else { echo(&error.instance().to_string()) }
}

/// Alternatives come from enums (every branch a constant) and from optional fields (a type, or null).
fn explain_alternatives(
    error: &ValidationError<'_>,
    field: &str,
    prefix: &str,
    context: &[Vec<ValidationError<'static>>],
    problems: &mut Vec<Problem>,
) {
    let allowed: Vec<String> = context.iter().flatten().filter_map(constant).collect();
    if !allowed.is_empty() {
        let message = format!("{} is not allowed", quoted(error));
        problems.push(problem(field, &message, &format!("use one of {}", allowed.join(", "))));
        return;
    }
    let telling = context.iter().find(|branch| !branch.iter().any(is_null_type));
    match telling {
        Some(branch) => branch.iter().for_each(|inner| explain(inner, prefix, problems)),
        None => problems.push(problem(field, &told(error), SEE_INPUT)),
    }
}

fn constant(error: &ValidationError<'_>) -> Option<String> {
    match error.kind() {
        ValidationErrorKind::Constant { expected_value } => Some(expected_value.to_string()),
        _ => None,
    }
}

fn is_null_type(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { .. }) && error.to_string().contains("\"null\"")
}

/// `/waves/2/groups/0` below `plan` -> `plan.waves[2].groups[0]`.
fn field_name(prefix: &str, pointer: &str) -> String {
    let mut name = prefix.to_owned();
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) {
            name.push_str(&format!("[{part}]"));
        } else {
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&echo(&part.replace("~1", "/").replace("~0", "~")));
        }
    }
    name
}

/// A problem, spelled short.
pub(crate) fn problem(field: &str, message: &str, remedy: &str) -> Problem {
    let field = if field.is_empty() { "input" } else { field };
    Problem { field: field.to_owned(), message: message.to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(input: Value) -> Vec<String> {
        parse_input(&input).unwrap_err().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_person_can_type_two_fields() {
        let input = parse_input(&json!({"planId": "crm", "executionType": "DRILL"})).unwrap();
        assert_eq!(input.mode, tidegate_contract::Mode::Run);
    }

    #[test]
    fn every_reason_is_told_at_once_with_its_field() {
        let input = json!({
            "executionType": "REHEARSAL", "mode": "RUNN", "holdSeconds": 3,
            "plan": {"planId": "a b", "planName": "x", "waves": [
                {"waveNumber": 0, "waveName": "w", "pauseBeforWave": true, "groups": [{"sourceServerIds": ["s-1"]}]}
            ]}
        });
        let fields = fields(input);
        for expected in [
            "executionType",
            "mode",
            "holdSeconds",
            "plan.planId",
            "plan.waves[0].waveNumber",
            "plan.waves[0].pauseBeforWave",
            "plan.waves[0].groups[0].sourceServerIds[0]",
        ] {
            assert!(fields.iter().any(|field| field == expected), "{expected} not in {fields:?}");
        }
    }

    #[test]
    fn allowed_values_are_named() {
        let problems = parse_input(&json!({"planId": "crm", "executionType": "drill"})).unwrap_err();
        assert!(problems[0].remedy.contains("DRILL") && problems[0].remedy.contains("RECOVERY"), "{problems:?}");
    }

    #[test]
    fn neither_or_both_plans_are_refused() {
        assert_eq!(fields(json!({"executionType": "DRILL"})), ["planId"]);
        assert_eq!(fields(json!("crm")), ["input"]);
    }

    #[test]
    fn the_former_name_of_replace_recovered_is_refused_and_the_new_one_named() {
        let given = json!({"planId": "crm", "executionType": "RECOVERY", "options": {"relaunchRecovered": true}});
        let problems = parse_input(&given).unwrap_err();
        assert_eq!(problems[0].field, "options.relaunchRecovered");
        assert!(problems[0].message.contains("replaceRecovered") && problems[0].message.contains("deletes"));
        let given = json!({"continueExecution": "crm-1", "options": {"relaunchRecovered": true}});
        assert!(parse_request(&given).unwrap_err()[0].message.contains("replaceRecovered"));
    }

    #[test]
    fn a_drill_cannot_ask_for_the_deletion_of_what_was_recovered() {
        let given = json!({"planId": "crm", "executionType": "DRILL", "options": {"replaceRecovered": true}});
        assert_eq!(fields(given), ["options.replaceRecovered"]);
        let given = json!({"planId": "crm", "executionType": "DRILL", "options": {"replaceDrill": true}});
        assert!(parse_input(&given).unwrap().options.replace_drill);
    }

    #[test]
    fn a_role_or_an_external_id_in_a_plan_is_refused_without_a_word_of_it_and_the_new_way_is_named() {
        let roles = [
            json!({"roleArn": "arn:aws:iam::444455556666:role/t", "externalId": "s3cret-of-b"}),
            json!(["arn:aws:iam::444455556666:role/t", "s3cret-of-b"]),
            json!("s3cret-of-b"),
        ];
        for role in roles {
            let group = json!({"region": "us-west-2", "tags": {"a": "b"}, "accountRole": role});
            let waves = json!([{"waveNumber": 1, "waveName": "w", "groups": [group]}]);
            let plan = json!({"planId": "p", "planName": "p", "waves": waves});
            let of_input = parse_input(&json!({"plan": plan, "executionType": "DRILL"})).unwrap_err();
            let of_text = parse_plan(&plan.to_string()).unwrap_err();
            let stored = json!({"groupId": "g", "groupName": "g", "region": "us-west-2", "tags": {"a": "b"}, "accountRole": role});
            let of_group = parse_group(&stored.to_string(), "protectionGroup g").unwrap_err();
            for problems in [of_input, of_text, of_group] {
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert!(problems[0].field.ends_with(".accountRole") && problems[0].remedy.contains("accountId"));
                assert!(!format!("{problems:?}").contains("s3cret-of-b"), "{problems:?}");
            }
        }
        let group = json!({"region": "us-west-2", "tags": {"a": "b"}, "accountId": "4444"});
        let waves = json!([{"waveNumber": 1, "waveName": "w", "groups": [group]}]);
        let given = json!({"executionType": "DRILL", "plan": {"planId": "p", "planName": "p", "waves": waves}});
        assert_eq!(fields(given), ["plan.waves[0].groups[0].accountId"]);
    }

    fn continuation_fields(input: Value) -> Vec<String> {
        parse_request(&input).unwrap_err().into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_continuation_needs_a_name_and_nothing_else() {
        let Request::Continue(input) = parse_request(&json!({"continueExecution": "crm-1"})).unwrap() else {
            unreachable!()
        };
        assert_eq!(input.continue_execution.as_str(), "crm-1");
        assert!(matches!(
            parse_request(&json!({"planId": "crm", "executionType": "DRILL"})).unwrap(),
            Request::Plan(_)
        ));
    }

    #[test]
    fn a_continuation_takes_no_plan_and_no_other_mode() {
        let input = json!({"continueExecution": "crm-1", "planId": "crm", "plan": {}, "mode": "CHECK", "wave": 2});
        assert_eq!(continuation_fields(input), ["mode", "plan", "planId", "wave"]);
        assert_eq!(continuation_fields(json!({"continueExecution": "a name"})), ["continueExecution"]);
        assert_eq!(continuation_fields(json!({"continueExecution": 7})), ["continueExecution"]);
    }

    fn plan_with(pointer: &str, value: Value) -> Value {
        let mut plan = json!({"planId": "crm", "planName": "CRM", "waves": [
            {"waveNumber": 1, "waveName": "db", "groups": [{"groupName": "g", "region": "us-west-2", "tags": {"a": "b"}}]}]});
        *plan.pointer_mut(pointer).unwrap() = value;
        plan
    }

    #[test]
    fn names_that_would_not_be_shown_as_they_are_are_refused_with_field_and_remedy() {
        let waves = "plan.waves[0]";
        for (pointer, field) in [
            ("/planName", "plan.planName".to_owned()),
            ("/waves/0/waveName", format!("{waves}.waveName")),
            ("/waves/0/groups/0/groupName", format!("{waves}.groups[0].groupName")),
        ] {
            for letter in
                ['\n', '\r', '\t', '\u{1b}', '\u{9b}', '\u{200b}', '\u{202e}', '\u{2028}', '\u{2066}', '\u{3164}']
            {
                let plan = plan_with(pointer, json!(format!("a{letter}b")));
                let problems = parse_plan(&plan.to_string()).unwrap_err();
                assert_eq!(problems.len(), 1, "{problems:?}");
                assert_eq!(problems[0].field, field);
                assert!(problems[0].message.contains(&letter.escape_unicode().to_string()), "{problems:?}");
                assert!(problems[0].remedy.contains("leave out line breaks"), "{problems:?}");
            }
            let fine = plan_with(pointer, json!("Zürich: 東京 (\"main\") #1"));
            assert!(parse_plan(&fine.to_string()).is_ok());
        }
        let by = |by: &str| json!({"planId": "crm", "executionType": "DRILL", "initiatedBy": by});
        assert_eq!(fields(by("maria\nCOMPLETED")), ["initiatedBy"]);
        assert!(parse_input(&by("maria (on call)")).is_ok());
        let again = json!({"continueExecution": "crm-1", "initiatedBy": "a\u{202e}"});
        assert_eq!(continuation_fields(again), ["initiatedBy"]);
    }

    #[test]
    fn what_is_quoted_is_short_and_in_one_line() {
        let long = "x\n\u{202e}".repeat(40_000);
        for given in [
            json!({"planId": long, "executionType": "DRILL"}),
            json!({"planId": "crm", "executionType": long}),
            json!({"planId": "crm", "executionType": "DRILL", long.as_str(): 1}),
            json!({"planId": "crm", "executionType": "DRILL", "options": {"holdSeconds": long}}),
            json!({"planId": "crm", "executionType": "DRILL", "options": [long]}),
            json!({"executionType": "DRILL", "plan": plan_with("/waves/0/groups/0/region", json!(long))}),
            json!({"executionType": "DRILL", "plan": plan_with("/waves/0/groups/0/tags", json!({long.as_str(): 1}))}),
        ] {
            for problem in parse_input(&given).unwrap_err() {
                let text = format!("{} {}", problem.field, problem.message);
                assert!(text.chars().count() < 600, "{} characters: {text:.300}", text.chars().count());
                assert_eq!(problem.clone().spelled_out(), problem);
            }
        }
    }

    #[test]
    fn an_external_id_in_the_wrong_place_is_not_quoted() {
        let role = json!(["arn:aws:iam::123456789012:role/x", "SECRET-ID"]);
        let wrong = [
            role,
            json!("SECRET-ID"),
            json!({"roleArn": "x", "externalId": ["SECRET-ID"]}),
            json!({"roleArn": "SECRET-ID"}),
        ];
        for wrong in wrong {
            let plan = plan_with(
                "/waves/0/groups/0",
                json!({"region": "us-west-2", "tags": {"a": "b"}, "accountRole": wrong}),
            );
            let told = format!("{:?}", parse_plan(&plan.to_string()).unwrap_err());
            assert!(!told.contains("SECRET-ID") && told.contains("accountRole"), "{told}");
        }
    }

    #[test]
    fn the_problems_that_are_left_out_are_counted() {
        let given: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("field{n}"), json!(n))).collect();
        let problems = parse_input(&Value::Object(given)).unwrap_err();
        assert_eq!(problems.len(), MAX_PROBLEMS + 1);
        // executionType and planId are missing too.
        assert_eq!(problems[MAX_PROBLEMS].message, format!("and {} more problems", 5_002 - MAX_PROBLEMS));
    }

    #[test]
    fn a_stored_plan_that_is_no_json_is_refused() {
        assert!(parse_plan("{").unwrap_err()[0].message.contains("not JSON"));
    }
}
