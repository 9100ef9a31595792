//! The AWS side of the server: restJson1 in, restJson1 out.

use super::connection::Wire;
use super::{Shared, now};
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tidegate_simulator::{ApiError, Call, Delivery, Operation, Scope, route, signing_scope};

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const AMZ_USER_AGENT: HeaderName = HeaderName::from_static("x-amz-user-agent");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Any request that is not for the control API.
pub(crate) async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signed = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(signing_scope);
    let Some(signed) = signed else {
        return refusal(&ApiError::unsigned());
    };
    let route = route(method.as_str(), uri.path(), uri.query().unwrap_or_default(), &body);
    let account = shared.accounts.of(&signed).await;
    let user_agent =
        headers.get(&AMZ_USER_AGENT).or_else(|| headers.get(USER_AGENT)).and_then(|value| value.to_str().ok());
    let scope = Scope { account, region: signed.region };
    if matches!(route.operation, Ok(Operation::GetLaunchConfiguration | Operation::UpdateLaunchConfiguration))
        && let Some(server) = route.input.as_ref().ok().and_then(|input| input["sourceServerID"].as_str())
    {
        shared.make_template(&scope, server).await;
    }
    let (outcome, sequence) = {
        let mut model = shared.model();
        if let (Ok(operation), Ok(input)) = (&route.operation, &route.input) {
            shared.ledger.note(user_agent.unwrap_or_default(), *operation, &scope, input);
        }
        let name = route.operation.as_ref().map_or_else(String::clone, |operation| operation.name().to_owned());
        let call = Call { scope: scope.clone(), operation: route.operation, input: route.input };
        let outcome = model.handle(call, now());
        let (status, error) = match &outcome.reply {
            Ok((status, _)) => (*status, None),
            Err(error) => (error.status, Some(error.name)),
        };
        let cut = outcome.delivery == Delivery::Cut;
        tracing::debug!(operation = name, account = scope.account, region = scope.region, status, error, cut, "call");
        (outcome, model.journal().total().calls)
    };
    shared.changed.notify_one();
    if !outcome.delay.is_zero() {
        tokio::time::sleep(outcome.delay).await;
    }
    if outcome.delivery == Delivery::Cut {
        wire.cut();
        // Never reaches the client: writing it is what closes the connection.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut response = match &outcome.reply {
        Ok((status, body)) => json(*status, body.as_ref()),
        Err(error) => refusal(error),
    };
    if let Ok(id) = HeaderValue::from_str(&format!("00000000-0000-4000-8000-{sequence:012x}")) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn refusal(error: &ApiError) -> Response {
    let mut response = json(error.status, Some(&error.body()));
    response.headers_mut().insert(ERROR_TYPE, HeaderValue::from_static(error.name));
    if let Some(seconds) = error.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: u16, body: Option<&Value>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match body {
        Some(body) => (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
        None => status.into_response(),
    }
}
