//! The command line's client: printers, filaments, jobs, the cluster and its events over HTTP, and
//! backups.

pub mod api;
pub mod backup;
pub mod bench;
pub mod events;
pub mod follow;
pub mod health;
pub mod http;
pub mod output;
mod replay;
pub mod tokens;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::{Value, json};

use crate::secret::{NotASecret, Secret};
use api::{Api, ClientError, Request, new_idempotency_key};
use http::HttpClient;
use output::{
    Column, DELETED, FILAMENTS, Format, JOBS, LEADER, MEMBERS, NODES, PRINTERS, REMOVED, render,
};

/// The three nodes of `raft3d demo`.
pub const DEMO_ENDPOINTS: &str = "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083";

const PRINTERS_PATH: &str = "/api/v1/printers";
const FILAMENTS_PATH: &str = "/api/v1/filaments";
const JOBS_PATH: &str = "/api/v1/print_jobs";
const CLUSTER_PATH: &str = "/api/v1/cluster";
const MEMBERS_PATH: &str = "/api/v1/cluster/members";
const TRANSFER_PATH: &str = "/api/v1/cluster/transfer-leader";
const SNAPSHOTS_PATH: &str = "/api/v1/cluster/snapshots";

/// One client command: what to do, and the options that all of them share.
#[derive(Debug, Args)]
pub struct ClientArgs<V: Subcommand> {
    /// What to do.
    #[command(subcommand)]
    pub verb: V,
    /// Where and how.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Where the cluster is and how to talk to it.
#[derive(Debug, Clone, Args)]
pub struct ClientOptions {
    /// A node's HTTP address; repeat it or separate several by commas: they are tried in order.
    /// With http:// or https:// in front; without either, --ca decides
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "RAFT3D_ENDPOINT",
        hide_env_values = true,
        value_delimiter = ',',
        default_value = DEMO_ENDPOINTS
    )]
    pub endpoint: Vec<String>,
    /// The CA, a PEM file, that the nodes' certificates must be of: speaks TLS with them
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RAFT3D_CA",
        hide_env_values = true
    )]
    pub ca: Option<PathBuf>,
    /// How to print the result
    #[arg(short, long, global = true, value_enum, default_value = "table")]
    pub output: Format,
    /// How long to go on trying, in seconds, while no node can answer for the cluster
    #[arg(long, global = true, value_name = "S", default_value_t = 10)]
    pub timeout: u64,
    /// File with the token to show, which only you may read; without, the token itself is taken from
    /// the environment variable RAFT3D_TOKEN if that is set
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RAFT3D_TOKEN_FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
}

/// The environment variable that a token itself may be in.
const TOKEN_VARIABLE: &str = "RAFT3D_TOKEN";

impl ClientOptions {
    /// A client of the cluster that gives up after `timeout`.
    pub fn api(&self, timeout: Duration) -> Result<Api, ClientError> {
        let api = Api::new(&self.endpoint, timeout, self.http()?)?;
        Ok(api.with_token(self.token()?))
    }

    /// The token to show, if there is one.
    fn token(&self) -> Result<Option<Secret>, ClientError> {
        if let Some(path) = &self.token_file {
            let secret = Secret::from_file(path);
            return secret
                .map(Some)
                .map_err(|error| ClientError::Usage(error.to_string()));
        }
        let Some(text) = std::env::var_os(TOKEN_VARIABLE) else {
            return Ok(None);
        };
        let secret = text.to_str().ok_or(NotASecret).and_then(str::parse);
        secret
            .map(Some)
            .map_err(|error| ClientError::Usage(format!("{TOKEN_VARIABLE}: {error}")))
    }
}

impl ClientOptions {
    /// What speaks to the nodes.
    pub fn http(&self) -> Result<HttpClient, ClientError> {
        HttpClient::new(self.ca.as_deref())
    }
}

