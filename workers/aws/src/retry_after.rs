//! DRS says in `Retry-After` how long a throttled caller is to wait (API model, ThrottlingException.retryAfterSeconds). The
//! SDK reads `x-amz-retry-after` only, and would come back too early.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority};
use aws_smithy_types::retry::ErrorKind;
use std::time::Duration;

/// Gives a throttled call the wait its answer asks for, within the longest the retries allow.
#[derive(Debug)]
pub(crate) struct RetryAfter;

impl ClassifyRetry for RetryAfter {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let throttled = context.response().filter(|answer| answer.status().as_u16() == 429);
        let seconds = throttled.and_then(|answer| answer.headers().get("retry-after")?.parse().ok());
        seconds.map_or(RetryAction::NoActionIndicated, |seconds| {
            RetryAction::retryable_error_with_explicit_delay(ErrorKind::ThrottlingError, Duration::from_secs(seconds))
        })
    }

    fn name(&self) -> &'static str {
        "Retry-After"
    }

    /// After the SDK's own, whose word it refines.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}
