//! Events as JSON, as the API shows them, and read back from there.
//!
//! Each change names its kind and its object, which the binary form need not repeat.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::{Change, Event, EventKind, Object};
use crate::domain::id::Id;
use crate::domain::time::Timestamp;
use crate::domain::tokens::NamedActor;

/// An event to be written as JSON.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    index: u64,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a NamedActor>,
    kind: EventKind,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    id_assigned: bool,
    changes: Vec<ChangeView<'a>>,
}

#[derive(Debug, Serialize)]
struct ChangeView<'a> {
    kind: EventKind,
    object: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    before: Option<Plain<'a>>,
    after: Option<Plain<'a>>,
}

/// An object by itself, without the name of its kind.
#[derive(Debug)]
struct Plain<'a>(&'a Object);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Object::Printer(printer) => printer.serialize(serializer),
            Object::Filament(filament) => filament.serialize(serializer),
            Object::Job(job) => job.serialize(serializer),
            Object::Cluster(id) => id.serialize(serializer),
            Object::Node(entry) => entry.serialize(serializer),
            Object::Settings(settings) => settings.serialize(serializer),
            Object::Token(token) => token.serialize(serializer),
        }
    }
}

impl<'a> From<&'a Event> for EventView<'a> {
    fn from(event: &'a Event) -> EventView<'a> {
        EventView {
            index: event.index,
            time: event.time,
            actor: event.actor.as_ref(),
            kind: event.kind(),
            id_assigned: event.id_assigned,
            changes: event.changes.iter().map(ChangeView::from).collect(),
        }
    }
}

impl<'a> From<&'a Change> for ChangeView<'a> {
    fn from(change: &'a Change) -> ChangeView<'a> {
        let object = change.object();
        ChangeView {
            kind: change.kind(),
            object: object.map_or("nothing", Object::name),
            id: object.and_then(Object::id),
            before: change.before.as_ref().map(Plain),
            after: change.after.as_ref().map(Plain),
        }
    }
}

/// An event as read from JSON.
#[derive(Debug, Deserialize)]
pub struct EventRead {
    index: u64,
    time: Timestamp,
    #[serde(default)]
    actor: Option<NamedActor>,
    #[serde(default)]
    id_assigned: bool,
    changes: Vec<ChangeRead>,
}

#[derive(Debug, Deserialize)]
struct ChangeRead {
    object: String,
    before: Option<Value>,
    after: Option<Value>,
}

impl TryFrom<EventRead> for Event {
    type Error = serde_json::Error;

    fn try_from(read: EventRead) -> Result<Event, serde_json::Error> {
        let changes = read.changes.into_iter().map(Change::try_from);
        Ok(Event {
            index: read.index,
            time: read.time,
            actor: read.actor,
            id_assigned: read.id_assigned,
            changes: changes.collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<ChangeRead> for Change {
    type Error = serde_json::Error;

    fn try_from(read: ChangeRead) -> Result<Change, serde_json::Error> {
        let object = |value: Option<Value>| {
            value
                .map(|value| read_object(&read.object, value))
                .transpose()
        };
        Ok(Change {
            before: object(read.before)?,
            after: object(read.after)?,
        })
    }
}

fn read_object(name: &str, value: Value) -> Result<Object, serde_json::Error> {
    fn shared<T: DeserializeOwned>(value: Value) -> Result<Arc<T>, serde_json::Error> {
        serde_json::from_value(value).map(Arc::new)
    }
    match name {
        "printer" => shared(value).map(Object::Printer),
        "filament" => shared(value).map(Object::Filament),
        "job" => shared(value).map(Object::Job),
        "cluster" => serde_json::from_value(value).map(Object::Cluster),
        "node" => shared(value).map(Object::Node),
        "settings" => serde_json::from_value(value).map(Object::Settings),
        "token" => shared(value).map(Object::Token),
        other => Err(serde::de::Error::custom(format!(
            "an object of a kind that this build does not know, `{other}`"
        ))),
    }
}
