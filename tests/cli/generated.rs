//! What is generated from the definitions of the command line: completions, manual pages, the table
//! of settings and the packaged configuration file.
//!
//! `make docs` writes the last two anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory;
use raft3d::cli::{Cli, settings};
use raft3d::config::Settings;

/// Between these lines is what the code says.
const BEGIN: &str = "<!-- generated: make docs -->\n";
const END: &str = "<!-- end of what is generated -->\n";

fn run(args: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO_BIN_EXE_raft3d"))
        .args(args)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    output.stdout
}

/// Every command with its ancestors, as in `["cluster", "add"]`, without those that are hidden.
fn commands() -> Vec<Vec<String>> {
    fn below(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            let path = [path, &[sub.get_name().to_owned()]].concat();
            below(sub, &path, all);
            all.push(path);
        }
    }
    let mut all = Vec::new();
    below(&Cli::command(), &[], &mut all);
    all
}

/// Compares the file with what it should hold, or writes it if asked to.
fn check_file(path: &str, expected: &str) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("RAFT3D_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&file, expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap();
    assert!(
        found == expected,
        "{path} is not what the code says; `make docs` writes it anew, and it should be:\n{expected}"
    );
}

#[test]
fn each_shell_can_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = String::from_utf8(run(&["completions", shell])).unwrap();
        for word in commands().into_iter().flatten() {
            assert!(script.contains(&word), "{shell} does not know `{word}`");
        }
    }
    let bash = run(&["completions", "bash"]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bash).unwrap();
    let parsed = Command::new("bash").arg("-n").arg(file.path()).output();
    let parsed = parsed.unwrap();
    assert!(parsed.status.success(), "{parsed:?}");
}

#[test]
fn each_command_has_a_manual_page() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("man");
    run(&["man", "--out", out.to_str().unwrap()]);
    let mut expected: BTreeSet<String> = commands()
        .iter()
        .map(|path| format!("raft3d-{}.1", path.join("-")))
        .collect();
    expected.insert("raft3d.1".into());
    assert_eq!(names_in(&out), expected);
    let serve = std::fs::read_to_string(out.join("raft3d-serve.1")).unwrap();
    for setting in settings::of_a_node() {
        let flag = format!("\\-\\-{}", setting.name.replace('-', "\\-"));
        assert!(serve.contains(&flag), "{flag} is not in the manual page");
    }
}

fn names_in(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().unwrap();
    entries.map(|entry| name(entry.unwrap())).collect()
}

#[test]
fn the_table_of_settings_is_what_the_code_says() {
    let path = "docs/configuration.md";
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let table = settings::table();
    check_file(path, &format!("{before}{BEGIN}{table}{END}{after}"));
}

#[test]
fn the_packaged_configuration_file_is_what_the_code_says() {
    let set = [("data-dir", "/var/lib/raft3d")];
    check_file("deploy/debian/raft3d.toml", &settings::file(&set));
}

#[test]
fn the_settings_of_a_file_are_those_that_it_documents() {
    let documented: BTreeSet<_> = settings::of_a_node()
        .into_iter()
        .map(|setting| setting.name)
        .collect();
    // An unknown key is refused with the list of those that are known.
    let refusal = toml::from_str::<Settings>("no-such-key = 1").unwrap_err();
    let refusal = refusal.to_string();
    let known: BTreeSet<_> = refusal
        .split_once("expected one of ")
        .unwrap()
        .1
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert_eq!(known, documented);
}

#[test]
fn what_a_configuration_file_shows_as_defaults_can_be_set() {
    let defaults = settings::of_a_node().into_iter().filter(|setting| {
        let constant = |value: &String| !value.contains(' ');
        setting.default.as_ref().is_some_and(constant)
    });
    let names: Vec<_> = defaults.map(|setting| setting.name).collect();
    assert!(names.len() > 5, "{names:?}");
    let shown = settings::file(&[]);
    let is_default = |line: &&str| {
        names
            .iter()
            .any(|name| line.starts_with(&format!("{name} =")))
    };
    let lines = shown.lines().filter_map(|line| line.strip_prefix('#'));
    let lines: Vec<_> = lines.filter(is_default).collect();
    assert_eq!(lines.len(), names.len(), "{shown}");
    let text = lines.join("\n");
    let read: Result<Settings, _> = toml::from_str(&text);
    assert!(read.is_ok(), "{text}\n{read:?}");
}
