//! A role that cannot be assumed is a missing permission, not a passing fault: a run must be refused at once, not retried
//! for half an hour. Against a real socket that answers as STS does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use aws_config::{BehaviorVersion, Region};
use aws_sdk_drs::config::{Credentials, SharedCredentialsProvider};
use tidegate_aws::ports::Targets;
use tidegate_aws::targets::AwsTargets;
use tidegate_aws::{ErrorClass, Sent};
use tidegate_contract::plan::AccountRole;
use tidegate_contract::records::Target;
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
    let base = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-west-2"))
        .endpoint_url(denying_sts().await)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
        .load()
        .await;
    let role = AccountRole { role_arn: "arn:aws:iam::444455556666:role/tidegate".to_owned(), external_id: None };
    let target = Target { account_id: "444455556666".to_owned(), region: "us-west-2".to_owned(), role: Some(role) };
    let drs = AwsTargets::new(base).drs(&target).await.unwrap();
    let error = drs.source_servers().await.unwrap_err();
    assert_eq!((error.class, error.sent), (ErrorClass::Denied, Sent::NotSent), "{error}");
    assert!(error.to_string().contains("AccessDenied"), "the reason is told: {error}");
}
