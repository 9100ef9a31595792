//! `tidegate watch`: look, tell what is new, answer gates if asked to, until the execution has ended everywhere.

use super::display::Display;
use super::gate;
use super::prompt::{Lines, Typed, automatic, question, understand};
use crate::answer::Said;
use crate::args::{Approve, Decision, Following};
use crate::error::CliError;
use crate::looking::{Asking, PATIENCE_SECONDS, pause, unread_waves};
use crate::output::Output;
use crate::render::gate::render_gate;
use crate::render::progress::instances_hint;
use crate::render::text::duration;
use crate::session::Session;
use crate::verdict::{Machine, judge};
use crate::view::{RunView, WaveItems};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;
use tidegate_aws::ErrorClass;
use tidegate_aws::ports::WaveStore;
use tidegate_contract::records::{ExecutionRecord, Gate, Requests};
use tidegate_core::time::seconds_between;

/// How often moving bars are redrawn.
const FRAME: Duration = Duration::from_millis(250);

/// A name without a record, and no state machine to ask about it, is given up after this.
const NO_RECORD_SECONDS: u32 = 15;

/// After this many seconds Step Functions knows what was started here.
const JUST_STARTED_SECONDS: u32 = 30;

/// Written by the shell for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Which execution to follow.
#[derive(Debug, Clone)]
pub(super) struct Target {
    name: String,
    /// Known when it was started here a moment ago, so that its record may be still to come.
    arn: Option<String>,
}

impl Target {
    /// An execution somebody names.
    pub(super) fn found(name: &str) -> Self {
        Self { name: name.to_owned(), arn: None }
    }

    /// An execution just started.
    pub(super) fn started(name: &str, arn: String) -> Self {
        Self { name: name.to_owned(), arn: Some(arn) }
    }
}

