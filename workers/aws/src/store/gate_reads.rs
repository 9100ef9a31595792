//! Reading records with and without their gate. The gate's task token is a capability: `terraform/modules/operator-policies`
//! lets only approvers read it, and IAM knows attributes by their top-level names, so everybody else must ask for a record
//! without the attribute `gate`. Workers always read whole records; the operator's tool finds out by being denied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tidegate_contract::document;

const GATE: &str = "gate";

/// How reads of execution records are done.
#[derive(Debug, Clone, Default)]
pub(super) enum GateReads {
    /// Whole records; a denial is an error.
    #[default]
    Always,
    /// Whole records until that is denied, and from then on without the gate. Clones of a store learn it together.
    UntilDenied(Arc<AtomicBool>),
}

impl GateReads {
    pub(super) fn until_denied() -> Self {
        Self::UntilDenied(Arc::default())
    }

    pub(super) fn is_hidden(&self) -> bool {
        // Relaxed: no other data hangs on it, and who reads an old value is denied once more.
        matches!(self, Self::UntilDenied(hidden) if hidden.load(Ordering::Relaxed))
    }

    /// Called when a whole record was denied: whether to read without the gate instead.
    pub(super) fn hide(&self) -> bool {
        match self {
            Self::Always => false,
            Self::UntilDenied(hidden) => {
                hidden.store(true, Ordering::Relaxed);
                true
            }
        }
    }
}

/// What a projection names.
pub(super) struct Projection {
    pub(super) expression: String,
    pub(super) names: Vec<(String, String)>,
}

/// Every attribute of a record but the gate.
pub(super) fn without_gate() -> Projection {
    let names: Vec<(String, String)> = document::record_attributes()
        .into_iter()
        .filter(|name| name != GATE)
        .enumerate()
        .map(|(index, name)| (format!("#a{index}"), name))
        .collect();
    let aliases: Vec<&str> = names.iter().map(|(alias, _)| alias.as_str()).collect();
    Projection { expression: aliases.join(", "), names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_names_everything_but_the_gate() {
        let projection = without_gate();
        let names: Vec<&str> = projection.names.iter().map(|(_, name)| name.as_str()).collect();
        for name in ["executionId", "planId", "status", "timeline", "executionArn"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(!names.contains(&GATE));
        assert_eq!(projection.expression.split(", ").count(), names.len());
    }

    #[test]
    fn a_worker_is_never_content_with_half_a_record() {
        assert!(!GateReads::Always.hide());
        let tool = GateReads::until_denied();
        let same = tool.clone();
        assert!(!same.is_hidden());
        assert!(tool.hide() && same.is_hidden());
    }
}
