//! The process's configuration: the only place that reads the environment, once, at the start.

use clap::{Args, Parser, Subcommand};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use tidegate_aws::store::TableNames;
use tidegate_contract::ActivityName;
use tidegate_core::reach::{self, Reach};

/// Tidegate's activity worker.
#[derive(Debug, Parser)]
#[command(name = "tidegate-worker", version, about)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Poll the activities and work until SIGTERM.
    Run(Config),
    /// Parse the configuration, compare it with the contract, and exit.
    Check(Config),
    /// Ask a running worker how it is; exit 0 if it is alive. For container health checks.
    Healthcheck {
        /// Address of the worker's health endpoint.
        #[arg(long, env = "TIDEGATE_HEALTH_ADDR", default_value = "127.0.0.1:8089")]
        health_addr: SocketAddr,
    },
}

/// Settings of a worker. Nothing that names an account or Region has a default.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Activity ARNs by contract name, JSON.
    #[arg(long, env = "TIDEGATE_ACTIVITY_ARNS")]
    pub activity_arns: String,
    /// Table names by contract key, JSON.
    #[arg(long, env = "TIDEGATE_TABLES")]
    pub tables: String,
    /// Where the health endpoint listens.
    #[arg(long, env = "TIDEGATE_HEALTH_ADDR", default_value = "127.0.0.1:8089")]
    pub health_addr: SocketAddr,
    /// Open long polls per activity. A token lost in transit stalls the polls behind it for up to a minute, so more than one.
    #[arg(long, env = "TIDEGATE_POLLERS", default_value_t = 4)]
    pub pollers: usize,
    /// Tasks of one activity at once.
    #[arg(long, env = "TIDEGATE_SLOTS", default_value_t = 16)]
    pub slots: usize,
    /// Roles in other accounts by account id, JSON: `{"444455556666": {"roleArn": "…", "externalId": "…"}}`.
    #[arg(long, env = "TIDEGATE_TARGET_ACCOUNTS", default_value = "{}", hide_env_values = true)]
    pub target_accounts: Undisclosed,
    /// Regions DRS may launch in, with commas between; the activities' own Region unless given.
    #[arg(long, env = "TIDEGATE_REGIONS", default_value = "")]
    pub regions: String,
    /// Tag DRS jobs with execution, wave and intent (needs drs:TagResource).
    #[arg(long, env = "TIDEGATE_TAG_JOBS", default_value_t = false, action = clap::ArgAction::Set)]
    pub tag_jobs: bool,
    /// Log filter, such as `info`.
    #[arg(long, env = "TIDEGATE_LOG", default_value = "info")]
    pub log: String,
    /// Host name shown in the execution history.
    #[arg(long, env = "HOSTNAME", default_value = "worker")]
    pub host: String,
}

/// A setting that is not shown, whatever prints the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Undisclosed(String);

impl FromStr for Undisclosed {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Undisclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(not shown)")
    }
}

/// What a worker was given to poll.
#[derive(Debug, PartialEq, Eq)]
pub struct Activities {
    /// ARNs of all that it serves.
    pub arns: BTreeMap<ActivityName, String>,
    /// Names of another release's activities; nobody polls them here.
    pub unknown: Vec<String>,
}

impl Config {
    /// Every activity of this worker's contract with its ARN, and the names it does not know. A missing name is refused: a
    /// worker that serves too few activities stalls executions. An unknown one is not: while a release that added an
    /// activity version is rolled back, the worker of before is given the map of after, and has to go on serving the rest.
    pub fn activities(&self) -> Result<Activities, String> {
        let given: BTreeMap<String, String> = serde_json::from_str(&self.activity_arns)
            .map_err(|error| format!("TIDEGATE_ACTIVITY_ARNS is not a JSON map of activity names to ARNs: {error}"))?;
        let missing: Vec<&str> =
            ActivityName::ALL.iter().map(|name| name.as_str()).filter(|name| !given.contains_key(*name)).collect();
        if !missing.is_empty() {
            return Err(format!(
                "TIDEGATE_ACTIVITY_ARNS lacks {missing:?}, which this worker serves: apply the Terraform of its release first"
            ));
        }
        let (mut arns, mut unknown) = (BTreeMap::new(), Vec::new());
        for (name, arn) in given {
            match ActivityName::parse(&name) {
                Some(known) => drop(arns.insert(known, arn)),
                None => unknown.push(name),
            }
        }
        Ok(Activities { arns, unknown })
    }

    /// The deployed tables.
    pub fn table_names(&self) -> Result<TableNames, String> {
        TableNames::parse(&self.tables).map_err(|problem| format!("TIDEGATE_TABLES {problem}"))
    }

