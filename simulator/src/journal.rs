//! The journal: every call, what it asked, what it got. Tests prove with it what a client did *not* do.

use crate::operation::Operation;
use crate::simulator::Scope;
use crate::time::Stamp;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Longest request kept word for word; a hundred servers fit.
const KEPT_REQUEST_BYTES: usize = 16 * 1024;

/// One call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JournalEntry {
    /// 1 for the first call; gaps never occur, also after old entries are dropped.
    pub sequence: u64,
    /// When it arrived.
    pub time: Stamp,
    /// Whose account.
    pub account: String,
    /// Which Region.
    pub region: String,
    /// Operation name as called, also when unknown.
    pub operation: String,
    /// The request's body (or path parameters), unless very long.
    pub request: Value,
    /// HTTP status of the answer, also when the connection was cut instead of sending it.
    pub status: u16,
    /// Exception name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The call may change something.
    pub mutating: bool,
    /// The call was carried out (a mutating call with `effect: false` was refused).
    pub effect: bool,
    /// False when the client got no answer.
    pub answered: bool,
    /// Ids of the fault rules that struck.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// Calls of one operation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CallCounts {
    /// All.
    pub calls: u64,
    /// Those that were carried out.
    pub effects: u64,
    /// Those answered with an error or not at all.
    pub errors: u64,
}

/// The calls, newest last, at most `capacity` of them; the counters forget nothing.
#[derive(Debug)]
pub struct Journal {
    entries: VecDeque<JournalEntry>,
    capacity: usize,
    sequence: u64,
    counts: BTreeMap<String, CallCounts>,
    mutating: CallCounts,
    total: CallCounts,
}

impl Journal {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            capacity: capacity.max(1),
            sequence: 0,
            counts: BTreeMap::new(),
            mutating: CallCounts::default(),
            total: CallCounts::default(),
        }
    }

    /// The entries kept, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &JournalEntry> {
        self.entries.iter()
    }

    /// Counters per operation.
    pub fn counts(&self) -> &BTreeMap<String, CallCounts> {
        &self.counts
    }

    /// Counters of all calls that may change something.
    pub fn mutating(&self) -> CallCounts {
        self.mutating
    }

    /// Counters of all calls.
    pub fn total(&self) -> CallCounts {
        self.total
    }

    /// Forgets entries and counters.
    pub fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn record(
        &mut self,
        time: Stamp,
        scope: &Scope,
        operation: Result<Operation, &str>,
        request: &Value,
        request_bytes: usize,
        (status, error): (u16, Option<&str>),
        (effect, answered): (bool, bool),
        faults: Vec<String>,
    ) {
        self.sequence += 1;
        let mutating = operation.is_ok_and(Operation::mutating);
        let name = operation.map_or_else(str::to_owned, |operation| operation.name().to_owned());
        let failed = error.is_some() || !answered;
        let count = |counts: &mut CallCounts| {
            counts.calls += 1;
            counts.effects += u64::from(effect);
            counts.errors += u64::from(failed);
        };
        count(&mut self.total);
        // An unknown name is the client's to choose, so it must not be able to grow the table.
        count(self.counts.entry(if operation.is_ok() { name.clone() } else { "(unknown)".to_owned() }).or_default());
        if mutating {
            count(&mut self.mutating);
        }
        let request = match request_bytes <= KEPT_REQUEST_BYTES {
            true => request.clone(),
            false => serde_json::json!({"omitted": true, "bytes": request_bytes}),
        };
        if self.entries.len() == self.capacity {
            self.entries.pop_front();
        }
        self.entries.push_back(JournalEntry {
            sequence: self.sequence,
            time,
            account: scope.account.clone(),
            region: scope.region.clone(),
            operation: name,
            request,
            status,
            error: error.map(str::to_owned),
            mutating,
            effect,
            answered,
            faults,
        });
    }
}
