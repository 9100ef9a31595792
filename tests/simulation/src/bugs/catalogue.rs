//! Every bug of the switchboard.

use super::machine::{self, Mutation};
use super::ports::Slip;
use super::writes::{self, Rewrite};
use super::{Bug, Manner};
use crate::invariants::*;

const fn asl(rule: &'static str, name: &'static str, mistake: &'static str, machine: Mutation) -> Bug {
    Bug { rule, name, mistake, machine: Some(machine), rewrite: None, slip: None, manner: None }
}

const fn write(rule: &'static str, name: &'static str, mistake: &'static str, rewrite: Rewrite) -> Bug {
    Bug { rule, name, mistake, machine: None, rewrite: Some(rewrite), slip: None, manner: None }
}

const fn port(rule: &'static str, name: &'static str, mistake: &'static str, slip: Slip) -> Bug {
    Bug { rule, name, mistake, machine: None, rewrite: None, slip: Some(slip), manner: None }
}

/// The switchboard.
pub static BUGS: &[Bug] = &[
    // The state machine.
    asl(
        PAUSE_KEPT,
        "planned-pause-skipped",
        "GateNeeded leads to EnterWave although the plan pauses",
        machine::planned_pause_skipped,
    ),
    asl(
        PAUSE_GRANTED,
        "requested-pause-ignored",
        "GateNeeded leads to EnterWave although an operator asked for a pause",
        machine::requested_pause_ignored,
    ),
    asl(
        GATE_TAKES_REQUEST,
        "pause-request-kept",
        "a gate opens and the request for it stays",
        machine::pause_request_kept,
    ),
    asl(
        CANCEL_KEPT,
        "cancel-ignored",
        "GateNeeded lets the wave begin although the end was asked for",
        machine::cancel_ignored,
    ),
    asl(
        CANCEL_WINS,
        "cancel-while-paused-ignored",
        "a cancel during a pause loses against the resume",
        machine::cancel_while_paused_ignored,
    ),
    asl(RESUMED_BY_PERSON, "resume-on-timeout", "a gate nobody answers opens", machine::resume_on_timeout),
    asl(RESUMED_BY_PERSON, "resume-on-decline", "a declined gate opens", machine::resume_on_decline),
    asl(POLICY_OR_PERSON, "failed-wave-goes-on", "WaveSettled sends FAILED to CloseWave", machine::failed_wave_goes_on),
    asl(
        POLICY_OR_PERSON,
        "abort-decision-continues",
        "the decision abort continues",
        machine::abort_decision_continues,
    ),
    asl(WAVE_ORDER, "first-poll-settles", "WaveSettled closes a wave that is not settled", machine::first_poll_settles),
    asl(NOT_GIVEN_UP, "no-retry-of-a-poll", "PollWave has no Retry", machine::no_retry_of_a_poll),
    asl(AGREES, "no-catch-of-prepare", "Prepare has no Catch", machine::no_catch_of_prepare),
    asl(AGREES, "partial-succeeds", "PARTIAL ends in Succeed", machine::partial_succeeds),
    asl(CLEANED_OR_SAID, "cleanup-forgotten", "CleanupDue never cleans up", machine::cleanup_forgotten),
    asl(
        CLEANED_OR_SAID,
        "cleanup-not-followed",
        "the execution ends when the termination was requested",
        machine::cleanup_not_followed,
    ),
    Bug {
        slip: Some(Slip::FinalizeCountsStoredWaves),
        ..asl(
            COMPLETED_WAVES,
            "finalize-on-stored-waves",
            "\"all waves are settled\" is decided against the waves that are stored",
            machine::all_of_the_stored_waves,
        )
    },
    asl(ENDS, "gate-without-timeout", "AwaitResume has no timeout", machine::gate_without_timeout),
    asl(
        HISTORY,
        "polls-every-second",
        "WaitForWave waits a second, whatever the verdict says",
        machine::polls_every_second,
    ),
    asl(KNOWN_STATUS, "status-of-its-own", "EnterWave writes RUNNING", machine::status_of_its_own),
    asl(TERMINAL_BY_FINALIZE, "machine-completes", "CloseWave writes COMPLETED", machine::machine_completes),
    asl(
        OPEN_HAS_NO_END,
        "wave-end-is-the-end",
        "CloseWave writes the execution's endTime",
        machine::wave_end_is_the_end,
    ),
    asl(PAUSED_HAS_GATE, "pause-without-gate", "OpenResumeGate writes no gate", machine::pause_without_gate),
    asl(
        NO_TOKEN_LEFT,
        "token-in-the-record",
        "AwaitResume writes its task token into the record",
        machine::token_in_the_record,
    ),
    asl(WAVE_ORDER, "wave-skipped", "AdvanceWave passes a wave by", machine::wave_skipped),
    asl(
        MACHINE_AGREES,
        "later-waves-forgotten",
        "the machine finalizes after the first wave",
        machine::later_waves_forgotten,
    ),
    asl(
        NOT_GIVEN_UP,
        "throttled-gate-is-a-no",
        "a gate DynamoDB could not open counts as declined",
        machine::throttled_gate_is_a_no,
    ),
    asl(ENDED_FOR_THAT, "silence-is-a-no", "a gate nobody answers counts as declined", machine::silence_is_a_no),
    asl(
        DECIDED_BY_PERSON,
        "second-decision-by-itself",
        "a wave that failed again is passed by without asking again",
        machine::second_decision_by_itself,
    ),
    asl(
        RETRIED_BY_PERSON,
        "retries-by-itself",
        "a failed wave is tried again without asking",
        machine::retries_by_itself,
    ),
    Bug {
        slip: Some(Slip::CleanupForgetsIsDrill),
        ..asl(
            DRILL_ONLY,
            "recoveries-cleaned-up",
            "every run is cleaned up, whatever isDrill says",
            machine::recoveries_cleaned_up,
        )
    },
    // The store's writes.
    write(NEXT_VERSION, "no-fencing", "replace has no condition on the version", writes::no_fencing),
    write(TERMINAL_ONCE, "finish-unconditionally", "finish_execution has no condition", writes::finish_unconditionally),
    write(STATUS_FORWARD, "begin-unconditionally", "begin_execution has no condition", writes::begin_unconditionally),
    write(CLEANUP_FENCED, "cleanup-unconditionally", "put_cleanup has no condition", writes::cleanup_unconditionally),
    write(NEXT_VERSION, "create-overwrites", "create of a wave's items has no condition", writes::create_overwrites),
    write(LOCKED, "lock-unconditionally", "put_lock has no condition", writes::lock_unconditionally),
    write(LOCKED, "release-unconditionally", "release_lock has no condition", writes::release_unconditionally),
    write(NO_LOCK, "locks-kept", "finalize releases no locks", writes::locks_kept),
    write(
        INTENT_FIRST,
        "sent-unmarked",
        "StartRecovery is sent before its intent is marked as sent",
        writes::sent_unmarked,
    ),
    write(
        COUNTS,
        "servers-not-stored-at-the-end",
        "the wave's item is written without its servers",
        writes::servers_not_stored_at_the_end,
    ),
    write(
        WAVE_ENRICHED,
        "completed-before-enriched",
        "a wave is COMPLETED as soon as its servers are launched",
        writes::completed_before_enriched,
    ),
    write(COUNTS, "counts-forget-a-server", "a wave's counts miss a failed server", writes::counts_forget_a_server),
    write(TERMINAL_WHOLE, "end-without-outcome", "finish_execution writes no outcome", writes::end_without_outcome),
    write(
        FINISHED_HAS_NO_GATE,
        "gate-kept-at-the-end",
        "finish_execution keeps the gate",
        writes::gate_kept_at_the_end,
    ),
    write(WAVES_COUNTED, "failed-waves-uncounted", "failedWaves is always 0", writes::failed_waves_uncounted),
    write(
        LEAVES_RECORD,
        "refused-leaves-nothing",
        "a refused execution gets no record",
        writes::refused_leaves_nothing,
    ),
    write(WAVES_SETTLED, "open-waves-left", "finalize closes no open wave", writes::open_waves_left),
    write(JOBS_NAMED, "running-jobs-unnamed", "finalize names no job that may still run", writes::running_jobs_unnamed),
    write(
        ONCE_PER_ATTEMPT,
        "retry-keeps-attempt",
        "a retry launches as its first attempt",
        writes::retry_keeps_attempt,
    ),
    write(VERDICT, "failed-is-partial", "a FAILED wave is stored as PARTIAL", writes::failed_is_partial),
    write(NO_EXCUSE, "timeout-in-minutes", "a wave's timeoutSeconds are taken for minutes", writes::timeout_in_minutes),
    write(OWN_FAULT, "shard-unreadable", "a field every reader needs is not written", writes::shard_unreadable),
    write(
        TERMINATION_INTENDED,
        "termination-unintended",
        "the intent to terminate is not stored before the call",
        writes::termination_unintended,
    ),
    write(ONE_SUCCESSOR, "claim-unconditionally", "claim_continuation has no condition", writes::claim_unconditionally),
    write(
        WAVE_STORED,
        "carried-servers-reset",
        "a continuation copies its servers as they were before their launch",
        writes::carried_servers_reset,
    ),
    // The ports.
    port(NOT_WHILE_HELD, "look-finds-nothing", "the look for an intent's job filters it out", Slip::LookFindsNothing),
    port(
        NOT_WHILE_HELD,
        "look-in-local-time",
        "the look for an intent's job begins an hour late",
        Slip::LookInLocalTime,
    ),
    port(CLEANED, "errors-are-empty", "a failed read is swallowed into an empty list", Slip::ErrorsAreEmpty),
    port(
        NEVER_REFUSED,
        "first-page-of-servers",
        "DescribeSourceServers is read up to its nextToken",
        Slip::FirstPageOfServers,
    ),
    port(NOT_WHILE_HELD, "page-of-jobs-lost", "the first page of DescribeJobs is lost", Slip::PageOfJobsLost),
    port(
        CLEANED,
        "page-of-instances-lost",
        "the first page of every listing of instances is lost",
        Slip::PageOfInstancesLost,
    ),
    port(
        OWN_INSTANCES,
        "server-only-match",
        "recovery instances are matched by server, whatever job launched them",
        Slip::ServerOnlyMatch,
    ),
    port(OWN_ONLY, "cleanup-takes-any", "cleanup terminates whatever runs for the servers", Slip::CleanupTakesAny),
    port(NO_TWIN, "retry-relaunches-all", "an operator's retry launches what runs already", Slip::RetryRelaunchesAll),
    port(
        NOT_WHILE_HELD,
        "start-recovery-retried",
        "the SDK's retries are on for StartRecovery",
        Slip::StartRecoveryRetried,
    ),
    port(
        NOT_WHILE_HELD,
        "unknown-is-rejected",
        "a lost answer of StartRecovery is taken for a refusal",
        Slip::UnknownIsRejected,
    ),
    port(
        NOT_WHILE_HELD,
        "settles-at-once",
        "SETTLE_SECONDS is 0: a launch that is not listed yet is sent again",
        Slip::SettlesAtOnce,
    ),
    port(
        OWN_JOBS,
        "conflict-is-started",
        "ConflictException is taken for \"it has been started\"",
        Slip::ConflictIsStarted,
    ),
    port(
        NOT_WHILE_HELD,
        "send-window-ignored",
        "a call held up between intent and sending is sent all the same",
        Slip::SendWindowIgnored,
    ),
    port(RIGHT_KIND, "always-a-drill", "isDrill is always true", Slip::AlwaysADrill),
    port(
        COMPLETED_WAVES_RISE,
        "finalize-reads-stale",
        "finalize reads the waves without ConsistentRead",
        Slip::FinalizeReadsStale,
    ),
    port(
        EC2_FAILS_NO_POLL,
        "ec2-fails-the-poll",
        "an error of DescribeInstances is the poll's error",
        Slip::Ec2FailsThePoll,
    ),
    port(LOCKED, "held-lock-is-ours", "a refused lock is taken for one's own", Slip::HeldLockIsOurs),
    port(
        INTENT_FIRST,
        "launch-before-intent",
        "the launch is sent before its shard is stored",
        Slip::LaunchBeforeIntent,
    ),
    port(EVERY_SERVER, "shard-loses-a-server", "a shard is stored without its last server", Slip::ShardLosesAServer),
    port(
        WHO_IS_IN_A_WAVE,
        "members-lose-a-server",
        "the members are stored without the last one",
        Slip::MembersLoseAServer,
    ),
    port(
        LAUNCHED_ONCE,
        "former-instance-counts",
        "a server that runs since an earlier drill counts as launched",
        Slip::FormerInstanceCounts,
    ),
    port(
        ACTIONS_DONE,
        "actions-are-optional",
        "every post-launch action is taken for optional",
        Slip::ActionsAreOptional,
    ),
    asl(NO_LEAK, "token-in-an-event", "AwaitResume sends the token to people", machine::token_in_an_event),
    port(
        PROVEN,
        "forgotten-is-proof",
        "an execution that Step Functions does not know is taken for one that failed",
        Slip::ForgottenIsProof,
    ),
    port(
        ONE_RECORD,
        "key-not-settled",
        "a record is created under whatever plan its creator knows",
        Slip::KeyNotSettled,
    ),
    port(CONFLICT_NAMED, "native-unasked", "DRS's own recovery plans are not asked for", Slip::NativeUnasked),
    port(CONFLICT_NAMED, "others-unlisted", "only jobs of our own are looked at", Slip::OthersUnlisted),
    port(
        NOT_TERMINATED_TWICE,
        "terminate-retried",
        "the SDK's retries are on for TerminateRecoveryInstances",
        Slip::TerminateRetried,
    ),
    port(LOOKED_FIRST, "looks-at-nothing", "nobody looks for what a launch would delete", Slip::LooksAtNothing),
    port(
        NOTHING_DELETED,
        "just-launched-uncounted",
        "what a job has just launched does not count until somebody lists it",
        Slip::JustLaunchedUncounted,
    ),
    // The workers.
    Bug {
        rule: TASK_TAKEN_AWAY,
        manner: Some(Manner::NoHeartbeat),
        name: "no-heartbeat",
        mistake: "the worker sends no heartbeats",
        machine: None,
        rewrite: None,
        slip: None,
    },
];
