//! What we assume of AWS, as far as `accept` can try it. Each has a row of the same id in docs/semantics.md.

/// One assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Assumption {
    /// Of its row in docs/semantics.md.
    pub(crate) id: &'static str,
    pub(crate) assumed: &'static str,
}

macro_rules! assumptions {
    ($($name:ident = $id:literal, $assumed:literal;)*) => {
        $(pub(crate) const $name: Assumption = Assumption { id: $id, assumed: $assumed };)*
        /// All of them.
        #[cfg(test)]
        pub(crate) const ALL: &[Assumption] = &[$($name),*];
    };
}

assumptions! {
    DEFINITIONS = "sfn-definitions",
        "Step Functions accepts the rendered definitions: fields, integrations and their parameters";
    RIGHTS = "iam-rights",
        "each role may do what its process calls, on the resources it calls it on";
    NOTIFICATION = "events-to-topic",
        "an event of ours goes from the bus to the topic by the rule's role, and none is left undelivered";
    FOREIGN_EVENT = "events-foreign-denied",
        "the policy of our bus refuses an event of anybody but the machines, whatever that principal's own policy allows";
    MACHINE_RUNS = "sfn-machine-runs",
        "the recovery machine walks its states on Step Functions as it does on the local engine";
    DECLINED = "sfn-declined-null",
        "a Catch gets error and cause of SendTaskFailure as they were sent, and null for one that was left out";
    DECLINED_ENDS = "sfn-declined-ends",
        "a declined gate ends the execution CANCELLED, however it was declined";
    HAND_OVER = "sfn-hand-over",
        "a waiting worker has a task within 2 seconds of its being scheduled";
    JOB_LISTED = "drs-job-listed",
        "DescribeJobs lists a job within 150 seconds of StartRecovery's answer";
    JOB_COMPLETED = "drs-job-status",
        "a job ends COMPLETED, and the server's launchStatus says how it went";
    LAUNCH_STATUS = "drs-launch-status",
        "launchStatus is PENDING through snapshot and conversion, and LAUNCHED at the end";
    LAUNCH_END = "drs-launch-end",
        "the job's log holds LAUNCH_END, which the API model does not know";
    JOB_HIDES_INSTANCE = "drs-job-hides-instance",
        "the finished job no longer names the recovery instance";
    RECOVERY_OVER_DRILL = "drs-recovery-deletes",
        "a recovery deletes every earlier recovery instance of its server, a drill's included";
    DRILL_OVER_RECOVERY = "drs-drill-deletes",
        "a drill deletes every earlier drill or recovery instance of its server";
    TERMINATED_VANISHES = "drs-terminated-vanishes",
        "a terminated recovery instance is gone from DescribeRecoveryInstances and terminated in EC2";
    TERMINATE_GONE = "drs-terminate-gone",
        "terminating an instance that is gone is refused as a Conflict, NotFound or Validation, or answered with a job";
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The page has an anchor for each id, so that a line of the report leads to its row.
    #[test]
    fn every_assumption_has_a_row_of_its_own() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/semantics.md");
        let page = std::fs::read_to_string(page).unwrap();
        for Assumption { id, .. } in ALL {
            let rows =
                page.lines().filter(|line| line.starts_with('|') && line.contains(&format!("<a id=\"{id}\"></a>")));
            assert_eq!(rows.count(), 1, "docs/semantics.md has no row, or several, with the id {id}");
        }
        assert_eq!(ALL.iter().map(|one| one.id).collect::<BTreeSet<_>>().len(), ALL.len());
    }
}
