//! Strangers on the ports of a running cluster: what they send costs a bounded amount of memory,
//! and nobody else notices.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use raft3d::consensus::Status;
use raft3d::http::body::SHARED_MAX;
use raft3d::http::server::CONNECTION_MEMORY_MAX;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::cluster_support::{JOBS, PATIENCE, TestCluster, http_client, send, wait_until};

/// So long that a hiccup of a busy machine costs no election, which would show as a failed write.
const PATIENT: [&str; 2] = ["--election-timeout-ms", "2000..4000"];
/// A client that writes or reads while others misbehave is answered within this.
const IN_TIME: Duration = Duration::from_secs(2);

const MIB: usize = 1 << 20;
/// Connections that the Raft port serves at a time.
const SESSIONS_MAX: usize = 256;
/// What requests of strangers may take of a node's memory (core/src/transport/door_policy.hxx),
/// beyond which we grant it as much for its own work under load.
const RAFT_PORT_BOUND: usize = 64 * MIB + SESSIONS_MAX * (64 << 10) + OWN_WORK;
/// What a node may need meanwhile for the load itself: log, state, the threads' caches.
const OWN_WORK: usize = 48 * MIB;

/// Request header: its length, the part that its checksum covers, and where that part ends with
/// the body's length.
const HEADER: usize = 54;
const CHECKED: usize = 46;
const BODY_LEN_AT: usize = 42;
/// Answer header: its length, and where it says whether the request was accepted.
const ANSWER_HEADER: usize = 39;
const ACCEPTED_AT: usize = 26;

const TLS_HELLO: &[u8] =
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03tls tls tls tls tls tls tls \
    tls tls tls tls tls tls tls tls tls tls tls tls tls";

/// A client that writes through all nodes, and reads, as fast as it is answered.
struct Bystander {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
    task: JoinHandle<Duration>,
}

impl Bystander {
    fn start(cluster: &TestCluster, job: &Value) -> Bystander {
        let stop = Arc::new(AtomicBool::new(false));
        let writes = Arc::new(AtomicUsize::new(0));
        let urls: Vec<String> = (1..=3).map(|id| cluster.url(id) + JOBS).collect();
        let task = run_bystander(urls, job.clone(), stop.clone(), writes.clone());
        Bystander {
            stop,
            writes,
            task: tokio::spawn(task),
        }
    }

