//! Backups and snapshots over HTTP, by a node on a replicated log in memory.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use raft3d::backup::format;
use raft3d::storage::SnapshotStore;
use raft3d::storage::snapshot::SnapshotId;
use serde_json::json;
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::support::{Api, Mode, PRINTERS, request};

const BACKUP: &str = "/api/v1/cluster/backup";
const SNAPSHOTS: &str = "/api/v1/cluster/snapshots";

/// The headers and bytes of a download.
async fn download(api: &Api, path: &str) -> (axum::http::HeaderMap, Vec<u8>) {
    let request = request("GET", path, Body::empty());
    let response = api.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert_eq!(
        response.headers()["content-type"],
        "application/octet-stream"
    );
    assert!(response.headers().contains_key("x-request-id"));
    let headers = response.headers().clone();
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await;
    (headers, bytes.unwrap().into())
}

async fn add_printer(api: &Api) {
    let printer = json!({"company": "Prusa", "model": "MK4"});
    api.post(PRINTERS, printer).await.expect(201);
}

#[tokio::test]
async fn a_backup_is_the_state_after_all_that_was_acknowledged() {
    let api = Api::new();
    add_printer(&api).await;
    api.fake.apply_when_waited_for();
    add_printer(&api).await;
    let (headers, bytes) = download(&api, BACKUP).await;
    let (state, manifest, _) = format::load(&bytes[..]).unwrap();
    assert_eq!(state.printer_count(), 2);
    assert_eq!(headers["x-raft3d-index"], manifest.index.to_string());
    assert_eq!(state.farm_hash(), api.fake.local_state().farm_hash());
}

#[tokio::test]
async fn without_a_quorum_only_this_nodes_own_state_can_be_had() {
    let api = Api::new();
    add_printer(&api).await;
    api.fake.set_mode(Mode::NotAccepted);
    let refused = api.impatient().get(BACKUP).await;
    refused.expect_problem(503, "no-quorum");
    let (_, bytes) = download(&api, &format!("{BACKUP}?consistency=eventual")).await;
    assert_eq!(format::load(&bytes[..]).unwrap().1.printers, 1);
    let refused = api.get(&format!("{BACKUP}?to=tape")).await;
    refused.expect_problem(400, "invalid-parameter");
}

#[tokio::test]
async fn snapshots_are_listed_and_downloaded() {
    let api = Api::new();
    assert_eq!(api.get(SNAPSHOTS).await.expect(200).json, json!([]));
    let root = tempfile::tempdir().unwrap();
    let store = Arc::new(SnapshotStore::open(root.path()).unwrap());
    let body = vec![0xab; 300_000];
    for index in [5, 9] {
        let id = SnapshotId { index, term: 2 };
        let write = |sink: &mut dyn std::io::Write| sink.write_all(&body);
        store.write(id, b"about it", write).unwrap();
    }
    api.fake.set_snapshot_store(store);

    let listed = api.get(SNAPSHOTS).await.expect(200).json;
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for (snapshot, index) in listed.iter().zip([5, 9]) {
        let name = format!("{index:020}-{:020}.snap", 2);
        let on_disk = std::fs::read(root.path().join(name)).unwrap();
        let hash = Sha256::digest(&on_disk);
        let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(snapshot["index"], index);
        assert_eq!(snapshot["term"], 2);
        assert_eq!(snapshot["bytes"], on_disk.len());
        assert_eq!(snapshot["sha256"], digits);
        let written_at = snapshot["written_at"].as_str().unwrap();
        assert!(written_at.starts_with("20"), "{written_at}");

        let (headers, bytes) = download(&api, &format!("{SNAPSHOTS}/{index}")).await;
        assert!(bytes == on_disk, "snapshot {index} arrives as it is");
        assert_eq!(headers["content-length"], on_disk.len().to_string());
        let digest = format!("sha-256=:{}:", BASE64.encode(hash));
        assert_eq!(headers["repr-digest"], digest);
        assert_eq!(headers["x-raft3d-index"], index.to_string());
    }
    for missing in ["7", "x", "-1"] {
        let refused = api.get(&format!("{SNAPSHOTS}/{missing}")).await;
        let detail = refused.expect_problem(404, "not-found");
        assert!(detail.contains("GET /api/v1/cluster/snapshots"), "{detail}");
    }
}
