//! `raft3d events`: what has happened, followed, kept in a file, and rebuilt from it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Api, ClientError, Request};
use super::follow::{EVENTS_PATH, Follower, Progress};
use super::options::ClientArgs;
use super::output::{EXPORTED, Format, REPLAYED, SETTINGS, print_line, render};
use super::replay;
use crate::domain::events::Event;
use crate::domain::events::export::{End, Line};
use crate::domain::events::json::EventRead;

const EXPORT_PATH: &str = "/api/v1/events/export";
const SETTINGS_PATH: &str = "/api/v1/cluster/settings";
/// Events of one request.
const PAGE_LIMIT: u64 = 1_000;
/// Longest silence while a file is fetched.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What can be done with events.
#[derive(Debug, Subcommand)]
pub enum EventsVerb {
    /// Show the newest events, and go on with those to come
    Tail {
        /// Go on for ever, on whichever node answers
        #[arg(short, long)]
        follow: bool,
        /// How many events to begin with, unless --after is given
        #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
        lines: usize,
        /// Show all events behind this log index
        #[arg(long, value_name = "INDEX")]
        after: Option<u64>,
        /// Only events of this kind, such as job.done
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only events of these objects: printer, filament, job, cluster, node, settings or token,
        /// or one of them, as in printer:3
        #[arg(long, value_name = "OBJECT")]
        object: Option<String>,
    },
    /// Write all events that the cluster keeps to a file, from which `replay` rebuilds the farm
    Export {
        /// The file, JSON lines; replaced if it is there
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Go on until the log has come to this index
        #[arg(long, value_name = "INDEX")]
        until: Option<u64>,
    },
    /// Rebuild the farm from a file that `export` wrote, and nothing else, and show its hash
    Replay {
        /// The file
        file: PathBuf,
        /// Ask the cluster for the hash of its farm, and fail unless it is the same; events that
        /// are newer than the file are fetched first
        #[arg(long)]
        verify: bool,
    },
    /// Set how many events the cluster keeps, and show it
    Retention {
        /// From 1 to 1000000 [default: leave it as it is]
        count: Option<u64>,
    },
}

/// Runs one command of `raft3d events`.
pub async fn run(args: ClientArgs<EventsVerb>) -> Result<(), ClientError> {
    let patience = Duration::from_secs(args.options.timeout);
    let api = args.options.api(patience)?;
    let format = args.options.output;
    match args.verb {
        EventsVerb::Tail {
            follow,
            lines,
            after,
            kind,
            object,
        } => {
            let filters = [("kind", kind), ("object", object)];
            let filters: Vec<_> = filters
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let (events, position) = match after {
                Some(after) => newest(&api, &filters, Some(after), usize::MAX).await?,
                None => newest(&api, &filters, None, lines).await?,
            };
            events.iter().try_for_each(|event| show(format, event))?;
            if !follow {
                return Ok(());
            }
            let mut follower = Follower::new(api, filters, Some(position), patience);
            loop {
                if let Progress::Event(message) = follower.next().await? {
                    show(format, &parse(&message.data)?)?;
                }
            }
        }
        EventsVerb::Export { out, until } => {
            let end = export(&api, &out, until, patience).await?;
            let shown = json!({"file": out, "index": end.index});
            print_line(&render(format, EXPORTED, &shown))
        }
        EventsVerb::Replay { file, verify } => {
            let shown = replay::run(&api, &file, verify).await?;
            print_line(&render(format, REPLAYED, &shown))
        }
        EventsVerb::Retention { count } => {
            let body = json!({ "event_retention": count });
            let request = match count {
                None => Request::get(SETTINGS_PATH, &[]),
                Some(_) => Request {
                    method: Method::PUT,
                    body: Some(&body),
                    ..Request::get(SETTINGS_PATH, &[])
                },
            };
            let settings = api.call(&request).await?;
            print_line(&render(format, SETTINGS, &settings))
        }
    }
}

