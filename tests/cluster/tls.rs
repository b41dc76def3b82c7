//! Clusters of real processes under TLS, and strangers at both of their ports.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use raft3d::client::http::{HttpClient, believing};
use raft3d::tls::authority::{Authority, Pair, Validity};
use raft3d::tls::{credentials, node_name};
use serde_json::{Value, json};

use crate::cluster_support::certs::{Certs, DAYS, HOST};
use crate::cluster_support::{
    JOBS, PATIENCE, TestCluster, http_client, program, send, turn, wait_until,
};

/// So long that a hiccup of a busy machine costs no election, which would show as a failed write.
const PATIENT: [&str; 2] = ["--election-timeout-ms", "2000..4000"];

/// Three nodes under TLS, and a leader.
async fn secured(args: &[&str]) -> (TestCluster, Certs) {
    let mut certs = None;
    let cluster = TestCluster::start_prepared(args, |layout| {
        certs = Some(Certs::prepare(layout));
    })
    .await;
    (cluster, certs.unwrap())
}

/// One more client, which makes connections of its own.
fn fresh_client(certs: &Certs) -> reqwest::Client {
    HttpClient::new(Some(&certs.ca())).unwrap().get()
}

fn log_of(cluster: &TestCluster, id: i32) -> String {
    fs::read_to_string(cluster.spec(id).log_path()).unwrap()
}

async fn wait_for_log(cluster: &TestCluster, id: i32, what: &str) {
    wait_until(&format!("node {id} logs `{what}`"), async || {
        log_of(cluster, id).contains(what).then_some(())
    })
    .await;
}

fn expired() -> Validity {
    let now = Timestamp::now();
    Validity {
        from: now - 48.hours(),
        until: now - 24.hours(),
    }
}

/// What `openssl s_client` gets from a Raft port, showing the certificate of `shown`, if any.
fn knock(addr: &str, dir: &Path, shown: Option<&Pair>) -> Output {
    let mut client = Command::new("openssl");
    // With 1.2 the handshake tells both sides; with 1.3 only what is sent afterwards fails.
    client.args(["s_client", "-tls1_2", "-connect", addr]);
    if let Some(pair) = shown {
        let (cert, key) = (dir.join("shown.crt"), dir.join("shown.key"));
        fs::write(&cert, &pair.cert).unwrap();
        fs::write(&key, &pair.key).unwrap();
        client.arg("-cert").arg(cert).arg("-key").arg(key);
    }
    client.stdin(Stdio::null()).output().unwrap()
}

fn was_let_in(output: &Output) -> bool {
    let text = [output.stdout.clone(), output.stderr.clone()].concat();
    output.status.success() && !String::from_utf8_lossy(&text).contains("alert")
}

#[tokio::test]
async fn a_cluster_under_tls_elects_serves_and_fails_over() {
    let (mut cluster, certs) = secured(&[]).await;
    let job = cluster.job_template(1, 1_000).await;
    let leader = cluster.leader().await.leader.unwrap();
    for id in 1..=3 {
        cluster.post(id, JOBS, &job).await.expect(201);
    }
    // Everybody sees where the nodes are, scheme and all.
    wait_until("all nodes have announced their APIs", async || {
        let views = cluster.views().await;
        let mut addrs = views
            .iter()
            .flat_map(|view| view.members.iter().map(|m| m.http_addr.clone()));
        addrs
            .all(|addr| addr.is_some_and(|addr| addr.starts_with("https://127.0.0.1:")))
            .then_some(())
    })
    .await;
    // A change of the leader is passed on to it by HTTP.
    let follower = cluster.others(leader)[0];
    let transfer = "/api/v1/cluster/transfer-leader";
    cluster
        .post(follower, transfer, &json!({}))
        .await
        .expect(200);
    let leader = cluster.leader().await.leader.unwrap();
    cluster.kill9(leader).await;
    let survivor = cluster.others(leader)[0];
    wait_until("the others elect a leader", async || {
        let reply = cluster.post(survivor, JOBS, &job).await;
        (reply.status == 201).then_some(())
    })
    .await;
    cluster.bring_back(leader).await;
    let jobs = cluster.same_everywhere().await;
    assert!(jobs.len() >= 4, "{jobs:?}");
    let metrics = reqwest_text(&fresh_client(&certs), &(cluster.url(1) + "/metrics")).await;
    for certificate in ["node", "ca"] {
        let series = format!(
            "raft3d_tls_certificate_expiry_timestamp_seconds{{certificate=\"{certificate}\"}} "
        );
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        let until: f64 = line.expect(&series).parse().unwrap();
        let days = (until - Timestamp::now().as_second() as f64) / 86_400.0;
        assert!((29.0..=30.0).contains(&days), "{days}");
    }
}

