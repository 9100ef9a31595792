//! Records as JSON without the task token, which is a capability.

use serde_json::{Value, json};
use tidegate_contract::records::ExecutionRecord;

use crate::view::RunView;

/// Stands where a token was.
pub(crate) const REDACTED: &str = "<redacted>";

/// The record as it is stored, but for the token.
pub(crate) fn render_record_json(record: &ExecutionRecord) -> Value {
    // The token is taken out of the record, not searched for in the JSON: nothing to overlook.
    let mut record = record.clone();
    if let Some(gate) = record.gate.as_mut() {
        gate.token = REDACTED.to_owned();
    }
    serde_json::to_value(&record).unwrap_or_else(|error| json!({"unreadable": error.to_string()}))
}

/// Everything stored about the execution.
pub(crate) fn render_run_json(view: &RunView) -> Value {
    let waves: Vec<_> = view.waves.iter().filter_map(|wave| wave.item.as_ref()).collect();
    let shards: Vec<_> = view.waves.iter().flat_map(|wave| &wave.shards).collect();
    json!({"record": render_record_json(&view.record), "waves": waves, "shards": shards})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{SECRET, drill_view};
    use crate::render::show::render_show;
    use tidegate_contract::records::GateKind;

    #[test]
    fn no_rendering_holds_the_token() {
        for kind in [GateKind::Resume, GateKind::Decision] {
            let view = crate::fixtures::paused_view(kind);
            let now = crate::fixtures::now();
            let texts = [
                render_run_json(&view).to_string(),
                render_show(&view, now, 120),
                crate::render::list::render_list(std::slice::from_ref(&view.record), now, 120),
                crate::render::progress::render_overall(&view, now),
                crate::render::changes::render_changes(None, &view).into_iter().map(|change| change.text).collect(),
                crate::render::gate::render_gate(&view.record, "executions", now).unwrap_or_default(),
                format!("{:?}", view.record),
            ];
            for text in texts {
                assert!(!text.contains(SECRET) && !text.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn json_holds_everything_else() {
        let json = render_run_json(&crate::fixtures::paused_view(GateKind::Resume));
        assert_eq!(json["record"]["gate"]["token"], REDACTED);
        assert_eq!(json["record"]["gate"]["waveNumber"], 2);
        let json = render_run_json(&drill_view());
        assert_eq!(json["waves"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["shards"][0]["serverStatuses"][0]["launchStatus"], "LAUNCHED");
    }
}
