//! `raft3d health`: whether nodes are ready, for people, scripts and container health checks.

use clap::Args;
use serde_json::{Value, json};

use super::api::{self, ClientError, Request};
use super::console::Console;
use super::options::ClientOptions;
use super::output::Column;

const COLUMNS: &[Column] = &[
    ("ENDPOINT", "endpoint"),
    ("READY", "ready"),
    ("REASON", "reason"),
];

/// The command line of `raft3d health`.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Where the nodes are.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Asks every endpoint's `/readyz` once and prints what each says; an error unless all are ready.
pub async fn run(args: HealthArgs) -> Result<(), ClientError> {
    let console = Console::new(&args.options, COLUMNS)?;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for endpoint in console.api.endpoints() {
        let reason = unready_reason(&console, endpoint).await;
        rows.push(json!({
            "endpoint": endpoint,
            "ready": reason.is_none(),
            "reason": reason,
        }));
        failures.extend(reason.map(|reason| (endpoint.clone(), reason)));
    }
    console.print(&Value::from(rows))?;
    if failures.is_empty() {
        return Ok(());
    }
    Err(ClientError::Unavailable {
        attempts: failures,
        unknown_write: None,
    })
}

async fn unready_reason(console: &Console, endpoint: &str) -> Option<String> {
    let request = Request::get("/readyz", &[]);
    match console.api.send(endpoint, &request, console.timeout).await {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(answer.problem().replace('\n', " ")),
        Err(error) => Some(api::failure(&error)),
    }
}
