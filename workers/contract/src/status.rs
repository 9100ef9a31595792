//! The closed sets of states. Lessons c-32: 17 words for one thing bred bugs, so there are nine, eight and six here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! closed_set {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every value, in the order of a life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it is written in records, inputs and the state machine.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use closed_set;

closed_set!(
    /// An execution's status. Who writes it: `prepare-execution-v1` (PENDING, IN_PROGRESS), the state machine itself
    /// (POLLING, PAUSED), `finalize-execution-v1` (the terminal ones, once). Polling has no way to (FR-2.4, NFR-4.1).
    ExecutionStatus {
        /// The record exists; servers are not locked yet.
        Pending = "PENDING",
        /// Prepared and locked; no wave has begun.
        InProgress = "IN_PROGRESS",
        /// A wave is under way, or the next is about to be.
        Polling = "POLLING",
        /// A gate waits for a person.
        Paused = "PAUSED",
        /// Every planned wave COMPLETED.
        Completed = "COMPLETED",
        /// The run reached its end; some servers or waves did not make it.
        Partial = "PARTIAL",
        /// Refused, aborted by policy, or nothing was recovered.
        Failed = "FAILED",
        /// A person cancelled or declined it.
        Cancelled = "CANCELLED",
        /// A gate or the execution ran out of time.
        TimedOut = "TIMED_OUT",
    }
);

impl ExecutionStatus {
    /// Terminal states are never left.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Partial | Self::Failed | Self::Cancelled | Self::TimedOut => true,
            Self::Pending | Self::InProgress | Self::Polling | Self::Paused => false,
        }
    }
}

closed_set!(
    /// A wave's status, written by start-wave and poll-wave, and SKIPPED by finalize for waves never started.
    WaveStatus {
        Pending = "PENDING",
        /// Intents are recorded; some jobs may not be accepted yet.
        Starting = "STARTING",
        Polling = "POLLING",
        /// Every server made it.
        Completed = "COMPLETED",
        /// Some servers failed, the wave's policy accepts it.
        Partial = "PARTIAL",
        /// The wave's policy is not met.
        Failed = "FAILED",
        /// Never started, skipped by an operator, or a dry run.
        Skipped = "SKIPPED",
    }
);

impl WaveStatus {
    /// True when nothing more will change without an operator's retry.
    pub const fn is_settled(self) -> bool {
        match self {
            Self::Completed | Self::Partial | Self::Failed | Self::Skipped => true,
            Self::Pending | Self::Starting | Self::Polling => false,
        }
    }
}

closed_set!(
    /// Where one server's launch stands. The first five are DRS's own words (API model, LaunchStatus).
    LaunchStatus {
        Pending = "PENDING",
        InProgress = "IN_PROGRESS",
        Launched = "LAUNCHED",
        Failed = "FAILED",
        Terminated = "TERMINATED",
        /// Not launched on purpose: a dry run, or a wave that was skipped.
        Skipped = "SKIPPED",
    }
);

closed_set!(
    /// What the wave is waiting for, for people and for the poll interval. Derived from the job log's exact event names.
    WavePhase {
        Starting = "STARTING",
        Snapshot = "SNAPSHOT",
        Conversion = "CONVERSION",
        Launching = "LAUNCHING",
        PostLaunch = "POST_LAUNCH",
        Enriching = "ENRICHING",
        Settled = "SETTLED",
    }
);

closed_set!(
    /// Post-launch actions of one server, from `participatingServers[].launchActionsStatus.runs` (DRS has no other source).
    PostLaunchStatus {
        /// The server's launch configuration runs no actions.
        NotConfigured = "NOT_CONFIGURED",
        Pending = "PENDING",
        InProgress = "IN_PROGRESS",
        Succeeded = "SUCCEEDED",
        /// Only optional actions failed.
        PartiallySucceeded = "PARTIALLY_SUCCEEDED",
        Failed = "FAILED",
    }
);

closed_set!(
    /// Rehearsal or the real thing; the same code runs both.
    ExecutionType { Drill = "DRILL", Recovery = "RECOVERY" }
);

impl ExecutionType {
    /// The flag StartRecovery takes.
    pub const fn is_drill(self) -> bool {
        match self {
            Self::Drill => true,
            Self::Recovery => false,
        }
    }
}

closed_set!(
    /// How far an execution may go.
    Mode {
        /// Launch servers.
        Run = "RUN",
        /// Validate and look, write no record, launch nothing.
        Check = "CHECK",
        /// Walk the whole machine, gates included, and launch nothing.
        DryRun = "DRY_RUN",
    }
);

closed_set!(
    /// What happens when a wave's policy is not met.
    OnFailure { Abort = "abort", Gate = "gate", Continue = "continue" }
);

closed_set!(
    /// Whether a wave may succeed without this server.
    Importance { Critical = "critical", Optional = "optional" }
);

closed_set!(
    /// Termination of a drill's instances.
    CleanupStatus {
        /// Nothing to terminate, or kept on request.
        NotNeeded = "NOT_NEEDED",
        Running = "RUNNING",
        Completed = "COMPLETED",
        Failed = "FAILED",
    }
);
