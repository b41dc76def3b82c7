//! Nodes whose disk fails, and nodes that are started on a damaged one.

mod cluster_support;
#[allow(dead_code)] // The tests under faults use the rest.
#[path = "faults/disk.rs"]
mod disk;
mod exposition;
#[allow(dead_code)]
#[path = "faults/power.rs"]
mod power;
#[allow(dead_code)]
#[path = "faults/rng.rs"]
mod rng;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_support::{JOBS, PATIENCE, TestCluster, http_client, program, wait_until};
use disk::{Control, Disk, compile_shim};
use exposition::Page;
use raft3d::demo::nodes::{Layout, NodeSpec};
use rng::Rng;
use serde_json::Value;
use tokio::time::{Instant, timeout};

const EVENTUAL_JOBS: &str = "/api/v1/print_jobs?consistency=eventual";
/// Longest wait for the process of a failed node to end: more than its grace.
const GRACE_PATIENCE: Duration = Duration::from_secs(60);

/// A cluster whose disks fail on demand.
struct BadDisks {
    cluster: TestCluster,
    disks: BTreeMap<i32, Disk>,
}

impl BadDisks {
    async fn start() -> BadDisks {
        let disks = RefCell::default();
        let cluster = TestCluster::start_prepared(&[], |layout| {
            let shim = compile_shim(&layout.dir);
            let new = layout.nodes.iter().map(|node| {
                fs::create_dir_all(&node.dir).unwrap();
                (node.id, Disk::new(&node.dir))
            });
            disks.replace(new.collect());
            layout.exe = write_launcher(layout, &shim);
        })
        .await;
        let disks = disks.into_inner();
        BadDisks { cluster, disks }
    }

    /// Lets every call of the kind `field` fail on node `id`.
    fn fail(&self, id: i32, field: Control, errno: i32) {
        self.disks[&id].set(field, errno);
    }

    /// Waits until node `id` says that it has failed.
    async fn wait_for_failure(&self, id: i32) {
        let what = format!("node {id} says that it has failed");
        wait_until(&what, async || {
            let reply = self.cluster.look(id, "/readyz").await;
            (reply.body["type"] == "/problems/node-failed").then_some(())
        })
        .await;
    }

    /// What a failed node must be like: of no use to the cluster, open about it, and readable.
    async fn assert_failed(&self, id: i32, job: &Value, known: &Value) {
        let cluster = &self.cluster;
        let write = |http: &reqwest::Client, url: String| http.post(url + JOBS).json(job);
        for refusal in [
            cluster.look(id, "/readyz").await,
            cluster.send_once(id, write).await,
            cluster.look(id, JOBS).await,
        ] {
            let refusal = refusal.expect_problem(503, "node-failed");
            let detail = refusal.body["detail"].as_str().unwrap();
            assert!(detail.contains("the log cannot be written"), "{detail}");
            assert_ne!(refusal.header("retry-after"), "");
        }
        cluster.look(id, "/healthz").await.expect(200);
        let metrics = http_client().get(cluster.url(id) + "/metrics").send().await;
        let page = Page::parse(&metrics.unwrap().text().await.unwrap());
        let shown = |name| page.value(name, &[]);
        assert_eq!(shown("raft3d_node_failed"), 1.0);
        assert_eq!(shown("raft3d_raft_has_leader"), 0.0);
        let eventual = cluster.look(id, EVENTUAL_JOBS).await.expect(200).body;
        assert!(eventual.as_array().unwrap().contains(known), "{eventual}");
        let view = cluster.look(id, "/api/v1/cluster").await.expect(200).body;
        assert_eq!(
            (&view["role"], &view["leader"]),
            (&"follower".into(), &Value::Null)
        );
        assert_ne!(view["failure"], Value::Null);
        let log = fs::read_to_string(cluster.spec(id).log_path()).unwrap();
        assert!(log.contains("this node cannot go on"), "{log}");
    }

    /// Writes through the nodes `ids` in turn until one is accepted.
    async fn next_accepted(&self, ids: &[i32], job: &Value) {
        let mut turn = ids.iter().cycle();
        wait_until("a write is accepted", async || {
            let id = *turn.next()?;
            let write = |http: &reqwest::Client, url: String| http.post(url + JOBS).json(job);
            let status = self.cluster.send_once(id, write).await.status;
            (status == 201).then_some(())
        })
        .await;
    }

    /// Repairs the disk of node `id`, whose process has ended, and starts it again.
    async fn restart(&mut self, id: i32) {
        self.disks[&id].repair();
        self.cluster.bring_back(id).await;
        wait_until("the node is ready again", async || {
            let status = self.cluster.look(id, "/readyz").await.status;
            (status == 200).then_some(())
        })
        .await;
    }
}

