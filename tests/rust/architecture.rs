//! The shape of the house (design chapter 2): which crate may know which, and where the clock, randomness and the
//! environment are read. From `cargo metadata` and from the sources, so a new crate or file is covered the day it appears.

#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use tidegate_tests::{repository, scan};

/// Which crates of ours a crate may depend on: `contract <- core <- aws <- worker -> runtime`. tidegate-ec2 stands apart
/// from tidegate-aws only because aws-sdk-ec2 takes minutes to compile.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("tidegate-contract", &[]),
    ("tidegate-core", &["tidegate-contract"]),
    ("tidegate-ec2", &[]),
    ("tidegate-aws", &["tidegate-contract", "tidegate-core", "tidegate-ec2"]),
    ("tidegate-runtime", &[]),
    ("tidegate-worker", &["tidegate-aws", "tidegate-contract", "tidegate-core", "tidegate-runtime"]),
    ("tidegate-cli", &["tidegate-aws", "tidegate-contract", "tidegate-core"]),
    ("tidegate-simulator", &["tidegate-ec2"]),
    // Test crates, which nothing depends on.
    ("tidegate-tests", &["tidegate-contract", "tidegate-core"]),
    (
        "tidegate-simulation",
        &[
            "tidegate-aws",
            "tidegate-contract",
            "tidegate-core",
            "tidegate-runtime",
            "tidegate-simulator",
            "tidegate-worker",
        ],
    ),
];

/// Words of shipped code, and the only files they may stand in.
struct Claim {
    about: &'static str,
    words: &'static [&'static str],
    only_in: &'static [&'static str],
}

const CLAIMS: &[Claim] = &[
    Claim {
        about: "the clock is read in one place per process: decisions take `now` as an argument",
        words: &["Timestamp::now", "SystemTime::now", "Instant::now", "Zoned::now"],
        only_in: &["workers/aws/src/clock.rs", "workers/runtime/src/clock.rs", "simulator/src/shell/mod.rs"],
    },
    Claim {
        about: "the environment is read where the settings are",
        words: &["std::env", "env::var", "env::vars", "env::args", "env =", "env)"],
        only_in: &[
            "workers/worker/src/config.rs",
            "cli/src/args.rs",
            "simulator/src/shell/options.rs",
            "workers/contract/src/bin/tidegate-contract.rs",
        ],
    },
    Claim {
        about: "randomness comes from one seeded source per process",
        words: &["rand", "RandomState", "getrandom", "Uuid::new_v4"],
        only_in: &["workers/runtime/src/jitter.rs", "simulator/src/time.rs", "simulator/src/faults.rs"],
    },
    Claim {
        about: "the unmaintained crate backoff can be replaced in one file (deny.toml, RUSTSEC-2025-0012)",
        words: &["backoff::", "extern crate backoff"],
        only_in: &["workers/runtime/src/retry.rs"],
    },
    Claim {
        about: "an execution's end is written by finalize alone (FR-5.5, NFR-4.3)",
        words: &["finish_execution"],
        only_in: &[
            "workers/aws/src/ports.rs",
            "workers/aws/src/store/executions.rs",
            "workers/aws/src/store/writes.rs",
            "workers/worker/src/activities/finalize_execution.rs",
        ],
    },
];

struct Dependency {
    name: String,
    is_dev: bool,
}

/// The workspace's packages with what they depend on directly.
fn packages() -> BTreeMap<String, Vec<Dependency>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--locked", "--format-version", "1"])
        .current_dir(repository::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let dependency =
        |found: &Value| Dependency { name: found["name"].as_str().unwrap().to_owned(), is_dev: found["kind"] == "dev" };
    let package = |found: &Value| {
        let dependencies = found["dependencies"].as_array().unwrap().iter().map(dependency).collect();
        (found["name"].as_str().unwrap().to_owned(), dependencies)
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// Shipped Rust files: everything below a `src`, but test modules that have a file of their own, and the test crates.
fn shipped_sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    for folder in ["workers", "cli", "simulator"] {
        for path in repository::files(folder, &["rs"]).unwrap() {
            if path.contains("/src/") && !path.ends_with("_tests.rs") && !path.ends_with("/tests.rs") {
                let text = repository::text(&path).unwrap();
                sources.insert(path, text);
            }
        }
    }
    sources
}

fn all_sources() -> Vec<String> {
    repository::files("", &["rs", "py", "sh"]).unwrap()
}

#[test]
fn crates_of_ours_depend_one_way() {
    let packages = packages();
    let named: BTreeSet<&str> = MAY_DEPEND_ON.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        packages.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        named,
        "say in MAY_DEPEND_ON what a new crate may know"
    );
    for (name, allowed) in MAY_DEPEND_ON {
        for dependency in packages[*name].iter().filter(|dependency| dependency.name.starts_with("tidegate-")) {
            assert!(allowed.contains(&dependency.name.as_str()), "{name} must not depend on {}", dependency.name);
        }
    }
}

