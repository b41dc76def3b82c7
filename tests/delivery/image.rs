//! The container image and the compose file: what they name exists, and what they run is what the
//! program takes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Parser;
use raft3d::cli::{Cli, Command as Verb};
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The instructions of the Dockerfile, one a line, their words apart.
fn instructions() -> Vec<Vec<String>> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    lines
        .map(words)
        .filter(|words: &Vec<_>| !words.is_empty())
        .collect()
}

/// What the image is built from: the sources of all `COPY`s from the project.
fn sources() -> Vec<String> {
    let copies = instructions()
        .into_iter()
        .filter(|words| words[0] == "COPY" && !words[1].starts_with("--"));
    let sources: Vec<_> = copies
        .flat_map(|words| words[1..words.len() - 1].to_vec())
        .collect();
    assert!(sources.len() >= 5, "{sources:?}");
    sources
}

/// The words of a list in the form `["a", "b"]`.
fn exec_form(words: &[String]) -> Vec<String> {
    serde_json::from_str(&words.join(" ")).unwrap()
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

/// What cargo builds of the package in `dir`, but for its tests, each from a file that is there.
fn targets(dir: &Path) -> BTreeSet<String> {
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked"])
        .args(["--format-version", "1", "--manifest-path"])
        .arg(dir.join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
    let package: Value = serde_json::from_slice(&read.stdout).unwrap();
    let targets = package["packages"][0]["targets"].as_array().unwrap().iter();
    let built = targets.filter(|target| target["kind"][0] != "test");
    let built = built.filter(|target| Path::new(target["src_path"].as_str().unwrap()).exists());
    built
        .map(|target| format!("{} {}", target["kind"][0], target["name"]))
        .collect()
}

#[test]
fn the_image_is_built_from_all_that_the_package_needs() {
    let project = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    for source in sources() {
        copy(&project.join(&source), &dir.path().join(&source));
    }
    assert_eq!(targets(dir.path()), targets(&project));
    let script = read("build.rs");
    let named = script.split('"').filter(|path| project.join(path).exists());
    let missing: Vec<_> = named
        .filter(|path| !dir.path().join(path).exists())
        .collect();
    assert!(missing.is_empty(), "the build script wants {missing:?}");

    let included = Command::new("grep")
        .args([
            "-rhoE",
            r#"include_(str|bytes)!\("[^"]+"\)"#,
            "src",
            "--include=*.rs",
        ])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let included = String::from_utf8(included.stdout).unwrap();
    for line in included.lines().filter(|line| line.contains("../../")) {
        let path = line.split('"').nth(1).unwrap().replace("../", "");
        assert!(
            dir.path().join(&path).exists(),
            "{path} is not in the image's build"
        );
    }
}

#[test]
fn nothing_that_is_copied_is_kept_from_the_build() {
    let ignored = read(".dockerignore");
    for source in sources() {
        let kept = format!("!{source}");
        assert!(ignored.lines().any(|line| line == kept), "no line {kept}");
    }
}

#[test]
fn the_image_runs_as_nobody_special_and_asks_itself_how_it_is() {
    let all = instructions();
    let last = |name: &str| all.iter().rfind(|words| words[0] == name).unwrap().clone();
    assert_eq!(last("USER"), ["USER", "raft3d"]);
    let program = exec_form(&last("ENTRYPOINT")[1..]);
    assert_eq!(program, ["raft3d"]);
    let started = [program, exec_form(&last("CMD")[1..])].concat();
    assert!(Cli::try_parse_from(started).is_ok());
    let health = last("HEALTHCHECK");
    let command = health.iter().position(|word| word == "CMD").unwrap();
    let command = exec_form(&health[command + 1..]);
    let parsed = Cli::try_parse_from(&command);
    let is_health = parsed.is_ok_and(|cli| matches!(cli.command, Verb::Health(_)));
    assert!(is_health, "{command:?}");
}

/// A service's own value, or that of the node it is derived from.
fn of<'a>(service: &'a Yaml, key: &str) -> &'a Yaml {
    match &service[key] {
        Yaml::BadValue => &service["<<"][key],
        own => own,
    }
}

#[test]
fn the_compose_file_starts_three_nodes_of_one_cluster() {
    let file = YamlLoader::load_from_str(&read("compose.yaml")).unwrap();
    let services = file[0]["services"].as_hash().unwrap();
    let mut nodes = BTreeMap::new();
    for (name, service) in services {
        let name = name.as_str().unwrap();
        let command = of(service, "command").as_vec().unwrap().iter();
        let mut args = vec!["raft3d".to_owned()];
        args.extend(command.map(|word| word.as_str().unwrap().to_owned()));
        // The data directory comes from the image.
        args.extend(["--data-dir".to_owned(), "/var/lib/raft3d".to_owned()]);
        for (variable, value) in of(service, "environment").as_hash().unwrap() {
            let variable = variable.as_str().unwrap().strip_prefix("RAFT3D_").unwrap();
            args.push(format!("--{}", variable.to_lowercase().replace('_', "-")));
            args.push(value.as_str().unwrap().to_owned());
        }
        let cli = Cli::try_parse_from(&args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
        let Verb::Serve(serve) = cli.command else {
            panic!("{name} does not serve: {args:?}");
        };
        let config = serve
            .load()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            config.raft_addr.starts_with(&format!("{name}:")),
            "{config:?}"
        );
        let volume = of(service, "volumes")[0].as_str().unwrap();
        let (volume, place) = volume.split_once(':').unwrap();
        assert_eq!(place, config.data_dir.to_str().unwrap());
        assert!(
            !file[0]["volumes"][volume].is_badvalue(),
            "no volume {volume}"
        );
        nodes.insert(config.node_id, (volume.to_owned(), config.origin));
    }
    assert_eq!(nodes.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    let origins: Vec<_> = nodes.values().map(|(_, origin)| origin).collect();
    assert!(origins.iter().all(|origin| *origin == origins[0]));
    let mut volumes: Vec<_> = nodes.values().map(|(volume, _)| volume).collect();
    volumes.dedup();
    assert_eq!(volumes.len(), 3, "two nodes in one directory: {volumes:?}");
}
