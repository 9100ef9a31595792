//! What can go wrong, each in one line that says what to do. The line holds the nearest cause, because it may be all an
//! operator sees; `--verbose` adds the rest of the chain.

use tidegate_aws::{ErrorClass, PortError, Sent};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error(
        "{variable} is not set: it names {what}. Run `source .local/env` for the local stack, or export the Terraform output"
    )]
    MissingSetting { variable: &'static str, what: &'static str },
    #[error("{variable} {reason}. Run `source .local/env` for the local stack, or export the Terraform output")]
    BadSetting { variable: &'static str, reason: String },
    #[error("no AWS Region is set. Export AWS_REGION, or run `source .local/env` for the local stack")]
    NoRegion,
    #[error("cannot read {path}: {source}")]
    Unreadable { path: String, source: std::io::Error },
    #[error("{path} is not JSON: {source}")]
    NotJson { path: String, source: serde_json::Error },
    #[error("{count} {} in the input; nothing was started", if *count == 1 { "problem" } else { "problems" })]
    Refused { count: usize },
    #[error("the name {name:?} {reason}")]
    BadName { name: String, reason: String },
    #[error("a recovery launches production servers: confirm it with --yes, there is no terminal to ask on")]
    NeedsYes,
    #[error("not confirmed; nothing was started")]
    NotConfirmed,
    #[error("the check {name} answered something else than a check's result; nothing was started")]
    CheckUnread { name: String },
    #[error("an execution named {name} exists already, with another input or ended; choose another --name")]
    NameTaken { name: String },
    #[error("{name} may or may not have started: {source}. Look before you try again: tidegate show {name}")]
    StartUnknown { name: String, source: Box<PortError> },
    #[error("there is no execution named {name}; `tidegate list` shows what there is")]
    NotFound { name: String },
    #[error("{name} is {status}, not PAUSED: there is no gate to answer")]
    NotPaused { name: String, status: &'static str },
    #[error(
        "{name} is PAUSED, but its gate's token may not be read from here; the approve policy is needed to answer it"
    )]
    GateHidden { name: String },
    #[error(
        "{name} is PAUSED, but its gate has no token yet; try again, and if that stays so look at its history in Step Functions"
    )]
    GateOpening { name: String },
    #[error("this gate asks for a decision about wave {wave}: add --decision retry|skip|continue|abort")]
    DecisionWanted { wave: u32 },
    #[error(
        "this gate only asks whether wave {wave} may start, it takes no decision; `tidegate resume` lets it start, `tidegate decline` ends the execution"
    )]
    NoDecisionWanted { wave: u32 },
    #[error("--output {reason}")]
    BadAnswer { reason: String },
    #[error("the gate is closed: somebody answered it, it timed out, or the execution ended ({detail})")]
    GateClosed { detail: String },
    #[error(
        "Step Functions took the answer, but after {seconds} s the record still shows the same gate; look again with `tidegate show {name}`"
    )]
    GateStands { name: String, seconds: u64 },
    #[error("{name} has ended already ({status})")]
    Ended { name: String, status: &'static str },
    #[error(
        "{name} is {status} in Step Functions: there is nothing to reconcile, and a running execution is left alone"
    )]
    StillRunning { name: String, status: String },
    #[error("{name}: {said}")]
    NotReconciled { name: String, said: String },
    #[error("--approve ask needs a terminal; use auto or never here")]
    NobodyToAsk,
    #[error("{doing}: {source}{}", hint(source))]
    Port { doing: String, source: Box<PortError> },
    #[error("this starts executions and sends a notification: confirm it with --yes, there is no terminal to ask on")]
    AcceptNeedsYes,
    #[error("{server} is not thrown away: {reason}; nothing was started")]
    NotThrownAway { server: String, reason: String },
    #[error("cannot write {path}: {source}")]
    Unwritable { path: String, source: std::io::Error },
    #[error(
        "{path} holds more than {bytes} bytes, and Step Functions takes an input of 262144: give a plan's JSON, or store the plan and name it with --plan"
    )]
    TooLarge { path: String, bytes: usize },
    #[error("{path} is {encoding}: save it as UTF-8 without a byte order mark")]
    Encoding { path: String, encoding: &'static str },
    #[error("cannot write: {0}")]
    Output(#[source] std::io::Error),
}

impl CliError {
    /// A failed call, with what it was for.
    pub(crate) fn port(doing: impl Into<String>) -> impl FnOnce(PortError) -> Self {
        let doing = doing.into();
        move |source| Self::Port { doing, source: Box::new(source) }
    }

    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Worth trying again in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Port { source, .. } if matches!(source.class, ErrorClass::Transient | ErrorClass::Throttled))
    }
}

