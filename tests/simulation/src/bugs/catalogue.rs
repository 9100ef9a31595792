//! Every bug of the switchboard.

use super::machine::{self, Mutation};
use super::ports::Slip;
use super::writes::{self, Rewrite};
use super::{Bug, Manner};

const fn asl(name: &'static str, mistake: &'static str, machine: Mutation) -> Bug {
    Bug { name, mistake, machine: Some(machine), rewrite: None, slip: None, manner: None }
}

const fn write(name: &'static str, mistake: &'static str, rewrite: Rewrite) -> Bug {
    Bug { name, mistake, machine: None, rewrite: Some(rewrite), slip: None, manner: None }
}

const fn port(name: &'static str, mistake: &'static str, slip: Slip) -> Bug {
    Bug { name, mistake, machine: None, rewrite: None, slip: Some(slip), manner: None }
}

/// The switchboard.
pub static BUGS: &[Bug] = &[
    // The state machine.
    asl(
        "planned-pause-skipped",
        "GateNeeded leads to EnterWave although the plan pauses",
        machine::planned_pause_skipped,
    ),
    asl(
        "requested-pause-ignored",
        "GateNeeded leads to EnterWave although an operator asked for a pause",
        machine::requested_pause_ignored,
    ),
    asl("pause-request-kept", "AwaitResume does not reset pauseRequested", machine::pause_request_kept),
    asl("cancel-ignored", "GateNeeded does not look at cancelRequested", machine::cancel_ignored),
    asl(
        "cancel-while-paused-ignored",
        "a cancel during a pause loses against the resume",
        machine::cancel_while_paused_ignored,
    ),
    asl("resume-on-timeout", "a gate nobody answers opens", machine::resume_on_timeout),
    asl("resume-on-decline", "a declined gate opens", machine::resume_on_decline),
    asl("failed-wave-goes-on", "WaveSettled sends FAILED to CloseWave", machine::failed_wave_goes_on),
    asl("abort-decision-continues", "the decision abort continues", machine::abort_decision_continues),
    asl("first-poll-settles", "WaveSettled closes a wave that is not settled", machine::first_poll_settles),
    asl("no-retry-of-a-poll", "PollWave has no Retry", machine::no_retry_of_a_poll),
    asl("no-catch-of-prepare", "Prepare has no Catch", machine::no_catch_of_prepare),
    asl("partial-succeeds", "PARTIAL ends in Succeed", machine::partial_succeeds),
    asl("cleanup-forgotten", "CleanupDue never cleans up", machine::cleanup_forgotten),
    asl("cleanup-not-followed", "the execution ends when the termination was requested", machine::cleanup_not_followed),
    Bug {
        slip: Some(Slip::FinalizeCountsStoredWaves),
        ..asl(
            "finalize-on-stored-waves",
            "\"all waves are settled\" is decided against the waves that are stored",
            machine::all_of_the_stored_waves,
        )
    },
    // The store's writes.
    write("no-fencing", "replace has no condition on the version", writes::no_fencing),
    write("finish-unconditionally", "finish_execution has no condition", writes::finish_unconditionally),
    write("begin-unconditionally", "begin_execution has no condition", writes::begin_unconditionally),
    write("cleanup-unconditionally", "put_cleanup has no condition", writes::cleanup_unconditionally),
    write("create-overwrites", "create of a wave's items has no condition", writes::create_overwrites),
    write("lock-unconditionally", "put_lock has no condition", writes::lock_unconditionally),
    write("release-unconditionally", "release_lock has no condition", writes::release_unconditionally),
    write("locks-kept", "finalize releases no locks", writes::locks_kept),
    write("sent-unmarked", "StartRecovery is sent before its intent is marked as sent", writes::sent_unmarked),
    write(
        "servers-not-stored-at-the-end",
        "the wave's item is written without its servers",
        writes::servers_not_stored_at_the_end,
    ),
    write(
        "completed-before-enriched",
        "a wave is COMPLETED as soon as its servers are launched",
        writes::completed_before_enriched,
    ),
    write("counts-forget-a-server", "a wave's counts miss a failed server", writes::counts_forget_a_server),
    // The ports.
    port("look-finds-nothing", "the look for an intent's job filters it out", Slip::LookFindsNothing),
    port("look-in-local-time", "the look for an intent's job begins an hour late", Slip::LookInLocalTime),
    port("errors-are-empty", "a failed read is swallowed into an empty list", Slip::ErrorsAreEmpty),
    port("first-page-only", "nextToken is ignored", Slip::FirstPageOnly),
    port(
        "server-only-match",
        "recovery instances are matched by server, whatever job launched them",
        Slip::ServerOnlyMatch,
    ),
    port("cleanup-takes-any", "cleanup terminates whatever runs for the servers", Slip::CleanupTakesAny),
    port("retry-relaunches-all", "an operator's retry launches what runs already", Slip::RetryRelaunchesAll),
    port("start-recovery-retried", "the SDK's retries are on for StartRecovery", Slip::StartRecoveryRetried),
    port("unknown-is-rejected", "a lost answer of StartRecovery is taken for a refusal", Slip::UnknownIsRejected),
    port("settles-at-once", "SETTLE_SECONDS is 0: a launch that is not listed yet is sent again", Slip::SettlesAtOnce),
    port("conflict-is-started", "ConflictException is taken for \"it has been started\"", Slip::ConflictIsStarted),
    port(
        "send-window-ignored",
        "a call held up between intent and sending is sent all the same",
        Slip::SendWindowIgnored,
    ),
    port("always-a-drill", "isDrill is always true", Slip::AlwaysADrill),
    port("finalize-reads-stale", "finalize reads the waves without ConsistentRead", Slip::FinalizeReadsStale),
    port("ec2-fails-the-poll", "an error of DescribeInstances is the poll's error", Slip::Ec2FailsThePoll),
    port("held-lock-is-ours", "a refused lock is taken for one's own", Slip::HeldLockIsOurs),
    // The workers.
    Bug {
        manner: Some(Manner::NoHeartbeat),
        name: "no-heartbeat",
        mistake: "the worker sends no heartbeats",
        machine: None,
        rewrite: None,
        slip: None,
    },
];
