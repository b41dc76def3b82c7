//! The farm's objects over HTTP, by the rules: creation, ids, fields, grams, transitions.

use serde_json::{Value, json};

use crate::support::{Answer, Api, FILAMENTS, JOBS, LISTS, PRINTERS};

fn printer() -> Value {
    json!({"company": "Creality", "model": "Ender 3"})
}

fn filament(grams: u64) -> Value {
    json!({"type": "PLA", "color": "red", "total_weight_in_grams": grams})
}

fn job(grams: u64) -> Value {
    json!({"printer_id": 1, "filament_id": 1, "filepath": "a.gcode", "print_weight_in_grams": grams})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name);
    object
}

/// A farm with printer 1, filament 1 of 1000 g and job 1 of 300 g.
async fn farm() -> Api {
    let api = Api::new();
    api.post(PRINTERS, printer()).await.expect(201);
    api.post(FILAMENTS, filament(1000)).await.expect(201);
    api.post(JOBS, job(300)).await.expect(201);
    api
}

async fn set_status(api: &Api, id: u64, status: &str) -> Answer {
    api.post(&format!("{JOBS}/{id}/status?status={status}"), "")
        .await
}

#[tokio::test]
async fn objects_are_created_shown_and_listed() {
    let api = Api::new();
    let creations = [
        (PRINTERS, printer()),
        (FILAMENTS, filament(1000)),
        (JOBS, job(300)),
    ];
    for (path, body) in creations {
        let created = api.post(path, &body).await.expect(201);
        assert_eq!(created.index(), api.fake.local_state().applied_index());
        assert_eq!(
            created.header("location"),
            Some(format!("{path}/1").as_str())
        );
        assert_eq!(created.json["id"], 1);
        for (name, value) in body.as_object().unwrap() {
            assert_eq!(created.json[name], *value, "{path} {name}");
        }
        assert_eq!(created.header("idempotency-replayed"), None);
        let stamp = created.json["created_at"].as_str().unwrap();
        assert!(
            stamp.ends_with('Z') && stamp.parse::<jiff::Timestamp>().is_ok(),
            "{stamp}"
        );
        assert_eq!(created.json["updated_at"], stamp);

        let shown = api.get(&format!("{path}/1")).await.expect(200);
        assert_eq!(shown.json, created.json);
        let listed = api.get(path).await.expect(200);
        assert_eq!(listed.json, json!([created.json]));
        assert!(
            listed.index() > shown.index(),
            "each linearizable read has its own barrier"
        );
    }
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let api = farm().await;
    for list in LISTS {
        for id in [
            "2",
            "x",
            "%20",
            "%00",
            "%FF",
            "01",
            &"x".repeat(129),
            "%2E%2E",
        ] {
            let answer = api.get(&format!("{list}/{id}")).await;
            answer.expect_problem(404, "not-found");
        }
    }
    let detail = api.get("/api/v1/printers/x%2Fy").await;
    assert!(
        detail
            .expect_problem(404, "not-found")
            .contains("printer x/y")
    );
    for id in ["2", "x", "%FF", &"x".repeat(129)] {
        let answer = api
            .post(&format!("{JOBS}/{id}/status?status=running"), "")
            .await;
        answer.expect_problem(404, "not-found");
    }
}

#[tokio::test]
async fn any_id_of_128_bytes_makes_its_way_through_paths() {
    let api = Api::new();
    let printable: String = (1..0x80_u8).map(char::from).collect();
    let ids = [
        "a/b",
        "/",
        "//",
        ".",
        "..",
        "a b",
        "a+b",
        "%",
        "%2F",
        "%zz",
        "?",
        "#",
        "&",
        "=",
        "\"",
        "\\",
        "{id}",
        "{",
        "*",
        ":id",
        "é",
        "日本",
        "🖨",
        "\u{0}",
        "\n",
        "\u{7f}",
        "\u{feff}",
        "status",
        "-1",
        "007",
        printable.as_str(),
        &"é".repeat(64),
        &"x".repeat(128),
    ];
    for id in ids {
        let created = api
            .post(PRINTERS, with(printer(), "id", id.into()))
            .await
            .expect(201);
        assert_eq!(created.json["id"], id);
        let location = created.header("location").unwrap();
        assert_eq!(api.get(location).await.expect(200).json["id"], id);
        // A client may encode more than it has to.
        let all: String = id.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(
            api.get(&format!("{PRINTERS}/{all}")).await.expect(200).json["id"],
            id
        );
    }
    let listed = api.get(PRINTERS).await.expect(200);
    assert_eq!(listed.ids().len(), ids.len());

    for id in ["x".repeat(129), "é".repeat(65), String::new()] {
        let answer = api.post(PRINTERS, with(printer(), "id", id.into())).await;
        answer.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), ["/id"]);
    }
}

