//! One signed POST, for services of which we need a call or two. Credentials, Region, HTTP client and endpoint overrides are
//! those of every other client.

use crate::clock::SystemClock;
use crate::error::PortError;
use crate::ports::Clock;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::service_config::ServiceConfigKey;
use std::fmt;
use std::time::Duration;

/// A service, as its SDK would know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    /// As in `AWS_ENDPOINT_URL_<ID>`.
    pub(super) id: &'static str,
    /// As signed, and as in its endpoint.
    pub(super) name: &'static str,
    /// One endpoint for a whole partition.
    pub(super) is_global: bool,
}

/// A POST to `/`.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// `iam:SimulatePrincipalPolicy`.
    pub(super) action: &'static str,
    pub(super) content_type: &'static str,
    /// `X-Amz-Target` of the JSON protocols.
    pub(super) target: Option<&'static str>,
    pub(super) body: String,
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// Answers are read by their status, so no answer is an error of this kind; it has no value.
#[derive(Debug)]
enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl ProvideErrorMetadata for Never {
    fn meta(&self) -> &ErrorMetadata {
        match *self {}
    }
}

/// Sends it once.
pub(super) async fn send(
    config: &SdkConfig,
    partition: &str,
    service: Service,
    call: Call,
) -> Result<Answer, PortError> {
    let action = call.action;
    let unable = |reason: String| PortError::not_sent(action, reason);
    let region = config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
    let at = endpoint(config, partition, &region, service).map_err(unable)?;
    let provider = config.credentials_provider().ok_or_else(|| unable("there are no credentials".to_owned()))?;
    let credentials = provider.provide_credentials().await.map_err(|error| unable(error.to_string()))?;
    let request = signed(&at, service, &call, &credentials.into()).map_err(|error| unable(error.to_string()))?;
    let mut operation = Operation::builder()
        .service_name(service.id)
        .operation_name(action)
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(&at.url)
        .no_auth()
        .no_retry()
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(3))
                .operation_timeout(Duration::from_secs(30))
                .build(),
        );
    if let Some(client) = config.http_client() {
        operation = operation.http_client(client);
    }
    if let Some(sleep) = config.sleep_impl() {
        operation = operation.sleep_impl(sleep);
    }
    let operation = operation
        .serializer(|request: Signed| request.into_http())
        .deserializer(|response| -> Result<Answer, OrchestratorError<Never>> {
            let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default()).into_owned();
            Ok(Answer { status: response.status().as_u16(), body })
        })
        .build();
    operation.invoke(request).await.map_err(|error| PortError::from_sdk(action, error))
}

/// Where a call goes, and the Region it is signed for.
#[derive(Debug, PartialEq, Eq)]
struct At {
    url: String,
    region: String,
}

fn endpoint(config: &SdkConfig, partition: &str, region: &str, service: Service) -> Result<At, String> {
    let key =
        ServiceConfigKey::builder().service_id(service.id).env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
    let own = key.ok().and_then(|key| config.service_config()?.load_config(key));
    let at = public_endpoint(partition, region, service);
    match own.or_else(|| config.endpoint_url().map(str::to_owned)) {
        Some(url) => {
            let region = at.map_or_else(|| region.to_owned(), |at| at.region);
            Ok(At { url: url.trim_end_matches('/').to_owned(), region })
        }
        None => at.ok_or_else(|| {
            format!(
                "no endpoint of {} is known in partition {partition}: set AWS_ENDPOINT_URL_{}",
                service.id, service.id
            )
        }),
    }
}

/// AWS General Reference, "Service endpoints": IAM has one endpoint per partition, in one Region of it.
fn public_endpoint(partition: &str, region: &str, service: Service) -> Option<At> {
    let (suffix, global_host, global_region) = match partition {
        "aws" => ("amazonaws.com", "amazonaws.com", "us-east-1"),
        "aws-us-gov" => ("amazonaws.com", "us-gov.amazonaws.com", "us-gov-west-1"),
        "aws-cn" => ("amazonaws.com.cn", "cn-north-1.amazonaws.com.cn", "cn-north-1"),
        _ => return None,
    };
    let name = service.name;
    Some(if service.is_global {
        At { url: format!("https://{name}.{global_host}"), region: global_region.to_owned() }
    } else {
        At { url: format!("https://{name}.{region}.{suffix}"), region: region.to_owned() }
    })
}

/// A request with its signature, as the orchestrator takes it.
#[derive(Debug, Clone)]
struct Signed {
    headers: Vec<(String, String)>,
    body: String,
}

impl Signed {
    fn into_http(self) -> Result<HttpRequest, BoxError> {
        let mut request = HttpRequest::new(SdkBody::from(self.body));
        request.set_method("POST")?;
        request.set_uri("/")?;
        for (name, value) in self.headers {
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

fn signed(
    at: &At,
    service: Service,
    call: &Call,
    identity: &aws_smithy_runtime_api::client::identity::Identity,
) -> Result<Signed, BoxError> {
    let mut headers = vec![("content-type".to_owned(), call.content_type.to_owned())];
    headers.extend(call.target.map(|target| ("x-amz-target".to_owned(), target.to_owned())));
    let params = v4::SigningParams::builder()
        .identity(identity)
        .region(&at.region)
        .name(service.name)
        .time(SystemClock.now().into())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let url = format!("{}/", at.url);
    let given = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new("POST", url.as_str(), given, SignableBody::Bytes(call.body.as_bytes()))?;
    let (instructions, _) = sign(signable, &params)?.into_parts();
    let added: Vec<(String, String)> =
        instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.extend(added);
    Ok(Signed { headers, body: call.body.clone() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const IAM: Service = Service { id: "IAM", name: "iam", is_global: true };
    const EVENTS: Service = Service { id: "EVENTBRIDGE", name: "events", is_global: false };

    /// AWS General Reference, endpoints of IAM and EventBridge.
    #[test]
    fn endpoints_are_those_of_the_partition() {
        for (partition, region, service, url, signed_for) in [
            ("aws", "us-west-2", IAM, "https://iam.amazonaws.com", "us-east-1"),
            ("aws-us-gov", "us-gov-east-1", IAM, "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            ("aws-cn", "cn-northwest-1", IAM, "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("aws", "eu-west-1", EVENTS, "https://events.eu-west-1.amazonaws.com", "eu-west-1"),
            ("aws-cn", "cn-north-1", EVENTS, "https://events.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ] {
            let at = public_endpoint(partition, region, service).unwrap();
            assert_eq!((at.url.as_str(), at.region.as_str()), (url, signed_for), "{partition} {region}");
        }
        assert_eq!(public_endpoint("aws-iso", "us-iso-east-1", IAM), None);
    }

    #[test]
    fn an_endpoint_nobody_knows_is_asked_for_by_name() {
        let config = SdkConfig::builder().build();
        let told = endpoint(&config, "aws-iso", "us-iso-east-1", IAM).unwrap_err();
        assert!(told.contains("AWS_ENDPOINT_URL_IAM"), "{told}");
        let config = SdkConfig::builder().endpoint_url("http://127.0.0.1:4566/").build();
        let at = endpoint(&config, "aws-iso", "us-iso-east-1", IAM).unwrap();
        assert_eq!((at.url.as_str(), at.region.as_str()), ("http://127.0.0.1:4566", "us-iso-east-1"));
    }
}
