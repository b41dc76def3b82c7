//! Tokens in clusters of real processes: made on one node, they work on all and outlive it; revoked
//! on one, they are worth nothing anywhere; and no secret lies around.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use raft3d::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cluster_support::{PATIENCE, PRINTERS, Reply, TestCluster, program, wait_until};

const TOKENS: &str = "/api/v1/tokens";
const OWN: &str = "/api/v1/tokens/self";
const MEMBERS: &str = "/api/v1/cluster/members";

/// A cluster that demands tokens, and the secret in the admin token file of its nodes.
struct Guarded {
    cluster: TestCluster,
    admin: Secret,
    admin_file: PathBuf,
    /// Everything that was ever a secret here.
    secrets: Vec<Secret>,
    dir: TempDir,
}

impl Guarded {
    async fn start() -> Guarded {
        let dir = tempfile::tempdir().unwrap();
        let admin = Secret::generate().unwrap();
        let admin_file = secret_file(dir.path(), "admin.token", &admin);
        let args = [
            "--require-tokens",
            "--admin-token-file",
            admin_file.to_str().unwrap(),
            "--log",
            "debug",
        ];
        let shown = admin.clone();
        let cluster = TestCluster::start_prepared(&args, move |layout| {
            layout.token = Some(shown.clone());
        });
        Guarded {
            cluster: cluster.await,
            secrets: vec![admin.clone()],
            admin,
            admin_file,
            dir,
        }
    }

    /// Sends a request to node `id` until no leader is missing any more.
    async fn call(
        &self,
        id: i32,
        secret: &Secret,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Reply {
        wait_until("the cluster answers", async || {
            let reply = self.cluster.send_once(id, |http, url| {
                let request = http.request(method.clone(), url + path);
                let request = request.bearer_auth(secret.reveal());
                match body {
                    Some(body) => request.json(body),
                    None => request,
                }
            });
            Some(reply.await).filter(|reply| reply.status != 503)
        })
        .await
    }

    async fn get(&self, id: i32, secret: &Secret, path: &str) -> Reply {
        self.call(id, secret, (Method::GET, path), None).await
    }

    /// Makes a token through node `id`.
    async fn create(&mut self, id: i32, name: &str, role: &str) -> (Value, Secret) {
        let body = json!({"name": name, "role": role});
        let create = (Method::POST, TOKENS);
        let created = self.call(id, &self.admin, create, Some(&body)).await;
        let body = created.expect(201).body;
        let secret: Secret = body["secret"].as_str().unwrap().parse().unwrap();
        self.secrets.push(secret.clone());
        (body["id"].clone(), secret)
    }

    /// The client, with the token file `token`.
    fn client(&self, token: &Path, args: &[&str]) -> Output {
        Command::new(program())
            .args(args)
            .env("RAFT3D_ENDPOINT", self.cluster.url(1))
            .env("RAFT3D_TOKEN_FILE", token)
            .output()
            .unwrap()
    }

    /// Asserts that no secret is where others could find it.
    fn assert_nothing_leaked(&mut self) {
        let mut files = Vec::new();
        for id in 1..=3 {
            files_below(&self.cluster.spec(id).dir, &mut files);
            if let Some(pid) = self.cluster.node(id).pid() {
                files.push(format!("/proc/{pid}/cmdline").into());
                files.push(format!("/proc/{pid}/environ").into());
            }
        }
        assert!(files.len() > 9, "logs, snapshots and processes: {files:?}");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            for secret in &self.secrets {
                let secret = secret.reveal().as_bytes();
                let leaked = bytes.windows(secret.len()).any(|window| window == secret);
                assert!(!leaked, "a secret is in {}", file.display());
            }
        }
    }
}

