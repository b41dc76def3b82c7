//! Reads the fields of a JSON object one by one, so that one answer names all that are wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::problem::{Problem, ProblemType};
use crate::domain::command::FieldProblem;

/// Longest text of one field's error, in characters; what it quotes may be as long as a body.
const ERROR_TEXT_MAX: usize = 300;

/// The members of a JSON object, and what was found wrong with them so far.
#[derive(Debug, Default)]
pub struct Fields {
    members: BTreeMap<String, Value>,
    known: Vec<&'static str>,
    errors: Vec<FieldProblem>,
}

impl Fields {
    /// Parses a body that is to be a JSON object.
    pub fn parse(body: &[u8]) -> Result<Fields, Problem> {
        let start = body.trim_ascii_start();
        if start.is_empty() {
            let detail = "the body is empty; send a JSON object";
            return Err(Problem::new(ProblemType::MalformedBody, detail));
        }
        let malformed = |error: serde_json::Error| {
            let detail = format!("the body is not JSON: {error}");
            Problem::new(ProblemType::MalformedBody, detail)
        };
        if start.starts_with(b"{") {
            let mut reader = serde_json::Deserializer::from_slice(body);
            let fields = reader.deserialize_map(ObjectVisitor).map_err(malformed)?;
            reader.end().map_err(malformed)?;
            Ok(fields)
        } else {
            let value: Value = serde_json::from_slice(body).map_err(malformed)?;
            Err(Problem::invalid_fields(vec![FieldProblem {
                pointer: String::new(),
                problem: format!("must be a JSON object, not {}", kind_of(&value)),
            }]))
        }
    }

    /// The object in its one canonical form: members sorted by name, no white space.
    pub fn canonical(&self) -> Vec<u8> {
        // Values that were parsed always print.
        serde_json::to_vec(&self.members).unwrap_or_default()
    }

    /// Reads a field that may be left out.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        match T::deserialize(self.members.get(name)?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(name, error);
                None
            }
        }
    }

    /// Reads a field that must be there; `stand_in` takes its place when it cannot be read, so
    /// that the other fields are looked at too before [`Fields::finish`] refuses them all.
    pub fn required<T: DeserializeOwned>(&mut self, name: &'static str, stand_in: T) -> T {
        let value = self.optional(name);
        self.given_or(name, value, stand_in)
    }

    /// Reads a string that may be left out and names a `T`.
    pub fn optional_name<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
    ) -> Option<T> {
        let text: String = self.optional(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(name, error);
                None
            }
        }
    }

    /// Reads a string that must be there and names a `T`; `stand_in` as for
    /// [`Fields::required`].
    pub fn required_name<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &'static str,
        stand_in: T,
    ) -> T {
        let value = self.optional_name(name);
        self.given_or(name, value, stand_in)
    }

    fn given_or<T>(&mut self, name: &str, value: Option<T>, stand_in: T) -> T {
        if !self.members.contains_key(name) {
            self.refuse(name, "is required");
        }
        value.unwrap_or(stand_in)
    }

    /// Notes that the field `name` is wrong and why.
    pub fn refuse(&mut self, name: &str, reason: impl fmt::Display) {
        let reason = reason.to_string();
        let mut problem: String = reason.chars().take(ERROR_TEXT_MAX).collect();
        if problem.len() < reason.len() {
            problem.push('…');
        }
        self.errors.push(FieldProblem {
            pointer: pointer_to(name),
            problem,
        });
    }

    /// Ends the reading: fields that were never asked for are refused, as are all that were
    /// wrong. `rules` are the problems of the object as a whole; a field that could not be read
    /// is not judged by its stand-in.
    pub fn finish(mut self, rules: Vec<FieldProblem>) -> Result<(), Problem> {
        for rule in rules {
            if !self
                .errors
                .iter()
                .any(|error| error.pointer == rule.pointer)
            {
                self.errors.push(rule);
            }
        }
        let unknown: Vec<String> = self
            .members
            .keys()
            .filter(|name| !self.known.contains(&name.as_str()))
            .cloned()
            .collect();
        for name in unknown {
            let known = self.known.join(", ");
            self.refuse(&name, format!("is not a field here; there are {known}"));
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_fields(self.errors))
        }
    }
}

/// Collects the members of an object and notes those that come twice.
struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if fields.members.contains_key(&name) {
                fields.refuse(&name, "is given more than once");
            }
            fields.members.insert(name, value);
        }
        Ok(fields)
    }
}

