//! `Idempotency-Key`: the first answer again, or none.

use serde_json::json;

use crate::support::{Answer, Api, FILAMENTS, JOBS, Mode, PRINTERS, request};

/// Checks that `second` is the answer `first` again, and marked so.
#[track_caller]
fn assert_replayed(first: &Answer, second: &Answer) {
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.status, second.status);
    // All but the name of the request itself.
    let told = |answer: &Answer| {
        let mut json = answer.json.clone();
        json.as_object_mut().unwrap().remove("request_id");
        json
    };
    assert_eq!(told(first), told(second));
    for name in ["location", "etag", "x-raft3d-index", "content-type"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
}

async fn farm() -> Api {
    let api = Api::new();
    api.post(PRINTERS, r#"{"company": "a", "model": "b"}"#)
        .await
        .expect(201);
    let body = r#"{"type": "PLA", "color": "red", "total_weight_in_grams": 100}"#;
    api.post(FILAMENTS, body).await.expect(201);
    api
}

fn job(grams: u64) -> serde_json::Value {
    json!({"printer_id": 1, "filament_id": 1, "filepath": "a", "print_weight_in_grams": grams})
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_again() {
    let api = farm().await;
    let first = api.post_with_key(JOBS, "k", job(60)).await.expect(201);
    // Other requests in between change the farm, not the answer.
    api.post("/api/v1/print_jobs/1/status?status=running", "")
        .await
        .expect(200);
    let second = api.post_with_key(JOBS, "k", job(60)).await;
    assert_replayed(&first, &second);
    assert_eq!(api.get(JOBS).await.expect(200).ids(), [1]);
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let api = farm().await;
    let first = api.post_with_key(JOBS, "k", job(101)).await;
    first.expect_problem(422, "not-enough-filament");
    let second = api.post_with_key(JOBS, "k", job(101)).await;
    assert_replayed(&first, &second);
}

#[tokio::test]
async fn a_transition_is_repeated_safely_however_it_is_written() {
    let api = farm().await;
    api.post(JOBS, job(60)).await.expect(201);
    let path = "/api/v1/print_jobs/1/status";
    let first = api
        .post_with_key(&format!("{path}?status=running"), "k", "")
        .await
        .expect(200);
    let second = api
        .post_with_key(path, "k", r#"{"status": "RUNNING"}"#)
        .await;
    assert_replayed(&first, &second);
    // The job is at its place: without the key the repetition is refused.
    let third = api.post(&format!("{path}?status=running"), "").await;
    third.expect_problem(409, "forbidden-transition");
}

#[tokio::test]
async fn layout_and_order_of_the_body_and_quotes_of_the_key_do_not_matter() {
    let api = Api::new();
    let body = r#"{"company":"a","model":"b"}"#;
    let first = api.post_with_key(PRINTERS, "k", body).await.expect(201);
    let second = api
        .post_with_key(
            PRINTERS,
            "\"k\"",
            "{ \"model\": \"\\u0062\",\n \"company\": \"a\" }",
        )
        .await;
    assert_replayed(&first, &second);
}

#[tokio::test]
async fn another_request_with_the_key_is_refused() {
    let api = farm().await;
    api.post(JOBS, job(10)).await.expect(201);
    api.post(JOBS, job(10)).await.expect(201);
    let path = "/api/v1/print_jobs/1/status?status=running";
    api.post_with_key(path, "k", "").await.expect(200);
    let others = [
        (path.replace("running", "canceled"), String::new()),
        (path.replace("/1/", "/2/"), String::new()),
        (JOBS.to_owned(), job(10).to_string()),
        (
            PRINTERS.to_owned(),
            r#"{"company": "a", "model": "b"}"#.to_owned(),
        ),
    ];
    for (path, body) in others {
        let answer = api.post_with_key(&path, "k", body).await;
        let detail = answer.expect_problem(422, "idempotency-key-reused");
        assert!(detail.contains("\"k\""), "{detail}");
        assert_eq!(answer.header("idempotency-replayed"), None);
    }
    // The same body elsewhere is another request.
    let body = r#"{"company": "a", "model": "b"}"#;
    api.post_with_key(PRINTERS, "p", body).await.expect(201);
    let answer = api
        .post_with_key(PRINTERS, "p", r#"{"company": "a", "model": "c"}"#)
        .await;
    answer.expect_problem(422, "idempotency-key-reused");
}

#[tokio::test]
async fn a_request_that_never_reached_the_log_leaves_the_key_free() {
    let api = Api::new();
    let answer = api
        .post_with_key(PRINTERS, "k", r#"{"company": "a"}"#)
        .await;
    answer.expect_problem(422, "invalid-fields");
    api.fake.set_mode(Mode::NotAccepted);
    let body = r#"{"company": "a", "model": "b"}"#;
    let answer = api.impatient().post_with_key(PRINTERS, "k", body).await;
    answer.expect_problem(503, "no-quorum");
    api.fake.set_mode(Mode::Commit);
    api.post_with_key(PRINTERS, "k", body).await.expect(201);
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done_once() {
    let api = Api::new();
    api.fake.set_next_modes(&[Mode::UnknownYetCommitted]);
    let body = r#"{"company": "a", "model": "b"}"#;
    let answer = api.post_with_key(PRINTERS, "k", body).await.expect(201);
    assert_eq!(answer.json["id"], 1);
    assert_eq!(api.get(PRINTERS).await.expect(200).ids(), [1]);
}

#[tokio::test]
async fn keys_that_cannot_be_are_refused() {
    let api = Api::new();
    let body = r#"{"company": "a", "model": "b"}"#;
    let long = "k".repeat(256);
    for key in ["", "\"", "\"\"", "a b", "\"a", "é", &long] {
        let answer = api.post_with_key(PRINTERS, key, body).await;
        answer.expect_problem(400, "invalid-header");
        let path = "/api/v1/print_jobs/1/status?status=done";
        api.post_with_key(path, key, "")
            .await
            .expect_problem(400, "invalid-header");
    }
    let mut twice = request("POST", PRINTERS, body);
    twice
        .headers_mut()
        .append("idempotency-key", "a".parse().unwrap());
    twice
        .headers_mut()
        .append("idempotency-key", "b".parse().unwrap());
    api.send(twice).await.expect_problem(400, "invalid-header");
    assert_eq!(api.fake.proposal_count(), 0);
    api.post_with_key(PRINTERS, &"k".repeat(255), body)
        .await
        .expect(201);
}
