//! `raft3d jobs`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::JOBS_PATH;
use super::api::ClientError;
use super::console::{Console, id_value, item_path, with_id};
use super::options::{ClientArgs, ReadOptions, WriteOptions};
use super::output::JOBS;

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

/// Runs one command of `raft3d jobs` and prints its result.
pub async fn run(args: ClientArgs<JobVerb>) -> Result<(), ClientError> {
    let console = Console::new(&args.options, JOBS)?;
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
            console.read(JOBS_PATH, read, query).await
        }
        JobVerb::Show { id, read } => console.show(JOBS_PATH, &id, read).await,
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
            console
                .write(JOBS_PATH, Some(&with_id(body, id)), write)
                .await
        }
        JobVerb::Start(job) => set_status(&console, job, "running").await,
        JobVerb::Done(job) => set_status(&console, job, "done").await,
        JobVerb::Cancel(job) => set_status(&console, job, "canceled").await,
    }
}

async fn set_status(console: &Console, job: JobChange, status: &str) -> Result<(), ClientError> {
    let path = format!("{}/status", item_path(JOBS_PATH, &job.id));
    let body = json!({ "status": status });
    console.write(&path, Some(&body), job.write).await
}