/// The JSON pointer (RFC 6901) to the member `name` of the body.
fn pointer_to(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Id;
    use crate::domain::model::FilamentType;
    use crate::domain::weight::Grams;

    fn fields(body: &str) -> Fields {
        Fields::parse(body.as_bytes()).unwrap()
    }

    fn pointers(problem: &Problem) -> Vec<&str> {
        problem
            .errors()
            .iter()
            .map(|error| error.pointer.as_str())
            .collect()
    }

    #[test]
    fn malformed_json_is_refused_with_its_place() {
        for body in [
            "{",
            "{\"a\":1,}",
            "{\"a\":1} x",
            "{a:1}",
            "{\"a\":NaN}",
            "\u{feff}{}",
            "[1",
            "{\"a\":\"\\ud800\"}",
            "tru",
        ] {
            let problem = Fields::parse(body.as_bytes()).unwrap_err();
            assert_eq!(problem.problem_type(), ProblemType::MalformedBody, "{body}");
            assert!(
                problem.detail().contains("line 1 column"),
                "{body}: {}",
                problem.detail()
            );
        }
        let problem = Fields::parse(b"{\"a\":\n \"\xff\"}").unwrap_err();
        assert!(problem.detail().contains("line 2"), "{}", problem.detail());
        for body in ["", " \n\t "] {
            let problem = Fields::parse(body.as_bytes()).unwrap_err();
            assert!(problem.detail().contains("empty"), "{}", problem.detail());
        }
    }

    #[test]
    fn what_is_json_but_no_object_is_called_by_its_kind() {
        for (body, kind) in [
            ("null", "null"),
            ("true", "a boolean"),
            (" 1.5", "a number"),
            ("\"x\"", "a string"),
            ("[{}]", "an array"),
        ] {
            let problem = Fields::parse(body.as_bytes()).unwrap_err();
            assert_eq!(problem.problem_type(), ProblemType::InvalidFields);
            assert_eq!(pointers(&problem), [""]);
            assert!(problem.detail().ends_with(kind), "{}", problem.detail());
        }
    }

    #[test]
    fn one_answer_names_every_field_that_is_wrong() {
        let mut fields =
            fields(r#"{"id": {}, "type": "wood", "total": 1.5, "color": 3, "a/b~c": 1, "id": 2}"#);
        let _: Option<Id> = fields.optional("id");
        let _ = fields.required_name("type", FilamentType::Pla);
        let _ = fields.required("total", Grams::MAX);
        let _ = fields.required("color", String::new());
        let _ = fields.required("model", String::new());
        let rules = ["/color", "/other"].map(|pointer| FieldProblem {
            pointer: pointer.to_owned(),
            problem: "must not be empty".to_owned(),
        });
        let problem = fields.finish(rules.into()).unwrap_err();
        assert_eq!(
            pointers(&problem),
            [
                "/id", "/type", "/total", "/color", "/model", "/other", "/a~1b~0c"
            ]
        );
        assert!(problem.errors()[0].problem.contains("more than once"));
        assert!(problem.errors()[3].problem.contains("expected a string"));
        assert!(
            problem.errors()[6]
                .problem
                .contains("id, type, total, color, model")
        );
    }

    #[test]
    fn weights_are_whole_grams_in_range() {
        for (weight, right) in [
            ("0", true),
            ("9007199254740991", true),
            ("9007199254740992", false),
            ("18446744073709551616", false),
            ("-1", false),
            ("1.0", false),
            ("1e3", false),
            ("\"1\"", false),
            ("null", false),
            ("[1]", false),
        ] {
            let mut fields = fields(&format!("{{\"w\":{weight}}}"));
            let _ = fields.required("w", Grams::MAX);
            let result = fields.finish(Vec::new());
            assert_eq!(result.is_ok(), right, "{weight}: {result:?}");
        }
    }

    #[test]
    fn equal_objects_have_one_canonical_form() {
        let one = fields(r#"{"b": "é", "a": 1}"#).canonical();
        assert_eq!(one, fields("{\"a\":1,\n\"b\":\"\\u00e9\"}").canonical());
        assert_ne!(one, fields(r#"{"a": "1", "b": "é"}"#).canonical());
    }

    #[test]
    fn an_error_quotes_no_more_than_a_line() {
        let mut fields = fields(&format!("{{\"type\":\"{}\"}}", "é".repeat(10_000)));
        let _ = fields.required_name("type", FilamentType::Pla);
        let problem = fields.finish(Vec::new()).unwrap_err();
        assert!(problem.detail().chars().count() < 2 * ERROR_TEXT_MAX);
    }
}
