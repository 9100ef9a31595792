//! The connection to one deployment: its tables, its state machine, and the clock.

use crate::args::Global;
use crate::error::CliError;
use crate::naming;
use crate::view::RunView;
use jiff::Timestamp;
use std::time::Duration;
use tidegate_aws::ErrorClass;
use tidegate_aws::clock::SystemClock;
use tidegate_aws::ports::{Clock, ExecutionReader, RequestReader};
use tidegate_aws::stepfunctions::{ActivityClient, ExecutionClient, MachineStatus};
use tidegate_aws::store::{DynamoStore, TableNames};
use tidegate_contract::ExecutionId;
use tidegate_contract::records::{ExecutionRecord, Gate, Requests};
use tidegate_contract::tables::TableKey;

/// Between the record's write and the token's is one state transition; half a second each.
const TOKEN_LOOKS: u32 = 20;

const TABLES: &str = "TIDEGATE_TABLES";
pub(crate) const MACHINE: &str = "TIDEGATE_STATE_MACHINE_ARN";
const RECONCILE: &str = "TIDEGATE_RECONCILE_ARN";

/// One deployment, as this shell is set up for it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) store: DynamoStore,
    pub(crate) executions: ExecutionClient,
    pub(crate) answers: ActivityClient,
    /// Where calls go, if not to AWS.
    pub(crate) endpoint: Option<String>,
    machine_arn: Option<String>,
    reconcile_arn: Option<String>,
    clock: SystemClock,
}

impl Session {
    /// Reads the settings and connects; no call is made yet.
    pub(crate) async fn open(global: &Global) -> Result<Self, CliError> {
        let tables = required(&global.tables, TABLES, "the tables of the deployment")?;
        let tables = TableNames::parse(tables).map_err(|reason| CliError::BadSetting { variable: TABLES, reason })?;
        let config = tidegate_aws::config::load().await;
        if config.region().is_none() {
            return Err(CliError::NoRegion);
        }
        Ok(Self {
            store: DynamoStore::new(&config, tables),
            executions: ExecutionClient::new(&config),
            answers: ActivityClient::new(&config),
            endpoint: tidegate_aws::config::foreign_endpoint(&config, crate::args::sfn_endpoint().as_deref()),
            machine_arn: global.state_machine_arn.clone().filter(|arn| !arn.is_empty()),
            reconcile_arn: global.reconcile_arn.clone().filter(|arn| !arn.is_empty()),
            clock: SystemClock,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The state machine's ARN, for commands that cannot do without it.
    pub(crate) fn machine_arn(&self) -> Result<&str, CliError> {
        required(&self.machine_arn, MACHINE, "the recovery state machine")
    }

    /// The reconcile machine's ARN, for the one command that starts it.
    pub(crate) fn reconcile_arn(&self) -> Result<&str, CliError> {
        required(&self.reconcile_arn, RECONCILE, "the reconcile state machine")
    }

    /// The ARN an execution of this name has, if the state machine is known.
    pub(crate) fn execution_arn(&self, name: &str) -> Option<String> {
        naming::execution_arn(self.machine_arn.as_deref()?, name)
    }

    pub(crate) fn gates_table(&self) -> &str {
        self.store.table_name(TableKey::ExecutionGates)
    }

    /// What people ask of an execution.
    pub(crate) async fn requests(&self, record: &ExecutionRecord) -> Result<Requests, CliError> {
        let read = self.store.requests(&record.execution_id).await;
        read.map_err(CliError::port(format!("cannot read what is asked of {}", record.execution_id)))
    }

    /// The token of this open gate. The machine writes it right after the record; so the record is read once more: as long as
    /// it shows this gate, what was read before it is no later gate's token, whose question nobody has answered here.
    pub(crate) async fn gate_token(&self, record: &ExecutionRecord, gate: &Gate) -> Result<String, CliError> {
        let name = || record.execution_id.to_string();
        for _ in 0..TOKEN_LOOKS {
            match self.store.gate_token(record, gate).await {
                Ok(Some(found)) => {
                    let stands = self.record(record.execution_id.as_str()).await?.gate.as_ref() == Some(gate);
                    let detail = "it is not the open gate any more".to_owned();
                    return if stands { Ok(found.token) } else { Err(CliError::GateClosed { detail }) };
                }
                Ok(None) => tokio::time::sleep(Duration::from_millis(500)).await,
                Err(error) if error.class == ErrorClass::Denied => return Err(CliError::GateHidden { name: name() }),
                Err(error) => return Err(CliError::port(format!("cannot read the gate of {}", name()))(error)),
            }
        }
        Err(CliError::GateOpening { name: name() })
    }

    pub(crate) async fn find(&self, name: &str) -> Result<Option<ExecutionRecord>, CliError> {
        self.store.find_execution(&ExecutionId::from(name)).await.map_err(CliError::port(format!("cannot read {name}")))
    }

    pub(crate) async fn record(&self, name: &str) -> Result<ExecutionRecord, CliError> {
        self.find(name).await?.ok_or_else(|| CliError::NotFound { name: name.to_owned() })
    }

    /// The record with all its waves and servers.
    pub(crate) async fn view(&self, record: ExecutionRecord) -> Result<RunView, CliError> {
        let items = self.store.load_readable(&record.execution_id).await;
        let (items, unreadable) =
            items.map_err(CliError::port(format!("cannot read the waves of {}", record.execution_id)))?;
        let requests = self.requests(&record).await?;
        Ok(RunView { requests, unreadable, ..RunView::new(record, items.waves, items.shards) })
    }

    /// What Step Functions says of an execution; None when it knows none by this ARN.
    pub(crate) async fn describe(&self, arn: &str) -> Result<Option<MachineStatus>, CliError> {
        match self.executions.describe(arn).await {
            Ok(status) => Ok(Some(status)),
            Err(error) if error.class == ErrorClass::NotFound => Ok(None),
            Err(error) => Err(CliError::port("cannot ask Step Functions")(error)),
        }
    }
}

fn required<'a>(setting: &'a Option<String>, variable: &'static str, what: &'static str) -> Result<&'a str, CliError> {
    match setting.as_deref() {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(CliError::MissingSetting { variable, what }),
    }
}
