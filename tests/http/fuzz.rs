//! Whatever comes in, what goes out is an answer by the rules, and never the node's own failure.

use axum::http::{HeaderValue, Request, Uri};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::{Api, request};

const PATHS: [&str; 17] = [
    "/",
    "/healthz",
    "/readyz",
    "/api/v1/cluster",
    "/api/v1/cluster/snapshots",
    "/api/v1/cluster/settings",
    "/api/v1/cluster/hash",
    "/api/v1/events",
    "/api/v1/printers",
    "/api/v1/printers/1",
    "/api/v1/filaments",
    "/api/v1/filaments/1",
    "/api/v1/print_jobs",
    "/api/v1/print_jobs/1",
    "/api/v1/print_jobs/1/status",
    "/api/v1/print_jobs/%FF/status",
    "/api/v1/nowhere",
];

const FIELDS: [&str; 12] = [
    "id",
    "company",
    "model",
    "type",
    "color",
    "total_weight_in_grams",
    "remaining_weight_in_grams",
    "printer_id",
    "filament_id",
    "filepath",
    "print_weight_in_grams",
    "status",
];

/// Values near those that the fields take, and far from them.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-2_i64..2000).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(float)),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "1",
            "PLA",
            "tpu",
            "running",
            "Queued",
            "cancelled",
            ""
        ])
        .prop_map(Value::from),
        vec(any::<u8>(), 0..3).prop_map(|list| json!(list)),
        btree_map(any::<String>(), any::<u8>(), 0..3).prop_map(|object| json!(object)),
    ]
}

fn object() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        9 => prop::sample::select(FIELDS.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    btree_map(name, value(), 0..8).prop_map(|members| json!(members).to_string().into_bytes())
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
        value().prop_map(|value| value.to_string().into_bytes()),
        object(),
        // Almost JSON.
        (object(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut body, at, byte)| {
            let at = at.index(body.len());
            body[at] = byte;
            body
        }),
    ]
}

/// A path of the API, perhaps with an odd query, or any path at all.
fn target() -> impl Strategy<Value = Uri> {
    let byte = any::<u8>().prop_map(|byte| format!("%{byte:02X}"));
    let text = vec(byte, 0..20).prop_map(|bytes| bytes.concat());
    let names = [
        "status",
        "limit",
        "after",
        "consistency",
        "printer_id",
        "filament_id",
        "x",
    ];
    let name = prop::sample::select(names.to_vec());
    let given = prop::sample::select(vec![
        "running",
        "done",
        "1",
        "eventual",
        "linearizable",
        "0",
    ]);
    let value = prop_oneof![text.clone(), given.prop_map(str::to_owned)];
    let query = vec((name, value), 0..3).prop_map(|pairs| {
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    });
    let path = prop_oneof![
        8 => prop::sample::select(PATHS.to_vec()).prop_map(str::to_owned),
        1 => text.clone().prop_map(|text| format!("/api/v1/print_jobs/{text}/status")),
        1 => text.clone().prop_map(|text| format!("/api/v1/printers/{text}")),
        1 => text.prop_map(|text| format!("/{text}")),
    ];
    (path, query).prop_map(|(path, query)| format!("{path}?{query}").parse().unwrap())
}

fn any_request() -> impl Strategy<Value = (&'static str, Uri, Vec<u8>, Option<Vec<u8>>)> {
    let methods = vec![
        "GET", "POST", "POST", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "X",
    ];
    let key = option::of(prop_oneof![
        vec(any::<u8>(), 0..8),
        prop::sample::select(vec![b"k".to_vec(), b"\"k\"".to_vec()]),
    ]);
    (prop::sample::select(methods), target(), body(), key)
}

fn with_key(
    mut request: Request<axum::body::Body>,
    key: Option<Vec<u8>>,
) -> Request<axum::body::Body> {
    if let Some(key) = key.and_then(|key| HeaderValue::from_bytes(&key).ok()) {
        request.headers_mut().insert("idempotency-key", key);
    }
    request
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The common rules of all answers are checked by the sending itself.
    #[test]
    fn no_request_makes_the_node_fail(requests in vec(any_request(), 1..20)) {
        let runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let api = Api::new();
            for path in ["/api/v1/printers", "/api/v1/filaments", "/api/v1/print_jobs"] {
                let body = json!({
                    "/api/v1/printers": {"company": "a", "model": "b"},
                    "/api/v1/filaments": {"type": "PLA", "color": "c", "total_weight_in_grams": 1000},
                    "/api/v1/print_jobs": {
                        "printer_id": 1, "filament_id": 1, "filepath": "d", "print_weight_in_grams": 5,
                    },
                });
                api.post(path, &body[path]).await.expect(201);
            }
            for (method, target, body, key) in requests {
                let request = with_key(request(method, &target.to_string(), body), key);
                let what = format!("{request:?}");
                let answer = api.send(request).await;
                let status = answer.status.as_u16();
                prop_assert!(
                    matches!(status, 200 | 201 | 400 | 404 | 405 | 409 | 422),
                    "{what}: {status} {}", answer.text
                );
            }
            Ok(())
        })?;
    }
}
