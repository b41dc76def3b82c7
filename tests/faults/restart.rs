//! One node that is killed at the worst moment of its first start.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::disk::Control;
use super::network::Network;
use super::nodes::Nodes;
use super::rng::Rng;
use crate::cluster_support::{http_client, send, wait_until};

/// The node must not stand for election: that would sync its directory.
const ARGS: [&str; 2] = ["--election-timeout-ms", "500000..600000"];
/// Time between a rename and the end of the sync that makes it durable: to be killed in.
const SYNC_DELAY_MS: i32 = 400;

/// Kills a node after the last file of its first start got its name and before that is durable,
/// starts it again, and cuts the power. Whether the file is still there.
pub async fn keeps_what_it_read(network: &Network, shim: &Path, dir: &Path) -> bool {
    network.reset(0);
    let mut nodes = Nodes::new(3, dir, Some(shim), &ARGS, &[]);
    nodes.forget_all(1);
    nodes.disk(1).set(Control::SyncDelayMs, SYNC_DELAY_MS);
    nodes.start(1).await;
    let identity = nodes.dir(1).join("identity");
    wait_until("the file has its name", async || {
        identity.exists().then_some(())
    })
    .await;
    nodes.kill(1).await;

    nodes.disk(1).repair();
    nodes.start(1).await;
    let url = format!("{}/healthz", nodes.endpoints()[0].url);
    let http = http_client();
    wait_until("the node answers", async || {
        let up = timeout(Duration::from_secs(1), send(http.get(&url))).await;
        matches!(up, Ok(Ok(reply)) if reply.status == 200).then_some(())
    })
    .await;
    nodes.lose_power(1, &mut Rng::new(0)).await;
    identity.exists()
}
