//! What went wrong with an EC2 call, in terms a caller can classify without knowing the SDK.

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use std::error::Error;

/// How far a failed request got. A caller that must not do a thing twice looks at this before it tries again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The request never left this process (it could not be built or signed, or no connection was made).
    NotSent,
    /// The request may have reached EC2; no usable answer came back.
    Unknown,
    /// EC2 answered, with an error.
    Answered,
}

/// A failed EC2 call. `code` and `http_status` are what EC2 said, absent when it said nothing.
#[derive(Debug, thiserror::Error)]
#[error("EC2 {operation} failed ({}): {message}", code.as_deref().unwrap_or("no answer"))]
pub struct Ec2Error {
    /// The API operation, for example `DescribeInstances`.
    pub operation: &'static str,
    /// EC2's error code, for example `RequestLimitExceeded` or `UnauthorizedOperation`.
    pub code: Option<String>,
    /// EC2's own words, or the innermost reason of a transport failure.
    pub message: String,
    /// The HTTP status of the answer.
    pub http_status: Option<u16>,
    /// How far the request got.
    pub delivery: Delivery,
    /// AWS's id of the request, for a support case.
    pub request_id: Option<String>,
}

impl Ec2Error {
    /// True when the request may have had an effect although no usable answer came back.
    pub fn outcome_unknown(&self) -> bool {
        self.delivery == Delivery::Unknown
    }

    /// True when a timeout or a broken connection, rather than EC2, ended the call.
    pub fn is_transport(&self) -> bool {
        self.delivery != Delivery::Answered
    }

    pub(crate) fn from_sdk<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let http_status = error.raw_response().map(|response| response.status().as_u16());
        let request_id = error.raw_response().and_then(|response| response.request_id()).map(str::to_owned);
        let delivery = match &error {
            SdkError::ConstructionFailure(_) => Delivery::NotSent,
            // Only "could not even connect" and "the request was malformed" are certain; an IO error may also be a
            // connection that broke after the body was written.
            SdkError::DispatchFailure(failure) if failure.is_user() => Delivery::NotSent,
            SdkError::ServiceError(_) => Delivery::Answered,
            _ => Delivery::Unknown,
        };
        let (code, said) = match error.as_service_error() {
            Some(service) => (service.code().map(str::to_owned), service.message().map(str::to_owned)),
            None => (None, None),
        };
        let message = said.unwrap_or_else(|| innermost(&error));
        Self { operation, code, message, http_status, delivery, request_id }
    }
}

/// The SDK's outer Display texts ("dispatch failure") say nothing; the reason is at the end of the chain.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut current = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}
