//! Roles in other accounts: how a session is asked for, and how often. A role that cannot be assumed is a missing permission, not a passing fault: a run must be refused at once, not retried
//! for half an hour. Against a real socket that answers as STS does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use aws_config::{BehaviorVersion, Region};
use aws_sdk_drs::config::{Credentials, SharedCredentialsProvider};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tidegate_aws::targets::AwsTargets;
use tidegate_aws::{ErrorClass, Sent};
use tidegate_contract::ExecutionId;
use tidegate_contract::records::Target;
use tidegate_core::reach::{Reach, TargetRole};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const DENIAL: &str = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
    <Code>AccessDenied</Code><Message>User is not authorized to perform: sts:AssumeRole</Message></Error>\
    <RequestId>1</RequestId></ErrorResponse>";

/// Answers every request with STS's denial; returns its address.
async fn denying_sts() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 16_384];
                let _ = stream.read(&mut request).await;
                let head = "HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\nconnection: close\r\n";
                let answer = format!("{head}content-length: {}\r\n\r\n{DENIAL}", DENIAL.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_denied_and_nothing_was_sent() {
    let targets = targets(denying_sts().await).await.of(&ExecutionId("crm-1".to_owned()));
    let drs = targets.drs(&target("us-west-2")).await.unwrap();
    let error = drs.source_servers().await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Denied, Sent::NotSent), "{error}");
    assert!(error.to_string().contains("AccessDenied"), "the reason is told: {error}");
}

async fn targets(endpoint: String) -> AwsTargets {
    let base = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-west-2"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
        .load()
        .await;
    let role = TargetRole {
        role_arn: "arn:aws:iam::444455556666:role/tidegate".to_owned(),
        external_id: Some("a-word-between-two".to_owned()),
    };
    let regions = BTreeSet::from(["us-west-2".to_owned(), "eu-west-1".to_owned()]);
    let reach = Reach::new("111122223333".to_owned(), BTreeMap::from([("444455556666".to_owned(), role)]), regions);
    AwsTargets::new(base, Arc::new(reach))
}

fn target(region: &str) -> Target {
    Target { account_id: "444455556666".to_owned(), region: region.to_owned() }
}

const GRANT: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\
    <AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
    <Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

/// Answers AssumeRole with a session and every other call with an empty list; keeps what AssumeRole was asked.
async fn granting_sts() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                let mut piece = vec![0; 16_384];
                let text = loop {
                    let Ok(length) = stream.read(&mut piece).await else { return };
                    request.extend_from_slice(&piece[..length]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n") {
                        let lengths = head
                            .lines()
                            .filter_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
                        let wanted: usize = lengths.filter_map(|length| length.parse().ok()).next().unwrap_or_default();
                        if body.len() >= wanted || length == 0 {
                            break text;
                        }
                    }
                };
                let (kind, answer) = if text.contains("Action=AssumeRole") {
                    kept.lock().unwrap().push(text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned());
                    ("text/xml", GRANT)
                } else {
                    ("application/json", "{\"items\": []}")
                };
                let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n");
                let _ = stream
                    .write_all(format!("{head}content-length: {}\r\n\r\n{answer}", answer.len()).as_bytes())
                    .await;
            });
        }
    });
    (address, asked)
}

#[tokio::test]
async fn an_execution_asks_once_for_an_account_in_its_own_name_and_with_the_deployments_word() {
    let (endpoint, asked) = granting_sts().await;
    let targets = targets(endpoint).await;
    for execution in ["crm-1", "crm-2"] {
        for _ in 0..2 {
            let of = targets.of(&ExecutionId(execution.to_owned()));
            for region in ["us-west-2", "eu-west-1"] {
                assert!(of.drs(&target(region)).await.unwrap().source_servers().await.unwrap().is_empty());
            }
        }
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2, "one session for each execution, whatever Regions it works in: {asked:?}");
    for (request, execution) in asked.iter().zip(["crm-1", "crm-2"]) {
        assert!(request.contains(&format!("RoleSessionName=tidegate-{execution}&")), "{request}");
        assert!(request.contains("ExternalId=a-word-between-two"), "{request}");
    }
}
