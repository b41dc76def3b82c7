//! Versions of objects on the wire (RFC 9110, sections 8.8.3 and 13.1): `ETag`, `If-Match`,
//! `If-None-Match`.
//!
//! An object's tag is the log index of its last change, in quotes. An index is never used twice, so
//! that the tag is strong: equal tags mean equal bytes, also of an object that was deleted and
//! created again.

use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue};

/// The tag of an object that last changed at `modified_index`.
pub fn tag(modified_index: u64) -> HeaderValue {
    HeaderValue::try_from(format!("\"{modified_index}\""))
        // Digits between quotes are always a header value.
        .unwrap_or(HeaderValue::from_static("\"\""))
}

/// The versions that `If-Match` asks for; `None` if any will do. What is no tag of ours, weak tags
/// (section 8.8.3.2) and nonsense among it, matches nothing: to ignore it would be dangerous. A
/// head is bounded, and so are these.
pub fn if_match(headers: &HeaderMap) -> Option<Vec<u64>> {
    match tags(headers, IF_MATCH)?[..] {
        ["*"] => None,
        ref tags => Some(tags.iter().filter_map(|tag| strong(tag)).collect()),
    }
}

/// Whether the client has the object as of `modified_index` already, and says so. A weak tag will
/// do (section 13.1.2).
pub fn is_known(headers: &HeaderMap, modified_index: u64) -> bool {
    let tags = tags(headers, IF_NONE_MATCH).unwrap_or_default();
    let weak = |tag: &str| strong(tag.strip_prefix("W/").unwrap_or(tag));
    tags == ["*"] || tags.iter().any(|tag| weak(tag) == Some(modified_index))
}

/// The comma-separated parts of a header; `None` without the header. A tag of ours has no comma.
fn tags(headers: &HeaderMap, name: HeaderName) -> Option<Vec<&str>> {
    let values = headers.contains_key(&name).then(|| headers.get_all(&name));
    let texts = values?.iter().filter_map(|value| value.to_str().ok());
    Some(
        texts
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .collect(),
    )
}

/// The index in a strong tag of ours, written as we write it.
fn strong(tag: &str) -> Option<u64> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    let index: u64 = digits.parse().ok()?;
    (index.to_string() == digits).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn if_match_takes_strong_tags_of_ours() {
        let asked = |values: &[&str]| if_match(&headers(IF_MATCH, values));
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["*"]), None);
        for (values, versions) in [
            (&["\"7\""][..], &[7][..]),
            (&["\"7\", \"8\"", "\"9\""], &[7, 8, 9]),
            (&["W/\"7\"", "\"x\"", "\"07\"", "\"+7\"", "\"\""], &[]),
            (&["7"], &[]),
            (&[""], &[]),
            (&["é"], &[]),
            (&["\"7\",*"], &[7]),
        ] {
            assert_eq!(asked(values).as_deref(), Some(versions), "{values:?}");
        }
    }

    #[test]
    fn if_none_match_compares_weakly() {
        let known = |values: &[&str]| is_known(&headers(IF_NONE_MATCH, values), 7);
        for values in [&["\"7\""][..], &["W/\"7\""], &["\"6\", \"7\""], &["*"]] {
            assert!(known(values), "{values:?}");
        }
        for values in [&[][..], &["\"8\""], &["7"], &["nonsense"], &["é"]] {
            assert!(!known(values), "{values:?}");
        }
    }
}
