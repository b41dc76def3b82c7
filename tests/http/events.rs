//! Events over HTTP: pages, filters, streams that go on anywhere, and files that rebuild the farm.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use http_body_util::BodyExt;
use raft3d::client::http::HttpClient;
use raft3d::domain::command::{NewPrinter, Op};
use raft3d::domain::events::export::Replay;
use raft3d::domain::settings::Settings;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

use crate::support::stream::{Stream, resumed, stream_request};
use crate::support::{Answer, Api, DEADLINE, FILAMENTS, JOBS, PRINTERS, request};

const EVENTS: &str = "/api/v1/events";
const EXPORT: &str = "/api/v1/events/export";
const HASH: &str = "/api/v1/cluster/hash";
const SETTINGS: &str = "/api/v1/cluster/settings";

fn add_printer(api: &Api) -> u64 {
    api.fake.commit_elsewhere(Op::CreatePrinter(NewPrinter {
        id: None,
        company: "Prusa".into(),
        model: "MK4".into(),
    }))
}

fn set_retention(api: &Api, event_retention: u64) {
    let settings = Settings { event_retention };
    api.fake.commit_elsewhere(Op::ChangeSettings(settings));
}

/// A printer, a filament, and two jobs: one done, one canceled. Events 1 to 8, if nothing reads.
fn busy_farm(api: &Api) {
    use raft3d::domain::id::Id;
    use raft3d::domain::model::JobStatus;
    let new_job = || {
        let job = json!({"printer_id": 1, "filament_id": 1, "filepath": "a.gcode",
            "print_weight_in_grams": 5});
        Op::CreateJob(serde_json::from_value(job).unwrap())
    };
    let filament = json!({"type": "PLA", "color": "red", "total_weight_in_grams": 100});
    let set = |id, to| Op::SetJobStatus {
        job: Id::from_integer(id).unwrap().into(),
        to,
    };
    add_printer(api);
    for op in [
        Op::CreateFilament(serde_json::from_value(filament).unwrap()),
        new_job(),
        new_job(),
        set(1, JobStatus::Running),
        set(1, JobStatus::Done),
        set(2, JobStatus::Canceled),
    ] {
        api.fake.commit_elsewhere(op);
    }
}

fn indexes(answer: &Answer) -> Vec<u64> {
    let events = answer.json.as_array().unwrap();
    events
        .iter()
        .map(|event| event["index"].as_u64().unwrap())
        .collect()
}

fn next_path(answer: &Answer) -> Option<String> {
    let link = answer.header("link")?;
    let (path, _) = link.strip_prefix('<')?.split_once('>')?;
    Some(path.to_owned())
}

#[tokio::test]
async fn pages_cover_the_events_without_gap_or_repeat() {
    let api = Api::new();
    for _ in 0..30 {
        add_printer(&api);
    }
    for limit in [1, 7, 29, 30, 31, 1000] {
        let mut next = Some(format!("{EVENTS}?limit={limit}&consistency=eventual"));
        let mut seen = Vec::new();
        while let Some(path) = next {
            let page = api.get(&path).await.expect(200);
            seen.extend(indexes(&page));
            next = next_path(&page);
            assert!(page.json.as_array().unwrap().len() <= limit);
        }
        assert_eq!(seen, (1..=30).collect::<Vec<u64>>(), "limit {limit}");
    }
    let page = api.get(&format!("{EVENTS}?after=28")).await.expect(200);
    assert_eq!(indexes(&page), [29, 30]);
    assert!(page.index() >= 30);
    let none = api.get(&format!("{EVENTS}?after=30")).await.expect(200);
    assert_eq!(none.text, "[]");
}

