//! The whole service: every account and Region, the faults, the journal. `call` is the way of a call through them, `typed`
//! the same operations for a caller without HTTP.

mod call;
mod settings;
mod typed;

pub use call::{Call, Delivery, Outcome};
pub use settings::{Quotas, Scope, Settings};

use crate::faults::FaultBook;
use crate::instances::{Effect, LaunchTemplate, LaunchedInstance};
use crate::inventory::{Inventory, InventoryError, NativeExecution};
use crate::journal::Journal;
use crate::rate::{Buckets, RequestRates};
use crate::region::{Context, Deletion, Region, Server};
use crate::scenario::{Quirks, Scenario};
use crate::time::{Dice, Stamp, Timing};
use crate::wire::InitiatedBy;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The service.
#[derive(Debug)]
pub struct Simulator {
    settings: Settings,
    inventory: Inventory,
    dice: Dice,
    timing: Timing,
    quirks: Quirks,
    rates: RequestRates,
    buckets: Buckets,
    faults: FaultBook,
    journal: Journal,
    regions: BTreeMap<Scope, Region>,
    outbox: Vec<Effect>,
    deletions: Vec<Deletion>,
}

impl Simulator {
    /// A service with this inventory. `now` is when its servers were last heard of.
    pub fn new(settings: Settings, inventory: Inventory, now: Timestamp) -> Result<Self, InventoryError> {
        let scenario_problem = |error: &dyn std::fmt::Display| InventoryError::Scenario(error.to_string());
        let timing: Timing = serde_json::from_value(Value::Object(settings.scenario.timing.clone()))
            .map_err(|error| scenario_problem(&error))?;
        if let Some(problem) = settings.scenario.request_rates.problem() {
            return Err(InventoryError::Scenario(problem));
        }
        let mut faults = FaultBook::new(settings.seed);
        for rule in &settings.scenario.faults {
            faults.add(rule.clone(), now).map_err(|error| scenario_problem(&error))?;
        }
        let mut simulator = Self {
            dice: Dice::new(settings.seed),
            timing: Timing { speed: settings.speed, ..timing },
            quirks: settings.scenario.quirks.clone(),
            rates: settings.scenario.request_rates.clone(),
            buckets: Buckets::default(),
            faults,
            journal: Journal::new(settings.journal_capacity),
            regions: BTreeMap::new(),
            outbox: Vec::new(),
            deletions: Vec::new(),
            inventory: inventory.clone(),
            settings,
        };
        simulator.add_inventory(&inventory, now)?;
        Ok(simulator)
    }

    /// Begins again: servers, faults and journal as at the start, no jobs. Instances in EC2 are not this service's to remove.
    pub fn reset(&mut self, now: Timestamp) -> Result<(), InventoryError> {
        let settings = Settings { life: self.settings.life + 1, ..self.settings.clone() };
        *self = Self::new(settings, self.inventory.clone(), now)?;
        Ok(())
    }

    /// Puts quirks, timings, request rates and faults of another scenario in force, for what begins from now on.
    pub fn play(&mut self, scenario: Scenario, now: Timestamp) -> Result<(), InventoryError> {
        let settings = Settings { scenario, ..self.settings.clone() };
        let fresh = Self::new(settings, Inventory::default(), now)?;
        (self.timing, self.quirks, self.faults) = (fresh.timing, fresh.quirks, fresh.faults);
        (self.rates, self.buckets) = (fresh.rates, fresh.buckets);
        Ok(())
    }

