//! What the simulation found stays found: the stories that once broke a promise, on the canonical plan.

#![allow(clippy::unwrap_used, clippy::panic)]

use tidegate_simulation::faults::Fault;
use tidegate_simulation::foreign::ConsoleLaunch;
use tidegate_simulation::hunt;
use tidegate_simulation::replay::{Base, Replay};
use tidegate_simulation::run::{Outcome, run, tell};
use tidegate_simulation::scenario::Story;
use tidegate_simulation::script::{Entry, Happening};
use tidegate_simulation::world::{Cut, CutAt, NATIVE_EXECUTION, NativeHold, Sequel, SequelKind, Start};
use tidegate_simulator::{FaultKind, FaultRule, Stage};

fn told(story: Story) -> Outcome {
    run(&hunt::machine(None).unwrap(), story)
}

fn no_violation(outcome: &Outcome, what: &str) {
    if let Some(violation) = &outcome.violation {
        panic!("{what}: {} ({})", violation.rule, violation.detail);
    }
}

/// When the state was entered for the n-th time.
fn second_of(outcome: &Outcome, state: &str, nth: usize) -> i64 {
    outcome.states.iter().filter(|(_, name)| &**name == state).nth(nth - 1).unwrap().0
}

/// Somebody launched the very servers of wave 2 from the console, moments before the run did. DRS refuses the run's call, and
/// as no call of the run is unanswered that job is not the run's: it must not be adopted, nor its instances cleaned up.
#[test]
fn a_console_users_job_is_never_adopted_when_no_call_is_unanswered() {
    let normal = told(Base::Drill.story());
    let begins = second_of(&normal, "StartWave", 2);
    for before in 1..=30 {
        let mut story = Base::Drill.story();
        let wave = story.input.pointer("/plan/waves/1/groups/0/sourceServerIds").unwrap().clone();
        let servers: Vec<String> = serde_json::from_value(wave).unwrap();
        story.console.push(ConsoleLaunch { at_second: begins - before, servers, is_drill: true });
        let outcome = told(story);
        no_violation(&outcome, &format!("launched {before} s before"));
        assert_ne!(outcome.status, "SUCCEEDED", "launched {before} s before");
    }
}

/// A start-wave freezes at any of its calls, the execution is stopped meanwhile, reconcile closes it and releases its locks.
/// The worker wakes up and must not open the closed wave again, let alone launch it.
#[test]
fn a_frozen_start_wave_does_nothing_after_the_end() {
    for (nth, cut) in [(1, Cut::Stop), (2, Cut::Stop), (2, Cut::TimeOut)] {
        let mut observed = Base::Drill.story();
        observed.observed = true;
        let normal = told(observed);
        let stop_at = second_of(&normal, "StartWave", nth) + 2;
        let tokens = |place: &str| place.starts_with("token/start-wave");
        let task = normal.trace.iter().enumerate().filter(|(_, (place, _))| tokens(place)).nth(nth - 1).unwrap().0;
        let calls: Vec<&(String, u32)> =
            normal.trace[task + 1..].iter().take_while(|(place, _)| place.starts_with("start-wave-v1/")).collect();
        assert!(calls.len() > 5, "{calls:?}");
        for (place, visit) in calls {
            let freeze = Entry { place: place.clone(), nth: *visit, what: Happening::Fault(Fault::Freeze(300)) };
            let line = freeze.to_string();
            let mut story = Base::Drill.story();
            story.script = Some(vec![freeze]);
            story.cuts.push((CutAt::Second(stop_at), cut));
            let outcome = told(story);
            no_violation(&outcome, &format!("{line}, {cut:?} at {stop_at}"));
            assert_ne!(outcome.status, "SUCCEEDED", "{line}");
            assert_eq!(outcome.thawed, 1, "{line}: the call was dropped before its worker woke, so nothing was tried");
        }
    }
}

