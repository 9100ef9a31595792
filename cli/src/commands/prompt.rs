//! Questions to a person. A thread of its own reads the lines, because a blocked read cannot be called off when somebody
//! else answers the gate meanwhile, and must not keep the process from ending.

use crate::args::{Approve, Decision};
use crate::error::CliError;
use crate::output::Output;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use tidegate_contract::records::{Gate, GateKind};

/// The lines a person types.
#[derive(Debug)]
pub(super) struct Lines(Receiver<String>);

/// What came so far.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Nothing,
    Line(String),
    /// Standard input has ended.
    End,
}

impl Lines {
    /// Starts reading.
    pub(super) fn open() -> Self {
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(receiver)
    }

    pub(super) fn next(&self) -> Typed {
        match self.0.try_recv() {
            Ok(line) => Typed::Line(line),
            Err(TryRecvError::Empty) => Typed::Nothing,
            Err(TryRecvError::Disconnected) => Typed::End,
        }
    }

    /// Forgets what was typed before the question was asked.
    pub(super) fn drain(&self) {
        while self.0.try_recv().is_ok() {}
    }
}

/// Asks once and waits.
pub(super) fn confirm(output: &Output, question: &str) -> Result<bool, CliError> {
    confirm_with(output, question, "yes")
}

/// The same, with a word that has to be typed.
pub(super) fn confirm_with(output: &Output, question: &str, word: &str) -> Result<bool, CliError> {
    output.question(question)?;
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .map_err(|source| CliError::Unreadable { path: "the answer".to_owned(), source })?;
    Ok(line.trim() == word)
}

/// What a gate asks a person.
pub(super) fn question(gate: &Gate) -> String {
    match gate.kind {
        GateKind::Resume => format!("Let wave {} start? [y/N]", gate.wave_number),
        GateKind::Decision => {
            format!("Wave {}: retry, skip, continue or abort? (Enter leaves the gate open)", gate.wave_number)
        }
    }
}

/// What a person's line means; None: leave the gate open.
pub(super) fn understand(kind: GateKind, line: &str) -> Option<Option<Decision>> {
    let word = line.trim().to_ascii_lowercase();
    match kind {
        GateKind::Resume => matches!(word.as_str(), "y" | "yes").then_some(None),
        GateKind::Decision => Decision::ALL.into_iter().find(|decision| decision.as_str() == word).map(Some),
    }
}

/// What `--approve auto` answers; None: nothing, a person must.
pub(super) fn automatic(approve: Approve, kind: GateKind, decide: Option<Decision>) -> Option<Option<Decision>> {
    match (approve, kind) {
        (Approve::Auto, GateKind::Resume) => Some(None),
        (Approve::Auto, GateKind::Decision) => decide.map(Some),
        (Approve::Ask | Approve::Never, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_lets_a_wave_start() {
        for (line, yes) in [("y", true), (" YES ", true), ("", false), ("n", false), ("yep", false), ("retry", false)] {
            assert_eq!(understand(GateKind::Resume, line).is_some(), yes, "{line:?}");
        }
    }

    #[test]
    fn a_decision_is_spelled_out() {
        assert_eq!(understand(GateKind::Decision, " Abort\n"), Some(Some(Decision::Abort)));
        for line in ["", "y", "r", "retry now"] {
            assert_eq!(understand(GateKind::Decision, line), None, "{line:?}");
        }
    }

    #[test]
    fn a_failed_wave_is_never_decided_by_itself() {
        assert_eq!(automatic(Approve::Auto, GateKind::Resume, None), Some(None));
        assert_eq!(automatic(Approve::Auto, GateKind::Decision, None), None);
        assert_eq!(automatic(Approve::Auto, GateKind::Decision, Some(Decision::Abort)), Some(Some(Decision::Abort)));
        assert_eq!(automatic(Approve::Never, GateKind::Resume, Some(Decision::Retry)), None);
    }
}
