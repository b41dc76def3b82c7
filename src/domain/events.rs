//! What the log has done to the state: one event for each command that changed something.
//!
//! Commands that were refused, repeated or had nothing to change make none, and neither do read
//! barriers, so that most log indices have no event; an index never has two. Events are part of the
//! replicated state and of its snapshots: every node has the same ones, and a node that was given a
//! snapshot goes on wherever any other would.
//!
//! Objects are shared with the tables, so that an event costs little more than what it names.

pub mod export;
pub mod json;

use std::fmt;
use std::sync::Arc;

use imbl::Vector;
use serde::{Deserialize, Serialize};

use super::command::Command;
use super::id::Id;
use super::model::{Filament, PrintJob, Printer};
use super::roster::NodeEntry;
use super::settings::Settings;
use super::time::Timestamp;
use super::tokens::{NamedActor, TokenFacts};
use crate::identity::ClusterId;

/// Most bytes of text in the events kept: a bound on their memory where objects are large. Beyond
/// it the oldest are dropped even if fewer are kept than the retention allows.
pub const TEXT_BYTES_MAX: u64 = 256 << 20;

/// What one command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Log index of the command.
    pub index: u64,
    /// When the accepting node took the request. Clocks of nodes differ: the index is the order.
    pub time: Timestamp,
    /// Who had it done; nothing where nobody was asked for a token, and of what nodes do by themselves.
    pub actor: Option<NamedActor>,
    /// Whether the object created was given the next free integer as its id.
    pub id_assigned: bool,
    /// What was asked for first, then what followed from it; never empty.
    pub changes: Vec<Change>,
}

/// One object before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The object as it was; `None` if it was created.
    pub before: Option<Object>,
    /// The object as it is from then on; `None` if it was deleted.
    pub after: Option<Object>,
}

/// Anything that events tell of. The order is the binary form: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Object {
    /// A printer.
    Printer(Arc<Printer>),
    /// A roll of filament.
    Filament(Arc<Filament>),
    /// A print job.
    Job(Arc<PrintJob>),
    /// The cluster's name.
    Cluster(ClusterId),
    /// What is known of a node.
    Node(Arc<NodeEntry>),
    /// The cluster's settings.
    Settings(Settings),
    /// An API token, without its secret's digest and its uses.
    Token(Arc<TokenFacts>),
}

/// What kind of thing happened to what kind of object: printed as `printer.created`, `job.running`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKind {
    object: &'static str,
    verb: &'static str,
}

impl EventKind {
    /// Whether it is printed as `text`.
    pub fn is(&self, text: &str) -> bool {
        text.split_once('.') == Some((self.object, self.verb))
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.object, self.verb)
    }
}

impl Serialize for EventKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The names of all kinds of object, as [`Object::name`] gives them.
pub const OBJECT_NAMES: [&str; 7] = [
    "printer", "filament", "job", "cluster", "node", "settings", "token",
];

/// Everything that may happen to an object, as [`Change::kind`] calls it.
pub const VERBS: [&str; 8] = [
    "created", "updated", "deleted", "queued", "running", "done", "canceled", "revoked",
];

impl Object {
    /// The kind of object, in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            Object::Printer(_) => "printer",
            Object::Filament(_) => "filament",
            Object::Job(_) => "job",
            Object::Cluster(_) => "cluster",
            Object::Node(_) => "node",
            Object::Settings(_) => "settings",
            Object::Token(_) => "token",
        }
    }

    /// The id that tells it from others of its kind; `None` where there is only one.
    pub fn id(&self) -> Option<Id> {
        match self {
            Object::Printer(printer) => Some(printer.id.clone()),
            Object::Filament(filament) => Some(filament.id.clone()),
            Object::Job(job) => Some(job.id.clone()),
            Object::Node(entry) => Id::from_integer(entry.node_id.into()).ok(),
            Object::Token(token) => Id::from_integer(i64::try_from(token.id).ok()?).ok(),
            Object::Cluster(_) | Object::Settings(_) => None,
        }
    }

    /// Bytes of text in it; ids are short and do not count.
    fn text_bytes(&self) -> usize {
        match self {
            Object::Printer(printer) => printer.company.len() + printer.model.len(),
            Object::Filament(filament) => filament.color.len(),
            Object::Job(job) => job.filepath.len(),
            Object::Node(entry) => entry.record.http_addr.len(),
            Object::Token(token) => {
                token.name.len() + token.created_by.as_ref().map_or(0, String::len)
            }
            Object::Cluster(_) | Object::Settings(_) => 0,
        }
    }
}

impl Change {
    /// The object as it is, or as it last was.
    pub fn object(&self) -> Option<&Object> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Whether it tells of one object that became another than it was.
    pub fn is_sound(&self) -> bool {
        match (&self.before, &self.after) {
            (None, None) => false,
            (Some(before), Some(after)) => {
                before.name() == after.name() && before.id() == after.id() && before != after
            }
            _ => true,
        }
    }

