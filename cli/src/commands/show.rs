//! `tidegate show`.

use crate::args::ShowArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::render::redact::render_run_json;
use crate::render::show::render_show;
use crate::session::Session;
use std::process::ExitCode;

pub(super) async fn run(session: &Session, output: &Output, args: &ShowArgs) -> Result<ExitCode, CliError> {
    let record = session.record(&args.name).await?;
    let view = session.view(record).await?;
    if args.json {
        output.json(&render_run_json(&view))?;
    } else {
        output.result(&render_show(&view, session.now(), output.width()))?;
    }
    Ok(ExitCode::SUCCESS)
}