    /// Waits until `count` more writes are acknowledged.
    async fn goes_on(&self, count: usize) {
        let wanted = self.writes.load(Ordering::Relaxed) + count;
        wait_until("the bystander's writes go on", async || {
            let failed = self.task.is_finished();
            (failed || self.writes.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    /// Ends it: every answer was a success and in time. How many writes there were.
    async fn finish(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let slowest = self.task.await.unwrap();
        let writes = self.writes.load(Ordering::Relaxed);
        println!("{writes} writes and as many reads succeeded, the slowest took {slowest:?}");
        writes
    }
}

async fn run_bystander(
    urls: Vec<String>,
    job: Value,
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicUsize>,
) -> Duration {
    let http = http_client();
    let mut slowest = Duration::ZERO;
    for url in urls.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        for (request, status) in [
            (http.post(url).json(&job), 201),
            (http.get(format!("{url}/1")), 200),
        ] {
            let begun = Instant::now();
            let reply = send(request).await.expect("an answer");
            assert_eq!(reply.status, status, "{reply:#?}");
            slowest = slowest.max(begun.elapsed());
        }
        assert!(slowest < IN_TIME, "an answer took {slowest:?}");
        writes.fetch_add(1, Ordering::Relaxed);
    }
    slowest
}

/// Watches the memory of one node.
struct Memory {
    pid: u32,
    before: usize,
}

impl Memory {
    fn of(cluster: &mut TestCluster, id: i32) -> Memory {
        let pid = cluster.node(id).pid().unwrap();
        // The highest use is counted from now on.
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
        let before = status_bytes(pid, "VmRSS:");
        Memory { pid, before }
    }

    /// Asserts that the node never took more than `bound` bytes beyond what it had.
    fn assert_grew_by_at_most(&self, bound: usize, what: &str) {
        let peak = status_bytes(self.pid, "VmHWM:");
        let grown = peak.saturating_sub(self.before);
        println!(
            "{what}: resident memory rose from {} to {} MiB at most; the bound is {} more",
            self.before / MIB,
            peak / MIB,
            bound / MIB
        );
        assert!(grown <= bound, "{what}: {grown} bytes more, of {bound}");
    }
}

/// A size in `/proc/PID/status`.
fn status_bytes(pid: u32, field: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Takes part as the follower `id`, which is not running, until the leader has sent it a request
/// with entries: that request, to the byte.
fn record_request(cluster: &TestCluster, id: i32) -> Vec<u8> {
    let listener = TcpListener::bind(&cluster.spec(id).raft_addr).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        let mut frame = vec![0; HEADER];
        stream.read_exact(&mut frame).expect("a request");
        let length = frame[BODY_LEN_AT..CHECKED].try_into().unwrap();
        frame.resize(HEADER + u32::from_le_bytes(length) as usize, 0);
        stream.read_exact(&mut frame[HEADER..]).expect("its body");
        if frame.len() > HEADER {
            return frame;
        }
        stream.write_all(&refusal_of(&frame)).unwrap();
    }
}

/// The answer to a heartbeat of a follower whose log is empty.
fn refusal_of(request: &[u8]) -> Vec<u8> {
    let (src, dst, term) = (&request[2..6], &request[6..10], &request[10..18]);
    let mut answer = vec![1, 4];
    answer.extend([dst, src, term].concat());
    answer.extend(1u64.to_le_bytes()); // The entry that it wants next.
    answer.extend([0; 5]); // Not accepted, and no body.
    let checksum = crc32fast::hash(&answer);
    answer.extend(checksum.to_le_bytes());
    answer.extend([0; 4]); // No flags.
    answer
}

/// Sends `frame` as often as `times` says, and says how often it was accepted.
fn replay(addr: &str, frame: &[u8], times: usize) -> usize {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut accepted = 0;
    for _ in 0..times {
        stream.write_all(frame).unwrap();
        let mut answer = [0; ANSWER_HEADER];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(answer[0], 1, "an answer's marker");
        let length = answer[ACCEPTED_AT + 1..ACCEPTED_AT + 5].try_into().unwrap();
        let length = u32::from_le_bytes(length);
        stream.read_exact(&mut vec![0; length as usize]).unwrap();
        accepted += usize::from(answer[ACCEPTED_AT]);
    }
    accepted
}

/// The header of `frame` announcing a body of 1 GiB, under a checksum that is right.
fn announcing_a_gib(frame: &[u8]) -> Vec<u8> {
    let mut header = frame[..HEADER].to_vec();
    header[BODY_LEN_AT..CHECKED].copy_from_slice(&(1u32 << 30).to_le_bytes());
    let checksum = crc32fast::hash(&header[..CHECKED]);
    header[CHECKED..CHECKED + 4].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Connects and sends; the node may hang up at any time.
fn throw(addr: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let hung_up = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
    if let Err(error) = stream.write_all(bytes) {
        assert!(hung_up.contains(&error.kind()), "{error}");
    }
    stream
}

fn garbage(random: &mut u64, length: usize) -> Vec<u8> {
    let byte = |_| {
        *random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (*random >> 56) as u8
    };
    (0..length).map(byte).collect()
}

/// Everything at once against the Raft port at `addr`; the connections stay open.
fn attack_raft_port(addr: &str, recorded: &[u8]) -> Vec<TcpStream> {
    let seed = 0x5eed_u64;
    println!("garbage seed {seed:#x}");
    let mut random = seed;
    let mut open = Vec::new();
    for length in [1, 39, HEADER, 64, 1_000, 70_000] {
        open.push(throw(addr, &garbage(&mut random, length)));
    }
    open.push(throw(addr, TLS_HELLO));
    open.push(throw(addr, b"GET / HTTP/1.1\r\nHost: raft\r\n\r\n"));
    for cut in (1..recorded.len()).step_by(recorded.len() / 40 + 1) {
        open.push(throw(addr, &recorded[..cut]));
    }
    // More than there are places for, and of the bytes that they announce more than may be held.
    let lie = announcing_a_gib(recorded);
    for number in 0..300 {
        let sent = if number % 2 == 0 { 1_000 } else { MIB };
        open.push(throw(addr, &[&lie[..], &vec![7; sent]].concat()));
    }
    open
}

async fn assert_same_leader(cluster: &mut TestCluster, before: &Status) {
    let after = cluster.leader().await;
    assert_eq!(
        (after.node_id, after.term),
        (before.node_id, before.term),
        "an election was held"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_on_the_raft_port_harm_nobody() {
    let mut cluster = TestCluster::start_with(&PATIENT).await;
    let before = cluster.leader().await;
    let leader = before.node_id;
    let job = cluster.job_template(leader, 1_000_000).await;
    let follower = cluster.others(leader)[0];
    cluster.kill9(follower).await;
    cluster.create(leader, JOBS, &job).await;
    let recorded = tokio::task::block_in_place(|| record_request(&cluster, follower));
    cluster.bring_back(follower).await;
    let jobs = cluster.same_everywhere().await.len();

    let bystander = Bystander::start(&cluster, &job);
    bystander.goes_on(50).await;
    for id in [follower, leader] {
        let memory = Memory::of(&mut cluster, id);
        let addr = cluster.spec(id).raft_addr.clone();
        let open = tokio::task::block_in_place(|| attack_raft_port(&addr, &recorded));
        bystander.goes_on(100).await;
        memory.assert_grew_by_at_most(RAFT_PORT_BOUND, &format!("node {id} under attack"));
        drop(open);
    }
    // To whom it was sent once it means nothing new, in the term it was sent in.
    let addr = cluster.spec(follower).raft_addr.clone();
    tokio::task::block_in_place(|| replay(&addr, &recorded, 200));
    bystander.goes_on(50).await;
    let writes = bystander.finish().await;
    assert_same_leader(&mut cluster, &before).await;
    assert_eq!(cluster.same_everywhere().await.len(), jobs + writes);

    // And it is refused in every later term.
    cluster.kill9(leader).await;
    let after = cluster.leader().await;
    assert!(after.term > before.term);
    cluster.create(follower, JOBS, &job).await;
    let accepted = tokio::task::block_in_place(|| replay(&addr, &recorded, 200));
    assert_eq!(accepted, 0, "a request of an old term was accepted");
    assert_same_leader(&mut cluster, &after).await;
    cluster.bring_back(leader).await;
    assert_eq!(cluster.same_everywhere().await.len(), jobs + writes + 1);
}

/// Connections that say nothing.
const IDLE: usize = 10_000;
const SLOW: usize = 200;
/// What a node takes for an idle connection at most.
const IDLE_MEMORY: usize = 8 << 10;
/// What a node may take for all of them, and for the large bodies that some of them send.
const HTTP_PORT_BOUND: usize =
    IDLE * IDLE_MEMORY + 3 * SLOW * CONNECTION_MEMORY_MAX + SHARED_MAX + OWN_WORK;

/// Files that this process needs: a socket for each connection, and some.
fn allow_open_files() {
    let wanted = (IDLE + 3 * SLOW + 1_000) as u64;
    let allowed = rlimit::increase_nofile_limit(wanted).unwrap();
    assert!(
        allowed >= wanted,
        "this test needs {wanted} open files, the system allows {allowed} (ulimit -Hn)"
    );
}

/// Connections that the system lets wait to be accepted, everywhere.
const WAITING_MAX: usize = 100;

/// So many connections, each of which has sent `bytes`. The node accepts them in their order, so
/// that an answer now and then keeps them from being more than the system lets wait for that.
fn crowd(addr: &str, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let mut open = Vec::new();
    while open.len() < count {
        open.push(throw(addr, bytes));
        if open.len() % WAITING_MAX == 0 {
            let mut last = throw(addr, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
            last.set_read_timeout(Some(PATIENCE)).unwrap();
            last.read_exact(&mut [0; 12]).expect("an answer");
        }
    }
    open
}

/// Connections that misbehave in the middle of a request, each in its way.
fn attack_http_port(addr: &str) -> Vec<TcpStream> {
    let mut open = crowd(addr, IDLE, b"");
    for number in 0..SLOW {
        // A head that goes on and on, as long as it may be, and a body that stops half way.
        let head = "GET / HTTP/1.1\r\nX-Slow: ".to_owned() + &"x".repeat(15_000);
        open.push(throw(addr, head.as_bytes()));
        let post = format!("POST {JOBS} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        open.push(throw(
            addr,
            &[post.as_bytes(), &vec![b' '; 500_000]].concat(),
        ));
        let mut pipelined = "GET /healthz HTTP/1.1
Host: x

"
        .repeat(20)
        .into_bytes();
        pipelined.extend(garbage(&mut (number as u64), 2_000));
        open.push(throw(addr, &pipelined));
    }
    for _ in 0..10 {
        open.push(throw(addr, TLS_HELLO));
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_on_the_http_port_harm_nobody() {
    allow_open_files();
    let mut cluster = TestCluster::start_with(&PATIENT).await;
    let before = cluster.leader().await;
    let job = cluster.job_template(before.node_id, 1_000_000).await;
    let bystander = Bystander::start(&cluster, &job);
    bystander.goes_on(50).await;

    let victim = before.node_id;
    let memory = Memory::of(&mut cluster, victim);
    let addr = cluster.spec(victim).http_addr.clone();
    let mut open = tokio::task::block_in_place(|| attack_http_port(&addr));
    bystander.goes_on(100).await;
    for _ in 0..5 {
        let above = vec![b' '; 8 * MIB];
        let write = |http: &reqwest::Client, url: String| http.post(url + JOBS).body(above);
        let too_large = cluster.send_once(victim, write).await;
        too_large.expect_problem(413, "body-too-large");
    }
    // One more byte of each slow head: still not its end.
    for stream in &mut open[IDLE..] {
        let _ = stream.write(b"x");
    }
    bystander.goes_on(50).await;
    memory.assert_grew_by_at_most(HTTP_PORT_BOUND, "10,000 idle connections and 600 bad ones");
    let writes = bystander.finish().await;
    assert_same_leader(&mut cluster, &before).await;
    assert_eq!(cluster.same_everywhere().await.len(), writes);
}

/// More writes than a node takes at a time, and of them so many more.
const QUEUE: usize = 4_096;
const TOO_MANY: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overload_is_answered_at_once_and_passes_at_once() {
    allow_open_files();
    let args = [&PATIENT[..], &["--request-timeout-ms", "20000"]].concat();
    let mut cluster = TestCluster::start_with(&args).await;
    let leader = cluster.leader().await.node_id;
    let job = cluster.job_template(leader, 1_000_000).await;
    cluster.equal_indexes().await;
    // With the others halted nothing is committed, and the leader does not know yet.
    for id in cluster.others(leader) {
        signal(&mut cluster, id, "STOP");
    }
    let body = job.to_string();
    let post = format!(
        "POST {JOBS} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let addr = cluster.spec(leader).http_addr.clone();
    let memory = Memory::of(&mut cluster, leader);
    let begun = Instant::now();
    let waiting = tokio::task::block_in_place(|| fill_queue(&addr, &post));
    println!("the queue was full after {:?}", begun.elapsed());
    // Hanging up makes no room: the commands are still on their way.
    drop(waiting);
    let begun = Instant::now();
    let write = |http: &reqwest::Client, url: String| http.post(url + JOBS).json(&job);
    let refused = cluster.send_once(leader, write).await;
    let refused = refused.expect_problem(503, "overloaded");
    assert_ne!(refused.header("retry-after"), "");
    println!("one more was refused after {:?}", begun.elapsed());
    assert!(begun.elapsed() < IN_TIME / 4);
    memory.assert_grew_by_at_most(
        (QUEUE + TOO_MANY) * CONNECTION_MEMORY_MAX + OWN_WORK,
        "a full queue",
    );

    for id in cluster.others(leader) {
        signal(&mut cluster, id, "CONT");
    }
    let begun = Instant::now();
    wait_until("a write is accepted again", async || {
        let status = cluster.send_once(leader, write).await.status;
        assert!([201, 503].contains(&status), "{status}");
        (status == 201).then_some(())
    })
    .await;
    println!(
        "the first write after the load was accepted after {:?}",
        begun.elapsed()
    );
    let jobs = cluster.same_everywhere().await.len();
    assert!(jobs <= QUEUE + 1, "{jobs} jobs: more than were taken");
}

fn signal(cluster: &mut TestCluster, id: i32, name: &str) {
    let pid = cluster.node(id).pid().unwrap().to_string();
    let sent = std::process::Command::new("kill")
        .args([&format!("-{name}"), &pid])
        .status();
    assert!(sent.unwrap().success());
}

/// Sends `post` on connections of their own until some are refused; gives those that wait.
fn fill_queue(addr: &str, post: &str) -> Vec<TcpStream> {
    let mut open = crowd(addr, QUEUE + TOO_MANY, post.as_bytes());
    // Whichever they are: as many as are too many get an answer, while the others wait.
    let mut refused = 0;
    let deadline = std::time::Instant::now() + PATIENCE;
    while refused < TOO_MANY {
        assert!(
            std::time::Instant::now() < deadline,
            "only {refused} were refused"
        );
        open.retain_mut(|stream| {
            stream.set_nonblocking(true).unwrap();
            let mut answer = [0; 1_024];
            match stream.read(&mut answer) {
                Ok(length) => {
                    let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
                    assert!(answer.starts_with("http/1.1 503"), "{answer}");
                    assert!(answer.contains("retry-after: 1"), "{answer}");
                    assert!(answer.contains("/problems/overloaded"), "{answer}");
                    refused += 1;
                    false
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    true
                }
            }
        });
    }
    open
}
