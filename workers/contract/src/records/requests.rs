//! What people ask of a run that is under way. Whoever may write here may write anything: whatever it is has a meaning.

use serde_json::{Map, Value};

/// Item of `execution-requests`, as it is read: total, so that no item is a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// A gate before the next wave; the machine takes the request away when it opens. Also when it is unclear.
    pub pause: Asked,
    /// The end before the next wave; stays. When it is unclear, a gate before the next wave.
    pub cancel: Asked,
    /// Who says to have asked, as it was typed.
    pub pause_by: Option<String>,
    pub cancel_by: Option<String>,
}

/// One request. Absent and `"false"`: nobody asked. `"true"`: somebody did. Anything else: something is wanted, so a person
/// has to say what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asked {
    #[default]
    No,
    Yes,
    Unclear,
}

/// Text that people write beside a request is cut here.
const LONGEST: usize = 200;

impl Requests {
    pub const PAUSE: &str = "pauseRequested";
    pub const PAUSE_BY: &str = "pauseRequestedBy";
    pub const CANCEL: &str = "cancelRequested";
    pub const CANCEL_BY: &str = "cancelRequestedBy";

    /// From the item's attributes as JSON, where what is not text may be any other value.
    pub fn read(item: &Map<String, Value>) -> Self {
        let by = |name: &str| item.get(name).and_then(Value::as_str).map(|text| text.chars().take(LONGEST).collect());
        Self {
            pause: Asked::read(item.get(Self::PAUSE)),
            cancel: Asked::read(item.get(Self::CANCEL)),
            pause_by: by(Self::PAUSE_BY),
            cancel_by: by(Self::CANCEL_BY),
        }
    }
}

impl Asked {
    fn read(attribute: Option<&Value>) -> Self {
        match attribute.map(Value::as_str) {
            None | Some(Some("false")) => Self::No,
            Some(Some("true")) => Self::Yes,
            Some(_) => Self::Unclear,
        }
    }

    /// The word is exactly what it should be.
    pub const fn is_yes(self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Something was asked, clearly or not.
    pub const fn is_anything(self) -> bool {
        !matches!(self, Self::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_item_has_a_meaning() {
        for (written, asked) in [
            (json!({}), Asked::No),
            (json!({ "cancelRequested": "false" }), Asked::No),
            (json!({ "cancelRequested": "true" }), Asked::Yes),
            (json!({ "cancelRequested": "TRUE" }), Asked::Unclear),
            (json!({ "cancelRequested": "" }), Asked::Unclear),
            (json!({ "cancelRequested": 1 }), Asked::Unclear),
            (json!({ "cancelRequested": true }), Asked::Unclear),
            (json!({ "cancelRequested": null }), Asked::Unclear),
            (json!({ "cancelRequested": { "S": "true" } }), Asked::Unclear),
            (json!({ "cancelrequested": "true" }), Asked::No),
        ] {
            let read = Requests::read(written.as_object().unwrap_or(&Map::new()));
            assert_eq!((read.cancel, read.pause), (asked, Asked::No), "{written}");
        }
    }

    #[test]
    fn a_name_is_text_of_bounded_length() {
        let long = "x".repeat(100_000);
        let item = json!({ "pauseRequestedBy": long, "cancelRequestedBy": ["maria"] });
        let read = Requests::read(item.as_object().unwrap_or(&Map::new()));
        assert_eq!(read.pause_by.map(|by| by.len()), Some(LONGEST));
        assert_eq!(read.cancel_by, None);
    }
}