/// What usually helps. The AWS CLI takes the profile from `AWS_PROFILE` as this tool does, so its commands need no name.
fn hint(error: &PortError) -> &'static str {
    let says = |word: &str| {
        let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).any(|text| text.contains(word))
    };
    // The SDK names no kind of credentials error: these are its texts (aws-config, sso/token.rs and login/token.rs), and what
    // IAM Identity Center answers to a session that was ended.
    if error.code.is_none() && (says("SSO token") || says("UnauthorizedException")) {
        return " (the sign-in of this shell's profile is missing or has expired: run `aws sso login`)";
    }
    if error.code.is_none() && (says("Login token") || says(".aws/login/cache")) {
        return " (the sign-in of this shell's profile is missing or has expired: run `aws login`)";
    }
    match (error.class, error.sent) {
        // STS refused a profile's role, before anything was asked.
        (ErrorClass::Denied, Sent::NotSent) => {
            " (check the role of this shell's profile; one with mfa_serial is used without a code: \
             `aws configure export-credentials --format env` asks for it and prints credentials to set)"
        }
        (ErrorClass::Transient, _)
            if matches!(error.code.as_deref(), Some("ExpiredToken" | "ExpiredTokenException")) =>
        {
            " (the credentials of this shell have expired: get new ones)"
        }
        (ErrorClass::Transient, _) if error.code.as_deref().is_some_and(|code| code.contains("Signature")) => {
            " (check this shell's AWS credentials and this computer's clock)"
        }
        (ErrorClass::Denied, _) => " (check this shell's AWS credentials and permissions)",
        (ErrorClass::NotFound, _) => " (check AWS_REGION, the endpoints and the TIDEGATE_* settings)",
        (ErrorClass::Transient, Sent::Unknown | Sent::NotSent) if error.code.is_none() => {
            " (check the network, credentials and AWS_ENDPOINT_URL; is the local stack up?)"
        }
        _ => "",
    }
}

/// The same error without the token it was called with: services quote what they refuse. The chain goes too, since its
/// texts cannot be edited.
pub(crate) fn without_token(mut error: PortError, token: &str) -> PortError {
    if !token.is_empty() {
        error.message = error.message.replace(token, "<token>");
    }
    error.source = None;
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_quoted_by_the_service_does_not_get_out() {
        let mut error = PortError::unreadable("states:SendTaskSuccess", "Invalid Token: 'AAAA-secret'");
        error.source = Some("AAAA-secret".into());
        let error = CliError::port("answering")(without_token(error, "AAAA-secret"));
        let mut texts = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            texts.push_str(&inner.to_string());
            source = inner.source();
        }
        assert!(!texts.contains("secret") && texts.contains("<token>"), "{texts}");
    }

    #[test]
    fn a_sign_in_that_is_over_is_said_in_one_line() {
        for (cause, remedy) in [
            ("the SSO token has expired and cannot be refreshed", "`aws sso login`"),
            ("UnauthorizedException: Session token not found or invalid", "`aws sso login`"),
            ("cached Login token is expired", "`aws login`"),
        ] {
            let mut error = PortError::unreadable("dynamodb:Query", "");
            error.source = Some(cause.into());
            let text = CliError::port("cannot list executions")(error).to_string();
            assert!(text.contains(remedy) && text.lines().count() == 1, "{text}");
        }
    }

    #[test]
    fn a_missing_setting_names_the_variable_and_the_remedy() {
        let text = CliError::MissingSetting { variable: "TIDEGATE_TABLES", what: "the tables" }.to_string();
        assert!(text.contains("TIDEGATE_TABLES") && text.contains("source .local/env"), "{text}");
    }
}
