//! Intrinsic functions: parsed with the definition, called with the data.

use std::borrow::Cow;

use rand::RngCore;
use serde_json::Value;

use super::{
    fault::Fault,
    functions,
    path::{Path, Scope},
};

/// The value of a field that ends in `.$`.
#[derive(Clone, Debug)]
pub(crate) enum Expression {
    Path(Path),
    Literal(Value),
    Call(Box<Call>),
}

/// A call of an intrinsic function.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    text: String,
    function: Function,
    arguments: Vec<Expression>,
}

/// The functions that are supported. A definition with any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Array,
    ArrayContains,
    ArrayGetItem,
    ArrayLength,
    ArrayPartition,
    ArrayRange,
    Format,
    JsonMerge,
    JsonToString,
    MathAdd,
    StringSplit,
    StringToJson,
    Uuid,
}

impl Function {
    /// The function and the number of its arguments, `None` for any number.
    fn by_name(name: &str) -> Option<(Self, Option<usize>)> {
        Some(match name {
            "States.Array" => (Self::Array, None),
            "States.ArrayContains" => (Self::ArrayContains, Some(2)),
            "States.ArrayGetItem" => (Self::ArrayGetItem, Some(2)),
            "States.ArrayLength" => (Self::ArrayLength, Some(1)),
            "States.ArrayPartition" => (Self::ArrayPartition, Some(2)),
            "States.ArrayRange" => (Self::ArrayRange, Some(3)),
            "States.Format" => (Self::Format, None),
            "States.JsonMerge" => (Self::JsonMerge, Some(3)),
            "States.JsonToString" => (Self::JsonToString, Some(1)),
            "States.MathAdd" => (Self::MathAdd, Some(2)),
            "States.StringSplit" => (Self::StringSplit, Some(2)),
            "States.StringToJson" => (Self::StringToJson, Some(1)),
            "States.UUID" => (Self::Uuid, Some(0)),
            _ => return None,
        })
    }
}

/// AWS nests intrinsic functions ten levels deep at most.
const MAX_NESTING: usize = 10;

impl Expression {
    /// Parses a path or a call, the two things a `.$` field may hold.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if !text.starts_with('$') && !text.starts_with("States.") {
            return Err(format!("'{text}' is neither a path nor an intrinsic function"));
        }
        let (expression, rest) = parse_argument(text, 0)?;
        if rest.is_empty() { Ok(expression) } else { Err(format!("'{rest}' follows the end of '{text}'")) }
    }

    /// The value, borrowed from the data where it is there already.
    pub(crate) fn evaluate<'a>(&'a self, scope: Scope<'a>, rng: &mut dyn RngCore) -> Result<Cow<'a, Value>, Fault> {
        match self {
            Self::Path(path) => path.resolve(scope),
            Self::Literal(value) => Ok(Cow::Borrowed(value)),
            Self::Call(call) => {
                let arguments = call
                    .arguments
                    .iter()
                    .map(|argument| argument.evaluate(scope, rng))
                    .collect::<Result<Vec<_>, _>>()?;
                functions::call(call.function, &arguments, rng)
                    .map(Cow::Owned)
                    .map_err(|cause| Fault::intrinsic(&call.text, cause))
            }
        }
    }
}

fn parse_argument(text: &str, nesting: usize) -> Result<(Expression, &str), String> {
    if text.starts_with('$') {
        let (path, rest) = Path::parse_prefix(text)?;
        return Ok((Expression::Path(path), rest));
    }
    if text.starts_with("States.") {
        return parse_call(text, nesting);
    }
    if let Some(quoted) = text.strip_prefix('\'') {
        let (literal, rest) = parse_string(quoted)?;
        return Ok((Expression::Literal(Value::String(literal)), rest));
    }
    let end = text.find([',', ')', ' ']).unwrap_or(text.len());
    let literal: Value =
        serde_json::from_str(&text[..end]).map_err(|_| format!("'{text}' is not an argument that is supported"))?;
    match literal {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok((Expression::Literal(literal), &text[end..])),
        _ => Err(format!("'{}' is not an argument: text is written in single quotes", &text[..end])),
    }
}

fn parse_call(text: &str, nesting: usize) -> Result<(Expression, &str), String> {
    if nesting == MAX_NESTING {
        return Err(format!("intrinsic functions are nested over {MAX_NESTING} levels deep"));
    }
    let Some((name, mut rest)) = text.split_once('(') else { return Err(format!("'{text}' is not a call")) };
    let Some((function, arity)) = Function::by_name(name) else {
        return Err(format!("the intrinsic function '{name}' is not supported"));
    };
    let mut arguments = Vec::new();
    rest = rest.trim_start();
    if let Some(after) = rest.strip_prefix(')') {
        rest = after;
    } else {
        loop {
            let (argument, after) = parse_argument(rest.trim_start(), nesting + 1)?;
            arguments.push(argument);
            let after = after.trim_start();
            if let Some(next) = after.strip_prefix(',') {
                rest = next;
            } else if let Some(end) = after.strip_prefix(')') {
                rest = end;
                break;
            } else {
                return Err(format!("',' or ')' is expected before '{after}'"));
            }
        }
    }
    check_arguments(function, name, arity, &arguments)?;
    let text = text[..text.len() - rest.len()].to_owned();
    Ok((Expression::Call(Box::new(Call { text, function, arguments })), rest))
}

fn check_arguments(
    function: Function,
    name: &str,
    arity: Option<usize>,
    arguments: &[Expression],
) -> Result<(), String> {
    if let Some(arity) = arity
        && arguments.len() != arity
    {
        return Err(format!("{name} takes {arity} arguments, not {}", arguments.len()));
    }
    if function == Function::Format {
        match arguments.first() {
            None => return Err(format!("{name} needs a template")),
            Some(Expression::Literal(Value::String(template))) => {
                let places = functions::places(template)?;
                if places != arguments.len() - 1 {
                    return Err(format!("'{template}' has {places} places for {} values", arguments.len() - 1));
                }
            }
            Some(Expression::Literal(_)) => return Err(format!("the template of {name} is text")),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Text up to the closing quote. Escaped braces keep their backslash: only Format knows what they mean.
fn parse_string(quoted: &str) -> Result<(String, &str), String> {
    let mut literal = String::new();
    let mut letters = quoted.char_indices();
    while let Some((position, letter)) = letters.next() {
        match letter {
            '\'' => return Ok((literal, &quoted[position + 1..])),
            '\\' => match letters.next() {
                Some((_, escaped @ ('\'' | '\\'))) => literal.push(escaped),
                Some((_, brace @ ('{' | '}'))) => literal.extend(['\\', brace]),
                _ => return Err(format!("an escape in '{quoted}' is not one of \\' \\\\ \\{{ \\}}")),
            },
            letter => literal.push(letter),
        }
    }
    Err(format!("'{quoted}' has no closing quote"))
}
