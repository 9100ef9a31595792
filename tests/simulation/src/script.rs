//! What happened in a run, written down so that it can happen again: one entry per fault and per answer of a person.
//!
//! ```text
//!   start-wave-v1/drs:StartRecovery#1=lostAfter gate/AwaitResume#1=resume@640 token/poll-wave-v1#3=lostBefore
//! ```
//! `#n` counts visits to the place. A gate that is not named is answered by a willing person after a minute.

use crate::faults::Fault;
use crate::luck::Luck;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Where something can happen: an activity's call, a token's hand-out, a state's own call, a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    pub by: &'a str,
    pub to: &'a str,
}

impl Place<'_> {
    /// A number for the place (FNV-1a over its text), the same in every run.
    pub fn key(self) -> u64 {
        key(self.by.bytes().chain([b'/']).chain(self.to.bytes()))
    }
}

fn key(text: impl Iterator<Item = u8>) -> u64 {
    text.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.by, self.to)
    }
}

/// What a person says at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Word {
    /// `{}`.
    #[default]
    Resume,
    /// `{"approvedBy": …}`.
    ResumeNamed,
    /// `42`.
    ResumeNumber,
    Retry,
    Skip,
    Continue,
    Abort,
    /// SendTaskFailure, with all it takes or without.
    Decline,
    DeclineBare,
    DeclineError,
    DeclineCause,
    /// An output that is no decision.
    Nonsense,
    /// Nothing at all.
    Silence,
}

impl Word {
    /// Whether it is a SendTaskFailure.
    pub fn declines(self) -> bool {
        matches!(self, Self::Decline | Self::DeclineBare | Self::DeclineError | Self::DeclineCause)
    }

    const ALL: &[(Self, &str)] = &[
        (Self::Resume, "resume"),
        (Self::ResumeNamed, "resumeNamed"),
        (Self::ResumeNumber, "resumeNumber"),
        (Self::Retry, "retry"),
        (Self::Skip, "skip"),
        (Self::Continue, "continue"),
        (Self::Abort, "abort"),
        (Self::Decline, "decline"),
        (Self::DeclineBare, "declineBare"),
        (Self::DeclineError, "declineError"),
        (Self::DeclineCause, "declineCause"),
        (Self::Nonsense, "nonsense"),
        (Self::Silence, "silence"),
    ];
}

/// A person's answer, and after how many seconds it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub word: Word,
    pub after_seconds: u32,
}

/// The state in which a failed wave waits for a decision; every other gate waits for a resume.
const DECISION_STATE: &str = "AwaitDecision";

impl Answer {
    /// What a person says, sometimes late, sometimes badly, sometimes not at all.
    pub fn drawn(state: &str, contrary_per_cent: u32, luck: &mut Luck) -> Self {
        let after_seconds = 1 + luck.below(900);
        let word = if luck.below(100) < contrary_per_cent {
            match luck.pick(&[Word::Silence, Word::Decline, Word::Nonsense, Word::Abort]) {
                Word::Decline => luck.pick(&[Word::Decline, Word::DeclineBare, Word::DeclineError, Word::DeclineCause]),
                word => word,
            }
        } else if state == DECISION_STATE {
            luck.pick(&[Word::Retry, Word::Retry, Word::Skip, Word::Continue, Word::Abort])
        } else {
            luck.pick(&[Word::Resume, Word::ResumeNamed, Word::ResumeNumber])
        };
        Self { word, after_seconds }
    }

    /// What a willing person says: a decision is to try again, twice, and then to give up.
    pub fn unscripted(state: &str, nth: u32) -> Self {
        let word = match (state == DECISION_STATE, nth) {
            (false, _) => Word::Resume,
            (true, 1 | 2) => Word::Retry,
            (true, _) => Word::Abort,
        };
        Self { word, after_seconds: 60 }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    Fault(Fault),
    Answer(Answer),
}

/// One thing that happened, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub place: String,
    pub nth: u32,
    pub what: Happening,
}

const FAULTS: &[(Fault, &str)] = &[
    (Fault::LostBefore, "lostBefore"),
    (Fault::LostAfter, "lostAfter"),
    (Fault::Throttled, "throttled"),
    (Fault::Hang, "hang"),
    (Fault::CrashBefore, "crashBefore"),
    (Fault::CrashAfter, "crashAfter"),
    (Fault::Duplicate, "duplicate"),
];

type Timed = fn(u32) -> Fault;
/// Faults that last, or come, so many seconds.
const TIMED: &[(Timed, &str)] = &[
    (Fault::Freeze, "freeze"),
    (Fault::FreezeAfter, "freezeAfter"),
    (Fault::Late, "late"),
    (Fault::CrashLate, "crashLate"),
];

