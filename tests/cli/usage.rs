//! The command line by itself: help, wrong usage, and where settings come from.

use std::collections::BTreeSet;
use std::process::{Command, Output};

fn raft3d(args: &[&str], env: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_raft3d"))
        .args(args)
        .env_clear()
        .envs(env.iter().copied())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn help_names_every_command_and_gives_examples() {
    let help = raft3d(&["--help"], &[]);
    assert_eq!(help.status.code(), Some(0));
    let text = stdout(&help);
    for word in [
        "serve",
        "demo",
        "printers",
        "filaments",
        "jobs",
        "cluster",
        "backup",
        "restore",
        "recover",
        "bench",
        "Examples:",
    ] {
        assert!(text.contains(word), "`{word}` is not in:\n{text}");
    }
    assert_eq!(raft3d(&[], &[]).status.code(), Some(2));
    assert_eq!(raft3d(&["fly"], &[]).status.code(), Some(2));
}

#[test]
fn help_of_serve_documents_every_option_with_variable_and_default() {
    let text = stdout(&raft3d(&["serve", "--help"], &[]));
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (option, default) in [
        ("config", ""),
        ("node-id", "Required"),
        ("data-dir", "Required"),
        ("http-addr", "[default: 127.0.0.1:8081]"),
        (
            "raft-addr",
            "[default: this node's address in --initial-cluster]",
        ),
        ("initial-cluster", "Required unless --join is given"),
        ("join", ""),
        ("bootstrap-expect", ""),
        ("snapshot-distance", "[default: 10000]"),
        ("snapshot-interval-s", "[default: 3600]"),
        ("election-timeout-ms", "[default: 300..600]"),
        ("heartbeat-ms", "[default: 75]"),
        ("request-timeout-ms", "[default: 5000]"),
        ("log", "[default: info]"),
        ("log-format", "[default: text]"),
    ] {
        let from = flat
            .find(&format!("--{option} <"))
            .unwrap_or_else(|| panic!("no --{option}"));
        let variable = format!("[env: RAFT3D_{}]", option.to_uppercase().replace('-', "_"));
        let length = flat[from..]
            .find(&variable)
            .unwrap_or_else(|| panic!("no {variable}"));
        let about = &flat[from..from + length];
        assert!(about.contains(default), "`{default}` is not in: {about}");
    }
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    // A node id that is in no cluster: the error tells which source won.
    std::fs::write(
        &file,
        "node-id = 70\ndata-dir = \"unused\"\ninitial-cluster = \"1=127.0.0.1:9081\"\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let env = [("RAFT3D_NODE_ID", "80")];
    for (args, env, winner) in [
        (
            vec!["serve", "--config", file],
            [].as_slice(),
            "--node-id 70",
        ),
        (vec!["serve", "--config", file], &env, "--node-id 80"),
        (
            vec!["serve", "--config", file, "--node-id", "90"],
            &env,
            "--node-id 90",
        ),
        (
            vec!["serve", "--node-id", "90"],
            &[("RAFT3D_CONFIG", file)],
            "--node-id 90",
        ),
    ] {
        let output = raft3d(&args, env);
        assert_eq!(output.status.code(), Some(2));
        assert!(
            stderr(&output).contains(winner),
            "{winner}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn wrong_usage_is_code_2_and_names_the_value() {
    let serve = ["serve", "--node-id", "1", "--data-dir", "x"];
    let cluster = ["--initial-cluster", "1=127.0.0.1:9081,2=127.0.0.1:9082"];
    for (more, part) in [
        (vec![], "--initial-cluster"),
        (vec!["--initial-cluster", "1:127.0.0.1"], "1:127.0.0.1"),
        (
            [&cluster[..], &["--heartbeat-ms", "400"]].concat(),
            "--heartbeat-ms 400",
        ),
        (
            [&cluster[..], &["--election-timeout-ms", "9..1"]].concat(),
            "9..1",
        ),
        (
            [&cluster[..], &["--raft-addr", "127.0.0.1:1"]].concat(),
            "127.0.0.1:9081",
        ),
        (
            [&cluster[..], &["--log-format", "xml"]].concat(),
            "--log-format <FORMAT>",
        ),
        (
            [&cluster[..], &["--log", "raft3d=shout"]].concat(),
            "raft3d=shout",
        ),
        (
            [&cluster[..], &["--request-timeout-ms", "0"]].concat(),
            "--request-timeout-ms 0",
        ),
    ] {
        let output = raft3d(&[&serve[..], &more].concat(), &[]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(
            stderr(&output).contains(part),
            "`{part}` is not in: {}",
            stderr(&output)
        );
    }
    for args in [
        vec!["demo", "--http", "127.0.0.1:1"],
        vec![
            "demo",
            "--http",
            "127.0.0.1:1,127.0.0.1:2",
            "--raft",
            "127.0.0.1:3,127.0.0.1:4",
        ],
        vec!["cluster", "status", "--endpoint", "ftp://127.0.0.1"],
        vec!["printers", "add", "--company", "Prusa"],
        vec!["printers", "list", "--consistency", "weak"],
        vec!["bench", "--clients", "0"],
    ] {
        assert_eq!(raft3d(&args, &[]).status.code(), Some(2), "{args:?}");
    }
}

/// The README's examples of the command line, kept true.
#[test]
fn the_readme_names_only_commands_that_exist() {
    let readme = include_str!("../../README.md");
    let mut seen = BTreeSet::new();
    for line in readme.lines().filter(|line| line.starts_with("raft3d ")) {
        let command = line.split(" #").next().unwrap().trim();
        let verbs: Vec<&str> = command
            .split(' ')
            .skip(1)
            .take_while(|word| !word.starts_with('-'))
            .take(2)
            .collect();
        let help = raft3d(&[&verbs[..], &["--help"]].concat(), &[]);
        assert!(help.status.success(), "{command}");
        let text = stdout(&help);
        for option in command.split(' ').filter(|word| word.starts_with("--")) {
            assert!(
                text.contains(option),
                "`{option}` of `{command}` is not in:\n{text}"
            );
        }
        seen.insert(verbs[0]);
    }
    assert!(seen.len() >= 5, "{seen:?}");
}
