//! Large route sets, made from a seed: what benchmarks measure and what the differential test asks. Each has its
//! requests, and a plain twin says which rule answers each of them.

/// One rule with one match. Its place in [`RouteSet::rules`] is its id, and the order of the manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRule {
    /// `None` is any host; `*.example.com` covers all hosts below it.
    pub host: Option<String>,
    /// The path.
    pub path: SetPath,
    /// The method, if the rule has one.
    pub method: Option<String>,
    /// Header fields with their exact values; names in lower case.
    pub headers: Vec<(String, String)>,
    /// Query parameters with their exact values.
    pub queries: Vec<(String, String)>,
}

/// The path of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetPath {
    /// The whole path.
    Exact(String),
    /// By whole segments, without a slash at the end; `/` covers everything.
    Prefix(String),
    /// A regular expression for the whole path.
    Regex(String),
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRequest {
    /// As sent: with a port, some letters in upper case.
    pub host: String,
    /// The method.
    pub method: String,
    /// The path, canonical.
    pub path: String,
    /// The query, without `?`.
    pub query: Option<String>,
    /// The header fields in the order sent, without Host.
    pub headers: Vec<(String, String)>,
}

/// Rules, and requests for them.
#[derive(Clone, Debug)]
pub struct RouteSet {
    /// A stable name, for instance `standard`.
    pub name: &'static str,
    /// The rules.
    pub rules: Vec<SetRule>,
    /// The requests.
    pub requests: Vec<SetRequest>,
}
