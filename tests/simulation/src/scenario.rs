//! A run's story, drawn from its seed: the plan, the servers, what fails at DRS, what goes wrong in between, what people do.

use crate::bugs::Bug;
use crate::faults::Rates;
use crate::foreign::{ConsoleLaunch, LossKind, LostInstance};
use crate::forgers;
use crate::outage::{Dependency, Outage, OutageKind};
use crate::script::Entry;
use crate::world::{Cut, CutAt, Forgery, NativeHold, Sequel, SequelKind, Start};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tidegate_simulator::{FaultKind, FaultRule, Inventory, Quirks};

/// A plan with a wave that needs two jobs.
const MANY_SERVERS: usize = 100;
/// Account of every simulated run.
pub const ACCOUNT: &str = "111122223333";
/// Region of every simulated run.
pub const REGION: &str = "us-west-2";
/// Where a wave's second group is, where it has one: another Region of the account, another account.
const ELSEWHERE: &[(&str, &str)] = &[(ACCOUNT, "eu-west-1"), ("222233334444", REGION)];
/// A job has to be listed so many seconds after its call left: 150 s, less the 15 s in which it may leave and the workers'
/// clocks (ADR 0003).
const LISTED_WITHIN_SECONDS: u32 = 120;
/// The furthest a worker's clock is off.
const MOST_SKEW_MS: i64 = 60_000;
/// The longest after which a call may take effect without its caller.
const LATEST_EFFECT_SECONDS: u32 = 100;

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
    /// What goes wrong and what people say, instead of what is drawn at `rates`.
    pub script: Option<Vec<Entry>>,
    /// Dependencies that are out for a while.
    pub outages: Vec<Outage>,
    /// Servers that run already since an earlier failover.
    pub recovered: Vec<String>,
    /// Servers whose last drill was never cleaned up.
    pub drilled: Vec<String>,
    /// What somebody launches from the console meanwhile.
    pub console: Vec<ConsoleLaunch>,
    /// Native recovery plan executions that hold servers.
    pub native: Vec<NativeHold>,
    /// Somebody who may start reconcile, and nothing else, tells it what is not so.
    pub forgeries: Vec<Forgery>,
    /// Another execution that wants some of the same servers.
    pub rival: Option<Start>,
    /// When and how the execution is ended from outside.
    pub cuts: Vec<(CutAt, Cut)>,
    /// What operators do about executions that end badly, one after the other.
    pub sequels: Vec<Sequel>,
    /// The rule's events are late or come twice in so many of a hundred cases.
    pub odd_events: u32,
    /// How many times faster than the reference timings (808 s, 376 s, 600 s) DRS is.
    pub drs_speed: f64,
    /// EC2 tells of an instance so late, at most.
    pub ec2_lag_seconds: u32,
    /// So many of a hundred StartRecovery calls are answered after a minute or two, long after their effect.
    pub slow_starts: u32,
    /// Which of two readings of AWS holds.
    pub quirks: Quirks,
    /// Another execution for some of the servers, so many milliseconds after this one's end.
    pub afterwards: Option<Start>,
    /// Instances that somebody terminates in EC2, or takes out of DRS, meanwhile.
    pub lost: Vec<LostInstance>,
    /// A seeded bug.
    pub bug: Option<&'static Bug>,
    /// Keep every place a call was made at, and the rate of calls.
    pub observed: bool,
}

impl Story {
    /// Two workers with nothing to do.
    fn empty(seed: u64) -> Self {
        Self {
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
            script: None,
            outages: Vec::new(),
            recovered: Vec::new(),
            drilled: Vec::new(),
            console: Vec::new(),
            native: Vec::new(),
            forgeries: Vec::new(),
            rival: None,
            cuts: Vec::new(),
            sequels: Vec::new(),
            odd_events: 0,
            drs_speed: 1.0,
            ec2_lag_seconds: 0,
            slow_starts: 0,
            quirks: Quirks::default(),
            afterwards: None,
            lost: Vec::new(),
            bug: None,
            observed: false,
        }
    }