impl fmt::Display for Happening {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(Fault::Freeze(seconds)) => write!(formatter, "freeze:{seconds}"),
            Self::Fault(Fault::FreezeAfter(seconds)) => write!(formatter, "freezeAfter:{seconds}"),
            Self::Fault(Fault::Late(seconds)) => write!(formatter, "late:{seconds}"),
            Self::Fault(Fault::CrashLate(seconds)) => write!(formatter, "crashLate:{seconds}"),
            Self::Fault(fault) => {
                let name = FAULTS.iter().find(|(known, _)| known == fault).map_or("", |(_, name)| name);
                formatter.write_str(name)
            }
            Self::Answer(Answer { word, after_seconds }) => {
                let name = Word::ALL.iter().find(|(known, _)| known == word).map_or("", |(_, name)| name);
                write!(formatter, "{name}@{after_seconds}")
            }
        }
    }
}

impl FromStr for Happening {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let unknown = || ScriptError(format!("{text} is no fault and no answer"));
        if let Some((name, seconds)) = text.split_once(':') {
            let (fault, _) = TIMED.iter().find(|(_, known)| *known == name).ok_or_else(unknown)?;
            return seconds.parse().map(|seconds| Self::Fault(fault(seconds))).map_err(|_| unknown());
        }
        if let Some((_, fault)) = FAULTS.iter().map(|(fault, name)| (name, fault)).find(|(name, _)| **name == text) {
            return Ok(Self::Fault(*fault));
        }
        let (name, seconds) = text.split_once('@').ok_or_else(unknown)?;
        let (word, _) = Word::ALL.iter().find(|(_, known)| *known == name).ok_or_else(unknown)?;
        let after_seconds = seconds.parse().map_err(|_| unknown())?;
        Ok(Self::Answer(Answer { word: *word, after_seconds }))
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}#{}={}", self.place, self.nth, self.what)
    }
}

impl FromStr for Entry {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let wrong = || ScriptError(format!("{text}: expected place#n=what"));
        let (place, rest) = text.split_once('#').ok_or_else(wrong)?;
        let (nth, what) = rest.split_once('=').ok_or_else(wrong)?;
        Ok(Self { place: place.to_owned(), nth: nth.parse().map_err(|_| wrong())?, what: what.parse()? })
    }
}

/// A script that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(pub String);

/// Everything that is to happen.
#[derive(Debug, Clone, Default)]
pub struct Script {
    entries: BTreeMap<(u64, u32), Happening>,
}

impl Script {
    /// The fault at this visit, if there is one.
    pub fn fault(&self, place: u64, nth: u32) -> Option<Fault> {
        match self.entries.get(&(place, nth)) {
            Some(Happening::Fault(fault)) => Some(*fault),
            _ => None,
        }
    }

    /// The answer at this visit, if it is written down.
    pub fn answer(&self, place: u64, nth: u32) -> Option<Answer> {
        match self.entries.get(&(place, nth)) {
            Some(Happening::Answer(answer)) => Some(*answer),
            _ => None,
        }
    }
}

impl<'a> FromIterator<&'a Entry> for Script {
    fn from_iter<I: IntoIterator<Item = &'a Entry>>(entries: I) -> Self {
        let entries = entries.into_iter().map(|entry| ((key(entry.place.bytes()), entry.nth), entry.what)).collect();
        Self { entries }
    }
}

/// Entries as one line, apart by blanks.
pub fn print(entries: &[Entry]) -> String {
    entries.iter().map(Entry::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = "start-wave-v1/drs:StartRecovery#1=lostAfter gate/AwaitResume#2=resumeNamed@640 \
                    token/poll-wave-v1#3=lostBefore poll-wave-v1/dynamodb:PutItem#12=freeze:120 \
                    token/poll-wave-v1#4=duplicate start-wave-v1/drs:DescribeJobs#2=freezeAfter:40 start-wave-v1/drs:StartRecovery#3=late:90 \
                    start-cleanup-v1/drs:TerminateRecoveryInstances#1=crashLate:20";
        let entries: Vec<Entry> = text.split_whitespace().map(|entry| entry.parse().unwrap()).collect();
        assert_eq!(print(&entries), text);
        let script: Script = entries.iter().collect();
        let place = Place { by: "start-wave-v1", to: "drs:StartRecovery" };
        assert_eq!(script.fault(place.key(), 1), Some(Fault::LostAfter));
        assert_eq!(script.fault(place.key(), 2), None);
        let gate = Place { by: "gate", to: "AwaitResume" };
        assert_eq!(script.answer(gate.key(), 2), Some(Answer { word: Word::ResumeNamed, after_seconds: 640 }));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in [
            "x",
            "x#1",
            "x#a=hang",
            "x#1=explode",
            "x#1=resume",
            "x#1=resume@soon",
            "x#1=freeze:",
            "x#1=late",
            "x#1=soon:3",
        ] {
            assert!(text.parse::<Entry>().is_err(), "{text}");
        }
    }
}
