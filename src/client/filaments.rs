//! `raft3d filaments`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::FILAMENTS_PATH;
use super::api::ClientError;
use super::console::{Console, given, with_id};
use super::options::{ChangeOptions, ClientArgs, ReadOptions, WriteOptions};
use super::output::FILAMENTS;

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
        change: ChangeOptions,
    },
    /// Delete a filament that no unfinished print job uses
    Delete {
        /// The filament's id
        id: String,
        #[command(flatten)]
        change: ChangeOptions,
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

/// Runs one command of `raft3d filaments` and prints its result.
pub async fn run(args: ClientArgs<FilamentVerb>) -> Result<(), ClientError> {
    let console = Console::new(&args.options, FILAMENTS)?;
    match args.verb {
        FilamentVerb::List(read) => console.read(FILAMENTS_PATH, read, Vec::new()).await,
        FilamentVerb::Show { id, read } => console.show(FILAMENTS_PATH, &id, read).await,
        FilamentVerb::Update {
            id,
            kind,
            color,
            total,
            remaining,
            change,
        } => {
            let body = given([
                ("type", kind.map(Value::from)),
                ("color", color.map(Value::from)),
                ("total_weight_in_grams", total.map(Value::from)),
                ("remaining_weight_in_grams", remaining.map(Value::from)),
            ]);
            console.update(FILAMENTS_PATH, &id, &body, change).await
        }
        FilamentVerb::Delete { id, change } => console.delete(FILAMENTS_PATH, &id, change).await,
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
            console
                .write(FILAMENTS_PATH, Some(&with_id(body, id)), write)
                .await
        }
    }
}
