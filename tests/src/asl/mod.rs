//! Rules for `statemachine/*.asl.json`. Step Functions accepts far more than is safe, and the local engine accepts even a
//! wrong `Next`, so what must hold of our machines is written here and checked on every commit.
//!
//! [`RULES`] is the table of contents. A rule looks at the definition and the contract and reports findings; it decides by
//! structure (which activity a state calls, which value a branch tests), never by a state's name, so a state may be renamed
//! without touching a rule. `tests/rust/asl_rules.rs` shows for every rule a small fault that this rule alone finds.

mod contract;
mod expression;
mod graph;
mod machine;
mod rules;
mod shapes;

pub use contract::Contract;
pub(crate) use machine::INTEGRATION;
pub use machine::{Edge, Machine, State, Via};
pub use rules::{RULES, Rule};

use serde_json::Value;
use std::fmt;

/// Something a rule does not accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Id of the rule.
    pub rule: &'static str,
    /// The state, or empty for the machine as a whole.
    pub state: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.state.is_empty() { "the machine" } else { &self.state };
        write!(f, "[{}] {place}: {}", self.rule, self.message)
    }
}

/// What a rule looks at.
pub(crate) struct Subject<'a> {
    /// The machine's name in the contract.
    pub(crate) name: &'a str,
    pub(crate) machine: Machine<'a>,
    pub(crate) contract: &'a Contract,
}

/// Collects the findings of one rule.
pub(crate) struct Report {
    rule: &'static str,
    findings: Vec<Finding>,
}

impl Report {
    pub(crate) fn add(&mut self, state: &str, message: impl Into<String>) {
        self.findings.push(Finding { rule: self.rule, state: state.to_owned(), message: message.into() });
    }
}

/// Everything that is wrong with the machine of this name; empty for a good one.
pub fn lint(name: &str, machine: &Value, contract: &Contract) -> Vec<Finding> {
    let subject = Subject { name, machine: Machine::new(machine), contract };
    RULES
        .iter()
        .flat_map(|rule| {
            let mut report = Report { rule: rule.id, findings: Vec::new() };
            (rule.check)(&subject, &mut report);
            report.findings
        })
        .collect()
}
