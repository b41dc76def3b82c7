//! The Debian package: what is in it, and that its unit is sound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use raft3d::config::{Config, Settings};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What is in the source of the package.
fn source(path: &str) -> String {
    std::fs::read_to_string(project().join("deploy/debian").join(path)).unwrap()
}

/// One test for all that needs the package: to build it takes a while.
#[test]
fn the_package_has_what_an_operator_expects() {
    let dir = tempfile::tempdir().unwrap();
    let built = run(Command::new(project().join("scripts/deb.sh"))
        .arg(env!("CARGO_BIN_EXE_raft3d"))
        .arg(dir.path()));
    let package = Path::new(built.trim_end());
    let root = dir.path().join("root");
    run(Command::new("dpkg-deb")
        .arg("--raw-extract")
        .arg(package)
        .arg(&root));
    check_contents(package);
    check_control(package, &root);
    run(Command::new("md5sum")
        .args(["--check", "--quiet", "DEBIAN/md5sums"])
        .current_dir(&root));
    let version = run(Command::new(root.join("usr/bin/raft3d")).arg("--version"));
    assert_eq!(
        version.trim_end(),
        concat!("raft3d ", env!("CARGO_PKG_VERSION"))
    );
}

/// Everything is there, root's, and with the right mode.
fn check_contents(package: &Path) {
    let listing = run(Command::new("dpkg-deb").arg("--contents").arg(package));
    let mut modes = BTreeMap::new();
    for line in listing.lines() {
        let mut words = line.split_whitespace();
        let (mode, owner, path) = (words.next(), words.next(), words.next_back());
        assert_eq!(owner, Some("root/root"), "{line}");
        modes.insert(path.unwrap().trim_start_matches('.'), mode.unwrap());
    }
    assert_eq!(modes.get("/usr/bin/raft3d"), Some(&"-rwxr-xr-x"));
    for path in [
        "/etc/raft3d/raft3d.toml",
        "/usr/lib/systemd/system/raft3d.service",
        "/usr/lib/sysusers.d/raft3d.conf",
        "/usr/share/bash-completion/completions/raft3d",
        "/usr/share/zsh/vendor-completions/_raft3d",
        "/usr/share/fish/vendor_completions.d/raft3d.fish",
        "/usr/share/man/man1/raft3d.1.gz",
        "/usr/share/man/man1/raft3d-serve.1.gz",
        "/usr/share/man/man1/raft3d-cluster-add.1.gz",
        "/usr/share/doc/raft3d/copyright",
        "/usr/share/doc/raft3d/docs/operations.md",
    ] {
        assert_eq!(modes.get(path), Some(&"-rw-r--r--"), "{path}\n{listing}");
    }
    // A node's directory is made when it starts, with its own owner and mode.
    assert!(
        !modes.keys().any(|path| path.starts_with("/var")),
        "{listing}"
    );
}

/// It depends on what the program is linked to, and keeps what an administrator has changed.
fn check_control(package: &Path, root: &Path) {
    let field = |name: &str| {
        let value = run(Command::new("dpkg-deb")
            .arg("--field")
            .arg(package)
            .arg(name));
        value.trim_end().to_owned()
    };
    assert_eq!(field("Package"), "raft3d");
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    let depends = field("Depends");
    for library in ["libc6 (>=", "libssl3", "libstdc++6 (>=", "systemd"] {
        assert!(depends.contains(library), "{depends}");
    }
    let control = root.join("DEBIAN");
    let conffiles = std::fs::read_to_string(control.join("conffiles")).unwrap();
    assert_eq!(conffiles, "/etc/raft3d/raft3d.toml\n");
    for script in ["postinst", "prerm", "postrm"] {
        run(Command::new("sh").arg("-n").arg(control.join(script)));
    }
}

#[test]
fn the_packaged_settings_make_a_node_once_it_knows_its_cluster() {
    let file = source("raft3d.toml");
    let missing = Config::from_settings(toml::from_str(&file).unwrap()).unwrap_err();
    assert!(missing.to_string().contains("--node-id"), "{missing}");
    let told = file.replace("#node-id = 1", "node-id = 2").replace(
        "#initial-cluster = \"LIST\"",
        "initial-cluster = \"1=127.0.0.1:1,2=127.0.0.1:2\"",
    );
    let settings: Settings = toml::from_str(&told).unwrap();
    let config = Config::from_settings(settings).unwrap();
    assert_eq!(config.data_dir, Path::new("/var/lib/raft3d"));
    assert_eq!(config.raft_addr, "127.0.0.1:2");
}

/// The unit as it is installed, but with the program and the pages where they are now.
fn unit_file() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let unit = source("raft3d.service");
    let lines = unit
        .lines()
        .filter(|line| !line.starts_with("Documentation="));
    let lines: Vec<_> = lines.collect();
    let text = lines
        .join("\n")
        .replace("/usr/bin/raft3d", env!("CARGO_BIN_EXE_raft3d"));
    let path = dir.path().join("raft3d.service");
    std::fs::write(&path, text + "\n").unwrap();
    (dir, path)
}

/// Runs systemd-analyze, which machines without systemd do not have.
fn analyze(args: &[&str], unit: &Path) -> Option<Output> {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(unit)
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("not checked by systemd: {error}");
            None
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

#[test]
fn the_unit_is_sound_and_exposes_little() {
    let (_dir, unit) = unit_file();
    if let Some(verified) = analyze(&["verify"], &unit) {
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<_> = said
            .lines()
            .filter(|line| line.contains("raft3d"))
            .collect();
        assert!(verified.status.success() && ours.is_empty(), "{verified:?}");
    }
    // Tenths of systemd's measure, which goes from 0 to 10; a unit without any protection has 9.6.
    if let Some(rated) = analyze(&["security", "--offline=true", "--threshold=20"], &unit) {
        assert!(rated.status.success(), "{rated:?}");
    }
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in [
        "Type=notify",
        "User=raft3d",
        "StateDirectory=raft3d",
        "StateDirectoryMode=0700",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet=",
        "Restart=on-failure",
        // More than a node takes to stop, and than it lets pass between two signs of life.
        "TimeoutStopSec=30",
        "WatchdogSec=30",
        // New certificates without a restart, and as many connections as the documentation says.
        "ExecReload=/bin/kill -HUP $MAINPID",
        "LimitNOFILE=65536",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no {line} in\n{text}"
        );
    }
}

#[test]
fn the_unit_starts_a_command_that_the_program_takes() {
    let unit = source("raft3d.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="));
    let words: Vec<_> = start.unwrap().split(' ').collect();
    let cli = <raft3d::cli::Cli as clap::Parser>::try_parse_from(&words).unwrap();
    let raft3d::cli::Command::Serve(serve) = cli.command else {
        panic!("{words:?}");
    };
    assert_eq!(
        serve.config.as_deref(),
        Some(Path::new("/etc/raft3d/raft3d.toml"))
    );
}
