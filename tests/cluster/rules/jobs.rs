//! Jobs: their grams, their statuses, and the lists of them.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{refuse_field, through_every_node, with};
use crate::cluster_support::{FILAMENTS, JOBS, TestCluster, wait_until};

async fn remaining(cluster: &TestCluster, id: i32, filament: &Value) -> Value {
    let path = format!("{FILAMENTS}/{}", filament["id"]);
    cluster.get(id, &path).await.expect(200).body["remaining_weight_in_grams"].clone()
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
    let mut stream = TcpStream::connect(addr).unwrap();
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
