//! Every rule and status code of the API, through the leader and through both followers.

mod cluster_support;

use cluster_support::{FILAMENTS, JOBS, PRINTERS, Reply, TestCluster, wait_until};
use serde_json::{Value, json};

/// The greatest weight, 2^53 - 1.
const MOST_GRAMS: u64 = 9_007_199_254_740_991;

/// Runs a scenario against a fresh cluster, through each node in turn.
async fn through_every_node(scenario: impl AsyncFn(&TestCluster, i32)) {
    let mut cluster = TestCluster::start().await;
    let leader = cluster.leader().await.node_id;
    let mut ids = vec![leader];
    ids.extend(cluster.others(leader));
    for id in ids {
        println!("through node {id}, the leader is {leader}");
        scenario(&cluster, id).await;
    }
    cluster.same_everywhere().await;
}

fn printer() -> Value {
    json!({"company": "Creality", "model": "Ender 3"})
}

fn filament(grams: u64) -> Value {
    json!({"type": "petg", "color": "black", "total_weight_in_grams": grams})
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    body.as_object_mut().unwrap().remove(field);
    body
}

/// What every answer carries.
#[track_caller]
fn assert_index(reply: &Reply) {
    assert!(
        reply.header("x-raft3d-index").parse::<u64>().is_ok(),
        "{reply:#?}"
    );
}

/// Posts a body that breaks a rule of one field.
async fn refuse_field(cluster: &TestCluster, id: i32, path: &str, body: &Value, pointer: &str) {
    let reply = cluster
        .post(id, path, body)
        .await
        .expect_problem(422, "invalid-fields");
    assert_index(&reply);
    let errors = reply.body["errors"].as_array().expect("errors");
    assert!(
        errors
            .iter()
            .any(|error| error["pointer"] == json!(pointer)),
        "{pointer}: {reply:#?}"
    );
}

async fn remaining(cluster: &TestCluster, id: i32, filament: &Value) -> Value {
    let path = format!("{FILAMENTS}/{}", filament["id"]);
    cluster.get(id, &path).await.expect(200).body["remaining_weight_in_grams"].clone()
}

#[tokio::test]
async fn printers_are_created_listed_and_shown() {
    through_every_node(async |cluster, id| {
        let reply = cluster.post(id, PRINTERS, &printer()).await.expect(201);
        assert_index(&reply);
        let created = reply.body.clone();
        assert_eq!(created["company"], "Creality");
        assert_eq!(created["model"], "Ender 3");
        assert!(created["id"].is_i64(), "{created}");
        let location = reply.header("location").to_owned();
        assert_eq!(location, format!("{PRINTERS}/{}", created["id"]));
        // Seen by all at once, without a question of consistency.
        for other in 1..=3 {
            let shown = cluster.get(other, &location).await.expect(200);
            assert_index(&shown);
            assert_eq!(shown.body, created);
            assert!(
                cluster
                    .list(other, PRINTERS, "linearizable")
                    .await
                    .contains(&created)
            );
        }
        cluster
            .get(id, &format!("{PRINTERS}/no-such"))
            .await
            .expect_problem(404, "not-found");
    })
    .await;
}

