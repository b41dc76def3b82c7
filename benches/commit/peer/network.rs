//! openraft's messages over TCP, as ours travel: one connection by peer and purpose, kept open, and
//! entries sent without waiting for the answers to those before.
//!
//! A frame is its length in four bytes, and a value in postcard's format. The first byte of a
//! connection says what it is for.

use std::io;

use futures_util::{Stream, StreamExt, stream};
use openraft::alias::{SnapshotOf, VoteOf};
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult, VoteRequest,
    VoteResponse,
};
use openraft::{BasicNode, OptionalSend};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Server;
use super::types::Types;

/// Connections for entries, and for votes.
const APPEND: u8 = 1;
const VOTE: u8 = 2;
/// Messages with entries that a follower has not answered: what openraft itself allows on the
/// receiving side.
const UNANSWERED_MAX: usize = 64;

type AppendRequest = AppendEntriesRequest<Types>;
type AppendResult = StreamAppendResult<Types>;
type RpcError = RPCError<Types>;

/// Answers `server`'s peers, which connect to `listener`.
pub async fn serve(listener: TcpListener, server: Server) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, server.clone()));
    }
}

/// Ends with the connection, or after an answer that is no success: openraft begins anew then.
async fn answer(stream: TcpStream, server: Server) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (from, mut to) = Connection::over(stream).split();
    let mut from = from;
    match from.0.read_u8().await? {
        VOTE => {
            while let Some(request) = from.read::<VoteRequest<Types>>().await? {
                let answer = server.vote(request).await.map_err(io::Error::other)?;
                to.write(&answer).await?;
            }
        }
        _ => {
            let requests = stream::unfold(from, |mut from| async {
                let request: Option<AppendRequest> = from.read().await.ok().flatten();
                request.map(|request| (request, from))
            });
            let mut answers = Box::pin(server.stream_append(requests));
            while let Some(answer) = answers.next().await {
                to.write(&answer.map_err(io::Error::other)?).await?;
            }
        }
    }
    Ok(())
}

/// Makes the clients of all peers.
pub struct Network;

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, _: u64, node: &BasicNode) -> Client {
        Client {
            address: node.addr.clone(),
            append: None,
        }
    }
}

/// Sends to one peer.
pub struct Client {
    address: String,
    /// The connection for entries, while nobody uses it.
    append: Option<Connection>,
}

impl Client {
    async fn connect(&self, purpose: u8) -> Result<Connection, RpcError> {
        let connect = async {
            let stream = TcpStream::connect(&self.address).await?;
            stream.set_nodelay(true)?;
            let mut connection = Connection::over(stream);
            connection.writer.0.write_u8(purpose).await?;
            Ok(connection)
        };
        connect
            .await
            .map_err(|e: io::Error| RpcError::Unreachable(Unreachable::new(&e)))
    }

    async fn append_connection(&mut self) -> Result<Connection, RpcError> {
        match self.append.take() {
            Some(connection) => Ok(connection),
            None => self.connect(APPEND).await,
        }
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = ();

    async fn append_entries(
        &mut self,
        request: AppendRequest,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RpcError> {
        let mut connection = self.append_connection().await?;
        let result: AppendResult = connection.ask(&request).await.map_err(network)?;
        if result.is_ok() {
            self.append = Some(connection);
        }
        Ok(AppendEntriesResponse::from(result))
    }

    fn stream_append<'s, S>(
        &'s mut self,
        requests: S,
        _: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<AppendResult, RpcError>>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let (reader, writer) = self.append_connection().await?.split();
            let (sent, unanswered) = mpsc::channel(UNANSWERED_MAX);
            let mut sender = JoinSet::new();
            sender.spawn(send_all(requests, writer, sent));
            let pipeline = Pipeline {
                client: self,
                reader,
                unanswered,
                sender,
            };
            let answers: BoxStream<'s, _> = Box::pin(stream::unfold(Some(pipeline), next_answer));
            Ok(answers)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        let mut connection = self.connect(VOTE).await?;
        connection.ask(&request).await.map_err(network)
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<Types>,
        _: SnapshotOf<Types, ()>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let reason = io::Error::other("there are no snapshots in the benchmark");
        Err(StreamingError::Unreachable(Unreachable::new(&reason)))
    }
}

/// Entries under way to a peer. Dropped early, it ends its connection.
struct Pipeline<'s> {
    client: &'s mut Client,
    reader: Reader,
    /// One for each request sent.
    unanswered: mpsc::Receiver<()>,
    /// One task, which returns its half of the connection when there are no more requests.
    sender: JoinSet<io::Result<Writer>>,
}

async fn send_all<S>(mut requests: S, mut to: Writer, sent: mpsc::Sender<()>) -> io::Result<Writer>
where
    S: Stream<Item = AppendRequest> + Unpin,
{
    while let Some(request) = requests.next().await {
        to.write(&request).await?;
        if sent.send(()).await.is_err() {
            break;
        }
    }
    Ok(to)
}

async fn next_answer(
    pipeline: Option<Pipeline<'_>>,
) -> Option<(Result<AppendResult, RpcError>, Option<Pipeline<'_>>)> {
    let mut pipeline = pipeline?;
    if pipeline.unanswered.recv().await.is_none() {
        return match pipeline.sender.join_next().await? {
            Ok(Ok(writer)) => {
                let reader = pipeline.reader;
                pipeline.client.append = Some(Connection { reader, writer });
                None
            }
            Ok(Err(error)) => Some((Err(network(error)), None)),
            Err(error) => Some((Err(network(io::Error::other(error))), None)),
        };
    }
    match pipeline.reader.read_answer().await {
        Ok(Ok(matching)) => Some((Ok(Ok(matching)), Some(pipeline))),
        Ok(refusal) => Some((Ok(refusal), None)),
        Err(error) => Some((Err(network(error)), None)),
    }
}

fn network(error: io::Error) -> RpcError {
    RpcError::Network(NetworkError::new(&error))
}

/// A connection between two servers.
struct Connection {
    reader: Reader,
    writer: Writer,
}

struct Reader(BufReader<OwnedReadHalf>, Vec<u8>);

struct Writer(OwnedWriteHalf, Vec<u8>);

impl Connection {
    fn over(stream: TcpStream) -> Connection {
        let (reader, writer) = stream.into_split();
        Connection {
            reader: Reader(BufReader::new(reader), Vec::new()),
            writer: Writer(writer, Vec::new()),
        }
    }

    fn split(self) -> (Reader, Writer) {
        (self.reader, self.writer)
    }

    async fn ask<A: DeserializeOwned>(&mut self, request: &impl Serialize) -> io::Result<A> {
        self.writer.write(request).await?;
        self.reader.read_answer().await
    }
}

impl Reader {
    /// The next value; none if the connection has ended.
    async fn read<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let len = match self.0.read_u32_le().await {
            Ok(len) => len,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(e),
        };
        self.1.resize(len as usize, 0);
        self.0.read_exact(&mut self.1).await?;
        postcard::from_bytes(&self.1)
            .map(Some)
            .map_err(io::Error::other)
    }

    async fn read_answer<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
        self.read().await?.ok_or_else(ended)
    }
}

impl Writer {
    async fn write(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut frame = std::mem::take(&mut self.1);
        frame.clear();
        frame.extend([0; 4]);
        let mut frame = postcard::to_extend(value, frame).map_err(io::Error::other)?;
        let len = u32::try_from(frame.len() - 4).map_err(io::Error::other)?;
        frame[..4].copy_from_slice(&len.to_le_bytes());
        self.0.write_all(&frame).await?;
        self.1 = frame;
        Ok(())
    }
}
