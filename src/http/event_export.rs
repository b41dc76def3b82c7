//! The event log as a file, made piece by piece while the client takes it.

use std::sync::Arc;

use axum::body::Bytes;

use crate::domain::events::export::{End, FORMAT, Header, Line};
use crate::domain::events::json::EventView;
use crate::domain::events::{Event, Object};
use crate::domain::farm::{Contradiction, Farm};
use crate::domain::state::State;
use crate::hex::hex;

/// A chunk is sent off at this size, in bytes; its last line may exceed it.
const CHUNK_SIZE: usize = 32 * 1024;

/// A file under way. It holds one moment's state, which costs what has changed since.
pub struct Export {
    state: State,
    base: Farm,
    end: End,
    with_tokens: bool,
    next: Part,
}

/// What comes next.
enum Part {
    Header,
    /// The objects of the base behind this one.
    Objects(Option<Object>),
    /// The events behind this index.
    Events(u64),
    Nothing,
}

impl Export {
    /// The file of all events in `state`, those of tokens `with_tokens` only; it leads to the same
    /// farm without them. O(n log n) of the events, and O(n) of the objects.
    pub fn of(state: State, with_tokens: bool) -> Result<Export, Contradiction> {
        Ok(Export {
            base: state.base_farm()?,
            end: End {
                index: state.applied_index(),
                farm_hash: Some(hex(&state.farm_hash())),
            },
            state,
            with_tokens,
            next: Part::Header,
        })
    }

    /// The next lines, or `None` behind the last.
    pub fn next_chunk(&mut self) -> Result<Option<Bytes>, serde_json::Error> {
        let mut chunk = Vec::new();
        self.next = match &self.next {
            Part::Header => {
                let header = Header {
                    format: FORMAT,
                    cluster_id: self.state.roster().cluster(),
                    base_index: self.state.events().oldest_position(),
                    next_ids: self.base.next_ids(),
                };
                write(&mut chunk, &Line::Header(&header))?;
                Part::Objects(None)
            }
            Part::Objects(last) => self.write_objects(&mut chunk, last.as_ref())?,
            Part::Events(position) => self.write_events(&mut chunk, *position)?,
            Part::Nothing => return Ok(None),
        };
        Ok(Some(chunk.into()))
    }

    fn write_objects(
        &self,
        chunk: &mut Vec<u8>,
        last: Option<&Object>,
    ) -> Result<Part, serde_json::Error> {
        for object in self.base.objects_after(last) {
            if let Some(line) = Line::of_object(&object) {
                write(chunk, &line)?;
            }
            if chunk.len() >= CHUNK_SIZE {
                return Ok(Part::Objects(Some(object)));
            }
        }
        Ok(Part::Events(self.state.events().oldest_position()))
    }

    fn write_events(&self, chunk: &mut Vec<u8>, after: u64) -> Result<Part, serde_json::Error> {
        let events = self.state.events().after(after).into_iter().flatten();
        let visible = |event: &&Event| self.with_tokens || !event.is_of_tokens();
        for event in events.map(Arc::as_ref).filter(visible) {
            write(chunk, &Line::Event(EventView::from(event)))?;
            if chunk.len() >= CHUNK_SIZE {
                return Ok(Part::Events(event.index));
            }
        }
        write(chunk, &Line::End(&self.end))?;
        Ok(Part::Nothing)
    }
}

fn write(chunk: &mut Vec<u8>, line: &Line<'_>) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *chunk, line)?;
    chunk.push(b'\n');
    Ok(())
}
