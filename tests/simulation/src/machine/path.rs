//! JSONPath as far as this project's machines need it: fields, indexes and wildcards, on the state input (`$`) or the
//! context object (`$$`). Filters, slices and `..` are refused when the definition is parsed.

use std::borrow::Cow;

use serde_json::Value;

use super::fault::Fault;

/// What paths are resolved against.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) data: &'a Value,
    pub(crate) context: &'a Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Negative counts from the end.
    Index(i64),
    Wildcard,
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    text: String,
    on_context: bool,
    steps: Vec<Step>,
}

/// The members of the context object that this interpreter fills in.
const CONTEXT_FIELDS: [(&str, &str); 9] = [
    ("Execution", "Id"),
    ("Execution", "Name"),
    ("Execution", "StartTime"),
    ("Execution", "Input"),
    ("Execution", "RedriveCount"),
    ("State", "Name"),
    ("State", "EnteredTime"),
    ("State", "RetryCount"),
    ("Task", "Token"),
];

impl Path {
    /// Parses `text` as a whole.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (path, rest) = Self::parse_prefix(text)?;
        if rest.is_empty() { Ok(path) } else { Err(format!("'{text}' is not a path that is supported: '{rest}'")) }
    }

    /// Parses a path and gives back what follows it, as in the arguments of an intrinsic function.
    pub(crate) fn parse_prefix(text: &str) -> Result<(Self, &str), String> {
        let Some(mut rest) = text.strip_prefix('$') else { return Err(format!("'{text}' is not a path")) };
        let on_context = rest.starts_with('$');
        if on_context {
            rest = &rest[1..];
        }
        let mut steps = Vec::new();
        loop {
            let (step, after) = match rest.as_bytes().first() {
                Some(b'.') => dotted(&rest[1..])?,
                Some(b'[') => bracketed(&rest[1..])?,
                _ => break,
            };
            steps.push(step);
            rest = after;
        }
        let text = text[..text.len() - rest.len()].to_owned();
        let path = Self { text, on_context, steps };
        path.check_context()?;
        Ok((path, rest))
    }

    /// A member this interpreter does not know would be missing here and present on AWS.
    fn check_context(&self) -> Result<(), String> {
        if !self.on_context {
            return Ok(());
        }
        if let [Step::Field(object), Step::Field(member), ..] = self.steps.as_slice()
            && CONTEXT_FIELDS.contains(&(object, member))
        {
            return Ok(());
        }
        Err(format!("'{}' is not a part of the context object that is supported", self.text))
    }

    /// Whether the path is `$`.
    pub(crate) fn is_root(&self) -> bool {
        !self.on_context && self.steps.is_empty()
    }

    /// Whether the path can only lead to one node (a Reference Path).
    pub(crate) fn is_reference(&self) -> bool {
        !self.steps.contains(&Step::Wildcard)
    }

    /// The field names, when the path consists of those only and starts at the state input.
    pub(crate) fn fields(&self) -> Option<Vec<&str>> {
        if self.on_context {
            return None;
        }
        self.steps.iter().map(|step| if let Step::Field(name) = step { Some(name.as_str()) } else { None }).collect()
    }

    /// The node the path leads to, `None` when there is none. A path with a wildcard selects any number of nodes, none
    /// where it leads nowhere (recorded).
    pub(crate) fn find<'a>(&self, scope: Scope<'a>) -> Option<Cow<'a, Value>> {
        let root = if self.on_context { scope.context } else { scope.data };
        if self.is_reference() {
            let found = self.steps.iter().try_fold(root, descend);
            return found.map(Cow::Borrowed);
        }
        let mut nodes = vec![root];
        for step in &self.steps {
            nodes = match step {
                Step::Wildcard => nodes.into_iter().flat_map(children).collect(),
                step => nodes.into_iter().filter_map(|node| descend(node, step)).collect(),
            };
        }
        Some(Cow::Owned(nodes.into_iter().cloned().collect()))
    }

    /// As [`Path::find`]; a path that leads nowhere is `States.Runtime`, which nothing catches.
    pub(crate) fn resolve<'a>(&self, scope: Scope<'a>) -> Result<Cow<'a, Value>, Fault> {
        self.find(scope)
            .ok_or_else(|| Fault::runtime(format!("The JSONPath '{}' could not be found in the input", self.text)))
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn dotted(rest: &str) -> Result<(Step, &str), String> {
    if let Some(after) = rest.strip_prefix('*') {
        return Ok((Step::Wildcard, after));
    }
    let end = rest
        .find(|letter: char| letter.is_ascii() && !letter.is_ascii_alphanumeric() && !"_-".contains(letter))
        .unwrap_or(rest.len());
    if end == 0 {
        return Err(format!("a field name is expected before '{rest}' (recursive descent is not supported)"));
    }
    Ok((Step::Field(rest[..end].to_owned()), &rest[end..]))
}

fn bracketed(rest: &str) -> Result<(Step, &str), String> {
    let Some((inner, after)) = split_bracket(rest) else { return Err(format!("'[{rest}' has no ']'")) };
    if inner == "*" {
        return Ok((Step::Wildcard, after));
    }
    for quote in ['\'', '"'] {
        if let Some(name) = inner.strip_prefix(quote).and_then(|name| name.strip_suffix(quote)) {
            if name.contains(['\\', quote]) {
                return Err(format!("escapes in '[{inner}]' are not supported"));
            }
            return Ok((Step::Field(name.to_owned()), after));
        }
    }
    let index = inner.parse().map_err(|_| format!("'[{inner}]' is neither an index nor a field nor a wildcard"))?;
    Ok((Step::Index(index), after))
}

/// Splits at the bracket that closes, which may not be the first one: a quoted name may hold brackets.
fn split_bracket(rest: &str) -> Option<(&str, &str)> {
    let from = match rest.chars().next() {
        Some(quote @ ('\'' | '"')) => 1 + rest[1..].find(quote)? + 1,
        _ => 0,
    };
    let end = from + rest[from..].find(']')?;
    Some((&rest[..end], &rest[end + 1..]))
}

fn descend<'a>(node: &'a Value, step: &Step) -> Option<&'a Value> {
    match (step, node) {
        (Step::Field(name), Value::Object(fields)) => fields.get(name),
        (Step::Index(index), Value::Array(items)) => {
            let index = if *index < 0 { index.checked_add(i64::try_from(items.len()).ok()?)? } else { *index };
            items.get(usize::try_from(index).ok()?)
        }
        _ => None,
    }
}

fn children(node: &Value) -> Vec<&Value> {
    match node {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}
