//! People who may start the reconcile machine and use that right badly: events about executions that never were, about others
//! than they name, about one that runs, and junk. Nothing of it may change what a run does, or leave a record.

use crate::run::EXECUTION;
use crate::scenario::{ACCOUNT, REGION};
use crate::world::Forgery;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Value, json};

/// What a seed's malicious operator does: mostly early, while prepare is at work and there is no record yet.
pub(crate) fn draw(rng: &mut StdRng) -> Vec<Forgery> {
    (0..rng.random_range(1..=3))
        .map(|_| {
            let within = *[5_000, 60_000, 3_000_000].choose(rng).unwrap_or(&60_000);
            Forgery { at_ms: rng.random_range(1..within), event: event(rng) }
        })
        .collect()
}

fn event(rng: &mut StdRng) -> Value {
    let arn = |machine: &str, name: &str| format!("arn:aws:states:{REGION}:{ACCOUNT}:execution:{machine}:{name}");
    let (machine, in_arn, name) = *[
        ("recovery", "never-was", EXECUTION),
        ("recovery", "never-was", "never-was"),
        ("recovery", EXECUTION, "never-was"),
        ("recovery", EXECUTION, EXECUTION),
        ("recovery", "x\u{202e}y", "x\u{202e}y"),
        ("others", EXECUTION, EXECUTION),
    ]
    .choose(rng)
    .unwrap_or(&("recovery", EXECUTION, EXECUTION));
    let status = *["ABORTED", "TIMED_OUT", "FAILED", "SUCCEEDED", "RUNNING", "?"].choose(rng).unwrap_or(&"FAILED");
    let input = json!({ "planId": "forged", "executionType": "RECOVERY", "initiatedBy": "somebody else" });
    let detail = json!({
        "executionArn": arn(machine, in_arn), "stateMachineArn": arn(machine, ""), "name": name, "status": status,
        "startDate": rng.random_range(0..2_000_000_000_000_i64), "input": input.to_string(),
        "error": "Tidegate.RecoveryFailed", "cause": "forged",
    });
    match rng.random_range(0..12) {
        0 => json!({}),
        1 => json!({ "detail": { "executionArn": 5 } }),
        2 => json!({ "detail": { "executionArn": "execution" } }),
        _ => json!({ "detail": detail }),
    }
}
