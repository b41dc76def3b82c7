//! The program as people use it: the client against a cluster, the demo, the tour.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};

use raft3d::demo::nodes::free_addresses;
use serde_json::{Value, json};

use crate::cluster_support::{PRINTERS, TestCluster, http_client, program, send, turn, wait_until};

/// Runs the client against `endpoints` until it ends.
fn client(endpoints: &str, args: &[&str]) -> Output {
    Command::new(program())
        .args(args)
        .env("RAFT3D_ENDPOINT", endpoints)
        .output()
        .unwrap()
}

/// Runs the client, expects success, and gives what it printed as JSON.
fn client_json(endpoints: &str, args: &[&str]) -> Value {
    let output = client(endpoints, &[args, &["-o", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn endpoints(cluster: &TestCluster, order: [i32; 3]) -> String {
    order.map(|id| cluster.spec(id).http_addr.clone()).join(",")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_shows_and_changes_the_members() {
    let mut cluster = TestCluster::start().await;
    let all = endpoints(&cluster, [1, 2, 3]);
    wait_until(
        "all members are known by their HTTP addresses",
        async || {
            let view = cluster.view(1).await?;
            view.members
                .iter()
                .all(|m| m.http_addr.is_some())
                .then_some(())
        },
    )
    .await;
    let leader = cluster.leader().await.node_id;
    let heir = cluster.others(leader)[0];

    let members = client_json(&all, &["cluster", "members"]);
    let leads = |member: &&Value| member["leader"] == json!(true);
    let leaders: Vec<&Value> = members.as_array().unwrap().iter().filter(leads).collect();
    assert_eq!(leaders.len(), 1, "{members}");
    assert_eq!(leaders[0]["id"], json!(leader));

    let moved = client_json(&all, &["cluster", "transfer-leader", &heir.to_string()]);
    assert_eq!(moved, json!({ "leader": heir }));
    let voter = client_json(&all, &["cluster", "promote", &leader.to_string()]);
    assert_eq!(voter["learner"], json!(false), "it votes already");
    let removed = client(&all, &["cluster", "remove", &leader.to_string()]);
    assert!(removed.status.success(), "{removed:?}");
    let text = String::from_utf8_lossy(&removed.stdout).into_owned();
    assert!(
        text.contains("REMOVED") && text.contains(&leader.to_string()),
        "{text}"
    );
    let left = client_json(&all, &["cluster", "members"]);
    assert_eq!(left.as_array().unwrap().len(), 2, "{left}");

    let code = |args: &[&str]| client(&all, args).status.code();
    assert_eq!(code(&["cluster", "remove", "9"]), Some(3));
    let taken = [
        "cluster",
        "add",
        "9",
        "--raft-addr",
        "127.0.0.1:1",
        "--http-addr",
        "127.0.0.1:2",
    ];
    assert_eq!(code(&taken), Some(4), "no node is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_works_on_a_cluster_that_loses_a_node() {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let others = cluster.others(leader);
    // The node that will die is asked first.
    let all = endpoints(&cluster, [leader, others[0], others[1]]);

    let printer = client_json(
        &all,
        &["printers", "add", "--company", "Prusa", "--model", "MK4"],
    );
    let spool = [
        "filaments",
        "add",
        "--type",
        "pla",
        "--color",
        "red",
        "--total",
        "100",
    ];
    let filament = client_json(&all, &[&spool[..], &["--id", "red roll"]].concat());
    assert_eq!(filament["id"], json!("red roll"));
    let printer_id = printer["id"].to_string();
    let add = |grams| {
        let job = [
            "jobs",
            "add",
            "--printer",
            &printer_id,
            "--filament",
            "red roll",
        ];
        [&job[..], &["--file", "a.gcode", "--grams", grams]].concat()
    };
    let job = client_json(&all, &add("60"));
    let job_id = job["id"].to_string();
    let refused = client(&all, &add("41"));
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("40 g"),
        "{refused:?}"
    );
    assert_eq!(
        client(&all, &["jobs", "show", "no-such"]).status.code(),
        Some(3)
    );
    assert_eq!(
        client(&all, &["jobs", "done", &job_id]).status.code(),
        Some(4)
    );

    cluster.kill9(leader).await;
    assert_eq!(
        client_json(&all, &["jobs", "start", &job_id])["status"],
        "Running"
    );
    assert_eq!(
        client_json(&all, &["jobs", "done", &job_id])["status"],
        "Done"
    );
    let shown = client_json(&all, &["filaments", "show", "red roll"]);
    assert_eq!(shown["remaining_weight_in_grams"], 40);
    let status = client(&all, &["cluster", "status"]);
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(
        status.status.success() && text.contains("unreachable"),
        "{status:?}"
    );
    assert!(client(&all, &["cluster", "snapshot"]).status.success());

    cluster.kill9(others[0]).await;
    let brief = ["--timeout", "1"];
    let lone = client(&all, &[&["printers", "list"][..], &brief].concat());
    assert_eq!(lone.status.code(), Some(5), "{lone:?}");
    let eventual = ["printers", "list", "--consistency", "eventual"];
    assert_eq!(client_json(&all, &eventual), json!([printer]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bench_counts_what_is_there() {
    let mut cluster = TestCluster::start().await;
    cluster.leader().await;
    let all = endpoints(&cluster, [1, 2, 3]);
    let report = client_json(&all, &["bench", "--clients", "6", "--seconds", "1"]);
    assert!(
        report["created"]
            .as_u64()
            .is_some_and(|created| created > 0),
        "{report:#}"
    );
    assert_eq!(report["stored"], report["created"], "{report:#}");
    assert_eq!(report["failed"], 0, "{report:#}");
    assert!(report["latency_ms"]["p99"].as_f64() >= report["latency_ms"]["p50"].as_f64());
}

/// A running `raft3d demo`; ends with this value.
struct Demo {
    child: Child,
    dir: PathBuf,
    http: Vec<String>,
    raft: Vec<String>,
    printed: Arc<Mutex<String>>,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // One that has ended already is as good; its nodes end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the demo printed:\n{}", self.printed.lock().unwrap());
        }
    }
}

impl Demo {
    fn start(dir: &Path, addresses: &[String]) -> Demo {
        let (http, raft) = addresses.split_at(3);
        let mut child = Command::new(program())
            .args(["demo", "--http", &http.join(","), "--raft", &raft.join(",")])
            .arg("--dir")
            .arg(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let printed: Arc<Mutex<String>> = Arc::default();
        collect(child.stdout.take().unwrap(), printed.clone());
        collect(child.stderr.take().unwrap(), printed.clone());
        Demo {
            child,
            dir: dir.to_owned(),
            http: http.to_vec(),
            raft: raft.to_vec(),
            printed,
        }
    }

    async fn wait_for_text(&self, text: &str) {
        wait_until(&format!("the demo prints `{text}`"), async || {
            self.printed.lock().unwrap().contains(text).then_some(())
        })
        .await;
    }

    async fn ended(&mut self) -> ExitStatus {
        wait_until("the demo ends", async || self.child.try_wait().unwrap()).await
    }

    fn pid_file(&self, id: i32) -> PathBuf {
        self.dir.join(format!("node{id}/pid"))
    }

    /// Waits until nobody listens on any of the nodes' addresses.
    async fn nodes_are_gone(&self) {
        for addr in self.http.iter().chain(&self.raft) {
            wait_until(&format!("nobody listens on {addr}"), async || {
                TcpStream::connect(addr).is_err().then_some(())
            })
            .await;
        }
    }
}

/// Gathers what a process prints, on a thread that ends with the process.
fn collect(stream: impl std::io::Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().unwrap().push_str(&(line + "\n"));
        }
    });
}

fn signal(name: &str, pid: &str) {
    let command = format!("kill -{name} {pid}");
    assert!(
        Command::new("sh")
            .args(["-c", &command])
            .status()
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn the_demo_runs_three_nodes_and_takes_them_along() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let addresses = free_addresses(6).unwrap();
    let mut demo = Demo::start(dir.path(), &addresses);
    demo.wait_for_text("leads term").await;
    let printers = |demo: &Demo, id: usize| format!("http://{}{PRINTERS}", demo.http[id - 1]);
    let body = json!({"company": "Prusa", "model": "MK4"});
    let created = wait_until("a leader takes the write", async || {
        let reply = send(http_client().post(printers(&demo, 1)).json(&body))
            .await
            .unwrap();
        Some(reply).filter(|reply| reply.status != 503)
    })
    .await;
    let created = created.expect(201).body;

    // A second one on the same addresses says which are taken.
    let mut second = Demo::start(&dir.path().join("second"), &addresses);
    assert_eq!(second.ended().await.code(), Some(1));
    second.wait_for_text(&addresses[5]).await;
    drop(second);

    // A node that dies is reported, with the way to start it again.
    let pid = std::fs::read_to_string(demo.pid_file(2)).unwrap();
    signal("KILL", pid.trim());
    demo.wait_for_text("Node 2 ended").await;
    demo.wait_for_text("serve --node-id 2").await;
    assert!(!demo.pid_file(2).exists());

    signal("TERM", &demo.child.id().to_string());
    assert!(demo.ended().await.success());
    demo.nodes_are_gone().await;
    assert!((1..=3).all(|id| !demo.pid_file(id).exists()));

    // The data is still there, and other addresses for it are refused.
    let mut moved = addresses.clone();
    moved[5] = free_addresses(1).unwrap().remove(0);
    let mut other = Demo::start(dir.path(), &moved);
    assert_eq!(other.ended().await.code(), Some(1));
    other.wait_for_text("another --dir").await;
    let demo = Demo::start(dir.path(), &addresses);
    demo.wait_for_text("leads term").await;
    let listed = wait_until("a leader confirms the read", async || {
        let reply = send(http_client().get(printers(&demo, 3))).await.unwrap();
        Some(reply).filter(|reply| reply.status != 503)
    })
    .await
    .expect(200);
    assert_eq!(listed.body, json!([created]));
}

#[tokio::test]
async fn a_demo_that_is_killed_takes_its_nodes_along() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(dir.path(), &free_addresses(6).unwrap());
    demo.wait_for_text("leads term").await;
    demo.child.kill().unwrap();
    demo.ended().await;
    demo.nodes_are_gone().await;
}

#[tokio::test]
async fn everything_that_the_tour_shows_holds() {
    let _turn = turn().await;
    let output = Command::new(program())
        .args(["demo", "--tour"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for part in [
        "elected leader",
        "SIGKILL",
        "nothing is lost",
        "snapshot",
        "Everything held",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    println!("{text}");
}
