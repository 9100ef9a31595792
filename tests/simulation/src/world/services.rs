//! The services the state machines call themselves: DynamoDB, EventBridge, Step Functions.

use super::World;
use super::agenda::Which;
use crate::faults::Fault;
use crate::invariants::leaks;
use crate::luck::Luck;
use crate::machine::Status;
use crate::script::Place;
use crate::time::lock;
use serde_json::{Value, json};

/// The integration's prefix in error names.
fn prefix(service: &str) -> &'static str {
    match service {
        "dynamodb" => "DynamoDb",
        "events" => "EventBridge",
        "sfn" => "Sfn",
        _ => "Unknown",
    }
}

/// What a throttled call is called: the exceptions of each service's API, as the integration names them. EventBridge may refuse
/// the entry instead of the call.
fn throttled(service: &str) -> &'static [&'static str] {
    match service {
        "dynamodb" => {
            &["ThrottlingException", "ProvisionedThroughputExceededException", "RequestLimitExceededException"]
        }
        "events" => &["ThrottlingException", "FailedEntry"],
        _ => &["ThrottlingException"],
    }
}

/// What a call is called that nobody answered, or that the service failed over.
fn lost(service: &str) -> &'static [&'static str] {
    match service {
        "dynamodb" => &["SdkClientException", "InternalServerErrorException"],
        "events" => &["SdkClientException", "InternalException"],
        _ => &["SdkClientException"],
    }
}

/// So many failing calls of a thousand fail with an error that is not in the model.
const UNMODELLED_PER_THOUSAND: u32 = 30;

fn before_its_effect(fault: Option<Fault>) -> bool {
    matches!(fault, Some(Fault::Throttled | Fault::LostBefore))
}

/// An error name and its cause.
pub(super) type Failure = (String, String);

impl World {
    pub(super) fn call_service(
        &mut self,
        of: Which,
        service: &str,
        action: &str,
        parameters: &Value,
    ) -> Result<Value, Failure> {
        let state_name = self.executions[of].execution.current_state().unwrap_or_default();
        let fault = lock(&self.sim.state).faults.at_state(self.now(), state_name, service);
        let moment = u32::try_from(self.now().duration_since(self.start).as_secs()).unwrap_or_default();
        let mut luck = Luck::new(self.setup.seed, Place { by: "error", to: state_name }.key(), moment);
        let fails = |names: &[&'static str], luck: &mut Luck| {
            Err((format!("{}.{}", prefix(service), luck.pick(names)), "injected".to_owned()))
        };
        match fault {
            // An error that the model of Step Functions' SDK does not know; now and then, because few attempts are made.
            Some(_) if service == "dynamodb" && before_its_effect(fault) && luck.hits(UNMODELLED_PER_THOUSAND) => {
                return fails(&["DynamoDbException"], &mut luck);
            }
            Some(Fault::Throttled) => return fails(throttled(service), &mut luck),
            Some(Fault::LostBefore) => return fails(lost(service), &mut luck),
            _ => {}
        }
        let result = match (service, action) {
            ("dynamodb", action) => {
                let mut state = lock(&self.sim.state);
                state.tables.writer = super::MACHINE;
                state.tables.integration(action, parameters)
            }
            ("events", "putEvents") => {
                if let Some(leak) = leaks::in_value("an event", parameters) {
                    self.breach.get_or_insert(leak);
                }
                Ok(json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e" }] }))
            }
            ("sfn", "describeExecution") => self.describe_execution(parameters),
            _ => Err((format!("{}.Unknown", prefix(service)), format!("the simulation knows no {service}:{action}"))),
        };
        if fault == Some(Fault::LostAfter) { fails(lost(service), &mut luck) } else { result }
    }

    fn describe_execution(&self, parameters: &Value) -> Result<Value, Failure> {
        let arn = parameters.get("ExecutionArn").and_then(Value::as_str).unwrap_or_default();
        let state = lock(&self.sim.state);
        let Some(known) = state.known.get(arn) else {
            return Err((
                "Sfn.ExecutionDoesNotExistException".to_owned(),
                format!("Execution Does Not Exist: '{arn}'"),
            ));
        };
        let status = known.status_at(self.setup.seed, self.now());
        Ok(json!({ "ExecutionArn": arn, "Name": known.name, "Status": status }))
    }
}

/// As DescribeExecution and the status event say it.
pub fn status_name(status: &Status) -> &'static str {
    match status {
        Status::Running => "RUNNING",
        Status::Succeeded { .. } => "SUCCEEDED",
        Status::Failed { .. } => "FAILED",
        Status::TimedOut => "TIMED_OUT",
        Status::Aborted => "ABORTED",
    }
}
