//! Query parameters: known ones only, each at most once.

use axum::extract::Query;
use axum::http::Uri;

use super::problem::{Problem, ProblemType};
use crate::service::Consistency;

/// The query parameters of one request.
#[derive(Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Reads the query of `uri`; a parameter that is not in `known`, or comes twice, is refused.
    pub fn parse(uri: &Uri, known: &[&str]) -> Result<Params, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::new(ProblemType::InvalidParameter, error.body_text()))?;
        for (position, (name, _)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(unknown_parameter(name, known));
            }
            if pairs[..position].iter().any(|(earlier, _)| earlier == name) {
                let detail = format!("the query parameter `{name}` is given more than once");
                return Err(Problem::new(ProblemType::InvalidParameter, detail));
            }
        }
        Ok(Params(pairs))
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(given, _)| given == name);
        pair.map(|(_, value)| value.as_str())
    }

    /// All parameters in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `?consistency=`.
    pub fn consistency(&self) -> Result<Consistency, Problem> {
        match self.get("consistency") {
            None | Some("linearizable") => Ok(Consistency::Linearizable),
            Some("eventual") => Ok(Consistency::Eventual),
            Some(other) => Err(Problem::new(
                ProblemType::InvalidParameter,
                format!("consistency is linearizable or eventual, not `{other}`"),
            )),
        }
    }
}

fn unknown_parameter(name: &str, known: &[&str]) -> Problem {
    let detail = match known {
        [] => format!("there is no query parameter `{name}` here, nor any other"),
        _ => format!(
            "there is no query parameter `{name}` here; there are {}",
            known.join(", ")
        ),
    };
    Problem::new(ProblemType::InvalidParameter, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<Params, Problem> {
        Params::parse(
            &format!("/x?{query}").parse().unwrap(),
            &["a", "b", "consistency"],
        )
    }

    #[test]
    fn values_are_decoded() {
        let params = parse("a=x%20%26%C3%A9+y&b").unwrap();
        assert_eq!(params.get("a"), Some("x &é y"));
        assert_eq!(params.get("b"), Some(""));
        assert_eq!(params.get("consistency"), None);
    }

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        for (query, name) in [
            ("c=1", "`c`"),
            ("a=1&a=1", "`a`"),
            ("A=1", "`A`"),
            ("=1", "``"),
        ] {
            let problem = parse(query).unwrap_err();
            assert_eq!(problem.problem_type(), ProblemType::InvalidParameter);
            assert!(
                problem.detail().contains(name),
                "{query}: {}",
                problem.detail()
            );
        }
    }

    #[test]
    fn consistency_is_one_of_two_words() {
        let consistency = |query| parse(query).unwrap().consistency();
        assert_eq!(consistency("").unwrap(), Consistency::Linearizable);
        assert_eq!(
            consistency("consistency=linearizable").unwrap(),
            Consistency::Linearizable
        );
        assert_eq!(
            consistency("consistency=eventual").unwrap(),
            Consistency::Eventual
        );
        assert!(consistency("consistency=").is_err());
        assert!(
            consistency("consistency=strong")
                .unwrap_err()
                .detail()
                .contains("`strong`")
        );
    }
}
