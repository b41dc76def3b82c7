//! Traces of real nodes, as a collector gets them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use raft3d::demo::nodes::free_addresses;
use serde_json::json;
use tokio::net::TcpListener;

use crate::cluster_support::{PRINTERS, TestCluster, wait_until};

/// What takes traces, as OpenTelemetry's collector would.
struct Collector {
    url: String,
    taken: Taken,
}

/// The steps of each batch, and the node that sent it.
type Taken = Arc<Mutex<Vec<(String, Span)>>>;

impl Collector {
    async fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Taken::default();
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(taken.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Collector { url, taken }
    }

    /// The steps of a trace, with their nodes.
    fn of(&self, trace: &str) -> Vec<(String, Span)> {
        let taken = self.taken.lock().unwrap();
        let steps = taken.iter();
        let steps = steps.filter(|(_, span)| hex(&span.trace_id) == trace);
        steps.cloned().collect()
    }
}

async fn take(State(taken): State<Taken>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    for sender in ExportTraceServiceRequest::decode(body)
        .unwrap()
        .resource_spans
    {
        let node = text(&sender.resource.unwrap().attributes, "service.instance.id");
        let spans = sender.scope_spans.into_iter().flat_map(|scope| scope.spans);
        let spans = spans.map(|span| (node.clone(), span));
        taken.lock().unwrap().extend(spans);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An attribute as a text.
fn text(facts: &[KeyValue], key: &str) -> String {
    let fact = facts.iter().find(|fact| fact.key == key);
    let value = fact.and_then(|fact| fact.value.as_ref()?.value.as_ref());
    match value {
        Some(Any::StringValue(text)) => text.clone(),
        Some(Any::IntValue(number)) => number.to_string(),
        Some(Any::ArrayValue(array)) => format!("{:?}", array.values),
        other => panic!("{key} is {other:?} among {facts:#?}"),
    }
}

/// The steps called `name`.
fn named<'a>(steps: &'a [(String, Span)], name: &str) -> Vec<&'a (String, Span)> {
    steps.iter().filter(|(_, span)| span.name == name).collect()
}

fn printer() -> serde_json::Value {
    json!({"company": "Prusa", "model": "MK4"})
}

