//! The rules of Choice states.

use std::{borrow::Cow, cmp::Ordering, str::FromStr as _};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    fault::Fault,
    path::{Path, Scope},
};

/// A condition, parsed.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    And(Vec<Rule>),
    Or(Vec<Rule>),
    Not(Box<Rule>),
    IsPresent { variable: Path, expected: bool },
    Is { variable: Path, kind: Type, expected: bool },
    Matches { variable: Path, pattern: Vec<Glob> },
    Compare { variable: Path, kind: Type, relation: Relation, operand: Operand },
}

/// What a comparison or a type test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    String,
    Numeric,
    Boolean,
    Timestamp,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Relation {
    Equals,
    LessThan,
    GreaterThan,
    LessThanEquals,
    GreaterThanEquals,
}

#[derive(Clone, Debug)]
pub(crate) enum Operand {
    Literal(Value),
    Path(Path),
}

/// A part of a StringMatches pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Glob {
    Letter(char),
    Anything,
}

impl Rule {
    /// Parses the condition in `fields`; the caller has taken `Next` and `Comment` out.
    pub(crate) fn parse(fields: &Map<String, Value>) -> Result<Self, String> {
        if fields.contains_key("Variable") {
            return Self::parse_test(fields);
        }
        let mut entries = fields.iter();
        let (Some((name, value)), None) = (entries.next(), entries.next()) else {
            return Err("a rule is one of And, Or, Not, or a Variable with one test".to_owned());
        };
        match (name.as_str(), value) {
            ("And", Value::Array(parts)) => Self::parse_all(parts).map(Self::And),
            ("Or", Value::Array(parts)) => Self::parse_all(parts).map(Self::Or),
            ("Not", Value::Object(part)) => Ok(Self::Not(Box::new(Self::parse(part)?))),
            _ => Err(format!("the rule '{name}' is not supported")),
        }
    }

    fn parse_all(parts: &[Value]) -> Result<Vec<Self>, String> {
        if parts.is_empty() {
            return Err("And and Or need at least one rule".to_owned());
        }
        parts
            .iter()
            .map(|part| part.as_object().ok_or_else(|| "a rule is an object".to_owned()).and_then(Self::parse))
            .collect()
    }

    fn parse_test(fields: &Map<String, Value>) -> Result<Self, String> {
        let variable = reference(fields.get("Variable"))?;
        let mut tests = fields.iter().filter(|(name, _)| *name != "Variable" && *name != "Comment");
        let (Some((name, value)), None) = (tests.next(), tests.next()) else {
            return Err(format!("'{variable}' needs exactly one test"));
        };
        if let Some(tested) = name.strip_prefix("Is") {
            let Value::Bool(expected) = *value else { return Err(format!("{name} is true or false")) };
            let kind = match tested {
                "Present" => return Ok(Self::IsPresent { variable, expected }),
                "Null" => Type::Null,
                "String" => Type::String,
                "Numeric" => Type::Numeric,
                "Boolean" => Type::Boolean,
                "Timestamp" => Type::Timestamp,
                _ => return Err(format!("the test '{name}' is not supported")),
            };
            return Ok(Self::Is { variable, kind, expected });
        }
        if name == "StringMatches" {
            let pattern = value.as_str().ok_or_else(|| "StringMatches is text".to_owned())?;
            return Ok(Self::Matches { variable, pattern: parse_glob(pattern)? });
        }
        let (kind, relation, by_path) =
            parse_operator(name).ok_or_else(|| format!("the test '{name}' is not supported"))?;
        let operand = if by_path { Operand::Path(reference(Some(value))?) } else { Operand::Literal(value.clone()) };
        if let Operand::Literal(literal) = &operand
            && !kind.fits(literal)
        {
            return Err(format!("{name} cannot be compared with {literal}"));
        }
        Ok(Self::Compare { variable, kind, relation, operand })
    }

