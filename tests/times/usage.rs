//! What nodes use of memory and disk, sampled while they run.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval};

/// Pause between two samples.
const SAMPLE_PAUSE: Duration = Duration::from_secs(1);

/// One look at all nodes, in their order.
#[derive(Debug, Clone)]
pub struct Sample {
    pub seconds: u64,
    /// Requests answered so far.
    pub requests: u64,
    pub nodes: Vec<Usage>,
}

/// What one node uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Resident memory in KiB; 0 while it does not run.
    pub rss_kib: u64,
    pub disk_kib: u64,
    pub files: usize,
}

/// Takes samples until stopped.
pub struct Sampler {
    stop: watch::Sender<bool>,
    task: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    /// Watches the nodes with the given data directories; `requests` counts what was answered.
    pub fn start(dirs: Vec<PathBuf>, requests: watch::Receiver<u64>) -> Sampler {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let begun = Instant::now();
            let mut samples = Vec::new();
            let mut pause = interval(SAMPLE_PAUSE);
            while !*stopped.borrow_and_update() {
                tokio::select! {
                    _ = pause.tick() => {}
                    _ = stopped.changed() => {}
                }
                samples.push(Sample {
                    seconds: begun.elapsed().as_secs(),
                    requests: *requests.borrow(),
                    nodes: dirs.iter().map(|dir| Usage::of(dir)).collect(),
                });
            }
            samples
        });
        Sampler { stop, task }
    }

    /// Takes a last sample, and gives all.
    pub async fn stop(self) -> Vec<Sample> {
        self.stop.send_replace(true);
        self.task.await.expect("the sampler does not panic")
    }
}

impl Sample {
    pub fn json(&self) -> Value {
        let nodes = self.nodes.iter();
        let nodes = nodes.map(|n| json!([n.rss_kib, n.disk_kib, n.files]));
        json!({
            "seconds": self.seconds,
            "requests": self.requests,
            "rss_kib_disk_kib_files": nodes.collect::<Vec<_>>(),
        })
    }
}

impl Usage {
    fn of(dir: &Path) -> Usage {
        let (files, disk) = files_under(dir);
        Usage {
            rss_kib: rss_kib(dir).unwrap_or(0),
            disk_kib: disk >> 10,
            files,
        }
    }
}

/// Resident memory of the process whose id is in the directory's `pid`.
fn rss_kib(dir: &Path) -> Option<u64> {
    let pid = fs::read_to_string(dir.join("pid")).ok()?;
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Number and bytes of the files that the node itself keeps. Files may vanish meanwhile.
fn files_under(dir: &Path) -> (usize, u64) {
    let (mut files, mut bytes) = (0, 0);
    for item in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = item.file_name();
        let Ok(metadata) = item.metadata() else {
            continue;
        };
        if metadata.is_dir() {
            let (more_files, more_bytes) = files_under(&item.path());
            files += more_files;
            bytes += more_bytes;
        } else if name != "raft3d.log" && name != "pid" {
            files += 1;
            bytes += metadata.len();
        }
    }
    (files, bytes)
}
