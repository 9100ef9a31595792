//! Tables without frames: a header, a rule, rows. They shrink to the width they are given by wrapping cells.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, TableComponent, presets};

/// One column.
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    whole: bool,
}

/// Text, to the left.
pub(crate) const fn left(title: &'static str) -> Column {
    Column { title, right: false, whole: false }
}

/// Numbers, to the right.
pub(crate) const fn right(title: &'static str) -> Column {
    Column { title, right: true, whole: false }
}

/// Text that people copy: never broken, others make room.
pub(crate) const fn whole(title: &'static str) -> Column {
    Column { title, right: false, whole: true }
}

/// The table, at most `width` columns wide where that is possible at all; no spaces at line ends.
pub(crate) fn render_table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>, width: usize) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_style(TableComponent::HeaderLines, '-');
    table.remove_style(TableComponent::VerticalLines);
    table.remove_style(TableComponent::MiddleHeaderIntersections);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(row);
    }
    let last = columns.len().saturating_sub(1);
    for (index, spec) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, if index == last { 0 } else { 2 }));
            if spec.whole {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
            column.set_cell_alignment(if spec.right { CellAlignment::Right } else { CellAlignment::Left });
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