/// A worker stops as a whole, for longer than any of its tasks may take, and goes on where it was: at every call of the first
/// start-wave, of a poll and of the cleanup. Everything it had in its hands is a zombie's by then, and the run succeeds.
#[test]
fn a_frozen_worker_wakes_with_all_it_had_in_its_hands() {
    for base in [Base::Drill, Base::Recovery] {
        let mut observed = base.story();
        observed.observed = true;
        let normal = told(observed);
        let every_third = |(index, place): (usize, _)| index.is_multiple_of(3).then_some(place);
        let of_interest = |(place, nth): &&(String, u32)| {
            *nth <= 4
                && place.contains('/')
                && !place.starts_with("token/")
                && !place.starts_with("answer/")
                && !place.starts_with("state/")
        };
        for (place, nth) in normal.trace.iter().filter(of_interest).enumerate().filter_map(every_third) {
            let freeze = Entry { place: place.clone(), nth: *nth, what: Happening::Fault(Fault::Freeze(400)) };
            let line = freeze.to_string();
            let mut story = base.story();
            story.script = Some(vec![freeze]);
            let outcome = told(story);
            no_violation(&outcome, &line);
            assert_eq!((outcome.status.as_str(), outcome.thawed), ("SUCCEEDED", 1), "{base:?} {line}");
        }
    }
}

/// StartRecovery takes effect when its caller has given up, or is dead, and its job is listed later still: nobody sends it
/// again meanwhile, and in the end the job is found. The same for the call that terminates.
#[test]
fn a_call_that_takes_effect_late_is_waited_for() {
    for (late, listed_after) in [(1, 0), (50, 60), (100, 20), (100, 0), (1, 119)] {
        for fault in [Fault::Late(late), Fault::CrashLate(late)] {
            for place in ["start-wave-v1/drs:StartRecovery", "start-cleanup-v1/drs:TerminateRecoveryInstances"] {
                let entry = Entry { place: place.to_owned(), nth: 1, what: Happening::Fault(fault) };
                let mut story = Base::Drill.story();
                story.script = Some(vec![entry.clone()]);
                let mut rule = FaultRule::new(FaultKind::JobListLag);
                rule.seconds = Some(f64::from(listed_after));
                story.server_faults.push(rule);
                let outcome = told(story);
                no_violation(&outcome, &format!("{entry}, listed {listed_after} s later"));
                assert_eq!(outcome.status, "SUCCEEDED", "{entry}, listed {listed_after} s later");
            }
        }
    }
}

/// DRS forgets a job that goes on launching: the wave fails when its grace is over, and says so.
#[test]
fn a_job_that_vanishes_fails_its_wave() {
    let mut story = Base::Drill.story();
    let mut rule = FaultRule::new(FaultKind::JobVanishes);
    rule.seconds = Some(300.0);
    rule.source_server_id = story.servers[2]["sourceServerId"].as_str().map(str::to_owned);
    story.server_faults.push(rule);
    let outcome = told(story);
    no_violation(&outcome, "a job of wave 2 vanishes");
    assert_ne!(outcome.status, "SUCCEEDED");
}