    /// The story of a seed.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x7469_6465);
        let drill = rng.random_bool(0.7);
        let wave_count = *[1, 2, 2, 3, 3, 4].choose(&mut rng).unwrap_or(&2);
        let mut story = Self {
            rates: rates(&mut rng),
            faults_for_seconds: rng.random_range(60..7_200),
            workers: rng.random_range(1..=3),
            contrary_operator: *[0, 0, 10, 40].choose(&mut rng).unwrap_or(&0),
            ..Self::empty(seed)
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
        if story.servers.len() > MANY_SERVERS {
            // With so many calls hardly an attempt of a task gets through a storm, and 45 retries do not last for hours.
            story.faults_for_seconds = story.faults_for_seconds.min(1_800);
        }
        if rng.random_bool(0.15) {
            story.outages.push(Outage {
                of: *Dependency::ALL.choose(&mut rng).unwrap_or(&Dependency::Drs),
                kind: if rng.random_bool(0.5) { OutageKind::Throttled } else { OutageKind::Down },
                from_second: rng.random_range(0..4_000),
                seconds: *[120, 600, 1_800].choose(&mut rng).unwrap_or(&600),
            });
        }
        story.meet_others(&mut rng);
        story.meet_the_unforeseen(&mut rng);
        story.see_late(&mut rng);
        story.meet_disaster();
        story.cost_others();
        story.insist();
        story.meet_forgers();
        story
    }

    /// What a real disaster does to DRS, and the readings of AWS that are not the usual ones. Seeds of these last digits draw
    /// it, from a generator of their own: every other seed keeps the story it had when a report or a test named it.
    fn meet_disaster(&mut self) {
        let mut rng = StdRng::seed_from_u64(self.seed ^ 0x6465_6164);
        let digit = self.seed % 10;
        if matches!(digit, 2 | 6) {
            // The sources are gone, most or all of them.
            let share = *[0.5, 1.0].choose(&mut rng).unwrap_or(&1.0);
            let dead: Vec<&Value> = self.servers.iter().filter(|_| rng.random_bool(share)).collect();
            for id in dead.into_iter().filter_map(|server| server["sourceServerId"].as_str()) {
                let mut rule = FaultRule::new(FaultKind::SourceDead);
                rule.source_server_id = Some(id.to_owned());
                self.server_faults.push(rule);
            }
        }
        if matches!(digit, 6 | 8) {
            self.slow_starts = *[30, 100].choose(&mut rng).unwrap_or(&100);
        }
        if matches!(digit, 2 | 8 | 9) {
            self.quirks.completed_job_hides_recovery_instance_id = rng.random_bool(0.5);
        }
    }

