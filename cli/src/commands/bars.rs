//! The moving bars: one for each wave in sight, the overall line beneath.

use crate::render::progress::{render_bar, render_overall, window};
use crate::view::RunView;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

/// Fewest and most bars, whatever the terminal's height.
const SLOTS: std::ops::RangeInclusive<usize> = 3..=20;

/// Bars on a terminal.
pub(super) struct Bars {
    multi: MultiProgress,
    overall: ProgressBar,
    waves: Vec<ProgressBar>,
    style: ProgressStyle,
    rows: usize,
}

impl Bars {
    pub(super) fn new(color: bool) -> Self {
        let (rows, _) = console::Term::stderr().size();
        let bar = if color { "bar:20.cyan/blue" } else { "bar:20" };
        let style =
            ProgressStyle::with_template(&format!("{{prefix:26}} {{{bar}}} {{pos:>3}}/{{len:<3}} {{wide_msg}}"));
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─");
        let overall_style =
            ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let multi = MultiProgress::new();
        let overall = multi.add(ProgressBar::new_spinner().with_style(overall_style));
        Self { multi, overall, waves: Vec::new(), style, rows: usize::from(rows) }
    }

    pub(super) fn update(&mut self, view: &RunView, now: Timestamp) {
        // Room for the overall line, a prompt and what was printed above.
        let slots = self.rows.saturating_sub(5).clamp(*SLOTS.start(), *SLOTS.end());
        let shown = window(view, slots);
        while self.waves.len() < shown.len() {
            let bar = self.multi.insert(self.waves.len(), ProgressBar::new(0).with_style(self.style.clone()));
            self.waves.push(bar);
        }
        for (bar, wave) in self.waves.iter().zip(shown) {
            let drawn = render_bar(view, wave, now);
            bar.set_length(drawn.total);
            bar.set_position(drawn.ready);
            bar.set_prefix(drawn.label);
            bar.set_message(drawn.message);
        }
        self.overall.set_message(render_overall(view, now));
    }

    /// A lasting line above the bars.
    pub(super) fn println(&self, text: &str) {
        // A terminal that has gone away ends the process by its own signal.
        let _ = self.multi.println(text);
    }

    /// Out of the way of a question.
    pub(super) fn hide(&self) {
        let _ = self.multi.clear();
        self.multi.set_draw_target(ProgressDrawTarget::hidden());
    }

    pub(super) fn unhide(&self) {
        self.multi.set_draw_target(ProgressDrawTarget::stderr());
    }

    /// Leaves the last state standing.
    pub(super) fn finish(&self) {
        self.waves.iter().chain([&self.overall]).for_each(ProgressBar::abandon);
    }
}
