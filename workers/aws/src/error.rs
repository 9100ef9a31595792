//! One error type for every port. Two questions decide what happens next: what class is it, and may the call have had its
//! effect all the same? A timeout or a lost connection on a write is [`Sent::Unknown`], always.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use std::error::Error;
use std::fmt;
use tidegate_contract::foreign::spell_out;

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    Throttled,
    /// 5xx, timeout, connection: may pass.
    Transient,
    Denied,
    NotFound,
    /// ConflictException of DRS, or a conditional write that lost.
    Conflict,
    Quota,
    /// The request itself is wrong.
    Invalid,
    /// A refusal whose code we do not know, or an answer that makes no sense. Never taken for success; a refusal may pass, so
    /// it is final only after minutes.
    Unrecognised,
}

/// Whether the call may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It never left this process.
    NotSent,
    /// The service answered that it did nothing.
    Rejected,
    /// Nobody knows.
    Unknown,
}

/// A failed call.
#[derive(Debug)]
pub struct PortError {
    /// `drs:StartRecovery`.
    pub action: &'static str,
    pub class: ErrorClass,
    pub sent: Sent,
    /// The service's error code.
    pub code: Option<String>,
    pub message: String,
    pub request_id: Option<String>,
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.action)?;
        if let Some(code) = &self.code {
            write!(f, " with {code}")?;
        }
        if !self.message.is_empty() {
            // A service's words, and often the caller's own in them.
            write!(f, ": {}", spell_out(&self.message))?;
        }
        Ok(())
    }
}

impl Error for PortError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl PortError {
    /// An answer that is not what the service promises, or a record that cannot be read.
    pub fn unreadable(action: &'static str, message: impl Into<String>) -> Self {
        Self {
            action,
            class: ErrorClass::Unrecognised,
            sent: Sent::Rejected,
            code: None,
            message: message.into(),
            request_id: None,
            source: None,
        }
    }

    /// What was read is there and is not what it should be: asking again gives the same.
    pub fn is_unreadable(&self) -> bool {
        self.class == ErrorClass::Unrecognised && self.code.is_none() && self.source.is_none()
    }

    /// A call that could not be made.
    pub(crate) fn not_sent(action: &'static str, reason: impl Into<String>) -> Self {
        Self { class: ErrorClass::Transient, sent: Sent::NotSent, ..Self::unreadable(action, reason) }
    }

    /// A refusal that no SDK client read.
    pub(crate) fn answered(action: &'static str, status: u16, code: Option<String>, message: String) -> Self {
        let class = code.as_deref().and_then(class_of_code).unwrap_or_else(|| class_of_status(status));
        Self { class, code, ..Self::unreadable(action, message) }
    }

    /// A call that was not made, because its caller was held up for too long.
    pub fn too_late(action: &'static str) -> Self {
        let message = "not sent: the worker was held up past the time in which this call may be made";
        Self { class: ErrorClass::Transient, sent: Sent::NotSent, ..Self::unreadable(action, message) }
    }

    /// Classifies what an SDK client returned.
    pub fn from_sdk<E>(action: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let (sent, transport_class) = match &error {
            SdkError::ConstructionFailure(_) => (Sent::NotSent, ErrorClass::Invalid),
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => (Sent::Unknown, ErrorClass::Transient),
            // Credentials are fetched before a request is sent: a role that may not be assumed ends here, as a failure to
            // dispatch, with STS's own code at the end of the chain.
            SdkError::DispatchFailure(_) if was_denied_credentials(&error) => (Sent::NotSent, ErrorClass::Denied),
            SdkError::DispatchFailure(failure) => {
                // A request that could not be built never left; a connection that broke may have carried it.
                let unbuilt = failure.as_connector_error().is_some_and(|error| error.is_user());
                (if unbuilt { Sent::NotSent } else { Sent::Unknown }, ErrorClass::Transient)
            }
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                (if status >= 500 { Sent::Unknown } else { Sent::Rejected }, class_of_status(status))
            }
            _ => (Sent::Unknown, ErrorClass::Unrecognised),
        };
        let code = error.code().map(str::to_owned);
        let message = error.message().map_or_else(|| innermost(&error), str::to_owned);
        let class = code.as_deref().and_then(class_of_code).unwrap_or(transport_class);
        // A throttled or denied request did nothing, whatever its status.
        let sent = match class {
            _ if sent == Sent::NotSent => sent,
            ErrorClass::Throttled | ErrorClass::Denied | ErrorClass::Conflict | ErrorClass::Quota => Sent::Rejected,
            ErrorClass::Transient | ErrorClass::NotFound | ErrorClass::Invalid | ErrorClass::Unrecognised => sent,
        };
        let request_id = error.meta().extra("aws_request_id").map(str::to_owned);
        Self { action, class, sent, code, message, request_id, source: Some(Box::new(error)) }
    }
}

impl From<tidegate_ec2::Ec2Error> for PortError {
    fn from(error: tidegate_ec2::Ec2Error) -> Self {
        let sent = match error.delivery {
            tidegate_ec2::Delivery::NotSent => Sent::NotSent,
            tidegate_ec2::Delivery::Unknown => Sent::Unknown,
            tidegate_ec2::Delivery::Answered => Sent::Rejected,
        };
        let by_status = error.http_status.map_or(ErrorClass::Transient, class_of_status);
        Self {
            action: "ec2:DescribeInstances",
            class: error.code.as_deref().and_then(class_of_code).unwrap_or(by_status),
            sent,
            code: error.code.clone(),
            message: error.message.clone(),
            request_id: error.request_id.clone(),
            source: Some(Box::new(error)),
        }
    }
}

