//! Where things lie in the checkout, and reading them.

use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Folders that hold nothing of ours: built, installed, or version control.
const FOREIGN: &[&str] = &["target", "node_modules", "__pycache__"];

/// The checkout's root.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The text of a file, by its path below the root.
pub fn text(path: &str) -> io::Result<String> {
    fs::read_to_string(root().join(path)).map_err(|error| io::Error::new(error.kind(), format!("{path}: {error}")))
}

/// A JSON file, by its path below the root.
pub fn json(path: &str) -> io::Result<Value> {
    serde_json::from_str(&text(path)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{path}: {error}")))
}

/// Every file below `folder` with one of these extensions, as paths below the root with forward slashes, sorted.
/// A folder that does not exist holds no files.
pub fn files(folder: &str, extensions: &[&str]) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    let top = root().join(folder);
    if top.exists() {
        collect(&top, extensions, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with('.') || FOREIGN.contains(&name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, extensions, found)?;
        } else if path.extension().and_then(OsStr::to_str).is_some_and(|end| extensions.contains(&end)) {
            let below = path.strip_prefix(root()).unwrap_or(&path);
            found.push(below.to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
