//! What all endpoints have in common: bodies, queries, headers, methods, and how the node says that
//! it cannot answer.

use axum::body::Body;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use raft3d::consensus::CAUGHT_UP_GAP;
use raft3d::domain::command::NEWEST_VERSION;
use raft3d::service::Limits;
use raft3d::storage::Stage;
use serde_json::{Value, json};

use crate::support::{Api, FAILURE, FILAMENTS, JOBS, LISTS, Mode, NODE_ID, PRINTERS, request};

fn printer() -> Value {
    json!({"company": "Creality", "model": "Ender 3"})
}

/// A farm with printer 1, filament 1 of 1000 g and job 1 of 300 g.
async fn farm() -> Api {
    let api = Api::new();
    api.post(PRINTERS, printer()).await.expect(201);
    api.post(
        FILAMENTS,
        json!({"type": "PLA", "color": "red", "total_weight_in_grams": 1000}),
    )
    .await
    .expect(201);
    api.post(
        JOBS,
        json!({"printer_id": 1, "filament_id": 1, "filepath": "a", "print_weight_in_grams": 300}),
    )
    .await
    .expect(201);
    api
}

#[tokio::test]
async fn bodies_are_read_whatever_their_content_type() {
    let api = Api::new();
    for content_type in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "nonsense",
        "",
    ] {
        let mut request = request("POST", PRINTERS, printer().to_string());
        request
            .headers_mut()
            .insert("content-type", content_type.parse().unwrap());
        api.send(request).await.expect(201);
    }
}

