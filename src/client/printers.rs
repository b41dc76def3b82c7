//! `raft3d printers`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::PRINTERS_PATH;
use super::api::ClientError;
use super::console::{Console, given, with_id};
use super::options::{ChangeOptions, ClientArgs, ReadOptions, WriteOptions};
use super::output::PRINTERS;

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
        change: ChangeOptions,
    },
    /// Delete a printer that no unfinished print job uses
    Delete {
        /// The printer's id
        id: String,
        #[command(flatten)]
        change: ChangeOptions,
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

/// Runs one command of `raft3d printers` and prints its result.
pub async fn run(args: ClientArgs<PrinterVerb>) -> Result<(), ClientError> {
    let console = Console::new(&args.options, PRINTERS)?;
    match args.verb {
        PrinterVerb::List(read) => console.read(PRINTERS_PATH, read, Vec::new()).await,
        PrinterVerb::Show { id, read } => console.show(PRINTERS_PATH, &id, read).await,
        PrinterVerb::Update {
            id,
            company,
            model,
            change,
        } => {
            let body = given([
                ("company", company.map(Value::from)),
                ("model", model.map(Value::from)),
            ]);
            console.update(PRINTERS_PATH, &id, &body, change).await
        }
        PrinterVerb::Delete { id, change } => console.delete(PRINTERS_PATH, &id, change).await,
        PrinterVerb::Add {
            company,
            model,
            id,
            write,
        } => {
            let body = with_id(json!({"company": company, "model": model}), id);
            console.write(PRINTERS_PATH, Some(&body), write).await
        }
    }
}
