//! The switchboard: mistakes somebody could make, each switched on for one run. The net (stories, faults, invariants) has to
//! find every one of them, or it is no net. Shipped code stays as it is: a bug sits at a seam, where it does what the
//! mistake in the code would do.
//!
//! - `machine`: the text of the state machine. `writes`: the store's writes, which are data. `ports`: what activities hear
//!   from DRS and EC2 and ask them; `store`: what they read and write. [`Manner`]: how workers behave.
//! - `catalogue`: every bug, by name.

mod catalogue;
mod machine;
mod ports;
mod store;
mod writes;

pub use catalogue::BUGS;

use crate::ports::SimWorld;
use crate::tables::Tables;
use crate::time::lock;
use std::sync::Arc;
use tidegate_aws::store::writes::Write;
use tidegate_contract::ActivityName;
use tidegate_worker::world::World;

/// A worker's manner that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// No heartbeat is ever sent, and nobody hears that a token is dead.
    NoHeartbeat,
}

/// One mistake.
#[derive(Debug)]
pub struct Bug {
    pub name: &'static str,
    /// The sentence that has to find it.
    pub rule: &'static str,
    /// What somebody did, in a sentence.
    pub mistake: &'static str,
    machine: Option<machine::Mutation>,
    rewrite: Option<writes::Rewrite>,
    slip: Option<ports::Slip>,
    manner: Option<Manner>,
}

/// Why a bug cannot be switched on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BugError {
    #[error("there is no bug {0}")]
    Unknown(String),
    #[error("bug {0} does not fit the state machine any more: write it anew")]
    DoesNotFit(&'static str),
    #[error("the state machine is no JSON: {0}")]
    NotJson(String),
}

impl Bug {
    /// The bug of this name.
    pub fn named(name: &str) -> Result<&'static Self, BugError> {
        BUGS.iter().find(|bug| bug.name == name).ok_or_else(|| BugError::Unknown(name.to_owned()))
    }

    /// The state machine's text with this bug in it.
    pub fn in_machine(&self, text: &str) -> Result<String, BugError> {
        let Some(mutate) = self.machine else { return Ok(text.to_owned()) };
        let mut machine = serde_json::from_str(text).map_err(|error| BugError::NotJson(error.to_string()))?;
        mutate(&mut machine).ok_or(BugError::DoesNotFit(self.name))?;
        Ok(machine.to_string())
    }
}

/// The seeded bug of one run, and what it has to remember.
#[derive(Debug)]
pub struct Switch {
    bug: Option<&'static Bug>,
    /// EC2 could not be read, and the poll is to fail for it.
    ec2_failed: bool,
}

impl Switch {
    /// On for one run.
    pub fn new(bug: Option<&'static Bug>) -> Self {
        Self { bug, ec2_failed: false }
    }

    /// Whether the workers have this manner.
    pub fn has(&self, manner: Manner) -> bool {
        self.bug.is_some_and(|bug| bug.manner == Some(manner))
    }

    /// What is written instead of this write; None: just that.
    pub fn rewrite(&self, write: &Write, tables: &Tables) -> Option<Vec<Write>> {
        self.bug?.rewrite?(write, tables)
    }
}

/// The world as an activity with the run's bug sees it.
pub fn wrap(world: World, run: &Arc<SimWorld>, activity: ActivityName) -> World {
    let Some(bug) = lock(&run.state).bug.bug else { return world };
    let World { store, targets, witness, .. } = world;
    let (store, targets, witness) = ports::slipping(bug, (store, targets, witness), activity, run);
    World { store, targets, witness, ..world }
}
