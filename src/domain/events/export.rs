//! The event log as a file: JSON lines from which the whole farm can be rebuilt, by nothing else.
//!
//! ```text
//! {"header": {"format": 1, "cluster_id": "…", "base_index": 0, "next_ids": {…}}}
//! {"printer": {…}}  {"filament": {…}}  {"job": {…}}     the farm at base_index, object by object
//! {"event": {…}}                                         every event since, in the order of the log
//! {"end": {"index": 20000, "farm_hash": "…"}}            nothing is missing
//! ```

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json::{EventRead, EventView};
use super::{Event, Object};
use crate::domain::farm::{Contradiction, Farm, NextIds};
use crate::domain::model::{Filament, PrintJob, Printer};
use crate::identity::ClusterId;

/// The only format there is.
pub const FORMAT: u32 = 1;

/// What a file is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// The cluster, if it had a name yet.
    pub cluster_id: Option<ClusterId>,
    /// Log index up to which the objects in front of the events tell what had happened.
    pub base_index: u64,
    /// The integers that were free for new objects there.
    pub next_ids: NextIds,
}

/// What a file leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Log index up to which the file has every event.
    pub index: u64,
    /// The hash of the cluster's own farm there, in hexadecimal digits, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub farm_hash: Option<String>,
}

/// One line to be written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Line<'a> {
    /// The first line.
    Header(&'a Header),
    /// An object of the base.
    Printer(&'a Printer),
    /// An object of the base.
    Filament(&'a Filament),
    /// An object of the base.
    Job(&'a PrintJob),
    /// An event.
    Event(EventView<'a>),
    /// The last line.
    End(&'a End),
}

impl<'a> Line<'a> {
    /// The line of an object; `None` of what is no part of a farm.
    pub fn of_object(object: &'a Object) -> Option<Line<'a>> {
        match object {
            Object::Printer(printer) => Some(Line::Printer(printer)),
            Object::Filament(filament) => Some(Line::Filament(filament)),
            Object::Job(job) => Some(Line::Job(job)),
            Object::Cluster(_) | Object::Node(_) | Object::Settings(_) | Object::Token(_) => None,
        }
    }
}

/// One line as read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineRead {
    Header(Header),
    Printer(Arc<Printer>),
    Filament(Arc<Filament>),
    Job(Arc<PrintJob>),
    Event(EventRead),
    End(End),
}

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The line is not JSON of the kind expected.
    #[error("it cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The line has no business where it stands.
    #[error("{0}")]
    Misplaced(String),
    /// The event does not follow from what was before.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
}

/// A farm that is being rebuilt from a file, line by line.
#[derive(Debug)]
pub struct Replay {
    header: Header,
    farm: Farm,
    /// Index of the last event, or of the base.
    index: u64,
    events: u64,
    end: Option<End>,
}

impl Replay {
    /// Begins with the first line.
    pub fn begin(line: &str) -> Result<Replay, ReplayError> {
        let LineRead::Header(header) = serde_json::from_str(line)? else {
            return Err(misplaced("a file of events begins with a header"));
        };
        if header.format != FORMAT || !header.next_ids.are_valid() {
            return Err(misplaced(format!(
                "format {} is not known here; this build reads format {FORMAT}",
                header.format
            )));
        }
        Ok(Replay {
            farm: Farm::empty(header.next_ids),
            index: header.base_index,
            events: 0,
            end: None,
            header,
        })
    }

    /// Takes the next line.
    pub fn take(&mut self, line: &str) -> Result<(), ReplayError> {
        if self.end.is_some() {
            return Err(misplaced("there is something behind the end"));
        }
        match serde_json::from_str(line)? {
            LineRead::Header(_) => Err(misplaced("there is a second header")),
            LineRead::Printer(printer) => self.insert(Object::Printer(printer)),
            LineRead::Filament(filament) => self.insert(Object::Filament(filament)),
            LineRead::Job(job) => self.insert(Object::Job(job)),
            LineRead::Event(event) => self.redo(&Event::try_from(event)?),
            LineRead::End(end) => self.finish(end),
        }
    }

    /// Goes on by an event that is not from the file.
    pub fn redo(&mut self, event: &Event) -> Result<(), ReplayError> {
        if event.index <= self.index {
            return Err(misplaced(format!(
                "the event at index {} comes behind that at index {}",
                event.index, self.index
            )));
        }
        self.farm.redo(event)?;
        self.index = event.index;
        self.events += 1;
        Ok(())
    }

    /// What the file is of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The end, once it was reached: a file without one is cut off.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The farm rebuilt so far.
    pub fn farm(&self) -> &Farm {
        &self.farm
    }

    /// How many events were taken.
    pub fn events(&self) -> u64 {
        self.events
    }

    fn insert(&mut self, object: Object) -> Result<(), ReplayError> {
        if self.events == 0 && self.farm.insert(object) {
            return Ok(());
        }
        Err(misplaced(
            "an object of the base comes twice, or behind an event",
        ))
    }

    fn finish(&mut self, end: End) -> Result<(), ReplayError> {
        if end.index < self.index {
            return Err(misplaced(format!(
                "the end is said to be at index {}, but there is an event at {}",
                end.index, self.index
            )));
        }
        self.end = Some(end);
        Ok(())
    }
}

fn misplaced(reason: impl Into<String>) -> ReplayError {
    ReplayError::Misplaced(reason.into())
}
