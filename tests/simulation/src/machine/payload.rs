//! The state data with its size: Step Functions refuses a payload over 256 KiB, counted as UTF-8 JSON.
//!
//! The size is kept along, so that a step costs what it writes and not what the execution carries.

use serde_json::{Map, Value};

use super::fault::Fault;

/// The hard quota for state input and output and for task results.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 262_144;

/// Deeper values are refused with `States.Runtime`. A limit of this interpreter: a machine that wraps its data in itself
/// would otherwise exhaust the stack before its history is full.
const MAX_DEPTH: usize = 256;

/// The data that travels from state to state.
#[derive(Debug)]
pub(crate) struct Payload {
    value: Value,
    size: usize,
}

impl Payload {
    pub(crate) fn new(value: Value, what: &str) -> Result<Self, Fault> {
        let size = checked_size(&value, what)?;
        Ok(Self { value, size })
    }

    /// What an execution carries whose input was already refused.
    pub(crate) fn empty() -> Self {
        Self { value: Value::Null, size: 4 }
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn take(&mut self) -> Value {
        std::mem::replace(self, Self::empty()).value
    }

    /// Puts `result` at `fields` below the root, creating objects on the way. Changes nothing when it fails, because a
    /// Catch then goes on with the raw input.
    pub(crate) fn insert(&mut self, fields: &[String], result: Value, limit: bool) -> Result<(), Fault> {
        self.insert_measured(fields, result, None, limit)
    }

    /// [`Payload::insert`] of a value whose size is known, if it is.
    pub(crate) fn insert_measured(
        &mut self,
        fields: &[String],
        result: Value,
        size: Option<usize>,
        limit: bool,
    ) -> Result<(), Fault> {
        let Some((last, parents)) = fields.split_last() else {
            let size = size.map_or_else(|| measure(&result, 0), Ok)?;
            if limit && size > MAX_PAYLOAD_BYTES {
                return Err(Fault::too_large("state output", size));
            }
            *self = Self { value: result, size };
            return Ok(());
        };

        // Where the existing objects end, the rest of the path becomes part of what is inserted.
        let mut node = &mut self.value;
        let mut depth = 0;
        for name in parents {
            let existing = matches!(node, Value::Object(map) if map.contains_key(name));
            if !existing {
                break;
            }
            depth += 1;
            node = match node {
                Value::Object(map) => map.entry(name.as_str()).or_insert(Value::Null),
                other => other,
            };
        }
        let Value::Object(map) = node else {
            let path = fields.join(".");
            let cause = format!("Unable to apply ReferencePath $.{path} to the input: a value is in the way");
            return Err(Fault::new("States.ResultPathMatchFailure", cause));
        };
        let (key, inserted, added) = if depth == parents.len() {
            let added = size.map_or_else(|| measure(&result, depth + 1), Ok)?;
            (last, result, added)
        } else {
            let nested = parents[depth + 1..]
                .iter()
                .chain([last])
                .rev()
                .fold(result, |value, name| Value::Object(Map::from_iter([(name.clone(), value)])));
            let added = measure(&nested, depth + 1)?;
            (&parents[depth], nested, added)
        };
        let size = match map.get(key) {
            Some(replaced) => self.size - measure(replaced, depth + 1)? + added,
            None => self.size + string_size(key) + 1 + usize::from(!map.is_empty()) + added,
        };
        if limit && size > MAX_PAYLOAD_BYTES {
            return Err(Fault::too_large("state output", size));
        }
        map.insert(key.clone(), inserted);
        self.size = size;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}

/// The size of `value`, or the refusal to carry it.
pub(crate) fn checked_size(value: &Value, what: &str) -> Result<usize, Fault> {
    let size = measure(value, 0)?;
    if size > MAX_PAYLOAD_BYTES { Err(Fault::too_large(what, size)) } else { Ok(size) }
}

fn measure(value: &Value, depth: usize) -> Result<usize, Fault> {
    if depth > MAX_DEPTH {
        return Err(Fault::runtime(format!("The data is nested over {MAX_DEPTH} levels deep.")));
    }
    Ok(match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_size(number),
        Value::String(text) => string_size(text),
        Value::Array(items) => {
            let inner: usize = items.iter().map(|item| measure(item, depth + 1)).sum::<Result<_, _>>()?;
            2 + inner + items.len().saturating_sub(1)
        }
        Value::Object(fields) => {
            let mut size = 2 + fields.len().saturating_sub(1);
            for (name, field) in fields {
                size += string_size(name) + 1 + measure(field, depth + 1)?;
            }
            size
        }
    })
}

fn number_size(number: &serde_json::Number) -> usize {
    let digits = |value: u64| value.checked_ilog10().map_or(1, |log| log as usize + 1);
    match (number.as_u64(), number.as_i64()) {
        (Some(positive), _) => digits(positive),
        (None, Some(negative)) => 1 + digits(negative.unsigned_abs()),
        (None, None) => number.to_string().len(),
    }
}

fn string_size(text: &str) -> usize {
    // Nearly no text has anything to escape, and this is quick to see.
    if !text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
        return 2 + text.len();
    }
    let escapes: usize = text
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
            0..=0x1f => 5,
            _ => 0,
        })
        .sum();
    2 + text.len() + escapes
}
