//! What is wrong with an input: field, fault, remedy.

use super::text::wrapped;
use tidegate_contract::records::Problem;

/// One problem a paragraph, the remedy beneath it.
pub(crate) fn render_problems(problems: &[Problem], width: usize) -> String {
    let told = problems.iter().map(|problem| {
        let said = wrapped(&format!("{}: {}", problem.field, problem.message), width, 4);
        let remedy = wrapped(&problem.remedy, width.saturating_sub(4), 6);
        if remedy.is_empty() { format!("  {said}") } else { format!("  {said}\n    -> {remedy}") }
    });
    told.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
