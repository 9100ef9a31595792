//! The command line, and the files it names.

use super::instances::{Ec2Instances, InMemory};
use clap::{Parser, ValueEnum};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tidegate_simulator::{Instances, Inventory, Quotas, Scenario, ServerGroup, Settings};

/// A local AWS Elastic Disaster Recovery (DRS) API for drills and tests.
///
/// Point an SDK at it with AWS_ENDPOINT_URL_DRS. Signatures are read (Region and account), not checked. Prints one JSON line
/// {"listening":"http://…"} on stdout when it answers calls; logs are JSON on stderr. SIGTERM ends it.
#[derive(Debug, Clone, Parser)]
#[command(name = "tidegate-simulator", version)]
pub(crate) struct Options {
    /// Address and port; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0", env = "TIDEGATE_SIMULATOR_LISTEN")]
    pub(crate) listen: String,

    /// Allows --listen beyond loopback: everybody who reaches the address may do everything
    #[arg(long)]
    pub(crate) expose: bool,

    /// Where recovery instances are launched
    #[arg(long, value_enum, default_value = "ec2", env = "TIDEGATE_SIMULATOR_INSTANCES")]
    pub(crate) instances: InstancesKind,

    /// EC2 endpoint, for --instances ec2 [default: AWS_ENDPOINT_URL_EC2, then AWS_ENDPOINT_URL]
    #[arg(long, env = "AWS_ENDPOINT_URL_EC2")]
    pub(crate) ec2_endpoint: Option<String>,

    /// STS endpoint, asked for the account of an assumed role's access key
    /// [default: AWS_ENDPOINT_URL_STS, then AWS_ENDPOINT_URL, then the EC2 endpoint]
    #[arg(long, env = "AWS_ENDPOINT_URL_STS")]
    pub(crate) sts_endpoint: Option<String>,

    /// The general endpoint, used when nothing names the service's
    #[arg(long, env = "AWS_ENDPOINT_URL", hide = true)]
    pub(crate) endpoint: Option<String>,

    /// Times faster than AWS
    #[arg(long, default_value_t = 60.0, env = "TIDEGATE_SIMULATOR_SPEED")]
    pub(crate) speed: f64,

    /// Seed of ids, durations and probabilities
    #[arg(long, default_value_t = 1, env = "TIDEGATE_SIMULATOR_SEED")]
    pub(crate) seed: u64,

    /// How often it was started before on the same EC2: no two lives give a job the same id
    #[arg(long, default_value_t = 0)]
    pub(crate) life: u64,

    /// Inventory file (JSON); may be given more than once
    #[arg(long)]
    pub(crate) inventory: Vec<PathBuf>,

    /// Adds this many servers, s-00000000000000001 and on, to the default account
    #[arg(long, default_value_t = 0)]
    pub(crate) generate_servers: u32,

    /// Region of --generate-servers
    #[arg(long, default_value = "us-west-2")]
    pub(crate) generate_region: String,

    /// Scenario file (JSON): quirks, timings, faults
    #[arg(long)]
    pub(crate) scenario: Option<PathBuf>,

    /// Largest page of any listing, and the page size when the caller names none
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) page_size: u32,

    /// Account of callers whose access key is not a 12-digit number, and of servers whose inventory names none
    #[arg(long, default_value = "000000000000")]
    pub(crate) account: String,

    /// Quota: concurrent jobs in progress
    #[arg(long, default_value_t = 20)]
    pub(crate) quota_concurrent_jobs: usize,

    /// Quota: source servers in a single job
    #[arg(long, default_value_t = 100)]
    pub(crate) quota_servers_per_job: usize,

    /// Quota: source servers in all jobs
    #[arg(long, default_value_t = 500)]
    pub(crate) quota_servers_in_all_jobs: usize,

    /// Calls kept in the journal
    #[arg(long, default_value_t = 10_000)]
    pub(crate) journal_capacity: usize,

    /// Writes each kind of call of a caller with an application id (AWS_SDK_UA_APP_ID) to this file, once
    #[arg(long)]
    pub(crate) calls: Option<PathBuf>,

    /// Prints the names of the implemented operations and ends
    #[arg(long)]
    pub(crate) list_operations: bool,

    /// Log filter, for example info or tidegate_simulator=debug
    #[arg(long, default_value = "info", env = "RUST_LOG")]
    pub(crate) log: String,
}

/// Where recovery instances are launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InstancesKind {
    /// Real ones, through the EC2 endpoint
    Ec2,
    /// Ids only, without any EC2
    Memory,
}

/// What is wrong with the command line or a file it names.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not what it should be: {source}", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error(
        "--listen {address} is not loopback, and whoever reaches it may do everything: add --expose if that is meant"
    )]
    NotLocal { address: std::net::SocketAddr },
    #[error("--speed must be a number above 0")]
    Speed,
    #[error("--instances ec2 needs --ec2-endpoint or AWS_ENDPOINT_URL_EC2; without an EC2 use --instances memory")]
    NoEc2,
}

impl Options {
    pub(crate) fn settings(&self) -> Result<Settings, OptionsError> {
        if !(self.speed.is_finite() && self.speed > 0.0) {
            return Err(OptionsError::Speed);
        }
        let scenario = match &self.scenario {
            Some(path) => read::<Scenario>(path)?,
            None => Scenario::default(),
        };
        Ok(Settings {
            seed: self.seed,
            life: self.life,
            speed: self.speed,
            scenario,
            quotas: Quotas {
                concurrent_jobs: self.quota_concurrent_jobs,
                servers_per_job: self.quota_servers_per_job,
                servers_in_all_jobs: self.quota_servers_in_all_jobs,
            },
            page_size: usize::try_from(self.page_size).unwrap_or(usize::MAX),
            default_account: self.account.clone(),
            journal_capacity: self.journal_capacity,
        })
    }

    /// All inventory files as one; each file's defaults are filled in first, because they are its own.
    pub(crate) fn inventory(&self) -> Result<Inventory, OptionsError> {
        let mut all = Inventory::default();
        for path in &self.inventory {
            all.append(read::<Inventory>(path)?);
        }
        if self.generate_servers > 0 {
            let group: Vec<ServerGroup> = Inventory::generated(self.generate_servers, &self.generate_region).generate;
            all.generate.extend(group);
        }
        Ok(all)
    }

    /// Where to ask for the account of an access key that does not say it.
    pub(crate) fn sts(&self) -> Option<String> {
        self.sts_endpoint.clone().or_else(|| self.endpoint.clone()).or_else(|| self.ec2_endpoint.clone())
    }

    pub(crate) fn instances(&self) -> Result<Arc<dyn Instances>, OptionsError> {
        match self.instances {
            InstancesKind::Memory => Ok(Arc::new(InMemory::new(self.seed))),
            InstancesKind::Ec2 => {
                let endpoint =
                    self.ec2_endpoint.clone().or_else(|| self.endpoint.clone()).ok_or(OptionsError::NoEc2)?;
                Ok(Arc::new(Ec2Instances::new(endpoint)))
            }
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, OptionsError> {
    let text = std::fs::read_to_string(path).map_err(|source| OptionsError::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| OptionsError::Parse { path: path.to_owned(), source })
}
