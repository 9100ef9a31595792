//! The inventory: which source servers exist, in which account and Region, and how they are set up. The file that
//! `--inventory` reads, and what the control API adds at run time.

use crate::wire::{
    DataReplicationState, ExecutionMode, ExecutionStatus, ImpactLevel, LaunchActionCategory, LaunchActionType,
    LaunchDisposition, StepStatus,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An inventory file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Inventory {
    /// For people.
    pub description: String,
    /// Account of everything below that names none; the simulator's default account unless given.
    pub account: Option<String>,
    /// Region of everything below that names none.
    pub region: Option<String>,
    /// Servers, one by one.
    pub servers: Vec<InventoryServer>,
    /// Servers by the hundred.
    pub generate: Vec<ServerGroup>,
    /// Native recovery plans.
    pub native_plans: Vec<NativePlan>,
    /// Executions of native recovery plans.
    pub native_executions: Vec<NativeExecution>,
    /// Where InitializeService was never called.
    pub uninitialized: Vec<Place>,
}

/// An account and Region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Place {
    /// The inventory's account unless given.
    #[serde(default)]
    pub account: Option<String>,
    /// The inventory's Region unless given.
    #[serde(default)]
    pub region: Option<String>,
}

/// One source server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryServer {
    /// `s-` and 17 lower-case hexadecimal digits.
    pub source_server_id: String,
    /// Host name.
    pub hostname: String,
    /// Fully qualified name.
    #[serde(default)]
    pub fqdn: Option<String>,
    /// Account.
    #[serde(default)]
    pub account: Option<String>,
    /// The recovery Region, where DRS launches.
    #[serde(default)]
    pub region: Option<String>,
    /// Tags of the source server.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The type DRS launches.
    #[serde(default = "default_instance_type")]
    pub recommended_instance_type: String,
    /// Replication state.
    #[serde(default = "default_replication_state")]
    pub replication_state: DataReplicationState,
    /// Lag as an ISO 8601 duration; `P0D` for a healthy server unless given.
    #[serde(default)]
    pub lag: Option<String>,
    /// Whether the launched instance is left running.
    #[serde(default = "default_disposition")]
    pub launch_disposition: LaunchDisposition,
    /// Whether post-launch actions run.
    #[serde(default)]
    pub post_launch_enabled: bool,
    /// Whether the instance gets the source's address.
    #[serde(default)]
    pub copy_private_ip: bool,
    /// Whether the instance gets the source's tags.
    #[serde(default = "yes")]
    pub copy_tags: bool,
    /// Address of the source.
    #[serde(default)]
    pub private_ip: Option<String>,
    /// Operating system.
    #[serde(default = "default_os")]
    pub os: String,
    /// Cores.
    #[serde(default = "default_cpus")]
    pub cpus: i64,
    /// Memory.
    #[serde(default = "default_ram")]
    pub ram_bytes: i64,
    /// Disks.
    #[serde(default = "default_volumes")]
    pub volumes: Vec<Volume>,
    /// Post-launch actions.
    #[serde(default)]
    pub launch_actions: Vec<InventoryAction>,
    /// Account of the protected side, for a source on AWS.
    #[serde(default)]
    pub origin_account: Option<String>,
    /// Region of the protected side, for a source on AWS.
    #[serde(default)]
    pub origin_region: Option<String>,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    /// For example `/dev/sda1`.
    pub device_name: String,
    /// Size.
    pub bytes: i64,
}

/// A post-launch action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InventoryAction {
    /// Name.
    pub name: String,
    /// SSM document.
    pub action_code: String,
    /// Kind of document.
    #[serde(default = "default_action_type", rename = "type")]
    pub kind: LaunchActionType,
    /// What for.
    #[serde(default = "default_category")]
    pub category: LaunchActionCategory,
    /// A failure of an optional action is not a failure of the launch.
    #[serde(default)]
    pub optional: bool,
    /// Whether it runs.
    #[serde(default = "yes")]
    pub active: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// Many servers that differ in number only. The n-th has the id `s-` and n in 17 hexadecimal digits, so a test can name
/// them without asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerGroup {
    /// How many.
    pub count: u32,
    /// Number of the first.
    #[serde(default = "one")]
    pub first_number: u64,
    /// Account.
    #[serde(default)]
    pub account: Option<String>,
    /// Region.
    #[serde(default)]
    pub region: Option<String>,
    /// Host names are this, a dash and the number.
    #[serde(default = "default_prefix")]
    pub hostname_prefix: String,
    /// Tags of all of them.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The tag `drWave` says 1 for the first so many servers, 2 for the next, and so on.
    #[serde(default = "default_wave_size")]
    pub wave_size: u32,
}

