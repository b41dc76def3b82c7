//! Takes `?status="running"` as people type it.
//!
//! The assignment writes that query with bare quotes, and curl sends them so; but RFC 3986 allows
//! none in a query, and hyper answers such a request line with an empty 400 before any route sees
//! it. [`Connection`] therefore percent-encodes the quotes of a request line on its way in, and
//! touches nothing else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest request line that is held back to be read whole; hyper judges longer ones as they are.
const REQUEST_LINE_MAX: usize = 8 * 1024;
/// How a request that may carry a quoted query starts.
const STARTS: [&[u8]; 3] = [b"GET /", b"HEAD /", b"POST /"];

/// One connection: a stream whose request lines have no bare quotes.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    /// What comes next may be a request line: true at first, and again after every write, because
    /// a client sends its next request when it has seen an answer. A body that goes on after an
    /// early answer is safe too: it would have to look like a whole request line to be changed.
    at_request_line: bool,
    /// Read but not yet handed on, while a request line is incomplete.
    line: BytesMut,
    /// Read, looked at and not yet handed on.
    ready: Bytes,
}

impl<S> Connection<S> {
    /// Nothing has been read from `stream` yet.
    pub fn new(stream: S) -> Connection<S> {
        Connection {
            stream,
            at_request_line: true,
            line: BytesMut::new(),
            ready: Bytes::new(),
        }
    }
}

impl<S: AsyncRead + Unpin> Connection<S> {
    /// Reads a whole request line, or what turns out to be something else. It is in `self.ready` then,
    /// or, as with most, in `buf`: what came at once and has no quotes is not copied.
    fn poll_request_line(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            let goes_on = |data: &[u8]| !read.is_empty() && may_become_request_line(data);
            if self.line.is_empty() && !goes_on(read) && quoted_line_end(read).is_none() {
                self.at_request_line = false;
                return Poll::Ready(Ok(()));
            }
            self.line.extend_from_slice(read);
            if !goes_on(&self.line) {
                self.at_request_line = false;
                self.ready = without_quotes(std::mem::take(&mut self.line).freeze());
            }
            buf.set_filled(before);
            if !self.at_request_line {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ready.is_empty() {
            if !this.at_request_line {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            ready!(this.poll_request_line(cx, buf))?;
        }
        let taken = this.ready.len().min(buf.remaining());
        buf.put_slice(&this.ready[..taken]);
        this.ready.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.at_request_line = true;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.at_request_line = true;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// True while `data` is the beginning of a request line and no more than that.
fn may_become_request_line(data: &[u8]) -> bool {
    data.len() < REQUEST_LINE_MAX
        && !data.contains(&b'\n')
        && STARTS
            .iter()
            .any(|start| data.starts_with(start) || start.starts_with(data))
}

/// `data` with the quotes of its request line percent-encoded, if it starts with one.
fn without_quotes(data: Bytes) -> Bytes {
    let Some(end) = quoted_line_end(&data) else {
        return data;
    };
    let mut encoded = BytesMut::with_capacity(data.len() + 8);
    for &byte in &data[..end] {
        match byte {
            b'"' => encoded.extend_from_slice(b"%22"),
            _ => encoded.extend_from_slice(&[byte]),
        }
    }
    encoded.extend_from_slice(&data[end..]);
    encoded.freeze()
}

/// Length of the request line that `data` starts with, if that has quotes.
fn quoted_line_end(data: &[u8]) -> Option<usize> {
    request_line_end(data).filter(|&end| data[..end].contains(&b'"'))
}

/// Length of the request line that `data` starts with.
fn request_line_end(data: &[u8]) -> Option<usize> {
    let end = data.iter().position(|&byte| byte == b'\n')?;
    let line = data[..end].strip_suffix(b"\r").unwrap_or(&data[..end]);
    let is_request = STARTS.iter().any(|start| line.starts_with(start))
        && (line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0"));
    is_request.then_some(end)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::future::poll_fn;

    use super::*;

    /// A peer that sends one part at a time, then ends, and swallows what it is sent.
    #[derive(Debug)]
    struct Peer(VecDeque<Vec<u8>>);

    impl AsyncRead for Peer {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(mut part) = self.0.pop_front() {
                let rest = part.split_off(part.len().min(buf.remaining()));
                buf.put_slice(&part);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Peer {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(buf.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn connection(parts: &[&[u8]]) -> Connection<Peer> {
        Connection::new(Peer(parts.iter().map(|part| part.to_vec()).collect()))
    }

    /// One read with a buffer smaller than most requests; empty at the end.
    async fn read(connection: &mut Connection<Peer>) -> Vec<u8> {
        let mut buf = [0; 20];
        let mut buf = ReadBuf::new(&mut buf);
        poll_fn(|cx| Pin::new(&mut *connection).poll_read(cx, &mut buf))
            .await
            .unwrap();
        buf.filled().to_vec()
    }

    async fn write(connection: &mut Connection<Peer>, data: &[u8]) {
        poll_fn(|cx| Pin::new(&mut *connection).poll_write(cx, data))
            .await
            .unwrap();
    }

    /// What a server reads when a client sends `parts` one by one.
    async fn read_through(parts: &[&[u8]]) -> Vec<u8> {
        let parts: Vec<&[u8]> = parts
            .iter()
            .copied()
            .filter(|part| !part.is_empty())
            .collect();
        let mut connection = connection(&parts);
        let mut all = Vec::new();
        loop {
            match read(&mut connection).await {
                part if part.is_empty() => return all,
                part => all.extend(part),
            }
        }
    }

    #[tokio::test]
    async fn quotes_of_a_request_line_are_encoded_however_it_is_cut() {
        let sent = b"POST /a?status=\"running\" HTTP/1.1\r\nX: \"kept\"\r\n\r\n\"kept\"";
        let expected = b"POST /a?status=%22running%22 HTTP/1.1\r\nX: \"kept\"\r\n\r\n\"kept\"";
        for cut in 0..sent.len() {
            assert_eq!(
                read_through(&[&sent[..cut], &sent[cut..]]).await,
                expected,
                "cut at {cut}"
            );
        }
    }

    #[tokio::test]
    async fn everything_else_passes_unchanged() {
        let quotes = b"\"".repeat(2 * REQUEST_LINE_MAX);
        let long = [b"GET /".as_slice(), &quotes, b" HTTP/1.1\r\n"].concat();
        for sent in [
            b"".as_slice(),
            b"\"",
            b"GE",
            b"GET /\"",
            b"{\"a\":\"POST /\"}",
            b"POST /\" is no request line\r\n",
            b"PUT /\" HTTP/1.1\r\n\r\n",
            &long,
        ] {
            assert_eq!(read_through(&[sent]).await, sent);
        }
    }

    #[tokio::test]
    async fn the_request_after_an_answer_is_looked_at_again() {
        let mut connection = connection(&[b"GET /\"1 HTTP/1.1\n", b"GET /\"2 HTTP/1.1\n"]);
        assert_eq!(read(&mut connection).await, b"GET /%221 HTTP/1.1\n");
        write(&mut connection, b"answer").await;
        assert_eq!(read(&mut connection).await, b"GET /%222 HTTP/1.1\n");
    }

    #[tokio::test]
    async fn a_body_that_does_not_look_like_a_request_is_handed_on_at_once() {
        let mut connection = connection(&[b"{\"id\"", b":1}"]);
        write(&mut connection, b"HTTP/1.1 100 Continue\r\n\r\n").await;
        assert_eq!(read(&mut connection).await, b"{\"id\"");
        assert_eq!(read(&mut connection).await, b":1}");
    }
}
