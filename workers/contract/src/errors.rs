//! The closed set of error names Step Functions ever sees. The name is the handling class: the machine decides by name,
//! the detail goes into Cause. Each name has a section in `docs/errors.md` (a test holds the two together).

use crate::status::closed_set;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

closed_set!(
    /// An error name as it appears in ASL `ErrorEquals` and in an execution's `error`.
    ErrorName {
        /// The input or the plan is wrong: every reason with its field.
        InvalidInput = "Tidegate.InvalidInput",
        /// The plan is well formed but the world refuses it: unknown server, no recovery point, quota, native plan running.
        PlanRefused = "Tidegate.PlanRefused",
        /// Somebody else holds a server, a job or this execution's record.
        Conflict = "Tidegate.Conflict",
        /// A DRS quota is used up.
        QuotaExceeded = "Tidegate.QuotaExceeded",
        /// AWS denied a call: a permission is missing.
        Denied = "Tidegate.Denied",
        /// Throttled past the patience of one task; the machine retries.
        Throttled = "Tidegate.Throttled",
        /// A passing fault (5xx, connection, timeout on a read); the machine retries.
        Transient = "Tidegate.Transient",
        /// Another attempt of the same activity took over; the machine retries and reads what that one wrote.
        Superseded = "Tidegate.Superseded",
        /// The worker is draining; another one takes the task.
        WorkerShutdown = "Tidegate.WorkerShutdown",
        /// A fault of ours.
        Internal = "Tidegate.Internal",
        /// Outcome: the run reached its end, but not every server or wave made it.
        Partial = "Tidegate.Partial",
        /// Outcome: aborted by policy or operator, or nothing was recovered.
        RecoveryFailed = "Tidegate.RecoveryFailed",
        /// Outcome: cancelled or declined by a person.
        Cancelled = "Tidegate.Cancelled",
        /// Outcome: a gate ran out of time.
        TimedOut = "Tidegate.TimedOut",
        /// The outcome could not be written; the record still shows a running execution and its locks.
        FinalizeFailed = "Tidegate.FinalizeFailed",
        /// Reconcile could not do what it was started for: the record may still be open, or a drill's instances up.
        ReconcileFailed = "Tidegate.ReconcileFailed",
        /// The state machine met a value none of its choices knows.
        MachineFault = "Tidegate.MachineFault",
    }
);

/// The classes an activity may answer with because of the world around it; every activity may.
pub const COMMON_ACTIVITY_ERRORS: &[ErrorName] = &[
    ErrorName::InvalidInput,
    ErrorName::Throttled,
    ErrorName::Transient,
    ErrorName::Denied,
    ErrorName::Superseded,
    ErrorName::WorkerShutdown,
    ErrorName::Internal,
];