    /// What happened: a new status of a job is the kind of change, the end of a token is `revoked`,
    /// of all else there are `created`, `updated` and `deleted`.
    pub fn kind(&self) -> EventKind {
        let verb = match (&self.before, &self.after) {
            (None, _) => "created",
            (Some(Object::Token(_)), None) => "revoked",
            (_, None) => "deleted",
            (Some(Object::Job(before)), Some(Object::Job(after)))
                if before.status != after.status =>
            {
                after.status.verb()
            }
            _ => "updated",
        };
        let object = self.object().map_or("nothing", Object::name);
        EventKind { object, verb }
    }

    /// Bytes of text that it alone holds: what was before is shared with the event of that.
    fn text_bytes(&self) -> usize {
        self.after.as_ref().map_or(0, Object::text_bytes)
    }
}

impl Event {
    /// The kind of its first change.
    pub fn kind(&self) -> EventKind {
        let none = EventKind {
            object: "nothing",
            verb: "changed",
        };
        self.changes.first().map_or(none, Change::kind)
    }

    /// Whether it tells of tokens, which are for admins alone.
    pub fn is_of_tokens(&self) -> bool {
        let mut objects = self.changes.iter().filter_map(Change::object);
        objects.any(|object| matches!(object, Object::Token(_)))
    }

    fn text_bytes(&self) -> u64 {
        let name = self.actor.as_ref().map_or(0, |actor| actor.name.len());
        let changes = self.changes.iter().map(Change::text_bytes);
        (name + changes.sum::<usize>()) as u64
    }
}

/// The events behind a position are not all there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The lowest position that can still be gone on from.
    pub oldest_position: u64,
}

/// The newest events. Cloning is O(1).
///
/// A position is a log index: "all events up to there are known". Any index is one, whether or not
/// it has an event.
#[derive(Debug, Clone, Default)]
pub struct Events {
    log: Vector<Arc<Event>>,
    /// Index of the newest event that was dropped; 0 if none was.
    dropped_index: u64,
    text_bytes: u64,
    /// What the command being applied has changed so far; empty between two commands.
    changes: Vec<Change>,
}

impl Events {
    /// How many are kept.
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The lowest position that can still be gone on from: 0 if no event was dropped so far.
    pub fn oldest_position(&self) -> u64 {
        self.dropped_index
    }

    /// The events behind position `after`, oldest first. O(log n) to begin.
    pub fn after(&self, after: u64) -> Result<impl Iterator<Item = &Arc<Event>>, Dropped> {
        if after < self.dropped_index {
            return Err(Dropped {
                oldest_position: self.dropped_index,
            });
        }
        let place = self.log.binary_search_by(|event| event.index.cmp(&after));
        let place = place.map_or_else(|place| place, |found| found + 1);
        Ok(self.log.focus().narrow(place..).into_iter())
    }

    /// All that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        self.log.iter()
    }

    /// Notes that the command being applied makes of `before` what `after` is.
    pub(super) fn note(&mut self, before: Option<Object>, after: Option<Object>) {
        if before != after {
            self.changes.push(Change { before, after });
        }
    }

    /// Makes an event of what was noted since the last command, if anything was: `actor` had it done.
    pub(super) fn close(
        &mut self,
        index: u64,
        command: &Command,
        actor: Option<NamedActor>,
        retention: u64,
    ) {
        if !self.changes.is_empty() {
            // As many as there are and no room for more, for as long as the event is kept.
            let changes = self.changes.drain(..).collect();
            self.push(Event {
                index,
                time: command.stamped_at,
                actor,
                id_assigned: command.op.leaves_id_open(),
                changes,
            });
        }
        // Also without a new event: the retention may have been lowered.
        while self.is_over_full(retention) && self.drop_oldest() {}
    }

    /// Puts back events from a snapshot, oldest first.
    pub(super) fn restored(dropped_index: u64, events: Vec<Event>) -> Events {
        let mut restored = Events {
            dropped_index,
            ..Events::default()
        };
        for event in events {
            restored.push(event);
        }
        restored
    }

    /// Whether more are kept than may be.
    pub(super) fn is_over_full(&self, retention: u64) -> bool {
        self.log.len() as u64 > retention || self.text_bytes > TEXT_BYTES_MAX
    }

    fn push(&mut self, event: Event) {
        self.text_bytes = self.text_bytes.saturating_add(event.text_bytes());
        self.log.push_back(Arc::new(event));
    }

    /// Drops one event; false if there is none.
    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.log.pop_front() else {
            return false;
        };
        self.dropped_index = oldest.index;
        self.text_bytes = self.text_bytes.saturating_sub(oldest.text_bytes());
        true
    }
}
