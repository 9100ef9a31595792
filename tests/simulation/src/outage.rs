//! A dependency that is out for a while: every call to it fails, from one moment to another.

use crate::script::Place;
use std::collections::BTreeMap;

/// What Tidegate leans on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependency {
    Drs,
    Ec2,
    DynamoDb,
    /// Credentials of a target account: without them no call to DRS or EC2 leaves. (The SDK says "dispatch failure", which
    /// our adapter takes for an unknown outcome.)
    Sts,
    /// The calls Step Functions makes for the state machine.
    Machine,
    /// Step Functions as the workers see it: no task is handed out, no heartbeat and no answer arrives.
    StepFunctions,
}

impl Dependency {
    pub const ALL: &[Self] = &[Self::Drs, Self::Ec2, Self::DynamoDb, Self::Sts, Self::Machine, Self::StepFunctions];

    /// As scripts write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drs => "drs",
            Self::Ec2 => "ec2",
            Self::DynamoDb => "dynamodb",
            Self::Sts => "sts",
            Self::Machine => "machine",
            Self::StepFunctions => "stepFunctions",
        }
    }

    /// What a call at this place leans on.
    pub fn of(place: Place<'_>) -> Option<Self> {
        if place.by == "machine" {
            return Some(Self::Machine);
        }
        let service = place.to.split_once(':').map(|(service, _)| service);
        Self::ALL.iter().copied().find(|dependency| Some(dependency.as_str()) == service)
    }
}

/// How it is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageKind {
    /// Every call is throttled.
    Throttled,
    /// Nothing answers: nobody knows whether a call had its effect. (It had not.)
    Down,
}

/// An outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    pub of: Dependency,
    pub kind: OutageKind,
    /// Seconds after the start of the run.
    pub from_second: i64,
    pub seconds: i64,
}

impl Outage {
    /// Whether calls at this place fail while it lasts. DynamoDB's outage is the state machine's, too.
    pub fn hits(&self, place: Place<'_>) -> bool {
        let leans_on = Dependency::of(place);
        match self.of {
            Dependency::Sts => matches!(leans_on, Some(Dependency::Drs | Dependency::Ec2)),
            Dependency::DynamoDb => leans_on == Some(self.of) || (place.by == "machine" && place.to == "dynamodb"),
            Dependency::Drs | Dependency::Ec2 | Dependency::Machine => leans_on == Some(self.of),
            // What the crew asks of it is no call of an activity ([`crate::faults::Faults::no_step_functions`]).
            Dependency::StepFunctions => false,
        }
    }

    /// Whether it is on at this second.
    pub fn is_on(&self, second: i64) -> bool {
        (self.from_second..self.from_second + self.seconds).contains(&second)
    }
}

/// Calls to a dependency in the busiest stretch of so many minutes, among those that begin in `within` (minutes since the
/// start).
pub fn busiest(
    rate: &BTreeMap<(Dependency, i64), u32>,
    dependency: Dependency,
    within: std::ops::Range<i64>,
    minutes: i64,
) -> u32 {
    within
        .map(|first| (first..first + minutes).filter_map(|minute| rate.get(&(dependency, minute))).sum())
        .max()
        .unwrap_or_default()
}
