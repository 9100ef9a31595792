//! The one place that writes: results to standard output, talk to standard error, colours only where a person looks.

use crate::args::Global;
use crate::error::CliError;
use crate::render::paint;
use std::io::{IsTerminal, Write};
use tidegate_contract::foreign::{escape_json, spell_out, spell_out_lines};

/// Width of a report that is not drawn on a terminal.
const DEFAULT_WIDTH: usize = 120;

/// Facts about the terminal, read once.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    width: usize,
    /// Standard output is a terminal, which breaks what is wider.
    on_terminal: bool,
    color_out: bool,
    color_err: bool,
    /// A person sees both streams, so bars may move.
    interactive: bool,
    /// A person can be asked.
    can_ask: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let (out, err) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
        let drawn =
            if out { console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns)) } else { None };
        Self {
            width: global.width.map(usize::from).or(drawn).unwrap_or(DEFAULT_WIDTH),
            on_terminal: out,
            color_out: out && !global.no_color,
            color_err: err && !global.no_color,
            interactive: out && err,
            can_ask: std::io::stdin().is_terminal() && err,
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The width of the terminal that shows results, if one does.
    pub(crate) fn terminal_width(&self) -> Option<usize> {
        self.on_terminal.then_some(self.width)
    }

    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    pub(crate) fn can_ask(&self) -> bool {
        self.can_ask
    }

    pub(crate) fn color(&self) -> bool {
        self.color_err
    }

    /// A result, on standard output.
    pub(crate) fn result(&self, text: &str) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", finished(text, self.color_out)).and_then(|()| out.flush()).map_err(CliError::Output)
    }

    /// A result as JSON, on standard output: the same values, but what deceives in them escaped.
    pub(crate) fn json(&self, value: &serde_json::Value) -> Result<(), CliError> {
        self.result(&escape_json(&format!("{value:#}")))
    }

    /// Talk, on standard error: hints, questions, progress of a wait.
    pub(crate) fn note(&self, text: &str) -> Result<(), CliError> {
        writeln!(std::io::stderr().lock(), "{}", finished(text, self.color_err)).map_err(CliError::Output)
    }

    /// A question; the answer is typed on the same line.
    pub(crate) fn question(&self, text: &str) -> Result<(), CliError> {
        let mut err = std::io::stderr().lock();
        write!(err, "{} ", finished(text, self.color_err)).and_then(|()| err.flush()).map_err(CliError::Output)
    }

    /// The last line of a command that failed; its chain of causes if asked for.
    pub(crate) fn error(&self, error: &CliError, verbose: bool) {
        let mut text = spell_out(&format!("tidegate: {error}")).into_owned();
        if verbose {
            let mut cause = std::error::Error::source(error);
            while let Some(inner) = cause {
                let words = spell_out(&inner.to_string()).into_owned();
                if !text.contains(&words) {
                    text.push_str(&format!("\n  caused by: {words}"));
                }
                cause = inner.source();
            }
        }
        // Nothing is left to do when standard error is gone too.
        let _ = self.note(&text);
    }
}

/// What goes to a terminal. Renderers spell out what others wrote; this is the last look, which can only not know whose the
/// line breaks are.
pub(crate) fn finished(text: &str, color: bool) -> String {
    let text = spell_out_lines(text);
    if color { paint::paint(&text) } else { text.into_owned() }
}
