//! A day in an operator's life, as commands: a cluster of three under TLS and tokens is founded, filled,
//! grown, mended, given new certificates, backed up, lost and restored, while clients go on writing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use raft3d::demo::nodes::{Layout, NodeProcess, free_addresses};
use raft3d::secret::Secret;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::MutexGuard;

use crate::cluster_support::load::Load;
use crate::cluster_support::{PATIENCE, program, turn, wait_until};

/// Three founders, two that are added, and the machine that takes the place of a burnt one.
const MACHINES: usize = 6;
const FOUNDERS: usize = 3;
/// Pause between two writes of the clients.
const PACE: Duration = Duration::from_millis(10);
/// Not what certificates count by default, so that new ones are told from old.
const RENEWED_DAYS: &str = "200";

/// The machines, and what the operator has at hand.
struct Day {
    layout: Layout,
    running: BTreeMap<i32, NodeProcess>,
    /// Holds the admin's token.
    admin: PathBuf,
    dir: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Day {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (id, node) in &self.running {
                eprintln!("--- log of node {id} ends:\n{}", node.log_tail());
            }
        }
    }
}

/// What a command printed; it must have ended well.
#[track_caller]
fn done(output: Output) -> String {
    assert!(output.status.success(), "{output:#?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that needs no cluster.
#[track_caller]
fn offline(args: &[&str]) -> String {
    done(Command::new(program()).args(args).output().unwrap())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Day {
    /// Certificates, a token for the admin, and machines that are still off.
    async fn begin() -> Day {
        let turn = turn().await;
        let dir = tempfile::tempdir().unwrap();
        let addresses = free_addresses(2 * MACHINES).unwrap();
        let (http, raft) = addresses.split_at(MACHINES);
        let mut layout = Layout::new(program(), dir.path(), http, raft);
        let known: Vec<_> = http[..FOUNDERS].to_vec();
        for node in &mut layout.nodes[FOUNDERS..] {
            node.join = Some(known.join(","));
        }
        let certs = dir.path().join("certs");
        offline(&[
            "certs",
            "init",
            "--dir",
            text(&certs),
            "--node",
            "1=127.0.0.1",
            "--node",
            "2=127.0.0.1",
            "--node",
            "3=127.0.0.1",
        ]);
        let admin = dir.path().join("admin.token");
        offline(&["tokens", "generate", "--out", text(&admin)]);
        for option in ["--admin-token-file", "--token-file"] {
            layout
                .extra_args
                .extend([option.into(), text(&admin).into()]);
        }
        layout.extra_args.push("--require-tokens".into());
        layout.certs = Some(certs);
        Day {
            layout,
            running: BTreeMap::new(),
            admin,
            dir,
            _turn: turn,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn certs(&self) -> PathBuf {
        self.path("certs")
    }

    fn switch_on(&mut self, id: i32) {
        let spec = self.layout.nodes[id as usize - 1].clone();
        fs::create_dir_all(&spec.dir).unwrap();
        let process = NodeProcess::start(&self.layout, &spec).unwrap();
        self.running.insert(id, process);
    }

    /// The machine burns: no process, no disk.
    async fn burn(&mut self, id: i32) {
        let mut node = self.running.remove(&id).unwrap();
        node.kill().await.unwrap();
        fs::remove_dir_all(&self.layout.nodes[id as usize - 1].dir).unwrap();
    }

    /// Runs a command against the running nodes, with the token of a file.
    fn command(&self, token: &Path, args: &[&str]) -> Output {
        let endpoints: Vec<_> = self.running.keys().map(|id| self.url(*id)).collect();
        Command::new(program())
            .args(args)
            .env("RAFT3D_ENDPOINT", endpoints.join(","))
            .env("RAFT3D_CA", self.certs().join("ca.crt"))
            .env("RAFT3D_TOKEN_FILE", token)
            .output()
            .unwrap()
    }

    /// The same as the admin; what it printed, as JSON.
    #[track_caller]
    fn admin(&self, args: &[&str]) -> Value {
        let args = [args, &["-o", "json"]].concat();
        let printed = done(self.command(&self.admin, &args));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }

    fn url(&self, id: i32) -> String {
        self.layout.origin(&self.layout.nodes[id as usize - 1])
    }

    /// Waits until the cluster has exactly these members, and all of them vote.
    async fn wait_for_voters(&self, wanted: &[i32]) {
        let args = ["cluster", "members", "-o", "json"];
        wait_until(&format!("the voters are {wanted:?}"), async || {
            let output = self.command(&self.admin, &args);
            let members: Value = serde_json::from_slice(&output.stdout).ok()?;
            let members = members.as_array()?;
            let voters = members.iter().filter(|member| member["learner"] == false);
            let mut ids: Vec<_> = voters.map(|member| member["id"].as_i64()).collect();
            ids.sort();
            let wanted: Vec<_> = wanted.iter().map(|id| Some(i64::from(*id))).collect();
            (ids == wanted && members.len() == wanted.len()).then_some(())
        })
        .await;
    }

    fn leader(&self) -> i32 {
        let members = self.admin(&["cluster", "members"]);
        let mut members = members.as_array().unwrap().iter();
        let leader = members.find(|member| member["leader"] == true);
        leader.expect("a leader")["id"].as_i64().unwrap() as i32
    }

    /// A token for `name`, in a file.
    fn hand_out(&self, name: &str, role: &str) -> PathBuf {
        let file = self.path(&format!("{name}.token"));
        let made = self.command(
            &self.admin,
            &[
                "tokens",
                "create",
                "--name",
                name,
                "--role",
                role,
                "--out",
                text(&file),
            ],
        );
        done(made);
        file
    }

    /// When the certificate that node `id` uses ends, by its own metrics.
    async fn certificate_end(&self, id: i32) -> Option<f64> {
        let token = Secret::from_file(&self.admin).unwrap();
        let http = self.layout.http_client().unwrap().get();
        let request = http
            .get(self.url(id) + "/metrics")
            .bearer_auth(token.reveal());
        let metrics = request.send().await.ok()?.text().await.ok()?;
        let series = "raft3d_tls_certificate_expiry_timestamp_seconds{certificate=\"node\"} ";
        let value = metrics.lines().find_map(|line| line.strip_prefix(series))?;
        value.parse().ok()
    }

    /// Puts a new certificate in the place of each running node's, and waits until it is in use.
    async fn rotate_certificates(&self) {
        let renewed = self.path("renewed");
        for (id, node) in &self.running {
            let old = self.certificate_end(*id).await.expect("metrics");
            let host = format!("{id}=127.0.0.1");
            offline(&[
                "certs",
                "node",
                "--dir",
                text(&self.certs()),
                "--node",
                &host,
                "--out",
                text(&renewed),
                "--days",
                RENEWED_DAYS,
            ]);
            for kind in ["key", "crt"] {
                let name = format!("node-{id}.{kind}");
                fs::rename(renewed.join(&name), self.certs().join(&name)).unwrap();
            }
            let pid = node.pid().unwrap().to_string();
            let told = Command::new("kill").args(["-HUP", &pid]).status().unwrap();
            assert!(told.success());
            wait_until(&format!("node {id} uses its new certificate"), async || {
                let now = self.certificate_end(*id).await?;
                (now != old).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_in_an_operators_life() {
    let mut day = Day::begin().await;
    for id in 1..=3 {
        day.switch_on(id);
    }
    day.wait_for_voters(&[1, 2, 3]).await;

    // People get their tokens, and the shop its printers and spools.
    let shop = day.hand_out("shop", "submitter");
    let operator = day.hand_out("operator", "operator");
    let add_printer = ["printers", "add", "--company", "Prusa", "--model", "MK4"];
    let refused = day.command(&shop, &add_printer);
    assert_eq!(
        refused.status.code(),
        Some(4),
        "a submitter adds no printers: {refused:#?}"
    );
    done(day.command(&operator, &add_printer));
    let spool = [
        "filaments",
        "add",
        "--type",
        "PLA",
        "--color",
        "red",
        "--total",
        "1000000",
    ];
    done(day.command(&operator, &spool));

    // From here on clients print, through two machines that will not burn.
    let leader = day.leader();
    let burning = (1..=3).find(|id| *id != leader).unwrap();
    let kept: Vec<i32> = (1..=3).filter(|id| *id != burning).collect();
    let job = serde_json::json!({
        "printer_id": 1, "filament_id": 1, "filepath": "part.gcode", "print_weight_in_grams": 1,
    });
    let load = Load::of(
        day.layout.http_client().unwrap().get(),
        Some(Secret::from_file(&shop).unwrap()),
        kept.iter().map(|id| day.url(*id)).collect(),
        job,
        PACE,
        Some("day".into()),
    );
    load.more(50).await;

    // Two machines more.
    for id in [4, 5] {
        let host = format!("{id}=127.0.0.1");
        offline(&[
            "certs",
            "node",
            "--dir",
            text(&day.certs()),
            "--node",
            &host,
        ]);
        day.switch_on(id);
        let voters: Vec<i32> = (1..=id).collect();
        day.wait_for_voters(&voters).await;
    }
    load.more(50).await;

    // One burns, and a new one takes its place.
    day.burn(burning).await;
    day.admin(&["cluster", "remove", &burning.to_string()]);
    offline(&[
        "certs",
        "node",
        "--dir",
        text(&day.certs()),
        "--node",
        "6=127.0.0.1",
    ]);
    day.switch_on(6);
    let mut voters = vec![kept[0], kept[1], 4, 5, 6];
    voters.sort();
    day.wait_for_voters(&voters).await;
    load.more(50).await;

    // New certificates for all.
    day.rotate_certificates().await;
    load.more(50).await;

    // Every write was acknowledged, and each acknowledged one is there, once.
    let writes = load.stop().await;
    let failed: Vec<_> = writes
        .iter()
        .filter(|write| write.outcome.is_err())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let jobs = day.admin(&["jobs", "list"]);
    assert_eq!(jobs.as_array().unwrap().len(), writes.len());

    // The evening's backup, and the night's fire.
    let backup = day.path("evening.backup");
    let saved = day.admin(&["backup", "--out", text(&backup)]);
    for id in voters {
        day.burn(id).await;
    }

    // The next morning: new machines, the same farm.
    day.layout.nodes.truncate(FOUNDERS);
    let members = day.layout.initial_cluster();
    for id in 1..=3 {
        let dir = day.path(&format!("morning{id}"));
        offline(&[
            "restore",
            text(&backup),
            "--data-dir",
            text(&dir),
            "--node-id",
            &id.to_string(),
            "--initial-cluster",
            &members,
            "--cluster-token",
            "the morning after",
        ]);
        day.layout.nodes[id as usize - 1].dir = dir;
        day.switch_on(id);
    }
    day.wait_for_voters(&[1, 2, 3]).await;
    let again = day.admin(&["backup", "--out", text(&day.path("morning.backup"))]);
    assert_eq!(again["farm_hash"], saved["farm_hash"]);
    assert_ne!(
        again["cluster_id"], saved["cluster_id"],
        "it is a new cluster"
    );

    // Everybody goes on where they were.
    assert_eq!(day.admin(&["jobs", "list"]), jobs);
    let start = ["jobs", "start", "1"];
    done(day.command(&shop, &start));
    let nobody = day.path("nobody.token");
    offline(&["tokens", "generate", "--out", text(&nobody)]);
    let refused = day.command(&nobody, &["jobs", "list"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:#?}");
    println!(
        "{} writes acknowledged, 0 failed; farm hash {}, restored equal; no wait was longer than {PATIENCE:?}",
        writes.len(),
        saved["farm_hash"]
    );
}
