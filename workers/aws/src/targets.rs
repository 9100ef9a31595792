//! Clients per account and Region, and the sessions in other accounts. Kept while they are used, and so many at most.

use crate::config::in_region;
use crate::drs::DrsClient;
use crate::error::{ErrorClass, PortError, Sent};
use crate::ports::{Drs, Ec2, Targets};
use crate::recent::Recent;
use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_config::identity::IdentityCache;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_types::retry::RetryConfig;
use std::sync::Arc;
use tidegate_contract::records::Target;
use tidegate_contract::{ExecutionId, JobId, SourceServerId};
use tidegate_core::observed::{Instance, TaggedInstance};
use tidegate_core::reach::{Reach, TargetRole, Unreachable, Way};
use tidegate_core::time;
use tidegate_ec2::{Ec2Reader, InstanceFacts};
use tokio::sync::Mutex;

/// Sessions and clients kept of each: what the executions of a busy worker use (a plan leads to 100 places at most), at some
/// tens of kilobytes. One that was dropped costs an AssumeRole when it is needed again.
const KEPT: usize = 256;

/// Characters of a session's name (API model of STS: RoleSessionName, 2 to 64 of `[\w+=,.@-]`).
const SESSION_NAME_LENGTH: usize = 64;

/// Real DRS and EC2 clients.
pub struct AwsTargets(Arc<Shared>);

struct Shared {
    base: SdkConfig,
    reach: Arc<Reach>,
    kept: Mutex<Kept>,
}

struct Kept {
    sessions: Recent<(String, String), Session>,
    clients: Recent<Key, Clients>,
}

/// Whom a client acts as, and where: as the workers themselves in any execution, elsewhere in a session of its own for each.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    target: Target,
    session: Option<String>,
}

/// A role taken for one execution. Its Regions share the credentials, and with them the AssumeRole calls.
#[derive(Clone)]
struct Session {
    credentials: SharedCredentialsProvider,
    cache: SharedIdentityCache,
}

impl AwsTargets {
    /// Targets in reach, from the workers' own credentials.
    pub fn new(base: SdkConfig, reach: Arc<Reach>) -> Self {
        let kept = Kept { sessions: Recent::new(KEPT), clients: Recent::new(KEPT) };
        Self(Arc::new(Shared { base, reach, kept: Mutex::new(kept) }))
    }

    /// The targets as one execution sees them: its sessions in other accounts carry its name, so that CloudTrail there says
    /// which execution made a call.
    pub fn of(&self, execution: &ExecutionId) -> Arc<dyn Targets> {
        Arc::new(ExecutionTargets { shared: self.0.clone(), session_name: session_name(execution) })
    }
}

/// The name of an execution's sessions. A long one loses its middle: plan and type begin it, the time ends it.
fn session_name(execution: &ExecutionId) -> String {
    let clean = |c: char| if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '-' };
    let name: Vec<char> = format!("tidegate-{execution}").chars().map(clean).collect();
    if name.len() <= SESSION_NAME_LENGTH {
        return name.into_iter().collect();
    }
    let half = (SESSION_NAME_LENGTH - 2) / 2;
    let (begins, ends) = (&name[..half], &name[name.len() - half..]);
    [begins, &['.', '.'], ends].concat().into_iter().collect()
}

struct ExecutionTargets {
    shared: Arc<Shared>,
    session_name: String,
}

impl ExecutionTargets {
    async fn clients(&self, target: &Target) -> Result<Clients, PortError> {
        let Shared { base, reach, kept } = &*self.shared;
        // Before any client is made: neither a Region nor an account that somebody made up costs memory or a call.
        let way = reach.way_to(target).map_err(unreachable_target)?;
        let session = matches!(way, Way::Role(_)).then(|| self.session_name.clone());
        let key = Key { target: target.clone(), session };
        let mut kept = kept.lock().await;
        if let Some(known) = kept.clients.get(&key) {
            return Ok(known);
        }
        let config = match way {
            Way::Own => in_region(base, &target.region, None),
            Way::Role(role) => {
                let of = (target.account_id.clone(), self.session_name.clone());
                let session = match kept.sessions.get(&of) {
                    Some(known) => known,
                    None => {
                        let new = assume(base, role, &self.session_name).await;
                        kept.sessions.insert(of, new.clone());
                        new
                    }
                };
                in_region(base, &target.region, Some((session.credentials, session.cache)))
            }
        };
        // While EC2 is asked a poll comes every few seconds, and EC2's failure fails none of them: repeating a call within a
        // poll would make an outage's calls four times as many and find nothing sooner.
        let once = config.to_builder().retry_config(RetryConfig::disabled()).build();
        let new = Clients { drs: Arc::new(DrsClient::new(&config)), ec2: Arc::new(Ec2Client::new(&once, &config)) };
        kept.clients.insert(key, new.clone());
        Ok(new)
    }
}

/// Calls nothing yet: the role is assumed when the first call needs credentials.
async fn assume(base: &SdkConfig, role: &TargetRole, session_name: &str) -> Session {
    let mut builder = AssumeRoleProvider::builder(&role.role_arn).session_name(session_name).configure(base);
    if let Some(external_id) = &role.external_id {
        builder = builder.external_id(external_id);
    }
    let credentials = SharedCredentialsProvider::new(builder.build().await);
    // One of its own: the SDK's cache never forgets a provider it has seen.
    Session { credentials, cache: IdentityCache::lazy().build() }
}

fn unreachable_target(why: Unreachable) -> PortError {
    PortError {
        class: ErrorClass::Denied,
        sent: Sent::NotSent,
        ..PortError::unreadable("tidegate:Reach", format!("{why}: {}", why.remedy()))
    }
}

