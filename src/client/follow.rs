//! A client that follows the events of a cluster: on any node, and on another when that one is gone,
//! without a gap or a repetition.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::api::{Api, ClientError, Request, failure};

/// Longest silence of a stream: three of the server's heartbeats.
const SILENCE_MAX: Duration = Duration::from_secs(45);
/// Longest wait for a node to begin a stream.
const OPEN_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause before all endpoints are tried again.
const ROUND_PAUSE: Duration = Duration::from_millis(100);

/// Where the events are.
pub const EVENTS_PATH: &str = "/api/v1/events";

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its log index.
    pub index: u64,
    /// The event as JSON.
    pub data: String,
}

/// What a stream brought next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// An event.
    Event(Message),
    /// No event up to this log index.
    Position(u64),
}

/// A way through the events. It is at a position: the log index up to which all are known.
#[derive(Debug)]
pub struct Follower {
    api: Api,
    query: Vec<(&'static str, String)>,
    position: Option<u64>,
    /// How long no node may answer before that is an error.
    patience: Duration,
    /// Which endpoint is asked next.
    turn: usize,
    stream: Option<(reqwest::Response, Parser)>,
}

impl Follower {
    /// Follows the events that pass the filters in `query` behind `position`, or from now on.
    pub fn new(
        api: Api,
        query: Vec<(&'static str, String)>,
        position: Option<u64>,
        patience: Duration,
    ) -> Follower {
        Follower {
            api,
            query,
            position,
            patience,
            turn: 0,
            stream: None,
        }
    }

    /// The next event, or the next position, whatever becomes of single nodes.
    ///
    /// Fails if no node answers for as long as this client waits, or if the events that come next
    /// are not kept any more.
    pub async fn next(&mut self) -> Result<Progress, ClientError> {
        loop {
            if self.stream.is_none() {
                self.open().await?;
            }
            match self.read().await {
                Some(progress) => {
                    let index = match &progress {
                        Progress::Event(message) => message.index,
                        Progress::Position(index) => *index,
                    };
                    self.position = Some(index);
                    return Ok(progress);
                }
                None => self.stream = None,
            }
        }
    }

    /// Opens a stream on the next endpoint that gives one.
    async fn open(&mut self) -> Result<(), ClientError> {
        let deadline = Instant::now() + self.patience;
        loop {
            let mut attempts = Vec::new();
            for _ in 0..self.api.endpoints().len() {
                let endpoint = self.api.endpoints()[self.turn % self.api.endpoints().len()].clone();
                self.turn += 1;
                let request = Request::get(EVENTS_PATH, &self.query);
                let opening = self.api.open_stream(&endpoint, &request, self.position);
                let reason = match timeout(OPEN_TIMEOUT, opening).await {
                    Ok(Ok(Ok(response))) => {
                        self.stream = Some((response, Parser::default()));
                        return Ok(());
                    }
                    Ok(Ok(Err(answer))) if answer.status.is_client_error() => {
                        return Err(ClientError::Refused(answer));
                    }
                    Ok(Ok(Err(answer))) => answer.problem().replace('\n', " "),
                    Ok(Err(error)) => failure(&error),
                    Err(_) => "no answer in time".into(),
                };
                attempts.push((endpoint, reason));
            }
            if Instant::now() + ROUND_PAUSE >= deadline {
                return Err(ClientError::Unavailable {
                    attempts,
                    unknown_write: None,
                });
            }
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }

    /// What the open stream brings; `None` when it ends or breaks off.
    async fn read(&mut self) -> Option<Progress> {
        let (response, parser) = self.stream.as_mut()?;
        loop {
            if let Some(progress) = parser.next() {
                return Some(progress);
            }
            match timeout(SILENCE_MAX, response.chunk()).await {
                Ok(Ok(Some(chunk))) => parser.feed(&chunk),
                _ => return None,
            }
        }
    }
}

/// Reads server-sent events, as far as these streams use them.
#[derive(Debug, Default)]
struct Parser {
    /// What has come and is not read yet.
    bytes: Vec<u8>,
    /// How much of it is read.
    read: usize,
    id: Option<u64>,
    data: String,
}

impl Parser {
    fn feed(&mut self, chunk: &[u8]) {
        self.bytes.drain(..self.read);
        self.read = 0;
        self.bytes.extend_from_slice(chunk);
    }

    /// The next whole block, if it tells anything.
    fn next(&mut self) -> Option<Progress> {
        loop {
            let unread = self.bytes.get(self.read..)?;
            let length = unread.iter().position(|byte| *byte == b'\n')?;
            let line = String::from_utf8_lossy(&unread[..length]).into_owned();
            self.read += length + 1;
            if line.is_empty() {
                let data = std::mem::take(&mut self.data);
                match (self.id.take(), data.is_empty()) {
                    (Some(index), true) => return Some(Progress::Position(index)),
                    (Some(index), false) => {
                        return Some(Progress::Event(Message { index, data }));
                    }
                    (None, _) => {}
                }
            } else if let Some(id) = line.strip_prefix("id: ") {
                self.id = id.parse().ok();
            } else if let Some(data) = line.strip_prefix("data: ") {
                self.data.push_str(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_wherever_they_are_cut() {
        let text = "retry: 1000\nid: 5\n\nid: 7\nevent: job.done\ndata: {\"a\":\"é\"}\n\n\
                    : heartbeat\nid: 9\n\n: nothing\n\nid: 10\nevent: x\ndata: {}\n\nid: 11\n";
        let event = |index, data: &str| {
            Progress::Event(Message {
                index,
                data: data.into(),
            })
        };
        let expected = [
            Progress::Position(5),
            event(7, "{\"a\":\"é\"}"),
            Progress::Position(9),
            event(10, "{}"),
        ];
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut found = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.feed(chunk);
                found.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }
}
