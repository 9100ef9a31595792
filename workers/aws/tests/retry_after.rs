//! A throttled call to DRS waits as long as its answer asks for. Against a real socket.

#![allow(clippy::unwrap_used)]

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_drs::config::{Credentials, SharedCredentialsProvider};
use std::time::{Duration, Instant};
use tidegate_aws::drs::DrsClient;
use tidegate_aws::ports::Drs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers the first request with 429 and `Retry-After: 2`, the second with a launch configuration.
async fn throttling_drs() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let throttled = "HTTP/1.1 429 Too Many Requests\r\nx-amzn-errortype: ThrottlingException\r\nretry-after: 2\r\n";
        for (head, body) in [(throttled, "{}"), ("HTTP/1.1 200 OK\r\n", r#"{"postLaunchEnabled":true}"#)] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut vec![0; 16_384]).await;
            let rest = format!("connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(format!("{head}{rest}").as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn a_throttled_call_waits_as_long_as_drs_says() {
    let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-west-2"))
        .endpoint_url(throttling_drs().await)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
        .retry_config(RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(1)))
        .load()
        .await;
    let began = Instant::now();
    let settings = DrsClient::new(&config).launch_settings(&"s-00000000000000001".into()).await.unwrap();
    assert!(settings.post_launch_enabled);
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
}