    /// Adds servers, native plans and executions. All or nothing.
    pub fn add_inventory(&mut self, inventory: &Inventory, now: Timestamp) -> Result<usize, InventoryError> {
        let default_account = self.settings.default_account.clone();
        let servers = inventory.resolved_servers(&default_account)?;
        let added = servers.len();
        let place = |account, region, what: &str| {
            inventory.place(account, region, &default_account, what).map(|(account, region)| Scope { account, region })
        };
        let mut plans = Vec::new();
        for plan in &inventory.native_plans {
            plans.push((place(&plan.account, &plan.region, &plan.plan_id)?, plan.clone()));
        }
        let mut executions = Vec::new();
        for execution in &inventory.native_executions {
            let scope = place(&execution.account, &execution.region, &execution.execution_id)?;
            let planned = plans.iter().any(|(at, plan)| *at == scope && plan.plan_id == execution.plan_id);
            let known = self.regions.get(&scope).is_some_and(|region| region.plans.contains_key(&execution.plan_id));
            if !planned && !known {
                let (execution, plan) = (execution.execution_id.clone(), execution.plan_id.clone());
                return Err(InventoryError::UnknownPlan { execution, plan });
            }
            executions.push((scope, execution.clone()));
        }
        let mut uninitialized = Vec::new();
        for gap in &inventory.uninitialized {
            uninitialized.push(place(&gap.account, &gap.region, "uninitialized")?);
        }
        for facts in servers {
            let scope =
                Scope::new(facts.account.as_deref().unwrap_or_default(), facts.region.as_deref().unwrap_or_default());
            let server = Server::new(facts, &self.dice, now);
            self.region(&scope).servers.insert(server.facts.source_server_id.clone(), server);
        }
        for (scope, plan) in plans {
            self.region(&scope).put_native_plan(plan, now);
        }
        for (scope, execution) in executions {
            self.region(&scope).put_native_execution(execution, now)?;
        }
        for scope in uninitialized {
            self.region(&scope).initialized = false;
        }
        Ok(added)
    }

    /// Adds native executions, or replaces those of the same id.
    pub fn put_native_executions(
        &mut self,
        executions: Vec<NativeExecution>,
        now: Timestamp,
    ) -> Result<(), InventoryError> {
        let (account, region) = (self.inventory.account.clone(), self.inventory.region.clone());
        self.add_inventory(&Inventory { account, region, native_executions: executions, ..Inventory::default() }, now)
            .map(drop)
    }

    /// Applies everything that is due at `now` and returns what must be done to EC2. Call it at [`Simulator::next_due`] and
    /// after every call.
    pub fn advance(&mut self, now: Timestamp) -> Vec<Effect> {
        self.apply_due(now);
        std::mem::take(&mut self.outbox)
    }

