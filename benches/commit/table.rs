//! What is shown of the comparison.

use crate::run::Run;
use crate::setup::LogKind;
use crate::support::plot::{Axis, Plot};
use crate::support::report::Figures;
use crate::{Comparison, LOGS, NODES};

/// Three rows for each comparison.
pub fn table(comparisons: &[Comparison]) -> Figures {
    let mut table = Figures::new(
        "Commits by what drives the servers; CPU and allocations of all servers and of whoever proposes",
        &[
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
        ],
    );
    for comparison in comparisons {
        let drivers = [
            ("rust", &comparison.rust),
            ("c++", &comparison.cpp),
            ("openraft", &comparison.openraft),
        ];
        for (driver, run) in drivers {
            table.row(row(comparison, driver, run));
        }
    }
    table
}

/// Throughput by what is in flight, for each size of the cluster and kind of log.
pub fn plots(comparisons: &[Comparison]) -> impl Iterator<Item = Plot> {
    let kinds = NODES.iter().flat_map(|nodes| LOGS.map(|log| (*nodes, log)));
    kinds.map(|(nodes, log)| {
        let mut plot = Plot::new(
            format!("{nodes} nodes, log: {}", log.name()),
            Axis::logarithmic("in flight"),
            Axis::linear("commits per second"),
        );
        let of_kind = || {
            let same = |c: &&Comparison| c.setup.nodes == nodes && c.setup.log == log;
            comparisons.iter().filter(same)
        };
        let line = |driver: fn(&Comparison) -> &Run| {
            let point = |c: &Comparison| (f64::from(c.setup.in_flight), driver(c).per_second);
            of_kind().map(point).collect()
        };
        plot.line("rust", line(|c| &c.rust));
        plot.line("c++", line(|c| &c.cpp));
        plot.line("openraft", line(|c| &c.openraft));
        plot
    })
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
