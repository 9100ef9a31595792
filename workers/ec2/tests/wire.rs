//! The reader and its errors against a server that answers what EC2 and MiniStack answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use std::sync::{Arc, Mutex};
use tidegate_ec2::{Delivery, Ec2Error, Ec2Reader};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What the stub does with a request's body: an answer, or a closed connection.
type Answer = Box<dyn Fn(&str) -> Option<(u16, String)> + Send + Sync>;

async fn read_body(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(str::to_owned));
            if body.len() >= header.map_or(0, |length| length.trim().parse().unwrap()) {
                return Some(body.to_owned());
            }
        }
        let mut chunk = [0; 8192];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

/// A server on a free port; it ends with the test's runtime. Answers the address and the bodies it was sent.
async fn serve(answer: Answer) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let bodies = seen.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(body) = read_body(&mut stream).await {
                bodies.lock().unwrap().push(body.clone());
                if let Some((status, xml)) = answer(&body) {
                    let head = format!(
                        "HTTP/1.1 {status} X\r\ncontent-type: text/xml\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                        xml.len()
                    );
                    let _ = stream.write_all(format!("{head}{xml}").as_bytes()).await;
                }
            }
        }
    });
    (url, seen)
}

fn config(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(url)
        .region(Region::new("us-west-2"))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("000000000000", "x", None, None, "test")))
        .build()
}

fn instance(number: usize) -> String {
    format!(
        "<item><reservationId>r-{number}</reservationId><instancesSet><item><instanceId>{}</instanceId>\
         <instanceType>m5.large</instanceType><instanceState><code>16</code><name>running</name></instanceState>\
         <privateIpAddress>10.0.0.1</privateIpAddress><privateDnsName></privateDnsName>\
         <launchTime>2026-11-20T03:12:00.000Z</launchTime><placement><availabilityZone>us-west-2a</availabilityZone></placement>\
         </item></instancesSet></item>",
        id(number)
    )
}

fn id(number: usize) -> String {
    format!("i-{number:017x}")
}

fn answer_with(numbers: impl IntoIterator<Item = usize>, token: &str) -> (u16, String) {
    let items: String = numbers.into_iter().map(instance).collect();
    (
        200,
        format!(
            "<DescribeInstancesResponse><reservationSet>{items}</reservationSet>{token}</DescribeInstancesResponse>"
        ),
    )
}

async fn failure(answer: Answer) -> Ec2Error {
    let (url, _) = serve(answer).await;
    Ec2Reader::new(&config(&url)).describe_instances(&[id(1)]).await.unwrap_err()
}

#[tokio::test]
async fn only_the_instances_asked_for_come_back_although_the_filter_is_ignored() {
    let (url, seen) = serve(Box::new(|_| Some(answer_with(0..500, "")))).await;
    let wanted: Vec<String> = (100..310).chain([100, 9999]).map(id).collect();
    let mut found = Ec2Reader::new(&config(&url)).describe_instances(&wanted).await.unwrap();
    found.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
    let ids: Vec<String> = found.iter().map(|facts| facts.instance_id.clone()).collect();
    assert_eq!(ids, (100..310).map(id).collect::<Vec<_>>(), "each once; the unknown one is absent");
    assert_eq!(seen.lock().unwrap().len(), 2, "211 ids are two batches");
    let facts = &found[0];
    assert_eq!((facts.instance_type.as_str(), facts.state.as_str()), ("m5.large", "running"));
    assert_eq!((facts.private_ip.as_deref(), facts.private_dns_name.as_deref()), (Some("10.0.0.1"), None));
    assert_eq!(facts.launch_time.as_deref(), Some("2026-11-20T03:12:00Z"));
    assert_eq!(facts.availability_zone.as_deref(), Some("us-west-2a"));
}

#[tokio::test]
async fn pages_are_followed() {
    let (url, seen) = serve(Box::new(|body| {
        Some(match body.contains("NextToken") {
            false => answer_with([1], "<nextToken>more</nextToken>"),
            true => answer_with([2], ""),
        })
    }))
    .await;
    let found = Ec2Reader::new(&config(&url)).describe_instances(&[id(1), id(2)]).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn nothing_asked_means_no_call() {
    let (url, seen) = serve(Box::new(|_| None)).await;
    assert_eq!(Ec2Reader::new(&config(&url)).describe_instances(&[]).await.unwrap(), []);
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn errors_say_what_ec2_said_and_how_far_the_request_got() {
    let body = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error></Errors>\
                <RequestID>r-1</RequestID></Response>";
    let throttled = failure(Box::new(move |_| Some((503, body.to_owned())))).await;
    assert_eq!((throttled.code.as_deref(), throttled.http_status), (Some("RequestLimitExceeded"), Some(503)));
    assert_eq!((throttled.delivery, throttled.message.as_str()), (Delivery::Answered, "Request limit exceeded."));

    let dropped = failure(Box::new(|_| None)).await;
    assert_eq!((dropped.code.clone(), dropped.http_status, dropped.delivery), (None, None, Delivery::Unknown));
    assert!(dropped.outcome_unknown() && dropped.is_transport());

    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let unreachable =
        Ec2Reader::new(&config(&format!("http://{free}"))).describe_instances(&[id(1)]).await.unwrap_err();
    assert_eq!((unreachable.code, unreachable.http_status), (None, None));
    assert_ne!(unreachable.delivery, Delivery::Answered);
}
