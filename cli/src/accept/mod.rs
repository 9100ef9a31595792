//! What `tidegate accept` concludes: what AWS did beside what we assume, a line each. Pure: the calls are in
//! `commands/accept`.
//!
//! A line is never "passed" for want of an answer: what could not be asked is [`Verdict::NotAnswered`], with the error.

pub(crate) mod assumptions;
pub(crate) mod definitions;
pub(crate) mod deployment;
pub(crate) mod gates;
pub(crate) mod handover;
pub(crate) mod launches;
pub(crate) mod notification;
pub(crate) mod render;
pub(crate) mod rights;
pub(crate) mod runs;

use assumptions::Assumption;
use serde::Serialize;

/// How an observation stands to its assumption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    AsAssumed,
    Differs,
    /// The call failed, or the answer did not hold what was asked: nothing is known.
    NotAnswered,
    /// It takes a throw-away server, and none was named.
    NotAsked,
}

/// What AWS did, and what we assumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// What was done.
    pub(crate) check: String,
    pub(crate) verdict: Verdict,
    pub(crate) observed: String,
    pub(crate) assumed: &'static str,
    /// Where the assumption stands: `docs/semantics.md#<id>`.
    pub(crate) place: String,
}

impl Line {
    pub(crate) fn new(
        check: impl Into<String>,
        assumption: &Assumption,
        verdict: Verdict,
        observed: impl Into<String>,
    ) -> Self {
        Self {
            check: check.into(),
            verdict,
            observed: observed.into(),
            assumed: assumption.assumed,
            place: format!("docs/semantics.md#{}", assumption.id),
        }
    }

    /// As assumed if `holds`.
    pub(crate) fn compared(
        check: impl Into<String>,
        assumption: &Assumption,
        holds: bool,
        observed: impl Into<String>,
    ) -> Self {
        let verdict = if holds { Verdict::AsAssumed } else { Verdict::Differs };
        Self::new(check, assumption, verdict, observed)
    }

    pub(crate) fn unanswered(
        check: impl Into<String>,
        assumption: &Assumption,
        error: &(impl std::fmt::Display + ?Sized),
    ) -> Self {
        Self::new(check, assumption, Verdict::NotAnswered, error.to_string())
    }
}

/// The file `accept` writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) schema_version: u32,
    pub(crate) tidegate: &'static str,
    pub(crate) environment: String,
    pub(crate) partition: String,
    pub(crate) account_id: String,
    pub(crate) region: String,
    pub(crate) plan_id: String,
    /// Launched, recovered and launched again, if one was named.
    pub(crate) throw_away_server: Option<String>,
    pub(crate) begun: String,
    /// Absent while it goes on, and for ever if it was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<String>,
    pub(crate) lines: Vec<Line>,
}

impl Report {
    /// Whether everything that was asked was answered, and as assumed.
    pub(crate) fn is_as_assumed(&self) -> bool {
        self.lines.iter().all(|line| !matches!(line.verdict, Verdict::Differs | Verdict::NotAnswered))
    }
}
