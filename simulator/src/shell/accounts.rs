//! Whose call it is. A 12-digit access key says it itself; the key of an assumed role does not, so STS is asked, once per
//! key, with the real `GetAccessKeyInfo`. Only for local stand-ins: the request is plain HTTP and its signature is empty.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tidegate_simulator::SigningScope;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Keys remembered; sessions come and go, so the memory is emptied when it is full.
const REMEMBERED: usize = 1000;

/// A local STS answers in milliseconds; a call must not wait for one that does not.
const PATIENCE: Duration = Duration::from_secs(2);

/// The accounts of access keys.
pub(crate) struct Accounts {
    sts: Option<String>,
    default: String,
    known: Mutex<BTreeMap<String, String>>,
}

impl Accounts {
    pub(crate) fn new(sts: Option<String>, default: String) -> Self {
        Self { sts, default, known: Mutex::default() }
    }

    /// The account of a caller; the default one when nobody knows better.
    pub(crate) async fn of(&self, signed: &SigningScope) -> String {
        if let Some(account) = signed.account() {
            return account.to_owned();
        }
        let key = signed.access_key.as_str();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(account) = known {
            return account;
        }
        // STS itself refuses shorter keys; made-up ones like "test" are not worth a question.
        let plausible = (16..=128).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let asked = match self.sts.as_deref().filter(|_| plausible) {
            Some(endpoint) => tokio::time::timeout(PATIENCE, self.ask(endpoint, signed)).await.ok().flatten(),
            None => None,
        };
        let Some(account) = asked else { return self.default.clone() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key.to_owned(), account.clone());
        account
    }

    async fn ask(&self, endpoint: &str, signed: &SigningScope) -> Option<String> {
        let host = endpoint.strip_prefix("http://")?.trim_end_matches('/');
        let body = format!("Action=GetAccessKeyInfo&Version=2011-06-15&AccessKeyId={}", signed.access_key);
        let credential = format!("{}/20260101/{}/sts/aws4_request", self.default, signed.region);
        // HTTP/1.0, because its answer is never chunked and ends with the connection.
        let request = format!(
            "POST / HTTP/1.0\r\nhost: {host}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
             authorization: AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        account_in(&String::from_utf8_lossy(&answer))
    }
}

fn account_in(answer: &str) -> Option<String> {
    let account = answer.split_once("<Account>")?.1.split_once("</Account>")?.0;
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then(|| account.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_is_taken_from_an_answer() {
        assert_eq!(account_in("<R><Account>444455556666</Account></R>").as_deref(), Some("444455556666"));
        assert_eq!(account_in("<Error><Code>AccessDenied</Code></Error>"), None);
        assert_eq!(account_in("<Account>root</Account>"), None);
    }
}
