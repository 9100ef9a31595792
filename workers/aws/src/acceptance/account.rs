//! IAM's simulator, one event, and the length of a queue.

use super::signed::{Answer, Call, Service, send};
use crate::error::PortError;
use aws_config::SdkConfig;
use aws_smithy_xml::decode::{Document, ScopedDecoder, try_data};
use serde_json::{Value, json};

const IAM: Service = Service { id: "IAM", name: "iam", is_global: true };
const EVENTS: Service = Service { id: "EVENTBRIDGE", name: "events", is_global: false };
const SQS: Service = Service { id: "SQS", name: "sqs", is_global: false };

const FORM: &str = "application/x-www-form-urlencoded";
const SIMULATE: &str = "iam:SimulatePrincipalPolicy";
const PUT_EVENTS: &str = "events:PutEvents";
const READ_QUEUE: &str = "sqs:GetQueueAttributes";
const FIND_QUEUE: &str = "sqs:GetQueueUrl";

/// A condition key and what it is said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextEntry {
    pub key: String,
    /// `string`, `stringList`, `boolean` (ContextKeyTypeEnum of the API model).
    pub kind: &'static str,
    pub values: Vec<String>,
}

/// What IAM says of one action: `allowed`, `explicitDeny` or `implicitDeny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub action: String,
    pub decision: String,
}

/// The account around a deployment.
#[derive(Debug, Clone)]
pub struct AccountClient {
    config: SdkConfig,
    partition: String,
}

impl AccountClient {
    /// `partition` as in ARNs: it decides the endpoints.
    pub fn new(config: &SdkConfig, partition: &str) -> Self {
        Self { config: config.clone(), partition: partition.to_owned() }
    }

    async fn ask(&self, service: Service, call: Call) -> Result<Answer, PortError> {
        send(&self.config, &self.partition, service, call).await
    }

    /// SimulatePrincipalPolicy: the identity-based policies and the boundary of `principal_arn`, an organisation's policies in
    /// part, a resource's not at all (API reference).
    pub async fn simulate(
        &self,
        principal_arn: &str,
        actions: &[&str],
        resource_arn: Option<&str>,
        context: &[ContextEntry],
    ) -> Result<Vec<Decision>, PortError> {
        let mut decisions = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let body = simulation(principal_arn, actions, resource_arn, context, marker.as_deref());
            let call = Call { action: SIMULATE, content_type: FORM, target: None, body };
            let answer = self.ask(IAM, call).await?;
            if answer.status != 200 {
                let (code, message) = xml_error(&answer.body);
                return Err(PortError::answered(SIMULATE, answer.status, code, message));
            }
            let page = read_simulation(&answer.body)
                .ok_or_else(|| PortError::unreadable(SIMULATE, "the answer is not IAM's XML"))?;
            decisions.extend(page.decisions);
            match page.marker {
                Some(next) => marker = Some(next),
                None => return Ok(decisions),
            }
        }
    }

    /// Puts one event onto a bus. An entry that the bus refused is an error.
    pub async fn put_event(
        &self,
        bus: &str,
        source: &str,
        detail_type: &str,
        resources: &[String],
        detail: &Value,
    ) -> Result<(), PortError> {
        let entry = json!({
            "EventBusName": bus, "Source": source, "DetailType": detail_type, "Resources": resources, "Detail": detail.to_string(),
        });
        let body = json!({ "Entries": [entry] }).to_string();
        let answer = self.json(EVENTS, PUT_EVENTS, "application/x-amz-json-1.1", "AWSEvents.PutEvents", body).await?;
        let said = |name: &str| answer["Entries"][0][name].as_str().map(str::to_owned);
        match answer["FailedEntryCount"].as_u64() {
            Some(0) => Ok(()),
            _ => Err(PortError::answered(PUT_EVENTS, 400, said("ErrorCode"), said("ErrorMessage").unwrap_or_default())),
        }
    }

    /// About how many messages wait in a queue of this account and Region.
    pub async fn queue_length(&self, queue: &str) -> Result<u64, PortError> {
        let found = json!({ "QueueName": queue }).to_string();
        let found = self.json(SQS, FIND_QUEUE, "application/x-amz-json-1.0", "AmazonSQS.GetQueueUrl", found).await?;
        let asked = json!({ "QueueUrl": found["QueueUrl"], "AttributeNames": ["ApproximateNumberOfMessages"] });
        let target = "AmazonSQS.GetQueueAttributes";
        let answer = self.json(SQS, READ_QUEUE, "application/x-amz-json-1.0", target, asked.to_string()).await?;
        let length = answer["Attributes"]["ApproximateNumberOfMessages"].as_str().and_then(|text| text.parse().ok());
        length.ok_or_else(|| PortError::unreadable(READ_QUEUE, "the answer holds no number of messages"))
    }

    async fn json(
        &self,
        service: Service,
        action: &'static str,
        content_type: &'static str,
        target: &'static str,
        body: String,
    ) -> Result<Value, PortError> {
        let answer = self.ask(service, Call { action, content_type, target: Some(target), body }).await?;
        let said: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        if answer.status != 200 {
            // `__type` may be `com.amazonaws.sqs#QueueDoesNotExist`.
            let code = said["__type"].as_str().and_then(|name| name.rsplit('#').next()).map(str::to_owned);
            let message = said["message"].as_str().or(said["Message"].as_str()).unwrap_or(&answer.body);
            return Err(PortError::answered(action, answer.status, code, message.to_owned()));
        }
        Ok(said)
    }
}