/// A job vanishes from every list while it converts, its wave is given up, and the drill's cleanup looks before anything is up: it
/// waits for what the job may still bring up, terminates it, and ends FAILED with the job's name where nothing ever came.
#[test]
fn a_cleanup_waits_for_a_job_that_has_vanished() {
    for (seconds, comes_up) in [(1.0, true), (300.0, true), (1.0, false)] {
        let mut story = Base::Drill.story();
        let server = story.servers[0]["sourceServerId"].as_str().map(str::to_owned);
        let waves = story.input.pointer_mut("/plan/waves").unwrap().as_array_mut().unwrap();
        waves.truncate(1);
        waves[0]["timeoutSeconds"] = 900.into();
        let kinds = [FaultKind::JobVanishes, if comes_up { FaultKind::ListLag } else { FaultKind::Stuck }];
        for (kind, seconds) in kinds.into_iter().zip([seconds, 120.0]) {
            let mut rule = FaultRule::new(kind);
            (rule.seconds, rule.source_server_id) = (Some(seconds), server.clone());
            if kind == FaultKind::Stuck {
                (rule.seconds, rule.stage) = (None, Some(Stage::Conversion));
            }
            story.server_faults.push(rule);
        }
        let (outcome, lines) = tell(&hunt::machine(None).unwrap(), story);
        no_violation(&outcome, &format!("vanishes after {seconds} s, comes up: {comes_up}"));
        let ends = |status| lines.iter().any(|line| line.contains(":cleanup(version=") && line.contains(status));
        assert_eq!(ends("status=COMPLETED"), comes_up, "{}", lines.join("\n"));
        assert_eq!(ends("status=FAILED"), !comes_up);
    }
}

/// Only one worker, and it freezes after it has asked DRS for the jobs of a call it lost, which DRS does not list yet. When it wakes,
/// the call is old enough to be sent again, but what it knows is not.
#[test]
fn a_look_is_as_old_as_its_question() {
    let place = |place: &str| format!("start-wave-v1/drs:{place}");
    let mut looks = 0;
    for (nth, seconds) in (1..=6).flat_map(|nth| [(nth, 110), (nth, 200), (nth, 390)]) {
        let script = [
            Entry { place: place("StartRecovery"), nth: 1, what: Happening::Fault(Fault::LostAfter) },
            Entry { place: place("DescribeJobs"), nth, what: Happening::Fault(Fault::FreezeAfter(seconds)) },
        ];
        let mut story = Base::Drill.story();
        (story.workers, story.skews) = (1, vec![0]);
        story.script = Some(script.to_vec());
        let mut rule = FaultRule::new(FaultKind::JobListLag);
        rule.seconds = Some(119.0);
        story.server_faults.push(rule);
        let outcome = told(story);
        no_violation(&outcome, &format!("{}, the job is listed late", script[1]));
        assert_eq!(outcome.status, "SUCCEEDED", "{}", script[1]);
        looks += outcome.thawed;
    }
    assert_eq!(looks, 18, "a look was never made, so it did not freeze");
}

/// A drill of two servers holds its instances, its locks are free, and another drill takes one of the two: that one's TERMINATE job
/// has as many servers as the first one's call, which never arrived, and all of them were launched by both.
#[test]
fn the_terminate_job_of_a_later_drill_is_not_adopted() {
    let call = "start-cleanup-v1/drs:TerminateRecoveryInstances".to_owned();
    for hold in (1_700..2_000).step_by(10) {
        let mut story = Base::Drill.story();
        let waves = story.input.pointer_mut("/plan/waves").unwrap().as_array_mut().unwrap();
        waves.truncate(1);
        let mut group = waves[0]["groups"][0].clone();
        group["sourceServerIds"] = vec![group["sourceServerIds"][1].clone()].into();
        story.input["options"] = serde_json::json!({ "holdSeconds": hold });
        let wave = serde_json::json!({ "waveNumber": 1, "waveName": "rival", "groups": [group] });
        let plan = serde_json::json!({ "planId": "rival", "planName": "rival", "waves": [wave] });
        let input = serde_json::json!({ "plan": plan, "executionType": "DRILL" });
        story.rival = Some(Start { name: "rival".to_owned(), input, after_ms: 1_850_000, cut: None });
        // Whichever of the two comes first, the other's is lost in another turn of this loop.
        story.script = Some(vec![Entry { place: call.clone(), nth: 2, what: Happening::Fault(Fault::LostBefore) }]);
        let outcome = told(story);
        no_violation(&outcome, &format!("held for {hold} s"));
        assert_eq!(outcome.status, "SUCCEEDED", "held for {hold} s");
    }
}

