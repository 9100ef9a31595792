//! SDK configuration: retries, timeouts and endpoints, set once. Endpoints come from the standard `AWS_ENDPOINT_URL_*`
//! variables, which the SDK reads itself; nothing here knows whether it runs locally.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime::client::defaults::default_http_client_plugin_v2;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::SharedIdentityCache;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::time::Duration;

/// Attempts of one idempotent call inside a task. Past them the task answers Throttled or Transient and the state machine
/// retries: one layer for seconds, one for minutes.
const READ_ATTEMPTS: u32 = 4;

fn version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// The client that each SDK client would make for itself, made once: connections are kept for each host, and a client of
/// another account or Region costs no TLS set-up of its own.
fn http_client() -> Option<SharedHttpClient> {
    let plugin = default_http_client_plugin_v2(version())?;
    plugin.runtime_components(&RuntimeComponentsBuilder::new("shared")).http_client()
}

/// The workers' own configuration: default credential chain, standard retries, bounded calls (by default the SDK has no
/// read timeout at all).
pub async fn load() -> SdkConfig {
    let mut loader = aws_config::defaults(version());
    if let Some(client) = http_client() {
        loader = loader.http_client(client);
    }
    loader
        .retry_config(RetryConfig::standard().with_max_attempts(READ_ATTEMPTS).with_max_backoff(Duration::from_secs(5)))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_attempt_timeout(Duration::from_secs(20))
                .operation_timeout(Duration::from_secs(60))
                .build(),
        )
        .load()
        .await
}

/// The endpoint that Step Functions' calls go to, where it is not AWS's own; `of_service` is AWS_ENDPOINT_URL_SFN, which the SDK
/// prefers.
pub fn foreign_endpoint(config: &SdkConfig, of_service: Option<&str>) -> Option<String> {
    of_service.filter(|url| !url.is_empty()).or_else(|| config.endpoint_url()).map(str::to_owned)
}

/// The same for another Region, with the credentials of a session if a role was assumed.
pub fn in_region(
    base: &SdkConfig,
    region: &str,
    session: Option<(SharedCredentialsProvider, SharedIdentityCache)>,
) -> SdkConfig {
    let mut builder = base.to_builder().region(Region::new(region.to_owned()));
    if let Some((credentials, cache)) = session {
        builder = builder.credentials_provider(credentials).identity_cache(cache);
    }
    builder.build()
}
