//! The enumerations: all values of those that clients match on, the used ones of JobLogEvent.

use serde::{Deserialize, Serialize};

macro_rules! wire_enums {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $(
                #[doc = concat!("`", $text, "`")]
                #[serde(rename = $text)]
                $variant
            ),*
        }

        impl $name {
            /// As on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }
    )*};
}

wire_enums! {
    /// There is no FAILED: a job in which every server failed is COMPLETED.
    JobStatus { Pending "PENDING", Started "STARTED", Completed "COMPLETED" }
    /// Kind of job.
    JobType { Launch "LAUNCH", Terminate "TERMINATE", CreateConvertedSnapshot "CREATE_CONVERTED_SNAPSHOT" }
    /// Who started a job.
    InitiatedBy {
        StartRecovery "START_RECOVERY",
        StartDrill "START_DRILL",
        Failback "FAILBACK",
        Diagnostic "DIAGNOSTIC",
        TerminateRecoveryInstances "TERMINATE_RECOVERY_INSTANCES",
        TargetAccount "TARGET_ACCOUNT",
    }
    /// Status of a server in a job, and of its last launch.
    LaunchStatus {
        Pending "PENDING",
        InProgress "IN_PROGRESS",
        Launched "LAUNCHED",
        Failed "FAILED",
        Terminated "TERMINATED",
    }
    /// Result of a server's last launch.
    LastLaunchResult { NotStarted "NOT_STARTED", Pending "PENDING", Succeeded "SUCCEEDED", Failed "FAILED" }
    /// Kind of a server's last launch.
    LastLaunchType { Recovery "RECOVERY", Drill "DRILL" }
    /// State of a recovery instance: upper case, unlike EC2, and with a hyphen in SHUTTING-DOWN.
    Ec2InstanceState {
        Pending "PENDING",
        Running "RUNNING",
        Stopping "STOPPING",
        Stopped "STOPPED",
        ShuttingDown "SHUTTING-DOWN",
        Terminated "TERMINATED",
        NotFound "NOT_FOUND",
    }
    /// Replication state of a source server.
    DataReplicationState {
        Stopped "STOPPED",
        Initiating "INITIATING",
        InitialSync "INITIAL_SYNC",
        Backlog "BACKLOG",
        CreatingSnapshot "CREATING_SNAPSHOT",
        Continuous "CONTINUOUS",
        Paused "PAUSED",
        Rescan "RESCAN",
        Stalled "STALLED",
        Disconnected "DISCONNECTED",
    }
    /// Failback of a recovery instance.
    FailbackState {
        NotStarted "FAILBACK_NOT_STARTED",
        InProgress "FAILBACK_IN_PROGRESS",
        ReadyForLaunch "FAILBACK_READY_FOR_LAUNCH",
        Completed "FAILBACK_COMPLETED",
        Error "FAILBACK_ERROR",
        NotReadyForLaunch "FAILBACK_NOT_READY_FOR_LAUNCH",
        LaunchStateNotAvailable "FAILBACK_LAUNCH_STATE_NOT_AVAILABLE",
    }
    /// Event of a job log. LAUNCH_END is not in the model, but real (captured in aws-samples/drs-tools).
    JobLogEvent {
        JobStart "JOB_START",
        ServerSkipped "SERVER_SKIPPED",
        CleanupStart "CLEANUP_START",
        CleanupEnd "CLEANUP_END",
        CleanupFail "CLEANUP_FAIL",
        SnapshotStart "SNAPSHOT_START",
        SnapshotEnd "SNAPSHOT_END",
        SnapshotFail "SNAPSHOT_FAIL",
        UsingPreviousSnapshot "USING_PREVIOUS_SNAPSHOT",
        UsingPreviousSnapshotFailed "USING_PREVIOUS_SNAPSHOT_FAILED",
        ConversionStart "CONVERSION_START",
        ConversionEnd "CONVERSION_END",
        ConversionFail "CONVERSION_FAIL",
        LaunchStart "LAUNCH_START",
        LaunchEnd "LAUNCH_END",
        LaunchFailed "LAUNCH_FAILED",
        JobEnd "JOB_END",
    }
    /// Status of a post-launch action's run.
    LaunchActionRunStatus { InProgress "IN_PROGRESS", Succeeded "SUCCEEDED", Failed "FAILED" }
    /// Kind of SSM document.
    LaunchActionType { SsmAutomation "SSM_AUTOMATION", SsmCommand "SSM_COMMAND" }
    /// What an action is for.
    LaunchActionCategory {
        Monitoring "MONITORING",
        Validation "VALIDATION",
        Configuration "CONFIGURATION",
        Security "SECURITY",
        Other "OTHER",
    }
    /// Whether a launched instance is left running.
    LaunchDisposition { Stopped "STOPPED", Started "STARTED" }
    /// How the instance type is chosen.
    RightSizing { None "NONE", Basic "BASIC", InAws "IN_AWS" }
    /// Conversion or not.
    RecoveryMode { Fast "FAST", Optimal "OPTIMAL" }
    /// Order of snapshots.
    SnapshotsOrder { Ascending "ASC", Descending "DESC" }
    /// Status of a native recovery plan.
    PlanStatus { Active "ACTIVE", Invalid "INVALID" }
    /// Mode of a native execution.
    ExecutionMode { Drill "DRILL", Recovery "RECOVERY" }
    /// Status of a native execution.
    ExecutionStatus {
        Created "CREATED",
        InProgress "IN_PROGRESS",
        Completed "COMPLETED",
        Failed "FAILED",
        Cancelling "CANCELLING",
        Cancelled "CANCELLED",
    }
    /// Status of a step of a native execution.
    StepStatus {
        NotStarted "NOT_STARTED",
        Executing "EXECUTING",
        Waiting "WAITING",
        Completed "COMPLETED",
        Failed "FAILED",
        TimedOut "TIMED_OUT",
        Skipped "SKIPPED",
    }
    /// Impact of a server in a native plan.
    ImpactLevel { Critical "CRITICAL", Optional "OPTIONAL" }
}
