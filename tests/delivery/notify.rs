//! What a node tells the service manager that started it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use raft3d::demo::nodes::free_addresses;

/// Longest wait for anything the node is to say.
const PATIENCE: Duration = Duration::from_secs(30);
/// Starts before giving up; each may lose a port to another program.
const ATTEMPTS: usize = 5;

/// A node under a service manager, which this test is.
struct Service {
    child: Child,
    socket: UnixDatagram,
    http_addr: String,
}

impl Service {
    /// A cluster of one whose service manager wants a sign of life every two seconds.
    fn start(dir: &Path) -> Service {
        for attempt in 0..ATTEMPTS {
            let mut service = Service::try_start(&dir.join(attempt.to_string()));
            if service.hear("READY=1") {
                return service;
            }
        }
        panic!("no node became ready");
    }

    fn try_start(dir: &Path) -> Service {
        std::fs::create_dir(dir).unwrap();
        let path = dir.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let addrs = free_addresses(2).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_raft3d"))
            .args(["serve", "--node-id", "1", "--exit-with-stdin"])
            .args(["--http-addr", &addrs[0]])
            .args(["--initial-cluster", &format!("1={}", addrs[1])])
            .arg("--data-dir")
            .arg(dir.join("data"))
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", "2000000")
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Service {
            child,
            socket,
            http_addr: addrs[0].clone(),
        }
    }

    /// Waits until the node says `line`; `false` if it ends before.
    fn hear(&mut self, line: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while Instant::now() < deadline {
            let mut bytes = [0; 4096];
            if let Ok(length) = self.socket.recv(&mut bytes) {
                let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
                heard.extend(text.lines().map(str::to_owned));
                if heard.iter().any(|said| said.starts_with(line)) {
                    return true;
                }
            } else if self.child.try_wait().unwrap().is_some() {
                return false;
            }
        }
        panic!("no {line} but {heard:?}");
    }

    fn answers_over_http(&self) -> bool {
        Command::new(env!("CARGO_BIN_EXE_raft3d"))
            .args(["cluster", "status", "--endpoint", &self.http_addr])
            .output()
            .unwrap()
            .status
            .success()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_node_says_when_it_serves_what_it_does_that_it_lives_and_when_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let mut service = Service::start(dir.path());
    assert!(service.answers_over_http(), "ready, and does not answer");
    assert!(service.hear("STATUS=leads a cluster of 1 in term "));
    for _ in 0..2 {
        assert!(service.hear("WATCHDOG=1"));
    }
    let health = Command::new(env!("CARGO_BIN_EXE_raft3d"))
        .args(["health", "--endpoint", &service.http_addr])
        .output()
        .unwrap();
    assert!(health.status.success(), "{health:?}");

    let pid = service.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    assert!(service.hear("STOPPING=1"));
    assert!(service.child.wait().unwrap().success());
    let health = Command::new(env!("CARGO_BIN_EXE_raft3d"))
        .args(["health", "--endpoint", &service.http_addr])
        .output()
        .unwrap();
    assert_eq!(health.status.code(), Some(5), "{health:?}");
    assert!(String::from_utf8_lossy(&health.stdout).contains("false"));
}
