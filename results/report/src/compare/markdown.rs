//! A comparison as Markdown: the same tables, for READMEs and issues.

use super::comparison::Comparison;
use super::tables::all;
use crate::wording::{printable, shorten};

/// The longest cell or sentence.
const LONGEST: usize = 600;

/// The tables, each under its heading, and why no target stands higher.
pub fn markdown(comparison: &Comparison) -> String {
    let mut text = format!("# {}\n\n{}\n", cell(&comparison.title), cell(&comparison.about));
    for table in all(comparison) {
        text.push_str(&format!("\n## {}\n\n", table.title));
        let mut line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        };
        line(&table.head);
        line(&vec!["---".into(); table.head.len()]);
        table.rows.iter().for_each(|row| line(row));
    }
    if comparison.targets.iter().any(|row| row.ruled_out.is_some()) {
        text.push_str("\n## why not stronger\n\n");
    }
    for row in &comparison.targets {
        if let Some(out) = &row.ruled_out {
            let (target, level, case) = (cell(&row.target), out.level.name(), cell(&out.case));
            text.push_str(&format!(
                "* **{target}**: not {level}: {} ({case}): {}\n",
                cell(&out.anomaly),
                cell(&out.sentences)
            ));
        }
    }
    text
}

/// Text of others in one line that cannot end a cell.
fn cell(text: &str) -> String {
    shorten(&printable(text).replace('|', "\\|").replace('<', "&lt;"), LONGEST)
}
