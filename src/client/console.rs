//! What commands have in common that ask the cluster for something and print what it answers.

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde_json::Value;

use super::api::{Api, ClientError, Request, new_idempotency_key};
use super::options::{ChangeOptions, ClientOptions, ReadOptions, WriteOptions};
use super::output::{Column, DELETED, Format, print_line, render};

/// The API together with how to print what it answers.
pub struct Console {
    /// The cluster.
    pub api: Api,
    format: Format,
    columns: &'static [Column],
    /// How long one node may take to answer.
    pub timeout: Duration,
}

impl Console {
    /// Prints `columns` of what the cluster answers, for people.
    pub fn new(
        options: &ClientOptions,
        columns: &'static [Column],
    ) -> Result<Console, ClientError> {
        let timeout = Duration::from_secs(options.timeout);
        Ok(Console {
            api: options.api(timeout)?,
            format: options.output,
            columns,
            timeout,
        })
    }

    /// Reads `path`.
    pub async fn read(
        &self,
        path: &str,
        read: ReadOptions,
        mut query: Vec<(&'static str, String)>,
    ) -> Result<(), ClientError> {
        query.push(("consistency", read.consistency));
        let value = self.api.call(&Request::get(path, &query)).await?;
        self.print(&value)
    }

    /// Shows the object `id` of the collection at `path`.
    pub async fn show(&self, path: &str, id: &str, read: ReadOptions) -> Result<(), ClientError> {
        self.read(&item_path(path, id), read, Vec::new()).await
    }

    /// Posts `body` to `path`.
    pub async fn write(
        &self,
        path: &str,
        body: Option<&Value>,
        write: WriteOptions,
    ) -> Result<(), ClientError> {
        self.write_with(Request::post(path, body, ""), write).await
    }

    /// Changes the object `id` of the collection at `path`.
    pub async fn update(
        &self,
        path: &str,
        id: &str,
        body: &Value,
        change: ChangeOptions,
    ) -> Result<(), ClientError> {
        let path = item_path(path, id);
        let request = Request {
            method: Method::PATCH,
            if_match: change.if_match,
            ..Request::post(&path, Some(body), "")
        };
        self.write_with(request, change.write).await
    }

    /// Deletes the object `id` of the collection at `path`, and prints which it was.
    pub async fn delete(
        self,
        path: &str,
        id: &str,
        change: ChangeOptions,
    ) -> Result<(), ClientError> {
        let path = item_path(path, id);
        let request = Request {
            if_match: change.if_match,
            ..Request::delete(&path)
        };
        let console = Console {
            columns: DELETED,
            ..self
        };
        console.write_with(request, change.write).await
    }

    /// Sends `request` with the key given, or with a fresh one.
    async fn write_with(
        &self,
        request: Request<'_>,
        write: WriteOptions,
    ) -> Result<(), ClientError> {
        let key = match write.idempotency_key {
            Some(key) => key,
            None => new_idempotency_key()?,
        };
        let request = Request {
            idempotency_key: Some(&key),
            ..request
        };
        self.send(&request).await
    }

    /// Changes something of the cluster itself, where keys are of no use.
    pub async fn change(&self, path: &str, body: Option<&Value>) -> Result<(), ClientError> {
        let request = Request {
            idempotency_key: None,
            ..Request::post(path, body, "")
        };
        self.send(&request).await
    }

    /// Sends `request` and prints the answer.
    pub async fn send(&self, request: &Request<'_>) -> Result<(), ClientError> {
        let value = self.api.call(request).await?;
        self.print(&value)
    }

    /// Prints `value`.
    pub fn print(&self, value: &Value) -> Result<(), ClientError> {
        print_line(&render(self.format, self.columns, value))
    }
}

/// The members of a body that are given.
pub fn given<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter();
    given
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Ids are the same whether JSON number or text; what looks like a whole number is sent as one.
pub fn id_value(id: &str) -> Value {
    match id.parse::<i64>() {
        Ok(number) if number.to_string() == id => number.into(),
        _ => id.into(),
    }
}

pub fn with_id(mut body: Value, id: Option<String>) -> Value {
    if let Some(id) = id {
        body["id"] = id_value(&id);
    }
    body
}

pub fn item_path(collection: &str, id: &str) -> String {
    format!("{collection}/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_that_look_like_numbers_are_sent_as_numbers() {
        assert_eq!(id_value("7"), json!(7));
        assert_eq!(id_value("-7"), json!(-7));
        assert_eq!(id_value("007"), json!("007"));
        assert_eq!(id_value("lab 1"), json!("lab 1"));
    }

    #[test]
    fn ids_are_percent_encoded_in_paths() {
        assert_eq!(
            item_path("/api/v1/printers", "a/b ä"),
            "/api/v1/printers/a%2Fb%20%C3%A4"
        );
    }
}
