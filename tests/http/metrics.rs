//! `/metrics` over a scripted log.

use std::time::Duration;

use raft3d::consensus::{Member, Role};
use raft3d::service::Limits;
use serde_json::json;

use crate::support::{Api, DEADLINE, FAILURE, FILAMENTS, JOBS, Mode, PRINTERS};

const REQUESTS: &str = "raft3d_http_requests_total";
const PROPOSALS: &str = "raft3d_raft_proposals_total";

fn printer() -> String {
    json!({"company": "Prusa", "model": "MK4"}).to_string()
}

fn spool(id: &str, color: &str, grams: u64) -> String {
    json!({
        "id": id, "type": "PETG", "color": color,
        "total_weight_in_grams": grams, "remaining_weight_in_grams": grams
    })
    .to_string()
}

#[tokio::test]
async fn requests_are_counted_by_template_and_never_by_path() {
    let api = Api::new();
    for id in 1..=20 {
        api.get(&format!("{PRINTERS}/{id}")).await;
        api.get(&format!("/nowhere/{id}")).await;
        api.request(&format!("METHOD{id}"), PRINTERS, "").await;
    }
    api.post(PRINTERS, printer()).await;
    let page = api.metrics().await;
    let count = |method, route, status| {
        let labels = [("method", method), ("route", route), ("status", status)];
        page.value(REQUESTS, &labels)
    };
    assert_eq!(count("GET", "/api/v1/printers/{id}", "404"), 20.0);
    assert_eq!(count("GET", "none", "404"), 20.0);
    assert_eq!(count("other", PRINTERS, "405"), 20.0);
    assert_eq!(count("POST", PRINTERS, "201"), 1.0);
    assert_eq!(page.family(REQUESTS).samples.len(), 4);

    let timed = [("method", "GET"), ("route", "/api/v1/printers/{id}")];
    let duration = "raft3d_http_request_duration_seconds_count";
    assert_eq!(page.value(duration, &timed), 20.0);

    let again = api.metrics().await;
    let own = [("route", "/metrics")];
    assert_eq!(page.find(REQUESTS, &own), None);
    assert_eq!(again.value(REQUESTS, &own), 1.0);
}

#[tokio::test]
async fn nodes_of_one_process_count_apart() {
    let (one, other) = (Api::new(), Api::new());
    one.post(PRINTERS, printer()).await;
    let labels = [("result", "committed")];
    assert_eq!(one.metrics().await.value(PROPOSALS, &labels), 1.0);
    assert_eq!(other.metrics().await.value(PROPOSALS, &labels), 0.0);
}

