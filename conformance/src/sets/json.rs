//! Reads the sets that other programs are measured on, too: the JSON of the generator in `shared/bench`.

use std::path::Path;

use serde::Deserialize;

use super::{RouteSet, SetPath, SetRequest, SetRule};

/// The rule that answers each request, as the generator says.
pub type Expected = Vec<Option<usize>>;

#[derive(Deserialize)]
struct File {
    rules: Vec<Rule>,
    requests: Vec<Request>,
}

#[derive(Deserialize)]
struct Rule {
    host: String,
    path: PathOf,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct PathOf {
    t: String,
    v: String,
}

#[derive(Deserialize)]
struct Request {
    host: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    expect: Option<usize>,
}

/// Reads a set of `gen.py`, with the rule that it expects for each request.
///
/// # Errors
///
/// A file that cannot be read, or is another one.
pub fn from_json(path: impl AsRef<Path>) -> Result<(RouteSet, Expected), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    read(&text)
}

fn read(text: &str) -> Result<(RouteSet, Expected), String> {
    let file: File = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let rules = file.rules.into_iter().map(|rule| {
        let path = match (&*rule.path.t, rule.path.v) {
            ("Exact", text) => SetPath::Exact(text),
            ("Prefix", text) => SetPath::Prefix(text),
            ("Regex", text) => SetPath::Regex(text),
            (other, _) => return Err(format!("`{other}` is no kind of path")),
        };
        Ok(SetRule { host: Some(rule.host), path, headers: rule.headers, queries: rule.query, ..SetRule::default() })
    });
    let rules = rules.collect::<Result<_, _>>()?;
    let expected = file.requests.iter().map(|request| request.expect).collect();
    let request = |request: Request| SetRequest {
        host: request.host,
        method: request.method,
        path: request.path,
        query: Some(request.query).filter(|query| !query.is_empty()),
        headers: request.headers,
    };
    Ok((RouteSet { name: "json", rules, requests: file.requests.into_iter().map(request).collect() }, expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sets::Plain;

    /// Two rules and two requests as `gen.py` writes them.
    #[test]
    fn read_and_answered() {
        let text = r#"{"n":2,"hosts":["h.example.com"],"rules":[
            {"id":0,"host":"h.example.com","path":{"t":"Prefix","v":"/a"},"headers":[["x-version","v1"]],"query":[],"rank":0},
            {"id":1,"host":"h.example.com","path":{"t":"Exact","v":"/a"},"headers":[],"query":[["debug","1"]],"rank":1}],
            "requests":[
            {"host":"h.example.com","method":"GET","path":"/a","query":"page=1&debug=1","headers":[["x-version","v1"]],"expect":1},
            {"host":"h.example.com","method":"POST","path":"/a/b","query":"","headers":[["accept","x"]],"expect":null}]}"#;
        let (set, expected) = read(text).unwrap();
        assert_eq!(set.requests[1].query, None);
        let plain = Plain::new(&set.rules);
        assert_eq!(set.requests.iter().map(|request| plain.decide(request)).collect::<Vec<_>>(), expected);
        assert!(read("{}").is_err());
    }
}
