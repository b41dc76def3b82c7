//! Two clients race for the same grams through different nodes.

use serde_json::{Value, json};

use crate::cluster_support::{FILAMENTS, JOBS, PRINTERS, TestCluster};

const ROUNDS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_racing_jobs_that_exceed_the_spool_cannot_both_win() {
    let mut cluster = TestCluster::start().await;
    cluster.leader().await;
    let printer = cluster
        .create(1, PRINTERS, &json!({"company": "Prusa", "model": "MK4"}))
        .await;
    let pairs = [(1, 2), (2, 3), (3, 1)];
    let mut wins = [0; 4];
    for round in 0..ROUNDS {
        // Ids as numbers and as texts; the text form is the key of both.
        let id = if round % 2 == 0 {
            json!(round + 1000)
        } else {
            json!(format!("spool {round}"))
        };
        let filament =
            json!({"id": id, "type": "PETG", "color": "blue", "total_weight_in_grams": 100});
        cluster
            .create(round as i32 % 3 + 1, FILAMENTS, &filament)
            .await;
        let job = json!({
            "printer_id": printer["id"],
            "filament_id": id,
            "filepath": "race.gcode",
            "print_weight_in_grams": 51 + round,
        });
        let (left, right) = pairs[round % pairs.len()];
        let (a, b) = tokio::join!(
            cluster.post(left, JOBS, &job),
            cluster.post(right, JOBS, &job)
        );
        let (winner, won, lost) = if a.status == 201 {
            (left, a, b)
        } else {
            (right, b, a)
        };
        let won = won.expect(201).body;
        let lost = lost.expect_problem(422, "not-enough-filament").body;
        wins[winner as usize] += 1;
        let available = format!("{} g", 100 - (51 + round));
        let detail = lost["detail"].as_str().unwrap();
        assert!(
            detail.contains(&available),
            "{available} is not in: {detail}"
        );

        for id in 1..=3 {
            let jobs = cluster.list(id, JOBS, "linearizable").await;
            let on_spool = jobs
                .iter()
                .filter(|job| job["filament_id"] == won["filament_id"]);
            let on_spool: Vec<&Value> = on_spool.collect();
            assert_eq!(on_spool, [&won], "round {round}, node {id}");
        }
    }
    let jobs = cluster.same_everywhere().await;
    assert_eq!(jobs.len(), ROUNDS);
    println!("wins by node: {wins:?}");
}
