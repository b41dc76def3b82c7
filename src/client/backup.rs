//! `raft3d backup`: fetches a backup from a cluster that serves, and says what one holds.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::api::{Api, ClientError, Request, failure};
use super::options::{ClientOptions, ReadOptions};
use super::output::{BACKUP, Format, print_line, render};
use crate::backup::format::{self, BackupError, Digest, Manifest};
use crate::hex::hex;

const BACKUP_PATH: &str = "/api/v1/cluster/backup";
/// Longest wait for more of a backup.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The command line of `raft3d backup`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BackupArgs {
    /// What to do instead.
    #[command(subcommand)]
    pub verb: Option<BackupVerb>,
    /// The file to write; it must not exist
    #[arg(long, value_name = "FILE", required = true)]
    pub out: Option<PathBuf>,
    /// How fresh the backup is.
    #[command(flatten)]
    pub read: ReadOptions,
    /// Where and how.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// What can be done with a backup that there is.
#[derive(Debug, Subcommand)]
pub enum BackupVerb {
    /// Read a backup whole, check every byte and every rule of the farm, and say what it holds
    Verify {
        /// The backup
        file: PathBuf,
    },
}

/// Runs `raft3d backup` and prints what the backup holds.
pub async fn run(args: BackupArgs) -> Result<(), ClientError> {
    let format = args.options.output;
    match (args.verb, args.out) {
        (Some(BackupVerb::Verify { file }), _) => {
            let source = open(&file)?;
            let (_, manifest, digest) = format::load(source).map_err(|e| unusable(&file, &e))?;
            print(format, &file, &manifest, &digest)
        }
        (None, Some(out)) => {
            let query = [("consistency", args.read.consistency)];
            let api = args
                .options
                .api(Duration::from_secs(args.options.timeout))?;
            let (manifest, digest) = fetch(&api, &query, &out).await?;
            print(format, &out, &manifest, &digest)
        }
        (None, None) => Err(ClientError::Usage("--out names no file".into())),
    }
}

/// Fetches a backup into `out`, which appears there whole and checked, or not at all.
async fn fetch(
    api: &Api,
    query: &[(&str, String)],
    out: &Path,
) -> Result<(Manifest, Digest), ClientError> {
    refuse_existing(out)?;
    let response = api.download(&Request::get(BACKUP_PATH, query)).await?;
    let temporary = temporary_of(out);
    let fetched = receive(response, &temporary).await.and_then(|()| {
        let checked = format::check(open(&temporary)?);
        let checked = checked.map_err(|error| unusable(&temporary, &error))?;
        refuse_existing(out)?;
        publish(&temporary, out)?;
        Ok(checked)
    });
    if fetched.is_err() {
        // The error that is reported says more than one about this would.
        let _ = fs::remove_file(&temporary);
    }
    fetched
}

async fn receive(mut response: reqwest::Response, path: &Path) -> Result<(), ClientError> {
    let io = |error| cannot("write", path, &error);
    let mut file = File::create(path).map_err(io)?;
    loop {
        let chunk = timeout(STALL_TIMEOUT, response.chunk()).await;
        let chunk =
            chunk.map_err(|_| broken_off(&format!("nothing came for {STALL_TIMEOUT:?}")))?;
        match chunk.map_err(|error| broken_off(&failure(&error)))? {
            Some(bytes) => file.write_all(&bytes).map_err(io)?,
            None => return file.sync_all().map_err(io),
        }
    }
}

/// Gives the finished file its name, durably.
fn publish(temporary: &Path, out: &Path) -> Result<(), ClientError> {
    fs::rename(temporary, out).map_err(|error| cannot("rename", temporary, &error))?;
    let dir = match out.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|error| cannot("sync", dir, &error))
}

fn temporary_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn refuse_existing(out: &Path) -> Result<(), ClientError> {
    match out.try_exists() {
        Ok(false) => Ok(()),
        Ok(true) => Err(ClientError::Usage(format!(
            "--out {}: there is such a file already, and a backup overwrites nothing",
            out.display()
        ))),
        Err(error) => Err(cannot("look at", out, &error)),
    }
}

fn open(path: &Path) -> Result<BufReader<File>, ClientError> {
    let file = File::open(path).map_err(|error| cannot("open", path, &error))?;
    Ok(BufReader::with_capacity(64 << 10, file))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::Other(format!("cannot {what} {}: {error}", path.display()))
}

fn unusable(path: &Path, error: &BackupError) -> ClientError {
    ClientError::Other(format!(
        "the backup {} cannot be used: {error}",
        path.display()
    ))
}

fn broken_off(reason: &str) -> ClientError {
    ClientError::Other(format!(
        "the backup broke off, and nothing is kept of it: {reason}"
    ))
}

fn print(
    format: Format,
    file: &Path,
    manifest: &Manifest,
    digest: &Digest,
) -> Result<(), ClientError> {
    let bytes = fs::metadata(file)
        .map_err(|error| cannot("look at", file, &error))?
        .len();
    let value = describe(file, bytes, manifest, digest);
    print_line(&render(format, BACKUP, &value))
}

fn describe(file: &Path, bytes: u64, manifest: &Manifest, digest: &Digest) -> Value {
    json!({
        "file": file.display().to_string(),
        "bytes": bytes,
        "sha256": hex(digest),
        "index": manifest.index,
        "taken_at": manifest.taken_at,
        "cluster_id": manifest.cluster,
        "printers": manifest.printers,
        "filaments": manifest.filaments,
        "print_jobs": manifest.jobs,
        "farm_hash": hex(&manifest.farm_hash),
        "program_version": manifest.program,
    })
}