#[tokio::test]
async fn bodies_that_are_no_json_are_malformed() {
    let api = farm().await;
    let paths = [PRINTERS, FILAMENTS, JOBS, "/api/v1/print_jobs/1/status"];
    for path in paths {
        for body in [
            "{",
            "{\"a\":}",
            "nonsense",
            "{\"a\":1}{",
            "{\"status\":NaN}",
        ] {
            let answer = api.post(path, body).await;
            let detail = answer.expect_problem(400, "malformed-body").to_owned();
            assert!(detail.contains("line 1 column"), "{detail}");
        }
        let answer = api
            .request("POST", path, vec![b'{', b'"', 0xff, b'"'])
            .await;
        answer.expect_problem(400, "malformed-body");
        for body in ["[]", "1", "null", "\"x\""] {
            let answer = api.post(path, body).await;
            answer.expect_problem(422, "invalid-fields");
            assert_eq!(answer.pointers(), [""]);
        }
        let nested = "[".repeat(100_000);
        api.post(path, nested)
            .await
            .expect_problem(400, "malformed-body");
    }
    for path in LISTS {
        api.post(path, "")
            .await
            .expect_problem(400, "malformed-body");
        let twice = r#"{"company": "a", "company": "b", "model": "c", "model": "c"}"#;
        let answer = api.post(path, twice).await;
        answer.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers()[..2], ["/company", "/model"]);
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_too_large() {
    let api = farm().await;
    let padding = (1 << 20) - printer().to_string().len();
    let fits = format!("{}{}", printer(), " ".repeat(padding));
    api.post(PRINTERS, &fits).await.expect(201);
    for path in [PRINTERS, FILAMENTS, JOBS, "/api/v1/print_jobs/1/status"] {
        api.post(path, format!("{fits} "))
            .await
            .expect_problem(413, "body-too-large");
    }
}

#[tokio::test]
async fn unknown_and_invalid_query_parameters_are_named() {
    let api = farm().await;
    for path in LISTS {
        for (query, name) in [
            ("colour=red", "`colour`"),
            ("Limit=1", "`Limit`"),
            ("consistency=strong", "`strong`"),
            ("consistency=eventual&consistency=eventual", "`consistency`"),
            ("limit=0", "`0`"),
            ("limit=1001", "`1001`"),
            ("limit=-1", "`-1`"),
            ("limit=1.0", "`1.0`"),
            ("limit=", "``"),
            ("limit=99999999999999999999999", "`99999999999999999999999`"),
            ("after=", "empty"),
        ] {
            let answer = api.get(&format!("{path}?{query}")).await;
            let detail = answer.expect_problem(400, "invalid-parameter").to_owned();
            assert!(detail.contains(name), "{query}: {detail}");
        }
        let answer = api.get(&format!("{path}/1?limit=1")).await;
        answer.expect_problem(400, "invalid-parameter");
        let answer = api
            .post(&format!("{path}?consistency=eventual"), printer())
            .await;
        answer.expect_problem(400, "invalid-parameter");
    }
    for query in ["status=paused", "status="] {
        let answer = api.get(&format!("{JOBS}?{query}")).await;
        answer.expect_problem(400, "unknown-status");
    }
    for query in ["printer_id=", "filament_id="] {
        let answer = api.get(&format!("{JOBS}?{query}")).await;
        answer.expect_problem(400, "invalid-parameter");
    }
    let long = utf8_percent_encode(&"é".repeat(65), NON_ALPHANUMERIC).to_string();
    let answer = api.get(&format!("{JOBS}?printer_id={long}")).await;
    answer.expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn the_router_refuses_with_problems_too() {
    let api = farm().await;
    let nowhere = [
        "/api",
        "/api/v1/",
        "/api/v1/printers/",
        "/api/v1/print_jobs/1/status/x",
        "//",
    ];
    for path in nowhere {
        api.get(path).await.expect_problem(404, "no-such-endpoint");
    }
    for (method, path, allow) in [
        ("PUT", PRINTERS, "GET,HEAD,POST"),
        ("PUT", "/api/v1/printers/1", "GET,HEAD,PATCH,DELETE"),
        ("POST", "/api/v1/print_jobs/1", "GET,HEAD"),
        ("GET", "/api/v1/print_jobs/1/status", "POST"),
        ("POST", "/api/v1/cluster", "GET,HEAD"),
        ("PUT", "/api/v1/cluster/snapshots", "GET,HEAD,POST"),
        ("POST", "/healthz", "GET,HEAD"),
        ("OPTIONS", "/readyz", "GET,HEAD"),
        ("BREW", "/", "GET,HEAD"),
    ] {
        let answer = api.request(method, path, "").await;
        assert!(
            answer
                .expect_problem(405, "method-not-allowed")
                .contains(method)
        );
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let api = farm().await;
    for path in [
        "/",
        PRINTERS,
        "/api/v1/filaments/1",
        "/api/v1/cluster",
        "/healthz",
        "/readyz",
    ] {
        let got = api.get(path).await.expect(200);
        let head = api.request("HEAD", path, Body::empty()).await.expect(200);
        assert_eq!(head.header("content-type"), got.header("content-type"));
    }
    api.request("HEAD", "/api/v1/printers/9", Body::empty())
        .await
        .expect(404);
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let api = Api::new();
    let long = "x".repeat(128);
    for given in ["abc-123", "!~", &long] {
        let mut request = request("GET", "/healthz", "");
        request
            .headers_mut()
            .insert("x-request-id", given.parse().unwrap());
        assert_eq!(api.send(request).await.header("x-request-id"), Some(given));
    }
    let mut made = Vec::new();
    for given in ["", "a b", "é", &"x".repeat(129)] {
        let mut request = request("GET", "/nowhere", "");
        request
            .headers_mut()
            .insert("x-request-id", given.parse().unwrap());
        made.push(
            api.send(request)
                .await
                .header("x-request-id")
                .unwrap()
                .to_owned(),
        );
    }
    made.push(
        api.get("/healthz")
            .await
            .header("x-request-id")
            .unwrap()
            .to_owned(),
    );
    let count = made.len();
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), count, "{made:?}");
}

#[tokio::test]
async fn the_cluster_is_shown_as_this_node_sees_it() {
    let api = Api::new();
    let shown = api.get("/api/v1/cluster").await.expect(200);
    assert_eq!(shown.index(), 29);
    let status = &shown.json;
    let expected = [
        ("node_id", json!(NODE_ID)),
        ("cluster_id", json!("01".repeat(16))),
        ("directory_id", json!("02".repeat(16))),
        ("raft_addr", json!("127.0.0.1:9083")),
        ("stage", json!("member")),
        ("role", json!("follower")),
        ("leader", json!(1)),
        ("term", json!(4)),
        ("last_log_index", json!(31)),
        ("committed_index", json!(30)),
        ("applied_index", json!(29)),
        ("snapshot_index", json!(20)),
        ("log_start_index", json!(11)),
        ("command_version", json!(NEWEST_VERSION)),
    ];
    for (name, value) in &expected {
        assert_eq!(status[name], *value, "{name}");
    }
    assert_eq!(status.as_object().unwrap().len(), expected.len() + 1);
    assert_eq!(status["members"].as_array().unwrap().len(), 3);
    assert_eq!(status["members"][0]["raft_addr"], "127.0.0.1:9081");

    api.fake.set_status(|status| status.leader = None);
    assert_eq!(
        api.get("/api/v1/cluster").await.expect(200).json["leader"],
        Value::Null
    );
    api.get("/api/v1/cluster?x=1")
        .await
        .expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn a_snapshot_is_started_or_not() {
    let api = Api::new();
    let path = "/api/v1/cluster/snapshots";
    api.post(path, "").await.expect_problem(409, "no-snapshot");
    api.fake.set_snapshot(17);
    let started = api.post(path, "").await.expect(202);
    assert_eq!(started.json, json!({"index": 17}));
    assert_eq!(started.index(), 17);
}

#[tokio::test]
async fn health_is_up_always_and_ready_when_caught_up_with_a_leader() {
    let api = Api::new();
    api.fake.set_mode(Mode::Hang);
    api.get("/healthz").await.expect(200);
    api.fake.set_status(|status| {
        status.applied_index = 5;
        status.committed_index = 5 + CAUGHT_UP_GAP;
    });
    api.get("/readyz").await.expect(200);
    api.fake.set_status(|status| status.committed_index += 1);
    let answer = api.get("/readyz").await;
    assert!(
        answer
            .expect_problem(503, "not-ready")
            .contains("lags 1001 entries")
    );
    api.fake.set_status(|status| status.leader = None);
    let answer = api.get("/readyz").await;
    assert!(
        answer
            .expect_problem(503, "not-ready")
            .contains("no leader")
    );
    for (stage, told) in [
        (Stage::Joining, "waits to be taken into a cluster"),
        (Stage::Removed, "was removed from its cluster"),
    ] {
        api.fake.set_status(|status| status.stage = stage);
        let answer = api.get("/readyz").await;
        let detail = answer.expect_problem(503, "not-ready");
        assert!(detail.contains(told), "{detail}");
    }
    api.get("/healthz").await.expect(200);
}

#[tokio::test]
async fn without_a_quorum_writes_fail_and_eventual_reads_go_on() {
    let api = Api::new();
    api.post(PRINTERS, printer()).await.expect(201);
    api.fake.set_mode(Mode::NotAccepted);
    let impatient = api.impatient();
    let answer = impatient.post(PRINTERS, printer()).await;
    assert!(
        answer
            .expect_problem(503, "no-quorum")
            .contains("nothing was written")
    );
    let answer = impatient
        .post("/api/v1/print_jobs/1/status?status=running", "")
        .await;
    answer.expect_problem(503, "no-quorum");
    for path in LISTS.into_iter().chain(["/api/v1/printers/1"]) {
        let answer = impatient.get(path).await;
        assert!(
            answer
                .expect_problem(503, "no-quorum")
                .contains("?consistency=eventual")
        );
        assert_eq!(answer.index(), 1, "the node's own index");
        api.get(&format!("{path}?consistency=eventual"))
            .await
            .expect(200);
    }
    api.get("/api/v1/cluster").await.expect(200);
    api.fake.set_mode(Mode::Commit);
    api.post(PRINTERS, printer()).await.expect(201);
    assert_eq!(api.get(PRINTERS).await.expect(200).ids(), [1, 2]);
}

#[tokio::test]
async fn an_unknown_outcome_says_so_and_how_to_repeat_it() {
    let api = Api::new();
    let impatient = api.impatient();
    for mode in [Mode::UnknownAndLost, Mode::Hang] {
        api.fake.set_mode(mode);
        for key in [None, Some("k")] {
            let answer = match key {
                None => impatient.post(PRINTERS, printer()).await,
                Some(key) => impatient.post_with_key(PRINTERS, key, printer()).await,
            };
            let detail = answer.expect_problem(503, "outcome-unknown");
            assert!(detail.contains("may have been applied"), "{detail}");
            assert!(detail.contains("same Idempotency-Key"), "{detail}");
        }
    }
    api.fake.set_mode(Mode::Commit);
    api.post_with_key(PRINTERS, "k", printer())
        .await
        .expect(201);
    assert_eq!(api.get(PRINTERS).await.expect(200).ids(), [1]);
}

#[tokio::test]
async fn a_node_that_is_overloaded_behind_or_stopping_says_so() {
    let api = Api::with_limits(Limits {
        in_flight_max: 1,
        ..Limits::default()
    });
    api.fake.hold_answers();
    let busy = api.clone();
    let first = tokio::spawn(async move { busy.post(PRINTERS, printer()).await });
    api.fake.wait_for_proposals(1).await;
    api.post(PRINTERS, printer())
        .await
        .expect_problem(503, "overloaded");
    api.fake.release_answers(10);
    first.await.unwrap().expect(201);

    api.fake.set_mode(Mode::ShuttingDown);
    api.post(PRINTERS, printer())
        .await
        .expect_problem(503, "shutting-down");
    api.get(PRINTERS).await.expect_problem(503, "shutting-down");

    let api = Api::new();
    api.fake.lag();
    api.impatient()
        .get(PRINTERS)
        .await
        .expect_problem(503, "not-ready");
}

#[tokio::test]
async fn a_node_that_has_failed_says_why_and_serves_eventual_reads() {
    let api = Api::new();
    api.post(PRINTERS, printer()).await.expect(201);
    api.fake.set_mode(Mode::NodeFailed);
    api.fake
        .set_status(|status| status.failure = Some(FAILURE.into()));
    for answer in [
        api.get("/readyz").await,
        api.post(PRINTERS, printer()).await,
        api.get(PRINTERS).await,
    ] {
        assert!(answer.header("retry-after").is_some());
        let detail = answer.expect_problem(503, "node-failed");
        assert!(detail.contains(FAILURE), "{detail}");
    }
    api.get("/healthz").await.expect(200);
    let eventual = api.get("/api/v1/printers?consistency=eventual").await;
    assert_eq!(eventual.expect(200).ids(), [1]);
    let view = api.get("/api/v1/cluster").await.expect(200);
    assert_eq!(view.json["failure"], FAILURE);
}