/// A native recovery plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativePlan {
    /// Last part of its ARN.
    pub plan_id: String,
    /// Name.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Account.
    #[serde(default)]
    pub account: Option<String>,
    /// Region.
    #[serde(default)]
    pub region: Option<String>,
    /// Steps, in order.
    pub steps: Vec<NativeStep>,
}

/// A step of a native plan or execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativeStep {
    /// Name.
    pub name: String,
    /// Servers of a server step.
    #[serde(default)]
    pub source_server_ids: Vec<String>,
    /// Impact of its servers.
    #[serde(default = "default_impact")]
    pub impact_level: ImpactLevel,
    /// Minutes of a wait step.
    #[serde(default)]
    pub wait_minutes: Option<i32>,
    /// Executions only: where it stands.
    #[serde(default = "default_step_status")]
    pub status: StepStatus,
    /// Executions only: the DRS job of the step.
    #[serde(default)]
    pub job_id: Option<String>,
}

/// An execution of a native plan. One of the same id replaces it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NativeExecution {
    /// Last part of its ARN.
    pub execution_id: String,
    /// The plan.
    pub plan_id: String,
    /// Account.
    #[serde(default)]
    pub account: Option<String>,
    /// Region.
    #[serde(default)]
    pub region: Option<String>,
    /// Drill or recovery.
    #[serde(default = "default_mode")]
    pub mode: ExecutionMode,
    /// Where it stands.
    #[serde(default = "default_execution_status")]
    pub status: ExecutionStatus,
    /// Its own copy of the steps, as in AWS; the plan's steps, the first of them EXECUTING, unless given.
    #[serde(default)]
    pub steps: Vec<NativeStep>,
}

/// Why an inventory is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InventoryError {
    /// An id that DRS would never give.
    #[error("source server id {0:?} is not s- and 17 lower-case hexadecimal digits")]
    BadServerId(String),
    /// The same server twice in one account and Region.
    #[error("source server {0} is listed twice in one account and Region")]
    Duplicate(String),
    /// Nothing says where it is.
    #[error("{0} has no region, and the inventory has none either")]
    NoRegion(String),
    /// Not an account.
    #[error("account {0:?} is not 12 digits")]
    BadAccount(String),
    /// A timing that a scenario misspelt.
    #[error("scenario: {0}")]
    Scenario(String),
    /// An execution of a plan that does not exist.
    #[error("native execution {execution} is of the plan {plan}, which is not in its account and Region")]
    UnknownPlan {
        /// The execution.
        execution: String,
        /// The plan it names.
        plan: String,
    },
}

impl Inventory {
    /// `count` servers in one Region of the default account.
    pub fn generated(count: u32, region: &str) -> Self {
        let group = ServerGroup {
            count,
            first_number: 1,
            account: None,
            region: Some(region.to_owned()),
            hostname_prefix: default_prefix(),
            tags: BTreeMap::new(),
            wave_size: default_wave_size(),
        };
        Self { generate: vec![group], ..Self::default() }
    }

    /// Adds another inventory, whose defaults stay its own.
    pub fn append(&mut self, mut other: Inventory) {
        let (account, region) = (other.account.take(), other.region.take());
        let fill = |own_account: &mut Option<String>, own_region: &mut Option<String>| {
            *own_account = own_account.take().or_else(|| account.clone());
            *own_region = own_region.take().or_else(|| region.clone());
        };
        other.servers.iter_mut().for_each(|server| fill(&mut server.account, &mut server.region));
        other.generate.iter_mut().for_each(|group| fill(&mut group.account, &mut group.region));
        other.native_plans.iter_mut().for_each(|plan| fill(&mut plan.account, &mut plan.region));
        other.native_executions.iter_mut().for_each(|execution| fill(&mut execution.account, &mut execution.region));
        other.uninitialized.iter_mut().for_each(|place| fill(&mut place.account, &mut place.region));
        self.servers.append(&mut other.servers);
        self.generate.append(&mut other.generate);
        self.native_plans.append(&mut other.native_plans);
        self.native_executions.append(&mut other.native_executions);
        self.uninitialized.append(&mut other.uninitialized);
    }

