//! Payload templates: `Parameters` and `ResultSelector`.

use std::borrow::Cow;

use rand::RngCore;
use serde_json::Value;

use super::{fault::Fault, intrinsic::Expression, path::Scope};

/// A template with every `.$` field parsed. What holds none is a literal.
#[derive(Clone, Debug)]
pub(crate) enum Template {
    Literal(Value),
    Expression(Expression),
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

impl Template {
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => {
                let items = items.iter().map(Self::parse).collect::<Result<Vec<_>, _>>()?;
                let literal = items.iter().all(|item| matches!(item, Self::Literal(_)));
                Ok(if literal { Self::Literal(value.clone()) } else { Self::Array(items) })
            }
            Value::Object(fields) => {
                let mut parsed = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    parsed.push(match (name.strip_suffix(".$"), field) {
                        (Some(target), Value::String(text)) if !target.is_empty() => {
                            if fields.contains_key(target) {
                                return Err(format!("'{target}' is set twice"));
                            }
                            (target.to_owned(), Self::Expression(Expression::parse(text)?))
                        }
                        (Some(_), _) => return Err(format!("'{name}' must name a field and hold a path")),
                        (None, field) => (name.clone(), Self::parse(field)?),
                    });
                }
                let literal = parsed.iter().all(|(_, field)| matches!(field, Self::Literal(_)));
                Ok(if literal { Self::Literal(value.clone()) } else { Self::Object(parsed) })
            }
            plain => Ok(Self::Literal(plain.clone())),
        }
    }

    pub(crate) fn fill(&self, scope: Scope<'_>, rng: &mut dyn RngCore) -> Result<Value, Fault> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(expression) => expression.evaluate(scope, rng).map(Cow::into_owned),
            Self::Array(items) => items.iter().map(|item| item.fill(scope, rng)).collect(),
            Self::Object(fields) => {
                fields.iter().map(|(name, field)| Ok((name.clone(), field.fill(scope, rng)?))).collect()
            }
        }
    }
}