fn simulation(
    principal_arn: &str,
    actions: &[&str],
    resource_arn: Option<&str>,
    context: &[ContextEntry],
    marker: Option<&str>,
) -> String {
    let mut form = Form::default();
    form.add("Action", "SimulatePrincipalPolicy");
    form.add("Version", "2010-05-08");
    form.add("PolicySourceArn", principal_arn);
    for (index, action) in (1..).zip(actions) {
        form.add(&format!("ActionNames.member.{index}"), action);
    }
    if let Some(resource) = resource_arn {
        form.add("ResourceArns.member.1", resource);
    }
    for (index, entry) in (1..).zip(context) {
        let member = format!("ContextEntries.member.{index}");
        form.add(&format!("{member}.ContextKeyName"), &entry.key);
        form.add(&format!("{member}.ContextKeyType"), entry.kind);
        for (number, value) in (1..).zip(&entry.values) {
            form.add(&format!("{member}.ContextKeyValues.member.{number}"), value);
        }
    }
    if let Some(marker) = marker {
        form.add("Marker", marker);
    }
    form.0
}

/// A body of the Query protocol.
#[derive(Debug, Default)]
struct Form(String);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                self.0.push(char::from(byte));
            } else {
                self.0.push_str(&format!("%{byte:02X}"));
            }
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    decisions: Vec<Decision>,
    marker: Option<String>,
}

/// `<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults><member>…`. None: it is not that.
fn read_simulation(body: &str) -> Option<Page> {
    let mut document = Document::try_from(body.as_bytes()).ok()?;
    let mut root = document.root_element().ok()?;
    let mut page = Page::default();
    let mut found = false;
    while let Some(mut result) = root.next_tag() {
        if result.start_el().local() != "SimulatePrincipalPolicyResult" {
            continue;
        }
        while let Some(mut tag) = result.next_tag() {
            match tag.start_el().local() {
                "EvaluationResults" => {
                    found = true;
                    while let Some(mut member) = tag.next_tag() {
                        page.decisions.push(decision(&mut member)?);
                    }
                }
                "Marker" => page.marker = Some(text(&mut tag)?),
                _ => {}
            }
        }
    }
    found.then_some(page)
}

fn decision(member: &mut ScopedDecoder<'_, '_>) -> Option<Decision> {
    let (mut action, mut decision) = (None, None);
    while let Some(mut tag) = member.next_tag() {
        match tag.start_el().local() {
            "EvalActionName" => action = Some(text(&mut tag)?),
            "EvalDecision" => decision = Some(text(&mut tag)?),
            _ => {}
        }
    }
    Some(Decision { action: action?, decision: decision? })
}

