//! A story in one line: the seed it is drawn from (or the canonical plan), what was left out of it, and what happens in it.
//!
//! ```text
//!   seed=224 bug=no-fencing without=wave:2,server:3,workers:1 start-wave-v1/drs:StartRecovery#1=lostAfter
//! ```
//! Without entries and without the word `script` faults are drawn, as the seed has it.

use crate::bugs::Bug;
use crate::hunt;
use crate::parts::Part;
use crate::run::{Outcome, run, tell};
use crate::scenario::Story;
use crate::script::{Entry, print};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What the story is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    Seed(u64),
    /// The canonical plan as a drill, with its cleanup.
    Drill,
    /// The canonical plan as a recovery.
    Recovery,
}

impl Base {
    /// The story.
    pub fn story(self) -> Story {
        match self {
            Self::Seed(seed) => Story::from_seed(seed),
            Self::Drill => Story::canonical(7),
            Self::Recovery => Story::canonical_recovery(7),
        }
    }
}

/// A story that can be written down.
#[derive(Debug, Clone)]
pub struct Replay {
    pub base: Base,
    pub bug: Option<&'static Bug>,
    pub without: BTreeSet<Part>,
    /// None: drawn.
    pub script: Option<Vec<Entry>>,
}

/// A line that is no story.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReplayError(String);

impl Replay {
    /// The whole story, as its seed has it.
    pub fn of(base: Base, bug: Option<&'static Bug>) -> Self {
        Self { base, bug, without: BTreeSet::new(), script: None }
    }

    /// The story.
    pub fn story(&self) -> Story {
        let mut story = self.base.story();
        story.bug = self.bug;
        story.leave_out(&self.without);
        if let Some(script) = &self.script {
            story.script = Some(script.clone());
        }
        story
    }

    /// Runs it.
    pub fn run(&self) -> Result<Outcome, String> {
        Ok(run(&hunt::machine(self.bug)?, self.story()))
    }

    /// Runs it and tells what happened, a line each.
    pub fn tell(&self) -> Result<(Outcome, Vec<String>), String> {
        Ok(tell(&hunt::machine(self.bug)?, self.story()))
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Base::Seed(seed) => write!(formatter, "seed={seed}")?,
            Base::Drill => formatter.write_str("plan=drill")?,
            Base::Recovery => formatter.write_str("plan=recovery")?,
        }
        if let Some(bug) = self.bug {
            write!(formatter, " bug={}", bug.name)?;
        }
        if !self.without.is_empty() {
            let parts: Vec<String> = self.without.iter().map(Part::to_string).collect();
            write!(formatter, " without={}", parts.join(","))?;
        }
        match &self.script {
            Some(entries) if entries.is_empty() => formatter.write_str(" script"),
            Some(entries) => write!(formatter, " {}", print(entries)),
            None => Ok(()),
        }
    }
}

impl FromStr for Replay {
    type Err = ReplayError;

    fn from_str(text: &str) -> Result<Self, ReplayError> {
        let mut replay = Self::of(Base::Drill, None);
        for word in text.split_whitespace() {
            let wrong = || ReplayError(format!("{word} is no part of a story"));
            if word.contains('#') {
                let entry = word.parse().map_err(|error| ReplayError(format!("{error}")))?;
                replay.script.get_or_insert_default().push(entry);
                continue;
            }
            match word.split_once('=') {
                None if word == "script" => drop(replay.script.get_or_insert_default()),
                Some(("seed", seed)) => replay.base = Base::Seed(seed.parse().map_err(|_| wrong())?),
                Some(("plan", "drill")) => replay.base = Base::Drill,
                Some(("plan", "recovery")) => replay.base = Base::Recovery,
                Some(("bug", name)) => {
                    replay.bug = Some(Bug::named(name).map_err(|error| ReplayError(error.to_string()))?);
                }
                Some(("without", parts)) => {
                    for part in parts.split(',') {
                        replay.without.insert(part.parse().map_err(|()| wrong())?);
                    }
                }
                _ => return Err(wrong()),
            }
        }
        Ok(replay)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for text in [
            "seed=224",
            "plan=recovery script",
            "seed=7 bug=no-fencing without=wave:2,server:3,workers:1 poll-wave-v1/drs:DescribeJobs#3=hang",
        ] {
            assert_eq!(text.parse::<Replay>().unwrap().to_string(), text);
        }
        for text in ["seed=x", "bug=none-of-them", "without=wave", "without=wall:1", "what"] {
            assert!(text.parse::<Replay>().is_err(), "{text}");
        }
    }
}
