//! The network between the nodes: each in a network namespace of its own, every packet between
//! them through our hands.
//!
//! The only interface of a namespace is a TUN device, whose packets a thread here reads and passes
//! on to the device that they are addressed to, or drops, or holds back for a while. TCP runs in
//! the kernel at both ends, so what it makes of a bad network is real.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::isolation::run;
use super::rng::Rng;
use super::system::{self, INTERFACE};

/// Largest packet, in bytes: large, so that a snapshot is few of them.
const MTU: usize = 16_000;
/// The last part of the clients' address; those of nodes are their ids.
const CLIENTS: u8 = 100;
/// Where an IPv4 header has the destination's last part.
const DESTINATION: usize = 19;

/// What happens to packets of one direction between two nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    /// Nothing arrives.
    pub cut: bool,
    /// How many of a hundred packets are lost.
    pub loss_percent: u64,
    /// How many of a hundred packets arrive twice.
    pub twice_percent: u64,
    /// Shortest and longest delay; each packet has its own, so that they overtake each other.
    pub delay_ms: (u64, u64),
}

/// The network of up to five nodes and of the clients, which are in the calling process's own
/// namespace. It ends with the process.
pub struct Network {
    shared: Arc<Shared>,
    nodes: u8,
}

struct Shared {
    ends: HashMap<u8, File>,
    links: Mutex<Links>,
    held_back: Mutex<BinaryHeap<Reverse<HeldBack>>>,
    more_held_back: Condvar,
}

/// When it is due, its number, its destination and its bytes.
type HeldBack = (Instant, u64, u8, Vec<u8>);

struct Links {
    by_direction: HashMap<(u8, u8), Link>,
    rng: Rng,
    passed: u64,
}

impl Network {
    /// Namespaces for the nodes 1 to `nodes`, all links sound.
    pub fn new(nodes: u8) -> Network {
        let mut ends = HashMap::new();
        for node in 1..=nodes {
            run("ip", &["netns", "add", &name(node)]);
            ends.insert(node, interface_of(node));
        }
        let own = system::create_interface().expect("an interface for the clients");
        bring_up(&[], CLIENTS);
        ends.insert(CLIENTS, own);
        let links = Links {
            by_direction: HashMap::new(),
            rng: Rng::new(0),
            passed: 0,
        };
        let shared = Arc::new(Shared {
            ends,
            links: Mutex::new(links),
            held_back: Mutex::default(),
            more_held_back: Condvar::new(),
        });
        for end in shared.ends.keys().copied() {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.pass_on_from(end));
        }
        let delayer = Arc::clone(&shared);
        thread::spawn(move || delayer.release());
        Network { shared, nodes }
    }

    /// Where node `id` is to listen, without a port.
    pub fn address(id: u8) -> String {
        format!("10.77.0.{id}")
    }

    /// Its namespace, for `nsenter --net`.
    pub fn namespace(id: u8) -> PathBuf {
        PathBuf::from("/run/netns").join(name(id))
    }

    /// Makes all links sound, and what chance decides from now on the sequence of `seed`.
    pub fn reset(&self, seed: u64) {
        let mut links = lock(&self.shared.links);
        links.by_direction.clear();
        links.rng = Rng::new(seed);
    }

    /// Makes all links between nodes sound.
    pub fn heal(&self) {
        lock(&self.shared.links).by_direction.clear();
    }

    /// Sets the link from one node to another; the other direction stays as it is.
    pub fn set(&self, from: u8, to: u8, link: Link) {
        lock(&self.shared.links)
            .by_direction
            .insert((from, to), link);
    }

    /// Cuts the links, in both directions, between all nodes of which `apart` says so.
    pub fn cut_where(&self, apart: impl Fn(u8, u8) -> bool) {
        let cut = Link {
            cut: true,
            ..Link::default()
        };
        for from in 1..=self.nodes {
            for to in (1..=self.nodes).filter(|to| *to != from) {
                if apart(from, to) {
                    self.set(from, to, cut);
                }
            }
        }
    }

    /// Sets all links between nodes.
    pub fn set_all(&self, link: Link) {
        for from in 1..=self.nodes {
            for to in (1..=self.nodes).filter(|to| *to != from) {
                self.set(from, to, link);
            }
        }
    }
}

impl Shared {
    fn pass_on_from(&self, from: u8) {
        let mut packet = vec![0; MTU];
        loop {
            match (&self.ends[&from]).read(&mut packet) {
                Ok(len) if len > DESTINATION => self.route(from, &packet[..len]),
                Ok(_) => {}
                Err(error) => panic!("reading the interface of {from}: {error}"),
            }
        }
    }

    fn route(&self, from: u8, packet: &[u8]) {
        // IPv6 neighbour discovery and the like have nobody to reach.
        let to = packet[DESTINATION];
        if packet[0] >> 4 != 4 || !self.ends.contains_key(&to) {
            return;
        }
        let mut links = lock(&self.links);
        let link = links
            .by_direction
            .get(&(from, to))
            .copied()
            .unwrap_or_default();
        if link.cut || links.rng.percent(link.loss_percent) {
            return;
        }
        links.passed += 1;
        let copies = if links.rng.percent(link.twice_percent) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            match links.rng.between(link.delay_ms.0, link.delay_ms.1) {
                0 => self.deliver(to, packet),
                delay_ms => self.hold_back(to, packet, links.passed, delay_ms),
            }
        }
    }

    fn hold_back(&self, to: u8, packet: &[u8], number: u64, delay_ms: u64) {
        let due = Instant::now() + Duration::from_millis(delay_ms);
        lock(&self.held_back).push(Reverse((due, number, to, packet.to_vec())));
        self.more_held_back.notify_one();
    }

    fn release(&self) {
        let mut held_back = lock(&self.held_back);
        loop {
            let now = Instant::now();
            let wait = match held_back.peek() {
                Some(Reverse((due, ..))) if *due <= now => {
                    if let Some(Reverse((_, _, to, packet))) = held_back.pop() {
                        self.deliver(to, &packet);
                    }
                    continue;
                }
                Some(Reverse((due, ..))) => *due - now,
                None => Duration::from_secs(1),
            };
            held_back = match self.more_held_back.wait_timeout(held_back, wait) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    /// A packet that the receiver has no room for is lost, as on any network.
    fn deliver(&self, to: u8, packet: &[u8]) {
        let _ = (&self.ends[&to]).write(packet);
    }
}

fn name(node: u8) -> String {
    format!("node{node}")
}

/// The interface of a node's namespace, made by a thread that goes there for it.
fn interface_of(node: u8) -> File {
    let made = thread::spawn(move || {
        system::enter_network_namespace(&Network::namespace(node))?;
        system::create_interface()
    });
    let made = made.join().expect("the thread does not panic");
    let file = made.unwrap_or_else(|error| panic!("an interface for node {node}: {error}"));
    run("ip", &["-n", &name(node), "link", "set", "lo", "up"]);
    bring_up(&["-n", &name(node)], node);
    file
}

fn bring_up(namespace: &[&str], last_part: u8) {
    let address = format!("{}/24", Network::address(last_part));
    let mtu = MTU.to_string();
    for args in [
        ["addr", "add", &address, "dev", INTERFACE].as_slice(),
        ["link", "set", "dev", INTERFACE, "mtu", &mtu].as_slice(),
        ["link", "set", "dev", INTERFACE, "up"].as_slice(),
    ] {
        run("ip", &[namespace, args].concat());
    }
}

/// What these mutexes guard is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
