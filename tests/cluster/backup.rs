//! Backups of clusters of real processes, new clusters from them, and from what a lost one left. The
//! commands are those of docs/backup.md.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use raft3d::storage::Stage;
use serde_json::{Value, json};

use crate::cluster_support::load::Load;
use crate::cluster_support::nodes::Nodes;
use crate::cluster_support::{JOBS, PRINTERS, TestCluster, program, turn, wait_until};

const SNAPSHOTS: &str = "/api/v1/cluster/snapshots";

/// Runs the program to its end.
fn raft3d<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Output {
    Command::new(program()).args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What the program printed; it must have ended well.
#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{output:#?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What the program complained of; it must have ended with code 1 and this text.
#[track_caller]
fn refused(output: &Output, told: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:#?}");
    assert!(complaint.contains(told), "`{told}` is not in {complaint}");
}

fn back_up(endpoints: &str, out: &Path) -> Output {
    raft3d(&[
        "backup",
        "--out",
        text(out),
        "--endpoint",
        endpoints,
        "-o",
        "json",
    ])
}

/// What `raft3d backup` says of the cluster at `endpoints`.
#[track_caller]
fn backed_up(endpoints: &str, out: &Path) -> Value {
    serde_json::from_str(&done(&back_up(endpoints, out))).unwrap()
}

fn restore(file: &Path, dir: &Path, node: i32, members: &str, token: &str) -> Output {
    let node = node.to_string();
    raft3d(&[
        "restore",
        text(file),
        "--data-dir",
        text(dir),
        "--node-id",
        &node,
        "--initial-cluster",
        members,
        "--cluster-token",
        token,
    ])
}

/// The word after `label` in what `restore` or `recover` printed.
fn field<'a>(printed: &'a str, label: &str) -> &'a str {
    let line = printed
        .lines()
        .find(|line| line.trim_start().starts_with(label));
    let line = line
        .unwrap_or_else(|| panic!("no {label} in {printed}"))
        .trim_start();
    line[label.len()..].split_whitespace().next().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_backed_up_under_load_and_destroyed_is_restored() {
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("farm.backup");
    let (before, said) = {
        let mut cluster = TestCluster::start().await;
        let leader = cluster.leader().await.node_id;
        let job = cluster.job_template(leader, 1_000_000).await;
        let endpoints: Vec<String> = (1..=3)
            .map(|id| cluster.spec(id).http_addr.clone())
            .collect();
        let urls = (1..=3).map(|id| cluster.url(id)).collect();
        let load = Load::start(urls, job, Duration::from_millis(5), Some("load".into()));
        load.more(200).await;
        let before = cluster.list(leader, JOBS, "linearizable").await;
        let said = backed_up(&endpoints.join(","), &file);
        load.more(100).await;
        let failed = load.failed();
        assert!(
            failed.is_empty(),
            "writes go on during a backup: {failed:#?}"
        );
        load.stop().await;
        // Another backup does not take its place.
        let again = back_up(&endpoints.join(","), &file);
        assert_eq!(again.status.code(), Some(2), "{again:#?}");
        (before, said)
        // All processes and directories of the cluster end here.
    };
    let verified = raft3d(&["backup", "verify", text(&file), "-o", "json"]);
    let verified: Value = serde_json::from_str(&done(&verified)).unwrap();
    assert_eq!(verified, said);
    assert!(said["print_jobs"].as_u64().unwrap() >= before.len() as u64);

    let refusing = kept.path().join("refusing");
    let good = std::fs::read(&file).unwrap();
    let members = "1=127.0.0.1:9081";
    for byte in [0, 9, 13, good.len() / 2, good.len() - 50, good.len() - 1] {
        let mut bad = good.clone();
        bad[byte] ^= 1;
        let path = kept.path().join("bad.backup");
        std::fs::write(&path, bad).unwrap();
        refused(
            &raft3d(&["backup", "verify", text(&path)]),
            "cannot be used",
        );
        refused(
            &restore(&path, &refusing, 1, members, "t"),
            "cannot be used",
        );
        assert!(!refusing.exists(), "nothing is written from a bad backup");
    }

    let mut clusters = Vec::new();
    let mut cluster = TestCluster::start_prepared(&[], |layout| {
        for node in &layout.nodes {
            let restored = restore(&file, &node.dir, node.id, &layout.initial_cluster(), "one");
            done(&restored);
        }
    })
    .await;
    for id in 1..=3 {
        clusters.push(cluster.view(id).await.unwrap().cluster_id.unwrap());
    }
    assert!(clusters.iter().all(|id| *id == clusters[0]), "{clusters:?}");
    assert_ne!(
        json!(clusters[0]),
        said["cluster_id"],
        "it is a new cluster"
    );
    let leader = cluster.leader().await.node_id;
    let endpoint = cluster.spec(leader).http_addr.clone();
    let now = backed_up(&endpoint, &kept.path().join("again.backup"));
    for same in ["farm_hash", "printers", "filaments", "print_jobs"] {
        assert_eq!(now[same], said[same], "{same}");
    }
    let jobs = cluster.same_everywhere().await;
    for job in &before {
        assert!(jobs.contains(job), "{job} was there before the backup");
    }

    // It is a cluster like any other: it takes writes, survives kills and tells replays.
    let printer = json!({"company": "Prusa", "model": "XL"});
    cluster.create(leader, PRINTERS, &printer).await;
    for id in 1..=3 {
        cluster.kill9(id).await;
    }
    for id in 1..=3 {
        cluster.bring_back(id).await;
    }
    assert_eq!(cluster.same_everywhere().await.len(), jobs.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restored_otherwise_is_not_let_in() {
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("farm.backup");
    {
        let cluster = TestCluster::start().await;
        cluster.job_template(1, 100).await;
        backed_up(&cluster.spec(1).http_addr.clone(), &file);
    }
    let mut nodes = Nodes::none(Some(turn().await));
    nodes.layout.nodes.truncate(3);
    let members = nodes.layout.initial_cluster();
    let mut names = Vec::new();
    for (id, token) in [(1, "monday"), (2, "monday"), (3, "tuesday")] {
        let printed = done(&restore(&file, &nodes.spec(id).dir, id, &members, token));
        names.push(field(&printed, "new cluster").to_owned());
        nodes.start(id);
    }
    assert!(names[0] == names[1] && names[1] != names[2], "{names:?}");
    wait_until("the two that belong together have a leader", async || {
        nodes.status(1).await?.leader
    })
    .await;
    wait_until("the third is turned away", async || {
        let told = nodes.log(1) + &nodes.log(2);
        told.contains(&names[2]).then_some(())
    })
    .await;
    let third = nodes.status(3).await.unwrap();
    assert_eq!(third.leader, None, "{third:#?}");
    assert_eq!(third.cluster_id.unwrap().to_string(), names[2]);
}

/// Waits until the directory of node `id` says which cluster it is of: a node writes that down a
/// moment after it has heard it.
async fn wait_until_it_keeps(nodes: &Nodes, id: i32, cluster: &str) {
    let name = u128::from_str_radix(cluster, 16).unwrap().to_be_bytes();
    let standing = nodes.spec(id).dir.join("standing");
    wait_until(&format!("node {id} keeps its cluster's name"), async || {
        let kept = std::fs::read(&standing).ok()?;
        let there = kept.windows(name.len()).any(|bytes| bytes == name);
        there.then_some(())
    })
    .await;
}

fn recover(dir: &Path, new_dir: &Path) -> Output {
    raft3d(&[
        "recover",
        "--unsafe-force-new-cluster",
        "--data-dir",
        text(dir),
        "--new-data-dir",
        text(new_dir),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_majority_is_gone_goes_on_from_the_survivor() {
    let mut nodes = Nodes::found(3).await;
    let survivor = nodes.leader().await;
    let others: Vec<i32> = (1..=3).filter(|id| *id != survivor).collect();
    let old = nodes.status(survivor).await.unwrap().cluster_id.unwrap();
    let printer = json!({"company": "Prusa", "model": "MK4"});
    for _ in 0..20 {
        nodes.post(survivor, PRINTERS, &printer).await.expect(201);
    }
    for id in &others {
        wait_until_it_keeps(&nodes, *id, &old.to_string()).await;
        nodes.kill(*id).await;
    }
    nodes.kill(survivor).await;

    let dir = nodes.spec(survivor).dir.clone();
    let inspected = done(&raft3d(&["recover", "--inspect", "--data-dir", text(&dir)]));
    assert_eq!(field(&inspected, "cluster"), old.to_string());
    assert!(
        field(&inspected, "last index").parse::<u64>().unwrap() >= 20,
        "{inspected}"
    );
    assert!(inspected.contains("20 printers"), "{inspected}");
    let files = |dir: &Path| -> Vec<PathBuf> {
        let mut paths: Vec<_> = walk(dir);
        paths.sort();
        paths
    };
    let kept = files(&dir);

    // Without the flag, nothing; into a directory in use, nothing.
    let new_dir = nodes.path("recovered");
    let unflagged = [
        "recover",
        "--data-dir",
        text(&dir),
        "--new-data-dir",
        text(&new_dir),
    ];
    assert_eq!(raft3d(&unflagged).status.code(), Some(2));
    assert!(!new_dir.exists());
    refused(&recover(&dir, &nodes.spec(others[0]).dir), "is not empty");

    let output = recover(&dir, &new_dir);
    let warnings = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed = done(&output);
    assert!(
        warnings.contains("ARE LOST") && warnings.contains("NEW cluster"),
        "{warnings}"
    );
    assert_eq!(files(&dir), kept, "the old directory is kept");

    nodes.layout.nodes[survivor as usize - 1].dir = new_dir.clone();
    nodes.start(survivor);
    let listed = nodes
        .ask(survivor, |http, url| http.get(url + PRINTERS))
        .await
        .expect(200);
    assert_eq!(
        listed.body.as_array().unwrap().len(),
        20,
        "all that was acknowledged"
    );
    let now = nodes.status(survivor).await.unwrap();
    let new = now.cluster_id.unwrap();
    assert_eq!(new.to_string(), field(&printed, "new cluster"));
    assert_ne!(new, old);
    assert_eq!(now.members.len(), 1);
    nodes.post(survivor, PRINTERS, &printer).await.expect(201);

    // A member of the old cluster comes back with its directory.
    let stray = others[0];
    nodes.start(stray);
    wait_until("the stray node is turned away", async || {
        nodes.log(survivor).contains(&old.to_string()).then_some(())
    })
    .await;
    let told = nodes.status(stray).await.unwrap();
    assert_eq!((told.leader, told.cluster_id), (None, Some(old)));
    let stray_addrs = json!({
        "id": stray,
        "raft_addr": nodes.spec(stray).raft_addr,
        "http_addr": nodes.spec(stray).http_addr,
    });
    let invited = nodes
        .post(survivor, "/api/v1/cluster/members", &stray_addrs)
        .await;
    invited.expect_problem(409, "other-node");
    nodes.kill(stray).await;

    // With an empty one it joins, under its id.
    let join = nodes.spec(survivor).http_addr.clone();
    let empty = nodes.path("empty");
    let spec = &mut nodes.layout.nodes[stray as usize - 1];
    spec.dir = empty;
    spec.join = Some(join);
    nodes.join(stray).await;
    wait_until("the node is a member of the new cluster", async || {
        let status = nodes.status(stray).await?;
        (status.cluster_id == Some(new) && status.stage == Stage::Member).then_some(())
    })
    .await;
}

/// All files below `dir`.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(walk(&path)),
            false => files.push(path),
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_takes_snapshots_by_time_and_hands_them_out() {
    let mut cluster = TestCluster::start_with(&["--snapshot-interval-s", "1"]).await;
    cluster.job_template(1, 100).await;
    let applied = cluster.equal_indexes().await;
    for id in 1..=3 {
        wait_until("there is a snapshot of all that was applied", async || {
            (cluster.view(id).await?.snapshot_index >= applied).then_some(())
        })
        .await;
        let listed = cluster.get(id, SNAPSHOTS).await.expect(200).body;
        let newest = listed.as_array().unwrap().last().unwrap();
        let index = newest["index"].as_u64().unwrap();
        assert!(index >= applied, "{listed}");
        let got = cluster
            .look(id, &format!("{SNAPSHOTS}/{index}"))
            .await
            .expect(200);
        assert_eq!(got.header("content-length"), newest["bytes"].to_string());
        assert!(
            got.header("repr-digest").starts_with("sha-256=:"),
            "{got:#?}"
        );
    }
}
