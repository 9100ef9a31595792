//! From the text of a definition to [`Definition`]. Every field must be known: what is not taken is refused.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    choice::{self, Rule},
    definition::{Definition, DefinitionError, Kind, Limit, Next, Resource, State, Task, Text, Until},
    intrinsic::Expression,
    path::Path,
    retry::{Catcher, ErrorEquals, MAX_SECONDS, Retrier},
    template::Template,
};

type Parsed<T> = Result<T, String>;
type Names = BTreeMap<String, usize>;

/// AWS: names of states have 80 characters at most.
const MAX_NAME: usize = 80;
/// AWS: MaxDelaySeconds is less than 366 days.
const MAX_DELAY_SECONDS: u32 = 31_622_399;

pub(crate) fn definition(text: &str) -> Result<Definition, DefinitionError> {
    let value: Value = serde_json::from_str(text).map_err(DefinitionError::NotJson)?;
    let refused = |at: &str| {
        let at = at.to_owned();
        move |problem: String| DefinitionError::Refused { at, problem }
    };
    const MACHINE: &str = "the state machine";
    if let Some((_, rest)) = text.split_once("${") {
        let placeholder = rest.split('}').next().unwrap_or_default();
        return Err(refused(MACHINE)(format!("the placeholder ${{{placeholder}}} is not filled in")));
    }
    let (fields, states) = machine(value).map_err(refused(MACHINE))?;
    let names: Names = states.keys().enumerate().map(|(index, name)| (name.clone(), index)).collect();
    let start_at = target(&names, &fields.start_at).map_err(refused(MACHINE))?;
    let states = states
        .into_iter()
        .map(|(name, body)| state(&names, &name, body).map_err(refused(&format!("state '{name}'"))))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Definition { states, start_at, timeout_seconds: fields.timeout_seconds })
}

struct Machine {
    start_at: String,
    timeout_seconds: Option<u32>,
}

fn machine(value: Value) -> Parsed<(Machine, BTreeMap<String, Value>)> {
    let mut fields = Fields::new(value)?;
    fields.take("Comment");
    json_path_only(&mut fields)?;
    if !matches!(fields.text("Version")?.as_deref(), None | Some("1.0")) {
        return Err("Version is 1.0".to_owned());
    }
    let start_at = fields.text("StartAt")?.ok_or("StartAt is missing")?;
    let timeout_seconds = fields.seconds("TimeoutSeconds", 1, MAX_SECONDS)?;
    let Some(Value::Object(states)) = fields.take("States") else { return Err("States is missing".to_owned()) };
    fields.finish()?;
    Ok((Machine { start_at, timeout_seconds }, states.into_iter().collect()))
}

fn json_path_only(fields: &mut Fields) -> Parsed<()> {
    match fields.text("QueryLanguage")?.as_deref() {
        None | Some("JSONPath") => Ok(()),
        Some(other) => Err(format!("QueryLanguage {other} is not supported")),
    }
}

fn target(names: &Names, name: &str) -> Parsed<usize> {
    names.get(name).copied().ok_or_else(|| format!("there is no state '{name}'"))
}

fn state(names: &Names, name: &str, body: Value) -> Parsed<State> {
    if name.is_empty() || name.chars().count() > MAX_NAME {
        return Err(format!("a name has 1 to {MAX_NAME} characters"));
    }
    let text = body.to_string();
    let asks_of_itself = text.matches("$$").count() > text.matches("$$.Execution.").count();
    let mut fields = Fields::new(body)?;
    fields.take("Comment");
    json_path_only(&mut fields)?;
    let kind = fields.text("Type")?.ok_or("Type is missing")?;
    // A Fail state has no input or output to select from.
    let (input_path, output_path) = if kind == "Fail" {
        (Some(Path::parse("$")?), Some(Path::parse("$")?))
    } else {
        (fields.selection("InputPath")?, fields.selection("OutputPath")?)
    };
    let kind = match kind.as_str() {
        "Pass" => Kind::Pass {
            result: fields.take("Result"),
            parameters: fields.template("Parameters")?,
            result_path: fields.result_path()?,
            next: fields.next(names)?,
        },
        "Choice" => choice(names, &mut fields)?,
        "Wait" => Kind::Wait { until: until(&mut fields)?, next: fields.next(names)? },
        "Succeed" => Kind::Succeed,
        "Fail" => Kind::Fail { error: fail_text(&mut fields, "Error")?, cause: fail_text(&mut fields, "Cause")? },
        "Task" => Kind::Task(Box::new(task(names, &mut fields)?)),
        other => return Err(format!("the type {other} is not supported")),
    };
    fields.finish()?;
    Ok(State { name: Arc::from(name), input_path, output_path, asks_of_itself, kind })
}

