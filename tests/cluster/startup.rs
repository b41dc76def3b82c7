//! Bad input at the start, and on the Raft port: a clear error, and nothing lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use raft3d::demo::nodes::NodeSpec;

use crate::cluster_support::{JOBS, TestCluster, program};

/// Runs `serve` with the arguments of `node` changed by `changes`, until it ends by itself.
fn serve(cluster: &TestCluster, node: &NodeSpec, changes: &[(&str, &str)]) -> Output {
    let mut args = cluster.layout().serve_args(node);
    for (option, value) in changes {
        let position = args.iter().position(|arg| arg == option).unwrap();
        args[position + 1] = (*value).to_owned();
    }
    // Standard input is at its end, so that a node that does start stops by itself.
    Command::new(program())
        .args(args)
        .arg("--exit-with-stdin")
        .output()
        .unwrap()
}

#[track_caller]
fn assert_refused(output: &Output, code: i32, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[tokio::test]
async fn a_data_directory_serves_its_own_node_only_and_one_process_at_a_time() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    cluster.create(leader, JOBS, &job).await;
    let away = cluster.others(leader)[0];
    let spec = cluster.spec(away).clone();
    let dir = spec.dir.display().to_string();

    // Other ports, so that the directory is the only thing to clash over.
    let elsewhere = NodeSpec {
        http_addr: "127.0.0.1:0".into(),
        ..spec.clone()
    };
    let free = raft3d::demo::nodes::free_addresses(1).unwrap();
    let list = format!("{away}={},99=127.0.0.1:1", free[0]);
    let own_ports = [
        ("--initial-cluster", list.as_str()),
        ("--raft-addr", &free[0]),
    ];
    assert_refused(
        &serve(&cluster, &elsewhere, &own_ports),
        1,
        &[&dir, "in use"],
    );

    cluster.kill9(away).await;
    let other_id = leader.to_string();
    let list = cluster.layout().initial_cluster();
    let own = cluster.spec(leader).raft_addr.clone();
    let free_list = list.replace(&own, &free[0]);
    let wrong_node = [
        ("--node-id", other_id.as_str()),
        ("--raft-addr", &free[0]),
        ("--initial-cluster", &free_list),
    ];
    let refused = serve(&cluster, &elsewhere, &wrong_node);
    assert_refused(
        &refused,
        1,
        &[&dir, &format!("node {away}"), &format!("node {leader}")],
    );

    // Neither attempt has harmed anything.
    cluster.bring_back(away).await;
    assert_eq!(cluster.same_everywhere().await.len(), 1);
}

#[tokio::test]
async fn taken_ports_and_impossible_settings_are_named() {
    let cluster = TestCluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data").display().to_string();
    let node = cluster.spec(1);
    let busy = NodeSpec {
        dir: dir.path().join("data"),
        ..node.clone()
    };

    // Node 1 itself runs and holds both of its addresses.
    assert_refused(
        &serve(&cluster, &busy, &[]),
        1,
        &[&node.http_addr, "--http-addr"],
    );
    let free_http = [("--http-addr", "127.0.0.1:0")];
    assert_refused(&serve(&cluster, &busy, &free_http), 1, &[&node.raft_addr]);

    let file = dir.path().join("is-a-file");
    std::fs::write(&file, "").unwrap();
    let file = file.display().to_string();
    let free = raft3d::demo::nodes::free_addresses(1).unwrap();
    let list = format!("1={}", free[0]);
    let own_ports = |dir| {
        [
            ("--data-dir", dir),
            ("--http-addr", "127.0.0.1:0"),
            ("--raft-addr", free[0].as_str()),
            ("--initial-cluster", list.as_str()),
        ]
    };
    assert_refused(&serve(&cluster, node, &own_ports(&file)), 1, &[&file]);
    assert_refused(
        &serve(&cluster, node, &[("--node-id", "7")]),
        2,
        &["--node-id 7"],
    );
    let started = serve(&cluster, node, &own_ports(&data_dir));
    assert!(
        started.status.success(),
        "with everything right it starts: {started:?}"
    );
}

