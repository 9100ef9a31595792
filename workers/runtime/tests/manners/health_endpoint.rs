//! The health endpoint over a real socket on a free port.

use crate::rig::{Rig, echo, options, registration, service};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use tidegate_runtime::{HealthState, Worker, health_router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn serve(health: HealthState) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, health_router(health)).await });
    address
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn healthz_is_503_before_the_worker_runs_and_200_with_the_report_while_it_does() {
    let service = service();
    let idle = Worker::new(Arc::clone(&service) as _, vec![registration(echo())], options("w1"));
    let (code, body) = get(serve(idle.health()).await, "/healthz").await;
    assert_eq!(code, 503);
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["status"], "starting");

    let rig = Rig::start(&service, registration(echo()));
    let address = serve(rig.health.clone()).await;
    let raw = service.schedule("{}");
    service.answered(&raw).await;
    let (code, body) = get(address, "/healthz").await;
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(code, 200);
    assert_eq!(report["status"], "ok");
    assert_eq!(report["pollers"], 1);
    assert_eq!(report["pollAccepted"]["poll-wave-v1"], true);
    assert_eq!(get(address, "/other").await.0, 404);

    // A task for the open poll, so that the drain need not wait for the end of its hold.
    rig.shutdown.cancel();
    service.schedule("{}");
    rig.ended().await.unwrap();
}