#[test]
fn only_the_adapters_know_the_aws_sdk() {
    for (name, dependencies) in packages() {
        for dependency in dependencies.iter().filter(|dependency| dependency.name.starts_with("aws-")) {
            let allowed = match name.as_str() {
                "tidegate-ec2" => true,
                "tidegate-aws" => dependency.name != "aws-sdk-ec2",
                _ => false,
            };
            assert!(allowed, "{name} must not depend on {}", dependency.name);
        }
    }
}

#[test]
fn contract_and_core_have_no_input_or_output() {
    let packages = packages();
    for name in ["tidegate-contract", "tidegate-core"] {
        for dependency in packages[name].iter().filter(|dependency| !dependency.is_dev) {
            let doing =
                ["tokio", "futures", "async-trait", "axum", "hyper", "reqwest", "rand", "tracing", "backoff", "clap"];
            assert!(!doing.contains(&dependency.name.as_str()), "{name} must not depend on {}", dependency.name);
        }
    }
    for (path, source) in shipped_sources() {
        let is_pure = path.starts_with("workers/core/src/")
            || (path.starts_with("workers/contract/src/") && !path.contains("/bin/"));
        let found = scan::mentions(
            &source,
            &["async", "await", "std::fs", "std::net", "std::thread", "std::process", "std::io"],
        );
        assert!(!is_pure || found.is_empty(), "{path} does something: {found:?}");
    }
}

