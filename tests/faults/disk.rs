//! The disk of one node: faults on demand, and what a power failure leaves of it.
//!
//! `disk.c` runs in the node's process and keeps a journal. From what the directory held after the
//! last power failure and the journal since, [`Model`] knows for every file which bytes were made
//! durable and which changes were not. Power failure is then: kill the process, let chance decide
//! which of the changes that were never synced reached the disk, and write that down as the new
//! content of the directory.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::power::{Loss, Model};
use super::rng::Rng;

/// Where the fields of `struct control` are.
#[derive(Debug, Clone, Copy)]
pub enum Control {
    /// errno of failing writes; 0 for none.
    WriteErrno = 0,
    /// errno of failing syncs; 0 for none.
    SyncErrno = 4,
    /// How long a sync takes, in milliseconds.
    SyncDelayMs = 8,
    /// Of this many syncs of file data, which is how the log is synced, one is carried out; 0 for
    /// all. The others succeed and make nothing durable.
    SyncSkipped = 12,
    /// Counts the calls that were made to fail.
    Failures = 24,
}

/// Offset of `clock_step_ms`, the one field of eight bytes.
const CLOCK_STEP: u64 = 16;
const CONTROL_LEN: u64 = 32;

/// Compiles the shim into `dir` and gives its path.
pub fn compile_shim(dir: &Path) -> PathBuf {
    let library = dir.join("disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk.c");
    let output = Command::new("cc")
        .args([
            "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o",
        ])
        .arg(&library)
        .arg(&source)
        .args(["-ldl", "-lpthread"])
        .output()
        .expect("cc runs: the core was built with it");
    assert!(
        output.status.success(),
        "{}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

/// One node's disk.
pub struct Disk {
    dir: PathBuf,
    control: File,
    control_path: PathBuf,
    journal_path: PathBuf,
    model: Model,
    /// At a power failure nothing survives that was never synced, in place of what chance lets.
    pub forgets_all: bool,
}

impl Disk {
    /// The disk under the empty directory `dir`; its control file and journal are beside it.
    pub fn new(dir: &Path) -> Disk {
        let control_path = dir.with_extension("control");
        let journal_path = dir.with_extension("journal");
        let control = OpenOptions::new()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&control_path)
            .and_then(|file| file.set_len(CONTROL_LEN).map(|()| file))
            .expect("a control file");
        File::create(&journal_path).expect("a journal");
        Disk {
            dir: dir.to_owned(),
            control,
            control_path,
            journal_path,
            model: Model::default(),
            forgets_all: false,
        }
    }

    /// The environment that puts a process on this disk.
    pub fn environment(&self, shim: &Path) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", shim.to_owned()),
            ("RAFT3D_FAULT_DIR", self.dir.clone()),
            ("RAFT3D_FAULT_CONTROL", self.control_path.clone()),
            ("RAFT3D_FAULT_JOURNAL", self.journal_path.clone()),
        ]
    }

    /// Sets a field; the process sees it at its next call.
    pub fn set(&self, field: Control, value: i32) {
        self.control
            .write_all_at(&value.to_ne_bytes(), field as u64)
            .expect("the control file takes a value");
    }

    /// Steps the wall clock of the process away from the real time.
    pub fn step_clock(&self, ms: i64) {
        self.control
            .write_all_at(&ms.to_ne_bytes(), CLOCK_STEP)
            .expect("the control file takes a value");
    }

    /// How many calls failed because of this disk so far.
    pub fn failures(&self) -> i32 {
        let mut bytes = [0; 4];
        self.control
            .read_exact_at(&mut bytes, Control::Failures as u64)
            .expect("the control file has all fields");
        i32::from_ne_bytes(bytes)
    }

    /// Ends all faults but those that have happened.
    pub fn repair(&self) {
        for field in [
            Control::WriteErrno,
            Control::SyncErrno,
            Control::SyncDelayMs,
        ] {
            self.set(field, 0);
        }
    }

    /// Takes note of what the process, which is dead by now, did to the disk.
    pub fn process_ended(&mut self) {
        let journal = fs::read(&self.journal_path).expect("the journal can be read");
        self.model.replay(&journal);
        self.model.reconcile(&self.dirs());
    }

    /// Where the node keeps files; its log file and the like, in the first, are not on this disk.
    fn dirs(&self) -> [PathBuf; 3] {
        [
            self.dir.clone(),
            self.dir.join("log"),
            self.dir.join("snapshots"),
        ]
    }

    /// Throws away all that is on the disk. The process is dead, and [`Disk::process_ended`] was
    /// called.
    pub fn wipe(&mut self) {
        for path in self.model.names() {
            fs::remove_file(path).expect("what the process left can be removed");
        }
        File::create(&self.journal_path).expect("an empty journal");
        self.model = Model::default();
    }

    /// Cuts the power: of what was never synced, chance decides what is still there. The process
    /// is dead, and [`Disk::process_ended`] was called.
    pub fn lose_power(&mut self, rng: &mut Rng) -> Loss {
        let (files, loss) = self.model.after_power_failure(self.forgets_all, rng);
        for path in self.model.names() {
            fs::remove_file(path).expect("what the process left can be removed");
        }
        let mut model = Model::default();
        for (path, content) in files {
            let mut file = File::create(&path).expect("a file of the directory");
            file.write_all(&content).expect("room for its content");
            model.adopt(&path, content);
        }
        File::create(&self.journal_path).expect("an empty journal");
        self.model = model;
        loss
    }
}
