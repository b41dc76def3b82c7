//! Lists: filtered, page by page without gap or repeat, and streamed whole.

use std::collections::BTreeSet;

use axum::body::Body;
use http_body_util::BodyExt;
use raft3d::domain::command::{NewPrinter, Op};
use raft3d::domain::id::Id;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Api, FILAMENTS, JOBS, PRINTERS, request};

fn add_printers(api: &Api, ids: impl IntoIterator<Item = Id>) {
    for id in ids {
        api.fake.commit_elsewhere(Op::CreatePrinter(NewPrinter {
            id: Some(id),
            company: "Prusa".into(),
            model: "MK4".into(),
        }));
    }
}

/// Ids that are awkward in a query, mixed with plain ones.
fn odd_ids() -> Vec<Id> {
    let texts = [
        "a&b=c", "a+b", "a b", "é", "日本/", "\"", ">;", "%41", "-3", "05", "~", "🖨", "\n",
    ];
    let texts = texts.into_iter().map(|text| Id::from_text(text).unwrap());
    texts
        .chain((0..40).map(|number| Id::from_integer(number * 7 - 20).unwrap()))
        .collect()
}

/// The path in `Link: <path>; rel="next"`.
fn next_path(answer: &crate::support::Answer) -> Option<String> {
    let link = answer.header("link")?;
    let path = link
        .strip_prefix('<')
        .unwrap()
        .strip_suffix(">; rel=\"next\"")
        .unwrap();
    Some(path.to_owned())
}

/// All objects, a page at a time from `path`; also checks the size of the pages.
async fn all_pages(api: &Api, path: &str, limit: usize) -> Vec<Value> {
    let mut objects = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next {
        let page = api.get(&path).await.expect(200);
        next = next_path(&page);
        let page = page.json.as_array().unwrap().clone();
        assert!(page.len() <= limit, "{path}: {}", page.len());
        assert!(
            next.is_none() || page.len() == limit,
            "{path}: a short page before the last"
        );
        objects.extend(page);
        assert!(objects.len() <= 10_000, "the pages do not end");
    }
    objects
}

#[tokio::test]
async fn pages_cover_the_list_without_gap_or_repeat() {
    let api = Api::new();
    let ids = odd_ids();
    add_printers(&api, ids.clone());
    let whole = api.get(PRINTERS).await.expect(200);
    assert_eq!(whole.header("link"), None);
    let mut in_order = ids.clone();
    in_order.sort();
    assert_eq!(
        whole.ids(),
        in_order.iter().map(|id| json!(id)).collect::<Vec<_>>()
    );
    for limit in [1, 2, 3, 7, ids.len() - 1, ids.len(), ids.len() + 1, 1000] {
        for consistency in ["linearizable", "eventual"] {
            let path = format!("{PRINTERS}?limit={limit}&consistency={consistency}");
            let pages = all_pages(&api, &path, limit).await;
            assert_eq!(json!(pages), whole.json, "limit {limit}");
        }
    }
}

#[tokio::test]
async fn pages_go_on_behind_any_id_even_one_that_is_gone() {
    let api = Api::new();
    add_printers(&api, [1, 2, 3, 5].map(|id| Id::from_integer(id).unwrap()));
    for (query, ids, more) in [
        ("after=2", vec![3, 5], false),
        ("after=4", vec![5], false),
        ("after=5", vec![], false),
        ("after=-100", vec![1, 2, 3, 5], false),
        ("after=zzz", vec![], false),
        ("limit=1&after=2", vec![3], true),
        ("limit=2&after=2", vec![3, 5], false),
        ("limit=1&after=5", vec![], false),
    ] {
        let page = api.get(&format!("{PRINTERS}?{query}")).await.expect(200);
        assert_eq!(page.json.as_array().unwrap().len(), ids.len(), "{query}");
        assert_eq!(
            page.ids(),
            ids.into_iter().map(Value::from).collect::<Vec<_>>(),
            "{query}"
        );
        assert_eq!(page.header("link").is_some(), more, "{query}");
    }
}