/// Follows it; the exit code is 0 only for a clean COMPLETED.
pub(super) async fn run(
    session: &Session,
    output: &Output,
    target: Target,
    following: &Following,
) -> Result<ExitCode, CliError> {
    if following.approve == Approve::Ask && !output.can_ask() {
        return Err(CliError::NobodyToAsk);
    }
    let name = target.name.clone();
    let mut follower = Follower::new(session, output, target, following);
    tokio::select! {
        result = follower.follow() => {
            follower.display.finish();
            follower.conclude(result?)
        }
        _ = tokio::signal::ctrl_c() => {
            follower.display.finish();
            output.note(&format!("\nno longer watching; the execution goes on: tidegate watch {name}"))?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

struct Follower<'a> {
    session: &'a Session,
    output: &'a Output,
    following: &'a Following,
    target: Target,
    display: Display<'a>,
    known: BTreeMap<u32, WaveItems>,
    timeline_read: usize,
    asking: Asking,
    began: Timestamp,
    /// When reads began to fail in passing.
    failing_since: Option<Timestamp>,
    /// The wait for the record has been told.
    told_waiting: bool,
    /// Step Functions may be asked; until it refuses.
    may_ask: bool,
    /// The gate that was last dealt with.
    gate_seen: Option<Gate>,
    lines: Option<Lines>,
    /// The gate a person is being asked about.
    question: Option<Gate>,
}

/// All there is to know at the end.
struct End {
    view: Option<RunView>,
    machine: Machine,
}

impl<'a> Follower<'a> {
    fn new(session: &'a Session, output: &'a Output, target: Target, following: &'a Following) -> Self {
        let now = session.now();
        Self {
            session,
            output,
            following,
            target,
            display: Display::new(output, following.plain),
            known: BTreeMap::new(),
            timeline_read: 0,
            asking: Asking::new(now),
            began: now,
            failing_since: None,
            told_waiting: false,
            may_ask: true,
            gate_seen: None,
            lines: None,
            question: None,
        }
    }

    async fn follow(&mut self) -> Result<End, CliError> {
        let mut view: Option<RunView> = None;
        let mut machine = Machine::Unknown;
        loop {
            match self.look().await {
                Ok(seen) => {
                    self.failing_since = None;
                    if seen != view {
                        self.asking.change_seen(self.session.now());
                        view = seen;
                    }
                    if let Some(view) = &view {
                        self.display.update(view, self.session.now())?;
                        self.attend_gate(&view.record).await?;
                    }
                }
                Err(error) => self.forgive(error)?,
            }
            let record = view.as_ref().map(|view| &view.record);
            if self.may_ask && self.asking.is_due(record, self.session.now()) {
                machine = self.ask_machine(record).await?;
            }
            if self.asking.is_over(record, &machine, self.session.now()) {
                return Ok(End { view, machine });
            }
            self.rest(view.as_ref()).await?;
        }
    }

    /// The execution as it is now; waves that cannot have changed are not read again.
    async fn look(&mut self) -> Result<Option<RunView>, CliError> {
        let Some(record) = self.session.find(&self.target.name).await? else { return Ok(None) };
        let reading = || format!("cannot read the waves of {}", self.target.name);
        let requests =
            if record.status.is_terminal() { Requests::default() } else { self.session.requests(&record).await? };
        let unread = unread_waves(&record, &self.known, self.timeline_read);
        // A final record, and the first look at a run of many waves, take everything in one query.
        if record.status.is_terminal() || unread.len() > 2 {
            let items = self.session.store.load_run(&record.execution_id).await.map_err(CliError::port(reading()))?;
            self.timeline_read = record.timeline.len();
            return Ok(Some(RunView { requests, ..RunView::new(record, items.waves, items.shards) }));
        }
        for number in unread {
            let items =
                self.session.store.load_wave(&record.execution_id, number).await.map_err(CliError::port(reading()))?;
            if let Some(items) = items {
                self.known.insert(number, items);
            }
        }
        self.timeline_read = record.timeline.len();
        Ok(Some(RunView { requests, ..RunView::from_items(record, &self.known) }))
    }

    fn forgive(&mut self, error: CliError) -> Result<(), CliError> {
        let now = self.session.now();
        let patient = self.failing_since.is_none_or(|since| seconds_between(since, now) < PATIENCE_SECONDS);
        if !error.may_pass() || !patient {
            return Err(error);
        }
        if self.failing_since.is_none() {
            self.failing_since = Some(now);
            self.display.say(&format!("{error}; trying again for {}", duration(PATIENCE_SECONDS)), now)?;
        }
        Ok(())
    }

    async fn ask_machine(&mut self, record: Option<&ExecutionRecord>) -> Result<Machine, CliError> {
        let arn = record.map(|record| record.execution_arn.clone()).or_else(|| self.target.arn.clone());
        let Some(arn) = arn.or_else(|| self.session.execution_arn(&self.target.name)) else {
            return if seconds_between(self.began, self.session.now()) < NO_RECORD_SECONDS {
                Ok(Machine::Unknown)
            } else {
                Err(self.not_found())
            };
        };
        let machine = match self.session.describe(&arn).await {
            Ok(Some(status)) => Machine::of(status),
            Ok(None) if record.is_none() && !self.is_just_started() => return Err(self.not_found()),
            // Known by its record only: Step Functions forgets an execution after 90 days.
            Ok(None) => Machine::Unknown,
            Err(CliError::Port { source, .. }) if source.class == ErrorClass::Denied => {
                self.may_ask = false;
                let line =
                    "Step Functions may not be asked (states:DescribeExecution is denied); going by the record alone";
                self.display.say(line, self.session.now())?;
                Machine::Unknown
            }
            Err(error) => {
                self.forgive(error)?;
                return Ok(Machine::Unknown);
            }
        };
        let now = self.session.now();
        if let (Machine::Ended(ended), false) = (&machine, record.is_some_and(|record| record.status.is_terminal())) {
            self.display.say(
                &format!("Step Functions says {}; waiting for the record to say how it ended", ended.status),
                now,
            )?;
        }
        if record.is_none() && machine == Machine::Running && !self.told_waiting {
            self.told_waiting = true;
            self.display.say("it runs, but has no record yet: its plan is being checked", now)?;
        }
        self.asking.answered(now, &machine);
        Ok(machine)
    }

    fn is_just_started(&self) -> bool {
        self.target.arn.is_some() && seconds_between(self.began, self.session.now()) < JUST_STARTED_SECONDS
    }

    fn not_found(&self) -> CliError {
        CliError::NotFound { name: self.target.name.clone() }
    }

    /// A new gate is announced once, and answered as `--approve` says.
    async fn attend_gate(&mut self, record: &ExecutionRecord) -> Result<(), CliError> {
        let now = self.session.now();
        if record.gate != self.gate_seen {
            if self.question.take().is_some() {
                self.display.asked();
                self.display.say("the gate has been answered elsewhere, or its time is over", now)?;
            }
            self.gate_seen.clone_from(&record.gate);
            let Some(gate) = record.gate.clone() else { return Ok(()) };
            if let Some(text) = render_gate(record, self.session.gates_table(), now) {
                self.display.say(&text, now)?;
            }
            match automatic(self.following.approve, gate.kind, self.following.decide) {
                Some(decision) => self.answer(&gate, decision, Some("approved automatically")).await?,
                None if self.following.approve == Approve::Ask => self.ask_person(gate)?,
                None if self.following.approve == Approve::Auto => {
                    self.display.say(
                        "a failed wave is not decided automatically without --decide; waiting for an answer",
                        now,
                    )?;
                }
                None => {}
            }
        }
        self.hear_person().await
    }

    fn ask_person(&mut self, gate: Gate) -> Result<(), CliError> {
        self.lines.get_or_insert_with(Lines::open).drain();
        self.display.ask(&question(&gate))?;
        self.question = Some(gate);
        Ok(())
    }

    async fn hear_person(&mut self) -> Result<(), CliError> {
        let (Some(gate), Some(lines)) = (self.question.as_ref(), self.lines.as_ref()) else { return Ok(()) };
        let typed = lines.next();
        let decision = match &typed {
            Typed::Nothing => return Ok(()),
            Typed::Line(line) => understand(gate.kind, line),
            Typed::End => None,
        };
        let gate = gate.clone();
        self.question = None;
        self.display.asked();
        match decision {
            Some(decision) => self.answer(&gate, decision, None).await,
            None => self.display.say("left open; still watching", self.session.now()),
        }
    }

    async fn answer(&mut self, gate: &Gate, decision: Option<Decision>, comment: Option<&str>) -> Result<(), CliError> {
        let said = Said { by: self.following.by.as_deref(), comment, decision, output: None };
        let record = self.session.record(&self.target.name).await?;
        let line = match gate::send(self.session, &record, gate, &said).await {
            Ok(()) => match decision {
                Some(decision) => format!("answered: {} wave {}", decision.as_str(), gate.wave_number),
                None => format!("answered: wave {} may start", gate.wave_number),
            },
            // Somebody was faster; the record will tell.
            Err(error @ CliError::GateClosed { .. }) => error.to_string(),
            Err(error) => return Err(error),
        };
        let now = self.session.now();
        self.asking.change_seen(now);
        self.display.say(&line, now)
    }

    /// Until the next look. Bars move meanwhile; a person's answer ends the rest.
    async fn rest(&mut self, view: Option<&RunView>) -> Result<(), CliError> {
        let mut left = pause(self.asking.quiet_seconds(self.session.now()));
        while !left.is_zero() {
            let step = if self.display.is_moving() || self.question.is_some() { FRAME.min(left) } else { left };
            tokio::time::sleep(step).await;
            left = left.saturating_sub(step);
            if let Some(view) = view {
                self.display.update(view, self.session.now())?;
            }
            self.hear_person().await?;
        }
        Ok(())
    }

    fn conclude(&self, end: End) -> Result<ExitCode, CliError> {
        let name = &self.target.name;
        let Some(view) = end.view else {
            let Machine::Ended(ended) = &end.machine else { return Err(self.not_found()) };
            self.output.result(&format!("{name} ended {} without a record", ended.status))?;
            return Ok(ExitCode::FAILURE);
        };
        match judge(&view.record, &end.machine) {
            Ok(()) => {
                let took = view
                    .record
                    .duration_seconds
                    .map(|seconds| format!(" after {}", duration(seconds)))
                    .unwrap_or_default();
                let hint = instances_hint(&view.record).map(|hint| format!("; {hint}")).unwrap_or_default();
                self.output.result(&format!("{name} {}{took}{hint}", view.record.status))?;
                Ok(ExitCode::SUCCESS)
            }
            Err(why) => {
                self.output.note(&format!("tidegate: {name}: {why}"))?;
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
