//! The execution's history: every event AWS would write, counted, and listed on request.

use std::sync::Arc;

use jiff::Timestamp;

use super::fault::Fault;

/// The hard quota per Standard execution. The event that ends the execution counts.
pub const MAX_HISTORY_EVENTS: u32 = 25_000;

macro_rules! event_names {
    ($($name:ident),* $(,)?) => {
        /// The history event types of AWS that this interpreter writes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum HistoryEvent { $($name),* }

        impl HistoryEvent {
            /// Every type.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As AWS spells it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}

event_names! {
    ExecutionStarted, ExecutionSucceeded, ExecutionFailed, ExecutionTimedOut, ExecutionAborted,
    ExecutionRedriven,
    PassStateEntered, PassStateExited, ChoiceStateEntered, ChoiceStateExited, WaitStateEntered, WaitStateExited,
    SucceedStateEntered, SucceedStateExited, FailStateEntered, TaskStateEntered, TaskStateExited,
    ActivityScheduled, ActivityStarted, ActivitySucceeded, ActivityFailed, ActivityTimedOut,
    TaskScheduled, TaskStarted, TaskSubmitted, TaskSucceeded, TaskFailed, TaskTimedOut,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: HistoryEvent,
    /// In which state; the execution's own events have none.
    pub state: Option<Arc<str>>,
}

/// Counts per event type, and the list if it is kept.
#[derive(Debug)]
pub struct History {
    counts: [u32; HistoryEvent::ALL.len()],
    total: u32,
    entries: Option<Vec<HistoryEntry>>,
}

impl History {
    pub(crate) fn new() -> Self {
        Self { counts: [0; HistoryEvent::ALL.len()], total: 0, entries: None }
    }

    /// Lists every event from here on; the first one, ExecutionStarted at `started`, too.
    pub(crate) fn keep_entries(&mut self, started: Timestamp) {
        if self.entries.is_none() {
            self.entries = Some(vec![HistoryEntry { at: started, event: HistoryEvent::ExecutionStarted, state: None }]);
        }
    }

    /// Writes an event, keeping one place for the event that ends the execution.
    pub(crate) fn record(&mut self, at: Timestamp, event: HistoryEvent, state: &Arc<str>) -> Result<(), Fault> {
        if self.total + 1 >= MAX_HISTORY_EVENTS {
            let cause = format!("The execution reached the maximum number of history events ({MAX_HISTORY_EVENTS}).");
            return Err(Fault::runtime(cause));
        }
        self.append(at, event, Some(state));
        Ok(())
    }

    /// Writes the first or the last event.
    pub(crate) fn bound(&mut self, at: Timestamp, event: HistoryEvent) {
        self.append(at, event, None);
    }

    fn append(&mut self, at: Timestamp, event: HistoryEvent, state: Option<&Arc<str>>) {
        self.counts[event as usize] += 1;
        self.total += 1;
        if let Some(entries) = &mut self.entries {
            entries.push(HistoryEntry { at, event, state: state.cloned() });
        }
    }

    /// The number of events so far.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// How many events of this type there are.
    pub fn count(&self, event: HistoryEvent) -> u32 {
        self.counts[event as usize]
    }

    /// Every event type that occurred, by its AWS name, with its count.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        HistoryEvent::ALL
            .iter()
            .map(|event| (event.name(), self.counts[*event as usize]))
            .filter(|(_, count)| *count > 0)
    }

    /// The list; empty unless [`super::Execution::keep_history`] was called.
    pub fn entries(&self) -> &[HistoryEntry] {
        self.entries.as_deref().unwrap_or_default()
    }
}