async fn reqwest_text(client: &reqwest::Client, url: &str) -> String {
    client.get(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn strangers_are_refused_at_the_raft_port_and_nobody_else_notices() {
    let (mut cluster, certs) = secured(&PATIENT).await;
    let job = cluster.job_template(1, 100_000).await;
    let term = cluster.leader().await.term;
    let raft = cluster.spec(1).raft_addr.clone();
    let scratch = tempfile::tempdir().unwrap();
    let client = load(&cluster, &certs, &job);

    let other = Authority::create(Validity::days(DAYS)).unwrap();
    let names = vec![HOST.to_owned()];
    let cases = [
        (None, "peer did not return a certificate"),
        (
            Some(other.node(2, &names, Validity::days(DAYS)).unwrap()),
            "unable to get local issuer certificate",
        ),
        (
            Some(certs.node_until(2, expired())),
            "certificate has expired",
        ),
        (
            Some(
                certs
                    .authority
                    .issue("a client", names, Validity::days(DAYS))
                    .unwrap(),
            ),
            "it has no name of the form node-N.raft3d",
        ),
    ];
    for (shown, reason) in cases {
        let output = knock(&raft, scratch.path(), shown.as_ref());
        assert!(!was_let_in(&output), "{reason}: {output:?}");
        wait_for_log(&cluster, 1, reason).await;
    }
    // Plain TCP: a request header of the wire format, all zeros.
    let mut plain = TcpStream::connect(&raft).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(&[0; 64]).unwrap();
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.len() <= 7, "more than an alert: {answer:?}");
    wait_for_log(&cluster, 1, "TLS handshake failed: ").await;
    // What a node shows is let in.
    let output = knock(&raft, scratch.path(), Some(&certs.of_node(2)));
    assert!(was_let_in(&output), "{output:?}");

    client.finish().await;
    assert_eq!(cluster.leader().await.term, term, "an election was held");
}

#[tokio::test]
async fn a_node_with_a_certificate_that_the_others_refuse_takes_no_part() {
    let (mut cluster, certs) = secured(&PATIENT).await;
    let leader = cluster.leader().await;
    let outcast = cluster.others(leader.node_id)[0];
    cluster.kill9(outcast).await;
    // It believes the cluster's CA, and its own, which nobody else does.
    let other = Authority::create(Validity::days(DAYS)).unwrap();
    let aside = certs.dir.join("aside");
    fs::create_dir(&aside).unwrap();
    let pair = other
        .node(outcast, &[HOST.to_owned()], Validity::days(DAYS))
        .unwrap();
    let mut layout = cluster.layout().clone();
    layout.certs = Some(aside.clone());
    let cas = [&other.pair().cert, &certs.authority.pair().cert].map(String::as_str);
    fs::write(aside.join("ca.crt"), cas.concat()).unwrap();
    fs::write(aside.join(format!("node-{outcast}.crt")), &pair.cert).unwrap();
    fs::write(aside.join(format!("node-{outcast}.key")), &pair.key).unwrap();
    let spec = cluster.spec(outcast).clone();
    let mut process = raft3d::demo::nodes::NodeProcess::start(&layout, &spec).unwrap();
    // Both sides say so: the leader will not speak to it, nor is it heard when it stands.
    wait_for_log(&cluster, leader.node_id, "incoming=false").await;
    wait_for_log(&cluster, leader.node_id, "incoming=true").await;
    wait_for_log(&cluster, outcast, "TLS handshake failed: ").await;
    let job = cluster.job_template(leader.node_id, 10).await;
    cluster.post(leader.node_id, JOBS, &job).await.expect(201);
    assert_eq!(cluster.leader().await.term, leader.term);
    process.stop().await.unwrap();
    // With its own certificate it is one of them again.
    cluster.bring_back(outcast).await;
    cluster.equal_indexes().await;
}

/// A client that writes through every node, on new connections now and then.
struct Load {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

fn load(cluster: &TestCluster, certs: &Certs, job: &Value) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let writes = Arc::new(AtomicUsize::new(0));
    let urls: Vec<String> = (1..=3).map(|id| cluster.url(id) + JOBS).collect();
    let roots = credentials::roots(&certs.ca()).unwrap();
    let (job, ends, count) = (job.clone(), Arc::clone(&stop), Arc::clone(&writes));
    let task = tokio::spawn(async move {
        while !ends.load(Ordering::Relaxed) {
            let client = believing(roots.clone()).unwrap();
            for url in urls.iter().cycle().take(9) {
                let reply = send(client.post(url).json(&job)).await.expect("an answer");
                assert_eq!(reply.status, 201, "{reply:#?}");
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    Load { stop, writes, task }
}

impl Load {
    async fn goes_on(&self) {
        let wanted = self.writes.load(Ordering::Relaxed) + 30;
        wait_until("writes go on", async || {
            let there = self.writes.load(Ordering::Relaxed) >= wanted;
            (there || self.task.is_finished()).then_some(())
        })
        .await;
    }

    async fn finish(self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("every write succeeded");
        println!(
            "{} writes, none failed",
            self.writes.load(Ordering::Relaxed)
        );
    }
}

/// When the certificate ends that node `id` shows on its HTTP port, by its metrics.
async fn expiry(cluster: &TestCluster, certs: &Certs, id: i32) -> i64 {
    let text = reqwest_text(&fresh_client(certs), &(cluster.url(id) + "/metrics")).await;
    let series = "raft3d_tls_certificate_expiry_timestamp_seconds{certificate=\"node\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    line.expect(series).parse().unwrap()
}

/// The certificate that a port shows, as `openssl` prints when it ends.
fn shown_until(addr: &str, certs: &Certs, id: i32) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", addr, "-cert"])
        .arg(certs.dir.join(format!("node-{id}.crt")))
        .arg("-key")
        .arg(certs.dir.join(format!("node-{id}.key")))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let until = text.split("NotAfter: ").nth(1).expect("a certificate");
    until.lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn certificates_are_rotated_under_load_without_a_failed_request() {
    let (mut cluster, certs) = secured(&PATIENT).await;
    let job = cluster.job_template(1, 1_000_000).await;
    let term = cluster.leader().await.term;
    let client = load(&cluster, &certs, &job);
    let renewed = Validity::days(2 * DAYS);
    let before: Vec<String> = (1..=3)
        .map(|id| shown_until(&cluster.spec(id).raft_addr, &certs, id))
        .collect();
    for id in 1..=3 {
        certs.install(id, &certs.node_until(id, renewed));
        // Told, but for the last one, which looks by itself.
        if id < 3 {
            signal(cluster.node(id).pid().unwrap(), "HUP");
        }
        wait_until("the node shows its new certificate", async || {
            let there = expiry(&cluster, &certs, id).await == renewed.until.as_second();
            there.then_some(())
        })
        .await;
        for addr in [&cluster.spec(id).raft_addr, &cluster.spec(id).http_addr] {
            let now = shown_until(addr, &certs, id);
            assert_ne!(now, before[id as usize - 1], "{addr}");
        }
        client.goes_on().await;
    }
    // A node that is told reads its files at once, even if it has no need to.
    let pid = cluster.node(3).pid().unwrap();
    let taken = "new connections use the certificate that was read";
    let count = || log_of(&cluster, 3).matches(taken).count();
    let before = count();
    signal(pid, "HUP");
    wait_until("the node has read its files again", async || {
        (count() > before).then_some(())
    })
    .await;
    // A pair that does not belong together, and one that has expired: the one in use stays.
    let key = certs.dir.join("node-1.key");
    let good = fs::read(&key).unwrap();
    fs::write(&key, certs.of_node(1).key).unwrap();
    signal(cluster.node(1).pid().unwrap(), "HUP");
    wait_for_log(&cluster, 1, "do not go together").await;
    fs::write(&key, good).unwrap();
    certs.install(2, &certs.node_until(2, expired()));
    signal(cluster.node(2).pid().unwrap(), "HUP");
    wait_for_log(&cluster, 2, "the certificate in use stays").await;
    assert_eq!(expiry(&cluster, &certs, 2).await, renewed.until.as_second());
    client.finish().await;
    assert_eq!(cluster.leader().await.term, term, "an election was held");

    // New Raft connections too: a node that comes back is caught up.
    certs.install(2, &certs.node_until(2, renewed));
    cluster.kill9(2).await;
    cluster.bring_back(2).await;
    cluster.same_everywhere().await;
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test]
async fn the_http_port_believes_and_is_believed_by_the_ca_only() {
    let (cluster, certs) = secured(&[]).await;
    let url = cluster.url(1) + "/livez";
    // Nobody's CA, and another one's.
    let other = Authority::create(Validity::days(DAYS)).unwrap();
    let path = certs.dir.join("other.crt");
    fs::write(&path, &other.pair().cert).unwrap();
    let stranger = HttpClient::new(Some(&path)).unwrap().get();
    for client in [http_client(), stranger] {
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.is_connect(), "{error:?}");
    }
    // Plain HTTP gets no answer, and holds nobody up.
    let plain = cluster.url(1).replace("https", "http") + "/livez";
    let error = http_client().get(&plain).send().await.unwrap_err();
    assert!(!error.is_timeout(), "{error:?}");
    let silent: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(&cluster.spec(1).http_addr).unwrap())
        .collect();
    let reply = fresh_client(&certs)
        .get(&url)
        .timeout(Duration::from_secs(5))
        .send();
    assert_eq!(reply.await.unwrap().status(), 200);
    drop(silent);
    // A flood of them fills no log: a line tells how many it stands for.
    let spec = cluster.spec(1);
    for (addr, told, most) in [
        (&spec.http_addr, "a TLS handshake failed", 5),
        (&spec.raft_addr, "TLS handshake failed: ", 60),
    ] {
        let strangers: Vec<_> = (0..200)
            .map(|_| {
                let mut stranger = TcpStream::connect(addr).unwrap();
                stranger.set_read_timeout(Some(PATIENCE)).unwrap();
                stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
                stranger
            })
            .collect();
        for mut stranger in strangers {
            // A reset is an end too.
            let _ = stranger.read_to_end(&mut Vec::new());
        }
        let lines = log_of(&cluster, 1);
        let lines = lines.lines().filter(|line| line.contains(told)).count();
        assert!((1..=most).contains(&lines), "{lines} lines of `{told}`");
    }
    // A client may show a certificate, of the CA.
    let ours = certs.authority.issue("a client", vec![], Validity::days(1));
    let theirs = other.issue("a client", vec![], Validity::days(1));
    for (pair, let_in) in [(ours.unwrap(), true), (theirs.unwrap(), false)] {
        let output = knock(&cluster.spec(1).http_addr, &certs.dir, Some(&pair));
        assert_eq!(was_let_in(&output), let_in, "{output:?}");
    }
}

#[tokio::test]
async fn commands_of_the_command_line_make_and_use_certificates() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs");
    let init = || {
        raft3d(
            &[
                "certs",
                "init",
                "--node",
                "1=127.0.0.1,n1.farm",
                "--node",
                "2=::1",
                "--dir",
            ],
            &certs,
        )
    };
    let made = init();
    assert!(made.status.success(), "{made:?}");
    for (name, mode) in [
        ("ca.key", 0o600),
        ("node-1.key", 0o600),
        ("node-1.crt", 0o644),
    ] {
        use std::os::unix::fs::PermissionsExt;
        let permissions = fs::metadata(certs.join(name)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777 & !mode, 0, "{name}");
    }
    // Nothing is overwritten.
    let ca = fs::read(certs.join("ca.crt")).unwrap();
    let again = init();
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    assert_eq!(fs::read(certs.join("ca.crt")).unwrap(), ca);
    // One more node, and what it says.
    let more = raft3d(&["certs", "node", "--node", "4=10.0.0.4", "--dir"], &certs);
    assert!(more.status.success(), "{more:?}");
    let shown = raft3d(&["certs", "show"], &certs.join("node-4.crt"));
    let text = String::from_utf8(shown.stdout).unwrap();
    for part in [
        node_name(4).as_str(),
        "10.0.0.4",
        "until",
        "raft3d development CA",
    ] {
        assert!(text.contains(part), "`{part}` is not in `{text}`");
    }
    // A node takes no certificate but its own; one that did would not wait for a signal.
    let serve = Command::new(program())
        .args([
            "serve",
            "--exit-with-stdin",
            "--node-id",
            "1",
            "--initial-cluster",
            "1=127.0.0.1:9",
            "--http-addr",
            "127.0.0.1:0",
        ])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .arg("--tls-cert")
        .arg(certs.join("node-2.crt"))
        .arg("--tls-key")
        .arg(certs.join("node-2.key"))
        .arg("--tls-ca")
        .arg(certs.join("ca.crt"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&serve.stderr);
    assert!(
        !serve.status.success() && text.contains("node-1.raft3d"),
        "{text}"
    );
}

fn raft3d(args: &[&str], path: &Path) -> Output {
    Command::new(program())
        .args(args)
        .arg(path)
        .output()
        .unwrap()
}