    /// Every server with its account and Region filled in, generated ones included.
    pub(crate) fn resolved_servers(&self, default_account: &str) -> Result<Vec<InventoryServer>, InventoryError> {
        let generated = self.generate.iter().flat_map(ServerGroup::servers);
        let mut seen = BTreeSet::new();
        let mut servers = Vec::new();
        for mut server in self.servers.iter().cloned().chain(generated) {
            let (account, region) =
                self.place(&server.account, &server.region, default_account, &server.source_server_id)?;
            let digits = server.source_server_id.strip_prefix("s-").unwrap_or_default();
            if digits.len() != 17 || !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(InventoryError::BadServerId(server.source_server_id));
            }
            if !seen.insert((account.clone(), region.clone(), server.source_server_id.clone())) {
                return Err(InventoryError::Duplicate(server.source_server_id));
            }
            server.account = Some(account);
            server.region = Some(region);
            servers.push(server);
        }
        Ok(servers)
    }

    /// Where something is, with the inventory's and the simulator's defaults.
    pub(crate) fn place(
        &self,
        account: &Option<String>,
        region: &Option<String>,
        default_account: &str,
        what: &str,
    ) -> Result<(String, String), InventoryError> {
        let account = account.clone().or_else(|| self.account.clone()).unwrap_or_else(|| default_account.to_owned());
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InventoryError::BadAccount(account));
        }
        let region = region.clone().or_else(|| self.region.clone());
        Ok((account, region.ok_or_else(|| InventoryError::NoRegion(what.to_owned()))?))
    }
}

impl ServerGroup {
    fn servers(&self) -> impl Iterator<Item = InventoryServer> + '_ {
        (0..self.count).map(move |index| {
            let number = self.first_number + u64::from(index);
            let hostname = format!("{}-{number:05}", self.hostname_prefix);
            let mut tags = self.tags.clone();
            tags.entry("Name".to_owned()).or_insert_with(|| hostname.clone());
            let wave = index / self.wave_size.max(1) + 1;
            tags.entry("drWave".to_owned()).or_insert_with(|| wave.to_string());
            InventoryServer {
                tags,
                account: self.account.clone(),
                region: self.region.clone(),
                ..InventoryServer::named(&format!("s-{number:017x}"), &hostname)
            }
        })
    }
}

impl InventoryServer {
    /// A healthy Linux server.
    pub fn named(source_server_id: &str, hostname: &str) -> Self {
        Self {
            source_server_id: source_server_id.to_owned(),
            hostname: hostname.to_owned(),
            fqdn: None,
            account: None,
            region: None,
            tags: BTreeMap::new(),
            recommended_instance_type: default_instance_type(),
            replication_state: default_replication_state(),
            lag: None,
            launch_disposition: default_disposition(),
            post_launch_enabled: false,
            copy_private_ip: false,
            copy_tags: true,
            private_ip: None,
            os: default_os(),
            cpus: default_cpus(),
            ram_bytes: default_ram(),
            volumes: default_volumes(),
            launch_actions: Vec::new(),
            origin_account: None,
            origin_region: None,
        }
    }
}

fn default_instance_type() -> String {
    "m5.large".to_owned()
}
fn default_replication_state() -> DataReplicationState {
    DataReplicationState::Continuous
}
fn default_disposition() -> LaunchDisposition {
    LaunchDisposition::Started
}
fn default_os() -> String {
    "Linux version 5.14.0-427.13.1.el9_4.x86_64".to_owned()
}
fn default_cpus() -> i64 {
    2
}
fn default_ram() -> i64 {
    8 << 30
}
fn default_volumes() -> Vec<Volume> {
    vec![Volume { device_name: "/dev/xvda".to_owned(), bytes: 8 << 30 }]
}
fn default_action_type() -> LaunchActionType {
    LaunchActionType::SsmCommand
}
fn default_category() -> LaunchActionCategory {
    LaunchActionCategory::Validation
}
fn default_impact() -> ImpactLevel {
    ImpactLevel::Critical
}
fn default_step_status() -> StepStatus {
    StepStatus::NotStarted
}
fn default_mode() -> ExecutionMode {
    ExecutionMode::Drill
}
fn default_execution_status() -> ExecutionStatus {
    ExecutionStatus::InProgress
}
fn default_prefix() -> String {
    "server".to_owned()
}
fn default_wave_size() -> u32 {
    100
}
fn one() -> u64 {
    1
}
fn yes() -> bool {
    true
}
