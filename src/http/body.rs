//! Receives request bodies: whole, within a size and a time, whatever their `Content-Type` says
//! (people use bare curl).

use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::problem::{Problem, ProblemType};

/// Largest body, in bytes: 1 MiB.
pub const BODY_MAX: usize = 1 << 20;
/// How much of a body above the limit is read and thrown away, so that a client that is still
/// sending gets to see the answer: it would find the connection reset instead.
const DISCARD_MAX: usize = 16 << 20;
/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Receives the whole of `body`.
pub async fn receive(body: Body) -> Result<Bytes, Problem> {
    timeout(BODY_TIMEOUT, collect(body))
        .await
        .unwrap_or_else(|_| {
            let detail = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
            Err(Problem::new(ProblemType::BodyTimeout, detail))
        })
}

async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    let mut received = Vec::new();
    let mut length = 0;
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
        if length <= BODY_MAX {
            received.extend_from_slice(&data);
        } else if length > DISCARD_MAX {
            break;
        }
    }
    if length > BODY_MAX {
        let detail = format!("a body has at most {BODY_MAX} bytes; this one has more");
        return Err(Problem::new(ProblemType::BodyTooLarge, detail));
    }
    Ok(received.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_at_the_limit_is_taken_and_one_above_is_not() {
        let body = receive(Body::from(vec![b' '; BODY_MAX])).await.unwrap();
        assert_eq!(body.len(), BODY_MAX);
        for length in [BODY_MAX + 1, DISCARD_MAX + 1] {
            let problem = receive(Body::from(vec![b' '; length])).await.unwrap_err();
            assert_eq!(problem.problem_type(), ProblemType::BodyTooLarge);
        }
    }
}
