//! Receives request bodies: whole, within a size and a time, whatever their `Content-Type` says
//! (people use bare curl).
//!
//! All bodies of a node together hold at most [`SHARED_MAX`] bytes, and [`OWN_MAX`] more each.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::{Problem, ProblemType};

/// Largest body, in bytes: 1 MiB.
pub const BODY_MAX: usize = 1 << 20;
/// How much of a body that is refused is read and thrown away, so that a client that is still
/// sending gets to see the answer: it would find the connection reset instead.
const DISCARD_MAX: usize = 16 << 20;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Every body may have this many bytes, in any case: an ordinary request is never refused because
/// others send large ones.
pub const OWN_MAX: usize = 16 << 10;
/// What all bodies together may hold beyond that, in bytes.
pub const SHARED_MAX: usize = 64 << 20;

/// The memory that large bodies share. Clones share it too.
#[derive(Debug, Clone)]
pub struct BodyMemory(Arc<Semaphore>);

impl Default for BodyMemory {
    fn default() -> BodyMemory {
        BodyMemory(Arc::new(Semaphore::new(SHARED_MAX)))
    }
}

/// A body received whole. Dropping it gives its memory back.
#[derive(Debug)]
pub struct Whole {
    /// Its bytes.
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Receives the whole of `body`, within what `memory` has left.
pub async fn receive(body: Body, memory: &BodyMemory) -> Result<Whole, Problem> {
    timeout(BODY_TIMEOUT, collect(body, memory))
        .await
        .unwrap_or_else(|_| {
            let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(ProblemType::BodyTimeout, detail))
        })
}

async fn collect(mut body: Body, memory: &BodyMemory) -> Result<Whole, Problem> {
    let mut received = Vec::new();
    let mut share = None;
    let mut length = 0;
    let mut refusal = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            let detail = format!("the body broke off after {length} bytes: {error}");
            Problem::new(ProblemType::MalformedBody, detail)
        })?;
        // Anything but data is trailers, which nobody needs.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length > DISCARD_MAX {
            break;
        }
        if length > BODY_MAX || refusal.is_some() {
            continue;
        }
        match memory.take(&mut share, length.saturating_sub(OWN_MAX)) {
            Ok(()) => received.extend_from_slice(&data),
            Err(problem) => {
                refusal = Some(problem);
                (received, share) = (Vec::new(), None);
            }
        }
    }
    if length > BODY_MAX {
        let detail = format!("a body has at most {BODY_MAX} bytes; this one has more");
        return Err(Problem::new(ProblemType::BodyTooLarge, detail));
    }
    if let Some(problem) = refusal {
        return Err(problem);
    }
    Ok(Whole {
        bytes: received.into(),
        _share: share,
    })
}

impl BodyMemory {
    /// Grows `share` to `size` bytes.
    fn take(&self, share: &mut Option<OwnedSemaphorePermit>, size: usize) -> Result<(), Problem> {
        let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = u32::try_from(size.saturating_sub(held)).unwrap_or(u32::MAX);
        if missing == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.0)
            .try_acquire_many_owned(missing)
            .map_err(|_| {
                let detail = format!(
                    "the large bodies that this node is receiving have taken all of the \
                     {SHARED_MAX} bytes for them; one of at most {OWN_MAX} bytes is always taken"
                );
                Problem::new(ProblemType::Overloaded, detail)
            })?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive_spaces(length: usize, memory: &BodyMemory) -> Result<Whole, Problem> {
        receive(Body::from(vec![b' '; length]), memory).await
    }

    #[tokio::test]
    async fn a_body_at_the_limit_is_taken_and_one_above_is_not() {
        let memory = BodyMemory::default();
        let body = receive_spaces(BODY_MAX, &memory).await.unwrap();
        assert_eq!(body.bytes.len(), BODY_MAX);
        for length in [BODY_MAX + 1, DISCARD_MAX + 1] {
            let problem = receive_spaces(length, &memory).await.unwrap_err();
            assert_eq!(problem.problem_type(), ProblemType::BodyTooLarge);
        }
    }

    #[tokio::test]
    async fn large_bodies_share_a_bounded_memory_and_small_ones_need_none() {
        let memory = BodyMemory::default();
        let mut held = Vec::new();
        let refusal = loop {
            match receive_spaces(BODY_MAX, &memory).await {
                Ok(body) => held.push(body),
                Err(problem) => break problem,
            }
        };
        assert_eq!(refusal.problem_type(), ProblemType::Overloaded);
        assert_eq!(held.len(), SHARED_MAX / (BODY_MAX - OWN_MAX));
        assert!(receive_spaces(OWN_MAX, &memory).await.is_ok());

        held.pop();
        assert!(receive_spaces(BODY_MAX, &memory).await.is_ok());
    }
}
