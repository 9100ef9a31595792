//! Questions about the graph of transitions.

use super::machine::Edge;
use std::collections::{BTreeMap, BTreeSet};

/// Every state that can be reached from `start`, itself included, over edges that `passes` lets through.
pub(crate) fn reachable<'a>(
    start: &'a str,
    edges: &[Edge<'a>],
    passes: impl Fn(&Edge<'a>) -> bool,
) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![start];
    while let Some(state) = open.pop() {
        for edge in edges.iter().filter(|edge| edge.from == state && passes(edge)) {
            if seen.insert(edge.to) {
                open.push(edge.to);
            }
        }
    }
    seen
}

/// The states that lie on a cycle of these edges.
pub(crate) fn on_cycles<'a>(edges: &[Edge<'a>]) -> BTreeSet<&'a str> {
    let starts: BTreeSet<&'a str> = edges.iter().map(|edge| edge.from).collect();
    starts
        .into_iter()
        .filter(|start| {
            let next = edges.iter().filter(|edge| edge.from == *start);
            next.into_iter().any(|edge| reachable(edge.to, edges, |_| true).contains(start))
        })
        .collect()
}

/// Edges by their target.
pub(crate) fn incoming<'a, 'e>(edges: &'e [Edge<'a>]) -> BTreeMap<&'a str, Vec<&'e Edge<'a>>> {
    let mut by_target: BTreeMap<&'a str, Vec<&'e Edge<'a>>> = BTreeMap::new();
    for edge in edges {
        by_target.entry(edge.to).or_default().push(edge);
    }
    by_target
}
