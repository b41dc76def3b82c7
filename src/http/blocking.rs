//! Work of more than a moment, or that waits for disks.

use super::problem::{Problem, ProblemType};

/// Does `work` on a thread where it holds up nobody else.
pub async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(ProblemType::Internal, error.to_string()))
}
