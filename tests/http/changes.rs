//! Objects that are changed and deleted, and their versions: `ETag`, `If-Match`, `If-None-Match`.

use axum::body::Body;
use serde_json::{Value, json};

use crate::support::{Answer, Api, FILAMENTS, JOBS, PRINTERS, request};

/// A farm with printer 1, filament 1 of 1000 g and no job.
async fn farm() -> Api {
    let api = Api::new();
    let printer = json!({"company": "Creality", "model": "Ender 3"});
    api.post(PRINTERS, printer).await.expect(201);
    let filament = json!({"type": "PLA", "color": "red", "total_weight_in_grams": 1000});
    api.post(FILAMENTS, filament).await.expect(201);
    api
}

async fn job(api: &Api) -> Answer {
    let job =
        json!({"printer_id": 1, "filament_id": 1, "filepath": "a", "print_weight_in_grams": 300});
    api.post(JOBS, job).await.expect(201)
}

/// Sends a request with one more header.
async fn with(
    api: &Api,
    header: (&'static str, &str),
    method: &str,
    path: &str,
    body: &str,
) -> Answer {
    let mut request = request(method, path, Body::from(body.to_owned()));
    let (name, value) = header;
    request.headers_mut().insert(name, value.parse().unwrap());
    api.send(request).await
}

/// The version of the object at `path`, as `ETag` names it.
async fn tag_of(api: &Api, path: &str) -> String {
    let answer = api.get(path).await.expect(200);
    answer.header("etag").unwrap().to_owned()
}

async fn patch(api: &Api, path: &str, body: Value) -> Answer {
    api.request("PATCH", path, body.to_string()).await
}

const PRINTER: &str = "/api/v1/printers/1";
const FILAMENT: &str = "/api/v1/filaments/1";

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let api = farm().await;
    let changed = patch(&api, PRINTER, json!({"model": "K1"}))
        .await
        .expect(200);
    assert_eq!(changed.json["company"], "Creality");
    assert_eq!(changed.json["model"], "K1");
    assert_eq!(api.get(PRINTER).await.expect(200).json, changed.json);

    let change = json!({"type": "petg", "remaining_weight_in_grams": 900});
    let changed = patch(&api, FILAMENT, change).await.expect(200);
    assert_eq!(changed.json["type"], "PETG");
    assert_eq!(changed.json["available_weight_in_grams"], 900);
    assert_eq!(api.get(FILAMENT).await.expect(200).json, changed.json);
}