async fn all_announced(cluster: &TestCluster) {
    wait_until("every node knows what the others read", async || {
        for view in cluster.views().await {
            let known = view.members.iter().all(|m| m.http_addr.is_some());
            known.then_some(())?;
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_through_a_follower_is_one_trace_of_all_nodes() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const CALLER: &str = "00f067aa0ba902b7";
    const UNSAMPLED: &str = "11111111111111111111111111111111";
    let collector = Collector::start().await;
    let args = ["--otlp-endpoint", &collector.url, "--otlp-sampling-ratio"];
    let args = [&args[..], &["0", "--log", "raft3d::http=debug,info"]].concat();
    let mut cluster = TestCluster::start_with(&args).await;
    let leader = cluster.leader().await;
    all_announced(&cluster).await;
    let follower = cluster.others(leader.node_id)[0];
    let create = async |trace: &str, flags: &str| {
        let reply = cluster
            .send_once(follower, |http, url| {
                http.post(url + PRINTERS)
                    .json(&printer())
                    .header("x-request-id", "order-17")
                    .header("authorization", "Bearer not-to-be-told")
                    .header("traceparent", format!("00-{trace}-{CALLER}-{flags}"))
            })
            .await;
        reply.expect(201)
    };
    let index = create(TRACE, "01")
        .await
        .header("x-raft3d-index")
        .to_owned();
    create(UNSAMPLED, "00").await;
    cluster.create(follower, PRINTERS, &printer()).await;
    // A change of the leader's own, which the follower passes on by HTTP; nothing is changed by it.
    let passed_on = "22222222222222222222222222222222";
    let refused = cluster
        .send_once(follower, |http, url| {
            http.delete(url + "/api/v1/cluster/members/99")
                .header("traceparent", format!("00-{passed_on}-{CALLER}-01"))
        })
        .await;
    refused.expect_problem(404, "unknown-member");
    cluster.equal_indexes().await;
    for id in 1..=3 {
        // What is recorded is sent before a node ends.
        assert!(cluster.node(id).stop().await.unwrap().success());
    }

    let steps = collector.of(TRACE);
    let follower = format!("node-{follower}");
    let leader = format!("node-{}", leader.node_id);
    let only = |name: &str, node: &str| -> &Span {
        let found = named(&steps, name);
        assert_eq!(found.len(), 1, "{name} in {steps:#?}");
        assert_eq!(found[0].0, node, "{name}");
        &found[0].1
    };
    let request = only(&format!("POST {PRINTERS}"), &follower);
    assert_eq!(hex(&request.parent_span_id), CALLER);
    for (fact, value) in [
        ("http.request.method", "POST"),
        ("http.route", PRINTERS),
        ("http.response.status_code", "201"),
    ] {
        assert_eq!(text(&request.attributes, fact), value);
    }
    assert!(text(&request.attributes, "http.request.header.x-request-id").contains("order-17"));
    let propose = only("propose", &follower);
    assert_eq!(propose.parent_span_id, request.span_id);
    for step in [only("forward", &follower), only("commit", &leader)] {
        assert_eq!(step.parent_span_id, propose.span_id, "{step:#?}");
        assert!(step.start_time_unix_nano <= step.end_time_unix_nano);
    }
    let applied = named(&steps, "apply");
    let nodes: BTreeSet<_> = applied.iter().map(|(node, _)| node.as_str()).collect();
    assert_eq!(nodes, BTreeSet::from(["node-1", "node-2", "node-3"]));
    assert_eq!(applied.len(), 3, "{applied:#?}");
    for (node, step) in applied {
        assert_eq!(step.parent_span_id, propose.span_id, "{step:#?}");
        let fact = |name| text(&step.attributes, name);
        assert_eq!(format!("node-{}", fact("raft3d.node.id")), *node);
        assert_eq!(fact("raft3d.raft.index"), index);
        let role = if *node == leader {
            "leader"
        } else {
            "follower"
        };
        assert_eq!(fact("raft3d.raft.role"), role, "{node}");
        assert_ne!(fact("raft3d.raft.term"), "0");
    }

    let steps = collector.of(passed_on);
    let requests = named(&steps, "DELETE /api/v1/cluster/members/{id}");
    let [first, second] = requests[..] else {
        panic!("not the request and the one that it was passed on by: {steps:#?}");
    };
    let (outer, inner) = match first.0 == follower {
        true => (first, second),
        false => (second, first),
    };
    assert_eq!((&outer.0, &inner.0), (&follower, &leader));
    assert_eq!(inner.1.parent_span_id, outer.1.span_id);

    // The ratio says that nobody is traced who has not asked for it.
    let taken = collector.taken.lock().unwrap();
    for (_, step) in taken.iter() {
        let trace = hex(&step.trace_id);
        assert!(trace == TRACE || trace == passed_on, "{step:#?}");
        assert!(!format!("{step:?}").contains("not-to-be-told"), "{step:#?}");
    }
    // Log lines name the trace, whether or not it is recorded.
    let log = std::fs::read_to_string(cluster.spec(1.max(index_of(&follower))).log_path()).unwrap();
    for trace in [TRACE, UNSAMPLED] {
        let line = log.lines().find(|line| line.contains(trace));
        let line = line.unwrap_or_else(|| panic!("no line names {trace}:\n{log}"));
        assert!(line.contains("order-17"), "{line}");
    }
}

/// The id in the name of a node.
fn index_of(node: &str) -> i32 {
    node.trim_start_matches("node-").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_collector_that_is_away() {
    let nobody = format!("http://{}", free_addresses(1).unwrap()[0]);
    // Sent as soon as it is recorded, so that many batches fail.
    let mut cluster = TestCluster::start_with(&["--otlp-endpoint", &nobody]).await;
    all_announced(&cluster).await;
    let via = cluster.others(cluster.view(1).await.unwrap().leader.unwrap())[0];
    for _ in 0..700 {
        cluster.create(via, PRINTERS, &printer()).await;
    }
    let log = wait_until("a node says that traces are lost", async || {
        let log = std::fs::read_to_string(cluster.spec(via).log_path()).unwrap();
        log.contains("traces are lost").then_some(log)
    })
    .await;
    assert!(log.contains("cannot connect"), "{log}");
    assert!(cluster.node(via).stop().await.unwrap().success());
    let log = std::fs::read_to_string(cluster.spec(via).log_path()).unwrap();
    assert_eq!(log.matches("traces are lost").count(), 1, "{log}");
}