#[tokio::test]
async fn jobs_with_odd_ids_change_status_too() {
    let api = farm().await;
    for id in ["a/b", "status", "é?#%", ".."] {
        let created = api
            .post(JOBS, with(job(1), "id", id.into()))
            .await
            .expect(201);
        let path = format!(
            "{}/status?status=running",
            created.header("location").unwrap()
        );
        let changed = api.post(&path, "").await.expect(200);
        assert_eq!(
            (&changed.json["id"], &changed.json["status"]),
            (&json!(id), &json!("Running"))
        );
    }
}

#[tokio::test]
async fn an_id_keeps_its_type_and_is_taken_in_both() {
    let api = Api::new();
    for (list, body) in [(PRINTERS, printer()), (FILAMENTS, filament(9))] {
        let created = api
            .post(list, with(body.clone(), "id", "7".into()))
            .await
            .expect(201);
        assert_eq!(created.json["id"], "7");
        let taken = api.post(list, with(body.clone(), "id", 7.into())).await;
        taken.expect_problem(409, "id-taken");
        assert_eq!(taken.pointers(), ["/id"]);
        let number = api
            .post(list, with(body.clone(), "id", 8.into()))
            .await
            .expect(201);
        assert_eq!(number.json["id"], 8);
        assert_eq!(
            api.get(&format!("{list}/8")).await.expect(200).json["id"],
            8
        );
        let assigned = api.post(list, body).await.expect(201);
        assert!(assigned.json["id"].is_i64());
    }
    for id in [
        json!(1.5),
        json!(true),
        json!(null),
        json!([]),
        json!({}),
        json!(1_u64 << 53),
    ] {
        let answer = api.post(PRINTERS, with(printer(), "id", id)).await;
        answer.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), ["/id"]);
    }
}

#[tokio::test]
async fn each_broken_rule_is_named_by_its_field() {
    let api = farm().await;
    let full_job = || with(job(1), "id", "j".into());
    let cases = [
        (PRINTERS, without(printer(), "company"), "/company"),
        (PRINTERS, with(printer(), "company", "".into()), "/company"),
        (PRINTERS, with(printer(), "model", 5.into()), "/model"),
        (PRINTERS, with(printer(), "model", Value::Null), "/model"),
        (PRINTERS, with(printer(), "color", "red".into()), "/color"),
        (
            PRINTERS,
            with(printer(), "created_at", "now".into()),
            "/created_at",
        ),
        (PRINTERS, with(printer(), "a/b~", 1.into()), "/a~1b~0"),
        (FILAMENTS, without(filament(1), "type"), "/type"),
        (FILAMENTS, with(filament(1), "type", "wood".into()), "/type"),
        (FILAMENTS, with(filament(1), "type", 1.into()), "/type"),
        (FILAMENTS, without(filament(1), "color"), "/color"),
        (FILAMENTS, with(filament(1), "color", "".into()), "/color"),
        (
            FILAMENTS,
            without(filament(1), "total_weight_in_grams"),
            "/total_weight_in_grams",
        ),
        (FILAMENTS, filament(0), "/total_weight_in_grams"),
        (FILAMENTS, filament(1 << 53), "/total_weight_in_grams"),
        (
            FILAMENTS,
            with(filament(9), "remaining_weight_in_grams", 10.into()),
            "/remaining_weight_in_grams",
        ),
        (
            FILAMENTS,
            with(filament(9), "remaining_weight_in_grams", (-1).into()),
            "/remaining_weight_in_grams",
        ),
        (
            FILAMENTS,
            with(filament(9), "available_weight_in_grams", 9.into()),
            "/available_weight_in_grams",
        ),
        (JOBS, without(full_job(), "printer_id"), "/printer_id"),
        (JOBS, without(full_job(), "filament_id"), "/filament_id"),
        (
            JOBS,
            with(full_job(), "printer_id", 1.5.into()),
            "/printer_id",
        ),
        (
            JOBS,
            with(full_job(), "filament_id", "".into()),
            "/filament_id",
        ),
        (JOBS, without(full_job(), "filepath"), "/filepath"),
        (JOBS, with(full_job(), "filepath", "".into()), "/filepath"),
        (JOBS, job(0), "/print_weight_in_grams"),
        (
            JOBS,
            with(job(1), "print_weight_in_grams", 1.0.into()),
            "/print_weight_in_grams",
        ),
        (
            JOBS,
            with(job(1), "print_weight_in_grams", "1".into()),
            "/print_weight_in_grams",
        ),
        (JOBS, with(job(1), "status", "Running".into()), "/status"),
        (JOBS, with(job(1), "status", "done".into()), "/status"),
        (JOBS, with(job(1), "status", "nonsense".into()), "/status"),
        (JOBS, with(job(1), "status", Value::Null), "/status"),
        (
            JOBS,
            with(job(1), "updated_at", "now".into()),
            "/updated_at",
        ),
    ];
    let before = api.fake.local_state().applied_index();
    for (path, body, pointer) in cases {
        let answer = api.post(path, &body).await;
        answer.expect_problem(422, "invalid-fields");
        assert_eq!(answer.pointers(), [pointer], "{path} {body}");
    }
    assert_eq!(
        api.fake.local_state().applied_index(),
        before,
        "something reached the log"
    );
}