/// Options of verbs that read.
#[derive(Debug, Clone, Args)]
pub struct ReadOptions {
    /// linearizable: never older than a write acknowledged before; eventual: one node's own state,
    /// even without a quorum
    #[arg(long, value_name = "LEVEL", value_parser = ["linearizable", "eventual"], default_value = "linearizable")]
    pub consistency: String,
}

/// Options of verbs that write.
#[derive(Debug, Clone, Args)]
pub struct WriteOptions {
    /// Names this write: one repeated with the same key is carried out once [default: a fresh key]
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
}

/// What can be done with printers.
#[derive(Debug, Subcommand)]
pub enum PrinterVerb {
    /// List all printers
    List(ReadOptions),
    /// Show one printer
    Show {
        /// The printer's id
        id: String,
        #[command(flatten)]
        read: ReadOptions,
    },
    /// Change a printer that no unfinished print job uses; what is not given stays
    Update {
        /// The printer's id
        id: String,
        /// Who makes it, such as Prusa
        #[arg(long)]
        company: Option<String>,
        /// Which one it is, such as MK4
        #[arg(long)]
        model: Option<String>,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Delete a printer that no unfinished print job uses
    Delete {
        /// The printer's id
        id: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Add a printer
    Add {
        /// Who makes it, such as Prusa
        #[arg(long)]
        company: String,
        /// Which one it is, such as MK4
        #[arg(long)]
        model: String,
        /// Its id, a number or a text [default: the next free number]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// What can be done with filaments.
#[derive(Debug, Subcommand)]
pub enum FilamentVerb {
    /// List all filaments
    List(ReadOptions),
    /// Show one filament
    Show {
        /// The filament's id
        id: String,
        #[command(flatten)]
        read: ReadOptions,
    },
    /// Change a filament that no unfinished print job uses; what is not given stays
    Update {
        /// The filament's id
        id: String,
        /// PLA, PETG, ABS or TPU
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// Its color
        #[arg(long)]
        color: Option<String>,
        /// Weight of the full roll, in grams
        #[arg(long, value_name = "GRAMS")]
        total: Option<u64>,
        /// Weight that is left, in grams
        #[arg(long, value_name = "GRAMS")]
        remaining: Option<u64>,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Delete a filament that no unfinished print job uses
    Delete {
        /// The filament's id
        id: String,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Add a filament
    Add {
        /// PLA, PETG, ABS or TPU
        #[arg(long = "type", value_name = "TYPE")]
        kind: String,
        /// Its color
        #[arg(long)]
        color: String,
        /// Weight of the full roll, in grams
        #[arg(long, value_name = "GRAMS")]
        total: u64,
        /// Weight that is left, in grams [default: all of it]
        #[arg(long, value_name = "GRAMS")]
        remaining: Option<u64>,
        /// Its id, a number or a text [default: the next free number]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        write: WriteOptions,
    },
}

/// What can be done with print jobs.
#[derive(Debug, Subcommand)]
pub enum JobVerb {
    /// List print jobs
    List {
        /// Only those queued, running, done or canceled
        #[arg(long)]
        status: Option<String>,
        /// Only those of this printer
        #[arg(long, value_name = "ID")]
        printer: Option<String>,
        /// Only those of this filament
        #[arg(long, value_name = "ID")]
        filament: Option<String>,
        #[command(flatten)]
        read: ReadOptions,
    },
    /// Show one print job
    Show {
        /// The job's id
        id: String,
        #[command(flatten)]
        read: ReadOptions,
    },
    /// Queue a print job; it reserves its grams
    Add {
        /// Id of the printer
        #[arg(long, value_name = "ID")]
        printer: String,
        /// Id of the filament
        #[arg(long, value_name = "ID")]
        filament: String,
        /// The file to print
        #[arg(long, value_name = "PATH")]
        file: String,
        /// Weight of the print, in grams
        #[arg(long)]
        grams: u64,
        /// Its id, a number or a text [default: the next free number]
        #[arg(long)]
        id: Option<String>,
        #[command(flatten)]
        write: WriteOptions,
    },
    /// Queued to running
    Start(JobChange),
    /// Running to done; takes the grams off the filament
    Done(JobChange),
    /// Queued or running to canceled; releases the grams
    Cancel(JobChange),
}

/// Which job to change.
#[derive(Debug, Args)]
pub struct JobChange {
    /// The job's id
    id: String,
    #[command(flatten)]
    write: WriteOptions,
}

/// What can be done with the cluster.
#[derive(Debug, Subcommand)]
pub enum ClusterVerb {
    /// Show every endpoint's own view: role, leader, term and log
    Status,
    /// Have the first endpoint that answers take a snapshot and shorten its log
    Snapshot,
    /// List the members as the leader sees them
    Members,
    /// Take in a node that was started to join, as a learner; `raft3d serve --join` asks for that
    /// by itself
    Add {
        /// The node's number
        id: i32,
        /// Where the other nodes reach it
        #[arg(long, value_name = "HOST:PORT")]
        raft_addr: String,
        /// Where it serves its HTTP API
        #[arg(long, value_name = "HOST:PORT")]
        http_addr: String,
    },
    /// Remove a member, dead or alive; one that leads hands that over first. It stops, and its data
    /// directory is of no use any more
    Remove {
        /// The node's number
        id: i32,
    },
    /// Let a learner that has caught up vote
    Promote {
        /// The node's number
        id: i32,
    },
    /// Have another voter lead
    TransferLeader {
        /// Which [default: the one that is furthest]
        id: Option<i32>,
    },
}

/// Runs one command of `raft3d printers` and prints its result.
pub async fn printers(args: ClientArgs<PrinterVerb>) -> Result<(), ClientError> {
    let client = Client::new(&args.options, PRINTERS)?;
    match args.verb {
        PrinterVerb::List(read) => client.read(PRINTERS_PATH, read, Vec::new()).await,
        PrinterVerb::Show { id, read } => {
            client
                .read(&item_path(PRINTERS_PATH, &id), read, Vec::new())
                .await
        }
        PrinterVerb::Update {
            id,
            company,
            model,
            write,
        } => {
            let change = given([
                ("company", company.map(Value::from)),
                ("model", model.map(Value::from)),
            ]);
            client.update(PRINTERS_PATH, &id, &change, write).await
        }
        PrinterVerb::Delete { id, write } => delete(&args.options, PRINTERS_PATH, &id, write).await,
        PrinterVerb::Add {
            company,
            model,
            id,
            write,
        } => {
            let body = with_id(json!({"company": company, "model": model}), id);
            client.write(PRINTERS_PATH, Some(&body), write).await
        }
    }
}

/// Deletes the object `id` of the collection at `path`, and prints that it is gone.
async fn delete(
    options: &ClientOptions,
    path: &str,
    id: &str,
    write: WriteOptions,
) -> Result<(), ClientError> {
    let path = item_path(path, id);
    Client::new(options, DELETED)?
        .write_as(Method::DELETE, &path, None, write)
        .await
}

/// Runs one command of `raft3d filaments` and prints its result.
pub async fn filaments(args: ClientArgs<FilamentVerb>) -> Result<(), ClientError> {
    let client = Client::new(&args.options, FILAMENTS)?;
    match args.verb {
        FilamentVerb::List(read) => client.read(FILAMENTS_PATH, read, Vec::new()).await,
        FilamentVerb::Show { id, read } => {
            client
                .read(&item_path(FILAMENTS_PATH, &id), read, Vec::new())
                .await
        }
        FilamentVerb::Update {
            id,
            kind,
            color,
            total,
            remaining,
            write,
        } => {
            let change = given([
                ("type", kind.map(Value::from)),
                ("color", color.map(Value::from)),
                ("total_weight_in_grams", total.map(Value::from)),
                ("remaining_weight_in_grams", remaining.map(Value::from)),
            ]);
            client.update(FILAMENTS_PATH, &id, &change, write).await
        }
        FilamentVerb::Delete { id, write } => {
            delete(&args.options, FILAMENTS_PATH, &id, write).await
        }
        FilamentVerb::Add {
            kind,
            color,
            total,
            remaining,
            id,
            write,
        } => {
            let mut body = json!({"type": kind, "color": color, "total_weight_in_grams": total});
            if let Some(remaining) = remaining {
                body["remaining_weight_in_grams"] = remaining.into();
            }
            client
                .write(FILAMENTS_PATH, Some(&with_id(body, id)), write)
                .await
        }
    }
}

/// Runs one command of `raft3d jobs` and prints its result.
pub async fn jobs(args: ClientArgs<JobVerb>) -> Result<(), ClientError> {
    let client = Client::new(&args.options, JOBS)?;
    match args.verb {
        JobVerb::List {
            status,
            printer,
            filament,
            read,
        } => {
            let filters = [
                ("status", status),
                ("printer_id", printer),
                ("filament_id", filament),
            ];
            let query = filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            client.read(JOBS_PATH, read, query).await
        }
        JobVerb::Show { id, read } => {
            client
                .read(&item_path(JOBS_PATH, &id), read, Vec::new())
                .await
        }
        JobVerb::Add {
            printer,
            filament,
            file,
            grams,
            id,
            write,
        } => {
            let body = json!({
                "printer_id": id_value(&printer),
                "filament_id": id_value(&filament),
                "filepath": file,
                "print_weight_in_grams": grams,
            });
            client
                .write(JOBS_PATH, Some(&with_id(body, id)), write)
                .await
        }
        JobVerb::Start(job) => client.change_job(job, "running").await,
        JobVerb::Done(job) => client.change_job(job, "done").await,
        JobVerb::Cancel(job) => client.change_job(job, "canceled").await,
    }
}

/// Runs one command of `raft3d cluster` and prints its result.
pub async fn cluster(args: ClientArgs<ClusterVerb>) -> Result<(), ClientError> {
    let client = |columns| Client::new(&args.options, columns);
    match args.verb {
        ClusterVerb::Status => client(NODES)?.cluster_status().await,
        ClusterVerb::Snapshot => client(NODES)?.change(SNAPSHOTS_PATH, None).await,
        ClusterVerb::Members => {
            client(MEMBERS)?
                .send(&Request::get(MEMBERS_PATH, &[]))
                .await
        }
        ClusterVerb::Add {
            id,
            raft_addr,
            http_addr,
        } => {
            let body = json!({"id": id, "raft_addr": raft_addr, "http_addr": http_addr});
            client(MEMBERS)?.change(MEMBERS_PATH, Some(&body)).await
        }
        ClusterVerb::Remove { id } => {
            let path = format!("{MEMBERS_PATH}/{id}");
            client(REMOVED)?.send(&Request::delete(&path)).await
        }
        ClusterVerb::Promote { id } => {
            let path = format!("{MEMBERS_PATH}/{id}/promote");
            client(MEMBERS)?.change(&path, None).await
        }
        ClusterVerb::TransferLeader { id } => {
            let body = id.map(|id| json!({ "id": id }));
            client(LEADER)?.change(TRANSFER_PATH, body.as_ref()).await
        }
    }
}

/// The members of a body that are given.
fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter();
    given
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The API together with how to print what it answers.
struct Client {
    api: Api,
    format: Format,
    columns: &'static [Column],
    timeout: Duration,
}

impl Client {
    fn new(options: &ClientOptions, columns: &'static [Column]) -> Result<Client, ClientError> {
        let timeout = Duration::from_secs(options.timeout);
        Ok(Client {
            api: options.api(timeout)?,
            format: options.output,
            columns,
            timeout,
        })
    }

    async fn read(
        &self,
        path: &str,
        read: ReadOptions,
        mut query: Vec<(&'static str, String)>,
    ) -> Result<(), ClientError> {
        query.push(("consistency", read.consistency));
        let value = self.api.call(&Request::get(path, &query)).await?;
        self.print(&value)
    }

    async fn write(
        &self,
        path: &str,
        body: Option<&Value>,
        write: WriteOptions,
    ) -> Result<(), ClientError> {
        self.write_as(Method::POST, path, body, write).await
    }

    /// Changes the object `id` of the collection at `path`.
    async fn update(
        &self,
        path: &str,
        id: &str,
        change: &Value,
        write: WriteOptions,
    ) -> Result<(), ClientError> {
        let path = item_path(path, id);
        self.write_as(Method::PATCH, &path, Some(change), write)
            .await
    }

    async fn write_as(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        write: WriteOptions,
    ) -> Result<(), ClientError> {
        let key = match write.idempotency_key {
            Some(key) => key,
            None => new_idempotency_key()?,
        };
        let request = Request {
            method,
            ..Request::post(path, body, &key)
        };
        let value = self.api.call(&request).await?;
        self.print(&value)
    }

    /// Changes something of the cluster itself, where keys are of no use.
    async fn change(&self, path: &str, body: Option<&Value>) -> Result<(), ClientError> {
        let request = Request {
            idempotency_key: None,
            ..Request::post(path, body, "")
        };
        self.send(&request).await
    }

    async fn send(&self, request: &Request<'_>) -> Result<(), ClientError> {
        let value = self.api.call(request).await?;
        self.print(&value)
    }

    async fn change_job(&self, job: JobChange, status: &str) -> Result<(), ClientError> {
        let path = format!("{}/status", item_path(JOBS_PATH, &job.id));
        self.write(&path, Some(&json!({"status": status})), job.write)
            .await
    }

    /// Asks every endpoint; one that does not answer gets a row that says so.
    async fn cluster_status(&self) -> Result<(), ClientError> {
        let (mut rows, mut failures) = (Vec::new(), Vec::new());
        for endpoint in self.api.endpoints() {
            let request = Request::get(CLUSTER_PATH, &[]);
            let answer = match self.api.send(endpoint, &request, self.timeout).await {
                Ok(answer) => answer.into_result().map_err(|error| error.to_string()),
                Err(error) => Err(api::failure(&error)),
            };
            let mut row = match answer {
                Ok(view) => view,
                Err(reason) => {
                    failures.push((endpoint.clone(), reason.clone()));
                    json!({"role": "unreachable", "error": reason})
                }
            };
            row["endpoint"] = endpoint.as_str().into();
            rows.push(row);
        }
        if failures.len() == rows.len() {
            return Err(ClientError::Unavailable {
                attempts: failures,
                unknown_write: None,
            });
        }
        self.print(&rows.into())
    }

    fn print(&self, value: &Value) -> Result<(), ClientError> {
        print_line(&render(self.format, self.columns, value))
    }
}

/// Prints a line; a reader that went away (`| head`) is an error, not a panic.
pub fn print_line(text: &str) -> Result<(), ClientError> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| ClientError::Other(format!("cannot write the result: {error}")))
}

/// Ids are the same whether JSON number or text; what looks like a whole number is sent as one.
fn id_value(id: &str) -> Value {
    match id.parse::<i64>() {
        Ok(number) if number.to_string() == id => number.into(),
        _ => id.into(),
    }
}

fn with_id(mut body: Value, id: Option<String>) -> Value {
    if let Some(id) = id {
        body["id"] = id_value(&id);
    }
    body
}

fn item_path(collection: &str, id: &str) -> String {
    format!("{collection}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_look_like_numbers_are_sent_as_numbers() {
        assert_eq!(id_value("7"), json!(7));
        assert_eq!(id_value("-7"), json!(-7));
        assert_eq!(id_value("007"), json!("007"));
        assert_eq!(id_value("lab 1"), json!("lab 1"));
    }

    #[test]
    fn ids_are_percent_encoded_in_paths() {
        assert_eq!(
            item_path(PRINTERS_PATH, "a/b ä"),
            "/api/v1/printers/a%2Fb%20%C3%A4"
        );
    }
}