#[tokio::test]
async fn an_event_tells_all_that_its_command_changed() {
    let api = Api::new();
    busy_farm(&api);
    let page = api
        .get(&format!("{EVENTS}?after=5&limit=1"))
        .await
        .expect(200);
    let event = &page.json[0];
    assert_eq!(event["index"], 6);
    assert_eq!(event["kind"], "job.done");
    assert_eq!(event["time"], "1970-01-01T00:00:00.000Z");
    let changes = event["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!(changes[0]["before"]["status"], "Running");
    assert_eq!(changes[0]["after"]["status"], "Done");
    assert_eq!(changes[1]["kind"], "filament.updated");
    assert_eq!(changes[1]["before"]["remaining_weight_in_grams"], 100);
    assert_eq!(changes[1]["after"]["remaining_weight_in_grams"], 95);
}

#[tokio::test]
async fn filters_let_through_what_they_name() {
    let api = Api::new();
    busy_farm(&api);
    for (query, expected) in [
        ("kind=printer.created", vec![1]),
        ("kind=filament.created", vec![2]),
        ("kind=filament.updated", vec![6]),
        ("kind=job.created", vec![3, 4]),
        ("kind=job.running", vec![5]),
        ("kind=job.deleted", vec![]),
        ("object=job", vec![3, 4, 5, 6, 7]),
        ("object=job:2", vec![4, 7]),
        ("object=filament:1", vec![2, 6]),
        ("object=job:1&kind=job.done", vec![6]),
        // Both of one change: event 6 has a job that is done and a filament, not a filament done.
        ("object=filament&kind=job.done", vec![]),
        ("object=printer:none", vec![]),
        ("object=cluster", vec![]),
    ] {
        let page = api.get(&format!("{EVENTS}?{query}")).await.expect(200);
        assert_eq!(indexes(&page), expected, "{query}");
        let mut next = Some(format!("{EVENTS}?{query}&limit=1"));
        let mut seen = Vec::new();
        while let Some(path) = next {
            let page = api.get(&path).await.expect(200);
            seen.extend(indexes(&page));
            next = next_path(&page);
        }
        assert_eq!(seen, expected, "{query} by pages");
    }
}

#[tokio::test]
async fn what_is_no_position_and_no_filter_is_refused() {
    let api = Api::new();
    busy_farm(&api);
    for (query, told) in [
        ("after=x", "`x`"),
        ("after=-1", "`-1`"),
        ("limit=0", "`0`"),
        ("limit=1001", "`1001`"),
        ("kind=job", "`job`"),
        ("kind=job.flown", "`job.flown`"),
        ("object=moon:1", "`moon`"),
        ("object=job:", "empty"),
        ("since=4", "`since`"),
    ] {
        let answer = api.get(&format!("{EVENTS}?{query}")).await;
        let detail = answer.expect_problem(400, "invalid-parameter");
        assert!(detail.contains(told), "{query}: {detail}");
    }
    let mut bad = stream_request(EVENTS);
    let headers = bad.headers_mut();
    headers.insert("last-event-id", "seven".parse().unwrap());
    api.send(bad).await.expect_problem(400, "invalid-header");
}

#[tokio::test]
async fn a_position_that_is_gone_is_refused_with_the_ones_that_are_not() {
    let api = Api::new();
    set_retention(&api, 5);
    for _ in 0..10 {
        add_printer(&api);
    }
    // Events 2 to 11; 7 to 11 are kept.
    let from_the_oldest = api.get(EVENTS).await.expect(200);
    assert_eq!(indexes(&from_the_oldest), [7, 8, 9, 10, 11]);
    for after in [0, 5] {
        for request in [
            request("GET", &format!("{EVENTS}?after={after}"), Body::empty()),
            stream_request(&format!("{EVENTS}?after={after}")),
            resumed(EVENTS, after),
        ] {
            let answer = api.send(request).await;
            let detail = answer.expect_problem(410, "position-gone");
            assert!(detail.contains("after=6"), "{detail}");
            assert!(detail.contains(EXPORT), "{detail}");
            assert_eq!(answer.json["oldest_position"], 6);
            assert!(answer.json["current_index"].as_u64().unwrap() >= 11);
        }
    }
    // Nor can a client go on from where this cluster has never been.
    let ahead = api.get(&format!("{EVENTS}?after=1000")).await;
    ahead.expect_problem(410, "position-gone");
    let patient = api
        .get(&format!("{EVENTS}?after=1000&consistency=eventual"))
        .await;
    assert_eq!(patient.expect(200).text, "[]");
}

#[tokio::test]
async fn a_stream_has_what_happens_from_now_on() {
    let api = Api::new();
    add_printer(&api);
    let mut stream = Stream::open(&api, stream_request(EVENTS)).await;
    let greeting = stream.block().await.unwrap();
    assert!(greeting.starts_with("retry: "), "{greeting}");
    assert!(greeting.contains("\nid: "), "{greeting}");
    for _ in 0..3 {
        let index = add_printer(&api);
        let (id, kind, data) = stream.event().await;
        assert_eq!((id, kind.as_str()), (index, "printer.created"));
        let page = api
            .get(&format!("{EVENTS}?after={}&limit=1", index - 1))
            .await;
        assert_eq!(data, page.expect(200).json[0]);
    }
}

#[tokio::test]
async fn a_stream_goes_on_behind_any_index() {
    let api = Api::new();
    busy_farm(&api);
    for after in 0..=7 {
        for request in [
            stream_request(&format!("{EVENTS}?after={after}")),
            // The header is newer: a browser repeats the query as it was.
            resumed(&format!("{EVENTS}?after=0"), after),
        ] {
            let mut stream = Stream::open(&api, request).await;
            for index in after + 1..=7 {
                assert_eq!(stream.event().await.0, index, "after {after}");
            }
            let index = add_printer(&api);
            while stream.event().await.0 < index {}
        }
    }
}

#[tokio::test]
async fn a_filtered_stream_keeps_its_position() {
    let api = Api::new();
    busy_farm(&api);
    let path = format!("{EVENTS}?after=0&object=job:2");
    let mut stream = Stream::open(&api, stream_request(&path)).await;
    assert_eq!(stream.event().await.0, 4);
    assert_eq!(stream.event().await.0, 7);
    let mut last = 0;
    for _ in 0..2_500 {
        last = add_printer(&api);
    }
    // No event for this client, yet it is told where it is.
    let block = stream.block().await.unwrap();
    assert_eq!(block, format!("id: {last}"));
}

#[tokio::test]
async fn a_silent_stream_gives_signs_of_life_with_its_position() {
    let api = Api::new();
    let path = format!("{EVENTS}?kind=job.created");
    let mut stream = Stream::open(&api, stream_request(&path)).await;
    stream.block().await.unwrap();
    let index = add_printer(&api);
    let began = Instant::now();
    let block = stream.block().await.unwrap();
    assert_eq!(block, format!(": heartbeat\nid: {index}"));
    assert!(began.elapsed() <= Duration::from_secs(16), "{began:?}");
}

#[tokio::test]
async fn a_client_that_falls_too_far_behind_is_told_and_dropped() {
    let api = Api::new();
    set_retention(&api, 10);
    let mut stream = Stream::open(&api, stream_request(EVENTS)).await;
    stream.block().await.unwrap();
    for _ in 0..11 {
        add_printer(&api);
    }
    let block = stream.block().await.unwrap();
    assert!(block.contains("not kept any more"), "{block}");
    let (_, id) = block.split_once("\nid: ").unwrap();
    let id = id.parse().unwrap();
    assert_eq!(stream.block().await, None);
    let again = api.send(resumed(EVENTS, id)).await;
    again.expect_problem(410, "position-gone");
}

#[tokio::test]
async fn a_client_that_takes_nothing_costs_no_memory() {
    let api = Api::new();
    let mut stream = Stream::open(&api, stream_request(EVENTS)).await;
    for _ in 0..5_000 {
        add_printer(&api);
    }
    let mut seen = 0;
    while seen < 5_000 {
        let frame = stream.body.frame().await.unwrap().unwrap();
        let data = frame.into_data().unwrap();
        assert!(data.len() <= 40 * 1024, "a chunk of {} bytes", data.len());
        seen += std::str::from_utf8(&data)
            .unwrap()
            .matches("\ndata: ")
            .count();
    }
}

#[tokio::test]
async fn a_node_that_lags_behind_a_client_makes_it_wait_without_a_repeat() {
    let api = Api::new();
    busy_farm(&api);
    api.fake.lag();
    let index = add_printer(&api);
    let path = format!("{EVENTS}?consistency=eventual");
    let mut stream = Stream::open(&api, resumed(&path, index)).await;
    stream.block().await.unwrap();
    api.fake.apply_to(index);
    let next = add_printer(&api);
    api.fake.apply_to(next);
    assert_eq!(stream.event().await.0, next);
}

#[tokio::test]
async fn streams_are_counted_until_they_are_closed() {
    let api = Api::new();
    let count = async || api.metrics().await.value("raft3d_event_streams", &[]);
    assert_eq!(count().await, 0.0);
    let one = Stream::open(&api, stream_request(EVENTS)).await;
    let two = Stream::open(&api, stream_request(EVENTS)).await;
    assert_eq!(count().await, 2.0);
    drop(one);
    assert_eq!(count().await, 1.0);
    drop(two);
    assert_eq!(count().await, 0.0);
}

#[tokio::test]
async fn there_are_not_more_streams_than_a_node_takes() {
    let api = Api::new();
    let mut open = Vec::new();
    for _ in 0..1_024 {
        let path = format!("{EVENTS}?consistency=eventual");
        open.push(Stream::open(&api, stream_request(&path)).await);
    }
    let one_more = api.send(stream_request(EVENTS)).await;
    one_more.expect_problem(503, "overloaded");
    open.pop();
    Stream::open(&api, stream_request(EVENTS)).await;
}

/// A server that stops does not wait for its streams, and lets them end properly.
#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let api = Api::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{EVENTS}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let bounds = raft3d::http::server::Bounds::default();
    let (router, connections) = (api.router.clone(), api.connections.clone());
    let server = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap() };
        raft3d::http::server::serve(listener, router, bounds, connections, None, stopped).await;
    });
    let client = HttpClient::new(None).unwrap().get();
    let request = client.get(url).header("accept", "text/event-stream");
    let mut response = request.send().await.unwrap();
    let index = add_printer(&api);
    let mut text = String::new();
    while !text.contains(&format!("id: {index}\n")) {
        let chunk = timeout(DEADLINE, response.chunk()).await.unwrap().unwrap();
        text += std::str::from_utf8(&chunk.unwrap()).unwrap();
    }
    stop.send(()).unwrap();
    let rest = timeout(DEADLINE, response.text()).await.unwrap().unwrap();
    assert!(rest.contains("stopping"), "{rest}");
    timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
}

