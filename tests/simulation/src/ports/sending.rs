//! Calls that change DRS, as they leave their worker. Most take effect at once; one whose caller has lost it may take effect
//! when its caller is long gone.

use super::{Launch, LookedLaunch, State, Termination};
use crate::invariants::{chain, note_if_terminated_again, note_refusal};
use crate::time::after;
use crate::translation::refused;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;
use tidegate_aws::PortError;
use tidegate_contract::JobId;
use tidegate_core::wave_start::INTENT_TAG;
use tidegate_simulator::{Scope, wire};

/// A call on its way to DRS.
#[derive(Debug, Clone)]
pub struct Sending {
    /// The execution.
    pub by: Arc<str>,
    pub scope: Scope,
    pub what: Asked,
    /// After this, by the worker's clock, the call may not leave any more; and how far that clock is off (ms).
    pub not_after: Timestamp,
    pub skew: i64,
}

/// What DRS is asked.
#[derive(Debug, Clone)]
pub enum Asked {
    Start { input: wire::StartRecovery },
    Terminate { recovery_instance_ids: Vec<String> },
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { input } => {
                let kind = if input.is_drill { "drill" } else { "recovery" };
                let servers = input.source_servers.iter().map(|one| one.source_server_id.as_str());
                write!(formatter, "{kind} of {}", servers.collect::<Vec<_>>().join(" "))?;
                input.tags.get(INTENT_TAG).map_or(Ok(()), |intent| write!(formatter, " tagged {intent}"))
            }
            Self::Terminate { recovery_instance_ids } => formatter.write_str(&recovery_instance_ids.join(" ")),
        }
    }
}

impl Asked {
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Start { .. } => "drs:StartRecovery",
            Self::Terminate { .. } => "drs:TerminateRecoveryInstances",
        }
    }
}

impl Sending {
    /// The call leaves its worker.
    pub(super) fn leaves(&self, state: &mut State, now: Timestamp) -> Result<(), PortError> {
        if after(now, self.skew) > self.not_after {
            return Err(PortError::too_late(self.what.action()));
        }
        match &self.what {
            Asked::Start { input } => {
                self.note_if_sent_again(state, input, now);
                for one in &input.source_servers {
                    let server = one.source_server_id.clone();
                    let looks = state.looks.get(&(self.by.clone(), server.clone())).cloned().unwrap_or_default();
                    state.left.push(LookedLaunch { by: self.by.clone(), server, at: now, looks });
                }
            }
            Asked::Terminate { recovery_instance_ids } => {
                note_if_terminated_again(state, &self.by, recovery_instance_ids, now);
            }
        }
        Ok(())
    }

    /// DRS's last word on these servers is that it had no time: nobody holds them, for all their run knows.
    pub(super) fn is_refused_for_no_holder(&self, state: &mut State) {
        if let Asked::Start { input } = &self.what {
            for one in &input.source_servers {
                state.refusals.remove(&(self.by.clone(), one.source_server_id.clone()));
            }
        }
    }

    /// The call takes effect.
    pub(crate) fn arrives(&self, state: &mut State, now: Timestamp, late: bool) -> Result<wire::Job, PortError> {
        match &self.what {
            Asked::Start { input } => {
                let answer = state.drs.start_recovery(&self.scope, input.clone(), now).map_err(|error| {
                    note_refusal(state, &self.scope, &self.by, input, now);
                    refused(self.what.action(), error)
                })?;
                state.launches.push(Launch {
                    by: self.by.clone(),
                    servers: input.source_servers.iter().map(|one| one.source_server_id.as_str().into()).collect(),
                    job: JobId::from(answer.job_id.as_str()),
                    is_drill: input.is_drill,
                    scope: self.scope.clone(),
                    late,
                });
                Ok(answer)
            }
            Asked::Terminate { recovery_instance_ids } => {
                let input = wire::TerminateRecoveryInstances { recovery_instance_ids: recovery_instance_ids.clone() };
                let answer = state
                    .drs
                    .terminate_recovery_instances(&self.scope, input, now)
                    .map_err(|error| refused(self.what.action(), error))?;
                state.terminations.extend(recovery_instance_ids.iter().map(|instance| Termination {
                    by: self.by.clone(),
                    instance: instance.clone(),
                    job: answer.job_id.clone(),
                    scope: self.scope.clone(),
                    late,
                }));
                Ok(answer)
            }
        }
    }

    /// A job of this run holds one of the servers, listed or not, or another call for it is still on its way.
    fn note_if_sent_again(&self, state: &mut State, input: &wire::StartRecovery, now: Timestamp) {
        let chain: Vec<String> = chain(&state.tables, &self.by).into_iter().map(str::to_owned).collect();
        let is_ours = |by: &str| chain.iter().any(|one| one == by);
        for server in input.source_servers.iter().map(|one| one.source_server_id.as_str()) {
            let holder = state.drs.holder(&self.scope, server, now).map(str::to_owned);
            let holds = |job: &String| state.launches.of_job(job).is_some_and(|launch| is_ours(&launch.by));
            if let Some(job) = holder.filter(holds) {
                state.sent_again = Some(job);
            } else if state.under_way.iter().any(|other| is_ours(&other.by) && other.launches(server)) {
                state.sent_again = Some(format!("{server}: a call on its way"));
            }
        }
    }

    fn launches(&self, server: &str) -> bool {
        match &self.what {
            Asked::Start { input } => input.source_servers.iter().any(|one| one.source_server_id == server),
            Asked::Terminate { .. } => false,
        }
    }
}
