//! A run's story, drawn from its seed: the plan, the servers, what fails at DRS, what goes wrong in between, what people do.

use crate::faults::Rates;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tidegate_simulator::{FaultKind, FaultRule, Inventory};

/// Account of every simulated run.
pub const ACCOUNT: &str = "111122223333";
/// Region of every simulated run.
pub const REGION: &str = "us-west-2";

/// Everything a seed decides before the run begins.
#[derive(Debug, Clone)]
pub struct Story {
    pub seed: u64,
    pub input: Value,
    pub servers: Vec<Value>,
    pub server_faults: Vec<FaultRule>,
    pub rates: Rates,
    /// Faults stop this many seconds after the start.
    pub faults_for_seconds: i64,
    pub workers: usize,
    /// Clock error of each worker, in milliseconds.
    pub skews: Vec<i64>,
    /// Flags an operator sets, and when (seconds after the start).
    pub requests: Vec<(i64, &'static str)>,
    /// How likely gates are answered badly, per cent.
    pub contrary_operator: u32,
}

impl Story {
    /// The story of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x7469_6465);
        let drill = rng.random_bool(0.7);
        let wave_count = *[1, 2, 2, 3, 3, 4].choose(&mut rng).unwrap_or(&2);
        let mut story = Self {
            seed,
            input: Value::Null,
            servers: Vec::new(),
            server_faults: Vec::new(),
            rates: rates(&mut rng),
            faults_for_seconds: rng.random_range(60..7_200),
            workers: rng.random_range(1..=3),
            skews: Vec::new(),
            requests: Vec::new(),
            contrary_operator: *[0, 0, 10, 40].choose(&mut rng).unwrap_or(&0),
        };
        story.skews = (0..story.workers)
            .map(|_| if rng.random_bool(0.2) { rng.random_range(-5_000..5_000) } else { 0 })
            .collect();
        let waves: Vec<Value> = (1..=wave_count).map(|number| story.wave(number, &mut rng)).collect();
        let plan = json!({ "planId": "sim", "planName": "simulated", "waves": waves });
        let mut options = json!({ "holdSeconds": *[0, 0, 600].choose(&mut rng).unwrap_or(&0) });
        if rng.random_bool(0.1) {
            options["keepInstances"] = json!(true);
        }
        let mode = if rng.random_bool(0.04) { "DRY_RUN" } else { "RUN" };
        let kind = if drill { "DRILL" } else { "RECOVERY" };
        story.input = json!({ "plan": plan, "executionType": kind, "mode": mode, "options": options });
        if rng.random_bool(0.08) {
            story.requests.push((rng.random_range(1..4_000), "pauseRequested"));
        }
        if rng.random_bool(0.08) {
            story.requests.push((rng.random_range(1..6_000), "cancelRequested"));
        }
        story
    }

    /// A plain three-wave drill with a pause, without faults: the canonical plan of the crash sweep.
    pub fn canonical(seed: u64) -> Self {
        let mut story = Self {
            seed,
            input: Value::Null,
            servers: Vec::new(),
            server_faults: Vec::new(),
            rates: Rates::NONE,
            faults_for_seconds: 0,
            workers: 2,
            skews: vec![0, 0],
            requests: Vec::new(),
            contrary_operator: 0,
        };
        let waves: Vec<Value> = (1..=3u32)
            .map(|number| {
                let ids: Vec<String> = (0..2).map(|_| story.server(false)).collect();
                json!({
                    "waveNumber": number, "waveName": format!("wave {number}"), "pauseBeforeWave": number == 3,
                    "groups": [{ "region": REGION, "sourceServerIds": ids }],
                })
            })
            .collect();
        let plan = json!({ "planId": "sim", "planName": "canonical", "waves": waves });
        story.input = json!({ "plan": plan, "executionType": "DRILL" });
        story
    }

    /// The inventory for the simulator.
    pub fn inventory(&self) -> Result<Inventory, serde_json::Error> {
        serde_json::from_value(json!({ "account": ACCOUNT, "region": REGION, "servers": self.servers }))
    }

    fn server(&mut self, post_launch: bool) -> String {
        let id = format!("s-{:017x}", self.servers.len() + 1);
        let mut server = json!({
            "sourceServerId": id, "hostname": format!("host-{}", self.servers.len() + 1), "tags": { "app": "sim" },
            "postLaunchEnabled": post_launch,
        });
        if post_launch {
            server["launchActions"] =
                json!([{ "actionCode": "AWSDisasterRecovery-ValidateDiskSpace", "name": "check" }]);
        }
        self.servers.push(server);
        id
    }

    fn wave(&mut self, number: u32, rng: &mut StdRng) -> Value {
        // Now and then a wave that needs two jobs.
        let size = if rng.random_bool(0.01) { 103 } else { rng.random_range(1..=3) };
        let mut ids = Vec::new();
        let mut options = json!({});
        for _ in 0..size {
            let id = self.server(rng.random_bool(0.3));
            if rng.random_bool(0.15) {
                options[&id] = json!({ "importance": "optional" });
            }
            self.maybe_break(&id, rng);
            ids.push(id);
        }
        let mut wave = json!({
            "waveNumber": number, "waveName": format!("wave {number}"), "pauseBeforeWave": rng.random_bool(0.25),
            "groups": [{ "region": REGION, "sourceServerIds": ids, "serverOptions": options }],
            "onFailure": *["abort", "continue", "gate", "gate"].choose(rng).unwrap_or(&"gate"),
            "timeoutSeconds": *[900, 3_600, 7_200, 7_200].choose(rng).unwrap_or(&7_200),
            "gateTimeoutSeconds": *[600, 86_400, 86_400].choose(rng).unwrap_or(&86_400),
            "waitAfterSeconds": *[0, 0, 120].choose(rng).unwrap_or(&0),
        });
        if rng.random_bool(0.15) {
            wave["minLaunched"] = json!("50%");
        }
        wave
    }

    fn maybe_break(&mut self, id: &str, rng: &mut StdRng) {
        if !rng.random_bool(0.12) {
            return;
        }
        let kinds = [
            FaultKind::LaunchFails,
            FaultKind::LaunchFails,
            FaultKind::SilentNoLaunch,
            FaultKind::LosesRecoveryInstanceId,
            FaultKind::Stuck,
            FaultKind::SlowPostLaunch,
            FaultKind::ActionFails,
            FaultKind::ListLag,
        ];
        let kind = *kinds.choose(rng).unwrap_or(&FaultKind::LaunchFails);
        let mut rule = FaultRule::new(kind);
        rule.source_server_id = Some(id.to_owned());
        if kind == FaultKind::LaunchFails && rng.random_bool(0.5) {
            rule.count = Some(1);
        }
        self.server_faults.push(rule);
    }
}

fn rates(rng: &mut StdRng) -> Rates {
    let calm = Rates {
        lost_before: 2,
        lost_after: 2,
        throttled: 5,
        hang: 1,
        crash: 2,
        freeze: 1,
        lost_token: 5,
        integration: 5,
    };
    let stormy = Rates {
        lost_before: 30,
        lost_after: 30,
        throttled: 60,
        hang: 5,
        crash: 20,
        freeze: 10,
        lost_token: 40,
        integration: 60,
    };
    *[Rates::NONE, calm, calm, stormy, stormy, stormy].choose(rng).unwrap_or(&calm)
}
