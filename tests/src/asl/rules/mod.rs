//! The rules. Each says in one sentence what must hold; the file it lives in groups it with its kin.

mod aws;
mod data;
mod failure;
mod flow;
mod structure;
mod time;

use super::{Report, Subject};

/// One rule.
pub struct Rule {
    /// Short name, as findings cite it.
    pub id: &'static str,
    /// What must hold.
    pub says: &'static str,
    pub(super) check: fn(&Subject<'_>, &mut Report),
}

const fn rule(id: &'static str, says: &'static str, check: fn(&Subject<'_>, &mut Report)) -> Rule {
    Rule { id, says, check }
}

/// Every rule.
pub const RULES: &[Rule] = &[
    rule("comment", "the machine and every state have a Comment", structure::comment),
    rule("query-language", "JSONPath is declared once, for the whole machine", structure::query_language),
    rule("transition-exists", "no transition leads to a state that is not there", structure::transition_exists),
    rule("reachable", "every state can be reached", structure::reachable),
    rule("no-end-field", "only Succeed and Fail end an execution", structure::no_end_field),
    rule("machine-timeout", "the machine's timeout is the contract's", time::machine_timeout),
    rule("task-timeout", "every Task has one timeout", time::task_timeout),
    rule("activity-times", "an activity's timeout and heartbeat are the contract's", time::activity_times),
    rule("heartbeat-third", "a heartbeat is shorter than a third of its timeout", time::heartbeat_third),
    rule("gate-no-heartbeat", "a person sends no heartbeats", time::gate_no_heartbeat),
    rule("retry-bounded", "every retrier has MaxAttempts, MaxDelaySeconds and full jitter", failure::retry_bounded),
    rule("retry-present", "every Task but a gate is retried", failure::retry_present),
    rule("gate-retries-its-write", "a gate retries its own write and no answer", failure::gate_retries_its_write),
    rule("retry-unmodelled", "an error Step Functions has no name for is retried", failure::retry_unmodelled),
    rule("retry-both-timeouts", "an activity is retried after both kinds of timeout", failure::retry_both_timeouts),
    rule(
        "retry-failed-entry",
        "an announcement is retried when EventBridge refused the entry",
        failure::retry_failed_entry,
    ),
    rule("catch-all", "every Task ends its Catch with States.ALL", failure::catch_all),
    rule("all-alone-and-last", "States.ALL stands alone and last", failure::all_alone_and_last),
    rule("error-known", "every error name can occur where it is named", failure::error_known),
    rule("error-named", "every error an activity may answer is named in its Retry or Catch", failure::error_named),
    rule("error-once", "no error is named in two retriers or two catchers of a state", failure::error_once),
    rule("choice-default", "every Choice has a Default", flow::choice_default),
    rule("default-role", "a Default leads to a fault, a failure people hear of, or back to a gate", flow::default_role),
    rule(
        "finalize-on-every-path",
        "nothing but a check ends without Finalize; reconcile succeeds without it only by leaving a run alone",
        flow::finalize_on_every_path,
    ),
    rule(
        "ask-before-finalize",
        "an execution is finalized from outside only after Step Functions has said that it is over",
        flow::ask_before_finalize,
    ),
    rule("after-finalize", "after Finalize no wave starts and nothing is finalized again", flow::after_finalize),
    rule(
        "success-is-earned",
        "only the outcome COMPLETED and a check succeed; reconcile, when nothing is left unsaid",
        flow::success_is_earned,
    ),
    rule("cycle-waits", "every cycle waits, for time or for a person", flow::cycle_waits),
    rule("result-path", "no result and no error replaces the whole state", data::result_path),
    rule("path-plain", "paths are dotted names", data::path_plain),
    rule("intrinsic-safe", "only intrinsics that work everywhere alike are used", data::intrinsic_safe),
    rule("choice-operator", "only comparisons that work everywhere alike are used", data::choice_operator),
    rule("path-always-there", "a path that is read was written on every way there", data::path_always_there),
    rule("activity-input", "an activity gets exactly the fields of its input schema, by name", data::activity_input),
    rule(
        "token-in-gates-only",
        "the task token goes into a gate's own write and nowhere else",
        data::token_in_gates_only,
    ),
    rule("resource-known", "a Task calls an activity of ours or a known integration", aws::resource_known),
    rule("ask-without-data", "DescribeExecution leaves out the execution's data", aws::ask_without_data),
    rule("gate-apart", "a gate writes its token where only approvers read", aws::gate_apart),
    rule(
        "no-account-or-region",
        "no text names an account, a Region or a partition",
        aws::no_account_region_or_partition,
    ),
    rule("placeholder-whole", "a placeholder is a whole text, or an integration's partition", aws::placeholder_whole),
    rule("placeholder-contract", "the placeholders are the contract's", aws::placeholder_contract),
    rule(
        "write-conditional",
        "every write to a table has a condition and the table's whole key",
        aws::write_conditional,
    ),
    rule("count-only", "a query counts, and takes nothing of what people wrote into the state", aws::count_only),
    rule("expression-names", "expressions and their names and values fit one another", aws::expression_names),
    rule("status-writes", "the machine writes no terminal status into the execution's record", aws::status_writes),
    rule("event-contract", "events have the contract's source and a detail type of it", aws::event_contract),
];
