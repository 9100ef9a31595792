//! Time as a value: how it is written on the wire, how long each phase takes, and where reproducible variety comes from.
//! Nothing here reads a clock.

use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize, Serializer};

/// A moment as DRS writes it. Real answers carry `2022-12-07T19:15:38.846723+00:00` although the model's pattern asks
/// for a `Z` (aws-samples/drs-tools, sample_result.json), so a client that parses only `Z` must fail here too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Timestamp);

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}+00:00", self.0.strftime("%Y-%m-%dT%H:%M:%S%.6f"))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How long the phases of a job take, in seconds of AWS; [`Timing::span`] turns them into seconds of the simulation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timing {
    /// The simulation runs this many times faster than AWS.
    pub speed: f64,
    /// Share by which each server's phases vary (0.15: between 85 % and 115 %).
    pub jitter: f64,
    /// Job PENDING until STARTED.
    pub start_seconds: f64,
    /// Clean-up of the former drill instance, before its server's snapshot.
    pub cleanup_seconds: f64,
    /// Snapshot of the latest state.
    pub snapshot_seconds: f64,
    /// Until DRS gives up the snapshot of a source that is dead (measured for MGN, DRS's sibling: 300 s).
    pub dead_snapshot_seconds: f64,
    /// Conversion server at work.
    pub conversion_seconds: f64,
    /// RunInstances until LAUNCH_END.
    pub launch_seconds: f64,
    /// All post-launch actions of one server, one after the other.
    pub post_launch_seconds: f64,
    /// LAUNCHED until the SSM agent is discovered, part of the post-launch time.
    pub agent_discovery_seconds: f64,
    /// TERMINATE job.
    pub terminate_seconds: f64,
    /// STOPPING until STOPPED, for launchDisposition STOPPED.
    pub stop_seconds: f64,
    /// EC2 instance exists until DescribeRecoveryInstances lists it, and job end until a terminated one is gone.
    pub list_lag_seconds: f64,
    /// EC2 forgets a terminated instance after this.
    pub ec2_forgets_seconds: f64,
    /// endDateTime until the JOB_END log item.
    pub log_lag_seconds: f64,
}

impl Default for Timing {
    fn default() -> Self {
        // start + snapshot + conversion = 808 s pending, then 376 s launch and 600 s of post-launch actions: the seeds'
        // reference timings. The order of magnitude of the small ones is from a captured job (facts, 2.1).
        Self {
            speed: 60.0,
            jitter: 0.15,
            start_seconds: 1.0,
            cleanup_seconds: 60.0,
            snapshot_seconds: 60.0,
            dead_snapshot_seconds: 300.0,
            conversion_seconds: 747.0,
            launch_seconds: 376.0,
            post_launch_seconds: 600.0,
            agent_discovery_seconds: 30.0,
            terminate_seconds: 180.0,
            stop_seconds: 20.0,
            list_lag_seconds: 5.0,
            ec2_forgets_seconds: 3_600.0,
            log_lag_seconds: 0.03,
        }
    }
}

impl Timing {
    /// `speed`, where it makes sense.
    pub(crate) fn factor(&self) -> f64 {
        if self.speed.is_finite() && self.speed > 0.0 { self.speed } else { 1.0 }
    }

    /// `aws_seconds` at this speed. Never shorter than a microsecond, so that no two phases of a server share a moment.
    pub fn span(&self, aws_seconds: f64) -> SignedDuration {
        let seconds = (aws_seconds / self.factor()).clamp(0.000_001, 1.0e9);
        SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::from_micros(1))
    }

    /// `aws_seconds`, varied by `jitter`, at this speed.
    pub fn varied(&self, aws_seconds: f64, dice: &Dice, about: &[&str]) -> SignedDuration {
        let share = self.jitter.clamp(0.0, 0.99);
        let factor = 1.0 - share + 2.0 * share * dice.rng(about).random::<f64>();
        self.span(aws_seconds * factor)
    }
}

/// Reproducible variety. Every draw is named by what it is about (a server and its third launch, say) and not taken from
/// one running sequence: the order in which clients happen to poll must not change how long a launch takes.
#[derive(Debug, Clone, Copy)]
pub struct Dice {
    seed: u64,
}

impl Dice {
    /// Dice of a simulation seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The generator for one named purpose.
    pub fn rng(&self, about: &[&str]) -> StdRng {
        // FNV-1a, because the standard hasher's result may differ between compiler versions.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ self.seed;
        for part in about {
            for byte in part.bytes().chain([0x1f]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        StdRng::seed_from_u64(hash)
    }

    /// `digits` lower-case hexadecimal digits, as in AWS ids.
    pub fn hex(&self, about: &[&str], digits: usize) -> String {
        let mut rng = self.rng(about);
        (0..digits).map(|_| char::from_digit(rng.random_range(0..16), 16).unwrap_or('0')).collect()
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self, about: &[&str]) -> String {
        let hex = self.hex(about, 32);
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stamps_look_like_captured_data() {
        let moment: Timestamp = "2022-12-07T19:15:38.846723Z".parse().unwrap();
        assert_eq!(Stamp(moment).to_string(), "2022-12-07T19:15:38.846723+00:00");
        let whole: Timestamp = "2022-12-07T19:15:38Z".parse().unwrap();
        assert_eq!(Stamp(whole).to_string(), "2022-12-07T19:15:38.000000+00:00");
    }

    #[test]
    fn variety_stays_within_the_jitter_and_repeats_by_name() {
        let timing = Timing { speed: 1.0, ..Timing::default() };
        for seed in 0..200 {
            let dice = Dice::new(seed);
            let took = timing.varied(376.0, &dice, &["launch", "s-1"]).as_secs_f64();
            assert!((376.0 * 0.85..=376.0 * 1.15).contains(&took), "{took}");
            assert_eq!(timing.varied(376.0, &dice, &["launch", "s-1"]).as_secs_f64(), took);
        }
    }

    #[test]
    fn uuids_have_the_shape_of_the_model() {
        let uuid = Dice::new(7).uuid(&["run"]);
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