/// A program that puts a node on its disk, which is beside its data directory, and becomes it.
fn write_launcher(layout: &Layout, shim: &Path) -> PathBuf {
    let path = layout.dir.join("start-node");
    let script = format!(
        "#!/bin/sh\n# serve --node-id ID --data-dir DIR ...\nexec env LD_PRELOAD='{}' \
         RAFT3D_FAULT_DIR=\"$5\" RAFT3D_FAULT_CONTROL=\"$5.control\" \
         RAFT3D_FAULT_JOURNAL=\"$5.journal\" '{}' \"$@\"\n",
        shim.display(),
        program().display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_follower_whose_syncs_fail_leaves_the_cluster_says_why_and_comes_back_by_a_restart() {
    let mut bad = BadDisks::start().await;
    let before = bad.cluster.leader().await;
    let leader = before.node_id;
    let follower = bad.cluster.others(leader)[0];
    let job = bad.cluster.job_template(leader, 1_000_000).await;
    let known = bad.cluster.create(leader, JOBS, &job).await;
    bad.cluster.equal_indexes().await;

    bad.fail(follower, Control::SyncErrno, libc::EIO);
    bad.cluster.create(leader, JOBS, &job).await;
    bad.wait_for_failure(follower).await;
    let failed = Instant::now();
    bad.assert_failed(follower, &job, &known).await;
    // The rest of the cluster does not care, as long as the failed node is there and after it.
    let mut ended = None;
    while ended.is_none() {
        bad.cluster.create(leader, JOBS, &job).await;
        ended = bad.cluster.node(follower).newly_ended();
        assert!(failed.elapsed() < GRACE_PATIENCE, "the process goes on");
    }
    println!("the failed follower ended after {:?}", failed.elapsed());
    assert_eq!(ended.unwrap().code(), Some(1));
    let log = fs::read_to_string(bad.cluster.spec(follower).log_path()).unwrap();
    assert!(
        log.contains("raft3d: the node cannot go on: the log cannot"),
        "{log}"
    );
    let after = bad.cluster.view(leader).await.unwrap();
    assert_eq!((after.leader, after.term), (Some(leader), before.term));

    bad.restart(follower).await;
    assert!(bad.cluster.same_everywhere().await.contains(&known));
}

#[tokio::test]
async fn a_leader_whose_disk_fails_gives_way_at_once() {
    let mut bad = BadDisks::start().await;
    let faults = [
        ("syncs, EIO", Control::SyncErrno, libc::EIO),
        ("writes, ENOSPC", Control::WriteErrno, libc::ENOSPC),
        ("writes, EIO", Control::WriteErrno, libc::EIO),
    ];
    let leader = bad.cluster.leader().await.node_id;
    let job = bad.cluster.job_template(leader, 1_000_000).await;
    for (what, field, errno) in faults {
        let leader = bad.cluster.leader().await.node_id;
        let others = bad.cluster.others(leader);
        let known = bad.cluster.create(leader, JOBS, &job).await;
        bad.cluster.equal_indexes().await;

        let begun = Instant::now();
        bad.fail(leader, field, errno);
        let write = |http: &reqwest::Client, url: String| http.post(url + JOBS).json(&job);
        // The two others may have it on their disks before the leader notices its own.
        let last = bad.cluster.send_once(leader, write).await;
        assert!([201, 503].contains(&last.status), "{last:#?}");
        println!(
            "{what}: the leader answers {} after {:?}",
            last.status,
            begun.elapsed()
        );
        bad.next_accepted(&others, &job).await;
        let took = begun.elapsed();
        println!("{what}: the next write is accepted {took:?} after the fault");
        assert!(
            took < PATIENCE / 6,
            "the next write is accepted only after {took:?}"
        );

        bad.wait_for_failure(leader).await;
        bad.assert_failed(leader, &job, &known).await;
        let stopped = Instant::now();
        assert_eq!(terminate(&mut bad.cluster, leader).await, Some(1));
        println!(
            "{what}: asked to stop, it ended after {:?}",
            stopped.elapsed()
        );
        bad.restart(leader).await;
        assert!(bad.cluster.same_everywhere().await.contains(&known));
    }
}

/// Asks node `id` to stop, which it does although its time of grace is not over; its exit code.
async fn terminate(cluster: &mut TestCluster, id: i32) -> Option<i32> {
    let pid = cluster.node(id).pid().unwrap().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(sent.unwrap().success());
    let ended = timeout(PATIENCE / 3, cluster.node(id).wait()).await;
    ended
        .expect("a failed node stops when asked")
        .unwrap()
        .code()
}

/// One kind of damage to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    CutTo(usize),
    Flipped { bit: usize },
}

impl Damage {
    fn done_to(self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        match self {
            Damage::CutTo(len) => bytes.truncate(len),
            Damage::Flipped { bit } => bytes[bit / 8] ^= 1 << (bit % 8),
        }
        bytes
    }
}

/// The real program on damaged files of each kind. `storage/hostile.rs` tries every length and many
/// bits below the program; this shows what people see of it.
#[tokio::test]
async fn a_damaged_directory_is_refused_by_name_and_left_as_it_is() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = seed.as_nanos() as u64;
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut cluster = TestCluster::start_with(&["--snapshot-distance", "20"]).await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000_000).await;
    for _ in 0..50 {
        cluster.create(leader, JOBS, &job).await;
    }
    let id = cluster.others(leader)[0];
    wait_until("the node has a snapshot", async || {
        (cluster.view(id).await?.snapshot_index > 0).then_some(())
    })
    .await;
    // All of them: what is started below must find nobody to make promises to.
    for id in 1..=3 {
        cluster.node(id).stop().await.unwrap();
    }

    let original = contents(&cluster.spec(id).dir);
    let sound = Trial::on(&cluster, id, &original);
    assert!(sound.output.status.success(), "{sound:?}");
    let mut refused = 0;
    for (file, good) in &original {
        let middle = good.len() as u64 / 2;
        let damages = [
            Damage::CutTo(rng.between(1, middle) as usize),
            Damage::Flipped {
                bit: rng.between(0, middle * 8 - 1) as usize,
            },
        ];
        for damage in damages {
            println!("{} {damage:?}", file.display());
            let mut damaged = original.clone();
            damaged.insert(file.clone(), damage.done_to(good));
            let trial = Trial::on(&cluster, id, &damaged);
            if may_recover(file) && trial.output.status.success() {
                continue;
            }
            trial.assert_refused(file, &damaged);
            // And again: trying once more must not help.
            trial.again().assert_refused(file, &damaged);
            refused += 1;
        }
    }
    assert!(refused >= 8, "only {refused} kinds of damage were refused");
}

