//! Who may not read an open gate's token is denied whole records and reads them without their gate. Against a real socket
//! that answers as DynamoDB does under such a policy: a query that names no attributes, or names the gate, is denied.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tidegate_aws::ErrorClass;
use tidegate_aws::ports::ExecutionReader;
use tidegate_aws::store::{DynamoStore, TableNames};
use tidegate_contract::{ExecutionId, ExecutionStatus};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const TABLES: &str =
    r#"{"executionHistory":"h","executionWaves":"w","recoveryPlans":"p","protectionGroups":"g","serverLocks":"l"}"#;
const DENIAL: &str = r#"{"__type":"com.amazon.coral.service#AccessDeniedException","Message":"not authorized to perform: dynamodb:Query"}"#;

async fn read_request(stream: &mut TcpStream) -> Value {
    let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        received.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&received);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return serde_json::from_str(body).unwrap();
        }
    }
}

/// Answers queries as the policy without the gate lets them be answered; returns its address and the bodies it got.
async fn dynamodb() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let bodies: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read_request(&mut stream).await;
            let names: Vec<String> = request["ExpressionAttributeNames"]
                .as_object()
                .map(|names| names.values().filter_map(Value::as_str).map(str::to_owned).collect())
                .unwrap_or_default();
            let allowed = request["Select"] == "SPECIFIC_ATTRIBUTES"
                && request["ProjectionExpression"].is_string()
                && !names.iter().any(|name| name == "gate");
            seen.lock().unwrap().push(request);
            let (status, body) = if allowed { ("200 OK", record()) } else { ("400 Bad Request", DENIAL.to_owned()) };
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\nconnection: close\r\n");
            let answer = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, bodies)
}

/// A paused record as it comes back without its gate.
fn record() -> String {
    let text = |value: &str| json!({ "S": value });
    let number = |value: &str| json!({ "N": value });
    json!({ "Count": 1, "ScannedCount": 1, "Items": [{
        "executionId": text("drill-1"), "planId": text("crm"), "planName": text("CRM"), "status": text("PAUSED"),
        "executionType": text("DRILL"), "mode": text("RUN"), "executionArn": text("arn"), "initiatedBy": text("maria"),
        "startTime": text("2026-01-02T03:04:05.000Z"), "totalWaves": number("3"), "completedWaves": number("1"),
        "currentWave": number("1"), "totalServers": number("4"), "expectedDuration": number("60"),
        "pauseRequested": text("false"), "cancelRequested": text("false"), "timeline": { "L": [] }, "waves": { "L": [] },
        "warnings": { "L": [] }, "plan": text("{}"), "holdSeconds": number("0"), "keepInstances": { "BOOL": false },
        "schemaVersion": number("1"), "failedWaves": number("0"), "membershipHash": text("m"), "version": number("1"),
    }] })
    .to_string()
}

async fn config(address: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-west-2"))
        .endpoint_url(address)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
        .load()
        .await
}

#[tokio::test]
async fn the_tool_reads_on_without_the_gate_and_does_not_ask_for_it_again() {
    let (address, bodies) = dynamodb().await;
    let store = DynamoStore::new(&config(&address).await, TableNames::parse(TABLES).unwrap()).content_without_gate();
    assert!(!store.hides_gate(), "not before it is denied");

    let found = store.find_execution(&ExecutionId::from("drill-1")).await.unwrap().unwrap();
    assert_eq!((found.status, found.gate), (ExecutionStatus::Paused, None));
    assert!(store.hides_gate());
    let listed = store.list_by_status(ExecutionStatus::Paused, 5).await.unwrap();
    assert_eq!(listed[0].execution_id.as_str(), "drill-1");

    let bodies = bodies.lock().unwrap();
    let whole: Vec<bool> = bodies.iter().map(|body| body["ProjectionExpression"].is_null()).collect();
    assert_eq!(
        whole,
        [true, false, false],
        "a whole read, its repetition without the gate, and from then on only those"
    );
}

#[tokio::test]
async fn a_worker_is_denied() {
    let (address, bodies) = dynamodb().await;
    let store = DynamoStore::new(&config(&address).await, TableNames::parse(TABLES).unwrap());
    let error = store.find_execution(&ExecutionId::from("drill-1")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Denied, "{error}");
    assert_eq!(bodies.lock().unwrap().len(), 1, "half a record must not decide anything");
}