#[tokio::test]
async fn one_answer_names_all_fields_that_are_wrong() {
    let api = Api::new();
    let answer = api
        .post(
            FILAMENTS,
            r#"{"type": 1, "color": "", "remaining_weight_in_grams": 1.5, "x": 0}"#,
        )
        .await;
    answer.expect_problem(422, "invalid-fields");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/color",
            "/remaining_weight_in_grams",
            "/total_weight_in_grams",
            "/type",
            "/x"
        ]
    );
    let answer = api
        .post(JOBS, r#"{"filepath": "", "print_weight_in_grams": 0}"#)
        .await;
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/filament_id",
            "/filepath",
            "/print_weight_in_grams",
            "/printer_id"
        ]
    );
    let many: serde_json::Map<String, Value> = (0..1000)
        .map(|number| (format!("x{number}"), Value::Null))
        .collect();
    let answer = api.post(PRINTERS, Value::Object(many)).await;
    assert_eq!(answer.pointers().len(), 100);
}

#[tokio::test]
async fn the_letter_case_of_names_does_not_matter() {
    let api = farm().await;
    for (given, stored) in [
        ("petg", "PETG"),
        ("Abs", "ABS"),
        ("TPU", "TPU"),
        ("pLa", "PLA"),
    ] {
        let body = with(filament(5), "type", given.into());
        assert_eq!(
            api.post(FILAMENTS, body).await.expect(201).json["type"],
            stored
        );
    }
    for status in ["Queued", "queued", "QUEUED"] {
        let body = with(job(1), "status", status.into());
        assert_eq!(
            api.post(JOBS, body).await.expect(201).json["status"],
            "Queued"
        );
    }
}

#[tokio::test]
async fn a_job_needs_its_printer_its_filament_and_enough_of_it() {
    let api = farm().await;
    let answer = api
        .post(JOBS, with(job(1), "printer_id", "none".into()))
        .await;
    assert!(
        answer
            .expect_problem(422, "unknown-printer")
            .contains("none")
    );
    assert_eq!(answer.pointers(), ["/printer_id"]);
    let answer = api.post(JOBS, with(job(1), "filament_id", 9.into())).await;
    assert!(answer.expect_problem(422, "unknown-filament").contains('9'));
    assert_eq!(answer.pointers(), ["/filament_id"]);

    let answer = api.post(JOBS, job(701)).await;
    let detail = answer.expect_problem(422, "not-enough-filament").to_owned();
    assert!(
        detail.contains("701 g") && detail.contains("700 g"),
        "{detail}"
    );
    assert_eq!(answer.pointers(), ["/print_weight_in_grams"]);
    api.post(JOBS, job(700)).await.expect(201);
    api.post(JOBS, job(1))
        .await
        .expect_problem(422, "not-enough-filament");
}

