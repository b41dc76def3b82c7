//! How far is a commit from what the disk and the network allow?
//!
//! A replicated, durable commit costs one `fdatasync` on a majority and one round trip. Both are
//! measured here beside it, in turns: the disk's `fdatasync` after a small append, its rate of
//! sequential writes, and a round trip over loopback TCP.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use raft3d::consensus::Consensus;
use raft3d::raft::{Durability, Node};
use support::nodes::{self, Setup};
use support::plot::{Axis, Plot};
use support::report::{self, Figures, Report};
use support::samples::Samples;
use support::{median, run_time};

const ROUNDS: usize = 5;
const CLUSTER_SIZES: [usize; 2] = [1, 3];
const IN_FLIGHT: [usize; 5] = [1, 8, 64, 256, 1024];
/// Bytes of a small entry on the disk, about as many as creating a job takes.
const ENTRY: [u8; 128] = [7; 128];
const PRINTERS: i64 = 1;

/// What the machine can do.
struct Machine {
    sync: Samples,
    /// The same while two other threads do so too: three nodes share the disk here.
    shared_sync: Samples,
    round_trip: Samples,
    mib_per_second: f64,
}

/// What commits take.
struct Commits {
    size: usize,
    in_flight: usize,
    latencies: Samples,
    per_second: f64,
    /// Of all nodes together.
    syncs_per_second: f64,
}

fn main() {
    let time = run_time(1_000);
    let (mut machines, mut measured) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        eprintln!("round {}", round + 1);
        machines.push(Machine::measure(time));
        for size in CLUSTER_SIZES {
            measured.extend(commits(size, time));
        }
    }
    let machine = median(machines, |machine| machine.sync.micros(0.5));
    let mut report = Report::new(
        "limits",
        "How far is a commit from what the disk and the network allow?",
    );
    show_machine(&mut report, &machine);
    let mut all = Vec::new();
    for size in CLUSTER_SIZES {
        for in_flight in IN_FLIGHT {
            let same =
                |commits: &mut Commits| commits.size == size && commits.in_flight == in_flight;
            let runs = measured.extract_if(.., same).collect();
            all.push(median(runs, |commits: &Commits| commits.per_second));
        }
    }
    show_commits(&mut report, &machine, &all);
    report.save();
}

impl Machine {
    fn measure(time: Duration) -> Machine {
        let dir = report::scratch();
        let path = |name: &str| dir.path().join(name);
        let sync = syncs(&path("alone"), time / 4);
        let shared_sync = thread::scope(|scope| {
            let threads =
                ["a", "b", "c"].map(|name| scope.spawn(move || syncs(&path(name), time / 4)));
            let mut all = Samples::new();
            for thread in threads {
                all.merge(&thread.join().expect("a thread that syncs"));
            }
            all
        });
        Machine {
            sync,
            shared_sync,
            round_trip: round_trips(time / 4),
            mib_per_second: sequential_rate(&path("large")),
        }
    }

    /// The least time that a commit with a majority elsewhere takes, in microseconds.
    fn floor(&self, size: usize) -> f64 {
        let network = if size > 1 {
            self.round_trip.micros(0.5)
        } else {
            0.0
        };
        self.sync.micros(0.5) + network
    }
}

/// Appends an entry and waits until it is durable, again and again.
fn syncs(path: &std::path::Path, time: Duration) -> Samples {
    let mut file = File::create(path).expect("a file");
    let began = Instant::now();
    let mut samples = Samples::new();
    while began.elapsed() < time {
        let one = Instant::now();
        file.write_all(&ENTRY).expect("the disk takes it");
        file.sync_data().expect("the disk keeps it");
        samples.add(one.elapsed());
    }
    samples
}

/// MiB that the disk takes per second in large pieces, the last sync included.
fn sequential_rate(path: &std::path::Path) -> f64 {
    const PIECES: usize = 128;
    let piece = vec![7; 1 << 20];
    let mut file = File::create(path).expect("a file");
    let began = Instant::now();
    for _ in 0..PIECES {
        file.write_all(&piece).expect("the disk takes it");
    }
    file.sync_data().expect("the disk keeps it");
    PIECES as f64 / began.elapsed().as_secs_f64()
}

/// An entry sent over loopback TCP and a short answer, between two threads that wait in `read`.
fn round_trips(time: Duration) -> Samples {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a bound address");
    let echo = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("a TCP socket");
        let mut entry = ENTRY;
        while stream.read_exact(&mut entry).is_ok() {
            stream.write_all(&entry[..32]).expect("it is read");
        }
    });
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("a TCP socket");
    let began = Instant::now();
    let (mut samples, mut answer) = (Samples::new(), [0; 32]);
    while began.elapsed() < time {
        let one = Instant::now();
        stream.write_all(&ENTRY).expect("it is read");
        stream.read_exact(&mut answer).expect("an answer");
        samples.add(one.elapsed());
    }
    drop(stream);
    echo.join().expect("the echo ends");
    samples
}