#[tokio::test]
async fn damaged_data_is_refused_and_not_made_worse() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000).await;
    cluster.create(leader, JOBS, &job).await;
    let away = cluster.others(leader)[0];
    let spec = cluster.spec(away).clone();
    cluster.node(away).stop().await.unwrap();

    for name in ["identity", "state", "config"] {
        let path = spec.dir.join(name);
        let good = std::fs::read(&path).unwrap();
        for bad in [
            Vec::new(),
            b"garbage".to_vec(),
            flipped(&good),
            good[..good.len() - 1].to_vec(),
        ] {
            std::fs::write(&path, &bad).unwrap();
            let refused = serve(&cluster, &spec, &[]);
            assert_refused(&refused, 1, &[&path.display().to_string()]);
            assert_eq!(std::fs::read(&path).unwrap(), bad, "{name} was changed");
        }
        std::fs::remove_file(&path).unwrap();
        assert_refused(
            &serve(&cluster, &spec, &[]),
            1,
            &[&path.display().to_string()],
        );
        std::fs::write(&path, good).unwrap();
    }
    cluster.bring_back(away).await;
    assert_eq!(cluster.same_everywhere().await.len(), 1);
}

/// `bytes` with one bit in the middle changed.
fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes
}

#[tokio::test]
async fn garbage_on_the_raft_port_harms_nothing() {
    // So long that no hiccup of a busy machine costs an election: only garbage could.
    let patient = ["--election-timeout-ms", "3000..6000"];
    let mut cluster = TestCluster::start_with(&patient).await;
    let before = cluster.leader().await;
    let job = cluster.job_template(before.node_id, 1_000).await;
    let pids: Vec<_> = (1..=3).map(|id| cluster.node(id).pid()).collect();

    let seed = 0x5eed_u64;
    println!("seed {seed:#x}");
    let mut random = seed;
    for round in 0..40 {
        let id = round % 3 + 1;
        let length = [1, 7, 39, 64, 1_000, 70_000][round as usize % 6];
        let mut bytes: Vec<u8> = (0..length).map(|_| next_byte(&mut random)).collect();
        match round % 4 {
            // A request marker, so that what follows is taken for a header.
            0 => bytes[0] = 0,
            1 => bytes[0] = 1,
            2 => bytes = b"GET / HTTP/1.1\r\nHost: raft\r\n\r\n".repeat(3),
            _ => {}
        }
        throw(&cluster.spec(id).raft_addr.clone(), &bytes);
        cluster.create(id, JOBS, &job).await;
    }
    // Connections that say nothing cost nobody else anything.
    let idle: Vec<TcpStream> = (0..100)
        .map(|n| TcpStream::connect(&cluster.spec(n % 3 + 1).raft_addr).unwrap())
        .collect();
    cluster.create(1, JOBS, &job).await;
    drop(idle);

    let after = cluster.leader().await;
    assert_eq!(
        (after.node_id, after.term),
        (before.node_id, before.term),
        "an election was held"
    );
    let pids_after: Vec<_> = (1..=3).map(|id| cluster.node(id).pid()).collect();
    assert_eq!(pids_after, pids, "a node died");
    assert_eq!(cluster.same_everywhere().await.len(), 41);
}

/// Sends bytes and waits until the node hangs up or has nothing to say.
fn throw(addr: &str, bytes: &[u8]) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    // The node may hang up before it has read everything, or wait for more; both are fine.
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 64]);
}

/// A byte of a linear congruential sequence.
fn next_byte(random: &mut u64) -> u8 {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*random >> 56) as u8
}

#[tokio::test]
async fn a_configuration_file_that_is_garbage_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("raft3d.toml");
    let run = |config: &Path| {
        Command::new(program())
            .arg("serve")
            .arg("--config")
            .arg(config)
            .output()
            .unwrap()
    };
    for (content, part) in [
        (b"\x00\xff garbage".as_slice(), "raft3d.toml"),
        (b"node-id = \"one\"", "node-id"),
        (b"node_id = 1", "node_id"),
        (
            b"node-id = 1\nelection-timeout-ms = \"600..300\"",
            "600..300",
        ),
        (b"node-id = 1\nheartbeat-ms = -5", "-5"),
        (
            b"node-id = 1\ninitial-cluster = \"1=127.0.0.1\"",
            "127.0.0.1",
        ),
        (b"", "--node-id"),
    ] {
        std::fs::write(&file, content).unwrap();
        assert_refused(&run(&file), 2, &[part]);
    }
    let missing = dir.path().join("missing.toml");
    assert_refused(&run(&missing), 2, &["missing.toml"]);
}

#[tokio::test]
async fn a_node_without_certificates_outlives_the_signal_to_read_them_again() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await;
    let pid = cluster.node(leader.node_id).pid().unwrap().to_string();
    let told = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
    assert!(told.success());
    let job = cluster.job_template(leader.node_id, 1_000).await;
    cluster.create(leader.node_id, JOBS, &job).await;
    let now = cluster.leader().await;
    assert_eq!((now.node_id, now.term), (leader.node_id, leader.term));
}