    /// Whether the rule holds. A variable that is not there ends the execution, except in `IsPresent`.
    pub(crate) fn holds(&self, scope: Scope<'_>) -> Result<bool, Fault> {
        match self {
            Self::And(rules) => {
                for rule in rules {
                    if !rule.holds(scope)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Self::Or(rules) => {
                for rule in rules {
                    if rule.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(rule) => rule.holds(scope).map(|holds| !holds),
            Self::IsPresent { variable, expected } => Ok(variable.find(scope).is_some() == *expected),
            Self::Is { variable, kind, expected } => Ok(kind.fits(variable.resolve(scope)?.as_ref()) == *expected),
            Self::Matches { variable, pattern } => {
                Ok(matches!(variable.resolve(scope)?.as_ref(), Value::String(text) if matches_glob(text, pattern)))
            }
            Self::Compare { variable, kind, relation, operand } => {
                let value = variable.resolve(scope)?;
                let operand = match operand {
                    Operand::Literal(literal) => Cow::Borrowed(literal),
                    Operand::Path(path) => path.resolve(scope)?,
                };
                Ok(kind.compare(&value, &operand).is_some_and(|order| relation.accepts(order)))
            }
        }
    }
}

impl Type {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Null => value.is_null(),
            Self::String => value.is_string(),
            Self::Numeric => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Timestamp => value.as_str().is_some_and(|text| parse_timestamp(text).is_some()),
        }
    }

    /// `None` when one of the two is not of this type: the rule then does not hold, whatever its relation.
    fn compare(self, left: &Value, right: &Value) -> Option<Ordering> {
        match self {
            Self::Null => None,
            Self::String => Some(left.as_str()?.cmp(right.as_str()?)),
            Self::Numeric => match (left.as_i64(), right.as_i64()) {
                (Some(left), Some(right)) => Some(left.cmp(&right)),
                _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
            },
            Self::Boolean => Some(left.as_bool()?.cmp(&right.as_bool()?)),
            Self::Timestamp => Some(parse_timestamp(left.as_str()?)?.cmp(&parse_timestamp(right.as_str()?)?)),
        }
    }
}

impl Relation {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equals => order.is_eq(),
            Self::LessThan => order.is_lt(),
            Self::GreaterThan => order.is_gt(),
            Self::LessThanEquals => order.is_le(),
            Self::GreaterThanEquals => order.is_ge(),
        }
    }
}

fn reference(value: Option<&Value>) -> Result<Path, String> {
    let text = value.and_then(Value::as_str).ok_or_else(|| "a path is expected".to_owned())?;
    let path = Path::parse(text)?;
    if path.is_reference() { Ok(path) } else { Err(format!("'{path}' may lead to more than one value")) }
}

fn parse_operator(name: &str) -> Option<(Type, Relation, bool)> {
    let (kind, rest) = [
        ("String", Type::String),
        ("Numeric", Type::Numeric),
        ("Boolean", Type::Boolean),
        ("Timestamp", Type::Timestamp),
    ]
    .into_iter()
    .find_map(|(prefix, kind)| Some((kind, name.strip_prefix(prefix)?)))?;
    let (relation, by_path) = match rest.strip_suffix("Path") {
        Some(relation) => (relation, true),
        None => (rest, false),
    };
    let relation = match relation {
        "Equals" => Relation::Equals,
        _ if kind == Type::Boolean => return None,
        "LessThan" => Relation::LessThan,
        "GreaterThan" => Relation::GreaterThan,
        "LessThanEquals" => Relation::LessThanEquals,
        "GreaterThanEquals" => Relation::GreaterThanEquals,
        _ => return None,
    };
    Some((kind, relation, by_path))
}

/// RFC 3339 as the States Language wants it: a capital T, and a zone.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    if text.as_bytes().get(10) == Some(&b'T') { Timestamp::from_str(text).ok() } else { None }
}

fn parse_glob(pattern: &str) -> Result<Vec<Glob>, String> {
    let mut letters = pattern.chars();
    let mut parts = Vec::new();
    while let Some(letter) = letters.next() {
        parts.push(match letter {
            '*' => Glob::Anything,
            '\\' => match letters.next() {
                Some(escaped @ ('*' | '\\')) => Glob::Letter(escaped),
                _ => return Err(format!("'{pattern}' has a backslash that escapes neither * nor \\")),
            },
            letter => Glob::Letter(letter),
        });
    }
    Ok(parts)
}

/// Greedy matching with one point to come back to: linear in practice, never exponential.
fn matches_glob(text: &str, pattern: &[Glob]) -> bool {
    let letters: Vec<char> = text.chars().collect();
    let (mut at, mut part, mut retry) = (0, 0, None);
    loop {
        match (pattern.get(part), letters.get(at)) {
            (Some(Glob::Anything), _) => {
                retry = Some((part, at));
                part += 1;
                continue;
            }
            (Some(Glob::Letter(wanted)), Some(letter)) if wanted == letter => {
                part += 1;
                at += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match retry {
            Some((star, from)) if from < letters.len() => {
                retry = Some((star, from + 1));
                (part, at) = (star + 1, from + 1);
            }
            _ => return false,
        }
    }
}
