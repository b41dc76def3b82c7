//! The farm's objects: how they are created and shown, what their fields may be, and their ids.

use serde_json::json;

use super::{assert_index, filament, printer, refuse_field, through_every_node, with, without};
use crate::cluster_support::{FILAMENTS, JOBS, PRINTERS};

/// The greatest weight, 2^53 - 1.
const MOST_GRAMS: u64 = 9_007_199_254_740_991;

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
