//! What is shown of the comparison.

use comfy_table::{Cell, CellAlignment, Table};

use crate::Comparison;
use crate::run::Run;
use crate::setup::LogKind;

/// Three rows for each comparison.
pub fn table(comparisons: &[Comparison]) -> Table {
    let mut table = Table::new();
    table.set_header([
        "nodes",
        "log",
        "in flight",
        "driver",
        "commits/s",
        "p50 us",
        "p99 us",
        "CPU ns/commit",
        "commits/sync",
        "allocations/commit",
        ": c++",
        ": openraft",
    ]);
    for comparison in comparisons {
        let drivers = [
            ("rust", &comparison.rust),
            ("c++", &comparison.cpp),
            ("openraft", &comparison.openraft),
        ];
        for (driver, run) in drivers {
            let row = row(comparison, driver, run);
            table.add_row(row.map(|cell| Cell::new(cell).set_alignment(CellAlignment::Right)));
        }
    }
    table
}

fn row(comparison: &Comparison, driver: &str, run: &Run) -> [String; 12] {
    let setup = &comparison.setup;
    let commits_per_sync = match setup.log {
        LogKind::Fsync => format!("{:.1}", run.commits_per_sync()),
        LogKind::Memory => String::new(),
    };
    let ratio = |other: &Run| format!("{:.2}", run.per_second / other.per_second);
    [
        setup.nodes.to_string(),
        setup.log.name().to_owned(),
        setup.in_flight.to_string(),
        driver.to_owned(),
        format!("{:.0}", run.per_second),
        format!("{:.1}", run.p50_us),
        format!("{:.1}", run.p99_us),
        format!("{:.0}", run.cpu_ns_per_commit),
        commits_per_sync,
        format!("{:.1}", run.allocations_per_commit),
        ratio(&comparison.cpp),
        ratio(&comparison.openraft),
    ]
}
