//! A throw-away server drilled, recovered and drilled again, straight at DRS: what a job shows, and what a launch deletes of
//! what was there before.

use super::assumptions::{
    Assumption, DRILL_OVER_RECOVERY, JOB_COMPLETED, JOB_HIDES_INSTANCE, JOB_LISTED, LAUNCH_END, LAUNCH_STATUS,
    RECOVERY_OVER_DRILL, TERMINATE_GONE, TERMINATED_VANISHES,
};
use super::{Line, Verdict};

/// As JOB_LISTED says.
const LISTED_WITHIN_SECONDS: u32 = 150;

/// The three launches, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Drill,
    Recovery,
    SecondDrill,
}

impl Step {
    pub(crate) const ALL: [Self; 3] = [Self::Drill, Self::Recovery, Self::SecondDrill];

    pub(crate) const fn is_drill(self) -> bool {
        !matches!(self, Self::Recovery)
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Drill => "the drill",
            Self::Recovery => "the recovery",
            Self::SecondDrill => "the second drill",
        }
    }
}

/// An instance, as DRS and EC2 have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) instance_id: String,
    /// In DescribeRecoveryInstances.
    pub(crate) is_listed: bool,
    /// EC2's state; None: EC2 does not know it.
    pub(crate) state: Option<String>,
}

impl Standing {
    pub(crate) fn is_gone(&self) -> bool {
        self.state.as_deref().is_none_or(|state| matches!(state, "terminated" | "shutting-down"))
    }

    fn told(&self) -> String {
        let listed = if self.is_listed { "listed by DRS" } else { "not listed by DRS" };
        format!("{}: {}, {listed}", self.instance_id, self.state.as_deref().unwrap_or("unknown to EC2"))
    }
}

/// What was seen of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) step: Step,
    pub(crate) job_id: String,
    /// Until DescribeJobs first listed it.
    pub(crate) listed_after_seconds: Option<u32>,
    /// The server's launchStatus, each change once.
    pub(crate) statuses: Vec<String>,
    pub(crate) job_status: String,
    pub(crate) log: Vec<String>,
    /// recoveryInstanceID in the finished job.
    pub(crate) instance_in_job: Option<String>,
    /// By DescribeRecoveryInstances and the job's id.
    pub(crate) instance: Option<String>,
    pub(crate) seconds: u32,
    /// The instance of the step before, after this one.
    pub(crate) former: Option<Standing>,
}

impl Launch {
    fn launched(&self) -> bool {
        self.statuses.last().is_some_and(|status| status == "LAUNCHED")
    }

    fn check(&self, what: &str) -> String {
        format!("{}: {what}", self.step.words())
    }
}

/// The lines of one launch, or of one that failed.
pub(crate) fn judge(step: Step, seen: Result<&Launch, String>) -> Vec<Line> {
    let launch = match seen {
        Ok(launch) => launch,
        Err(error) => {
            let mut lines = vec![Line::unanswered(step.words(), &JOB_COMPLETED, &error)];
            lines.extend(deletes(step).map(|assumption| Line::unanswered(deleting(step), assumption, &error)));
            return lines;
        }
    };
    let mut lines = vec![
        match launch.listed_after_seconds {
            Some(seconds) => Line::compared(
                launch.check("when its job is listed"),
                &JOB_LISTED,
                seconds <= LISTED_WITHIN_SECONDS,
                format!("after {seconds} s"),
            ),
            None => Line::compared(launch.check("when its job is listed"), &JOB_LISTED, false, "never"),
        },
        Line::compared(
            launch.check("the job's status"),
            &JOB_COMPLETED,
            launch.job_status == "COMPLETED",
            format!("{} {} after {} s", launch.job_id, launch.job_status, launch.seconds),
        ),
        Line::compared(
            launch.check("launchStatus"),
            &LAUNCH_STATUS,
            launch.statuses.first().is_some_and(|first| first == "PENDING") && launch.launched(),
            launch.statuses.join(", "),
        ),
        Line::compared(
            launch.check("the job's log"),
            &LAUNCH_END,
            launch.log.iter().any(|event| event == "LAUNCH_END"),
            launch.log.join(", "),
        ),
    ];
    // A job whose instance was never seen proves nothing by not naming it.
    lines.push(match (&launch.instance_in_job, &launch.instance) {
        (Some(named), _) => Line::compared(
            launch.check("recoveryInstanceID of the finished job"),
            &JOB_HIDES_INSTANCE,
            false,
            format!("it names {named}"),
        ),
        (None, Some(instance)) => Line::compared(
            launch.check("recoveryInstanceID of the finished job"),
            &JOB_HIDES_INSTANCE,
            true,
            format!("it names none; DescribeRecoveryInstances has {instance}"),
        ),
        (None, None) => Line::unanswered(
            launch.check("recoveryInstanceID of the finished job"),
            &JOB_HIDES_INSTANCE,
            "no instance of this job was found",
        ),
    });
    if let Some(assumption) = deletes(step) {
        lines.push(match &launch.former {
            _ if !launch.launched() => {
                Line::unanswered(deleting(step), assumption, &format!("{} did not launch", step.words()))
            }
            Some(former) => Line::compared(deleting(step), assumption, former.is_gone(), former.told()),
            None => Line::unanswered(deleting(step), assumption, "the step before left no instance"),
        });
    }
    lines
}

