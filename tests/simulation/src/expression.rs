//! DynamoDB's update and condition expressions, as far as the state machine and the store write them. Anything else is an
//! error, never ignored: an expression that is silently skipped would make every simulation of it worthless.

use serde_json::{Map, Value};
use std::borrow::Cow;

/// What DynamoDB answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    ConditionFailed,
    /// The expression is wrong, or means something this file does not know.
    Invalid(String),
}

/// Names and values of one call, already plain JSON. A handful of each, so they are searched one by one.
#[derive(Debug, Default)]
pub struct Bindings<'a> {
    pub names: Vec<(&'a str, &'a str)>,
    pub values: Vec<(&'a str, Cow<'a, Value>)>,
}

impl<'a> Bindings<'a> {
    /// The attribute behind an alias; what is none stands for itself.
    pub fn name<'b>(&self, alias: &'b str) -> &'b str
    where
        'a: 'b,
    {
        self.names.iter().find(|(known, _)| *known == alias).map_or(alias, |(_, name)| name)
    }

    pub fn value(&self, operand: &str) -> Result<&Value, Refusal> {
        let found = self.values.iter().find(|(name, _)| *name == operand);
        found.map(|(_, value)| value.as_ref()).ok_or_else(|| Refusal::Invalid(format!("no value for {operand}")))
    }
}

/// `{"S": "x"}` -> `"x"`, and so on: DynamoDB's typed form as plain JSON.
pub fn plain(typed: &Value) -> Result<Value, Refusal> {
    let invalid = || Refusal::Invalid(format!("not an attribute value: {typed}"));
    let object = typed.as_object().filter(|object| object.len() == 1).ok_or_else(invalid)?;
    let (kind, value) = object.iter().next().ok_or_else(invalid)?;
    match kind.as_str() {
        "S" if value.is_string() => Ok(value.clone()),
        "N" => {
            let text = value.as_str().ok_or_else(invalid)?;
            serde_json::from_str::<serde_json::Number>(text).map(Value::Number).map_err(|_| invalid())
        }
        "M" => {
            let members = value.as_object().ok_or_else(invalid)?;
            let plain: Result<Map<_, _>, _> =
                members.iter().map(|(key, value)| Ok((key.clone(), plain(value)?))).collect();
            Ok(Value::Object(plain?))
        }
        "L" => {
            let items = value.as_array().ok_or_else(invalid)?;
            Ok(Value::Array(items.iter().map(plain).collect::<Result<_, _>>()?))
        }
        _ => Err(invalid()),
    }
}

/// Plain JSON as DynamoDB's typed form.
pub fn typed(plain: &Value) -> Value {
    match plain {
        Value::Null => serde_json::json!({ "Nul": true }),
        Value::Bool(flag) => serde_json::json!({ "Bool": flag }),
        Value::Number(number) => serde_json::json!({ "N": number.to_string() }),
        Value::String(text) => serde_json::json!({ "S": text }),
        Value::Array(items) => serde_json::json!({ "L": items.iter().map(typed).collect::<Vec<_>>() }),
        Value::Object(members) => {
            let members: Map<_, _> = members.iter().map(|(key, value)| (key.clone(), typed(value))).collect();
            serde_json::json!({ "M": members })
        }
    }
}

/// True when `condition` holds for `item` (None: no such item). OR binds loosest; no expression of ours has NOT or BETWEEN.
pub fn holds(condition: &str, item: Option<&Map<String, Value>>, bindings: &Bindings<'_>) -> Result<bool, Refusal> {
    let condition = condition.trim();
    let terms = split_words(condition, " OR ");
    if terms.len() > 1 {
        let holding: Result<Vec<bool>, Refusal> = terms.into_iter().map(|term| holds(term, item, bindings)).collect();
        return Ok(holding?.contains(&true));
    }
    let terms = split_words(condition, " AND ");
    if terms.len() > 1 {
        let holding: Result<Vec<bool>, Refusal> = terms.into_iter().map(|term| holds(term, item, bindings)).collect();
        return Ok(!holding?.contains(&false));
    }
    match condition.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => holds(inner, item, bindings),
        None => term_holds(condition, item, bindings),
    }
}

