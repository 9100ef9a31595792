//! Who is let in: programs on this computer, not web pages. A page in a developer's browser may send requests to loopback, and
//! with a name of its own that resolves to 127.0.0.1 (DNS rebinding) even read the answers. A browser says where a page is
//! from, and cannot send JSON to another origin without asking first (Fetch standard, CORS-safelisted request headers), which
//! nobody here answers.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::net::IpAddr;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request may name as this computer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard {
    /// It listens beyond loopback, so that an address may be any; a name still is none of ours.
    pub(crate) exposed: bool,
}

/// Refuses before anything else is done.
pub(crate) async fn stand(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let control = request.uri().path().starts_with("/_simulator/");
    match guard.refusal(control, request.method(), request.headers()) {
        None => next.run(request).await,
        Some(reason) => (StatusCode::FORBIDDEN, Json(json!({"message": reason}))).into_response(),
    }
}

impl Guard {
    fn refusal(self, control: bool, method: &Method, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if !text(&HOST).is_some_and(|host| self.is_here(host)) {
            return Some("the Host is not this computer's loopback address: another name may be a web page's trick");
        }
        let from = text(&ORIGIN);
        if from.is_some_and(|origin| !origin.strip_prefix("http://").is_some_and(|host| self.is_here(host)))
            || text(&SEC_FETCH_SITE).is_some_and(|site| !["same-origin", "none"].contains(&site))
        {
            return Some("this comes from a web page of another origin");
        }
        let is_read = [Method::GET, Method::HEAD].contains(method);
        let is_json = text(&CONTENT_TYPE).is_some_and(|kind| kind.split(';').next() == Some("application/json"));
        (control && !is_read && !is_json).then_some("a change needs the header content-type: application/json")
    }

    fn is_here(self, host: &str) -> bool {
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').unwrap_or_default(),
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        if !port.is_empty() && port.strip_prefix(':').is_none_or(|port| port.parse::<u16>().is_err()) {
            return false;
        }
        let address = name.parse::<IpAddr>();
        name == "localhost" || address.is_ok_and(|address| self.exposed || address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn refused(exposed: bool, method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Guard { exposed }.refusal(true, method, &headers).is_some()
    }

    #[test]
    fn only_this_computer_is_a_host() {
        for host in ["127.0.0.1:4590", "127.9.9.9", "localhost:4590", "[::1]:4590"] {
            assert!(!refused(false, &Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "[::1].evil",
            "10.0.0.7",
            "",
            "0.0.0.0",
        ] {
            assert!(refused(false, &Method::GET, &[("host", host)]), "{host}");
        }
        assert!(refused(false, &Method::GET, &[]), "a request without a Host");
        assert!(!refused(true, &Method::GET, &[("host", "10.0.0.7:4590")]));
        assert!(refused(true, &Method::GET, &[("host", "evil.example:4590")]));
    }

    #[test]
    fn no_page_of_another_origin_changes_or_reads_anything() {
        let here = ("host", "127.0.0.1:4590");
        let json = ("content-type", "application/json");
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://evil.example"),
            ("origin", "http://localhost.evil.example"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(refused(false, &Method::POST, &[here, json, foreign]), "{foreign:?}");
            assert!(refused(false, &Method::GET, &[here, foreign]), "{foreign:?}");
        }
        assert!(!refused(false, &Method::POST, &[here, json, ("origin", "http://127.0.0.1:4590")]));
        assert!(!refused(false, &Method::GET, &[here, ("sec-fetch-site", "none")]));
    }

    #[test]
    fn a_change_is_no_simple_request() {
        let here = ("host", "127.0.0.1:4590");
        for simple in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain; application/json"]
        {
            assert!(refused(false, &Method::POST, &[here, ("content-type", simple)]), "{simple}");
        }
        for method in [Method::POST, Method::DELETE, Method::PUT] {
            assert!(refused(false, &method, &[here]), "{method}");
            assert!(!refused(false, &method, &[here, ("content-type", "application/json; charset=utf-8")]), "{method}");
        }
    }
}
