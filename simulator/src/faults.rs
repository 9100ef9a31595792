//! Faults: what can be made to go wrong, for which calls or servers, how often.

use crate::simulator::Scope;
use crate::wire::FailbackState;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// What goes wrong. The first group happens to calls, the second to servers inside a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultKind {
    /// 429 ThrottlingException, with `Retry-After` when `retryAfterSeconds` is given. No effect.
    Throttle,
    /// InternalServerException with `status` (500 unless given). No effect.
    ServerError,
    /// The connection is cut before anything happened.
    DropBeforeEffect,
    /// The operation takes effect and the connection is cut instead of an answer.
    DropAfterEffect,
    /// The operation takes effect and the answer is an InternalServerException.
    ErrorAfterEffect,
    /// The answer comes `seconds` of wall time late (60 unless given).
    SlowAnswer,
    /// 403 AccessDeniedException.
    AccessDenied,
    /// 403 InvalidSignatureException, as after a jump of the caller's clock.
    InvalidSignature,
    /// 400 UninitializedAccountException.
    Uninitialized,

    /// The server fails at `stage` (launch unless given), with `rawError` in the job log.
    LaunchFails,
    /// The caller lacks an EC2 right: the log shows no launch at all and the server fails without a word (facts, 2.4).
    SilentNoLaunch,
    /// recoveryInstanceID never appears in participatingServers.
    LosesRecoveryInstanceId,
    /// The server stays at `stage` (conversion unless given) for ever, and its job STARTED.
    Stuck,
    /// Post-launch actions take `factor` times as long (10 unless given).
    SlowPostLaunch,
    /// The action `actionName` (every action unless given) fails with `failureReason`.
    ActionFails,
    /// DescribeRecoveryInstances lists the instance `seconds` of AWS time late (300 unless given).
    ListLag,
    /// DescribeJobs lists the server's job `seconds` of AWS time after it was accepted (120 unless given). Until then the job
    /// holds its servers like any other.
    JobListLag,
    /// DescribeJobs and DescribeJobLogItems forget the server's job `seconds` of AWS time after it was accepted (600 unless
    /// given). What it does, it goes on doing.
    JobVanishes,
    /// The termination fails with `rawError`.
    TerminationFails,

    /// The source server is gone, its agent last seen `seconds` of the calendar (900 unless given) before the rule came into
    /// force: STALLED, a growing lag, no new points in time. A launch of the latest state waits `deadSnapshotSeconds` for a
    /// snapshot that nobody can take, then uses the previous one.
    SourceDead,
    /// The server's recovery instances are in `failbackState` (FAILBACK_IN_PROGRESS unless given): DRS refuses to launch the
    /// server and to terminate them.
    Failback,
}

impl FaultKind {
    /// True for faults that happen to a call and not to a server in a job.
    pub fn is_call_fault(self) -> bool {
        use FaultKind::*;
        matches!(
            self,
            Throttle
                | ServerError
                | DropBeforeEffect
                | DropAfterEffect
                | ErrorAfterEffect
                | SlowAnswer
                | AccessDenied
                | InvalidSignature
                | Uninitialized
        )
    }

    /// True for faults that are a state of the server and not an event: they do not strike, they last.
    fn lasts(self) -> bool {
        matches!(self, FaultKind::SourceDead | FaultKind::Failback)
    }
}

/// A stage of a server in a LAUNCH job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The server is left out of the job: SERVER_SKIPPED.
    Skipped,
    /// SNAPSHOT_FAIL.
    Snapshot,
    /// USING_PREVIOUS_SNAPSHOT_FAILED, of a server whose source is dead.
    PreviousSnapshot,
    /// CONVERSION_FAIL.
    Conversion,
    /// LAUNCH_FAILED.
    Launch,
}

/// One fault and its limits. Every limit that is given must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// What goes wrong.
    pub fault: FaultKind,
    /// Names the rule, so that it can be taken back; given one unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Only this operation (call faults).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Only this server; for a call fault: only calls that name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_server_id: Option<String>,
    /// Only in this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only in this Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Lets this many matches pass before the first one fails.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip: u32,
    /// Happens at most this many times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Happens with this probability at each match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// `throttle`, `serverError`: value of `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// `serverError`, `errorAfterEffect`: HTTP status, 500 to 599.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// `launchFails`, `stuck`: where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// `launchFails`, `terminationFails`: the words in the job log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_error: Option<String>,
    /// `actionFails`: which action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_name: Option<String>,
    /// `actionFails`: the run's failureReason, at most 256 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// `slowPostLaunch`: how many times longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// `slowAnswer`, `sourceDead`: seconds of the calendar; `listLag`, `jobListLag`, `jobVanishes`: AWS seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// `failback`: the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback_state: Option<FailbackState>,
    /// How often it happened (reported, not read).
    #[serde(default, skip_deserializing)]
    pub fired: u32,
    #[serde(skip)]
    seen: u32,
    /// When it came into force.
    #[serde(skip)]
    since: Option<Timestamp>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Why a fault rule is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("fault {kind:?}: {problem}")]