fn choice(names: &Names, fields: &mut Fields) -> Parsed<Kind> {
    let mut choices = Vec::new();
    for rule in fields.list("Choices")? {
        let Value::Object(mut rule) = rule else { return Err("a choice is an object".to_owned()) };
        rule.remove("Comment");
        let Some(Value::String(next)) = rule.remove("Next") else { return Err("a choice has no Next".to_owned()) };
        choices.push((Rule::parse(&rule)?, target(names, &next)?));
    }
    if choices.is_empty() {
        return Err("Choices is empty".to_owned());
    }
    let default = fields.text("Default")?.map(|name| target(names, &name)).transpose()?;
    Ok(Kind::Choice { choices, default })
}

fn until(fields: &mut Fields) -> Parsed<Until> {
    let mut given = Vec::new();
    if let Some(seconds) = fields.seconds("Seconds", 0, MAX_SECONDS)? {
        given.push(Until::Seconds(seconds));
    }
    if let Some(path) = fields.reference("SecondsPath")? {
        given.push(Until::SecondsPath(path));
    }
    if let Some(text) = fields.text("Timestamp")? {
        given.push(Until::Timestamp(choice::parse_timestamp(&text).ok_or("Timestamp is not one")?));
    }
    if let Some(path) = fields.reference("TimestampPath")? {
        given.push(Until::TimestampPath(path));
    }
    match (given.pop(), given.pop()) {
        (Some(until), None) => Ok(until),
        _ => Err("a Wait has one of Seconds, SecondsPath, Timestamp, TimestampPath".to_owned()),
    }
}

fn fail_text(fields: &mut Fields, field: &str) -> Parsed<Text> {
    match (fields.text(field)?, fields.text(&format!("{field}Path"))?) {
        (Some(_), Some(_)) => Err(format!("{field} and {field}Path exclude each other")),
        (literal, None) => Ok(Text::Literal(literal.unwrap_or_default())),
        (None, Some(path)) => Ok(Text::Expression(Expression::parse(&path)?)),
    }
}

fn task(names: &Names, fields: &mut Fields) -> Parsed<Task> {
    let timeout = fields.limit("TimeoutSeconds")?;
    let heartbeat = fields.limit("HeartbeatSeconds")?;
    if let (Some(Limit::Seconds(timeout)), Some(Limit::Seconds(heartbeat))) = (&timeout, &heartbeat)
        && heartbeat >= timeout
    {
        return Err("HeartbeatSeconds must be smaller than TimeoutSeconds".to_owned());
    }
    Ok(Task {
        resource: resource(&fields.text("Resource")?.ok_or("Resource is missing")?)?,
        timeout,
        heartbeat,
        parameters: fields.template("Parameters")?,
        result_selector: fields.template("ResultSelector")?,
        result_path: fields.result_path()?,
        retry: alone_and_last(fields.list("Retry")?.into_iter().map(retrier).collect::<Parsed<_>>()?, |one| {
            &one.errors
        })?,
        catch: alone_and_last(
            fields.list("Catch")?.into_iter().map(|one| catcher(names, one)).collect::<Parsed<_>>()?,
            |one| &one.errors,
        )?,
        next: fields.next(names)?,
    })
}

fn resource(text: &str) -> Parsed<Resource> {
    let unsupported = || format!("the resource '{text}' is not supported");
    let parts: Vec<&str> = text.split(':').collect();
    if let ["arn", _, "states", region, account, "activity", name] = parts.as_slice()
        && ![region, account, name].iter().any(|part| part.is_empty())
    {
        return Ok(Resource::Activity { arn: text.to_owned() });
    }
    let ["arn", _, "states", "", "", call @ ..] = parts.as_slice() else { return Err(unsupported()) };
    let (service, action) = match call {
        ["aws-sdk", service, action] | [service, action] => (*service, *action),
        _ => return Err(unsupported()),
    };
    let (action, callback) = match action.split_once('.') {
        None => (action, false),
        Some((action, "waitForTaskToken")) => (action, true),
        Some(_) => return Err(unsupported()),
    };
    if service.is_empty() || action.is_empty() {
        return Err(unsupported());
    }
    Ok(Resource::Service { service: service.to_owned(), action: action.to_owned(), callback })
}

fn retrier(value: Value) -> Parsed<Retrier> {
    let mut fields = Fields::new(value)?;
    fields.take("Comment");
    let errors = fields.errors()?;
    let interval_seconds = fields.seconds("IntervalSeconds", 1, MAX_SECONDS)?.unwrap_or(1);
    let max_attempts = fields.seconds("MaxAttempts", 0, MAX_SECONDS)?.unwrap_or(3);
    let max_delay_seconds = fields.seconds("MaxDelaySeconds", 1, MAX_DELAY_SECONDS)?;
    let backoff_rate = match fields.take("BackoffRate") {
        None => 2.0,
        Some(rate) => rate.as_f64().filter(|rate| *rate >= 1.0).ok_or("BackoffRate is a number from 1.0")?,
    };
    let full_jitter = match fields.text("JitterStrategy")?.as_deref() {
        None | Some("NONE") => false,
        Some("FULL") => true,
        Some(other) => return Err(format!("the JitterStrategy {other} does not exist")),
    };
    fields.finish()?;
    Ok(Retrier { errors, interval_seconds, max_attempts, backoff_rate, max_delay_seconds, full_jitter })
}

