//! `raft3d tokens`: who may ask the cluster for what.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::api::{ClientError, Request, new_idempotency_key};
use super::console::Console;
use super::options::{ClientArgs, ReadOptions, WriteOptions};
use super::output::{NEW_TOKEN, TOKENS, print_line};
use crate::domain::time::Timestamp;
use crate::domain::tokens::AccessRole;
use crate::secret::Secret;
use crate::service::now;

const TOKENS_PATH: &str = "/api/v1/tokens";
const MS_A_DAY: u64 = 24 * 60 * 60 * 1_000;

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub enum TokenVerb {
    /// List all tokens, expired ones too
    List(ReadOptions),
    /// Show who the cluster takes you for
    Whoami,
    /// Create a token; its secret is shown this once
    Create(CreateToken),
    /// Revoke a token: its holder is nobody from now on
    Revoke {
        /// The token's id
        id: u64,
    },
    /// Make a secret for --admin-token-file, without asking any cluster
    Generate {
        /// Write it to this new file, which only you may read, instead of showing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// The token to be created.
#[derive(Debug, Args)]
pub struct CreateToken {
    /// Whose it is: letters, digits and - _ . @
    #[arg(long)]
    name: String,
    /// viewer reads; submitter has jobs printed, too; operator sets up printers and filaments, too;
    /// admin may do everything
    #[arg(long)]
    role: AccessRole,
    /// From when on it is worth nothing, as in 2027-01-31T00:00:00Z [default: never]
    #[arg(long, value_name = "TIME", conflicts_with = "expires_in_days", value_parser = moment)]
    expires_at: Option<Timestamp>,
    /// After how many days it is worth nothing [default: never]
    #[arg(long, value_name = "N")]
    expires_in_days: Option<u32>,
    /// Write the secret to this new file, which only you may read, instead of showing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    write: WriteOptions,
}

impl CreateToken {
    fn body(&self) -> Value {
        let in_days = self.expires_in_days.map(|days| {
            let end_ms = now().as_millis() + u64::from(days) * MS_A_DAY;
            Timestamp::from_millis(end_ms)
        });
        let mut body = json!({"name": self.name, "role": self.role});
        if let Some(end) = self.expires_at.or(in_days) {
            body["expires_at"] = json!(end);
        }
        body
    }
}

/// Runs one command of `raft3d tokens` and prints its result.
pub async fn run(args: ClientArgs<TokenVerb>) -> Result<(), ClientError> {
    let console = |columns| Console::new(&args.options, columns);
    match args.verb {
        TokenVerb::List(read) => console(TOKENS)?.read(TOKENS_PATH, read, Vec::new()).await,
        TokenVerb::Whoami => {
            let path = format!("{TOKENS_PATH}/self");
            console(TOKENS)?.send(&Request::get(&path, &[])).await
        }
        TokenVerb::Create(token) => create(console(NEW_TOKEN)?, token).await,
        TokenVerb::Revoke { id } => {
            let path = format!("{TOKENS_PATH}/{id}");
            console(TOKENS)?.send(&Request::delete(&path)).await
        }
        TokenVerb::Generate { out } => {
            let secret = Secret::generate()
                .map_err(|error| ClientError::Other(format!("no secret can be made: {error}")))?;
            match out {
                None => print_line(secret.reveal()),
                Some(path) => fill(&path, new_file(&path)?, secret.reveal()),
            }
        }
    }
}

async fn create(console: Console, token: CreateToken) -> Result<(), ClientError> {
    // First the file: a secret that cannot be written is lost.
    let file = token.out.as_deref().map(new_file).transpose()?;
    let key = match &token.write.idempotency_key {
        Some(key) => key.clone(),
        None => new_idempotency_key()?,
    };
    let body = token.body();
    let request = Request::post(TOKENS_PATH, Some(&body), &key);
    let (Some(path), Some(file)) = (token.out, file) else {
        return console.send(&request).await;
    };
    let created = async {
        let mut created = console.api.call(&request).await?;
        let secret = created
            .as_object_mut()
            .and_then(|token| token.remove("secret"));
        let Some(Value::String(secret)) = secret else {
            let text = "the token was created before, and its secret was shown then: revoke it and \
                        create another";
            return Err(ClientError::Other(text.into()));
        };
        fill(&path, file, &secret)?;
        Ok(created)
    };
    match created.await {
        Ok(created) => console.print(&created),
        Err(error) => {
            // It holds nothing; that it stays, should this fail, does no harm.
            let _ = std::fs::remove_file(&path);
            Err(error)
        }
    }
}

/// A file that was not there before, for nobody but its owner.
fn new_file(path: &Path) -> Result<File, ClientError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.map_err(|error| cannot_write(path, &error))
}

fn fill(path: &Path, mut file: File, secret: &str) -> Result<(), ClientError> {
    let written = writeln!(file, "{secret}").and_then(|()| file.sync_all());
    written.map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> ClientError {
    ClientError::Other(format!("cannot write {}: {error}", path.display()))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let quoted = Value::String(text.to_owned());
    serde_json::from_value(quoted).map_err(|error| error.to_string())
}