#[tokio::test]
async fn fields_follow_their_rules() {
    through_every_node(async |cluster, id| {
        for field in ["company", "model"] {
            let pointer = format!("/{field}");
            for bad in [json!(""), json!(7), json!(null), json!(["x"])] {
                refuse_field(
                    cluster,
                    id,
                    PRINTERS,
                    &with(printer(), field, bad),
                    &pointer,
                )
                .await;
            }
            refuse_field(cluster, id, PRINTERS, &without(printer(), field), &pointer).await;
        }
        refuse_field(
            cluster,
            id,
            PRINTERS,
            &with(printer(), "colour", json!("x")),
            "/colour",
        )
        .await;

        for kind in ["PLA", "pla", "PeTg", "ABS", "tpu"] {
            let body = with(filament(10), "type", kind.into());
            let created = cluster.create(id, FILAMENTS, &body).await;
            assert_eq!(created["type"], json!(kind.to_uppercase()));
            assert_eq!(created["remaining_weight_in_grams"], json!(10));
        }
        for bad in [json!("NYLON"), json!(""), json!(1)] {
            refuse_field(
                cluster,
                id,
                FILAMENTS,
                &with(filament(10), "type", bad),
                "/type",
            )
            .await;
        }
        refuse_field(
            cluster,
            id,
            FILAMENTS,
            &with(filament(10), "color", json!("")),
            "/color",
        )
        .await;

        let total = "total_weight_in_grams";
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("10"),
            json!(MOST_GRAMS + 1),
            json!(1e300),
        ] {
            refuse_field(
                cluster,
                id,
                FILAMENTS,
                &with(filament(1), total, bad),
                &format!("/{total}"),
            )
            .await;
        }
        let most = cluster.create(id, FILAMENTS, &filament(MOST_GRAMS)).await;
        assert_eq!(most[total], json!(MOST_GRAMS));
        let remaining = "remaining_weight_in_grams";
        for bad in [json!(11), json!(-1), json!(0.5), json!("1")] {
            let body = with(filament(10), remaining, bad);
            refuse_field(cluster, id, FILAMENTS, &body, &format!("/{remaining}")).await;
        }
        for good in [0, 4, 10] {
            let body = with(filament(10), remaining, json!(good));
            assert_eq!(
                cluster.create(id, FILAMENTS, &body).await[remaining],
                json!(good)
            );
        }
        let template = cluster.job_template(id, 10).await;
        let weight = "print_weight_in_grams";
        for bad in [
            json!(0),
            json!(-1),
            json!(1.5),
            json!("1"),
            json!(MOST_GRAMS + 1),
        ] {
            let body = with(template.clone(), weight, bad);
            refuse_field(cluster, id, JOBS, &body, &format!("/{weight}")).await;
        }
        refuse_field(
            cluster,
            id,
            JOBS,
            &with(template, "filepath", json!("")),
            "/filepath",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn ids_are_numbers_or_texts_and_unique_by_their_text() {
    through_every_node(async |cluster, id| {
        let base = 1_000 * id;
        let text = base.to_string();
        let number = with(printer(), "id", json!(base));
        let created = cluster.create(id, PRINTERS, &number).await;
        assert_eq!(created["id"], json!(base));
        for taken in [json!(base), json!(text)] {
            let reply = cluster
                .post(id, PRINTERS, &with(printer(), "id", taken))
                .await;
            reply.expect_problem(409, "id-taken");
        }
        let names = [
            format!("lab {id}/left?#%&+"),
            format!("größe-{id}-😀"),
            format!("{id}{}", "x".repeat(127)),
            format!("0{base}"),
            format!("\"{id}\""),
        ];
        for name in names {
            let reply = cluster
                .post(id, PRINTERS, &with(printer(), "id", json!(name)))
                .await;
            let reply = reply.expect(201);
            assert_eq!(reply.body["id"], json!(name));
            for other in 1..=3 {
                let shown = cluster
                    .get(other, reply.header("location"))
                    .await
                    .expect(200);
                assert_eq!(shown.body, reply.body);
            }
        }
        for bad in [
            json!(""),
            json!("x".repeat(129)),
            json!(1.5),
            json!(true),
            json!({}),
        ] {
            refuse_field(cluster, id, PRINTERS, &with(printer(), "id", bad), "/id").await;
        }
        // The same id may be a printer's, a filament's and a job's.
        cluster
            .create(id, FILAMENTS, &with(filament(10), "id", json!(text)))
            .await;
        let job = json!({
            "id": base, "printer_id": text, "filament_id": base,
            "filepath": "a.gcode", "print_weight_in_grams": 1,
        });
        cluster.create(id, JOBS, &job).await;
    })
    .await;
}

#[tokio::test]
async fn jobs_reserve_spend_and_release_their_grams() {
    through_every_node(async |cluster, id| {
        let template = cluster.job_template(id, 100).await;
        let spool = json!({"id": template["filament_id"]});
        let job = |grams: u64| with(template.clone(), "print_weight_in_grams", json!(grams));
        let change = async |job: &Value, status: &str| {
            let path = format!("{JOBS}/{}/status?status={status}", job["id"]);
            cluster.post_bytes(id, &path, "").await
        };
        let refuse = async |grams: u64, available: u64| {
            let reply = cluster.post(id, JOBS, &job(grams)).await;
            let reply = reply.expect_problem(422, "not-enough-filament");
            let detail = reply.body["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("{available} g")), "{detail}");
        };

        let first = cluster.create(id, JOBS, &job(60)).await;
        assert_eq!(first["status"], "Queued");
        refuse(41, 40).await;
        let second = cluster.create(id, JOBS, &job(40)).await;
        refuse(1, 0).await;
        assert_eq!(
            remaining(cluster, id, &spool).await,
            json!(100),
            "queued jobs spend nothing"
        );

        assert_eq!(
            change(&first, "running").await.expect(200).body["status"],
            "Running"
        );
        refuse(1, 0).await;
        assert_eq!(
            change(&first, "done").await.expect(200).body["status"],
            "Done"
        );
        assert_eq!(remaining(cluster, id, &spool).await, json!(40));
        refuse(1, 0).await;
        assert_eq!(
            change(&second, "canceled").await.expect(200).body["status"],
            "Canceled"
        );
        assert_eq!(
            remaining(cluster, id, &spool).await,
            json!(40),
            "a canceled job spends nothing"
        );
        let third = cluster.create(id, JOBS, &job(40)).await;
        change(&third, "running").await.expect(200);
        change(&third, "canceled").await.expect(200);
        assert_eq!(remaining(cluster, id, &spool).await, json!(40));
        refuse(41, 40).await;

        let unknown = with(job(1), "printer_id", json!("nobody"));
        let reply = cluster
            .post(id, JOBS, &unknown)
            .await
            .expect_problem(422, "unknown-printer");
        assert!(
            reply.body["detail"].as_str().unwrap().contains("nobody"),
            "{reply:#?}"
        );
        let unknown = with(job(1), "filament_id", json!("nothing"));
        let reply = cluster
            .post(id, JOBS, &unknown)
            .await
            .expect_problem(422, "unknown-filament");
        assert!(
            reply.body["detail"].as_str().unwrap().contains("nothing"),
            "{reply:#?}"
        );
        // The status is not the client's to set.
        for status in ["Running", "Done", "Canceled"] {
            refuse_field(
                cluster,
                id,
                JOBS,
                &with(job(1), "status", json!(status)),
                "/status",
            )
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn transitions_follow_the_table_and_a_forbidden_one_changes_nothing() {
    const NAMES: [&str; 4] = ["Queued", "Running", "Done", "Canceled"];
    through_every_node(async |cluster, id| {
        let template = cluster.job_template(id, 1_000).await;
        let ways: [&[&str]; 4] = [&[], &["Running"], &["Running", "Done"], &["Canceled"]];
        for (from, way) in NAMES.into_iter().zip(ways) {
            for to in NAMES {
                let job = cluster.create(id, JOBS, &template).await;
                let path = format!("{JOBS}/{}", job["id"]);
                let change = async |to: &str| {
                    cluster
                        .post_bytes(id, &format!("{path}/status?status={to}"), "")
                        .await
                };
                for step in way {
                    change(step).await.expect(200);
                }
                let before = cluster.get(id, &path).await.expect(200).body;
                let spool = json!({"id": template["filament_id"]});
                let grams = remaining(cluster, id, &spool).await;
                let allowed = [("Queued", "Running"), ("Queued", "Canceled")].contains(&(from, to))
                    || [("Running", "Done"), ("Running", "Canceled")].contains(&(from, to));
                let reply = change(to).await;
                if allowed {
                    assert_eq!(reply.expect(200).body["status"], to, "from {from}");
                    continue;
                }
                let reply = reply.expect_problem(409, "forbidden-transition");
                let detail = reply.body["detail"].as_str().unwrap();
                assert!(detail.contains(from) && detail.contains(to), "{detail}");
                assert_eq!(cluster.get(id, &path).await.body, before);
                assert_eq!(remaining(cluster, id, &spool).await, grams);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_status_may_be_written_in_many_ways() {
    through_every_node(async |cluster, id| {
        let template = cluster.job_template(id, 1_000).await;
        let status_path = async || {
            let job = cluster.create(id, JOBS, &template).await;
            format!("{JOBS}/{}/status", job["id"])
        };
        for (query, status) in [
            ("running", "Running"),
            ("RUNNING", "Running"),
            ("%22running%22", "Running"),
            ("Cancelled", "Canceled"),
            ("canceled", "Canceled"),
        ] {
            let path = format!("{}?status={query}", status_path().await);
            assert_eq!(
                cluster.post_bytes(id, &path, "").await.expect(200).body["status"],
                status
            );
        }
        for body in [r#"{"status": "running"}"#, r#"{"status":"Running"}"#] {
            let reply = cluster
                .post_bytes(id, &status_path().await, body)
                .await
                .expect(200);
            assert_eq!(reply.body["status"], "Running");
        }
        // As people type it, with quotes that no URL may have.
        let target = format!("{}?status=\"running\"", status_path().await);
        let line = format!("POST {target} HTTP/1.1");
        let answer = wait_until("a leader takes the write", async || {
            let answer = raw_request(&cluster.spec(id).http_addr, &line);
            Some(answer).filter(|answer| !answer.starts_with("HTTP/1.1 503"))
        })
        .await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");

        for query in ["?status=paused", "?status=", ""] {
            let path = format!("{}{query}", status_path().await);
            let reply = cluster.post_bytes(id, &path, "").await;
            reply.expect_problem(400, "unknown-status");
        }
        let path = format!("{JOBS}/no-such-job/status?status=running");
        cluster
            .post_bytes(id, &path, "")
            .await
            .expect_problem(404, "not-found");
    })
    .await;
}

/// Sends a request line as it is and gives all of the answer.
fn raw_request(addr: &str, line: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    let head = format!("{line}\r\nHost: {addr}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[tokio::test]
async fn jobs_are_filtered_and_lists_are_paged() {
    through_every_node(async |cluster, id| {
        let template = cluster.job_template(id, 1_000).await;
        let other = cluster.job_template(id, 1_000).await;
        let mut ours = Vec::new();
        for _ in 0..5 {
            ours.push(cluster.create(id, JOBS, &template).await);
        }
        cluster.create(id, JOBS, &other).await;
        let running = format!("{JOBS}/{}/status?status=running", ours[1]["id"]);
        ours[1] = cluster.post_bytes(id, &running, "").await.expect(200).body;

        let list = async |query: &str| {
            let path = format!("{JOBS}?{query}");
            cluster
                .get(id, &path)
                .await
                .expect(200)
                .body
                .as_array()
                .unwrap()
                .clone()
        };
        let by_filament = format!("filament_id={}", template["filament_id"]);
        assert_eq!(list(&by_filament).await, ours);
        assert_eq!(
            list(&format!("printer_id={}", template["printer_id"])).await,
            ours
        );
        assert_eq!(
            list(&format!("{by_filament}&status=running")).await,
            [ours[1].clone()]
        );
        assert_eq!(
            list(&format!("{by_filament}&status=RUNNING")).await.len(),
            1
        );
        assert_eq!(list(&format!("{by_filament}&status=done")).await.len(), 0);
        let reply = cluster.get(id, &format!("{JOBS}?status=paused")).await;
        reply.expect_problem(400, "unknown-status");

        let mut next = format!("{JOBS}?{by_filament}&limit=2");
        let mut pages = Vec::new();
        while !next.is_empty() {
            let reply = cluster.get(id, &next).await.expect(200);
            let page = reply.body.as_array().unwrap().clone();
            assert!(page.len() <= 2 && pages.len() < 4, "{reply:#?}");
            pages.push(page);
            next = next_link(reply.header("link"));
        }
        assert_eq!(pages.concat(), ours);
    })
    .await;
}

/// The path of a `Link: <path>; rel="next"` header, or nothing.
fn next_link(header: &str) -> String {
    let Some((path, rest)) = header
        .strip_prefix('<')
        .and_then(|rest| rest.split_once('>'))
    else {
        return String::new();
    };
    assert!(rest.contains("rel=\"next\""), "{header}");
    path.to_owned()
}

#[tokio::test]
async fn bodies_and_paths_that_make_no_sense_are_refused() {
    through_every_node(async |cluster, id| {
        for path in [PRINTERS, FILAMENTS, JOBS] {
            for body in ["", "{", "company=Prusa", "\u{0}", "{\"company\": }"] {
                let reply = cluster.post_bytes(id, path, body).await;
                let reply = reply.expect_problem(400, "malformed-body");
                assert_index(&reply);
            }
            cluster
                .post_bytes(id, path, vec![0xff; 10])
                .await
                .expect_problem(400, "malformed-body");
            let long = format!("{{\"company\": \"{}\"}}", "x".repeat(1 << 20));
            cluster
                .post_bytes(id, path, long)
                .await
                .expect_problem(413, "body-too-large");
            let delete = cluster
                .send_once(id, |http, url| http.delete(url + path))
                .await;
            delete.expect_problem(405, "method-not-allowed");
        }
        cluster
            .get(id, "/api/v1/nothing")
            .await
            .expect_problem(404, "no-such-endpoint");
        let reply = cluster
            .get(id, &format!("{PRINTERS}?consistency=weak"))
            .await;
        reply.expect_problem(400, "invalid-parameter");
        let reply = cluster.get(id, &format!("{PRINTERS}?limit=none")).await;
        reply.expect_problem(400, "invalid-parameter");

        // Whatever its content type says, and without a key.
        for content_type in [
            "application/json",
            "text/plain",
            "application/x-www-form-urlencoded",
        ] {
            let body = printer().to_string();
            let taken = wait_until("a leader takes the write", async || {
                let build = |http: &reqwest::Client, url: String| {
                    http.post(url + PRINTERS)
                        .header("Content-Type", content_type)
                        .body(body.clone())
                };
                Some(cluster.send_once(id, build).await).filter(|reply| reply.status != 503)
            });
            taken.await.expect(201);
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_gives_the_first_answer_again_through_any_node() {
    through_every_node(async |cluster, id| {
        let key = format!("key-of-node-{id}");
        let first = cluster
            .post_with_key(id, PRINTERS, &printer(), &key)
            .await
            .expect(201);
        for other in 1..=3 {
            let again = cluster
                .post_with_key(other, PRINTERS, &printer(), &key)
                .await
                .expect(201);
            assert_eq!(again.body, first.body);
            assert_eq!(again.header("idempotency-replayed"), "true");
            let body = with(printer(), "model", json!("Ender 5"));
            let reply = cluster.post_with_key(other, PRINTERS, &body, &key).await;
            reply.expect_problem(422, "idempotency-key-reused");
        }
        // A refusal is an answer too.
        let refused_key = format!("refused-through-{id}");
        let template = cluster.job_template(id, 10).await;
        let heavy = with(template.clone(), "print_weight_in_grams", json!(11));
        for _ in 0..2 {
            let reply = cluster.post_with_key(id, JOBS, &heavy, &refused_key).await;
            reply.expect_problem(422, "not-enough-filament");
        }
        let job = cluster.create(id, JOBS, &template).await;
        let path = format!("{JOBS}/{}/status", job["id"]);
        let running = json!({"status": "running"});
        let key = format!("start-through-{id}");
        for other in 1..=3 {
            let reply = cluster
                .post_with_key(other, &path, &running, &key)
                .await
                .expect(200);
            assert_eq!(reply.body["status"], "Running");
        }
    })
    .await;
}

#[tokio::test]
async fn every_node_shows_its_own_view_of_the_cluster() {
    through_every_node(async |cluster, id| {
        // What a node acknowledged it has applied itself.
        cluster.create(id, PRINTERS, &printer()).await;
        let view = cluster.get(id, "/api/v1/cluster").await.expect(200).body;
        assert_eq!(view["node_id"], json!(id));
        let leads = view["leader"] == json!(id);
        assert_eq!(view["role"], if leads { "leader" } else { "follower" });
        assert_eq!(
            view["members"].as_array().map(Vec::len),
            Some(3),
            "{view:#}"
        );
        for index in [
            "term",
            "last_log_index",
            "committed_index",
            "applied_index",
            "log_start_index",
        ] {
            assert!(
                view[index].as_u64().is_some_and(|value| value > 0),
                "{index}: {view:#}"
            );
        }
        cluster.get(id, "/healthz").await.expect(200);
        cluster.get(id, "/readyz").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn reads_are_never_older_than_a_write_acknowledged_before() {
    let mut cluster = TestCluster::start().await;
    cluster.leader().await;
    let template = cluster.job_template(1, 10_000).await;
    for round in 0..60 {
        let (writer, reader) = (round % 3 + 1, (round / 3) % 3 + 1);
        let job = cluster.create(writer, JOBS, &template).await;
        let path = format!("{JOBS}/{}", job["id"]);
        let reply = cluster.get(reader, &path).await.expect(200);
        assert_eq!(
            reply.body, job,
            "written through node {writer}, read through node {reader}"
        );
    }
}