fn catcher(names: &Names, value: Value) -> Parsed<Catcher> {
    let mut fields = Fields::new(value)?;
    fields.take("Comment");
    let errors = fields.errors()?;
    let result_path = fields.result_path()?;
    let next = fields.text("Next")?.ok_or("a Catch has no Next")?;
    fields.finish()?;
    Ok(Catcher { errors, result_path, next: target(names, &next)? })
}

/// AWS: `States.ALL` stands alone in its list, and in the last entry.
fn alone_and_last<T>(entries: Vec<T>, errors: impl Fn(&T) -> &ErrorEquals) -> Parsed<Vec<T>> {
    for (position, entry) in entries.iter().enumerate() {
        let ErrorEquals(names) = errors(entry);
        if names.iter().any(|name| name == "States.ALL") && (names.len() > 1 || position + 1 < entries.len()) {
            return Err("States.ALL must be alone and last".to_owned());
        }
    }
    Ok(entries)
}

/// The fields of an object, taken one by one so that the unknown ones remain.
struct Fields(Map<String, Value>);

impl Fields {
    fn new(value: Value) -> Parsed<Self> {
        match value {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err("an object is expected".to_owned()),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn finish(self) -> Parsed<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("the field {name} is not supported here")),
        }
    }

    fn text(&mut self, name: &str) -> Parsed<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is not text")),
        }
    }

    fn list(&mut self, name: &str) -> Parsed<Vec<Value>> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(format!("{name} is not an array")),
        }
    }

    fn seconds(&mut self, name: &str, least: u32, most: u32) -> Parsed<Option<u32>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("{name} is a whole number from {least} to {most}")),
        }
    }

    fn reference(&mut self, name: &str) -> Parsed<Option<Path>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let path = Path::parse(&text)?;
        if path.is_reference() { Ok(Some(path)) } else { Err(format!("{name} may lead to more than one value")) }
    }

    fn limit(&mut self, name: &str) -> Parsed<Option<Limit>> {
        let path_name = format!("{name}Path");
        match (self.seconds(name, 1, MAX_SECONDS)?, self.reference(&path_name)?) {
            (Some(_), Some(_)) => Err(format!("{name} and {path_name} exclude each other")),
            (Some(seconds), None) => Ok(Some(Limit::Seconds(seconds))),
            (None, path) => Ok(path.map(Limit::Path)),
        }
    }

    /// InputPath or OutputPath: absent is `$`, null is `None`.
    fn selection(&mut self, name: &str) -> Parsed<Option<Path>> {
        match self.take(name) {
            None => Path::parse("$").map(Some),
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Path::parse(&text).map(Some),
            Some(_) => Err(format!("{name} is a path or null")),
        }
    }

    /// ResultPath: absent is `$` (no fields), null is `None`.
    fn result_path(&mut self) -> Parsed<Option<Vec<String>>> {
        match self.take("ResultPath") {
            None => Ok(Some(Vec::new())),
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => match Path::parse(&text)?.fields() {
                Some(fields) => Ok(Some(fields.into_iter().map(str::to_owned).collect())),
                None => Err(format!("the ResultPath '{text}' is not supported: it may name fields of the input only")),
            },
            Some(_) => Err("ResultPath is a path or null".to_owned()),
        }
    }

    fn template(&mut self, name: &str) -> Parsed<Option<Template>> {
        match self.take(name) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => {
                Template::parse(&value).map(Some).map_err(|problem| format!("{name}: {problem}"))
            }
            Some(_) => Err(format!("{name} is not an object")),
        }
    }

    fn errors(&mut self) -> Parsed<ErrorEquals> {
        let names: Option<Vec<String>> =
            self.list("ErrorEquals")?.into_iter().map(|name| name.as_str().map(str::to_owned)).collect();
        match names {
            Some(names) if !names.is_empty() => Ok(ErrorEquals(names)),
            _ => Err("ErrorEquals is a list of error names".to_owned()),
        }
    }

    fn next(&mut self, names: &Names) -> Parsed<Next> {
        match (self.text("Next")?, self.take("End")) {
            (Some(next), None) => target(names, &next).map(Some),
            (None, Some(Value::Bool(true))) => Ok(None),
            _ => Err("either Next or End: true is needed".to_owned()),
        }
    }
}