const fn deletes(step: Step) -> Option<&'static Assumption> {
    match step {
        Step::Drill => None,
        Step::Recovery => Some(&RECOVERY_OVER_DRILL),
        Step::SecondDrill => Some(&DRILL_OVER_RECOVERY),
    }
}

const fn deleting(step: Step) -> &'static str {
    match step {
        Step::Drill => "what a drill deletes",
        Step::Recovery => "what a recovery deletes of the drill before it",
        Step::SecondDrill => "what a drill deletes of the recovery before it",
    }
}

/// After everything of the server was terminated.
pub(crate) fn judge_end(left: Result<Vec<Standing>, String>) -> Line {
    let check = "terminate what was launched";
    match left {
        Err(error) => Line::unanswered(check, &TERMINATED_VANISHES, &error),
        Ok(left) if left.is_empty() => Line::unanswered(check, &TERMINATED_VANISHES, "nothing had been launched"),
        Ok(left) => {
            let holds = left.iter().all(|one| one.is_gone() && !one.is_listed);
            let told: Vec<String> = left.iter().map(Standing::told).collect();
            Line::compared(check, &TERMINATED_VANISHES, holds, told.join("; "))
        }
    }
}

/// How DRS answered a second termination of one of them: with a job, or with a code and words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    Job(String),
    Refused { code: Option<String>, told: String },
}

/// Codes that a cleanup takes for "there is nothing to terminate".
const GONE_CODES: [&str; 3] = ["ConflictException", "ResourceNotFoundException", "ValidationException"];

pub(crate) fn judge_gone(answer: Result<Gone, String>) -> Line {
    let check = "terminate an instance that is gone";
    match answer {
        Ok(Gone::Job(job)) => Line::compared(check, &TERMINATE_GONE, true, format!("answered with job {job}")),
        Ok(Gone::Refused { code, told }) => {
            let known = code.is_some_and(|code| GONE_CODES.contains(&code.as_str()));
            Line::compared(check, &TERMINATE_GONE, known, told)
        }
        Err(error) => Line::unanswered(check, &TERMINATE_GONE, &error),
    }
}

