//! What is not this run's: instances of earlier failovers and drills, and people who launch servers from the console
//! meanwhile. None of it may be touched, and none of it may be taken for the run's own.

use crate::time::after;
use jiff::Timestamp;
use serde_json::json;
use std::collections::BTreeMap;
use tidegate_simulator::{ApiError, MemoryInstance, MemoryInstances, Operation, Scope, Simulator, settle, wire};

/// How long before the run the former launches were made.
const FORMER_MS: i64 = 86_400_000;

/// A launch by a person at the console, while the run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLaunch {
    /// Seconds after the start of the run.
    pub at_second: i64,
    pub servers: Vec<String>,
    pub is_drill: bool,
}

/// An instance of a run that somebody loses for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostInstance {
    /// Seconds after the start of the run.
    pub at_second: i64,
    pub server: String,
    pub how: LossKind,
}

/// See [`LostInstance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// A cost or compliance tool terminates it in EC2; DRS keeps its record.
    TerminatedInEc2,
    /// DisconnectRecoveryInstance and DeleteRecoveryInstance: it runs on.
    DeletedInDrs,
}

/// Somebody loses every instance of the server that there is.
pub fn lose(drs: &mut Simulator, ec2: &mut MemoryInstances, lost: &LostInstance, now: Timestamp) {
    let Some(scope) = drs.scope_of(&lost.server).cloned() else { return };
    let of_server =
        |instance: &&MemoryInstance| instance.launch.source_server_id == lost.server && instance.state != "terminated";
    let ids: Vec<String> = ec2.all().filter(of_server).map(|instance| instance.launched.instance_id.clone()).collect();
    for id in ids {
        match lost.how {
            LossKind::TerminatedInEc2 => {
                ec2.terminate(&id);
                drs.terminated_in_ec2(&id, now);
            }
            LossKind::DeletedInDrs => {
                for operation in [Operation::DisconnectRecoveryInstance, Operation::DeleteRecoveryInstance] {
                    let _ = drs.operation(&scope, operation, json!({ "recoveryInstanceID": id }), now);
                }
            }
        }
    }
}

/// What was launched before the run.
#[derive(Debug, Clone, Copy)]
pub struct Former<'a> {
    /// Servers that run since an earlier failover.
    pub recovered: &'a [String],
    /// Servers whose last drill was never cleaned up.
    pub drilled: &'a [String],
}

impl Former<'_> {
    /// When DRS's life begins, so that former launches are over when the run begins.
    pub fn dawn(self, now: Timestamp) -> Timestamp {
        if self.recovered.is_empty() && self.drilled.is_empty() { now } else { after(now, -FORMER_MS) }
    }

    /// Launches it. `drs` stands at [`Former::dawn`].
    pub fn furnish(self, drs: &mut Simulator, ec2: &mut MemoryInstances, now: Timestamp) -> Result<(), ApiError> {
        for (servers, is_drill) in [(self.recovered, false), (self.drilled, true)] {
            if !servers.is_empty() {
                launch(drs, servers, is_drill, self.dawn(now))?;
            }
        }
        settle(drs, ec2, now);
        Ok(())
    }
}

/// A person launches servers. DRS may refuse: some of them may be in a job.
pub fn launch(drs: &mut Simulator, servers: &[String], is_drill: bool, now: Timestamp) -> Result<(), ApiError> {
    let mut by_scope: BTreeMap<Scope, Vec<_>> = BTreeMap::new();
    for id in servers {
        if let Some(scope) = drs.scope_of(id) {
            by_scope.entry(scope.clone()).or_default().push(wire::StartRecoverySourceServer::latest(id));
        }
    }
    by_scope.into_iter().try_for_each(|(scope, source_servers)| {
        let input = wire::StartRecovery { source_servers, is_drill, ..Default::default() };
        drs.start_recovery(&scope, input, now).map(|_| ())
    })
}
