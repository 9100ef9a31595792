//! Names and ARNs of one deployment. They follow from the recovery machine's ARN, because everything of a deployment bears
//! its prefix (terraform/modules/contract).

use tidegate_contract::ActivityName;
use tidegate_contract::tables::TableKey;

/// What the recovery machine's ARN tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) partition: String,
    pub(crate) region: String,
    pub(crate) account_id: String,
    /// `tidegate-dev`.
    pub(crate) prefix: String,
    pub(crate) environment: String,
}

const MACHINE: &str = "-recovery";

/// `source` of our events, in the contract.
pub(crate) const EVENT_SOURCE: &str = "tidegate";

impl Deployment {
    /// The deployment of this machine, if it is the environment's: whoever says dev in a shell that is set up for prod is
    /// stopped here.
    pub(crate) fn of(machine_arn: &str, environment: &str) -> Result<Self, String> {
        let parts: Vec<&str> = machine_arn.split(':').collect();
        let ["arn", partition, "states", region, account, "stateMachine", name, ..] = parts.as_slice() else {
            return Err("is not the ARN of a state machine".to_owned());
        };
        let Some(prefix) = name.strip_suffix(MACHINE) else {
            return Err(format!("names {name}, which is no recovery machine (its name ends with {MACHINE})"));
        };
        if environment.is_empty() || (prefix != environment && !prefix.ends_with(&format!("-{environment}"))) {
            return Err(format!("names {name}, which is not of the environment {environment:?}"));
        }
        Ok(Self {
            partition: (*partition).to_owned(),
            region: (*region).to_owned(),
            account_id: (*account).to_owned(),
            prefix: prefix.to_owned(),
            environment: environment.to_owned(),
        })
    }

    fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{rest}", self.partition, self.region, self.account_id)
    }

    /// A state machine of this deployment, by its name after the prefix.
    pub(crate) fn machine_arn(&self, name: &str) -> String {
        self.arn("states", &format!("stateMachine:{}-{name}", self.prefix))
    }

    /// Every execution of the recovery machine.
    pub(crate) fn executions_arn(&self, execution: &str) -> String {
        self.arn("states", &format!("execution:{}{MACHINE}:{execution}", self.prefix))
    }

    pub(crate) fn activity_arn(&self, activity: ActivityName) -> String {
        self.arn("states", &format!("activity:{}-{}", self.prefix, activity.as_str()))
    }

    pub(crate) fn table_arn(&self, name: &str) -> String {
        self.arn("dynamodb", &format!("table/{name}"))
    }

    /// The bus of the machines' own events (terraform/modules/event-bus).
    pub(crate) fn bus_arn(&self) -> String {
        self.arn("events", &format!("event-bus/{}", self.prefix))
    }

    /// A resource of DRS or EC2 in the deployment's own account and Region.
    pub(crate) fn resource_arn(&self, service: &str, resource: &str) -> String {
        self.arn(service, resource)
    }

    pub(crate) fn worker_role_arn(&self) -> String {
        format!("arn:{}:iam::{}:role/{}-worker-task", self.partition, self.account_id, self.prefix)
    }

    /// One of the roles DRS gives to what it launches.
    pub(crate) fn launch_role_arn(&self) -> String {
        let role = "service-role/AWSElasticDisasterRecoveryConversionServerRole";
        format!("arn:{}:iam::{}:role/{role}", self.partition, self.account_id)
    }

    /// Where events wait that could not be delivered (terraform/modules/notifications).
    pub(crate) fn undelivered_queue(&self) -> String {
        format!("{}-undelivered-events", self.prefix)
    }
}

/// Names of the tables, by key.
pub(crate) type Tables<'a> = dyn Fn(TableKey) -> &'a str + 'a;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const DEV: &str = "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-dev-recovery:live";

    pub(crate) fn dev() -> Deployment {
        Deployment::of(DEV, "dev").unwrap()
    }

    #[test]
    fn everything_bears_the_prefix() {
        let dev = dev();
        assert_eq!(dev.worker_role_arn(), "arn:aws:iam::111122223333:role/tidegate-dev-worker-task");
        assert_eq!(
            dev.activity_arn(ActivityName::PollWave),
            "arn:aws:states:us-west-2:111122223333:activity:tidegate-dev-poll-wave-v1"
        );
        assert_eq!(
            dev.machine_arn("reconcile"),
            "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-dev-reconcile"
        );
        assert_eq!(dev.undelivered_queue(), "tidegate-dev-undelivered-events");
    }

    #[test]
    fn a_shell_set_up_for_another_environment_is_refused() {
        for wrong in ["prod", "ev", "", "tidegate-dev-recovery"] {
            let told = Deployment::of(DEV, wrong).unwrap_err();
            assert!(told.contains("tidegate-dev-recovery"), "{wrong}: {told}");
        }
        assert!(Deployment::of(DEV, "tidegate-dev").is_ok(), "the whole prefix names it, too");
        for other in [
            "arn:aws:states:us-west-2:111122223333:stateMachine:tidegate-dev-reconcile",
            "tidegate-dev-recovery",
            "arn:aws:states:us-west-2:111122223333:activity:tidegate-dev-recovery",
        ] {
            assert!(Deployment::of(other, "dev").is_err(), "{other}");
        }
        let gov = Deployment::of("arn:aws-us-gov:states:us-gov-west-1:1:stateMachine:x-dev-recovery", "dev").unwrap();
        assert_eq!(gov.bus_arn(), "arn:aws-us-gov:events:us-gov-west-1:1:event-bus/x-dev");
    }
}