fn commits(size: usize, time: Duration) -> Vec<Commits> {
    let dir = report::scratch();
    let cluster = Setup::new(size, Durability::Fsync).start(dir.path());
    let leader = cluster.leader();
    let syncs = || -> u64 {
        cluster
            .nodes
            .iter()
            .map(|node| node.log_stats().syncs)
            .sum()
    };
    let runtime = nodes::runtime();
    runtime.block_on(nodes::propose_all(
        leader,
        1,
        nodes::equipment(PRINTERS).into_iter(),
    ));
    let measure = |in_flight| {
        let (before, began) = (syncs(), Instant::now());
        let latencies = runtime.block_on(commit(leader, in_flight, time));
        let seconds = began.elapsed().as_secs_f64();
        Commits {
            size,
            in_flight,
            per_second: latencies.count() as f64 / seconds,
            latencies,
            syncs_per_second: (syncs() - before) as f64 / seconds,
        }
    };
    IN_FLIGHT.map(measure).into()
}

async fn commit(node: &Arc<Node>, in_flight: usize, time: Duration) -> Samples {
    let began = Instant::now();
    let client = async || {
        let mut samples = Samples::new();
        while began.elapsed() < time {
            let command = nodes::job(0, PRINTERS);
            let one = Instant::now();
            node.propose(command).await.expect("it commits");
            samples.add(one.elapsed());
        }
        samples
    };
    let clients = futures_util::future::join_all((0..in_flight).map(|_| client())).await;
    let mut all = Samples::new();
    clients.iter().for_each(|samples| all.merge(samples));
    all
}

fn show_machine(report: &mut Report, machine: &Machine) {
    let mut table = Figures::new(
        "What the machine can do, p50 and p99 in microseconds",
        &["operation", "p50 us", "p99 us"],
    );
    let rows = [
        ("fdatasync after 128 appended bytes", &machine.sync),
        ("the same, three threads at a time", &machine.shared_sync),
        (
            "round trip of 128 bytes over loopback TCP",
            &machine.round_trip,
        ),
    ];
    for (name, samples) in rows {
        let us = |quantile| format!("{:.0}", samples.micros(quantile));
        table.row([name.to_owned(), us(0.5), us(0.99)]);
    }
    report.table(table);
    report.finding(format!(
        "Sequential writes: {:.0} MiB/s.",
        machine.mib_per_second
    ));
}

fn show_commits(report: &mut Report, machine: &Machine, all: &[Commits]) {
    let mut table = Figures::new(
        "Commits with fsync. The floor is fdatasync, with three nodes and a round trip (p50); group commit \
         could reach all that is in flight in each floor",
        &[
            "nodes",
            "in flight",
            "p50 us",
            "p99 us",
            "p50 : floor",
            "p99 : floor",
            "commits/s",
            "of group commit",
            "syncs/s a node",
        ],
    );
    let mut plot = Plot::new(
        "Commits per second, fsync on",
        Axis::logarithmic("in flight"),
        Axis::logarithmic("commits per second"),
    );
    for size in CLUSTER_SIZES {
        let floor = machine.floor(size);
        let of_size: Vec<_> = all.iter().filter(|commits| commits.size == size).collect();
        for commits in &of_size {
            let us = |quantile| commits.latencies.micros(quantile);
            let reachable = commits.in_flight as f64 / (floor / 1e6);
            table.row([
                size.to_string(),
                commits.in_flight.to_string(),
                format!("{:.0}", us(0.5)),
                format!("{:.0}", us(0.99)),
                format!("{:.2}", us(0.5) / floor),
                format!("{:.2}", us(0.99) / floor),
                format!("{:.0}", commits.per_second),
                format!("{:.2}", commits.per_second / reachable),
                format!("{:.0}", commits.syncs_per_second / size as f64),
            ]);
        }
        let points = of_size.iter().map(|c| (c.in_flight as f64, c.per_second));
        plot.line(format!("{size} nodes"), points.collect());
        let points = of_size
            .iter()
            .map(|c| (c.in_flight as f64, c.in_flight as f64 / (floor / 1e6)));
        plot.line(
            format!("{size} nodes, if nothing but the floor cost time"),
            points.collect(),
        );
    }
    report.table(table);
    report.plot(plot);
}