pub struct FaultRuleError {
    /// The fault.
    pub kind: FaultKind,
    /// What is wrong with the rule.
    pub problem: &'static str,
}

impl FaultRule {
    /// A rule without limits.
    pub fn new(fault: FaultKind) -> Self {
        Self {
            fault,
            id: None,
            operation: None,
            source_server_id: None,
            account: None,
            region: None,
            skip: 0,
            count: None,
            probability: None,
            retry_after_seconds: None,
            status: None,
            stage: None,
            raw_error: None,
            action_name: None,
            failure_reason: None,
            factor: None,
            seconds: None,
            failback_state: None,
            fired: 0,
            seen: 0,
            since: None,
        }
    }

    /// A limit or a parameter that the fault would ignore is a mistake of the author, so it is refused here.
    pub fn check(&self) -> Result<(), FaultRuleError> {
        use FaultKind::*;
        let kind = self.fault;
        let only = |given: bool, fits: bool, problem| match given && !fits {
            true => Err(FaultRuleError { kind, problem }),
            false => Ok(()),
        };
        only(self.operation.is_some(), kind.is_call_fault(), "operation limits call faults only")?;
        let known = self.operation.as_deref().is_none_or(|name| crate::Operation::from_name(name).is_some());
        only(!known, false, "operation is not one of the simulator's")?;
        only(
            self.retry_after_seconds.is_some(),
            matches!(kind, Throttle | ServerError | ErrorAfterEffect),
            "takes no retryAfterSeconds",
        )?;
        only(self.status.is_some(), matches!(kind, ServerError | ErrorAfterEffect), "takes no status")?;
        only(self.stage.is_some(), matches!(kind, LaunchFails | Stuck), "takes no stage")?;
        only(kind == Stuck && self.stage == Some(Stage::Skipped), false, "a skipped server cannot be stuck")?;
        only(self.raw_error.is_some(), matches!(kind, LaunchFails | TerminationFails), "takes no rawError")?;
        only(self.action_name.is_some() || self.failure_reason.is_some(), kind == ActionFails, "takes no action")?;
        only(self.factor.is_some(), kind == SlowPostLaunch, "takes no factor")?;
        only(
            self.seconds.is_some(),
            matches!(kind, SlowAnswer | ListLag | JobListLag | JobVanishes | SourceDead),
            "takes no seconds",
        )?;
        only(self.failback_state.is_some(), kind == Failback, "takes no failbackState")?;
        let counted = self.skip > 0 || self.count.is_some() || self.probability.is_some();
        only(counted, !kind.lasts(), "lasts as long as the rule is in force: no skip, count or probability")?;
        let status = self.status.is_none_or(|status| (500..600).contains(&status));
        only(!status, false, "status must be 500 to 599")?;
        let sane = |number: Option<f64>, most: f64| number.is_none_or(|n| n.is_finite() && (0.0..=most).contains(&n));
        only(!sane(self.probability, 1.0), false, "probability must be between 0 and 1")?;
        only(
            !sane(self.seconds, 86_400.0) || !sane(self.factor, 86_400.0),
            false,
            "numbers must be between 0 and 86400",
        )?;
        let short = self.failure_reason.as_deref().is_none_or(|reason| reason.len() <= 256);
        only(!short, false, "failureReason has at most 256 characters")
    }

    fn concerns(&self, scope: &Scope) -> bool {
        self.account.as_deref().is_none_or(|account| account == scope.account)
            && self.region.as_deref().is_none_or(|region| region == scope.region)
    }
}

/// The rules in force.
#[derive(Debug)]
pub struct FaultBook {
    rules: Vec<FaultRule>,
    rng: StdRng,
    numbered: u32,
}

impl FaultBook {
    pub(crate) fn new(seed: u64) -> Self {
        Self { rules: Vec::new(), rng: StdRng::seed_from_u64(seed), numbered: 0 }
    }

    /// The rules, with how often each has fired.
    pub fn rules(&self) -> &[FaultRule] {
        &self.rules
    }

    /// Puts a rule in force and answers its id; a rule of the same id is replaced.
    pub fn add(&mut self, mut rule: FaultRule, now: Timestamp) -> Result<String, FaultRuleError> {
        rule.check()?;
        rule.since = Some(now);
        self.numbered += 1;
        let id = rule.id.get_or_insert_with(|| format!("fault-{}", self.numbered)).clone();
        self.rules.retain(|known| known.id.as_deref() != Some(id.as_str()));
        self.rules.push(rule);
        Ok(id)
    }

