//! docs/semantics.md says of each surprise of AWS what holds it and where it comes from. A row whose test was renamed, or that
//! has no source, is a belief again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use tidegate_tests::repository;

const PAGE: &str = "docs/semantics.md";
const HEAD: [&str; 5] = ["id", "AWS", "so Tidegate", "held by", "source"];
/// What a source may be; the page says what each means.
const SOURCES: [&str; 5] = ["doc: ", "model: ", "recording: ", "code: ", "assumed"];

#[derive(Debug)]
struct Row {
    id: String,
    cells: Vec<String>,
}

impl Row {
    fn cell(&self, name: &str) -> &str {
        &self.cells[HEAD.iter().position(|head| *head == name).unwrap()]
    }
}

/// The rows of every table of the page; what is wrong with one is in `faults`.
fn rows(page: &str, faults: &mut Vec<String>) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in page.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")) {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        if cells == HEAD {
            continue;
        }
        let id = cells[0].rsplit('`').nth(1).unwrap_or_default().to_owned();
        if cells.len() != HEAD.len() || cells[0] != format!("<a id=\"{id}\"></a>`{id}`") {
            faults.push(format!("not five cells that begin with an anchor and its id: {line}"));
            continue;
        }
        rows.push(Row { id, cells });
    }
    rows
}

/// What may hold a row: test functions, Rust and Python; runs of Terraform's tests; machines of the interpreter's corpus.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in repository::files("tests/simulation/machines", &["json"]).unwrap() {
        names.extend(path.rsplit('/').next().map(str::to_owned));
    }
    for path in repository::files("terraform", &["hcl"]).unwrap() {
        let text = repository::text(&path).unwrap();
        names.extend(text.lines().filter_map(|line| line.strip_prefix("run \"")).map(name));
    }
    for path in repository::files("", &["rs", "py"]).unwrap() {
        let mut is_test = path.ends_with(".py");
        for line in repository::text(&path).unwrap().lines().map(str::trim) {
            if path.ends_with(".py") {
                names.extend(line.strip_prefix("def ").filter(|rest| rest.starts_with("test_")).map(name));
            } else if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some(rest) = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn ")) {
                if is_test {
                    names.insert(name(rest));
                }
                is_test = false;
            }
        }
    }
    names
}

fn name(rest: &str) -> String {
    rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// What is wrong with the page.
fn faults(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    let rows = rows(page, &mut faults);
    let mut seen = BTreeSet::new();
    for row in &rows {
        let id = &row.id;
        if !seen.insert(id) {
            faults.push(format!("{id} is the id of two rows"));
        }
        faults
            .extend(HEAD.iter().filter(|head| row.cell(head).is_empty()).map(|head| format!("{id}: {head} is empty")));
        let held: Vec<&str> = row.cell("held by").split('`').skip(1).step_by(2).collect();
        if held.is_empty() {
            faults.push(format!("{id}: no test holds it"));
        }
        faults.extend(held.iter().filter(|test| !tests.contains(**test)).map(|test| format!("{id}: no test {test}")));
        let unknown = row.cell("source").split("; ").filter(|said| !SOURCES.iter().any(|kind| said.starts_with(kind)));
        faults.extend(unknown.map(|said| format!("{id}: the source {said:?} is none of {SOURCES:?}")));
    }
    faults
}

#[test]
fn every_row_names_tests_that_exist_and_its_source() {
    let page = repository::text(PAGE).unwrap();
    assert!(page.matches("\n| <a id=").count() > 35, "the rows are no longer read; mend this test");
    let faults = faults(&page, &tests());
    assert!(faults.is_empty(), "{PAGE}:\n{}", faults.join("\n"));
}

#[test]
fn a_row_without_its_test_or_source_is_noticed() {
    let tests = BTreeSet::from(["it_holds".to_owned()]);
    let row =
        |id: &str, held: &str, source: &str| format!("| <a id=\"{id}\"></a>`{id}` | a | b | {held} | {source} |\n");
    let good = row("x-y", "`it_holds`", "doc: a page; assumed: the rest");
    assert_eq!(faults(&good, &tests), [""; 0]);
    for (bad, told) in [
        (format!("{good}{good}"), "two rows"),
        (row("x", "`it_held`", "doc: p"), "no test it_held"),
        (row("x", "somebody", "doc: p"), "no test holds it"),
        (row("x", "`it_holds`", ""), "source is empty"),
        (row("x", "`it_holds`", "hearsay"), "hearsay"),
        (row("x", "`it_holds`", "doc: p; hearsay"), "hearsay"),
        ("| x | a | b | `it_holds` | doc: p |\n".to_owned(), "anchor"),
        ("| <a id=\"x\"></a>`x` | a | b | `it_holds` |\n".to_owned(), "five cells"),
    ] {
        let found = faults(&bad, &tests).join("\n");
        assert!(found.contains(told), "{bad}: {found}");
    }
}
