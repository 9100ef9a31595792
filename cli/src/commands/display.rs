//! Where progress is shown: bars on a terminal, lines with a UTC time elsewhere.

use super::bars::Bars;
use crate::error::CliError;
use crate::output::{Output, finished};
use crate::render::changes::render_changes;
use crate::render::text::{folded, stamp};
use crate::view::RunView;
use jiff::Timestamp;

/// The place for progress.
pub(super) struct Display<'a> {
    output: &'a Output,
    bars: Option<Bars>,
    /// What has been told so far.
    told: Option<RunView>,
    /// A question stands on the terminal: nothing may be drawn over it.
    asking: bool,
}

impl<'a> Display<'a> {
    pub(super) fn new(output: &'a Output, plain: bool) -> Self {
        let bars = (output.is_interactive() && !plain).then(|| Bars::new(output.color()));
        Self { output, bars, told: None, asking: false }
    }

    /// Shows what is new, and the time passing.
    pub(super) fn update(&mut self, view: &RunView, now: Timestamp) -> Result<(), CliError> {
        if self.asking {
            return Ok(());
        }
        if self.told.as_ref() != Some(view) {
            for change in render_changes(self.told.as_ref(), view) {
                // Bars show where things stand; what has happened before they were drawn is theirs to tell.
                if self.bars.is_none() || (change.lasting && self.told.is_some()) {
                    self.say(&change.text, now)?;
                }
            }
            self.told = Some(view.clone());
        }
        if let Some(bars) = &mut self.bars {
            bars.update(view, now);
        }
        Ok(())
    }

    /// True while bars move and want the time.
    pub(super) fn is_moving(&self) -> bool {
        self.bars.is_some() && !self.asking
    }

    /// A lasting line.
    pub(super) fn say(&self, text: &str, now: Timestamp) -> Result<(), CliError> {
        let stamp = stamp(now);
        let line = format!("{stamp}  {text}");
        let line = self.output.terminal_width().map_or(line.clone(), |width| folded(&line, width, stamp.len() + 2));
        match &self.bars {
            Some(bars) if !self.asking => {
                bars.println(&finished(&line, self.output.color()));
                Ok(())
            }
            Some(_) | None => self.output.result(&line),
        }
    }

    /// Asks; the bars make room.
    pub(super) fn ask(&mut self, question: &str) -> Result<(), CliError> {
        if let Some(bars) = &self.bars {
            bars.hide();
        }
        self.asking = true;
        self.output.question(question)
    }

    /// The question has been dealt with.
    pub(super) fn asked(&mut self) {
        if let Some(bars) = self.bars.as_ref().filter(|_| self.asking) {
            bars.unhide();
        }
        self.asking = false;
    }

    pub(super) fn finish(&mut self) {
        self.asked();
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }
}
