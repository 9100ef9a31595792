//! The binary as a shell sees it: exit codes, what goes to which stream, and what is refused before anything is sent.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

const TABLES: &str = r#"{"executionHistory":"h","executionWaves":"w","executionRequests":"r","executionGates":"t","recoveryPlans":"p","protectionGroups":"g","serverLocks":"l"}"#;

fn tidegate(arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that fails early may have closed its end already.
    let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the binary ends")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn help_and_version_need_no_settings() {
    for arguments in [&["--help"][..], &["start", "--help"], &["watch", "--help"], &["resume", "-h"], &["--version"]] {
        let output = tidegate(arguments, &[], "");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
    assert_eq!(tidegate(&["sart"], &[], "").status.code(), Some(2));
}

#[test]
fn a_missing_setting_is_named_with_its_remedy() {
    for command in ["show", "watch", "resume", "pause", "cancel", "reconcile"] {
        let output = tidegate(&[command, "run-1"], &[], "");
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(told.contains("TIDEGATE_TABLES") && told.contains("source .local/env"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    let told = stderr(&tidegate(&["list"], &[("TIDEGATE_TABLES", "{}")], ""));
    assert!(told.contains("executionHistory"), "{told}");
    let told = stderr(&tidegate(&["list"], &[("TIDEGATE_TABLES", TABLES), ("AWS_EC2_METADATA_DISABLED", "true")], ""));
    assert!(told.contains("AWS_REGION"), "{told}");
    let settings = [("TIDEGATE_TABLES", TABLES), ("AWS_REGION", "us-west-2"), ("TIDEGATE_STATE_MACHINE_ARN", "")];
    let told = stderr(&tidegate(&["start", "--plan", "crm", "--type", "drill"], &settings, ""));
    assert!(told.contains("TIDEGATE_STATE_MACHINE_ARN"), "{told}");
}

#[test]
fn a_bad_input_is_refused_with_every_reason_and_without_a_deployment() {
    let input = r#"{"executionType":"DRILL","mode":"RUNN","plan":{"planId":"p","planName":"p","waves":[
        {"waveNumber":1,"waveName":"a","pauseBeforWave":true,"groups":[{"region":"us-west-2","tags":{"a":"b"}}]}]}}"#;
    let output = tidegate(&["start", "--input", "-"], &[], input);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "no name is printed for what was not started");
    for part in ["mode", "plan.waves[0].pauseBeforWave", "->", "2 problems in the input; nothing was started"] {
        assert!(told.contains(part), "{part} not in {told}");
    }
    let told = stderr(&tidegate(&["start", "--input", "-"], &[], "{"));
    assert!(told.contains("- is not JSON"), "{told}");
    let told = stderr(&tidegate(&["start", "--input", "no-such-file"], &[], ""));
    assert!(told.contains("cannot read no-such-file"), "{told}");
}

#[test]
fn a_recovery_is_not_started_without_a_yes() {
    let settings = [
        ("TIDEGATE_TABLES", TABLES),
        ("TIDEGATE_STATE_MACHINE_ARN", "arn:aws:states:us-west-2:111122223333:stateMachine:m"),
        ("AWS_REGION", "us-west-2"),
    ];
    let plan = r#"{"planId":"p","planName":"p","waves":[{"waveNumber":1,"waveName":"db","groups":[{"region":"us-west-2","tags":{"a":"b"}}]}]}"#;
    let output = tidegate(&["start", "--plan-file", "-", "--type", "recovery"], &settings, plan);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("wave 1 \"db\": servers with a=b in us-west-2") && told.contains("--yes"), "{told}");
    assert!(output.stdout.is_empty());
}

#[test]
fn asking_needs_a_terminal() {
    let settings = [("TIDEGATE_TABLES", TABLES), ("AWS_REGION", "us-west-2")];
    let output = tidegate(&["watch", "run-1", "--approve", "ask"], &settings, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--approve ask needs a terminal"));
}