fn secret_file(dir: &Path, name: &str, secret: &Secret) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, secret.reveal()).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn files_below(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, files),
            false => files.push(path),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_works_everywhere_outlives_its_node_and_ends_everywhere() {
    let mut guarded = Guarded::start().await;
    let unnamed = guarded.cluster.look(2, PRINTERS).await;
    let unnamed = unnamed.expect_problem(401, "unauthenticated");
    assert_eq!(
        unnamed.header("www-authenticate"),
        "Bearer realm=\"raft3d\""
    );
    for path in ["/", "/livez", "/healthz", "/readyz"] {
        guarded.cluster.look(1, path).await.expect(200);
    }

    let leader = guarded.cluster.leader().await.node_id;
    let follower = guarded.cluster.others(leader)[0];
    let (id, alice) = guarded.create(follower, "alice", "operator").await;
    for node in 1..=3 {
        let own = guarded.get(node, &alice, OWN).await.expect(200);
        assert_eq!(own.body["name"], "alice", "at once on node {node}");
        // Passed on to the leader, token and all.
        guarded.get(node, &alice, MEMBERS).await.expect(200);
        let snapshot = (Method::POST, "/api/v1/cluster/snapshots");
        let refused = guarded.call(node, &alice, snapshot, None).await;
        refused.expect_problem(403, "forbidden");
    }
    let printer = json!({"company": "Prusa", "model": "MK4"});
    let create = || (Method::POST, PRINTERS);
    let created = guarded.call(follower, &alice, create(), Some(&printer));
    created.await.expect(201);
    let snapshot = (Method::POST, "/api/v1/cluster/snapshots");
    let taken = guarded.call(leader, &guarded.admin, snapshot, None);
    taken.await.expect(202);

    guarded.cluster.kill9(leader).await;
    guarded.cluster.leader().await;
    for node in guarded.cluster.others(leader) {
        let created = guarded.call(node, &alice, create(), Some(&printer));
        created.await.expect(201);
    }
    guarded.cluster.bring_back(leader).await;
    guarded.get(leader, &alice, PRINTERS).await.expect(200);

    let path = format!("{TOKENS}/{id}");
    let revoke = (Method::DELETE, path.as_str());
    let revoked = guarded.call(follower, &guarded.admin, revoke, None);
    revoked.await.expect(200);
    guarded.cluster.equal_indexes().await;
    for node in 1..=3 {
        let refused = guarded.get(node, &alice, PRINTERS).await;
        refused.expect_problem(401, "unauthenticated");
        let refused = guarded.call(node, &alice, create(), Some(&printer)).await;
        refused.expect_problem(401, "unauthenticated");
    }
    guarded.assert_nothing_leaked();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_makes_uses_and_revokes_tokens() {
    let mut guarded = Guarded::start().await;
    let dir = guarded.dir.path().to_owned();
    let (admin, bob) = (guarded.admin_file.clone(), dir.join("bob.token"));
    let create = ["tokens", "create", "--name", "bob", "--role", "submitter"];
    let out = ["--expires-in-days", "1", "--out", bob.to_str().unwrap()];
    let created = guarded.client(&admin, &[&create[..], &out].concat());
    assert!(created.status.success(), "{created:?}");
    let secret = Secret::from_file(&bob).expect("a file for its owner only");
    assert!(!String::from_utf8_lossy(&created.stdout).contains(secret.reveal()));
    guarded.secrets.push(secret);

    let whoami = guarded.client(&bob, &["tokens", "whoami", "-o", "json"]);
    let whoami: Value = serde_json::from_slice(&whoami.stdout).unwrap();
    assert_eq!(whoami["name"], "bob");
    assert_eq!(whoami["created_by"], "admin token file");
    let listed = guarded.client(&bob, &["printers", "list"]);
    assert!(listed.status.success(), "{listed:?}");
    let add = ["printers", "add", "--company", "Prusa", "--model", "MK4"];
    let refused = guarded.client(&bob, &add);
    assert_eq!(refused.status.code(), Some(4));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        told.contains("needs the role operator, and bob is submitter"),
        "{told}"
    );

    let backup = dir.join("farm.backup");
    let back_up = ["backup", "--out", backup.to_str().unwrap()];
    assert_eq!(guarded.client(&bob, &back_up).status.code(), Some(4));
    let backed_up = guarded.client(&admin, &back_up);
    assert!(backed_up.status.success(), "{backed_up:?}");

    // A file that is there already is left alone.
    let again = guarded.client(&admin, &[&create[..], &out].concat());
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    let revoked = guarded.client(&admin, &["tokens", "revoke", "1"]);
    assert!(revoked.status.success(), "{revoked:?}");
    let refused = guarded.client(&bob, &["printers", "list"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    guarded.assert_nothing_leaked();
}

#[test]
fn a_secret_is_generated_without_a_cluster_and_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.token");
    let generate = |args: &[&str]| {
        let output = Command::new(program())
            .args([&["tokens", "generate"], args].concat())
            .output();
        output.unwrap()
    };
    let shown = generate(&[]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.trim().parse::<Secret>().is_ok(), "{shown}");
    let out = ["--out", path.to_str().unwrap()];
    assert!(generate(&out).status.success());
    let secret = Secret::from_file(&path).unwrap();
    assert_eq!(generate(&out).status.code(), Some(1));
    assert_eq!(Secret::from_file(&path).unwrap(), secret);
}

/// What starts wrongly says so and shows no secret.
#[test]
fn a_token_file_that_others_may_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let secret = Secret::generate().unwrap();
    let path = secret_file(dir.path(), "admin.token", &secret);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let path = path.to_str().unwrap();
    let data = dir.path().join("data");
    let serve = [
        "serve",
        "--node-id",
        "1",
        "--data-dir",
        data.to_str().unwrap(),
        "--http-addr",
        "127.0.0.1:0",
        "--initial-cluster",
        "1=127.0.0.1:1",
        "--admin-token-file",
        path,
    ];
    let list = ["printers", "list", "--token-file", path];
    for (args, code) in [(&serve[..], 1), (&list[..], 2)] {
        let output = Command::new(program()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains("chmod 600"), "{told}");
        assert!(!told.contains(secret.reveal()));
    }
    let text = "r3d_hunter2";
    let output = Command::new(program())
        .args(["printers", "list"])
        .env("RAFT3D_TOKEN", text)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(text));
}

