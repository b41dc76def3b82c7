//! How does raft3d do beside what a user would pick instead?
//!
//! Three nodes of raft3d and three of etcd, all with their default settings and fsync, on one
//! machine with the clients. Print jobs are created over HTTP by clients with a keep-alive
//! connection each, spread evenly over the nodes; etcd stores the same JSON under a key for each job,
//! through its JSON gateway. Then one of them is read, linearizable and eventual ("serializable" to
//! etcd). The two take turns.

#[path = "../tests/cluster_support/mod.rs"]
mod cluster_support;
mod support;

use std::cell::Cell;
use std::time::Duration;

use cluster_support::TestCluster;
use hyper::Method;
use support::etcd::{self, Etcd};
use support::http::{Call, Tally, drive};
use support::plot::{Axis, Plot};
use support::report::{self, Figures, Report};
use support::{median, nodes, run_time};

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 3;
/// More than any run takes of it.
const GRAMS: u64 = 1 << 50;

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    Create,
    ReadLinearizable,
    ReadEventual,
}

impl Work {
    const ALL: [Work; 3] = [Work::Create, Work::ReadLinearizable, Work::ReadEventual];

    fn name(self) -> &'static str {
        match self {
            Work::Create => "create a print job",
            Work::ReadLinearizable => "read one, linearizable",
            Work::ReadEventual => "read one, eventual",
        }
    }
}

/// Both clusters and what they are asked.
struct Rivals {
    raft3d: Vec<String>,
    etcd: Etcd,
    /// Body of a job, which is what both store.
    job: String,
    /// So that no two runs use the same keys.
    run: Cell<u64>,
    created: [Cell<u64>; 2],
}

/// The two of them at the same work.
struct Row {
    work: Work,
    clients: usize,
    raft3d: Tally,
    etcd: Tally,
}

fn main() {
    nodes::runtime().block_on(async {
        let mut cluster = TestCluster::start().await;
        cluster.leader().await;
        let job = cluster.job_template(1, GRAMS).await;
        let scratch = report::scratch();
        let rivals = Rivals {
            raft3d: [1, 2, 3]
                .map(|id| cluster.spec(id).http_addr.clone())
                .to_vec(),
            etcd: Etcd::start(scratch.path()).await,
            job: job.to_string(),
            run: Cell::new(0),
            created: [Cell::new(0), Cell::new(0)],
        };
        let mut rows = Vec::new();
        for work in Work::ALL {
            for clients in CLIENTS {
                rows.push(rivals.compare(work, clients).await);
            }
        }
        let stored = cluster.list(1, cluster_support::JOBS, "linearizable").await;
        assert!(
            stored.len() as u64 >= rivals.created[0].get(),
            "no job is lost"
        );
        let stored = rivals.etcd.count(b'j').await;
        assert!(stored >= rivals.created[1].get(), "etcd has lost nothing");
        show(&rows);
    });
}

impl Rivals {
    async fn compare(&self, work: Work, clients: usize) -> Row {
        let time = run_time(2_000);
        eprintln!("{}, {clients} clients", work.name());
        let (mut raft3d, mut etcd) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raft3d.push(self.raft3d(work, clients, time).await);
            etcd.push(self.etcd(work, clients, time).await);
        }
        Row {
            work,
            clients,
            raft3d: median(raft3d, Tally::per_second),
            etcd: median(etcd, Tally::per_second),
        }
    }

    async fn raft3d(&self, work: Work, clients: usize, time: Duration) -> Tally {
        let get = |query| Call {
            method: Method::GET,
            path: format!("/api/v1/print_jobs/1{query}"),
            body: String::new(),
        };
        let call = |_| match work {
            Work::Create => Call {
                method: Method::POST,
                path: "/api/v1/print_jobs".to_owned(),
                body: self.job.clone(),
            },
            Work::ReadLinearizable => get(""),
            Work::ReadEventual => get("?consistency=eventual"),
        };
        let tally = drive(&self.raft3d, clients, time, call).await;
        self.note(0, work, tally)
    }

    async fn etcd(&self, work: Work, clients: usize, time: Duration) -> Tally {
        let run = self.run.replace(self.run.get() + 1);
        let call = |number| match work {
            Work::Create => etcd::put(&format!("job/{run}/{number}"), &self.job),
            Work::ReadLinearizable => etcd::get("job/0/0", false),
            Work::ReadEventual => etcd::get("job/0/0", true),
        };
        let tally = drive(&self.etcd.hosts, clients, time, call).await;
        self.note(1, work, tally)
    }

    fn note(&self, whose: usize, work: Work, tally: Tally) -> Tally {
        assert_eq!(tally.refused, 0, "every call succeeds");
        if work == Work::Create {
            let created = &self.created[whose];
            created.set(created.get() + tally.latencies.count());
        }
        tally
    }
}

fn show(rows: &[Row]) {
    let question = "How does raft3d do beside what a user would pick instead?";
    let mut report = Report::new("rivals", question);
    report.finding(format!(
        "Beside {}: three nodes each, fsync on, default settings, the clients on the same machine.",
        Etcd::version()
    ));
    for work in Work::ALL {
        let mut table = Figures::new(
            format!("{}, per second", work.name()),
            &[
                "clients",
                "raft3d/s",
                "p50 ms",
                "p99 ms",
                "etcd/s",
                "etcd p50 ms",
                "etcd p99 ms",
                "raft3d : etcd",
            ],
        );
        let mut plot = Plot::new(
            work.name(),
            Axis::logarithmic("clients"),
            Axis::linear("per second"),
        );
        let of_work = || rows.iter().filter(|row| row.work == work);
        for row in of_work() {
            let ms = |tally: &Tally, quantile| format!("{:.2}", tally.latencies.millis(quantile));
            table.row([
                row.clients.to_string(),
                format!("{:.0}", row.raft3d.per_second()),
                ms(&row.raft3d, 0.5),
                ms(&row.raft3d, 0.99),
                format!("{:.0}", row.etcd.per_second()),
                ms(&row.etcd, 0.5),
                ms(&row.etcd, 0.99),
                format!("{:.1}", row.raft3d.per_second() / row.etcd.per_second()),
            ]);
        }
        let line = |tally: fn(&Row) -> &Tally| {
            let point = |row: &Row| (row.clients as f64, tally(row).per_second());
            of_work().map(point).collect()
        };
        plot.line("raft3d", line(|row| &row.raft3d));
        plot.line("etcd", line(|row| &row.etcd));
        report.table(table);
        report.plot(plot);
    }
    report.save();
}