#[tokio::test]
async fn what_becomes_of_proposals_is_counted() {
    let api = Api::with_limits(Limits {
        request_timeout: Duration::from_millis(200),
        ..Limits::default()
    });
    for mode in [Mode::NotAccepted, Mode::UnknownAndLost, Mode::Commit] {
        api.fake.set_mode(mode);
        api.post(PRINTERS, printer()).await;
    }
    let page = api.metrics().await;
    for result in ["refused", "unknown", "committed"] {
        let count = page.value(PROPOSALS, &[("result", result)]);
        assert_eq!(count, 1.0, "{result}");
    }
    let timed = page.value("raft3d_raft_propose_duration_seconds_count", &[]);
    assert_eq!(timed, 1.0, "only what was committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_without_an_outcome_are_pending() {
    let api = Api::new();
    api.fake.set_mode(Mode::Hang);
    let waiting = tokio::spawn({
        let api = api.clone();
        async move { api.post(PRINTERS, printer()).await }
    });
    let pending = async || {
        api.metrics()
            .await
            .value("raft3d_raft_proposals_pending", &[])
    };
    tokio::time::timeout(DEADLINE, async {
        while pending().await != 1.0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the command is pending");
    waiting.abort();
}

#[tokio::test]
async fn the_farm_shows_its_jobs_and_the_rolls_in_use() {
    let api = Api::new();
    api.post(PRINTERS, printer()).await;
    api.post(FILAMENTS, spool("red \"7\"\\", "signal\nred", 1_000))
        .await;
    api.post(FILAMENTS, spool("used up", "black", 100)).await;
    for (filament, grams) in [("red \"7\"\\", 30), ("red \"7\"\\", 12), ("used up", 100)] {
        let job = json!({
            "printer_id": 1, "filament_id": filament,
            "filepath": "cube.gcode", "print_weight_in_grams": grams
        });
        assert_eq!(api.post(JOBS, job).await.status, 201);
    }
    for status in ["running", "done"] {
        let path = format!("{JOBS}/3/status");
        let change = json!({ "status": status });
        assert_eq!(api.post(&path, change).await.status, 200);
    }
    let page = api.metrics().await;
    let jobs = |status| page.value("raft3d_jobs", &[("status", status)]);
    let counts = ["Queued", "Running", "Done", "Canceled"].map(jobs);
    assert_eq!(counts, [2.0, 0.0, 1.0, 0.0]);
    assert_eq!(page.value("raft3d_printers", &[]), 1.0);
    assert_eq!(page.value("raft3d_filaments", &[]), 2.0);
    let roll = [
        ("filament_id", "red \"7\"\\"),
        ("type", "PETG"),
        ("color", "signal\nred"),
    ];
    assert_eq!(
        page.value("raft3d_filament_remaining_grams", &roll),
        1_000.0
    );
    assert_eq!(page.value("raft3d_filament_reserved_grams", &roll), 42.0);
    let empty = [("filament_id", "used up")];
    assert_eq!(page.find("raft3d_filament_remaining_grams", &empty), None);
}

#[tokio::test]
async fn rolls_have_a_bounded_number_of_series() {
    let api = Api::new();
    for number in 0..1_010 {
        api.post(
            FILAMENTS,
            spool(&format!("roll {number}"), &"x".repeat(500), 1),
        )
        .await;
    }
    let page = api.metrics().await;
    assert_eq!(page.value("raft3d_filaments", &[]), 1_010.0);
    for name in [
        "raft3d_filament_remaining_grams",
        "raft3d_filament_reserved_grams",
    ] {
        let samples = &page.family(name).samples;
        assert_eq!(samples.len(), 1_000, "{name}");
        assert!(samples.iter().all(|roll| roll.labels["color"].len() <= 64));
    }
}

#[tokio::test]
async fn a_leader_shows_its_peers_and_others_do_not() {
    let api = Api::new();
    api.fake.set_status(|status| {
        for member in &mut status.members {
            member.last_log_index = None;
        }
    });
    let page = api.metrics().await;
    assert_eq!(page.value("raft3d_raft_is_leader", &[]), 0.0);
    assert!(
        page.family("raft3d_raft_peer_match_index")
            .samples
            .is_empty()
    );

    let node_id = crate::support::NODE_ID;
    let peer = |id, learner, contact| Member {
        id,
        raft_addr: "127.0.0.1:9".into(),
        learner,
        last_log_index: Some(70 + id as u64),
        last_contact_ms: contact,
        http_addr: None,
    };
    api.fake.set_status(|status| {
        status.role = Role::Leader;
        status.leader = Some(node_id);
        status.members = vec![
            peer(1, false, Some(1_250)),
            peer(2, true, None),
            peer(node_id, false, None),
        ];
    });
    let page = api.metrics().await;
    assert_eq!(page.value("raft3d_raft_is_leader", &[]), 1.0);
    assert_eq!(
        page.value("raft3d_raft_peer_match_index", &[("peer", "1")]),
        71.0
    );
    assert_eq!(
        page.value("raft3d_raft_peer_match_index", &[("peer", "2")]),
        72.0
    );
    let contacts = &page.family("raft3d_raft_peer_last_contact_seconds").samples;
    assert_eq!(
        contacts.len(),
        1,
        "nobody knows of the other, nor of oneself"
    );
    assert_eq!(
        (contacts[0].labels["peer"].as_str(), contacts[0].value),
        ("1", 1.25)
    );
    assert_eq!(page.value("raft3d_raft_members", &[("kind", "voter")]), 2.0);
    assert_eq!(
        page.value("raft3d_raft_members", &[("kind", "learner")]),
        1.0
    );
}

#[tokio::test]
async fn a_failed_node_says_so_and_lives() {
    let api = Api::new();
    assert_eq!(api.metrics().await.value("raft3d_node_failed", &[]), 0.0);
    api.fake.set_status(|status| {
        status.failure = Some(FAILURE.into());
        status.leader = None;
    });
    let page = api.metrics().await;
    assert_eq!(page.value("raft3d_node_failed", &[]), 1.0);
    assert_eq!(page.value("raft3d_raft_has_leader", &[]), 0.0);
    assert_eq!(api.get("/livez").await.status, 200);
    let ready = api.get("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text.contains(FAILURE), "{}", ready.text);
}
