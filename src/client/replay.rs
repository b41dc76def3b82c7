//! `raft3d events replay`: the farm rebuilt from a file of events.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, ClientError, Request};
use super::events::page;
use crate::domain::events::Event;
use crate::domain::events::export::{End, Replay};
use crate::domain::events::json::EventRead;
use crate::hex::hex;

const HASH_PATH: &str = "/api/v1/cluster/hash";

/// Rebuilds the farm from the file, and compares it with the cluster's if asked to. Gives what is to
/// be shown.
pub(super) async fn run(api: &Api, file: &Path, verify: bool) -> Result<Value, ClientError> {
    let (mut replay, end) = read(file)?;
    let own = hex(&replay.farm().hash());
    if let Some(expected) = end.farm_hash.as_ref().filter(|hash| **hash != own) {
        return Err(ClientError::Other(format!(
            "the farm rebuilt from {} has the hash {own}, but the cluster's own had {expected}",
            file.display()
        )));
    }
    let index = match verify {
        true => compare(api, &mut replay, end.index).await?,
        false => end.index,
    };
    let [printers, filaments, jobs] = replay.farm().counts();
    Ok(json!({
        "cluster_id": replay.header().cluster_id,
        "base_index": replay.header().base_index,
        "events": replay.events(),
        "index": index,
        "printers": printers,
        "filaments": filaments,
        "jobs": jobs,
        "farm_hash": hex(&replay.farm().hash()),
        "verified": verify,
    }))
}

fn read(file: &Path) -> Result<(Replay, End), ClientError> {
    let unreadable = |number: usize, reason: String| {
        let place = file.display();
        ClientError::Other(format!("{place}, line {number}: {reason}"))
    };
    let opened = File::open(file).map_err(|error| unreadable(1, error.to_string()))?;
    let mut replay: Option<Replay> = None;
    let mut count = 0;
    for (number, line) in (1..).zip(BufReader::new(opened).lines()) {
        let line = line.map_err(|error| unreadable(number, error.to_string()))?;
        count = number;
        let taken = match &mut replay {
            Some(replay) => replay.take(&line),
            None => Replay::begin(&line).map(|begun| replay = Some(begun)),
        };
        taken.map_err(|error| unreadable(number, error.to_string()))?;
    }
    let end = replay.as_ref().and_then(|replay| replay.end().cloned());
    replay
        .zip(end)
        .ok_or_else(|| unreadable(count, "the file is cut off: its end is missing".into()))
}

/// The end as the cluster wrote it.
pub(super) fn read_end(line: &[u8]) -> Result<End, ClientError> {
    #[derive(Deserialize)]
    struct Last {
        end: End,
    }
    let last: Last = serde_json::from_slice(line)
        .map_err(|error| ClientError::Other(format!("the end cannot be read: {error}")))?;
    Ok(last.end)
}

/// What a cluster says of its farm.
#[derive(Deserialize)]
struct Live {
    index: u64,
    cluster_id: Value,
    farm_hash: String,
}

/// Goes on with the events up to where the cluster is, and compares the hashes there.
async fn compare(api: &Api, replay: &mut Replay, end: u64) -> Result<u64, ClientError> {
    let other = |error: serde_json::Error| ClientError::Other(error.to_string());
    let live = api.call(&Request::get(HASH_PATH, &[])).await?;
    let live: Live = serde_json::from_value(live).map_err(other)?;
    if live.cluster_id != json!(replay.header().cluster_id) {
        return Err(ClientError::Other(format!(
            "the file is of another cluster: the one that answers is {}",
            live.cluster_id
        )));
    }
    if live.index < end {
        return Err(ClientError::Other(format!(
            "the cluster is at index {}, which is before the end of the file, {end}",
            live.index
        )));
    }
    let mut position = end;
    while position < live.index {
        let page = page(api, &[], Some(position)).await?;
        for event in page.events {
            let event: EventRead = serde_json::from_value(event).map_err(other)?;
            let event = Event::try_from(event).map_err(other)?;
            // The page may reach beyond what is compared.
            if event.index <= live.index {
                let redone = replay.redo(&event);
                redone.map_err(|error| ClientError::Other(error.to_string()))?;
            }
        }
        position = page.position;
    }
    let own = hex(&replay.farm().hash());
    if own != live.farm_hash {
        return Err(ClientError::Other(format!(
            "at index {} the farm rebuilt has the hash {own}, the cluster's {}",
            live.index, live.farm_hash
        )));
    }
    Ok(live.index)
}
