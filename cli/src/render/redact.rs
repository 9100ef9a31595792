//! Records as JSON. They hold no task token: what an earlier version wrote into them is dropped as they are read.

use serde_json::{Value, json};
use tidegate_contract::records::ExecutionRecord;

use crate::view::RunView;

/// The record as it is stored.
pub(crate) fn render_record_json(record: &ExecutionRecord) -> Value {
    serde_json::to_value(record).unwrap_or_else(|error| json!({"unreadable": error.to_string()}))
}

/// Everything stored about the execution.
pub(crate) fn render_run_json(view: &RunView) -> Value {
    let waves: Vec<_> = view.waves.iter().filter_map(|wave| wave.item.as_ref()).collect();
    let shards: Vec<_> = view.waves.iter().flat_map(|wave| &wave.shards).collect();
    json!({
        "record": render_record_json(&view.record), "requests": view.pending_requests(), "waves": waves, "shards": shards,
        "unreadable": view.unreadable,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::{SECRET, drill_view};
    use crate::render::show::render_show;
    use tidegate_aws::store::Listed;
    use tidegate_contract::records::GateKind;

    #[test]
    fn no_rendering_holds_the_token() {
        for kind in [GateKind::Resume, GateKind::Decision] {
            let mut view = crate::fixtures::paused_view(kind);
            // As an earlier version stored it.
            let mut stored = serde_json::to_value(&view.record).unwrap_or_default();
            stored["gate"]["token"] = json!(SECRET);
            view.record = serde_json::from_value(stored).unwrap();
            let now = crate::fixtures::now();
            let texts = [
                render_run_json(&view).to_string(),
                render_show(&view, now, 120),
                crate::render::list::render_list(&[Listed::Execution(Box::new(view.record.clone()))], now, 120),
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
        assert_eq!(json["record"]["gate"]["waveNumber"], 2);
        let json = render_run_json(&drill_view());
        assert_eq!(json["waves"].as_array().map(Vec::len), Some(2));
        assert_eq!(json["shards"][0]["serverStatuses"][0]["launchStatus"], "LAUNCHED");
    }
}
