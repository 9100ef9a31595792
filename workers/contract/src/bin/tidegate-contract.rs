//! `tidegate-contract generate DIR` writes the contract's generated half, `check DIR` fails when it is stale.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let result = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", dir] => generate(Path::new(dir)).map_err(|error| format!("cannot write {dir}: {error}")),
        ["check", dir] => check(Path::new(dir)),
        _ => Err("usage: tidegate-contract generate|check statemachine/contract".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            report(&message);
            ExitCode::FAILURE
        }
    }
}

fn generate(dir: &Path) -> io::Result<()> {
    let schemas = dir.join("schemas");
    if schemas.exists() {
        fs::remove_dir_all(&schemas)?;
    }
    fs::create_dir_all(&schemas)?;
    for (path, text) in tidegate_contract::document::files() {
        fs::write(dir.join(path), text)?;
    }
    Ok(())
}

fn check(dir: &Path) -> Result<(), String> {
    let stale: Vec<String> = tidegate_contract::document::files()
        .into_iter()
        .filter(|(path, text)| fs::read_to_string(dir.join(path)).ok().as_deref() != Some(text))
        .map(|(path, _)| path)
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("stale in {}: {}. Run `make contract` and commit the result.", dir.display(), stale.join(", ")))
}

#[allow(clippy::print_stderr)]
fn report(message: &str) {
    eprintln!("{message}");
}
