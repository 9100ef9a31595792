//! Errors as DRS answers them: a name, an HTTP status and a JSON body with the members its model gives that name.

use serde::Serialize;
use serde_json::{Value, json};

/// One field that failed validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldProblem {
    /// Path of the field, for example `sourceServers[3].sourceServerID`.
    pub name: String,
    /// What is wrong with it.
    pub message: String,
}

/// A quota, by the code AWS gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Concurrent jobs in progress.
    JobsInProgress,
    /// Source servers in a single job.
    ServersPerJob,
    /// Source servers in all jobs.
    ServersInAllJobs,
}

impl Quota {
    fn code(self) -> &'static str {
        match self {
            Quota::JobsInProgress => "L-D88FAC3A",
            Quota::ServersPerJob => "L-B827C881",
            Quota::ServersInAllJobs => "L-05AFA8C6",
        }
    }
}

/// An error answer of the API.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} ({status}): {message}")]
pub struct ApiError {
    /// The exception's name; it travels in `x-amzn-errortype`, because a body member `code` would otherwise be taken for it.
    pub name: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The words.
    pub message: String,
    /// Seconds for a `Retry-After` header.
    pub retry_after: Option<u64>,
    more: Value,
}

impl ApiError {
    fn new(name: &'static str, status: u16, message: impl Into<String>, more: Value) -> Self {
        Self { name, status, message: message.into(), retry_after: None, more }
    }

    /// The JSON body.
    pub fn body(&self) -> Value {
        let mut body = self.more.clone();
        if let Some(members) = body.as_object_mut() {
            members.insert("message".to_owned(), Value::String(self.message.clone()));
        }
        body
    }

    /// 409: something holds the resource.
    pub fn conflict(message: impl Into<String>, resource_type: &str, resource_id: &str) -> Self {
        let more = json!({"code": "CONFLICT", "resourceId": resource_id, "resourceType": resource_type});
        Self::new("ConflictException", 409, message, more)
    }

    /// 402: over a quota.
    pub fn quota(quota: Quota, limit: usize, resource_type: &str, resource_id: &str) -> Self {
        let what = match quota {
            Quota::JobsInProgress => "concurrent jobs in progress",
            Quota::ServersPerJob => "source servers in a single job",
            Quota::ServersInAllJobs => "source servers in all jobs",
        };
        let more = json!({
            "code": "QUOTA_EXCEEDED", "resourceId": resource_id, "resourceType": resource_type,
            "serviceCode": "drs", "quotaCode": quota.code(),
        });
        Self::new("ServiceQuotaExceededException", 402, format!("Max {what} is {limit}"), more)
    }

    /// 404: no such resource.
    pub fn not_found(resource_type: &str, resource_id: &str) -> Self {
        let more = json!({"code": "RESOURCE_NOT_FOUND", "resourceId": resource_id, "resourceType": resource_type});
        Self::new("ResourceNotFoundException", 404, format!("{resource_type} {resource_id} not found"), more)
    }

    /// 400: fields that failed validation.
    pub fn validation(problems: Vec<FieldProblem>) -> Self {
        let count = problems.len();
        let told: Vec<String> = problems.iter().map(|p| format!("Value at '{}' {}", p.name, p.message)).collect();
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("{count} validation error{plural} detected: {}", told.join("; "));
        let more = json!({"code": "VALIDATION", "reason": "fieldValidationFailed", "fieldList": problems});
        Self::new("ValidationException", 400, message, more)
    }

    /// 400: one field that failed validation.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldProblem { name: field.to_owned(), message: message.into() }])
    }

    /// 400: the body is not JSON.
    pub fn cannot_parse(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message, json!({"code": "VALIDATION", "reason": "cannotParse"}))
    }

    /// 400: InitializeService was never called in this account and Region.
    pub fn uninitialized() -> Self {
        let more = json!({"code": "UNINITIALIZED_ACCOUNT"});
        Self::new("UninitializedAccountException", 400, "Account not initialized", more)
    }

    /// 429.
    pub fn throttled(retry_after: Option<u64>) -> Self {
        let more = json!({"serviceCode": "drs", "quotaCode": "L-REQUEST-RATE"});
        Self { retry_after, ..Self::new("ThrottlingException", 429, "Rate exceeded", more) }
    }

    /// 5xx.
    pub fn internal(status: u16, retry_after: Option<u64>) -> Self {
        let error = Self::new("InternalServerException", status, "Internal server error", json!({}));
        Self { retry_after, ..error }
    }

    /// 403. Any operation can answer it, modelled or not.
    pub fn access_denied(operation: &str) -> Self {
        let message = format!("User is not authorized to perform: drs:{operation} with an explicit deny");
        Self::new("AccessDeniedException", 403, message, json!({"code": "ACCESS_DENIED"}))
    }

    /// 403: signed by a clock that is off.
    pub fn invalid_signature() -> Self {
        Self::new(
            "InvalidSignatureException",
            403,
            "Signature expired: it is now later than the signature's time",
            json!({}),
        )
    }

    /// 404: no such operation.
    pub fn unknown_operation() -> Self {
        Self::new("UnknownOperationException", 404, "Unknown operation", json!({}))
    }

    /// 403: a request without SigV4 credentials.
    pub fn unsigned() -> Self {
        Self::new("MissingAuthenticationTokenException", 403, "Missing Authentication Token", json!({}))
    }
}
