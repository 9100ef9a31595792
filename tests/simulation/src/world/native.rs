//! DRS's own recovery plans: an execution of one holds servers for a while. It is somebody else's, so a run that needs one
//! of them is refused, and says who holds it.

use super::World;
use crate::narration;
use crate::time::lock;
use serde_json::json;
use tidegate_simulator::Inventory;

/// A native recovery plan execution that holds servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeHold {
    /// Seconds after the start of the run; before 0: it runs already.
    pub from_second: i64,
    pub seconds: i64,
    /// All of one account and Region.
    pub servers: Vec<String>,
}

/// Last part of the execution's ARN.
pub const NATIVE_EXECUTION: &str = "rpe-native";

impl World {
    pub(super) fn native(&mut self, hold: &NativeHold, runs: bool) {
        let (status, at) = if runs { ("IN_PROGRESS", "EXECUTING") } else { ("COMPLETED", "COMPLETED") };
        let step = |status: &str| json!({ "name": "all", "sourceServerIds": hold.servers, "status": status });
        let server = hold.servers.first().map_or("", String::as_str);
        let Some(scope) = lock(&self.sim.state).drs.scope_of(server).cloned() else { return };
        let inventory = json!({
            "account": scope.account, "region": scope.region,
            "nativePlans": [{ "planId": "rp-native", "name": "native", "steps": [step("NOT_STARTED")] }],
            "nativeExecutions": [{
                "executionId": NATIVE_EXECUTION, "planId": "rp-native", "status": status, "steps": [step(at)],
            }],
        });
        let now = self.now();
        narration::tell("DRS", || format!("{NATIVE_EXECUTION} of {} is {status}", hold.servers.join(" ")));
        let added =
            serde_json::from_value::<Inventory>(inventory).map_err(|error| error.to_string()).and_then(|inventory| {
                lock(&self.sim.state).drs.add_inventory(&inventory, now).map_err(|error| error.to_string())
            });
        if let Err(problem) = added {
            self.breach.get_or_insert(crate::invariants::violation(crate::invariants::SET_UP, problem));
        }
    }
}