#[test]
fn backoff_is_a_dependency_of_the_runtime_only() {
    let users: Vec<String> = packages()
        .into_iter()
        .filter(|(_, dependencies)| dependencies.iter().any(|dependency| dependency.name == "backoff"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(users, ["tidegate-runtime"]);
}

#[test]
fn clock_randomness_environment_and_the_end_have_one_place() {
    let sources = shipped_sources();
    let mut wrong = Vec::new();
    for claim in CLAIMS {
        let found: BTreeSet<&str> = sources
            .iter()
            .filter(|(_, source)| !scan::mentions(source, claim.words).is_empty())
            .map(|(path, _)| path.as_str())
            .collect();
        let allowed: BTreeSet<&str> = claim.only_in.iter().copied().collect();
        for path in found.difference(&allowed) {
            wrong.push(format!(
                "{path} against \"{}\": {:?}",
                claim.about,
                scan::mentions(&sources[*path], claim.words)
            ));
        }
        // A list that names what is no longer there hides the next one.
        wrong.extend(
            allowed
                .difference(&found)
                .map(|path| format!("{path} no longer needs to be listed for \"{}\"", claim.about)),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// FR-2.4, FR-2.5, FR-6.5, AC-3.3, AC-3.5, NFR-4.2: not "it does not", but "it cannot".
#[test]
fn polling_holds_no_port_that_writes_an_execution() {
    // Five ports, and the answer of a write.
    let ports = BTreeSet::from(["Clock", "ExecutionReader", "RequestReader", "Targets", "WaveStore", "Written"]);
    for path in ["workers/worker/src/activities/poll_wave.rs", "workers/worker/src/activities/enrichment.rs"] {
        let source = repository::text(path).unwrap();
        let writers = [
            "ExecutionWriter",
            "LockStore",
            "Store",
            "finish_execution",
            "begin_execution",
            "put_cleanup",
            "create_execution",
            "finalize",
            "TableKey",
            "ExecutionStatus",
        ];
        let found = scan::mentions(&source, &writers);
        assert!(found.is_empty(), "{path} reaches for an execution's record: {found:?}");
        let held = ports_used(&source);
        assert!(held.is_subset(&ports), "{path} holds {:?}", held.difference(&ports));
        assert!(!held.is_empty(), "{path}: the ports are no longer read from its `use` lines; mend this test");
    }
}

/// Names imported from `tidegate_aws::ports`.
fn ports_used(source: &str) -> BTreeSet<&str> {
    let lines = source.lines().filter_map(|line| line.strip_prefix("use tidegate_aws::ports::"));
    lines
        .flat_map(|names| names.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|name| !name.is_empty())
        .collect()
}

// FR-2.4: the store behind the port polling holds writes whole items of execution-waves, and nothing else.
#[test]
fn the_wave_store_writes_waves_only() {
    let path = "workers/aws/src/store/waves.rs";
    let source = repository::text(path).unwrap();
    for (line, code) in scan::mentions(&source, &["TableKey"]).into_iter().filter(|(_, code)| !code.starts_with("use "))
    {
        assert!(code.contains("TableKey::ExecutionWaves"), "{path}:{line} names another table: {code}");
    }
    let others = [
        "update_item",
        "update_expression",
        "UpdateExpression",
        "delete_item",
        "transact_write_items",
        "ExecutionStatus",
        "Change",
    ];
    assert_eq!(scan::mentions(&source, &others), [], "{path} does more than put items");
    for (line, code) in scan::mentions(&source, &["writes"]).into_iter().filter(|(_, code)| !code.starts_with("use ")) {
        let put = ["writes::put_members(members)", "writes::create(TABLE,", "writes::replace(TABLE,"];
        assert!(put.iter().any(|call| code.contains(call)), "{path}:{line} writes something else: {code}");
    }
}

// c-17: every list AWS gives in pages is read to its last one. DescribeExecution and DescribeStateMachine are no lists.
#[test]
fn every_list_is_paged() {
    // The store's queries are handed to one function that pages them.
    let (handed_over, pages_what_it_is_handed) = ("collect(call, ", "= call.into_paginator()");
    let mut lists = 0;
    let mut pagers = Vec::new();
    for (path, source) in shipped_sources()
        .into_iter()
        .filter(|(path, _)| path.starts_with("workers/aws/") || path.starts_with("workers/ec2/"))
    {
        let code: String = scan::shipped_lines(&source).into_iter().map(|(_, line)| line.trim()).collect();
        let asked: usize =
            ["client.describe_", "client.list_", "client.query()", "client.scan()", "client.get_execution_history()"]
                .iter()
                .map(|call| code.matches(call).count())
                .sum();
        let single =
            code.matches("client.describe_execution(").count() + code.matches("client.describe_state_machine(").count();
        let pagers_here = code.matches(pages_what_it_is_handed).count();
        let paged = code.matches(".into_paginator()").count() - pagers_here + code.matches(handed_over).count();
        assert_eq!(paged, asked - single, "{path} reads only the first page of a list");
        lists += asked - single;
        pagers.extend(vec![path; pagers_here]);
    }
    assert_eq!(pagers, ["workers/aws/src/store/mod.rs"], "one function pages queries");
    assert!(lists > 5, "only {lists} lists were found; mend this test");
}

// c-01b: whoever shows an execution reads its status. Judging is for the worker.
#[test]
fn the_cli_recomputes_no_status() {
    for (path, source) in shipped_sources().into_iter().filter(|(path, _)| path.starts_with("cli/")) {
        let found = scan::mentions(&source, &["finalize", "wave_verdict", "wave_poll", "wave_start", "cleanup::"]);
        let judging: Vec<_> = found.iter().filter(|(_, line)| line.contains("tidegate_core")).collect();
        assert!(judging.is_empty(), "{path} judges for itself: {judging:?}");
    }
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long: Vec<String> = all_sources()
        .into_iter()
        .map(|path| (repository::text(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > 600)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "split these along a seam:\n{}", long.join("\n"));
}

#[test]
fn no_file_is_named_after_nothing() {
    for path in all_sources() {
        let mut parts = path.split('/').map(|part| part.split('.').next().unwrap_or_default());
        assert!(
            !parts.any(|part| matches!(part, "utils" | "util" | "helpers" | "helper" | "common" | "misc")),
            "{path}: name it after what it does"
        );
    }
}

#[test]
fn every_crate_says_what_lives_there_and_what_may_not() {
    for manifest in repository::files("", &["toml"]).unwrap().into_iter().filter(|path| path.ends_with("/Cargo.toml")) {
        let folder = manifest.trim_end_matches("Cargo.toml");
        let heads: Vec<String> = ["src/lib.rs", "src/main.rs"]
            .iter()
            .filter_map(|file| repository::text(&format!("{folder}{file}")).ok())
            .collect();
        assert!(heads.iter().any(|head| head.starts_with("//!")), "{folder} has no head comment");
    }
}

/// aws-sdk-ec2 takes minutes and 8 GiB to compile. A feature that only tests turn on, anywhere below it, doubles that.
#[test]
fn a_build_with_tests_compiles_aws_sdk_ec2_as_one_without_does() {
    let below_ec2 = features("-paws-sdk-ec2", "normal,build").into_keys().collect::<BTreeSet<_>>();
    let (without, with) = (features("--workspace", "normal,build"), features("--workspace", "normal,build,dev"));
    for package in below_ec2 {
        assert_eq!(without.get(&package), with.get(&package), "{package}");
    }
}

/// The packages of a selection, each with the sets of features it is compiled with.
fn features(selection: &str, edges: &str) -> BTreeMap<String, BTreeSet<String>> {
    let arguments = ["tree", "--locked", "--prefix=none", "--format={p}|{f}", "--edges", edges, selection];
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(repository::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((package, set)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        features.entry(package.to_owned()).or_default().insert(set.to_owned());
    }
    features
}
