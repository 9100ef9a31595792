//! What is to happen when. Two entries of one moment happen in the order in which they were made.

use crate::foreign::{ConsoleLaunch, LostInstance};
use crate::machine::Event;
use crate::ports::Sending;
use crate::script::Word;
use crate::world::lifecycle::{Cut, Forgery, Sequel, Start};
use crate::world::native::NativeHold;
use jiff::Timestamp;
use serde_json::Value;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Which execution: its place in the order of their starts.
pub type Which = usize;

/// Something that is due.
#[derive(Debug)]
pub(crate) enum Due {
    /// A free worker takes the next task.
    Dispatch,
    Beat(u64),
    Deadline(u64),
    WorkerUp(usize),
    /// A frozen worker goes on.
    Thaw(usize),
    /// A call takes effect whose caller was told nothing.
    Late(Arc<Sending>),
    Tell(Which, Box<Event>),
    /// The answer of a worker whose token cannot have died, and how often the execution had ended when it took the task.
    TellAlive(Which, u32, Box<Event>),
    /// An operator's answer to a gate, opened in this state.
    Answer(Which, Box<(Event, String, Word)>),
    Request(Which, &'static str),
    Cut(Which, Cut),
    /// The rule's event is delivered.
    Reconcile(Box<Value>),
    /// Somebody starts reconcile with an event that is not true.
    Forge(Box<Forgery>),
    /// An operator continues or redrives this execution.
    Sequel(Which, Box<Sequel>),
    Start(Box<Start>),
    /// A launch by somebody else.
    Console(Box<ConsoleLaunch>),
    /// Somebody loses a server's instances.
    Lost(Box<LostInstance>),
    /// A native recovery plan execution begins (true) or ends.
    Native(Box<NativeHold>, bool),
}

#[derive(Debug)]
struct Entry {
    at: Timestamp,
    sequence: u64,
    what: Due,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

/// The agenda.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
    sequence: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, at: Timestamp, what: Due) {
        self.sequence += 1;
        self.entries.push(Reverse(Entry { at, sequence: self.sequence, what }));
    }

    /// The first entry that still means something; others are dropped on the way.
    pub(crate) fn next(&mut self, means_something: impl Fn(&Due) -> bool) -> Option<Timestamp> {
        loop {
            let Reverse(first) = self.entries.peek()?;
            if means_something(&first.what) {
                return Some(first.at);
            }
            self.entries.pop();
        }
    }

    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<Due> {
        let Reverse(first) = self.entries.peek()?;
        if first.at > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry.what)
    }
}
