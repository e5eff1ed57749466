//! A table, for the terminal and for Markdown. The first column is text, the others are figures.

/// Heads and rows of the same width.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// What stands above the columns.
    pub head: Vec<String>,
    /// Cells as they are read.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty one.
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// One more row.
    pub fn push(&mut self, row: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    /// For a terminal: columns padded, figures to the right.
    pub fn plain(&self) -> String {
        let widths = self.widths();
        let mut text = line(&self.head, &widths);
        text.push_str(&line(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>(), &widths));
        for row in &self.rows {
            text.push_str(&line(row, &widths));
        }
        text
    }

    /// For a page, figures to the right.
    pub fn markdown(&self) -> String {
        self.in_markdown(" ---: |")
    }

    /// For a page, where all columns are text.
    pub fn markdown_of_texts(&self) -> String {
        self.in_markdown(" --- |")
    }

    fn in_markdown(&self, others: &str) -> String {
        let mut text = format!("| {} |\n| --- |", escaped(&self.head).join(" | "));
        text.push_str(&others.repeat(self.head.len().saturating_sub(1)));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&format!("| {} |\n", escaped(row).join(" | ")));
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |at: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(at)).chain(self.head.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.head.len()).map(width).collect()
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let padding = " ".repeat(width.saturating_sub(cell.chars().count()));
        let gap = if at == 0 { "" } else { "  " };
        match at {
            0 => text.push_str(&format!("{cell}{padding}")),
            _ => text.push_str(&format!("{gap}{padding}{cell}")),
        }
    }
    format!("{}\n", text.trim_end())
}

/// A bar in a cell would end it.
fn escaped(cells: &[String]) -> Vec<String> {
    cells.iter().map(|cell| cell.replace('|', "\\|")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["server", "CPU, µs"]);
        table.push(["nchan", "12.7"]);
        table.push(["a|b", "8.70 [7.80..9.70]"]);
        table
    }

    #[test]
    fn columns_stand_below_each_other() {
        let expected = "server            CPU, µs\n\
                        ------  -----------------\n\
                        nchan                12.7\n\
                        a|b     8.70 [7.80..9.70]\n";
        assert_eq!(table().plain(), expected);
    }

    #[test]
    fn bars_do_not_end_cells() {
        let expected = "| server | CPU, µs |\n| --- | ---: |\n| nchan | 12.7 |\n| a\\|b | 8.70 [7.80..9.70] |\n";
        assert_eq!(table().markdown(), expected);
    }
}
