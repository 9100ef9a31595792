//! What is wrong with an input: field, fault, remedy.

use super::text::wrapped;
use tidegate_contract::records::Problem;

/// Most problems told: nobody reads more before the first are mended.
const MOST: usize = 50;

/// One problem a paragraph, the remedy beneath it.
pub(crate) fn render_problems(problems: &[Problem], width: usize) -> String {
    let mut told: Vec<String> = problems
        .iter()
        .take(MOST)
        .cloned()
        .map(|problem| {
            let problem = problem.spelled_out();
            let said = wrapped(&format!("{}: {}", problem.field, problem.message), width, 4);
            let remedy = wrapped(&problem.remedy, width.saturating_sub(4), 6);
            if remedy.is_empty() { format!("  {said}") } else { format!("  {said}\n    -> {remedy}") }
        })
        .collect();
    let more = problems.len().saturating_sub(MOST);
    if more > 0 {
        told.push(format!("  and {more} more"));
    }
    told.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_counted() {
        let problem = Problem { field: "f".to_owned(), message: "m".to_owned(), remedy: String::new() };
        let text = render_problems(&vec![problem; MOST + 7], 80);
        assert_eq!(text.lines().count(), MOST + 1);
        assert!(text.ends_with("and 7 more"), "{text}");
    }

    #[test]
    fn a_problem_is_told_with_field_and_remedy() {
        let problem = Problem {
            field: "plan.waves[0].groups[0]".to_owned(),
            message: "has no servers".to_owned(),
            remedy: "give sourceServerIds, tags or protectionGroupId".to_owned(),
        };
        assert_eq!(
            render_problems(&[problem], 80),
            "  plan.waves[0].groups[0]: has no servers\n    -> give sourceServerIds, tags or protectionGroupId"
        );
    }
}