/// Splits at a word that is not inside parentheses.
fn split_words<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ' ' if depth == 0 && index >= start && text[index..].starts_with(word) => {
                parts.push(text[start..index].trim());
                start = index + word.len();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

fn term_holds(term: &str, item: Option<&Map<String, Value>>, bindings: &Bindings<'_>) -> Result<bool, Refusal> {
    let attribute = |path: &str| {
        let mut names = path.split('.').map(|name| bindings.name(name));
        let first = item?.get(names.next()?)?;
        names.try_fold(first, |found, name| found.get(name))
    };
    if let Some(name) = call(term, "attribute_exists") {
        return Ok(attribute(name).is_some());
    }
    if let Some(name) = call(term, "attribute_not_exists") {
        return Ok(attribute(name).is_none());
    }
    if let Some((name, list)) = term.split_once(" IN ") {
        let list = list.trim().trim_start_matches('(').trim_end_matches(')');
        for operand in list.split(',') {
            if attribute(name.trim()) == Some(bindings.value(operand.trim())?) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    if let Some((measured, operand)) = term.split_once(" <= ") {
        let Some(name) = call(measured.trim(), "size") else {
            let Some(most) = bindings.value(operand.trim())?.as_str() else {
                return Err(Refusal::Invalid(format!("only a size and texts are compared that way: {term}")));
            };
            return Ok(attribute(measured.trim()).and_then(Value::as_str).is_some_and(|text| text <= most));
        };
        // The length of a text, as the machine measures what a person typed; an attribute that is not there has none.
        let longest = bindings.value(operand.trim())?.as_u64();
        let size = attribute(name).and_then(Value::as_str).map(|text| text.chars().count() as u64);
        return Ok(size.zip(longest).is_some_and(|(size, longest)| size <= longest));
    }
    if let Some((name, operand)) = term.split_once(" <> ") {
        return Ok(attribute(name.trim()).is_some_and(|found| Some(found) != bindings.value(operand.trim()).ok()));
    }
    if let Some((name, operand)) = term.split_once(" = ") {
        return Ok(attribute(name.trim()) == Some(bindings.value(operand.trim())?));
    }
    Err(Refusal::Invalid(format!("condition not understood: {term}")))
}

/// Applies `SET … REMOVE …` to `item`; changes nothing when it is refused.
pub fn update(expression: &str, item: &mut Map<String, Value>, bindings: &Bindings<'_>) -> Result<(), Refusal> {
    let (set, remove) = match expression.strip_prefix("REMOVE ") {
        Some(remove) => ("", remove),
        None => expression.split_once(" REMOVE ").unwrap_or((expression, "")),
    };
    let set = match set.strip_prefix("SET ") {
        Some(set) => set,
        None if set.is_empty() && !remove.is_empty() => "",
        None => return Err(Refusal::Invalid(format!("not an update: {expression}"))),
    };
    // Every operand is read from the item as it was, as DynamoDB does.
    let mut assignments = Vec::new();
    for assignment in split_top_level(set).into_iter().filter(|assignment| !assignment.is_empty()) {
        let (path, operand) =
            assignment.split_once(" = ").ok_or_else(|| Refusal::Invalid(format!("not an assignment: {assignment}")))?;
        let path = path.trim();
        if target(item, path, bindings).is_none() {
            return Err(Refusal::Invalid(format!("the document path provided is invalid: {path}")));
        }
        assignments.push((path, operand_value(operand.trim(), item, bindings)?));
    }
    for (path, new) in assignments {
        if let Some((members, name)) = target(item, path, bindings) {
            members.insert(name.to_owned(), new);
        }
    }
    for name in remove.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        item.remove(bindings.name(name));
    }
    Ok(())
}

/// Where `#a` or `#a.#b` is set; a map on the way has to be there.
fn target<'i, 'b>(
    item: &'i mut Map<String, Value>,
    path: &'b str,
    bindings: &Bindings<'b>,
) -> Option<(&'i mut Map<String, Value>, &'b str)> {
    let (parents, last) = path.rsplit_once('.').map_or((None, path), |(parents, last)| (Some(parents), last));
    let mut members = item;
    for name in parents.into_iter().flat_map(|parents| parents.split('.')) {
        members = members.get_mut(bindings.name(name))?.as_object_mut()?;
    }
    Some((members, bindings.name(last)))
}

fn operand_value(operand: &str, item: &Map<String, Value>, bindings: &Bindings<'_>) -> Result<Value, Refusal> {
    let attribute = |path: &str| {
        let mut names = path.split('.').map(|name| bindings.name(name));
        let first = item.get(names.next()?)?;
        names.try_fold(first, |found, name| found.get(name)).cloned()
    };
    let missing =
        || Refusal::Invalid(format!("the provided expression refers to an attribute that does not exist: {operand}"));
    if let Some(arguments) = call(operand, "list_append") {
        let (first, second) = arguments.split_once(',').ok_or_else(missing)?;
        let read =
            |text: &str| if text.starts_with(':') { bindings.value(text).ok().cloned() } else { attribute(text) };
        let (first, second) = (read(first.trim()).ok_or_else(missing)?, read(second.trim()).ok_or_else(missing)?);
        return match (first, second) {
            (Value::Array(mut items), Value::Array(more)) => {
                items.extend(more);
                Ok(Value::Array(items))
            }
            _ => Err(missing()),
        };
    }
    if let Some(arguments) = call(operand, "if_not_exists") {
        let (name, fallback) = arguments.split_once(',').ok_or_else(missing)?;
        return match attribute(name.trim()) {
            Some(found) => Ok(found),
            None => bindings.value(fallback.trim()).cloned(),
        };
    }
    if let Some((name, addend)) = operand.split_once(" + ") {
        let sum = attribute(name.trim()).and_then(|found| found.as_u64()).zip(bindings.value(addend.trim())?.as_u64());
        return sum.map(|(a, b)| Value::from(a + b)).ok_or_else(missing);
    }
    bindings.value(operand).cloned()
}

/// `name(arguments)` -> `arguments`.
fn call<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim().strip_prefix('(')?.strip_suffix(')')
}

/// Splits at commas that are not inside parentheses.
fn split_top_level(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (index, letter) in text.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bindings() -> Bindings<'static> {
        let values = [
            (":a", json!("POLLING")),
            (":b", json!("PAUSED")),
            (":e", json!([2])),
            (":one", json!(1)),
            (":six", json!(6)),
            (":now", json!("t")),
            (":upper", json!("A")),
        ];
        Bindings {
            names: vec![("#s", "status"), ("#t", "timeline"), ("#v", "version"), ("#g", "gate")],
            values: values.into_iter().map(|(name, value)| (name, Cow::Owned(value))).collect(),
        }
    }

    #[test]
    fn updates_and_conditions_of_the_machine_are_understood() {
        let mut item =
            json!({"status": "PAUSED", "timeline": [1], "version": 3, "gate": {}}).as_object().cloned().unwrap();
        assert!(holds("#s IN (:a, :b)", Some(&item), &bindings()).unwrap());
        assert!(!holds("#s = :a", Some(&item), &bindings()).unwrap());
        assert!(!holds("attribute_exists(x) AND #s <> :a", Some(&item), &bindings()).unwrap());
        assert!(holds("attribute_not_exists(executionId)", None, &bindings()).unwrap());
        assert!(holds("#s IN (:a, :b) AND size(#s) <= :six", Some(&item), &bindings()).unwrap());
        assert!(!holds("size(#s) <= :one", Some(&item), &bindings()).unwrap());
        assert!(!holds("size(x) <= :one", Some(&item), &bindings()).unwrap(), "nothing there has no size");
        for (condition, so) in [
            ("(attribute_exists(x) AND #s <> :a) OR (attribute_exists(#s) AND #s <> :a AND #v = :one)", false),
            ("(attribute_exists(x) AND #s <> :a) OR (attribute_exists(#s) AND #s <> :a AND #s = :b)", true),
            ("attribute_not_exists(#s) OR #s <= :b", true),
            ("attribute_not_exists(#s) OR #s <= :upper", false),
            ("#v <= :b", false),
        ] {
            assert_eq!(holds(condition, Some(&item), &bindings()).unwrap(), so, "{condition}");
        }
        update("REMOVE x, #g", &mut item, &bindings()).unwrap();
        assert!(!item.contains_key("gate"));
        item.insert("gate".to_owned(), json!({}));
        let expression =
            "SET #s = :a, #t = list_append(#t, :e), #v = #v + :one, endTime = if_not_exists(endTime, :now) REMOVE #g";
        update(expression, &mut item, &bindings()).unwrap();
        assert_eq!(Value::Object(item), json!({"status": "POLLING", "timeline": [1, 2], "version": 4, "endTime": "t"}));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        assert!(holds("size(#s) > :one", None, &bindings()).is_err());
        assert!(holds("#v <= :one", None, &bindings()).is_err());
        assert!(update("ADD #v :one", &mut Map::new(), &bindings()).is_err());
        assert!(update("SET #t = list_append(#t, :e)", &mut Map::new(), &bindings()).is_err());
        let mut item = Map::new();
        assert!(update("SET #s = :a, #g.#s = :a", &mut item, &bindings()).is_err());
        assert!(item.is_empty(), "a refused update changes nothing");
        assert!(plain(&json!({"BOOL": true})).is_err(), "the two integrations spell BOOL differently");
    }

    #[test]
    fn typed_and_plain_are_inverse() {
        let value = json!({"a": "x", "b": 3, "c": [{"d": "e"}]});
        assert_eq!(plain(&typed(&value)).unwrap(), value);
    }
}
