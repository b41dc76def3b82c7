//! A world of its own for each test: processes, networks and files that end with it.
//!
//! The test runs itself again under `unshare`, as the first process of new namespaces. When that
//! process ends, however it ends, the kernel kills all others and removes the networks and the
//! file system that they were on.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Set in the inner process.
const INSIDE: &str = "RAFT3D_FAULTS_INSIDE";
/// `skip` here does without the tests that need namespaces.
const CHOICE: &str = "RAFT3D_FAULTS";
/// A memory file system of the inner process; with `/run/netns` in it, where `ip` keeps the names
/// of network namespaces.
const PRIVATE: &str = "/run";

/// One cluster at a time: more would only starve each other.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `body` in a world of its own, with a directory for its files. `test` is the full name of
/// the calling test.
///
/// Where namespaces are not permitted the test is skipped with a message; but root fails instead,
/// because a test run as root that skips everything would look like success.
pub fn isolated(test: &str, body: impl FnOnce(&Path)) {
    if env::var_os(INSIDE).is_some() {
        return body(&prepare());
    }
    if env::var(CHOICE).is_ok_and(|choice| choice == "skip") {
        eprintln!("skipped {test}: {CHOICE}=skip");
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(reason) = probe() {
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        assert!(
            !is_root,
            "root cannot create namespaces here ({reason}); {CHOICE}=skip does without"
        );
        eprintln!("skipped {test}: it needs root, for network namespaces ({reason})");
        return;
    }
    let program = env::current_exe().expect("a program knows its own path");
    let status = unshare()
        .arg(program)
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .status()
        .expect("setpriv was found a moment ago");
    assert!(
        status.success(),
        "{test} failed in its namespaces: {status}"
    );
}

/// The command that runs another in new namespaces. It dies with this process, and all within the
/// namespaces with it.
fn unshare() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child"]);
    command.arg("--mount-proc");
    command
}

/// Whether namespaces with interfaces can be made here, or what the system says.
fn probe() -> Result<(), String> {
    let steps = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip netns add probe && \
                 ip -n probe tuntap add dev tun0 mode tun";
    let output = unshare().args(["sh", "-c", steps]).output();
    let output = output.map_err(|error| format!("setpriv: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

fn prepare() -> PathBuf {
    run("mount", &["-t", "tmpfs", "-o", "size=2g", "tmpfs", PRIVATE]);
    run("ip", &["link", "set", "lo", "up"]);
    for dir in ["netns", "raft3d"] {
        fs::create_dir(Path::new(PRIVATE).join(dir)).expect("the file system is new and empty");
    }
    Path::new(PRIVATE).join("raft3d")
}

/// Runs a command of the system, which must succeed.
pub fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
