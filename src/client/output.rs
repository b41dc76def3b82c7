//! What the client prints: tables for people, JSON for programs.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::api::ClientError;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns, for people.
    Table,
    /// The server's JSON, for programs.
    Json,
}

/// A column: its heading, and the member of the row's object that fills it.
pub type Column = (&'static str, &'static str);

/// Columns of a list of printers.
pub const PRINTERS: &[Column] = &[("ID", "id"), ("COMPANY", "company"), ("MODEL", "model")];

/// Columns of a list of filaments.
pub const FILAMENTS: &[Column] = &[
    ("ID", "id"),
    ("TYPE", "type"),
    ("COLOR", "color"),
    ("TOTAL g", "total_weight_in_grams"),
    ("REMAINING g", "remaining_weight_in_grams"),
    ("AVAILABLE g", "available_weight_in_grams"),
];

/// Columns of a list of print jobs.
pub const JOBS: &[Column] = &[
    ("ID", "id"),
    ("STATUS", "status"),
    ("PRINTER", "printer_id"),
    ("FILAMENT", "filament_id"),
    ("GRAMS", "print_weight_in_grams"),
    ("FILE", "filepath"),
    ("UPDATED", "updated_at"),
];

/// Columns of the nodes of a cluster.
pub const NODES: &[Column] = &[
    ("NODE", "node_id"),
    ("ENDPOINT", "endpoint"),
    ("ROLE", "role"),
    ("LEADER", "leader"),
    ("TERM", "term"),
    ("LAST", "last_log_index"),
    ("COMMITTED", "committed_index"),
    ("APPLIED", "applied_index"),
    ("SNAPSHOT", "snapshot_index"),
    ("LOG START", "log_start_index"),
];

/// Columns of the members of a cluster.
pub const MEMBERS: &[Column] = &[
    ("NODE", "id"),
    ("RAFT", "raft_addr"),
    ("HTTP", "http_addr"),
    ("LEADER", "leader"),
    ("LEARNER", "learner"),
    ("LAST", "last_log_index"),
    ("ANSWERED ms AGO", "last_contact_ms"),
];

/// Columns of a list of tokens.
pub const TOKENS: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("ROLE", "role"),
    ("CREATED", "created_at"),
    ("CREATED BY", "created_by"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
];

/// Columns of a token just created.
pub const NEW_TOKEN: &[Column] = &[
    ("ID", "id"),
    ("NAME", "name"),
    ("ROLE", "role"),
    ("EXPIRES", "expires_at"),
    ("SECRET", "secret"),
];

/// What a deletion answers.
pub const DELETED: &[Column] = &[("DELETED", "deleted")];

/// What a removal answers.
pub const REMOVED: &[Column] = &[("REMOVED", "removed")];

/// What a change of the leader answers.
pub const LEADER: &[Column] = &[("LEADER", "leader")];

/// What a backup holds.
pub const BACKUP: &[Column] = &[
    ("FILE", "file"),
    ("BYTES", "bytes"),
    ("INDEX", "index"),
    ("TAKEN AT", "taken_at"),
    ("CLUSTER", "cluster_id"),
    ("PRINTERS", "printers"),
    ("FILAMENTS", "filaments"),
    ("JOBS", "print_jobs"),
    ("FARM HASH", "farm_hash"),
];

/// Columns of the cluster's settings.
pub const SETTINGS: &[Column] = &[("EVENT RETENTION", "event_retention")];

/// Columns of what a file of events was rebuilt to.
pub const REPLAYED: &[Column] = &[
    ("CLUSTER", "cluster_id"),
    ("BASE", "base_index"),
    ("EVENTS", "events"),
    ("INDEX", "index"),
    ("PRINTERS", "printers"),
    ("FILAMENTS", "filaments"),
    ("JOBS", "jobs"),
    ("FARM HASH", "farm_hash"),
    ("VERIFIED", "verified"),
];

/// Columns of what was exported.
pub const EXPORTED: &[Column] = &[("FILE", "file"), ("INDEX", "index")];

/// `value` as asked for: an array as a row for each element, anything else as one row.
pub fn render(format: Format, columns: &[Column], value: &Value) -> String {
    match format {
        Format::Json => format!("{value:#}"),
        Format::Table => {
            let rows = value
                .as_array()
                .map_or(std::slice::from_ref(value), Vec::as_slice);
            table(columns, rows)
        }
    }
}

fn table(columns: &[Column], rows: &[Value]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(columns.iter().map(|(heading, _)| *heading));
    for row in rows {
        table.add_row(columns.iter().map(|(_, member)| cell(row.get(member))));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".into(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Prints a line; a reader that went away (`| head`) is an error, not a panic.
pub fn print_line(text: &str) -> Result<(), ClientError> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
        .map_err(|error| ClientError::Other(format!("cannot write the result: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_object() {
        let printers = json!([
            {"id": 1, "company": "Prusa", "model": "MK4"},
            {"id": "lab", "company": "Creality"},
        ]);
        let text = render(Format::Table, PRINTERS, &printers);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            rows,
            [
                vec!["ID", "COMPANY", "MODEL"],
                vec!["1", "Prusa", "MK4"],
                vec!["lab", "Creality", "-"],
            ]
        );
    }

    #[test]
    fn json_is_the_answer_as_it_came() {
        let value = json!({"id": 1});
        let text = render(Format::Json, PRINTERS, &value);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
