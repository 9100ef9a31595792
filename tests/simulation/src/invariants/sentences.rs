//! Every promise, a sentence each. A violation names one of them; each is tripped by a bug of the switchboard, or
//! `tests/switchboard.rs` says why none can be seeded.

/// Declares the sentences, and a list of them all.
macro_rules! sentences {
    ($($name:ident = $text:literal;)*) => {
        $(pub const $name: &str = $text;)*
        /// Every sentence.
        pub const SENTENCES: &[&str] = &[$($name),*];
    };
}

sentences! {
    // The run as a whole.
    SET_UP = "The simulation can be set up.";
    ENDS = "Every execution ends once faults stop.";
    HISTORY = "No history reaches 25,000 events.";
    TASK_TAKEN_AWAY = "A task of a worker that lives is never taken away from it.";
    EC2_FAILS_NO_POLL = "EC2's failure never fails a poll.";
    NO_LEAK = "No task token is in a log, an error or an event.";
    // The record.
    PROVEN = "Every record is of an execution that Step Functions has started.";
    ONE_RECORD = "An execution has one record, under the plan of its input.";
    KNOWN_STATUS = "The execution's status is one of the closed set.";
    TERMINAL_ONCE = "A terminal status and its endTime are written once and never change.";
    TERMINAL_WHOLE = "A terminal status comes with its endTime and outcome, in one write.";
    TERMINAL_BY_FINALIZE = "Only finalize writes a terminal status.";
    OPEN_HAS_NO_END = "An execution that goes on has no endTime.";
    PAUSED_HAS_GATE = "PAUSED always has its gate and token.";
    FINISHED_HAS_NO_GATE = "A finished execution holds no gate and no token.";
    COMPLETED_WAVES_RISE = "completedWaves never falls once the execution has begun.";
    COMPLETED_WAVES = "COMPLETED means every planned wave is COMPLETED.";
    // Waves and servers.
    WAVE_ORDER = "No wave begins before the one before it is durably settled.";
    EVERY_SERVER = "A wave has exactly the plan's servers, each on one shard, as critical as the plan says.";
    COUNTS = "A wave's counts are those of its servers.";
    VERDICT = "A wave is COMPLETED, PARTIAL or FAILED as its servers and the plan's policy make it.";
    LAUNCHED_ONCE = "A ready server was launched once, and once more at most for each retry.";
    ACTIONS_DONE = "A recovered server is ready only when DRS says that its required actions SUCCEEDED.";
    OWN_INSTANCES = "Every instance on record was launched by its own wave's job, under all three names.";
    NEXT_VERSION = "A stored item is only ever replaced by its next version.";
    // The order of things.
    STATUS_FORWARD = "An execution's status moves forward only.";
    WHO_IS_IN_A_WAVE = "Who is in a wave never changes.";
    OWN_JOBS = "Every job on record was started by this run.";
    WAVE_STORED = "Every server of a COMPLETED wave is LAUNCHED on record.";
    WAVE_ENRICHED = "A wave is COMPLETED after its servers are enriched, or EC2 had its time.";
    NOT_GIVEN_UP = "No task is given up for a passing error within half an hour.";
    // What people say.
    GATE_TAKES_REQUEST = "A gate that opens takes the request for a pause with it.";
    RESUMED_BY_PERSON = "A run resumes only because a person said so.";
    DECIDED_BY_PERSON = "A failed wave is decided by a person only.";
    PAUSE_KEPT = "A planned pause is never passed without a person's word.";
    CANCEL_KEPT = "No wave begins after a cancel that came before its turn.";
    PAUSE_GRANTED = "A request for a pause is granted before the next wave.";
    CANCEL_WINS = "A cancel wins over the resume that follows it.";
    POLICY_OR_PERSON = "After a failed wave the plan's policy decides, or a person.";
    RETRIED_BY_PERSON = "A wave is tried again only because a person said so.";
    // How a run ends.
    NEVER_REFUSED = "A sound plan is never refused.";
    NO_EXCUSE = "A sound plan that nothing and nobody gets in the way of ends COMPLETED.";
    OWN_FAULT = "No answer is a fault of our own: Tidegate.Internal, Tidegate.InvalidInput.";
    ENDED_FOR_THAT = "A run ended for the reason its record gives.";
    // What DRS is asked.
    INTENT_FIRST = "StartRecovery is sent only for an intent on record, marked as sent.";
    RIGHT_KIND = "A drill is launched as a drill, a recovery as a recovery.";
    LOCKED = "Only a server this run has locked is launched.";
    ONCE_PER_ATTEMPT = "No server is launched twice in one attempt.";
    NO_TWIN = "No server is launched while an instance of it runs.";
    NOT_WHILE_HELD = "StartRecovery is never sent while a job of this run holds one of its servers.";
    DRILL_ONLY = "Cleanup touches drill instances only.";
    OWN_ONLY = "Cleanup touches only what this run, or one it continues, launched.";
    TERMINATION_INTENDED = "TerminateRecoveryInstances is sent only for an intent on record.";
    NOT_TERMINATED_TWICE = "TerminateRecoveryInstances is never sent while a job of this run holds one of its servers.";
    CLEANUP_FENCED = "A cleanup is only ever replaced by its next version.";
    // What a launch costs others.
    LOOKED_FIRST = "No StartRecovery follows a look that showed something it would delete unasked, or a look older than 60 s.";
    NOTHING_DELETED = "In a world without console users a drill deletes no recovery instance, and a recovery one only where its input says so.";
    // The end.
    WAVES_COUNTED = "The record counts its waves right.";
    MACHINE_AGREES = "The machine and the record never disagree about the waves.";
    CLEANED_OR_SAID = "A drill's instances are cleaned up, or the record says that they are not.";
    NO_TOKEN_LEFT = "No task token is left in the records of a finished run.";
    LEAVES_RECORD = "Every execution that is no check leaves a record.";
    AGREES = "The record's outcome is Step Functions' outcome.";
    NO_LOCK = "A finished execution holds no lock it had at its end.";
    WAVES_SETTLED = "No wave of a finished execution is unsettled.";
    CLEANED = "After a completed cleanup no instance of this run is up.";
    JOBS_NAMED = "What may still run after an execution was stopped is named.";
    CONFLICT_NAMED = "Whoever holds a server that could not be launched is named.";
    // Continuations.
    ONE_SUCCESSOR = "An execution is continued by one other at most, and says by which.";
}