#[tokio::test]
async fn a_patch_is_refused_by_the_fields_to_blame() {
    let api = farm().await;
    for (path, body, pointer) in [
        (PRINTER, json!({"id": 2}), "/id"),
        (PRINTER, json!({"company": ""}), "/company"),
        (PRINTER, json!({"company": null}), "/company"),
        (PRINTER, json!({"color": "red"}), "/color"),
        (FILAMENT, json!({"type": "wood"}), "/type"),
        (
            FILAMENT,
            json!({"total_weight_in_grams": 0}),
            "/total_weight_in_grams",
        ),
        (
            FILAMENT,
            json!({"total_weight_in_grams": 1.5}),
            "/total_weight_in_grams",
        ),
        (
            FILAMENT,
            json!({"total_weight_in_grams": 999}),
            "/remaining_weight_in_grams",
        ),
        (
            FILAMENT,
            json!({"available_weight_in_grams": 1}),
            "/available_weight_in_grams",
        ),
    ] {
        let answer = patch(&api, path, body).await;
        answer.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), [pointer]);
    }
    let answer = api.request("PATCH", PRINTER, "nonsense").await;
    answer.expect_problem(400, "malformed-body");
    for path in ["/api/v1/printers/2", "/api/v1/filaments/%FF"] {
        patch(&api, path, json!({}))
            .await
            .expect_problem(404, "not-found");
        api.request("DELETE", path, "")
            .await
            .expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn what_unfinished_jobs_use_is_neither_changed_nor_deleted() {
    let api = farm().await;
    job(&api).await;
    for path in [PRINTER, FILAMENT] {
        for method in ["PATCH", "DELETE"] {
            let answer = api.request(method, path, "{}").await;
            let detail = answer.expect_problem(409, "in-use");
            assert!(detail.contains("print jobs 1;"), "{detail}");
        }
    }
    for status in ["running", "done"] {
        let path = format!("{JOBS}/1/status?status={status}");
        api.post(&path, "").await.expect(200);
    }
    for path in [PRINTER, FILAMENT] {
        let gone = api.request("DELETE", path, "").await.expect(200);
        assert_eq!(gone.json, json!({"deleted": 1}));
        api.get(path).await.expect_problem(404, "not-found");
    }
    assert_eq!(api.get(JOBS).await.expect(200).json[0]["printer_id"], 1);
}

#[tokio::test]
async fn writes_and_reads_give_the_same_tag() {
    let api = farm().await;
    let job = job(&api).await;
    let read = api.get("/api/v1/print_jobs/1").await.expect(200);
    assert_eq!(
        job.header("etag"),
        Some(format!("\"{}\"", job.index()).as_str())
    );
    assert_eq!(read.header("etag"), job.header("etag"));
    assert_eq!(read.json["modified_index"], job.index());
    // What is available of the filament has changed, and so has the filament.
    let filament = api.get(FILAMENT).await.expect(200);
    assert_eq!(filament.header("etag"), job.header("etag"));
}

#[tokio::test]
async fn who_has_an_object_is_not_sent_it_again() {
    let api = farm().await;
    let tag = tag_of(&api, PRINTER).await;
    for tags in [&tag, "*", &format!("W/{tag}"), &format!("\"0\", {tag}")] {
        let mut request = request("GET", PRINTER, "");
        let headers = request.headers_mut();
        headers.insert("if-none-match", tags.parse().unwrap());
        let response = tower::ServiceExt::oneshot(api.router.clone(), request)
            .await
            .unwrap();
        assert_eq!(response.status(), 304, "{tags}");
        assert_eq!(response.headers()["etag"], tag.as_str());
        assert!(response.headers().contains_key("x-raft3d-index"));
        let body = axum::body::to_bytes(response.into_body(), 1).await.unwrap();
        assert!(body.is_empty());
    }
    patch(&api, PRINTER, json!({"model": "K1"}))
        .await
        .expect(200);
    with(&api, ("if-none-match", &tag), "GET", PRINTER, "")
        .await
        .expect(200);
    with(&api, ("if-none-match", "nonsense"), "GET", PRINTER, "")
        .await
        .expect(200);
}

#[tokio::test]
async fn of_two_writers_that_saw_the_same_one_is_refused() {
    let api = farm().await;
    for path in [PRINTER, FILAMENT] {
        let tag = api
            .get(path)
            .await
            .expect(200)
            .header("etag")
            .unwrap()
            .to_owned();
        let body = match path {
            PRINTER => r#"{"model": "K1"}"#,
            _ => r#"{"color": "blue"}"#,
        };
        let first = with(&api, ("if-match", &tag), "PATCH", path, body)
            .await
            .expect(200);
        for method in ["PATCH", "DELETE"] {
            let late = with(&api, ("if-match", &tag), method, path, body).await;
            late.expect_problem(412, "precondition-failed");
        }
        let now = first.header("etag").unwrap();
        let tags = format!("\"0\", {now}");
        with(&api, ("if-match", &tags), "DELETE", path, "")
            .await
            .expect(200);
    }
    let api = farm().await;
    let tag = job(&api).await.header("etag").unwrap().to_owned();
    let run = "/api/v1/print_jobs/1/status?status=running";
    let end = "/api/v1/print_jobs/1/status?status=done";
    with(&api, ("if-match", &tag), "POST", run, "")
        .await
        .expect(200);
    for tags in [&tag, "nonsense", ""] {
        let late = with(&api, ("if-match", tags), "POST", end, "").await;
        late.expect_problem(412, "precondition-failed");
    }
    with(&api, ("if-match", "*"), "POST", end, "")
        .await
        .expect(200);
}

/// The state machine decides, not the door: a node that lags lets both through.
#[tokio::test]
async fn versions_are_compared_where_the_log_is_applied() {
    let api = farm().await;
    let tag = tag_of(&api, PRINTER).await;
    api.fake.lag();
    let impatient = api.impatient();
    let body = r#"{"model": "K1"}"#;
    with(&impatient, ("if-match", &tag), "PATCH", PRINTER, body)
        .await
        .expect(200);
    let seen = api
        .get(&format!("{PRINTER}?consistency=eventual"))
        .await
        .expect(200);
    assert_eq!(
        seen.header("etag"),
        Some(tag.as_str()),
        "this node has not applied it yet"
    );
    let late = with(&impatient, ("if-match", &tag), "PATCH", PRINTER, body).await;
    late.expect_problem(412, "precondition-failed");
}

#[tokio::test]
async fn changes_are_carried_out_once_for_each_key() {
    let api = farm().await;
    let key = ("idempotency-key", "k");
    let first = with(&api, key, "DELETE", PRINTER, "").await.expect(200);
    let again = with(&api, key, "DELETE", PRINTER, "").await.expect(200);
    assert_eq!(again.json, first.json);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = with(&api, key, "PATCH", FILAMENT, "{}").await;
    other.expect_problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_change_of_the_settings_that_is_repeated_says_so() {
    let api = farm().await;
    let put = || {
        let key = ("idempotency-key", "\"retention\"");
        let settings = r#"{"event_retention": 12}"#;
        with(&api, key, "PUT", "/api/v1/cluster/settings", settings)
    };
    let first = put().await.expect(200);
    assert_eq!(first.header("idempotency-replayed"), None);
    let again = put().await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!((&again.json, again.index()), (&first.json, first.index()));
}

#[tokio::test]
async fn a_patch_that_changes_nothing_gives_the_object_and_its_version() {
    let api = farm().await;
    job(&api).await;
    let cancel = "/api/v1/print_jobs/1/status?status=canceled";
    api.post(cancel, "").await.expect(200);
    for (path, body) in [
        (PRINTER, json!({})),
        (PRINTER, json!({"model": "Ender 3"})),
        (FILAMENT, json!({})),
        (
            FILAMENT,
            json!({"color": "red", "remaining_weight_in_grams": 1000}),
        ),
    ] {
        let before = api.get(path).await.expect(200);
        let answer = patch(&api, path, body).await.expect(200);
        assert_eq!(answer.json, before.json);
        assert_eq!(answer.header("etag"), before.header("etag"), "{path}");
        assert_eq!(tag_of(&api, path).await, answer.header("etag").unwrap());
    }
    let events = api.get("/api/v1/events").await.expect(200);
    let kinds = events.json.as_array().unwrap().iter().map(|e| &e["kind"]);
    let updated = kinds.filter(|kind| *kind == "printer.updated" || *kind == "filament.updated");
    assert_eq!(updated.count(), 0, "{}", events.text);
}
