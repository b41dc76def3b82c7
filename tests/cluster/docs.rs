//! Runs the commands of the documentation against a cluster.
//!
//! In a block marked `console`, a line that begins with `$ ` is a command. It must succeed, and the
//! lines behind it must be in its output, in this order; `...` stands for anything. Lines that begin
//! with `# ` are for the reader.

use std::path::Path;
use std::process::Command;

use crate::cluster_support::{TestCluster, program, wait_until};

/// One command, where it is written, and what it should print.
struct Example {
    place: String,
    command: String,
    output: Vec<String>,
}

/// The examples of a page, in order.
fn examples(page: &str) -> Vec<Example> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            examples.push(Example {
                place: format!("{page}:{number}"),
                command: command.to_owned(),
                output: Vec::new(),
            });
        } else if inside && !line.is_empty() && !line.starts_with("# ") {
            let example = examples.last_mut().expect("a command before its output");
            example.output.push(line.to_owned());
        }
    }
    examples
}

/// Words with single spaces: how wide a column is depends on what is in it.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the pieces of `lines` between the dots are in `text`, one behind the other.
fn is_in(lines: &[String], text: &str) -> bool {
    let mut rest = text;
    let pieces = lines.iter().flat_map(|line| line.split("..."));
    pieces.map(flat).all(|piece| match rest.find(&piece) {
        Some(place) => {
            rest = &rest[place + piece.len()..];
            true
        }
        None => false,
    })
}

/// Runs a page's examples one after the other, as if the demo ran.
async fn run(page: &str) {
    let mut cluster = TestCluster::start().await;
    wait_until("every node knows every node's API", async || {
        for id in 1..=3 {
            let view = cluster.view(id).await?;
            let known = view.members.iter().all(|m| m.http_addr.is_some());
            known.then_some(())?;
        }
        Some(())
    })
    .await;
    cluster.leader().await;
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(program(), dir.path().join("raft3d")).unwrap();
    let demo = dir.path().join("raft3d-demo");
    std::os::unix::fs::symlink(&cluster.layout().dir, demo).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", dir.path().display());
    let ours: Vec<_> = (1..=3)
        .map(|id| cluster.spec(id).http_addr.clone())
        .collect();
    let demos = ["127.0.0.1:8081", "127.0.0.1:8082", "127.0.0.1:8083"];
    let here = |text: &str| {
        let pairs = demos.iter().zip(&ours);
        pairs.fold(text.to_owned(), |text, (demo, our)| text.replace(demo, our))
    };
    let examples = examples(page);
    assert!(examples.len() >= 5, "{page} has few commands to run");
    for example in examples {
        let Example {
            place,
            command,
            output: mut expected,
        } = example;
        let output = Command::new("bash")
            .args(["-o", "pipefail", "-c", &here(&command)])
            .current_dir(dir.path())
            .env("PATH", &path)
            .env("RAFT3D_ENDPOINT", ours.join(","))
            .output()
            .unwrap();
        assert!(output.status.success(), "{place}: {command}: {output:?}");
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        for line in &mut expected {
            *line = here(line);
        }
        // Of what goes to both, the order is not kept.
        let (code, told): (Vec<_>, Vec<_>) = expected
            .into_iter()
            .partition(|line| line.starts_with("code "));
        let printed = flat(&printed);
        for lines in [code, told] {
            assert!(
                is_in(&lines, &printed),
                "{place}: {command}: {lines:?} is not in:\n{printed}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn getting_started_works_as_written() {
    run("docs/getting-started.md").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_s_first_steps_work_as_written() {
    run("README.md").await;
}

#[test]
fn output_must_be_there_in_order() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_in(&lines("1  done ...\n2 ..."), "ID 1 done 7 2 x"));
    assert!(!is_in(&lines("2 x\n1 done"), "ID 1 done 7 2 x"));
    assert!(!is_in(&lines("queued"), "ID 1 done"));
}