#[tokio::test]
async fn jobs_are_filtered_and_the_pages_keep_the_filter() {
    let api = Api::new();
    for id in ["p q", "p&"] {
        let body = json!({"id": id, "company": "a", "model": "b"});
        api.post(PRINTERS, body).await.expect(201);
    }
    for id in [1, 2] {
        let body = json!({"id": id, "type": "PLA", "color": "c", "total_weight_in_grams": 1000});
        api.post(FILAMENTS, body).await.expect(201);
    }
    for number in 0..40 {
        let body = json!({
            "printer_id": if number % 2 == 0 { "p q" } else { "p&" },
            "filament_id": if number % 3 == 0 { 1 } else { 2 },
            "filepath": "a.gcode",
            "print_weight_in_grams": 1,
        });
        let job = api.post(JOBS, body).await.expect(201);
        let steps: &[&str] =
            [&[][..], &["running"], &["running", "done"], &["canceled"]][number % 4];
        for step in steps {
            let path = format!("{}/status?status={step}", job.header("location").unwrap());
            api.post(&path, "").await.expect(200);
        }
    }
    let all = api.get(JOBS).await.expect(200);
    let all = all.json.as_array().unwrap();
    let filters = [
        ("status=queued", "status", json!("Queued")),
        ("status=RUNNING", "status", json!("Running")),
        ("status=%22done%22", "status", json!("Done")),
        ("status=cancelled", "status", json!("Canceled")),
        ("printer_id=p%20q", "printer_id", json!("p q")),
        ("printer_id=p+q", "printer_id", json!("p q")),
        ("printer_id=p%26", "printer_id", json!("p&")),
        ("filament_id=1", "filament_id", json!(1)),
        ("filament_id=2", "filament_id", json!(2)),
    ];
    for (one, one_name, one_value) in &filters {
        for (two, two_name, two_value) in &filters {
            let query = if one_name == two_name {
                one.to_string()
            } else {
                format!("{one}&{two}")
            };
            let expected: Vec<&Value> = all
                .iter()
                .filter(|job| job[one_name] == *one_value)
                .filter(|job| one_name == two_name || job[two_name] == *two_value)
                .collect();
            let whole = api.get(&format!("{JOBS}?{query}")).await.expect(200);
            assert_eq!(whole.json, json!(expected), "{query}");
            let pages = all_pages(&api, &format!("{JOBS}?{query}&limit=3"), 3).await;
            assert_eq!(json!(pages), json!(expected), "{query}");
        }
    }
    for query in [
        "printer_id=none",
        "filament_id=9",
        "status=done&printer_id=none",
    ] {
        let answer = api.get(&format!("{JOBS}?{query}")).await.expect(200);
        assert_eq!(answer.text, "[]", "{query}");
    }
}

#[tokio::test]
async fn empty_lists_are_empty_arrays() {
    let api = Api::new();
    for path in [PRINTERS, FILAMENTS, JOBS] {
        for query in ["", "?limit=5", "?after=x", "?consistency=eventual"] {
            assert_eq!(
                api.get(&format!("{path}{query}")).await.expect(200).text,
                "[]"
            );
        }
    }
}

/// A long list comes in many chunks of bounded size, is valid JSON, and stays as it was when the
/// request was answered while the farm goes on changing.
#[tokio::test]
async fn a_long_list_is_streamed_in_chunks_of_one_moment() {
    const COUNT: i64 = 20_000;
    let api = Api::new();
    add_printers(&api, (0..COUNT).map(|id| Id::from_integer(id).unwrap()));
    let request = request(
        "GET",
        &format!("{PRINTERS}?consistency=eventual"),
        Body::empty(),
    );
    let response = api.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["x-raft3d-index"], COUNT.to_string());
    let mut body = response.into_body();
    let mut text = Vec::new();
    let mut chunks = 0;
    while let Some(frame) = body.frame().await {
        let chunk = frame.unwrap().into_data().unwrap();
        assert!(chunk.len() <= 40 * 1024, "a chunk of {} bytes", chunk.len());
        text.extend_from_slice(&chunk);
        chunks += 1;
        add_printers(&api, [Id::from_integer(COUNT + chunks).unwrap()]);
    }
    assert!(chunks > 20, "{chunks} chunks");
    let list: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let ids: BTreeSet<i64> = list
        .iter()
        .map(|printer| printer["id"].as_i64().unwrap())
        .collect();
    assert_eq!(list.len(), COUNT as usize);
    assert_eq!(ids, (0..COUNT).collect());
}

#[tokio::test]
async fn objects_as_large_as_they_may_be_are_listed_whole() {
    let api = Api::new();
    let large = "é\"".repeat(200_000);
    for _ in 0..3 {
        api.post(PRINTERS, json!({"company": large, "model": "x"}))
            .await
            .expect(201);
    }
    let list = api.get(PRINTERS).await.expect(200);
    assert_eq!(list.ids(), [1, 2, 3]);
    assert_eq!(list.json[2]["company"], large);
}