/// The SDK's outer texts ("dispatch failure") say nothing; the reason is at the end of the chain.
fn innermost(error: &dyn Error) -> String {
    let mut current: &dyn Error = error;
    while let Some(source) = current.source() {
        current = source;
    }
    current.to_string()
}

/// STS refused to hand out credentials, by what the chain of errors says: the SDK keeps no code for it.
fn was_denied_credentials(error: &dyn Error) -> bool {
    let mut current = Some(error);
    while let Some(error) = current {
        let text = error.to_string();
        if ["AccessDenied", "InvalidClientTokenId"].iter().any(|code| text.contains(code)) {
            return true;
        }
        current = error.source();
    }
    false
}

/// Of an answer whose code says nothing to us. 400, 401, 403 and 404 say no more than that: AWS answers a clock that is off
/// with 403, a throttled call with 400, and what stands between us and AWS (a proxy, a firewall) answers as it likes.
fn class_of_status(status: u16) -> ErrorClass {
    match status {
        402 => ErrorClass::Quota,
        409 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled,
        500.. => ErrorClass::Transient,
        _ => ErrorClass::Unrecognised,
    }
}

/// Codes of DRS, EC2, DynamoDB, STS and Step Functions. Matched as text: DRS answers with codes its own model does not
/// list for the operation (ValidationException on StartRecovery, AWS fact sheet 1.1).
fn class_of_code(code: &str) -> Option<ErrorClass> {
    Some(match code {
        // The SDKs' standard retry calls these throttling (aws-runtime, THROTTLING_ERRORS); the last is Step Functions' own.
        "BandwidthLimitExceeded"
        | "EC2ThrottledException"
        | "LimitExceededException"
        | "PriorRequestNotComplete"
        | "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "TransactionInProgressException"
        | "ActivityWorkerLimitExceeded" => ErrorClass::Throttled,
        // Credentials are refreshed by the SDK; one that expired in flight is replaced by the next call.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "IDPCommunicationError"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "InternalServerException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailable"
        | "TransactionConflictException"
        // A clock that jumped, a request held up after it was signed: the next one is signed anew. The SDKs' own lists of
        // codes that may mean a skewed clock.
        | "InvalidSignatureException"
        | "RequestExpired"
        | "RequestInTheFuture"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch" => ErrorClass::Transient,
        "AccessDeniedException"
        | "AccessDenied"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "UninitializedAccountException" => ErrorClass::Denied,
        "ResourceNotFoundException" | "ActivityDoesNotExist" | "ExecutionDoesNotExist" | "StateMachineDoesNotExist" => {
            ErrorClass::NotFound
        }
        "ConflictException" | "ConditionalCheckFailedException" => ErrorClass::Conflict,
        "ServiceQuotaExceededException" => ErrorClass::Quota,
        "ExecutionAlreadyExists"
        | "InvalidArn"
        | "InvalidExecutionInput"
        | "InvalidName"
        | "InvalidOutput"
        | "InvalidParameterValue"
        | "InvalidToken"
        | "ItemCollectionSizeLimitExceededException"
        | "TaskDoesNotExist"
        | "TaskTimedOut"
        | "ValidationException" => ErrorClass::Invalid,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_runtime::retries::classifiers::{THROTTLING_ERRORS, TRANSIENT_ERRORS};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    fn answered(status: u16, code: Option<&str>) -> PortError {
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let status = StatusCode::try_from(status).unwrap_or_else(|_| unreachable!("{status} is a status"));
        let error = aws_sdk_drs::operation::start_recovery::StartRecoveryError::generic(metadata.build());
        PortError::from_sdk(
            "drs:StartRecovery",
            SdkError::service_error(error, HttpResponse::new(status, SdkBody::empty())),
        )
    }

    #[test]
    fn what_the_sdks_standard_retry_calls_passing_is_passing() {
        for code in THROTTLING_ERRORS {
            assert_eq!(answered(400, Some(code)).class, ErrorClass::Throttled, "{code}");
        }
        // The second list is botocore's beyond it.
        for code in TRANSIENT_ERRORS.iter().copied().chain(["IDPCommunicationError"]) {
            assert_eq!(answered(400, Some(code)).class, ErrorClass::Transient, "{code}");
        }
    }

    #[test]
    fn a_clock_that_jumped_passes_and_the_call_did_nothing() {
        for code in [
            "InvalidSignatureException",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestTimeTooSkewed",
            "SignatureDoesNotMatch",
        ] {
            let error = answered(403, Some(code));
            assert_eq!((error.class, error.sent), (ErrorClass::Transient, Sent::Rejected), "{code}");
        }
    }

    #[test]
    fn a_refusal_nobody_knows_is_neither_denied_nor_invalid() {
        for (status, code) in [(400, Some("NewException")), (403, Some("NewException")), (404, None), (403, None)] {
            let error = answered(status, code);
            assert_eq!((error.class, error.sent), (ErrorClass::Unrecognised, Sent::Rejected), "{status} {code:?}");
        }
        assert_eq!(answered(403, Some("AccessDeniedException")).class, ErrorClass::Denied);
        assert_eq!(answered(400, Some("ValidationException")).class, ErrorClass::Invalid);
    }
}
