//! What each intrinsic function computes. An `Err` becomes `States.IntrinsicFailure`, which a Catch may take.

use std::{borrow::Cow, fmt::Write as _};

use rand::{Rng as _, RngCore};
use serde_json::{Map, Value};

use super::intrinsic::Function;

/// AWS: an ArrayRange has 1000 elements at most.
const MAX_RANGE: i64 = 1000;

pub(crate) fn call(function: Function, arguments: &[Cow<'_, Value>], rng: &mut dyn RngCore) -> Result<Value, String> {
    let argument = |position: usize| -> Result<&Value, String> {
        arguments.get(position).map(AsRef::as_ref).ok_or_else(|| format!("argument {} is missing", position + 1))
    };
    match function {
        Function::Array => Ok(Value::Array(arguments.iter().map(|item| item.as_ref().clone()).collect())),
        Function::ArrayContains => {
            let wanted = argument(1)?;
            Ok(array(argument(0)?)?.iter().any(|item| same(item, wanted)).into())
        }
        Function::ArrayGetItem => {
            let (items, index) = (array(argument(0)?)?, integer(argument(1)?)?);
            usize::try_from(index)
                .ok()
                .and_then(|index| items.get(index))
                .cloned()
                .ok_or_else(|| format!("index {index} is outside of an array of {}", items.len()))
        }
        Function::ArrayLength => Ok(array(argument(0)?)?.len().into()),
        Function::ArrayPartition => {
            let (items, size) = (array(argument(0)?)?, integer(argument(1)?)?);
            match usize::try_from(size) {
                Ok(size) if size > 0 => Ok(items.chunks(size).map(|chunk| Value::Array(chunk.to_vec())).collect()),
                _ => Err(format!("the size of a part must be positive, not {size}")),
            }
        }
        Function::ArrayRange => range(integer(argument(0)?)?, integer(argument(1)?)?, integer(argument(2)?)?),
        Function::Format => {
            let Value::String(template) = argument(0)? else { return Err("the template is not text".to_owned()) };
            format(template, arguments.get(1..).unwrap_or_default())
        }
        Function::JsonMerge => match (argument(0)?, argument(1)?, argument(2)?) {
            (Value::Object(left), Value::Object(right), Value::Bool(false)) => {
                let fields = left.iter().chain(right).map(|(name, value)| (name.clone(), value.clone()));
                Ok(Value::Object(fields.collect::<Map<_, _>>()))
            }
            (_, _, Value::Bool(true)) => Err("deep merging is not supported".to_owned()),
            _ => Err("two objects and false are expected".to_owned()),
        },
        Function::JsonToString => Ok(argument(0)?.to_string().into()),
        Function::MathAdd => {
            let (left, right) = (integer(argument(0)?)?, integer(argument(1)?)?);
            left.checked_add(right).map(Value::from).ok_or_else(|| "the sum is out of range".to_owned())
        }
        Function::StringSplit => match (argument(0)?, argument(1)?) {
            // Each character of the second is a delimiter (Developer Guide); nothing between two of them is no part
            // (seen on AWS by the authors of LocalStack, pull request 9749).
            (Value::String(text), Value::String(delimiters)) => {
                let parts = text.split(|letter| delimiters.contains(letter)).filter(|part| !part.is_empty());
                Ok(parts.map(Value::from).collect())
            }
            _ => Err("two texts are expected".to_owned()),
        },
        Function::StringToJson => match argument(0)? {
            // Recorded: what holds nothing is null.
            Value::String(text) if text.trim_ascii().is_empty() => Ok(Value::Null),
            Value::String(text) => serde_json::from_str(text).map_err(|error| error.to_string()),
            _ => Err("text is expected".to_owned()),
        },
        Function::Uuid => Ok(uuid(rng).into()),
    }
}

fn array(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "an array is expected".to_owned())
}

/// AWS rounds a number that is not whole to the nearest integer, and a half up: -2.5 is -2 (recorded).
fn integer(value: &Value) -> Result<i64, String> {
    if let Some(whole) = value.as_i64() {
        return Ok(whole);
    }
    match value.as_f64().map(|number| (number + 0.5).floor()) {
        #[allow(clippy::cast_possible_truncation)]
        Some(rounded) if rounded.abs() < 9.0e18 => Ok(rounded as i64),
        Some(_) => Err("the number is out of range".to_owned()),
        None => Err("a number is expected".to_owned()),
    }
}

/// Equal as JSON, where 1 and 1.0 are one number.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

fn range(first: i64, last: i64, step: i64) -> Result<Value, String> {
    let span = last.checked_sub(first).ok_or("the range is too wide")?;
    let steps = span.checked_div(step).ok_or("the step must not be 0")?;
    if steps >= MAX_RANGE {
        return Err(format!("the range has over {MAX_RANGE} elements"));
    }
    if steps < 0 || (span != 0 && (span < 0) != (step < 0)) {
        return Ok(Value::Array(Vec::new()));
    }
    Ok((0..=steps).map(|position| Value::from(first + position * step)).collect())
}

/// How many values a Format template takes.
pub(crate) fn places(template: &str) -> Result<usize, String> {
    let mut places = 0;
    walk(template, |piece| {
        places += usize::from(piece.is_none());
        Ok(())
    })?;
    Ok(places)
}

fn format(template: &str, values: &[Cow<'_, Value>]) -> Result<Value, String> {
    let mut text = String::new();
    let mut values = values.iter();
    walk(template, |piece| {
        match piece {
            Some(letter) => text.push(letter),
            None => write_plain(&mut text, values.next().ok_or("there are more places than values")?),
        }
        Ok(())
    })?;
    if values.next().is_some() {
        return Err("there are more values than places".to_owned());
    }
    Ok(text.into())
}

/// Calls `each` with every letter, and with `None` for every `{}`.
fn walk(template: &str, mut each: impl FnMut(Option<char>) -> Result<(), String>) -> Result<(), String> {
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if matches!(letters.peek(), Some('{' | '}')) => each(letters.next())?,
            '{' if letters.peek() == Some(&'}') => {
                letters.next();
                each(None)?;
            }
            '{' | '}' => return Err(format!("'{template}' has a brace that is neither {{}} nor escaped")),
            letter => each(Some(letter))?,
        }
    }
    Ok(())
}

/// A value as Format shows it. AWS prints objects and arrays the way Java does.
fn write_plain(text: &mut String, value: &Value) {
    match value {
        Value::String(string) => text.push_str(string),
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { ", " });
                write_plain(text, item);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            text.push('{');
            for (position, (name, field)) in fields.iter().enumerate() {
                text.push_str(if position == 0 { "" } else { ", " });
                text.push_str(name);
                text.push('=');
                write_plain(text, field);
            }
            text.push('}');
        }
        // Writing to a String cannot fail.
        plain => drop(write!(text, "{plain}")),
    }
}

/// A version 4 UUID from the caller's randomness, so that a seed reproduces it.
fn uuid(rng: &mut dyn RngCore) -> String {
    let bits = (rng.random::<u128>() & !(0xf << 76) & !(0b11 << 62)) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
