//! From a seed that fails to the smallest story that still breaks the same promise: delta debugging over everything that
//! went wrong and everything the story is made of. Deterministic: the same seed shrinks to the same line.

use crate::replay::Replay;
use crate::run::Outcome;
use crate::script::Entry;

/// A shrunk story.
#[derive(Debug)]
pub struct Shrunk {
    pub replay: Replay,
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: u32,
}

struct Shrinker {
    rule: &'static str,
    best: Replay,
    outcome: Outcome,
    runs: u32,
    most_runs: u32,
}

/// Shrinks a failing run of `replay`, with at most so many runs. `None`: its script does not fail again, which would be a
/// fault of the simulation itself.
pub fn shrink(replay: &Replay, failed: &Outcome, most_runs: u32) -> Result<Option<Shrunk>, String> {
    let Some(violation) = &failed.violation else { return Ok(None) };
    let scripted = Replay { script: Some(failed.script.clone()), ..replay.clone() };
    let outcome = scripted.run()?;
    if outcome.violation.as_ref().map(|found| found.rule) != Some(violation.rule) {
        return Ok(None);
    }
    let mut shrinker = Shrinker { rule: violation.rule, best: scripted, outcome, runs: 1, most_runs };
    loop {
        let before = shrinker.size();
        shrinker.fewer_entries()?;
        shrinker.fewer_parts()?;
        if shrinker.size() == before || shrinker.runs >= shrinker.most_runs {
            break;
        }
    }
    Ok(Some(Shrunk { replay: shrinker.best, outcome: shrinker.outcome, runs: shrinker.runs }))
}

impl Shrinker {
    /// What is left.
    fn size(&self) -> (usize, usize) {
        (self.entries().len(), self.best.without.len())
    }

    fn entries(&self) -> &[Entry] {
        self.best.script.as_deref().unwrap_or_default()
    }

    /// Takes `smaller` if it breaks the same promise.
    fn offer(&mut self, smaller: Replay) -> Result<bool, String> {
        if self.runs >= self.most_runs {
            return Ok(false);
        }
        self.runs += 1;
        let outcome = smaller.run()?;
        let same = outcome.violation.as_ref().is_some_and(|violation| violation.rule == self.rule);
        if same {
            (self.best, self.outcome) = (smaller, outcome);
        }
        Ok(same)
    }

    /// Halves, quarters, … of the entries are left out, down to single ones.
    fn fewer_entries(&mut self) -> Result<(), String> {
        let mut portion = self.entries().len();
        while portion > 0 {
            let mut from = 0;
            while from < self.entries().len() {
                let until = (from + portion).min(self.entries().len());
                let kept: Vec<Entry> = [&self.entries()[..from], &self.entries()[until..]].concat();
                if !self.offer(Replay { script: Some(kept), ..self.best.clone() })? {
                    from = until;
                }
            }
            portion /= 2;
        }
        Ok(())
    }

    /// Waves, servers, requests, other people, workers: one after the other is left out.
    fn fewer_parts(&mut self) -> Result<(), String> {
        for part in self.best.story().parts() {
            if self.best.without.contains(&part) {
                continue;
            }
            let mut smaller = self.best.clone();
            smaller.without.insert(part);
            self.offer(smaller)?;
        }
        Ok(())
    }
}