#[tokio::test]
async fn filaments_show_what_is_available() {
    let api = farm().await;
    let weights = async || {
        let shown = api.get("/api/v1/filaments/1").await.expect(200).json;
        assert_eq!(api.get(FILAMENTS).await.expect(200).json, json!([shown]));
        let weight = |name: &str| shown[name].as_u64().unwrap();
        (
            weight("remaining_weight_in_grams"),
            weight("available_weight_in_grams"),
        )
    };
    assert_eq!(weights().await, (1000, 700));
    api.post(JOBS, job(200)).await.expect(201);
    assert_eq!(weights().await, (1000, 500));
    set_status(&api, 1, "running").await.expect(200);
    assert_eq!(weights().await, (1000, 500));
    set_status(&api, 1, "done").await.expect(200);
    assert_eq!(weights().await, (700, 500));
    set_status(&api, 2, "canceled").await.expect(200);
    assert_eq!(weights().await, (700, 700));
    let used = with(filament(1000), "remaining_weight_in_grams", 400.into());
    let created = api.post(FILAMENTS, used).await.expect(201).json;
    assert_eq!(created["available_weight_in_grams"], 400);
}

#[tokio::test]
async fn jobs_change_status_as_the_table_says() {
    let statuses = ["queued", "running", "done", "canceled"];
    let ways: [(&str, &[&str], [bool; 4]); 5] = [
        ("Queued", &[], [false, true, false, true]),
        ("Running", &["running"], [false, false, true, true]),
        ("Done", &["running", "done"], [false; 4]),
        ("Canceled", &["canceled"], [false; 4]),
        ("Canceled", &["running", "canceled"], [false; 4]),
    ];
    for (from, way, allowed) in ways {
        for (to, allowed) in statuses.into_iter().zip(allowed) {
            let api = farm().await;
            for step in way {
                set_status(&api, 1, step).await.expect(200);
            }
            let before = api.get("/api/v1/print_jobs/1").await.expect(200).json;
            assert_eq!(before["status"], from);
            let answer = set_status(&api, 1, to).await;
            let after = api.get("/api/v1/print_jobs/1").await.expect(200).json;
            if allowed {
                assert_eq!(answer.expect(200).json, after);
                assert_eq!(after["status"].as_str().unwrap().to_lowercase(), to);
            } else {
                let detail = answer
                    .expect_problem(409, "forbidden-transition")
                    .to_owned();
                let to = format!("{}{}", to[..1].to_uppercase(), &to[1..]);
                assert!(detail.contains(from) && detail.contains(&to), "{detail}");
                assert_eq!(before, after, "a refused transition changed the job");
            }
        }
    }
}

#[tokio::test]
async fn a_status_may_come_in_query_or_body_in_many_spellings() {
    let path = "/api/v1/print_jobs/1/status";
    let given = [
        ("?status=canceled", ""),
        ("?status=CANCELLED", ""),
        ("?status=%22cancelled%22", ""),
        ("", r#"{"status": "Cancelled"}"#),
        ("", r#" {"status": "canceled"} "#),
        ("", r#"{"status": "\"canceled\""}"#),
        ("?status=canceled", r#"{"status": "CANCELLED"}"#),
        ("?status=canceled", "{}"),
        ("?status=canceled", " \n"),
    ];
    for (query, body) in given {
        let api = farm().await;
        let answer = api.post(&format!("{path}{query}"), body).await;
        assert_eq!(
            answer.expect(200).json["status"],
            "Canceled",
            "{query} {body}"
        );
    }
    let api = farm().await;
    let refused = [
        ("", "", 400, "unknown-status"),
        ("", "{}", 400, "unknown-status"),
        ("?status=", "", 400, "unknown-status"),
        ("?status=paused", "", 400, "unknown-status"),
        ("?status='running'", "", 400, "unknown-status"),
        ("", r#"{"status": "paused"}"#, 400, "unknown-status"),
        (
            "?status=running",
            r#"{"status": "canceled"}"#,
            400,
            "unknown-status",
        ),
        (
            "?status=running&status=running",
            "",
            400,
            "invalid-parameter",
        ),
        ("?state=running", "", 400, "invalid-parameter"),
        ("", r#"{"status": 1}"#, 422, "invalid-fields"),
        (
            "",
            r#"{"status": "running", "why": "x"}"#,
            422,
            "invalid-fields",
        ),
    ];
    for (query, body, status, name) in refused {
        api.post(&format!("{path}{query}"), body)
            .await
            .expect_problem(status, name);
    }
    assert_eq!(
        api.get("/api/v1/print_jobs/1").await.expect(200).json["status"],
        "Queued"
    );
}