    /// What a launch would delete: by which reading, and what the inputs say of it. Drawn apart, so that everything else of a seed
    /// stays as it was.
    fn cost_others(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x636f_7374);
        self.quirks.launch_deletes_recovery_instances = rng.random_bool(0.7);
        self.quirks.terminates_gone_instances = rng.random_bool(0.5);
        if !self.drilled.is_empty() && self.input["executionType"] == "DRILL" && rng.random_bool(0.7) {
            self.input["options"]["replaceDrill"] = json!(true);
        }
        if let Some(rival) = &mut self.rival {
            if rng.random_bool(0.3) {
                rival.input["executionType"] = json!("RECOVERY");
            }
            rival.input["options"] = json!({ "replaceDrill": rng.random_bool(0.5) });
        }
        // None that a console user launches: next to a lost call such a launch is taken for the run's own.
        let free = |id: &&str| !self.console.iter().any(|launch| launch.servers.iter().any(|server| server == id));
        let ours: Vec<String> = self
            .servers
            .iter()
            .filter_map(|server| server["sourceServerId"].as_str())
            .filter(free)
            .map(str::to_owned)
            .collect();
        let Some(wanted) = ours.last().filter(|_| rng.random_bool(0.1)) else { return };
        let wave = json!({
            "waveNumber": 1, "waveName": "afterwards", "groups": [self.group(std::slice::from_ref(wanted))],
        });
        let plan = json!({ "planId": "afterwards", "planName": "afterwards", "waves": [wave] });
        let kind = if rng.random_bool(0.8) { "DRILL" } else { "RECOVERY" };
        let options = json!({ "replaceDrill": rng.random_bool(0.5) });
        let input = json!({ "plan": plan, "executionType": kind, "options": options });
        let after_ms = rng.random_range(0..120_000);
        self.afterwards = Some(Start { name: "afterwards".to_owned(), input, after_ms, cut: None });
        if rng.random_bool(0.5) {
            // Nobody lists it yet when the next run looks.
            let mut rule = FaultRule::new(FaultKind::ListLag);
            (rule.source_server_id, rule.seconds) = (Some(wanted.clone()), Some(800.0 * self.drs_speed));
            self.server_faults.push(rule);
            self.ec2_lag_seconds = 800;
        } else if rng.random_bool(0.5) {
            let how = if rng.random_bool(0.5) { LossKind::TerminatedInEc2 } else { LossKind::DeletedInDrs };
            self.lost.push(LostInstance { at_second: rng.random_range(300..4_000), server: wanted.clone(), how });
        }
    }

    /// What chance alone brings together too seldom for a minute's seeds to find what hides there. Seeds of these last digits draw
    /// it, from a generator of their own.
    fn insist(&mut self) {
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x696e_7369);
        match self.seed % 10 {
            // Nobody is heard while the cleanup looks around.
            0 if rng.random_bool(0.4) => {
                let (from_second, seconds) = (rng.random_range(300..2_500), *[600, 1_800].choose(rng).unwrap_or(&600));
                let kind = if rng.random_bool(0.5) { OutageKind::Throttled } else { OutageKind::Down };
                self.server_faults.retain(|rule| rule.fault != FaultKind::JobVanishes);
                self.outages.push(Outage { of: Dependency::Sts, kind, from_second, seconds });
            }
            // A recovery over what somebody has recovered, which DRS leaves where it is.
            1 if self.recovered.is_empty() && self.console.is_empty() && rng.random_bool(0.3) => {
                let ours = self.servers.iter().filter_map(|server| server["sourceServerId"].as_str());
                let ours = ours.filter(|id| self.drilled.iter().all(|one| one != id));
                let ours: Vec<String> = ours.map(str::to_owned).collect();
                self.recovered = ours.choose_multiple(rng, 2).cloned().collect();
                self.input["executionType"] = json!("RECOVERY");
                self.input["options"] = json!({ "replaceRecovered": true });
                self.quirks.launch_deletes_recovery_instances = rng.random_bool(0.3);
            }
            // Somebody is at one of our servers when the run comes to it.
            3 if self.console.is_empty() && rng.random_bool(0.4) => {
                let ours = self.servers.iter().filter_map(|server| server["sourceServerId"].as_str());
                let servers = ours.map(str::to_owned).collect::<Vec<_>>().choose_multiple(rng, 1).cloned().collect();
                // Nothing is tagged in these seeds: it is told from the run's own by its kind.
                let is_drill = self.input["executionType"] != "DRILL";
                self.console.push(ConsoleLaunch { at_second: rng.random_range(1..1_500), servers, is_drill });
            }
            // A person changes their mind at an open gate, or before one.
            4 if rng.random_bool(0.6) => {
                let second = self.input.pointer_mut("/plan/waves/1").filter(|_| rng.random_bool(0.7));
                if let Some(wave) = second {
                    (wave["pauseBeforeWave"], wave["gateTimeoutSeconds"]) = (json!(true), json!(86_400));
                }
                self.requests.push((rng.random_range(200..1_800), "cancelRequested"));
            }
            // Nothing goes wrong, and nobody is in the way.
            7 if self.is_sound() && rng.random_bool(0.3) => {
                self.rates = Rates::NONE;
                (self.ec2_lag_seconds, self.contrary_operator) = (0, 0);
                self.server_faults.clear();
                self.outages.clear();
                self.cuts.clear();
                self.requests.retain(|(_, flag)| *flag != "cancelRequested");
            }
            _ => {}
        }
    }

    /// Forged events, and an early end beside them. Seeds of this last digit draw it, from a generator of their own.
    fn meet_forgers(&mut self) {
        if self.seed % 10 != 5 {
            return;
        }
        let rng = &mut StdRng::seed_from_u64(self.seed ^ 0x666f_7267);
        self.forgeries = forgers::draw(rng);
        if rng.random_bool(0.4) {
            // Prepare may be at work when its execution is stopped.
            self.cuts.push((CutAt::Call(rng.random_range(3..16)), Cut::Stop));
        }
    }

    /// Ends from outside, what operators do then, and DRS's own recovery plans.
    fn meet_the_unforeseen(&mut self, rng: &mut StdRng) {
        self.odd_events = *[0, 0, 30].choose(rng).unwrap_or(&0);
        self.drs_speed = *[1.0, 2.0, 4.0, 4.0].choose(rng).unwrap_or(&1.0);
        let cut = |rng: &mut StdRng| *Cut::ALL.choose(rng).unwrap_or(&Cut::Stop);
        if rng.random_bool(0.12) {
            self.cuts.push((CutAt::Second(rng.random_range(0..5_000)), cut(rng)));
        }
        for _ in 0..*[0, 0, 1, 1, 2].choose(rng).unwrap_or(&0) {
            let what = if rng.random_bool(0.85) { SequelKind::Continue } else { SequelKind::Redrive };
            let after_seconds = *[1, 30, 600, 3_000].choose(rng).unwrap_or(&30);
            let again = rng.random_bool(0.2).then(|| (rng.random_range(0..3_000), cut(rng)));
            self.sequels.push(Sequel { what, after_seconds, cut: again });
        }
        if rng.random_bool(0.04) {
            let ours: Vec<String> =
                self.servers.iter().filter_map(|server| server["sourceServerId"].as_str()).map(str::to_owned).collect();
            self.native.push(NativeHold {
                from_second: *[0, 600, 2_000].choose(rng).unwrap_or(&0),
                seconds: rng.random_range(60..3_000),
                servers: ours.choose_multiple(rng, 1).cloned().collect(),
            });
        }
    }

    /// What AWS shows late, or not any more.
    fn see_late(&mut self, rng: &mut StdRng) {
        self.ec2_lag_seconds = *[0, 0, 60, 400].choose(rng).unwrap_or(&0);
        if rng.random_bool(0.06) {
            // As far as jobs are matched by time (`CLOCK_SKEW_SECONDS`). Then DRS is at once what it is: two clocks that differ
            // by two minutes leave 30 of the 150 s that are waited for it.
            self.skews.iter_mut().for_each(|skew| *skew = rng.random_range(-MOST_SKEW_MS..=MOST_SKEW_MS));
            self.rates.late_seconds = 0;
        } else {
            let listed_after = self.list_late(rng);
            self.rates.late_seconds = LATEST_EFFECT_SECONDS.min(LISTED_WITHIN_SECONDS - listed_after);
        }
        // A job that was never told and vanishes cannot be known of: only where every call has its answer.
        let heard = self.rates.lost_before == 0
            && self.outages.is_empty()
            && self.cuts.is_empty()
            && self.sequels.iter().all(|sequel| sequel.cut.is_none());
        if heard && rng.random_bool(0.4) {
            let mut rule = FaultRule::new(FaultKind::JobVanishes);
            rule.seconds = Some(f64::from(rng.random_range(200..2_000)) * self.drs_speed);
            rule.source_server_id =
                self.servers.choose(rng).and_then(|server| server["sourceServerId"].as_str()).map(str::to_owned);
            self.server_faults.push(rule);
        }
    }

    /// Jobs are listed late, in some stories; at most by so many seconds.
    fn list_late(&mut self, rng: &mut StdRng) -> u32 {
        if !rng.random_bool(0.3) {
            return 0;
        }
        let seconds = rng.random_range(1..=LISTED_WITHIN_SECONDS);
        let mut rule = FaultRule::new(FaultKind::JobListLag);
        rule.seconds = Some(f64::from(seconds) * self.drs_speed);
        rule.probability = Some(0.7);
        self.server_faults.push(rule);
        seconds
    }

    /// The account and Region of a server, and the group a plan names it in.
    fn place_of(&self, id: &str) -> (String, String) {
        let server = self.servers.iter().find(|server| server["sourceServerId"] == id);
        let told =
            |name: &str, usual: &str| server.and_then(|server| server.get(name)?.as_str()).unwrap_or(usual).to_owned();
        (told("account", ACCOUNT), told("region", REGION))
    }

    /// A group of a plan with these servers, all of one place.
    fn group(&self, ids: &[String]) -> Value {
        let (account, region) = self.place_of(ids.first().map_or("", String::as_str));
        let mut group = json!({ "region": region, "sourceServerIds": ids });
        if account != ACCOUNT {
            group["accountId"] = json!(account);
        }
        group
    }

    /// A plain three-wave drill with a pause, without faults: the canonical plan of the crash sweep.
    pub fn canonical(seed: u64) -> Self {
        let mut story = Self { script: Some(Vec::new()), ..Self::empty(seed) };
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

    /// The same plan as a recovery.
    pub fn canonical_recovery(seed: u64) -> Self {
        let mut story = Self::canonical(seed);
        story.input["executionType"] = json!("RECOVERY");
        story
    }

    /// What was there before, and what somebody else does meanwhile.
    fn meet_others(&mut self, rng: &mut StdRng) {
        let ours: Vec<String> =
            self.servers.iter().filter_map(|server| server["sourceServerId"].as_str()).map(str::to_owned).collect();
        if rng.random_bool(0.15) {
            self.drilled = ours.choose_multiple(rng, 2).cloned().collect();
        }
        if rng.random_bool(0.1) {
            self.recovered = ours.choose_multiple(rng, 1).filter(|id| !self.drilled.contains(id)).cloned().collect();
            if rng.random_bool(0.7) {
                self.input["options"]["replaceRecovered"] = json!(self.input["executionType"] == "RECOVERY");
            }
        }
        if rng.random_bool(0.15) {
            // Others drill their own servers, several times an hour.
            let theirs: Vec<String> = (0..5).map(|_| self.server(false)).collect();
            let (from, within) = (rng.random_range(1..4_000), *[60, 3_600].choose(rng).unwrap_or(&60));
            for id in theirs {
                let at_second = from + rng.random_range(0..within);
                self.console.push(ConsoleLaunch { at_second, servers: vec![id], is_drill: true });
            }
        }
        if rng.random_bool(0.05) {
            // Or, by mistake, one of ours.
            let servers = ours.choose_multiple(rng, 1).cloned().collect();
            let (at_second, drill) = (rng.random_range(1..4_000), rng.random_bool(0.8));
            // Without tags a launch of the same servers and kind next to a lost call is taken for the run's own (the page on the
            // simulation says so): where calls are lost and nothing is tagged, it is of the other kind.
            let told_apart = self.seed.is_multiple_of(2) || (self.rates == Rates::NONE && self.outages.is_empty());
            let is_drill = if told_apart { drill } else { self.input["executionType"] != "DRILL" };
            self.console.push(ConsoleLaunch { at_second, servers, is_drill });
        }
        if rng.random_bool(0.15)
            && let Some(wanted) = ours.choose(rng)
        {
            let wave = json!({
                "waveNumber": 1, "waveName": "rival",
                "groups": [self.group(std::slice::from_ref(wanted))],
            });
            let plan = json!({ "planId": "rival", "planName": "rival", "waves": [wave] });
            let input = json!({ "plan": plan, "executionType": "DRILL" });
            self.rival =
                Some(Start { name: "rival".to_owned(), input, after_ms: rng.random_range(0..2_000_000), cut: None });
        }
    }

    /// Nothing about this story is a reason to refuse its plan.
    pub fn is_sound(&self) -> bool {
        let over_drills = self.input["executionType"] == "RECOVERY" || self.input["options"]["replaceDrill"] == true;
        (self.drilled.is_empty() || over_drills)
            && self.lost.is_empty()
            && self.recovered.is_empty()
            && self.console.is_empty()
            && self.native.is_empty()
            && self.rival.is_none()
    }

    /// The inventory for the simulator.
    pub fn inventory(&self) -> Result<Inventory, serde_json::Error> {
        serde_json::from_value(json!({ "account": ACCOUNT, "region": REGION, "servers": self.servers }))
    }

    fn server(&mut self, post_launch: bool) -> String {
        let id = format!("s-{:017x}", self.servers.len() + 1);
        // Accounts switch actions on for the SSM agent's sake; that says of no action that it is active.
        let switched_on = post_launch || self.servers.len() % 4 == 3;
        let mut server = json!({
            "sourceServerId": id, "hostname": format!("host-{}", self.servers.len() + 1), "tags": { "app": "sim" },
            "postLaunchEnabled": switched_on,
        });
        if switched_on {
            let action = "AWSDisasterRecovery-ValidateDiskSpace";
            server["launchActions"] = json!([{ "actionCode": action, "name": "check", "active": post_launch }]);
        }
        self.servers.push(server);
        id
    }

    fn wave(&mut self, number: u32, rng: &mut StdRng) -> Value {
        // Now and then a wave that needs two jobs; one of these takes as long as fifty others.
        let size = if rng.random_bool(0.004) { 103 } else { rng.random_range(1..=3) };
        // And now and then one with servers in two accounts or Regions.
        let elsewhere = ELSEWHERE.choose(rng).filter(|_| rng.random_bool(0.15));
        let (mut here, mut there) = (Vec::new(), Vec::new());
        let mut options = json!({});
        for _ in 0..size {
            let id = self.server(rng.random_bool(0.3));
            let moves = elsewhere.filter(|_| rng.random_bool(0.5));
            if let (Some((account, region)), Some(server)) = (moves, self.servers.last_mut()) {
                (server["account"], server["region"]) = (json!(account), json!(region));
            }
            if rng.random_bool(0.15) {
                options[&id] = json!({ "importance": "optional" });
            }
            self.maybe_break(&id, rng);
            if moves.is_some() { there.push(id) } else { here.push(id) }
        }
        let groups: Vec<Value> = [here, there]
            .iter()
            .filter(|ids| !ids.is_empty())
            .map(|ids| {
                let mut group = self.group(ids);
                let of = |(id, _): &(&String, &Value)| ids.contains(id);
                let own = options.as_object().into_iter().flatten().filter(of);
                group["serverOptions"] = own.map(|(id, option)| (id.clone(), option.clone())).collect();
                group
            })
            .collect();
        let mut wave = json!({
            "waveNumber": number, "waveName": format!("wave {number}"), "pauseBeforeWave": rng.random_bool(0.25),
            "groups": groups,
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
            FaultKind::TerminationFails,
        ];
        let kind = *kinds.choose(rng).unwrap_or(&FaultKind::LaunchFails);
        let mut rule = FaultRule::new(kind);
        rule.source_server_id = Some(id.to_owned());
        if matches!(kind, FaultKind::LaunchFails | FaultKind::TerminationFails) && rng.random_bool(0.5) {
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
        late: 30,
        duplicate: 2,
        ..Rates::NONE
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
        late: 120,
        duplicate: 15,
        ..Rates::NONE
    };
    *[Rates::NONE, calm, calm, stormy, stormy, stormy].choose(rng).unwrap_or(&calm)
}