/// `<ErrorResponse><Error><Code/><Message/></Error></ErrorResponse>`; the whole body where it is not that.
fn xml_error(body: &str) -> (Option<String>, String) {
    let (mut code, mut message) = (None, None);
    if let Ok(mut document) = Document::try_from(body.as_bytes())
        && let Ok(mut root) = document.root_element()
    {
        while let Some(mut error) = root.next_tag() {
            if error.start_el().local() != "Error" {
                continue;
            }
            while let Some(mut tag) = error.next_tag() {
                match tag.start_el().local() {
                    "Code" => code = text(&mut tag),
                    "Message" => message = text(&mut tag),
                    _ => {}
                }
            }
        }
    }
    (code, message.unwrap_or_else(|| body.to_owned()))
}

fn text(tag: &mut ScopedDecoder<'_, '_>) -> Option<String> {
    try_data(tag).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The example of the API reference, SimulatePrincipalPolicy.
    const ANSWER: &str = r#"<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">
  <SimulatePrincipalPolicyResult>
    <IsTruncated>true</IsTruncated>
    <Marker>next&amp;page</Marker>
    <EvaluationResults>
      <member>
        <MatchedStatements>
          <member><SourcePolicyId>PolicyInputList.1</SourcePolicyId>
            <EndPosition><Column>4</Column><Line>7</Line></EndPosition></member>
        </MatchedStatements>
        <MissingContextValues/>
        <EvalResourceName>arn:aws:s3:::teambucket</EvalResourceName>
        <EvalDecision>allowed</EvalDecision>
        <EvalActionName>s3:ListBucket</EvalActionName>
      </member>
      <member>
        <EvalDecision>implicitDeny</EvalDecision>
        <EvalActionName>s3:PutObject</EvalActionName>
      </member>
    </EvaluationResults>
  </SimulatePrincipalPolicyResult>
  <ResponseMetadata><RequestId>1cdb5b0a</RequestId></ResponseMetadata>
</SimulatePrincipalPolicyResponse>"#;

    #[test]
    fn a_simulation_is_read_with_its_next_page() {
        let page = read_simulation(ANSWER).unwrap();
        let said: Vec<(&str, &str)> =
            page.decisions.iter().map(|said| (said.action.as_str(), said.decision.as_str())).collect();
        assert_eq!(said, [("s3:ListBucket", "allowed"), ("s3:PutObject", "implicitDeny")]);
        assert_eq!(page.marker.as_deref(), Some("next&page"));
        for not_it in ["", "{}", "<html><body/></html>", "<SimulatePrincipalPolicyResponse/>"] {
            assert_eq!(read_simulation(not_it), None, "{not_it}: no answer is never taken for no denial");
        }
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>no role</Message></Error></ErrorResponse>";
        assert_eq!(xml_error(body), (Some("NoSuchEntity".to_owned()), "no role".to_owned()));
        assert_eq!(xml_error("bad gateway"), (None, "bad gateway".to_owned()));
    }

    #[test]
    fn a_question_is_a_form() {
        let context =
            [ContextEntry { key: "aws:ViaAWSService".to_owned(), kind: "boolean", values: vec!["true".to_owned()] }];
        let body = simulation("arn:aws:iam::1:role/r", &["ec2:RunInstances"], Some("*"), &context, None);
        assert_eq!(
            body,
            "Action=SimulatePrincipalPolicy&Version=2010-05-08&PolicySourceArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr\
             &ActionNames.member.1=ec2%3ARunInstances&ResourceArns.member.1=%2A\
             &ContextEntries.member.1.ContextKeyName=aws%3AViaAWSService&ContextEntries.member.1.ContextKeyType=boolean\
             &ContextEntries.member.1.ContextKeyValues.member.1=true"
        );
    }
}