    /// Where this deployment may recover: at home, which is where its activities are, and in the accounts it has a role in.
    pub fn reach(&self) -> Result<Reach, String> {
        let roles = reach::parse_roles(&self.target_accounts.0)
            .map_err(|problem| format!("TIDEGATE_TARGET_ACCOUNTS {problem}"))?;
        let arns = self.activities()?.arns;
        // arn:aws:states:REGION:ACCOUNT:activity:NAME
        let home = arns.values().next().map(|arn| arn.split(':').collect::<Vec<_>>());
        let Some([_, _, _, region, account, ..]) = home.as_deref() else {
            return Err("TIDEGATE_ACTIVITY_ARNS holds no ARN: the workers' account and Region are not known".to_owned());
        };
        let mut regions: BTreeSet<String> =
            self.regions.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        if regions.is_empty() {
            regions.insert((*region).to_owned());
        }
        Ok(Reach::new((*account).to_owned(), roles, regions))
    }

    /// The worker's name in the execution history: host and process, at most 80 characters.
    pub fn worker_name(&self) -> String {
        let name = format!("{}-{}", self.host, std::process::id());
        name.chars().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config(arns: &str) -> Config {
        let cli = Cli::try_parse_from(["tidegate-worker", "check", "--activity-arns", arns, "--tables", "{}"]).unwrap();
        match cli.command {
            Command::Run(config) | Command::Check(config) => config,
            Command::Healthcheck { .. } => unreachable!(),
        }
    }

    #[test]
    fn activities_of_another_release_are_told_and_not_polled() {
        let mut all: BTreeMap<&str, &str> = ActivityName::ALL.iter().map(|name| (name.as_str(), "arn")).collect();
        let exact = config(&serde_json::to_string(&all).unwrap()).activities().unwrap();
        assert_eq!((exact.arns.len(), exact.unknown.len()), (ActivityName::ALL.len(), 0));
        all.insert("poll-wave-v9", "arn");
        let newer = config(&serde_json::to_string(&all).unwrap()).activities().unwrap();
        assert_eq!((newer.arns, newer.unknown), (exact.arns, vec!["poll-wave-v9".to_owned()]));
    }

    #[test]
    fn an_activity_without_an_arn_stops_the_start() {
        let mut fewer: BTreeMap<&str, &str> = ActivityName::ALL.iter().map(|name| (name.as_str(), "arn")).collect();
        fewer.remove("poll-wave-v1");
        fewer.insert("poll-wave-v9", "arn");
        assert!(config(&serde_json::to_string(&fewer).unwrap()).activities().unwrap_err().contains("poll-wave-v1"));
    }

    fn reach_of(more: &[&str]) -> Result<Reach, String> {
        let arn = "arn:aws:states:us-west-2:111122223333:activity:a";
        let arns: BTreeMap<&str, &str> = ActivityName::ALL.iter().map(|name| (name.as_str(), arn)).collect();
        let arns = serde_json::to_string(&arns).unwrap();
        let given = ["tidegate-worker", "check", "--activity-arns", &arns, "--tables", "{}"];
        let Command::Check(config) = Cli::try_parse_from(given.iter().chain(more)).unwrap().command else {
            unreachable!()
        };
        assert!(!format!("{config:?}").contains("between-two"), "an external id is never printed");
        config.reach()
    }

    #[test]
    fn a_worker_reaches_its_own_account_and_region_and_what_it_is_given() {
        let target = |account: &str, region: &str| tidegate_contract::records::Target {
            account_id: account.to_owned(),
            region: region.to_owned(),
        };
        let alone = reach_of(&[]).unwrap();
        assert!(alone.way_to(&target("111122223333", "us-west-2")).is_ok());
        assert!(alone.way_to(&target("111122223333", "eu-west-1")).is_err());
        let roles = r#"{"444455556666": {"roleArn": "arn:aws:iam::444455556666:role/t", "externalId": "between-two"}}"#;
        let given = reach_of(&["--target-accounts", roles, "--regions", "eu-west-1, eu-west-2"]).unwrap();
        assert!(given.way_to(&target("444455556666", "eu-west-2")).is_ok());
        assert!(given.way_to(&target("111122223333", "us-west-2")).is_err());
    }

    #[test]
    fn a_map_of_accounts_that_cannot_be_read_stops_the_start_and_is_not_told() {
        let told = reach_of(&["--target-accounts", r#"{"444455556666": "between-two"}"#]).unwrap_err();
        assert!(told.starts_with("TIDEGATE_TARGET_ACCOUNTS") && !told.contains("between-two"), "{told}");
    }

    #[test]
    fn tables_are_checked() {
        assert!(config("{}").table_names().unwrap_err().contains("TIDEGATE_TABLES names no table"));
    }
}