/// The way in for a node that joins is the token in its own file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_joins_with_an_admin_s_token_and_not_without() {
    let mut guarded = Guarded::start().await;
    let (_, viewer) = guarded.create(1, "viewer", "viewer").await;
    let viewer = secret_file(guarded.dir.path(), "viewer.token", &viewer);
    let join = |token: Option<&Path>| {
        let addresses = raft3d::demo::nodes::free_addresses(2).unwrap();
        let mut layout = guarded.cluster.layout().clone();
        if let Some(token) = token {
            let token = token.display().to_string();
            layout.extra_args.extend(["--token-file".into(), token]);
        }
        let node = raft3d::demo::nodes::NodeSpec {
            id: 4,
            http_addr: addresses[0].clone(),
            raft_addr: addresses[1].clone(),
            dir: tempfile::tempdir_in(guarded.dir.path()).unwrap().keep(),
            join: Some(guarded.cluster.spec(1).http_addr.clone()),
        };
        raft3d::demo::nodes::NodeProcess::start(&layout, &node).unwrap()
    };
    for (token, told) in [
        (None, "needs a token with the role viewer"),
        (
            Some(viewer.as_path()),
            "needs the role admin, and viewer is viewer",
        ),
    ] {
        let mut outsider = join(token);
        wait_until("the node says why it is not let in", async || {
            outsider.log_tail().contains(told).then_some(())
        })
        .await;
        outsider.kill().await.unwrap();
    }
    let mut node = join(Some(&guarded.admin_file));
    wait_until("the node votes", async || {
        let members = guarded.get(1, &guarded.admin, MEMBERS).await;
        let members = members.body.as_array()?.clone();
        let learner = members.iter().find(|m| m["id"] == 4)?["learner"].clone();
        (learner == json!(false)).then_some(())
    })
    .await;
    assert!(node.stop().await.unwrap().success(), "within {PATIENCE:?}");
}