/// The content of each file of a node's data, by its path in the directory.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// What is in `dir`, but for what is no data.
fn contents(dir: &Path) -> Contents {
    let mut found = Contents::new();
    for part in ["", "log", "snapshots"] {
        for item in fs::read_dir(dir.join(part)).unwrap() {
            let path = item.unwrap().path();
            let name = path.strip_prefix(dir).unwrap().to_owned();
            let no_data = ["LOCK", "log/LOCK", "pid", "raft3d.log"];
            if path.is_file() && !no_data.iter().any(|other| name == Path::new(other)) {
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Whether a node can do without what was in the file: if it cannot tell how far the log was
/// durable it believes the log, and an older snapshot stands in for a newer one as long as the log
/// reaches back.
fn may_recover(file: &Path) -> bool {
    file.ends_with("log/durable") || file.starts_with("snapshots")
}

/// One start of the program on given data.
#[derive(Debug)]
struct Trial {
    dir: tempfile::TempDir,
    args: Vec<String>,
    output: Output,
}

impl Trial {
    /// Runs node `id` on `data` until it ends: by itself, or because its standard input has.
    fn on(cluster: &TestCluster, id: i32, data: &Contents) -> Trial {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in data {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let spec = NodeSpec {
            dir: dir.path().to_owned(),
            ..cluster.spec(id).clone()
        };
        let args = cluster.layout().serve_args(&spec);
        let output = Trial::run(&args);
        Trial { dir, args, output }
    }

    fn again(self) -> Trial {
        let output = Trial::run(&self.args);
        Trial { output, ..self }
    }

    fn run(args: &[String]) -> Output {
        let mut serve = Command::new(program());
        serve.args(args).arg("--exit-with-stdin").output().unwrap()
    }

    /// Asserts that the start was refused because of `file`, which people are told, with what to
    /// do, and that `data` is what it was.
    fn assert_refused(&self, file: &Path, data: &Contents) {
        let text = String::from_utf8_lossy(&self.output.stderr);
        assert_eq!(self.output.status.code(), Some(1), "{text}");
        let path = self.dir.path().join(file);
        let last = text.lines().last().unwrap_or_default();
        // Of the log, whose files are one whole, the directory is named.
        let name = match file.starts_with("log") {
            true => path.parent().unwrap(),
            false => &path,
        };
        assert!(last.contains(&name.display().to_string()), "{text}");
        assert!(
            last.contains("move the whole data directory away"),
            "{text}"
        );
        assert!(!text.contains("panicked"), "{text}");
        for (name, found) in contents(self.dir.path()) {
            let unchanged = match data.get(&name) {
                // Of a record that a cut has torn the rest is cut off as well.
                Some(before) if name.starts_with("log") => before.starts_with(&found),
                Some(before) => *before == found,
                // The log begins a new file when it is opened.
                None => name.starts_with("log"),
            };
            assert!(unchanged, "{} was changed", name.display());
        }
    }
}