/// One of each. A client brings no connections of its own: all share one pool ([`crate::config::load`]).
#[derive(Clone)]
struct Clients {
    drs: Arc<DrsClient>,
    ec2: Arc<Ec2Client>,
}

#[async_trait]
impl Targets for ExecutionTargets {
    async fn drs(&self, target: &Target) -> Result<Arc<dyn Drs>, PortError> {
        Ok(self.clients(target).await?.drs)
    }

    async fn ec2(&self, target: &Target) -> Result<Arc<dyn Ec2>, PortError> {
        Ok(self.clients(target).await?.ec2)
    }
}

struct Ec2Client {
    /// For polls, which ask again by themselves.
    once: Ec2Reader,
    /// For looks that something waits for.
    patient: Ec2Reader,
}

impl Ec2Client {
    fn new(once: &SdkConfig, patient: &SdkConfig) -> Self {
        Self { once: Ec2Reader::new(once), patient: Ec2Reader::new(patient) }
    }
}

#[async_trait]
impl Ec2 for Ec2Client {
    async fn instances(&self, ids: &[String]) -> Result<Vec<Instance>, PortError> {
        Ok(self.once.describe_instances(ids).await?.into_iter().map(instance).collect())
    }

    async fn instances_of_servers(&self, servers: &[SourceServerId]) -> Result<Vec<TaggedInstance>, PortError> {
        let ids: Vec<String> = servers.iter().map(|id| id.as_str().to_owned()).collect();
        let found = self.patient.instances_of_servers(&ids).await?;
        let known = found.into_iter().map(|one| TaggedInstance {
            instance_id: one.instance_id,
            source_server_id: SourceServerId::from(one.source_server),
            job_id: one.job.map(JobId::from),
        });
        Ok(known.collect())
    }
}

fn instance(facts: InstanceFacts) -> Instance {
    Instance {
        instance_id: facts.instance_id,
        instance_type: facts.instance_type,
        private_ip: facts.private_ip,
        launch_time: facts.launch_time.as_deref().and_then(time::parse),
        state: facts.state,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use std::collections::{BTreeMap, BTreeSet};

    const HOME: &str = "111122223333";
    const OTHER: &str = "444455556666";

    async fn targets() -> AwsTargets {
        let role = TargetRole { role_arn: format!("arn:aws:iam::{OTHER}:role/t"), external_id: None };
        let regions = BTreeSet::from(["us-west-2".to_owned(), "eu-west-1".to_owned()]);
        let reach = Reach::new(HOME.to_owned(), BTreeMap::from([(OTHER.to_owned(), role)]), regions);
        let own = Credentials::new("a", "b", None, None, "test");
        let base = aws_config::defaults(BehaviorVersion::v2026_01_12()).region(Region::new("us-west-2"));
        AwsTargets::new(base.credentials_provider(own).load().await, Arc::new(reach))
    }

    fn target(account: &str, region: &str) -> Target {
        Target { account_id: account.to_owned(), region: region.to_owned() }
    }

    async fn kept(targets: &AwsTargets) -> (usize, usize) {
        let kept = targets.0.kept.lock().await;
        (kept.sessions.len(), kept.clients.len())
    }

    #[tokio::test]
    async fn a_thousand_executions_leave_no_more_than_is_kept() {
        let targets = targets().await;
        for number in 0..1_000 {
            let of = targets.of(&ExecutionId(format!("run-{number}")));
            of.drs(&target(OTHER, "us-west-2")).await.unwrap();
            of.ec2(&target(HOME, "us-west-2")).await.unwrap();
        }
        assert_eq!(kept(&targets).await, (KEPT, KEPT));
    }

    #[tokio::test]
    async fn made_up_accounts_and_regions_leave_nothing() {
        let targets = targets().await;
        let of = targets.of(&ExecutionId("run".to_owned()));
        for number in 0..1_000 {
            for made_up in [target(&format!("{number:012}"), "us-west-2"), target(OTHER, &format!("us-evil-{number}"))]
            {
                let error = of.drs(&made_up).await.err().unwrap();
                assert_eq!((error.class, error.sent), (ErrorClass::Denied, Sent::NotSent));
                assert!(error.to_string().contains("deploy"), "{error}");
            }
        }
        assert_eq!(kept(&targets).await, (0, 0));
    }

    #[tokio::test]
    async fn an_execution_has_one_session_in_an_account_and_the_workers_own_clients_are_everybodys() {
        let targets = targets().await;
        for run in ["a", "b"] {
            let of = targets.of(&ExecutionId(run.to_owned()));
            for region in ["us-west-2", "eu-west-1"] {
                of.drs(&target(OTHER, region)).await.unwrap();
                of.ec2(&target(OTHER, region)).await.unwrap();
                of.drs(&target(HOME, region)).await.unwrap();
            }
        }
        assert_eq!(kept(&targets).await, (2, 2 * 2 + 2));
    }

    #[test]
    fn a_session_is_named_after_its_execution_whatever_that_is_called() {
        let name = |execution: &str| session_name(&ExecutionId(execution.to_owned()));
        assert_eq!(name("crm-drill-20261130-235959"), "tidegate-crm-drill-20261130-235959");
        assert_eq!(name("a b/ü"), "tidegate-a-b--");
        let long = name(&format!("{}-recovery-20261130-235959", "p".repeat(53)));
        assert_eq!(long.len(), 64);
        assert!(long.starts_with("tidegate-pppp") && long.ends_with("-recovery-20261130-235959"), "{long}");
        for execution in ["", "𝄞", &"ü".repeat(80)] {
            let name = name(execution);
            assert!((2..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()), "{name}");
        }
    }
}