/// One server of a wave is in a console user's job, the other in a native recovery plan execution: both are named.
#[test]
fn everybody_who_holds_a_server_is_named() {
    let normal = told(Base::Drill.story());
    let begins = second_of(&normal, "StartWave", 2);
    let mut story = Base::Drill.story();
    let wave = story.input.pointer("/plan/waves/1/groups/0/sourceServerIds").unwrap().clone();
    let servers: Vec<String> = serde_json::from_value(wave).unwrap();
    story.console.push(ConsoleLaunch { at_second: begins - 60, servers: vec![servers[0].clone()], is_drill: false });
    story.native.push(NativeHold { from_second: begins - 60, seconds: 3_000, servers: vec![servers[1].clone()] });
    let (outcome, lines) = tell(&hunt::machine(None).unwrap(), story);
    no_violation(&outcome, "two hold the servers of wave 2");
    assert_eq!(outcome.error, "Tidegate.RecoveryFailed");
    let ended = lines.iter().find(|line| line.contains("simulated: ends FAILED")).unwrap();
    for named in [servers[0].as_str(), "(START_RECOVERY), which is not ours", servers[1].as_str(), NATIVE_EXECUTION] {
        assert!(ended.contains(named), "{named} in {ended}");
    }
}

/// A call of the old run was never answered, and a native recovery plan execution holds its server. The continuation is refused for
/// something else: what an unanswered call may have started is start-wave's to find, and its holder's name with it.
#[test]
fn a_refused_continuation_names_who_holds_what_it_would_launch() {
    let normal = told(Base::Recovery.story());
    let begins = second_of(&normal, "StartWave", 2);
    let mut story = Base::Recovery.story();
    let wave = story.input.pointer("/plan/waves/1/groups/0/sourceServerIds").unwrap().clone();
    let servers: Vec<String> = serde_json::from_value(wave).unwrap();
    // Somebody recovers a server of wave 3 meanwhile: nobody said that it may be deleted.
    let third = story.input.pointer("/plan/waves/2/groups/0/sourceServerIds/0").unwrap().as_str().unwrap().to_owned();
    story.console.push(ConsoleLaunch { at_second: begins + 10, servers: vec![third], is_drill: false });
    story.native.push(NativeHold { from_second: begins - 60, seconds: 30_000, servers: vec![servers[0].clone()] });
    let lost = Happening::Fault(Fault::LostBefore);
    story.script = Some(vec![Entry { place: "start-wave-v1/drs:StartRecovery".to_owned(), nth: 2, what: lost }]);
    story.sequels.push(Sequel { what: SequelKind::Continue, after_seconds: 60, cut: None });
    let outcome = told(story);
    no_violation(&outcome, "a native execution holds a server of an unanswered call");
    assert!(outcome.ends.iter().any(|(_, end)| end == "Tidegate.PlanRefused"), "{:?}", outcome.ends);
}

/// A task comes to two workers, at each of its hand-outs in turn: both work at it, one is answered.
#[test]
fn a_task_that_two_workers_have_is_done_once() {
    let mut observed = Base::Drill.story();
    observed.observed = true;
    let normal = told(observed);
    for (place, nth) in normal.trace.iter().filter(|(place, nth)| place.starts_with("token/") && *nth < 40) {
        let twice = Entry { place: place.clone(), nth: *nth, what: Happening::Fault(Fault::Duplicate) };
        let mut story = Base::Drill.story();
        story.script = Some(vec![twice.clone()]);
        let outcome = told(story);
        no_violation(&outcome, &twice.to_string());
        assert_eq!(outcome.status, "SUCCEEDED", "{twice}");
    }
}

