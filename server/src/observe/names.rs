//! The labels of series: names from manifests, and words from fixed lists.

use http::Method;

/// Where a request was decided, by names from the manifests; what is not known is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Names {
    /// `namespace/name` of the Gateway.
    pub(crate) gateway: String,
    /// Name of the listener; `namespace/set/name` for that of a ListenerSet.
    pub(crate) listener: String,
    /// `Kind/namespace/name` of the route.
    pub(crate) route: String,
    /// Name of the rule, or its index.
    pub(crate) rule: String,
    /// `namespace/name:port` of the backend.
    pub(crate) backend: String,
}

impl Names {
    /// As labels.
    pub(super) fn labels(&self) -> [(&'static str, &str); 5] {
        [("gateway", &self.gateway), ("listener", &self.listener), ("route", &self.route), ("rule", &self.rule), ("backend", &self.backend)]
    }
}

/// The methods that are told apart: those that OpenTelemetry knows, by the index that stands for each.
const METHODS: [&str; 10] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "_OTHER"];

/// The index of a method.
pub(super) fn method_index(method: &Method) -> u8 {
    let known = METHODS.iter().position(|name| *name == method.as_str());
    u8::try_from(known.unwrap_or(METHODS.len() - 1)).unwrap_or_default()
}

/// The word for an index.
pub(super) fn method_word(index: u8) -> &'static str {
    METHODS.get(usize::from(index)).copied().unwrap_or("_OTHER")
}

/// Statuses that are told apart: those that IANA lists. A backend may answer with any other.
pub(super) fn status_index(status: http::StatusCode) -> u16 {
    if status.canonical_reason().is_some() { status.as_u16() } else { 0 }
}

/// The word for an index.
pub(super) fn status_word(index: u16) -> String {
    if index == 0 { "_OTHER".to_owned() } else { index.to_string() }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn only_words_of_the_lists() {
        for (method, word) in [("GET", "GET"), ("get", "_OTHER"), ("PROPFIND", "_OTHER"), ("_OTHER", "_OTHER")] {
            assert_eq!(method_word(method_index(&method.parse().unwrap())), word);
        }
        for (status, word) in [(200, "200"), (404, "404"), (299, "_OTHER"), (999, "_OTHER")] {
            assert_eq!(status_word(status_index(StatusCode::from_u16(status).unwrap())), word);
        }
    }
}
