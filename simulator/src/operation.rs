//! The wire's addresses: which HTTP request is which operation, and whose account and Region it is for.

use crate::error::ApiError;
use serde_json::{Value, json};

macro_rules! operations {
    ($($name:ident $status:literal $effect:ident),* $(,)?) => {
        /// An operation the simulator implements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Operation {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                $name
            ),*
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[Operation] = &[$(Operation::$name),*];

            /// The API's name.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$name => stringify!($name)),* }
            }

            /// HTTP status of a success (botocore's `responseCode`).
            pub fn success_status(self) -> u16 {
                match self { $(Operation::$name => $status),* }
            }

            /// True when a call may change something.
            pub fn mutating(self) -> bool {
                match self { $(Operation::$name => operations!(@ $effect)),* }
            }
        }
    };
    (@ writes) => { true };
    (@ reads) => { false };
}

operations! {
    DeleteRecoveryInstance 200 writes,
    DescribeJobLogItems 200 reads,
    DescribeJobs 200 reads,
    DescribeRecoveryInstances 200 reads,
    DescribeRecoverySnapshots 200 reads,
    DescribeSourceServers 200 reads,
    DisconnectRecoveryInstance 200 writes,
    GetLaunchConfiguration 200 reads,
    GetRecoveryPlan 200 reads,
    GetRecoveryPlanExecution 200 reads,
    GetRecoveryPlanExecutionStep 200 reads,
    GetReplicationConfiguration 200 reads,
    InitializeService 204 writes,
    ListLaunchActions 200 reads,
    ListRecoveryPlanExecutionSteps 200 reads,
    ListRecoveryPlanExecutions 200 reads,
    ListRecoveryPlanSteps 200 reads,
    ListRecoveryPlans 200 reads,
    ListTagsForResource 200 reads,
    StartRecovery 202 writes,
    TagResource 200 writes,
    TerminateRecoveryInstances 200 writes,
    UntagResource 200 writes,
    UpdateLaunchConfiguration 200 writes,
}

impl Operation {
    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }

    /// Tags have addresses of their own; everything else is `POST /<name>`.
    fn is_tag_operation(self) -> bool {
        matches!(self, Operation::TagResource | Operation::UntagResource | Operation::ListTagsForResource)
    }
}

/// A request, understood: the operation (or the name it asked for) and its input as one JSON object.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The operation, or the unknown name.
    pub operation: Result<Operation, String>,
    /// Body, path and query put together, or why the body is not JSON.
    pub input: Result<Value, ApiError>,
}

/// Understands an HTTP request. `path` and `query` are as they came, percent-encoded.
pub fn route(method: &str, path: &str, query: &str, body: &[u8]) -> Route {
    let parsed = match body.is_empty() {
        true => Ok(json!({})),
        false => serde_json::from_slice(body)
            .map_err(|error| ApiError::cannot_parse(format!("Could not parse the body: {error}"))),
    };
    if let Some(resource) = path.strip_prefix("/tags/") {
        let operation = match method {
            "GET" => Ok(Operation::ListTagsForResource),
            "POST" => Ok(Operation::TagResource),
            "DELETE" => Ok(Operation::UntagResource),
            other => Err(format!("{other} /tags")),
        };
        let input = parsed.map(|body| {
            let mut input = match body {
                Value::Object(members) => members,
                _ => serde_json::Map::new(),
            };
            input.insert("resourceArn".to_owned(), Value::String(percent_decoded(resource, false)));
            if operation == Ok(Operation::UntagResource) {
                let keys =
                    query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name == "tagKeys");
                let keys: Vec<Value> = keys.map(|(_, key)| Value::String(percent_decoded(key, true))).collect();
                if !keys.is_empty() {
                    input.insert("tagKeys".to_owned(), Value::Array(keys));
                }
            }
            Value::Object(input)
        });
        return Route { operation, input };
    }
    let name = path.trim_start_matches('/');
    let operation = match Operation::from_name(name) {
        Some(operation) if method == "POST" && !operation.is_tag_operation() => Ok(operation),
        _ => Err(format!("{method} /{name}").chars().take(200).collect()),
    };
    Route { operation, input: parsed }
}

/// Account and Region of a SigV4 signature's credential scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningScope {
    /// The access key; it is the account when it is a 12-digit number (the convention of local AWS stand-ins).
    pub access_key: String,
    /// Region.
    pub region: String,
}

impl SigningScope {
    /// The account, when the access key says it.
    pub fn account(&self) -> Option<&str> {
        let key = self.access_key.as_str();
        (key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit())).then_some(key)
    }
}

/// Reads `AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/drs/aws4_request, …`. The signature itself is not checked:
/// this service has no secrets.
pub fn signing_scope(authorization: &str) -> Option<SigningScope> {
    let credential = authorization
        .strip_prefix("AWS4-HMAC-SHA256")?
        .split(',')
        .find_map(|part| part.trim().strip_prefix("Credential="))?;
    let parts: Vec<&str> = credential.split('/').collect();
    match parts[..] {
        [key, _date, region, _service, "aws4_request"] if !key.is_empty() && !region.is_empty() => {
            Some(SigningScope { access_key: key.to_owned(), region: region.to_owned() })
        }
        _ => None,
    }
}

/// In a query a plus sign is a space; in a path it is itself.
fn percent_decoded(text: &str, plus_is_space: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'%').then(|| std::str::from_utf8(tail.get(..2)?).ok()).flatten();
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(if plus_is_space && first == b'+' { b' ' } else { first });
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn operations_are_posts_and_tags_have_their_own_addresses() {
        assert_eq!(route("POST", "/StartRecovery", "", b"{}").operation, Ok(Operation::StartRecovery));
        assert!(route("GET", "/StartRecovery", "", b"").operation.is_err());
        assert!(route("POST", "/TagResource", "", b"{}").operation.is_err());
        let arn = "/tags/arn%3Aaws%3Adrs%3Aus-west-2%3A000000000000%3Asource-server%2Fs-00000000000000001";
        let untag = route("DELETE", arn, "tagKeys=a%20b&tagKeys=c", b"");
        assert_eq!(untag.operation, Ok(Operation::UntagResource));
        let input = untag.input.unwrap();
        assert_eq!(input["tagKeys"], json!(["a b", "c"]));
        assert_eq!(input["resourceArn"], "arn:aws:drs:us-west-2:000000000000:source-server/s-00000000000000001");
    }

    #[test]
    fn a_body_that_is_not_json_is_told_apart_from_an_unknown_operation() {
        let route = route("POST", "/DescribeJobs", "", b"{");
        assert_eq!(route.input.unwrap_err().body()["reason"], "cannotParse");
    }

    #[test]
    fn the_credential_scope_names_account_and_region() {
        let header = "AWS4-HMAC-SHA256 Credential=111122223333/20261120/us-west-2/drs/aws4_request, SignedHeaders=host, Signature=0";
        let scope = signing_scope(header).unwrap();
        assert_eq!((scope.account(), scope.region.as_str()), (Some("111122223333"), "us-west-2"));
        let named = signing_scope(&header.replace("111122223333", "AKIAEXAMPLE")).unwrap();
        assert_eq!(named.account(), None);
        assert_eq!(signing_scope("Basic abc"), None);
    }
}