    /// When something changes next without a call.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.regions.values().filter_map(Region::next_due).min()
    }

    /// Whether effects wait for [`Simulator::advance`].
    pub fn has_effects(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// The launch template that EC2 has still to make for a server. The id in the server's launch configuration is EC2's to give;
    /// until then, and where there is no EC2, it is one that names nothing.
    pub fn template_to_make(&self, scope: &Scope, server: &str) -> Option<LaunchTemplate> {
        let server = self.regions.get(scope)?.servers.get(server).filter(|server| !server.has_template)?;
        let (id, life) = (&server.facts.source_server_id, self.settings.life);
        let name = format!("AWSElasticDisasterRecovery-{id}-{life}");
        Some(LaunchTemplate {
            scope: scope.clone(),
            name,
            instance_type: server.facts.recommended_instance_type.clone(),
        })
    }

    /// Reports the id of a launch template.
    pub fn template_made(&mut self, scope: &Scope, server: &str, id: String) {
        if let Some(server) = self.region(scope).servers.get_mut(server) {
            (server.config.ec2_launch_template_id, server.has_template) = (id, true);
        }
    }

    /// Reports that an instance runs.
    pub fn instance_launched(
        &mut self,
        scope: &Scope,
        job_id: &str,
        server: &str,
        launched: LaunchedInstance,
        now: Timestamp,
    ) {
        self.within(scope, now, |region, ctx| region.instance_launched(job_id, server, launched, ctx));
    }

    /// Reports that EC2 would not run an instance: the server fails with these words in the job log.
    pub fn launch_refused(&mut self, scope: &Scope, job_id: &str, server: &str, raw_error: &str, now: Timestamp) {
        self.within(scope, now, |region, ctx| region.launch_refused(job_id, server, raw_error.to_owned(), ctx));
    }

    /// Reports that EC2 would not terminate an instance.
    pub fn termination_refused(&mut self, scope: &Scope, instance_id: &str, raw_error: &str, now: Timestamp) {
        self.within(scope, now, |region, _| region.termination_refused(instance_id, raw_error.to_owned()));
    }

    /// Somebody terminated an instance in EC2, past DRS. False: it is no recovery instance.
    pub fn terminated_in_ec2(&mut self, instance_id: &str, now: Timestamp) -> bool {
        let scopes: Vec<Scope> = self.regions.keys().cloned().collect();
        self.apply_due(now);
        scopes
            .into_iter()
            .any(|scope| self.within(&scope, now, |region, ctx| region.terminated_in_ec2(instance_id, ctx)))
    }

    /// Every instance that a launch deleted first, in order.
    pub fn deletions(&self) -> &[Deletion] {
        &self.deletions
    }

    /// Whether a job was started as a drill.
    pub fn was_drill(&self, job_id: &str) -> bool {
        let job = self.regions.values().find_map(|region| region.jobs.get(job_id));
        job.is_some_and(|job| job.initiated_by == InitiatedBy::StartDrill)
    }

    /// Whether neither an instance nor its job was listed when a later job was made: nobody who asked DRS could know of it.
    pub fn was_hidden(&self, instance_id: &str, job_id: &str) -> bool {
        self.regions
            .values()
            .any(|region| region.jobs.get(job_id).is_some_and(|job| region.hides(instance_id, job.created.0)))
    }

    /// The faults in force.
    pub fn faults(&self) -> &FaultBook {
        &self.faults
    }

    /// The faults in force, to change them.
    pub fn faults_mut(&mut self) -> &mut FaultBook {
        &mut self.faults
    }

    /// The calls so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The calls so far, to forget them.
    pub fn journal_mut(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// The account of callers whose access key does not say it.
    pub fn default_account(&self) -> &str {
        &self.settings.default_account
    }

    /// Where a server is.
    pub fn scope_of(&self, server: &str) -> Option<&Scope> {
        self.regions.iter().find(|(_, region)| region.servers.contains_key(server)).map(|(scope, _)| scope)
    }

    /// The unfinished job that holds a server, whether it is listed yet or not; None for one that has vanished.
    pub fn holder(&mut self, scope: &Scope, server: &str, now: Timestamp) -> Option<&str> {
        self.apply_due(now);
        let region = self.regions.get(scope)?;
        let job = region.jobs.get(region.servers.get(server)?.busy_with.as_deref()?)?;
        job.vanishes_at.is_none_or(|at| now < at).then_some(job.id.as_str())
    }

    /// What there is, for people and tests: per account and Region, servers with what holds them, jobs and instances.
    pub fn state(&mut self, now: Timestamp) -> Value {
        self.apply_due(now);
        let regions: Vec<Value> = self.regions.values().map(Region::summary).collect();
        json!({
            "time": Stamp(now),
            "nextChange": self.next_due().map(Stamp),
            "speed": self.timing.speed,
            "seed": self.settings.seed,
            "regions": regions,
        })
    }

    fn apply_due(&mut self, now: Timestamp) {
        let scopes: Vec<Scope> = self
            .regions
            .iter()
            .filter(|(_, region)| region.next_due().is_some_and(|due| due <= now))
            .map(|(scope, _)| scope.clone())
            .collect();
        for scope in scopes {
            self.within(&scope, now, Region::advance);
        }
    }

    fn region(&mut self, scope: &Scope) -> &mut Region {
        self.regions.entry(scope.clone()).or_insert_with(|| Region::new(scope.clone()))
    }

    fn within<T>(&mut self, scope: &Scope, now: Timestamp, act: impl FnOnce(&mut Region, &mut Context<'_>) -> T) -> T {
        let region = self.regions.entry(scope.clone()).or_insert_with(|| Region::new(scope.clone()));
        let mut context = Context {
            now,
            dice: &self.dice,
            timing: &self.timing,
            quirks: &self.quirks,
            quotas: &self.settings.quotas,
            life: self.settings.life,
            page_size: self.settings.page_size.max(1),
            faults: &mut self.faults,
            outbox: &mut self.outbox,
            deletions: &mut self.deletions,
        };
        act(region, &mut context)
    }
}
