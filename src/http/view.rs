//! The farm's objects as the API shows them, and where they are found.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::id::Id;
use crate::domain::model::{Filament, Kind, PrintJob, Printer};
use crate::domain::outcome::Reply;
use crate::domain::state::JobFilter;
use crate::domain::state::State;
use crate::domain::weight::Grams;

/// What is encoded in a path segment or a query value: all but the unreserved characters of
/// RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// One object as JSON.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum View<'a> {
    /// A printer as stored.
    Printer(&'a Printer),
    /// A filament, with what is free of it.
    Filament(FilamentView<'a>),
    /// A print job as stored.
    Job(&'a PrintJob),
}

/// A filament, with what is free of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilamentView<'a> {
    /// The filament as stored.
    #[serde(flatten)]
    filament: &'a Filament,
    /// What is neither used nor reserved.
    available_weight_in_grams: Grams,
    /// Log index of its last change, or of what is available of it.
    #[serde(skip)]
    version: u64,
}

impl<'a> View<'a> {
    /// The filament as it is in `state`.
    pub fn filament(state: &State, filament: &'a Filament) -> View<'a> {
        View::Filament(FilamentView {
            filament,
            available_weight_in_grams: state.available(filament),
            version: state.version_of(filament),
        })
    }

    /// The object of the farm that a command created or changed, if it did.
    pub fn of_reply(reply: &'a Reply) -> Option<View<'a>> {
        match reply {
            Reply::Printer(printer) => Some(View::Printer(printer)),
            Reply::Filament { filament, version } => Some(View::Filament(FilamentView {
                filament,
                // Commands answer with a filament only when no job that holds any of it is left.
                available_weight_in_grams: filament.remaining_weight_in_grams,
                version: *version,
            })),
            Reply::Job(job) => Some(View::Job(job)),
            Reply::Barrier
            | Reply::Cluster(_)
            | Reply::NodeNoted
            | Reply::Settings(_)
            | Reply::Token(_)
            | Reply::TokenRevoked(_)
            | Reply::TokenUsesNoted
            | Reply::Deleted { .. } => None,
        }
    }

    /// The object's id.
    pub fn id(&self) -> &'a Id {
        match self {
            View::Printer(printer) => &printer.id,
            View::Filament(view) => &view.filament.id,
            View::Job(job) => &job.id,
        }
    }

    /// Log index of the last change of what is shown.
    pub fn version(&self) -> u64 {
        match self {
            View::Printer(printer) => printer.modified_index,
            View::Filament(view) => view.version,
            View::Job(job) => job.modified_index,
        }
    }

    /// Path of the object.
    pub fn path(&self) -> String {
        let kind = match self {
            View::Printer(_) => Kind::Printer,
            View::Filament(_) => Kind::Filament,
            View::Job(_) => Kind::PrintJob,
        };
        [path_of(kind), "/", &encode_segment(&self.id().key())].concat()
    }
}

/// Path of the list of all objects of a kind.
pub fn path_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Printer => "/api/v1/printers",
        Kind::Filament => "/api/v1/filaments",
        Kind::PrintJob => "/api/v1/print_jobs",
    }
}

/// `text` as a path segment or a query value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `key` as a path segment. A lone `.` or `..` is encoded too: clients resolve those away.
fn encode_segment(key: &str) -> Cow<'_, str> {
    match key {
        "." | ".." => key.replace('.', "%2E").into(),
        _ => utf8_percent_encode(key, RESERVED).into(),
    }
}

/// Some of the farm's objects, in the order of their ids.
#[derive(Debug, Clone)]
pub enum Collection {
    /// All printers.
    Printers,
    /// All filaments.
    Filaments,
    /// The print jobs that match.
    Jobs(JobFilter),
}

impl Collection {
    /// Path of the list.
    pub fn path(&self) -> &'static str {
        path_of(match self {
            Collection::Printers => Kind::Printer,
            Collection::Filaments => Kind::Filament,
            Collection::Jobs(_) => Kind::PrintJob,
        })
    }

    /// The objects in `state` behind `after`, or all.
    pub fn objects<'a>(
        &self,
        state: &'a State,
        after: Option<&Id>,
    ) -> Box<dyn Iterator<Item = View<'a>> + 'a> {
        match self {
            Collection::Printers => Box::new(state.printers_after(after).map(View::Printer)),
            Collection::Filaments => {
                let filaments = state.filaments_after(after);
                Box::new(filaments.map(|filament| View::filament(state, filament)))
            }
            Collection::Jobs(filter) => Box::new(state.jobs(filter, after).map(View::Job)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_segments_carry_any_id() {
        for (key, segment) in [
            ("7", "7"),
            ("a-b.c_d~e", "a-b.c_d~e"),
            ("a/b?c#d%e f", "a%2Fb%3Fc%23d%25e%20f"),
            ("é\n\"", "%C3%A9%0A%22"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "..."),
        ] {
            assert_eq!(encode_segment(key), segment);
        }
    }
}