/// The lines of an export.
async fn exported(api: &Api) -> Vec<String> {
    let response = api
        .router
        .clone()
        .oneshot(request("GET", EXPORT, Body::empty()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    let text = String::from_utf8(bytes.unwrap().into()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn replayed(lines: &[String]) -> Replay {
    let mut replay = Replay::begin(&lines[0]).unwrap();
    for line in &lines[1..] {
        replay
            .take(line)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    replay
}

#[tokio::test]
async fn an_export_rebuilds_the_farm_whatever_was_dropped() {
    for retention in [1_000, 7] {
        let api = Api::new();
        set_retention(&api, retention);
        for id in ["a", "b"] {
            let body = json!({"id": id, "company": "Prusa", "model": "MK4"});
            api.post(PRINTERS, body).await.expect(201);
        }
        let body = json!({"type": "PLA", "color": "red", "total_weight_in_grams": 1000});
        api.post(FILAMENTS, body).await.expect(201);
        for number in 0..200 {
            let body = json!({"printer_id": "a", "filament_id": 1,
                "filepath": format!("{number}.gcode"), "print_weight_in_grams": 5});
            api.post(JOBS, body).await.expect(201);
            for status in ["running", "done"].iter().take(number % 3) {
                let path = format!("{JOBS}/{}/status?status={status}", number + 1);
                api.post(&path, "").await.expect(200);
            }
        }
        let lines = exported(&api).await;
        let replay = replayed(&lines);
        let live = api.get(HASH).await.expect(200);
        let end = replay.end().unwrap();
        assert_eq!(
            Some(live.json["farm_hash"].as_str().unwrap()),
            end.farm_hash.as_deref()
        );
        let state = api.fake.local_state();
        assert_eq!(
            replay.farm().hash(),
            state.farm_hash(),
            "retention {retention}"
        );
        assert_eq!(replay.events() == 7, retention == 7);
        assert_eq!(replay.header().base_index == 0, retention == 1_000);

        // No line of it can be missing.
        for (place, line) in lines.iter().enumerate().skip(1) {
            let mut short = lines.clone();
            short.remove(place);
            let mut replay = Replay::begin(&short[0]).unwrap();
            let taken = short[1..].iter().try_for_each(|line| replay.take(line));
            let whole = taken.is_ok()
                && replay.end().is_some()
                && replay.farm().hash() == state.farm_hash();
            assert!(
                !whole || line.contains("\"settings.updated\""),
                "without {line}"
            );
        }
    }
}

#[tokio::test]
async fn a_farm_and_its_settings_can_be_looked_at_and_set() {
    let api = Api::new();
    let settings = api.get(SETTINGS).await.expect(200);
    assert_eq!(settings.json, json!({"event_retention": 10_000}));
    let body = json!({"event_retention": 12}).to_string();
    let put = api.request("PUT", SETTINGS, body).await.expect(200);
    assert_eq!(put.json, json!({"event_retention": 12}));
    assert_eq!(api.get(SETTINGS).await.expect(200).json, put.json);
    let page = api
        .get(&format!("{EVENTS}?object=settings"))
        .await
        .expect(200);
    assert_eq!(indexes(&page), [put.index()]);
    for (body, pointer) in [
        (json!({"event_retention": 0}), "/event_retention"),
        (json!({"event_retention": 1_000_001}), "/event_retention"),
        (json!({"event_retention": "1"}), "/event_retention"),
        (json!({}), "/event_retention"),
        (json!({"event_retention": 5, "moon": 1}), "/moon"),
    ] {
        let answer = api.request("PUT", SETTINGS, body.to_string()).await;
        answer.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), [pointer]);
    }
    let hashes: BTreeSet<String> = [api.get(HASH).await.expect(200), {
        add_printer(&api);
        api.get(HASH).await.expect(200)
    }]
    .iter()
    .map(|answer| answer.json["farm_hash"].as_str().unwrap().to_owned())
    .collect();
    assert_eq!(hashes.len(), 2);
}
