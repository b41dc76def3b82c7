//! Requests that make no sense, and those that are repeated.

use serde_json::json;

use super::{assert_index, printer, through_every_node, with};
use crate::cluster_support::{FILAMENTS, JOBS, PRINTERS, wait_until};

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