/// A wave with a job in each of two Regions. The one is never answered, the other still launches at the wave's deadline: the
/// machine went back to start-wave, which polls no job, once a second until its history was full.
#[test]
fn a_wave_with_one_job_unanswered_and_one_running_ends_at_its_deadline() {
    let mut story = Base::Drill.story();
    story.servers[1]["region"] = "eu-west-1".into();
    let groups = story.input.pointer_mut("/plan/waves/0/groups").unwrap();
    let mut second = groups[0].clone();
    second["region"] = "eu-west-1".into();
    second["sourceServerIds"] = vec![groups[0]["sourceServerIds"][1].clone()].into();
    groups[0]["sourceServerIds"].as_array_mut().unwrap().truncate(1);
    groups.as_array_mut().unwrap().push(second);
    story.input["plan"]["waves"][0]["timeoutSeconds"] = 900.into();
    let place = "start-wave-v1/drs:StartRecovery".to_owned();
    let lost = |nth| Entry { place: place.clone(), nth, what: Happening::Fault(Fault::LostBefore) };
    story.script = Some((2..=12).map(lost).collect());
    let outcome = told(story);
    no_violation(&outcome, "the second job of wave 1 is never answered");
    assert_eq!(outcome.error, "Tidegate.RecoveryFailed");
    assert!(outcome.events < 2_000, "{} events", outcome.events);
    assert!(
        outcome.states.iter().any(|(second, state)| *second > 800 && &**state == "PollWave"),
        "{:?}",
        outcome.states
    );
}

/// Stories of fresh seeds that broke a promise, shrunk: what each had believed is in ADR 0003.
#[test]
fn what_fresh_seeds_found_stays_found() {
    for line in [
        // A vanished job; a job that ends after its wave was given up (three ways).
        "seed=77000648 without=oddEvents:1,skews:1,slowStarts:1 script",
        "seed=100058298 without=sequel:1,cut:1,oddEvents:1,request:1,workers:1,afterwards:1,slowStarts:1 script",
        "seed=100081205 without=oddEvents:1,skews:1,workers:1,afterwards:1 gate/AwaitResume#1=resumeNumber@307",
        "seed=100096939 without=rival:1,outage:1,wave:1,server:1,server:2,server:3,serverFault:1,workers:1,afterwards:1 \
         gate/AwaitDecision#1=abort@6",
        // A console user's job, listed before the first call.
        "seed=100037993 without=sequel:1,oddEvents:1,server:1,server:2,skews:1,workers:1,ec2Lag:1 \
         gate/AwaitDecision#1=skip@107 start-wave-v1/dynamodb:UpdateItem#4=lostAfter",
        // A wave opened just after the end.
        "seed=100044238 without=console:1,console:2,console:3,console:4,console:5,wave:2,server:1,server:3,server:4,server:5,server:6,server:7,server:8,server:9,server:10,server:11,skews:1,workers:1,ec2Lag:1,slowStarts:1 \
         start-wave-v1/dynamodb:Query#3=lostBefore start-wave-v1/dynamodb:Query#4=throttled \
         start-wave-v1/dynamodb:UpdateItem#1=freezeAfter:282 start-wave-v1/dynamodb:Query#9=lostBefore \
         start-wave-v1/dynamodb:Query#11=throttled start-wave-v1/drs:DescribeRecoveryInstances#3=freezeAfter:355",
        // A holder that lets go before the worker is told.
        "seed=100020596 without=cut:1,server:2,serverFault:3,serverFault:4,serverFault:5,serverFault:6,serverFault:7,afterwards:1,ec2Lag:1 prepare-execution-v1/drs:ListLaunchActions#2=throttled prepare-execution-v1/dynamodb:PutItem#4=throttled \
         prepare-execution-v1/dynamodb:UpdateItem#4=lostAfter prepare-execution-v1/dynamodb:PutItem#10=throttled \
         token/start-wave-v1#1=lostBefore start-wave-v1/drs:DescribeJobs#1=crashAfter \
         start-wave-v1/drs:DescribeJobs#2=crashAfter start-wave-v1/drs:StartRecovery#1=throttled",
    ] {
        let replay: Replay = line.parse().unwrap();
        no_violation(&replay.run().unwrap(), line);
    }
}
