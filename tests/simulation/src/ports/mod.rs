//! The activities' ports over the simulated world. Every call takes virtual time and passes the faults.
//!
//! - this file: how a call goes. `state`: everything that exists. `store`: the tables' ports. `targets`: DRS and EC2.
//! - `witness`: Step Functions, as finalize asks it.
//! - `sending`: calls that change DRS, at once or late.

mod sending;
mod state;
mod store;
mod targets;
mod witness;

pub use sending::{Asked, Sending};
pub use state::{Control, Ec2Lag, Launch, Launches, LookedLaunch, Looks, Refusal, SimWorld, State, Termination};
pub use witness::Known;

use crate::faults::{Call, Fault, port_error};
use crate::narration::{self, Told};
use crate::script::{Happening, Place};
use crate::time::{after, lock};
use jiff::Timestamp;
use std::sync::Arc;
use tidegate_aws::ports::Clock;
use tidegate_aws::{ErrorClass, PortError};
use tidegate_contract::ActivityName;
use tidegate_simulator::wire;

/// The ports of one task on one worker.
#[derive(Debug, Clone)]
pub struct Ports {
    pub world: Arc<SimWorld>,
    pub task: u64,
    pub activity: ActivityName,
    /// The execution the task is about, as its input says.
    pub execution: Arc<str>,
    pub worker: usize,
    /// How far this worker's clock is off, in milliseconds.
    pub skew: i64,
}

type Result<T> = std::result::Result<T, PortError>;

impl Ports {
    /// An idempotent call to DRS or DynamoDB: the SDK tries it four times, seconds apart, before an activity hears of a fault.
    /// `about`: what is asked, if the run is narrated.
    async fn call<T: Told>(
        &self,
        action: &'static str,
        about: Option<String>,
        changes_the_world: bool,
        mut effect: impl FnMut(&mut State, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let result = self.call_once(action, about.as_deref(), changes_the_world, &mut effect).await;
            match result {
                Err(error) if attempt < 4 && matches!(error.class, ErrorClass::Throttled | ErrorClass::Transient) => {
                    self.world.clock.sleep(500 << attempt).await;
                }
                other => return other,
            }
        }
    }

    /// A call that is sent once.
    async fn call_once<T: Told>(
        &self,
        action: &'static str,
        about: Option<&str>,
        changes_the_world: bool,
        effect: impl FnMut(&mut State, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        self.attempt(action, about, changes_the_world, None, effect).await
    }

    /// A call that changes DRS, sent once.
    async fn send(&self, action: &'static str, sending: Sending) -> Result<wire::Job> {
        let effect = |state: &mut State, now| {
            sending.leaves(state, now)?;
            sending.arrives(state, now, false)
        };
        let about = narration::is_on().then(|| sending.what.to_string());
        self.attempt(action, about.as_deref(), true, Some(&sending), effect).await
    }

    async fn attempt<T: Told>(
        &self,
        action: &'static str,
        about: Option<&str>,
        changes_the_world: bool,
        sending: Option<&Sending>,
        mut effect: impl FnMut(&mut State, Timestamp) -> Result<T> + Send,
    ) -> Result<T> {
        let clock = &self.world.clock;
        let place = Place { by: self.activity.as_str(), to: action };
        let call = Call { task: self.task, place, changes_the_world };
        let (before, after_effect, fault) = lock(&self.world.state).faults.at_call(clock.now(), call);
        clock.sleep(before).await;
        let asks = about.map(|about| format!("{action} {about}"));
        let tell = |answer: &dyn Fn() -> String| {
            let asks = asks.as_deref().unwrap_or(action);
            narration::tell_task(self.task, || match fault {
                Some(fault) => format!("{asks} -> {} (fault: {})", answer(), Happening::Fault(fault)),
                None => format!("{asks} -> {}", answer()),
            });
        };
        match fault {
            Some(Fault::LostBefore | Fault::Throttled | Fault::Duplicate) => {
                tell(&|| "refused, or never arrived".to_owned());
                if let (Some(Fault::Throttled), Some(sending)) = (fault, sending) {
                    sending.is_refused_for_no_holder(&mut lock(&self.world.state));
                }
                return Err(port_error(action, fault.unwrap_or(Fault::LostBefore)));
            }
            Some(Fault::Hang) => {
                tell(&|| "nothing, for an hour".to_owned());
                // The task's own timeout ends this; a client timeout would, too.
                clock.sleep(3_600_000).await;
                return Err(port_error(action, Fault::Hang));
            }
            Some(Fault::CrashBefore) => {
                tell(&|| "its worker dies before the call leaves".to_owned());
                self.crash().await;
            }
            Some(Fault::Freeze(seconds)) => {
                tell(&|| "its worker freezes before the call leaves".to_owned());
                self.freeze(seconds).await;
            }
            Some(Fault::Late(seconds)) => {
                tell(&|| "no answer; it takes effect later".to_owned());
                self.set_out(sending, seconds)?;
                return Err(port_error(action, Fault::Late(seconds)));
            }
            Some(Fault::CrashLate(seconds)) => {
                tell(&|| "its worker dies; it takes effect later".to_owned());
                self.set_out(sending, seconds)?;
                self.crash().await;
            }
            Some(Fault::LostAfter | Fault::CrashAfter | Fault::FreezeAfter(_)) | None => {}
        }
        self.world.settle();
        let result = {
            let mut state = lock(&self.world.state);
            state.answer_is_lost = fault == Some(Fault::LostAfter);
            effect(&mut state, clock.now())
        };
        tell(&|| result.told());
        match fault {
            Some(Fault::CrashAfter) => self.crash().await,
            Some(Fault::FreezeAfter(seconds)) => self.freeze(seconds).await,
            _ => {}
        }
        clock.sleep(after_effect).await;
        if fault == Some(Fault::LostAfter) {
            return Err(port_error(action, Fault::LostAfter));
        }
        result
    }

    /// The call leaves, and takes effect so much later, whatever becomes of its caller.
    fn set_out(&self, sending: Option<&Sending>, seconds: u32) -> Result<()> {
        let Some(sending) = sending else { return Ok(()) };
        self.world.settle();
        let (now, mut state) = (self.world.clock.now(), lock(&self.world.state));
        sending.leaves(&mut state, now)?;
        let sending = Arc::new(sending.clone());
        state.under_way.push(sending.clone());
        let at = after(now, i64::from(seconds) * 1_000);
        state.controls.push(Control::Late { at, sending });
        Ok(())
    }

    /// The worker stands still.
    async fn freeze(&self, seconds: u32) {
        let milliseconds = i64::from(seconds) * 1_000;
        let until = after(self.world.clock.now(), milliseconds);
        lock(&self.world.state).controls.push(Control::Freeze { worker: self.worker, until });
        self.world.clock.sleep(milliseconds).await;
        lock(&self.world.state).faults.thawed += 1;
    }

    /// Never returns: the run drops this task with its worker.
    async fn crash(&self) {
        lock(&self.world.state).controls.push(Control::Crash { worker: self.worker });
        std::future::pending::<()>().await;
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        after(self.world.clock.now(), self.skew)
    }
}