/// The newest events that pass the filters behind `after`, at most `count`, and the position
/// reached.
async fn newest(
    api: &Api,
    filters: &[(&'static str, String)],
    after: Option<u64>,
    count: usize,
) -> Result<(VecDeque<Value>, u64), ClientError> {
    let mut kept = VecDeque::new();
    let mut after = after;
    loop {
        let page = page(api, filters, after).await?;
        kept.extend(page.events);
        kept.drain(..kept.len().saturating_sub(count));
        after = Some(page.position);
        if !page.more {
            return Ok((kept, page.position));
        }
    }
}

/// Some events.
pub struct Page {
    /// As JSON.
    pub events: Vec<Value>,
    /// All events up to there are known.
    pub position: u64,
    /// Whether there are more.
    pub more: bool,
}

/// The events behind `after`, or the oldest that are kept.
pub async fn page(
    api: &Api,
    filters: &[(&'static str, String)],
    after: Option<u64>,
) -> Result<Page, ClientError> {
    let mut query = filters.to_vec();
    query.push(("limit", PAGE_LIMIT.to_string()));
    query.extend(after.map(|after| ("after", after.to_string())));
    let response = api.download(&Request::get(EVENTS_PATH, &query)).await?;
    let header = |name| response.headers().get(name)?.to_str().ok();
    let next = header("link").map(position_of_link);
    let position = next.unwrap_or_else(|| header("x-raft3d-index")?.parse().ok());
    let more = next.is_some();
    let events = response.json::<Vec<Value>>().await;
    let events = events.map_err(|error| ClientError::Other(super::api::failure(&error)))?;
    Ok(Page {
        events,
        position: position
            .ok_or_else(|| ClientError::Other("a page of events without its position".into()))?,
        more,
    })
}

/// Where the next page begins, by the link to it.
fn position_of_link(link: &str) -> Option<u64> {
    let (_, behind) = link.split_once("after=")?;
    behind.split(['&', '>']).next()?.parse().ok()
}

/// Writes the file beside its place and moves it there once it is whole.
async fn export(
    api: &Api,
    out: &Path,
    until: Option<u64>,
    patience: Duration,
) -> Result<End, ClientError> {
    let cannot = |error: std::io::Error| {
        ClientError::Other(format!("cannot write {}: {error}", out.display()))
    };
    let mut partial = out.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = BufWriter::new(File::create(&partial).map_err(cannot)?);
    let mut end = fetch(api, &mut file).await?;
    if let Some(until) = until.filter(|until| *until > end.index) {
        end = append(api, &mut file, end.index, until, patience).await?;
    }
    write_line(&mut file, &Line::End(&end))?;
    let file = file.into_inner().map_err(|error| cannot(error.into()))?;
    file.sync_all().map_err(cannot)?;
    std::fs::rename(&partial, out).map_err(cannot)?;
    Ok(end)
}

/// Writes what the cluster exports, but for the end.
async fn fetch(api: &Api, file: &mut impl Write) -> Result<End, ClientError> {
    let mut response = api.download(&Request::get(EXPORT_PATH, &[])).await?;
    let mut line = Vec::new();
    loop {
        let chunk = tokio::time::timeout(SILENCE_MAX, response.chunk()).await;
        let broken = |reason: String| ClientError::Other(format!("the export broke off: {reason}"));
        let chunk = match chunk {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Err(broken("it has no end".into())),
            Ok(Err(error)) => return Err(broken(super::api::failure(&error))),
            Err(_) => return Err(broken("nothing came any more".into())),
        };
        for byte in chunk {
            line.push(byte);
            if byte != b'\n' {
                continue;
            }
            if line.starts_with(b"{\"end\"") {
                return replay::read_end(&line);
            }
            file.write_all(&line)
                .map_err(|error| ClientError::Other(format!("cannot write: {error}")))?;
            line.clear();
        }
    }
}

/// Writes the events behind `position` until the log has come to `until`.
async fn append(
    api: &Api,
    file: &mut impl Write,
    position: u64,
    until: u64,
    patience: Duration,
) -> Result<End, ClientError> {
    let mut follower = Follower::new(api.clone(), Vec::new(), Some(position), patience);
    let mut reached = position;
    while reached < until {
        reached = match follower.next().await? {
            Progress::Position(index) => index,
            Progress::Event(message) if message.index > until => until,
            Progress::Event(message) => {
                let event: EventRead = serde_json::from_str(&message.data).map_err(malformed)?;
                let event = Event::try_from(event).map_err(malformed)?;
                write_line(file, &Line::Event((&event).into()))?;
                message.index
            }
        };
    }
    Ok(End {
        index: reached,
        farm_hash: None,
    })
}

fn write_line(file: &mut impl Write, line: &Line<'_>) -> Result<(), ClientError> {
    let written = serde_json::to_writer(&mut *file, line).map_err(std::io::Error::from);
    written
        .and_then(|()| file.write_all(b"\n"))
        .map_err(|error| ClientError::Other(format!("cannot write: {error}")))
}

fn parse(data: &str) -> Result<Value, ClientError> {
    serde_json::from_str(data).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> ClientError {
    ClientError::Other(format!("an event cannot be read: {error}"))
}

/// Prints an event: as a line for people, or as a line of JSON.
fn show(format: Format, event: &Value) -> Result<(), ClientError> {
    if format == Format::Json {
        return print_line(&event.to_string());
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let changes = event["changes"].as_array().map_or(&[][..], Vec::as_slice);
    let objects = changes.iter().map(|change| match &change["id"] {
        Value::Null => text(&change["object"]),
        id => format!("{} {}", text(&change["object"]), text(id)),
    });
    let actor = &event["actor"]["name"];
    print_line(&format!(
        "{:>8}  {}  {:<16}  {}{}",
        event["index"],
        text(&event["time"]),
        text(&event["kind"]),
        objects.collect::<Vec<_>>().join(", "),
        actor
            .as_str()
            .map_or_else(String::new, |name| format!("  by {name}")),
    ))
}
