//! The execution input, made from the command line or read from a file, and everything that can be checked of it here.

use crate::args::StartArgs;
use crate::error::CliError;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;
use tidegate_contract::input::{ExecutionInput, Request};
use tidegate_contract::plan::Plan;
use tidegate_contract::records::Problem;
use tidegate_contract::{ExecutionType, Mode};
use tidegate_core::input_check::{parse_plan, parse_request};
use tidegate_core::plan_check::check_plan;

/// The input as JSON. A whole input from a file keeps what it says; `--by` fills in what it does not.
pub(crate) fn make_input(args: &StartArgs, document: Option<Value>) -> Value {
    let by = args.by.as_deref().filter(|by| !by.is_empty());
    if args.input.is_some() {
        let mut input = document.unwrap_or_default();
        if let (Some(fields), Some(by)) = (input.as_object_mut(), by) {
            fields.entry("initiatedBy").or_insert_with(|| json!(by));
        }
        return input;
    }
    let mut input = Map::new();
    match (&args.continue_execution, &args.plan, document) {
        (Some(id), _, _) => input.insert("continueExecution".to_owned(), json!(id)),
        (None, Some(id), _) => input.insert("planId".to_owned(), json!(id)),
        (None, None, plan) => input.insert("plan".to_owned(), plan.unwrap_or_default()),
    };
    if let Some(execution_type) = args.execution_type {
        input.insert("executionType".to_owned(), json!(ExecutionType::from(execution_type)));
    }
    if let Some(mode) = args.mode {
        input.insert("mode".to_owned(), json!(Mode::from(mode)));
    }
    if let Some(by) = by {
        input.insert("initiatedBy".to_owned(), json!(by));
    }
    let mut options = Map::new();
    if let Some(hold) = args.hold {
        options.insert("holdSeconds".to_owned(), json!(hold));
    }
    if args.keep_instances {
        options.insert("keepInstances".to_owned(), json!(true));
    }
    for (given, option) in [(args.replace_drill, "replaceDrill"), (args.replace_recovered, "replaceRecovered")] {
        if given {
            options.insert(option.to_owned(), json!(true));
        }
    }
    if !options.is_empty() {
        input.insert("options".to_owned(), Value::Object(options));
    }
    if let Some(hash) = &args.expect_members {
        input.insert("expected".to_owned(), json!({ "membershipHash": hash }));
    }
    Value::Object(input)
}

/// Adds what was shown to what is confirmed; what the input says of it already stays.
pub(crate) fn expect(input: &mut Value, name: &str, hash: Option<&str>) {
    if let (Some(fields), Some(hash)) = (input.as_object_mut(), hash) {
        let expected = fields.entry("expected").or_insert_with(|| json!({}));
        if let Some(expected) = expected.as_object_mut() {
            expected.entry(name).or_insert_with(|| json!(hash));
        }
    }
}

/// The input, and its inline plan checked; or everything that is wrong. What a continuation says can only be held against
/// the execution it names.
pub(crate) fn check_input(input: &Value) -> Result<Request, Vec<Problem>> {
    let request = parse_request(input)?;
    let problems = match &request {
        Request::Plan(input) => problems_of(input),
        Request::Continue(_) => Vec::new(),
    };
    if problems.is_empty() { Ok(request) } else { Err(problems) }
}

fn problems_of(input: &ExecutionInput) -> Vec<Problem> {
    let mut problems = input.plan.as_ref().map(|plan| check_plan(plan, "plan")).unwrap_or_default();
    if input.execution_type == ExecutionType::Recovery {
        for (given, field) in
            [(input.options.hold_seconds > 0, "holdSeconds"), (input.options.keep_instances, "keepInstances")]
        {
            if given {
                problems.push(Problem {
                    field: format!("options.{field}"),
                    message: "is for drills only: a recovery's instances are always kept".to_owned(),
                    remedy: "leave it out, or start a drill".to_owned(),
                });
            }
        }
    }
    problems
}

/// A stored plan's text, checked as the workers will.
pub(crate) fn check_stored_plan(text: &str) -> Result<Plan, Vec<Problem>> {
    let plan = parse_plan(text)?;
    let problems = check_plan(&plan, "plan");
    if problems.is_empty() { Ok(plan) } else { Err(problems) }
}

/// There is no plan of this id.
pub(crate) fn unknown_plan(id: &str) -> Problem {
    Problem {
        field: "planId".to_owned(),
        message: format!("there is no stored plan {id:?}"),
        remedy: "store it first, correct the id, or give the plan with --plan-file".to_owned(),
    }
}

/// There is no execution of this name to continue.
pub(crate) fn unknown_execution(id: &str) -> Problem {
    Problem {
        field: "continueExecution".to_owned(),
        message: format!("there is no execution {id:?}"),
        remedy: "correct the name; `tidegate list` shows what there is".to_owned(),
    }
}

