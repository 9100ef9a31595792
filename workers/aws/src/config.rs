//! SDK configuration: retries, timeouts and endpoints, set once. Endpoints come from the standard `AWS_ENDPOINT_URL_*`
//! variables, which the SDK reads itself; nothing here knows whether it runs locally.

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use std::time::Duration;

/// Attempts of one idempotent call inside a task. Past them the task answers Throttled or Transient and the state machine
/// retries: one layer for seconds, one for minutes.
const READ_ATTEMPTS: u32 = 4;

/// The workers' own configuration: default credential chain, standard retries, bounded calls (by default the SDK has no
/// read timeout at all).
pub async fn load() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::v2026_01_12())
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

/// The endpoint that Step Functions' calls go to, where it is not AWS's own: the SDK reads the same two variables.
pub fn foreign_endpoint(config: &SdkConfig) -> Option<String> {
    let of_service = std::env::var("AWS_ENDPOINT_URL_SFN").ok().filter(|url| !url.is_empty());
    of_service.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// The same for another Region, with its own credentials if a role was assumed.
pub fn in_region(
    base: &SdkConfig,
    region: &str,
    credentials: Option<aws_config::sts::AssumeRoleProvider>,
) -> SdkConfig {
    let mut builder = base.to_builder().region(Region::new(region.to_owned()));
    if let Some(credentials) = credentials {
        let cache = aws_config::identity::IdentityCache::lazy().build();
        builder = builder
            .credentials_provider(aws_sdk_drs::config::SharedCredentialsProvider::new(credentials))
            .identity_cache(cache);
    }
    builder.build()
}