/// Everything that takes a throw-away server, where none was named.
pub(crate) fn not_asked() -> Vec<Line> {
    let assumptions = [
        &JOB_LISTED,
        &JOB_COMPLETED,
        &LAUNCH_STATUS,
        &LAUNCH_END,
        &JOB_HIDES_INSTANCE,
        &RECOVERY_OVER_DRILL,
        &DRILL_OVER_RECOVERY,
        &TERMINATED_VANISHES,
        &TERMINATE_GONE,
    ];
    let line = |assumption: &&Assumption| {
        Line::new(assumption.id, assumption, Verdict::NotAsked, "no --throw-away-server was named")
    };
    assumptions.iter().map(line).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn standing(state: Option<&str>, is_listed: bool) -> Standing {
        Standing { instance_id: "i-1".to_owned(), is_listed, state: state.map(str::to_owned) }
    }

    fn launch(step: Step) -> Launch {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Launch {
            step,
            job_id: "drsjob-1".to_owned(),
            listed_after_seconds: Some(1),
            statuses: words(&["PENDING", "IN_PROGRESS", "LAUNCHED"]),
            job_status: "COMPLETED".to_owned(),
            log: words(&["JOB_START", "LAUNCH_START", "LAUNCH_END", "JOB_END"]),
            instance_in_job: None,
            instance: Some("i-2".to_owned()),
            seconds: 600,
            former: (step != Step::Drill).then(|| standing(Some("terminated"), false)),
        }
    }

    fn differing(lines: &[Line]) -> Vec<&str> {
        lines.iter().filter(|line| line.verdict == Verdict::Differs).map(|line| line.place.as_str()).collect()
    }

    #[test]
    fn a_launch_as_documented_differs_in_nothing() {
        for step in Step::ALL {
            let lines = judge(step, Ok(&launch(step)));
            assert!(lines.iter().all(|line| line.verdict == Verdict::AsAssumed), "{lines:#?}");
            assert_eq!(lines.len(), if step == Step::Drill { 5 } else { 6 });
        }
    }

    /// The reading of which nobody knows whether it is true: what a drill leaves of a recovery.
    #[test]
    fn a_recovery_instance_that_survives_a_drill_is_told() {
        let mut seen = launch(Step::SecondDrill);
        seen.former = Some(standing(Some("running"), true));
        let lines = judge(Step::SecondDrill, Ok(&seen));
        assert_eq!(differing(&lines), ["docs/semantics.md#drs-drill-deletes"]);
        assert!(lines.last().unwrap().observed.contains("i-1: running, listed by DRS"));
        for gone in [standing(None, false), standing(Some("shutting-down"), true), standing(Some("terminated"), true)] {
            seen.former = Some(gone);
            assert!(differing(&judge(Step::SecondDrill, Ok(&seen))).is_empty());
        }
        seen.former = Some(standing(Some("stopped"), false));
        assert_eq!(differing(&judge(Step::SecondDrill, Ok(&seen))).len(), 1, "it can be started again");
    }

    #[test]
    fn a_launch_that_failed_answers_nothing_about_what_it_deletes() {
        let mut seen = launch(Step::Recovery);
        seen.statuses = vec!["PENDING".to_owned(), "FAILED".to_owned()];
        let lines = judge(Step::Recovery, Ok(&seen));
        assert_eq!(lines.last().unwrap().verdict, Verdict::NotAnswered);
        let lines = judge(Step::Recovery, Err("drs:StartRecovery failed with ConflictException".to_owned()));
        assert!(lines.iter().all(|line| line.verdict == Verdict::NotAnswered), "{lines:#?}");
        assert!(lines.iter().any(|line| line.place.ends_with("#drs-recovery-deletes")));
        seen = launch(Step::SecondDrill);
        seen.former = None;
        assert_eq!(judge(Step::SecondDrill, Ok(&seen)).last().unwrap().verdict, Verdict::NotAnswered);
    }

    #[test]
    fn a_job_that_names_its_instance_is_told() {
        let mut seen = launch(Step::Drill);
        seen.instance_in_job = Some("i-2".to_owned());
        assert_eq!(differing(&judge(Step::Drill, Ok(&seen))), ["docs/semantics.md#drs-job-hides-instance"]);
        (seen.instance_in_job, seen.instance) = (None, None);
        assert_eq!(judge(Step::Drill, Ok(&seen)).last().unwrap().verdict, Verdict::NotAnswered);
    }

    #[test]
    fn every_word_of_a_job_counts() {
        for (change, place) in [
            ((|seen| seen.listed_after_seconds = Some(151)) as fn(&mut Launch), "drs-job-listed"),
            (|seen| seen.listed_after_seconds = None, "drs-job-listed"),
            (|seen| seen.job_status = "FAILED".to_owned(), "drs-job-status"),
            (|seen| seen.statuses = vec!["LAUNCHED".to_owned()], "drs-launch-status"),
            (|seen| seen.log.retain(|event| event != "LAUNCH_END"), "drs-launch-end"),
        ] {
            let mut seen = launch(Step::Drill);
            change(&mut seen);
            assert_eq!(differing(&judge(Step::Drill, Ok(&seen))), [format!("docs/semantics.md#{place}")]);
        }
    }

    #[test]
    fn an_answer_about_an_instance_that_is_gone_is_one_of_two() {
        let refused = |code: &str| Gone::Refused { code: Some(code.to_owned()), told: format!("failed with {code}") };
        for (answer, verdict) in [
            (Ok(Gone::Job("drsjob-1".to_owned())), Verdict::AsAssumed),
            (Ok(refused("ConflictException")), Verdict::AsAssumed),
            (Ok(refused("ResourceNotFoundException")), Verdict::AsAssumed),
            (Ok(refused("TeapotException")), Verdict::Differs),
            (Ok(Gone::Refused { code: None, told: String::new() }), Verdict::Differs),
            (Err("an instance is left".to_owned()), Verdict::NotAnswered),
        ] {
            let line = judge_gone(answer.clone());
            assert_eq!(line.verdict, verdict, "{answer:?}");
            assert_eq!(line.place, "docs/semantics.md#drs-terminate-gone");
        }
    }

    #[test]
    fn what_is_left_after_the_termination_is_told() {
        assert_eq!(judge_end(Ok(vec![standing(Some("terminated"), false)])).verdict, Verdict::AsAssumed);
        assert_eq!(judge_end(Ok(vec![standing(Some("terminated"), true)])).verdict, Verdict::Differs);
        assert_eq!(judge_end(Ok(vec![standing(Some("running"), false)])).verdict, Verdict::Differs);
        assert_eq!(judge_end(Ok(Vec::new())).verdict, Verdict::NotAnswered);
        assert_eq!(judge_end(Err("denied".to_owned())).verdict, Verdict::NotAnswered);
    }
}
