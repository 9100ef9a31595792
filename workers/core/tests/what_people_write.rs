//! People write plans, protection groups and requests as they like. Whatever it is, it is read or refused with reasons: nothing
//! panics, and every refusal says where and what to do.

#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidegate_contract::records::{Asked, Problem, Requests};
use tidegate_core::{input_check, plan_check};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("us-west-2".to_owned()),
        "\\PC{0,12}",
        "[\\u{0}-\\u{1f}\\u{202e}\\u{2066}a-z]{0,8}",
        Just("x".repeat(5_000)),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// A plan and a group as they should be.
fn plan() -> Value {
    json!({
        "planId": "crm", "planName": "CRM", "waves": [
            {"waveNumber": 1, "waveName": "one", "groups": [{"region": "us-west-2", "tags": {"a": "b"}}]},
            {"waveNumber": 2, "waveName": "two", "pauseBeforeWave": true, "onFailure": "gate", "minLaunched": "50%",
             "groups": [{"region": "us-west-2", "sourceServerIds": ["s-00000000000000001"]}, {"protectionGroupId": "g"}]}],
    })
}

fn group() -> Value {
    json!({"groupId": "g", "groupName": "G", "region": "us-west-2", "sourceServerIds": ["s-00000000000000002"]})
}

/// The `place`th value of a document, counted from outside in, becomes `with`.
fn replace(document: &mut Value, place: &mut usize, with: &Value) {
    if *place == 0 {
        *document = with.clone();
        *place = usize::MAX;
        return;
    }
    *place -= 1;
    let children: Box<dyn Iterator<Item = &mut Value>> = match document {
        Value::Array(items) => Box::new(items.iter_mut()),
        Value::Object(members) => Box::new(members.iter_mut().map(|(_, value)| value)),
        _ => return,
    };
    for child in children {
        if *place == usize::MAX {
            return;
        }
        replace(child, place, with);
    }
}

fn has_reasons(problems: &[Problem]) {
    assert!(!problems.is_empty());
    assert!(problems.iter().all(|one| !one.message.is_empty() && !one.remedy.is_empty()), "{problems:?}");
}

fn read_as_plan_and_group(text: &str) {
    match input_check::parse_plan(text) {
        Ok(plan) => drop(plan_check::check_plan(&plan, "plan")),
        Err(problems) => has_reasons(&problems),
    }
    if let Err(problems) = input_check::parse_group(text, "protectionGroup g") {
        has_reasons(&problems);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_plan_or_is_refused(text in prop_oneof![text(), value().prop_map(|value| value.to_string())]) {
        read_as_plan_and_group(&text);
    }

    #[test]
    fn a_plan_with_anything_in_one_place_is_a_plan_or_is_refused(place in 0usize..40, with in value()) {
        for mut document in [plan(), group()] {
            replace(&mut document, &mut place.clone(), &with);
            read_as_plan_and_group(&document.to_string());
        }
    }

    #[test]
    fn any_item_is_a_request_none_or_unclear(
        pause in prop::option::of(value()), cancel in prop::option::of(value()), others in prop::collection::btree_map(text(), value(), 0..4),
    ) {
        let mut item = Map::from_iter(others);
        item.remove(Requests::PAUSE);
        item.remove(Requests::CANCEL);
        item.extend(pause.clone().map(|value| (Requests::PAUSE.to_owned(), value)));
        item.extend(cancel.clone().map(|value| (Requests::CANCEL.to_owned(), value)));
        let read = Requests::read(&item);
        for (written, asked) in [(pause, read.pause), (cancel, read.cancel)] {
            let word = written.as_ref().and_then(Value::as_str);
            prop_assert_eq!(asked == Asked::Yes, word == Some("true"));
            prop_assert_eq!(asked == Asked::No, written.is_none() || word == Some("false"));
        }
    }
}
