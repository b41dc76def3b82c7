//! What a benchmark answers: printed as tables, saved as JSON, and kept in the documentation.

use std::fs;
use std::path::{Path, PathBuf};

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{Cell, CellAlignment, Table, TableStyle};
use serde_json::{Value, json};

use super::plot::Plot;

/// One question and the figures that answer it.
pub struct Report {
    name: &'static str,
    question: &'static str,
    tables: Vec<Figures>,
    plots: Vec<Plot>,
    findings: Vec<String>,
}

/// A table of figures.
pub struct Figures {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Figures {
    /// An empty table.
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Figures {
        Figures {
            title: title.into(),
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: a cell for each column.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.columns.len(), "a cell for each column");
        self.rows.push(cells.to_vec());
    }

    fn render(&self, style: TableStyle) -> Table {
        let mut table = Table::new();
        table.load_style(style).set_header(&self.columns);
        for row in &self.rows {
            let cells = row.iter().map(|cell| {
                let figure = cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
                let side = match figure {
                    true => CellAlignment::Right,
                    false => CellAlignment::Left,
                };
                Cell::new(cell).set_alignment(side)
            });
            table.add_row(cells);
        }
        table
    }

    fn json(&self) -> Value {
        let object = |row: &Vec<String>| -> Value {
            let cell = |text: &String| text.parse::<f64>().map_or(json!(text), |n| json!(n));
            let pairs = self.columns.iter().zip(row);
            pairs
                .map(|(column, text)| ((*column).to_owned(), cell(text)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        json!({ "title": self.title, "rows": self.rows.iter().map(object).collect::<Vec<_>>() })
    }
}

impl Report {
    /// A report that is saved under `name` and answers `question`.
    pub fn new(name: &'static str, question: &'static str) -> Report {
        Report {
            name,
            question,
            tables: Vec::new(),
            plots: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Adds a table, and prints it.
    pub fn table(&mut self, table: Figures) {
        println!("\n{}\n{}", table.title, table.render(UTF8_FULL_CONDENSED));
        self.tables.push(table);
    }

    /// Adds a plot.
    pub fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }

    /// Adds a sentence of the answer, and prints it.
    pub fn finding(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        println!("{sentence}");
        self.findings.push(sentence);
    }

    /// Saves all of it under `target/bench`, or, with `RAFT3D_BENCH_SAVE`, in the documentation.
    pub fn save(&self) {
        let dir = match std::env::var_os("RAFT3D_BENCH_SAVE") {
            Some(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks"),
            None => target().join("bench"),
        };
        self.write(&dir).expect("the results can be saved");
        println!("saved in {}", dir.join(self.name).display());
    }

    fn write(&self, dir: &Path) -> std::io::Result<()> {
        fs::create_dir_all(dir)?;
        let file = |extension: &str| dir.join(format!("{}.{extension}", self.name));
        let text = serde_json::to_string_pretty(&self.json()).expect("plain data");
        fs::write(file("json"), text + "\n")?;
        for (number, plot) in (1..).zip(&self.plots) {
            plot.draw(&file(&format!("{number}.svg")));
        }
        fs::write(file("md"), self.markdown())
    }

    fn json(&self) -> Value {
        let tables: Vec<_> = self.tables.iter().map(Figures::json).collect();
        json!({
            "question": self.question,
            "machine": machine(),
            "findings": self.findings,
            "tables": tables,
        })
    }

    fn markdown(&self) -> String {
        let mut parts = vec![
            format!("# {}", self.question),
            format!(
                "`cargo bench --bench {}` on {}. Written by the benchmark.",
                self.name,
                machine()
            ),
        ];
        let findings = self.findings.iter().map(|finding| format!("* {finding}"));
        parts.push(findings.collect::<Vec<_>>().join("\n"));
        for (number, plot) in (1..).zip(&self.plots) {
            parts.push(format!("![{}]({}.{number}.svg)", plot.title(), self.name));
        }
        for table in &self.tables {
            parts.push(format!(
                "## {}\n\n{}",
                table.title,
                table.render(ASCII_MARKDOWN)
            ));
        }
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n") + "\n"
    }
}

/// What was measured on: processors, memory, kernel.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!(
        "{processors} processors ({}), {:.0} GiB of memory, Linux {}",
        field(&read("/proc/cpuinfo"), "model name"),
        kib / f64::from(1 << 20),
        read("/proc/sys/kernel/osrelease").trim(),
    )
}

/// The target directory.
pub fn target() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    target.expect("a target directory").to_owned()
}

/// A directory on the disk that is measured; it is gone with the value.
pub fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}
