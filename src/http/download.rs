//! Answers too large to be held in memory: written by a thread, as fast as the client takes them.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::problem::{Problem, ProblemType};

/// Most downloads at a time: each takes a thread and the memory of some pieces.
const DOWNLOADS_MAX: usize = 4;
/// Size of a piece in bytes.
const PIECE_LEN: usize = 64 << 10;
/// Pieces that wait for the client.
const PIECES_WAITING: usize = 2;

/// Places for downloads. Clones share them.
#[derive(Debug, Clone)]
pub struct Downloads(Arc<Semaphore>);

impl Default for Downloads {
    fn default() -> Downloads {
        Downloads(Arc::new(Semaphore::new(DOWNLOADS_MAX)))
    }
}

impl Downloads {
    /// A place, or a refusal if all are taken.
    pub fn enter(&self) -> Result<Place, Problem> {
        let place = Arc::clone(&self.0).try_acquire_owned();
        place.map(Place).map_err(|_| {
            let detail = format!("{DOWNLOADS_MAX} downloads are under way, as many as may be");
            Problem::new(ProblemType::Overloaded, detail)
        })
    }
}

/// A place for one download, free again when its thread ends.
#[derive(Debug)]
pub struct Place(OwnedSemaphorePermit);

impl Place {
    /// A body of whatever `write` writes for as long as `check` lets it. If it fails, or panics, the
    /// answer breaks off, so that the client does not take it for whole; if the client goes away,
    /// writing fails.
    pub fn stream(
        self,
        check: impl Fn() -> Result<(), &'static str> + Send + 'static,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Response {
        let (sender, pieces) = mpsc::channel(PIECES_WAITING);
        tokio::task::spawn_blocking(move || {
            let sink = Sink {
                pieces: sender,
                check,
            };
            let mut buffered = BufWriter::with_capacity(PIECE_LEN, &sink);
            let written = write(&mut buffered).and_then(|()| buffered.flush());
            // What a failed write left in the buffer must not follow.
            drop(buffered.into_parts());
            sink.end(written);
            drop(self.0);
        });
        let headers = [
            (
                CONTENT_TYPE,
                HeaderValue::from_static("application/octet-stream"),
            ),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (headers, Body::new(Stream(pieces))).into_response()
    }
}

/// What the thread sends; an empty piece is the end.
type Piece = io::Result<Bytes>;

struct Sink<F> {
    pieces: mpsc::Sender<Piece>,
    /// Whether the client may have another piece; the error says why not.
    check: F,
}

impl<F> Sink<F> {
    fn end(&self, written: io::Result<()>) {
        if let Err(error) = &written {
            tracing::debug!(%error, "a download broke off");
        }
        // A client that is gone needs to know nothing.
        let _ = self.pieces.blocking_send(written.map(|()| Bytes::new()));
    }
}

impl<F: Fn() -> Result<(), &'static str>> Write for &Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        (self.check)().map_err(io::Error::other)?;
        // A larger write comes past the buffer.
        let length = bytes.len().min(PIECE_LEN);
        let sent = self
            .pieces
            .blocking_send(Ok(Bytes::copy_from_slice(&bytes[..length])));
        sent.map_err(|_| io::Error::new(ErrorKind::BrokenPipe, "the client went away"))?;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stream(mpsc::Receiver<Piece>);

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match ready!(self.0.poll_recv(context)) {
            Some(Ok(piece)) if piece.is_empty() => None,
            Some(piece) => Some(piece.map(Frame::data)),
            None => Some(Err(io::Error::other(
                "writing the answer did not end properly",
            ))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> Result<(), &'static str> {
        Ok(())
    }

    async fn read(response: Response) -> Result<Vec<u8>, axum::Error> {
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await?;
        Ok(bytes.into())
    }

    #[tokio::test]
    async fn what_is_written_arrives_and_then_the_place_is_free() {
        let downloads = Downloads::default();
        let written: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let expected = written.clone();
        let place = downloads.enter().unwrap();
        let response = place.stream(free, move |sink| {
            sink.write_all(&written[..7])?;
            sink.write_all(&written[7..])
        });
        assert_eq!(read(response).await.unwrap(), expected);
        let _ = downloads
            .0
            .acquire_many(DOWNLOADS_MAX as u32)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_fails_breaks_off() {
        let downloads = Downloads::default();
        let failing = downloads.enter().unwrap().stream(free, |sink| {
            sink.write_all(b"some")?;
            Err(io::Error::other("and no more"))
        });
        assert!(read(failing).await.is_err());
        let panicking = downloads
            .enter()
            .unwrap()
            .stream(free, |_| panic!("on purpose"));
        assert!(read(panicking).await.is_err());
        let refused = |sink: &mut dyn Write| sink.write_all(b"some");
        let refused = downloads
            .enter()
            .unwrap()
            .stream(|| Err("revoked"), refused);
        assert!(read(refused).await.is_err());
    }

    #[tokio::test]
    async fn a_client_that_goes_away_ends_the_thread() {
        let downloads = Downloads::default();
        let (told, outcome) = tokio::sync::oneshot::channel();
        let endless = downloads.enter().unwrap().stream(free, |sink| {
            let error = loop {
                if let Err(error) = sink.write_all(&[0; 1_000]) {
                    break error;
                }
            };
            let _ = told.send(error.kind());
            Err(error)
        });
        drop(endless);
        assert_eq!(outcome.await.unwrap(), ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn one_more_than_there_are_places_is_refused() {
        let downloads = Downloads::default();
        let places: Vec<Place> = (0..DOWNLOADS_MAX)
            .map(|_| downloads.enter().unwrap())
            .collect();
        let refused = downloads.enter().unwrap_err();
        assert_eq!(refused.problem_type(), ProblemType::Overloaded);
        drop(places);
        assert!(downloads.enter().is_ok());
    }
}
