//! The `Idempotency-Key` header (IETF httpapi draft): makes a write safe to repeat.

use axum::http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::problem::{Problem, ProblemType};
use crate::domain::command::{IDEMPOTENCY_KEY_LEN_MAX, Idempotency};

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The client's key, if it gave one: 1 to 255 visible ASCII characters, with or without the
/// quotes that the draft asks for, which are not part of the key.
pub fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(invalid("is given more than once"));
    }
    let key = match value.as_bytes() {
        [b'"', quoted @ .., b'"'] => unescape(quoted),
        bare if !bare.contains(&b'"') => Some(bare.to_vec()),
        _ => None,
    };
    let key = key.ok_or_else(|| invalid("has a quote too many or too few"))?;
    if !(1..=IDEMPOTENCY_KEY_LEN_MAX).contains(&key.len()) {
        let length = key.len();
        return Err(invalid(&format!(
            "has 1 to {IDEMPOTENCY_KEY_LEN_MAX} characters, not {length}"
        )));
    }
    String::from_utf8(key)
        .ok()
        .filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(Some)
        .ok_or_else(|| invalid("is made of visible ASCII characters only"))
}

/// The inside of a quoted string (RFC 9651, section 3.3.3), or `None` where a quote is bare or
/// a backslash escapes nothing.
fn unescape(quoted: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(&byte) = bytes.next() {
        key.push(match byte {
            b'"' => return None,
            b'\\' => *bytes.next().filter(|next| matches!(next, b'"' | b'\\'))?,
            _ => byte,
        });
    }
    Some(key)
}

fn invalid(reason: &str) -> Problem {
    Problem::new(
        ProblemType::InvalidHeader,
        format!("Idempotency-Key {reason}"),
    )
}

/// `key` with the fingerprint of its request, which is made of `parts`: route, object, and what is
/// asked of it.
pub fn with_fingerprint(key: String, parts: &[&[u8]]) -> Idempotency {
    let mut digest = Sha256::new();
    for part in parts {
        // The lengths keep parts apart that would read the same in a row.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Idempotency {
        key,
        fingerprint: digest.finalize().into(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key_of(value: &[u8]) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(value).unwrap());
        key(&headers)
    }

    #[test]
    fn a_key_may_be_quoted_or_bare() {
        let long = "k".repeat(255);
        for (value, expected) in [
            ("abc", "abc"),
            ("\"abc\"", "abc"),
            ("!~", "!~"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r"a\b", r"a\b"),
            (long.as_str(), long.as_str()),
        ] {
            assert_eq!(key_of(value.as_bytes()).unwrap().as_deref(), Some(expected));
        }
        assert_eq!(key(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn other_keys_are_refused() {
        let long = "k".repeat(256);
        for value in [
            "", "\"\"", "\"", "\"abc", "abc\"", "a\"b", "\"a\"b\"", r#""a\""#, r#""a\b""#, "a b",
            "\"a b\"", "é", "a\tb", &long,
        ] {
            let problem = key_of(value.as_bytes()).unwrap_err();
            assert_eq!(
                problem.problem_type(),
                ProblemType::InvalidHeader,
                "{value}"
            );
        }
        let mut headers = HeaderMap::new();
        headers.append(HEADER, HeaderValue::from_static("a"));
        headers.append(HEADER, HeaderValue::from_static("a"));
        assert!(
            key(&headers)
                .unwrap_err()
                .detail()
                .contains("more than once")
        );
    }

    #[test]
    fn fingerprints_tell_requests_apart() {
        let of = |parts: &[&[u8]]| with_fingerprint("k".into(), parts).fingerprint;
        assert_eq!(of(&[b"a", b"b", b"c"]), of(&[b"a", b"b", b"c"]));
        assert_ne!(of(&[b"a", b"b", b"c"]), of(&[b"ab", b"", b"c"]));
        assert_ne!(of(&[b"a", b"b", b"c"]), of(&[b"a", b"bc", b""]));
    }
}