    /// Takes one rule back.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.id.as_deref() != Some(id));
        self.rules.len() < before
    }

    /// Takes all rules back.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The call fault of one of `kinds` that strikes this call, if any. `body` is searched for the server's id.
    pub(crate) fn strike_call(
        &mut self,
        kinds: &[FaultKind],
        scope: &Scope,
        operation: &str,
        body: &str,
    ) -> Option<FaultRule> {
        self.strike(|rule| {
            kinds.contains(&rule.fault)
                && rule.concerns(scope)
                && rule.operation.as_deref().is_none_or(|name| name == operation)
                && rule.source_server_id.as_deref().is_none_or(|server| body.contains(server))
        })
    }

    /// The server fault of `kind` that strikes this server now, if any; `fits` looks at the rule's own parameters.
    pub(crate) fn strike_server(
        &mut self,
        kind: FaultKind,
        scope: &Scope,
        server: &str,
        fits: impl Fn(&FaultRule) -> bool,
    ) -> Option<FaultRule> {
        self.strike(|rule| {
            rule.fault == kind
                && rule.concerns(scope)
                && rule.source_server_id.as_deref().is_none_or(|limited| limited == server)
                && fits(rule)
        })
    }

    /// The rule of a lasting `kind` that this server is under.
    fn lasting(&self, kind: FaultKind, scope: &Scope, server: &str) -> Option<&FaultRule> {
        self.rules.iter().find(|rule| {
            rule.fault == kind
                && rule.concerns(scope)
                && rule.source_server_id.as_deref().is_none_or(|limited| limited == server)
        })
    }

    /// When the agent of a source server that is dead was last seen.
    pub(crate) fn dead_since(&self, scope: &Scope, server: &str) -> Option<Timestamp> {
        let rule = self.lasting(FaultKind::SourceDead, scope, server)?;
        let before = SignedDuration::try_from_secs_f64(rule.seconds.unwrap_or(900.0)).ok()?;
        rule.since?.checked_sub(before).ok()
    }

    /// The state of the server's failback, where it has one.
    pub(crate) fn failback(&self, scope: &Scope, server: &str) -> Option<FailbackState> {
        let rule = self.lasting(FaultKind::Failback, scope, server)?;
        Some(rule.failback_state.unwrap_or(FailbackState::InProgress))
    }

    fn strike(&mut self, matches: impl Fn(&FaultRule) -> bool) -> Option<FaultRule> {
        for rule in self.rules.iter_mut().filter(|rule| matches(rule)) {
            rule.seen = rule.seen.saturating_add(1);
            let due = rule.seen > rule.skip && rule.count.is_none_or(|count| rule.fired < count);
            if due && rule.probability.is_none_or(|share| self.rng.random::<f64>() < share) {
                rule.fired += 1;
                return Some(rule.clone());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn book(rules: &[&str]) -> FaultBook {
        let mut book = FaultBook::new(1);
        for rule in rules {
            book.add(serde_json::from_str(rule).unwrap(), Timestamp::UNIX_EPOCH).unwrap();
        }
        book
    }

    fn throttled(book: &mut FaultBook, operation: &str) -> bool {
        let scope = Scope::new("000000000000", "us-west-2");
        book.strike_call(&[FaultKind::Throttle], &scope, operation, "{\"jobID\":\"x\"}").is_some()
    }

    #[test]
    fn skip_and_count_bound_a_fault() {
        let mut book = book(&[r#"{"fault":"throttle","operation":"DescribeJobs","skip":1,"count":2}"#]);
        let struck: Vec<bool> = (0..5).map(|_| throttled(&mut book, "DescribeJobs")).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(book.rules()[0].fired, 2);
    }

    #[test]
    fn a_fault_stays_within_its_operation_region_and_server() {
        let mut limited = book(&[
            r#"{"fault":"throttle","operation":"StartRecovery"}"#,
            r#"{"fault":"throttle","region":"eu-west-1"}"#,
            r#"{"fault":"throttle","sourceServerId":"s-00000000000000001"}"#,
        ]);
        assert!(!throttled(&mut limited, "DescribeJobs"));
        assert!(throttled(&mut limited, "StartRecovery"));
    }

    #[test]
    fn probability_strikes_its_share() {
        let mut book = book(&[r#"{"fault":"throttle","probability":0.3}"#]);
        let struck = (0..1000).filter(|_| throttled(&mut book, "DescribeJobs")).count();
        assert!((240..360).contains(&struck), "{struck}");
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        for rule in [
            r#"{"fault":"stuck","operation":"DescribeJobs"}"#,
            r#"{"fault":"throttle","operation":"DescribeJob"}"#,
            r#"{"fault":"throttle","rawError":"x"}"#,
            r#"{"fault":"throttle","probability":2}"#,
            r#"{"fault":"serverError","status":400}"#,
            r#"{"fault":"sourceDead","count":1}"#,
            r#"{"fault":"failback","probability":0.5}"#,
            r#"{"fault":"sourceDead","failbackState":"FAILBACK_ERROR"}"#,
        ] {
            let rule: FaultRule = serde_json::from_str(rule).unwrap();
            assert!(rule.check().is_err(), "{rule:?}");
        }
        assert!(serde_json::from_str::<FaultRule>(r#"{"fault":"throttle","counts":2}"#).is_err());
    }
}
