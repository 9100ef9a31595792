//! What a story is made of, as far as it can be left out: for shrinking, and for stories that were shrunk.

use crate::scenario::Story;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A kind of part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Rival,
    Native,
    Console,
    /// Launches before the run.
    Former,
    Sequel,
    Cut,
    OddEvents,
    Outage,
    Wave,
    Server,
    ServerFault,
    Request,
    Skews,
    /// All workers but one.
    Workers,
    /// The execution that follows.
    Afterwards,
    /// Instances that somebody terminates, or takes out of DRS.
    Lost,
    /// EC2 tells of an instance late.
    Ec2Lag,
    /// DRS answers StartRecovery late.
    SlowStarts,
}

const KINDS: &[(Kind, &str)] = &[
    (Kind::Rival, "rival"),
    (Kind::Native, "native"),
    (Kind::Console, "console"),
    (Kind::Former, "former"),
    (Kind::Sequel, "sequel"),
    (Kind::Cut, "cut"),
    (Kind::OddEvents, "oddEvents"),
    (Kind::Outage, "outage"),
    (Kind::Wave, "wave"),
    (Kind::Server, "server"),
    (Kind::ServerFault, "serverFault"),
    (Kind::Request, "request"),
    (Kind::Skews, "skews"),
    (Kind::Workers, "workers"),
    (Kind::Afterwards, "afterwards"),
    (Kind::Lost, "lost"),
    (Kind::Ec2Lag, "ec2Lag"),
    (Kind::SlowStarts, "slowStarts"),
];

/// One part: the kind, and which one of the whole story's, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub kind: Kind,
    pub which: usize,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(kind, _)| *kind == self.kind).map_or("", |(_, name)| name);
        write!(formatter, "{name}:{}", self.which)
    }
}

impl FromStr for Part {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, which) = text.split_once(':').ok_or(())?;
        let (kind, _) = KINDS.iter().find(|(_, known)| *known == name).ok_or(())?;
        Ok(Self { kind: *kind, which: which.parse().map_err(|_| ())? })
    }
}

fn waves(story: &mut Story) -> Option<&mut Vec<Value>> {
    story.input.pointer_mut("/plan/waves")?.as_array_mut()
}

/// Keeps what is not left out.
fn keep<T>(items: &mut Vec<T>, kind: Kind, without: &BTreeSet<Part>) {
    let mut which = 0;
    items.retain(|_| {
        which += 1;
        !without.contains(&Part { kind, which })
    });
}

impl Story {
    /// Everything that can be left out, the largest first.
    pub fn parts(&self) -> Vec<Part> {
        let once = |there: bool| usize::from(there);
        let mut whole = self.clone();
        let waves = waves(&mut whole).map_or(0, |waves| waves.len());
        KINDS
            .iter()
            .flat_map(|(kind, _)| {
                let count = match kind {
                    Kind::Rival => once(self.rival.is_some()),
                    Kind::Native => self.native.len(),
                    Kind::Console => self.console.len(),
                    Kind::Former => once(!(self.recovered.is_empty() && self.drilled.is_empty())),
                    Kind::Sequel => self.sequels.len(),
                    Kind::Cut => self.cuts.len(),
                    Kind::OddEvents => once(self.odd_events > 0),
                    Kind::Outage => self.outages.len(),
                    Kind::Wave => waves,
                    Kind::Server => self.servers.len(),
                    Kind::ServerFault => self.server_faults.len(),
                    Kind::Request => self.requests.len(),
                    Kind::Skews => once(self.skews.iter().any(|skew| *skew != 0)),
                    Kind::Workers => once(self.workers > 1),
                    Kind::Afterwards => once(self.afterwards.is_some()),
                    Kind::Lost => self.lost.len(),
                    Kind::Ec2Lag => once(self.ec2_lag_seconds > 0),
                    Kind::SlowStarts => once(self.slow_starts > 0),
                };
                (1..=count).map(|which| Part { kind: *kind, which })
            })
            .collect()
    }

    /// Leaves parts out.
    pub fn leave_out(&mut self, without: &BTreeSet<Part>) {
        let has = |kind: Kind| without.contains(&Part { kind, which: 1 });
        keep(&mut self.native, Kind::Native, without);
        keep(&mut self.console, Kind::Console, without);
        keep(&mut self.sequels, Kind::Sequel, without);
        keep(&mut self.cuts, Kind::Cut, without);
        keep(&mut self.outages, Kind::Outage, without);
        keep(&mut self.server_faults, Kind::ServerFault, without);
        keep(&mut self.requests, Kind::Request, without);
        keep(&mut self.lost, Kind::Lost, without);
        if has(Kind::Rival) {
            self.rival = None;
        }
        if has(Kind::Afterwards) {
            self.afterwards = None;
        }
        if has(Kind::Ec2Lag) {
            self.ec2_lag_seconds = 0;
        }
        if has(Kind::SlowStarts) {
            self.slow_starts = 0;
        }
        if has(Kind::Former) {
            self.recovered.clear();
            self.drilled.clear();
        }
        if has(Kind::OddEvents) {
            self.odd_events = 0;
        }
        if has(Kind::Skews) {
            self.skews.fill(0);
        }
        if has(Kind::Workers) {
            self.workers = 1;
            self.skews.truncate(1);
        }
        let gone: BTreeSet<String> = without
            .iter()
            .filter(|part| part.kind == Kind::Server)
            .filter_map(|part| self.servers.get(part.which.checked_sub(1)?)?.get("sourceServerId")?.as_str())
            .map(str::to_owned)
            .collect();
        if let Some(waves) = waves(self) {
            shorten(waves, &gone, without);
        }
    }
}

/// Servers stay in the inventory: DRS knows more of them than a plan names anyway. A wave without servers goes, and the
/// rest is numbered anew, because waves are numbered from 1.
fn shorten(waves: &mut Vec<Value>, gone: &BTreeSet<String>, without: &BTreeSet<Part>) {
    let is_gone = |id: &Value| id.as_str().is_some_and(|id| gone.contains(id));
    for wave in waves.iter_mut() {
        for group in wave["groups"].as_array_mut().into_iter().flatten() {
            if let Some(ids) = group["sourceServerIds"].as_array_mut() {
                ids.retain(|id| !is_gone(id));
            }
            if let Some(options) = group.get_mut("serverOptions").and_then(Value::as_object_mut) {
                options.retain(|id, _| !gone.contains(id));
            }
        }
        if let Some(groups) = wave["groups"].as_array_mut() {
            groups.retain(|group| group["sourceServerIds"].as_array().is_none_or(|ids| !ids.is_empty()));
        }
    }
    keep(waves, Kind::Wave, without);
    waves.retain(|wave| {
        let groups = wave["groups"].as_array().into_iter().flatten();
        groups.filter_map(|group| group["sourceServerIds"].as_array()).any(|ids| !ids.is_empty())
    });
    for (wave, number) in waves.iter_mut().zip(1u32..) {
        wave["waveNumber"] = json!(number);
    }
}