/// Most that is read of a file: Step Functions takes an input of 262,144 bytes, and spaces may be more than half of a plan that
/// people can read.
const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// A JSON document from a file, or from standard input for `-`.
pub(crate) fn read_json(path: &Path) -> Result<Value, CliError> {
    let shown = path.display().to_string();
    let bytes = if shown == "-" {
        read_bounded(std::io::stdin().lock())
    } else {
        std::fs::File::open(path).and_then(read_bounded)
    };
    let bytes = bytes.map_err(|source| CliError::Unreadable { path: shown.clone(), source })?;
    if bytes.len() > MAX_INPUT_BYTES {
        return Err(CliError::TooLarge { path: shown, bytes: MAX_INPUT_BYTES });
    }
    if let Some(encoding) = foreign_encoding(&bytes) {
        return Err(CliError::Encoding { path: shown, encoding });
    }
    serde_json::from_slice(&bytes).map_err(|source| CliError::NotJson { path: shown, source })
}

/// What a text file begins with when it is not plain UTF-8: editors and PowerShell's `>` write these.
/// Up to one byte more than is taken: some files have no end (/dev/zero).
fn read_bounded(file: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_INPUT_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn foreign_encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xEF, 0xBB, 0xBF, ..] => Some("UTF-8 with a byte order mark"),
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn start(line: &str) -> StartArgs {
        let words = ["tidegate", "start"].into_iter().chain(line.split(' '));
        let Command::Start(mut args) = Cli::try_parse_from(words).unwrap().command else { panic!("not a start") };
        args.by = args.by.filter(|_| line.contains("--by"));
        *args
    }

    #[test]
    fn a_file_without_an_end_is_not_read_for_ever() {
        let error = read_json(Path::new("/dev/zero")).unwrap_err().to_string();
        assert!(error.contains("/dev/zero holds more than 1048576 bytes") && error.contains("262144"), "{error}");
    }

    #[test]
    fn a_file_of_another_encoding_says_so() {
        for (bytes, encoding) in [
            (&b"\xEF\xBB\xBF{}"[..], Some("UTF-8 with a byte order mark")),
            (&b"\xFF\xFE{\0}\0"[..], Some("UTF-16")),
            (&b"\xFE\xFF\0{\0}"[..], Some("UTF-16")),
            (&b"{}"[..], None),
        ] {
            assert_eq!(foreign_encoding(bytes), encoding);
        }
    }

    #[test]
    fn the_command_line_becomes_the_input_a_person_would_type() {
        assert_eq!(
            make_input(&start("--plan crm --type drill"), None),
            json!({"planId": "crm", "executionType": "DRILL"})
        );
        assert_eq!(
            make_input(&start("--plan crm --type drill --mode dry-run --hold 60 --keep-instances --by ann"), None),
            json!({"planId": "crm", "executionType": "DRILL", "mode": "DRY_RUN", "initiatedBy": "ann",
                   "options": {"holdSeconds": 60, "keepInstances": true}})
        );
        assert_eq!(
            make_input(&start("--plan-file p.json --type recovery"), Some(json!({"planId": "p"}))),
            json!({"plan": {"planId": "p"}, "executionType": "RECOVERY"})
        );
        assert_eq!(
            make_input(&start("--plan crm --type drill --replace-drill"), None)["options"],
            json!({"replaceDrill": true})
        );
        assert_eq!(
            make_input(&start("--continue crm-1 --replace-recovered"), None)["options"],
            json!({"replaceRecovered": true})
        );
        assert_eq!(
            make_input(&start("--continue crm-1 --hold 60 --by ann"), None),
            json!({"continueExecution": "crm-1", "initiatedBy": "ann", "options": {"holdSeconds": 60}})
        );
    }

    #[test]
    fn what_was_shown_is_expected_unless_the_input_says_what_is() {
        let mut input = make_input(&start("--plan crm --type recovery --expect-members abc"), None);
        assert_eq!(input["expected"], json!({"membershipHash": "abc"}));
        expect(&mut input, "planHash", Some("def"));
        expect(&mut input, "membershipHash", Some("another"));
        assert_eq!(input["expected"], json!({"membershipHash": "abc", "planHash": "def"}));
        let mut input = json!({"planId": "crm"});
        expect(&mut input, "planHash", None);
        assert_eq!(input, json!({"planId": "crm"}));
    }

    #[test]
    fn a_whole_input_keeps_its_own_words() {
        let given = json!({"planId": "crm", "executionType": "DRILL", "initiatedBy": "bob"});
        assert_eq!(make_input(&start("--input f --by ann"), Some(given.clone())), given);
        let filled = make_input(&start("--input f --by ann"), Some(json!({"planId": "crm"})));
        assert_eq!(filled["initiatedBy"], "ann");
        assert_eq!(make_input(&start("--input f --by ann"), Some(json!("crm"))), json!("crm"));
    }

    #[test]
    fn an_inline_plan_is_checked_before_anything_is_sent() {
        let group = json!([{"region": "us-west-2"}]);
        let input = json!({"executionType": "DRILL", "plan": {"planId": "p", "planName": "p", "waves": [
            {"waveNumber": 2, "waveName": "a", "groups": group}]}});
        let fields: Vec<String> = check_input(&input).unwrap_err().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["plan.waves[0].waveNumber", "plan.waves[0].groups[0]"]);
    }

    #[test]
    fn a_recovery_takes_no_drill_options() {
        let input =
            json!({"planId": "p", "executionType": "RECOVERY", "options": {"holdSeconds": 5, "keepInstances": true}});
        let fields: Vec<String> = check_input(&input).unwrap_err().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["options.holdSeconds", "options.keepInstances"]);
    }
}
