//! A run told line by line, for a person who wants to see what happened without a debugger: every state, task, call, answer and
//! log line, with its virtual time. Told on request and per thread, as log lines are heard ([`crate::invariants::leaks`]), so
//! that a seed that is only counted pays for one look at a flag.
//!
//! - this file: the lines. `told`: what is asked and answered at a port, in a few words.

mod told;

pub(crate) use told::{Told, instances_of, jobs_named, short, write};

use jiff::Timestamp;
use std::cell::RefCell;
use std::collections::BTreeMap;

struct Narration {
    start: Timestamp,
    now: Timestamp,
    lines: Vec<String>,
    /// The worker, the activity and the attempt behind each task.
    tasks: BTreeMap<u64, String>,
    /// The task whose code runs now.
    working: u64,
}

thread_local! {
    static NARRATION: RefCell<Option<Narration>> = const { RefCell::new(None) };
}

impl Narration {
    fn add(&mut self, who: &str, what: &str) {
        let milliseconds = self.now.duration_since(self.start).as_millis();
        let (seconds, rest) = (milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000));
        self.lines.push(format!("{seconds:>7}.{rest:03}  {who}: {what}"));
    }

    fn who(&self, task: u64) -> String {
        self.tasks.get(&task).cloned().unwrap_or_else(|| format!("task {task}"))
    }
}

/// Runs `what` on this thread and returns its lines, times counted from `start`.
pub(crate) fn narrated<T>(start: Timestamp, what: impl FnOnce() -> T) -> (T, Vec<String>) {
    let fresh = Narration { start, now: start, lines: Vec::new(), tasks: BTreeMap::new(), working: 0 };
    NARRATION.set(Some(fresh));
    let done = what();
    (done, NARRATION.take().map(|narration| narration.lines).unwrap_or_default())
}

fn with(what: impl FnOnce(&mut Narration)) {
    NARRATION.with_borrow_mut(|narration| {
        if let Some(narration) = narration {
            what(narration);
        }
    });
}

/// Whether anybody listens: what costs something to describe is described only then.
pub(crate) fn is_on() -> bool {
    NARRATION.with_borrow(Option::is_some)
}

/// The virtual time of the lines that follow.
pub(crate) fn at(now: Timestamp) {
    with(|narration| narration.now = now);
}

/// Somebody did something.
pub(crate) fn tell(who: &str, what: impl FnOnce() -> String) {
    if is_on() {
        let what = what();
        with(|narration| narration.add(who, &what));
    }
}

/// A worker takes a task: `name` says who it is, and at which attempt, in every line of the task.
pub(crate) fn begin_task(task: u64, name: impl FnOnce() -> String) {
    with(|narration| drop(narration.tasks.insert(task, name())));
}

/// A task did something.
pub(crate) fn tell_task(task: u64, what: impl FnOnce() -> String) {
    if is_on() {
        let what = what();
        with(|narration| narration.add(&narration.who(task), &what));
    }
}

/// The task whose code runs now, so that its log lines are told as its own.
pub(crate) fn works_at(task: u64) {
    with(|narration| narration.working = task);
}

/// A log line of the code that runs now.
pub(crate) fn tell_log(line: &str) {
    with(|narration| {
        let who = narration.who(narration.working);
        narration.add(&who, &format!("logs{line}"));
    });
}
