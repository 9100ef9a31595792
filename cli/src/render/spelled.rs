//! Records as they may be shown: every text in them is in one line, and what deceives in it is spelled out
//! (`tidegate_contract::foreign`). The renderers work on such copies only, so that a new field is covered the day it appears.

use crate::view::RunView;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tidegate_contract::foreign::spell_out;

/// Texts that are taken apart before they are shown, by [`super::text::cause_lines`] and [`super::text::answer`], which spell
/// out what they find: a cause has lines, and either may be JSON, in which a line break hides behind an escape.
const TAKEN_APART: &[&str] = &["cause", "detail"];

/// A copy to be shown.
pub(crate) fn spelled<T: Serialize + DeserializeOwned + Clone>(shown: &T) -> T {
    let copy = serde_json::to_value(shown).map(spelled_value).and_then(serde_json::from_value);
    // What was read from JSON goes through JSON; should it ever not, the last look at the output spells it out.
    copy.unwrap_or_else(|_| shown.clone())
}

/// A whole run.
pub(crate) fn spelled_run(view: &RunView) -> RunView {
    let mut shown = view.clone();
    shown.record = spelled(&view.record);
    for text in &mut shown.unreadable {
        *text = spell_out(text).into_owned();
    }
    for wave in &mut shown.waves {
        wave.name = spell_out(&wave.name).into_owned();
        wave.item = wave.item.as_ref().map(spelled);
        wave.shards = wave.shards.iter().map(spelled).collect();
    }
    shown
}

fn spelled_value(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(spell_out(&text).into_owned()),
        Value::Array(values) => Value::Array(values.into_iter().map(spelled_value).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| {
                let value = if TAKEN_APART.contains(&name.as_str()) { value } else { spelled_value(value) };
                (spell_out(&name).into_owned(), value)
            });
            Value::Object(fields.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{drill_view, partial_view, paused_view};
    use tidegate_contract::records::GateKind;

    #[test]
    fn a_record_without_anything_to_spell_out_is_shown_as_it_is() {
        for view in [drill_view(), partial_view(), paused_view(GateKind::Resume)] {
            assert_eq!(spelled_run(&view), view);
        }
    }
}
