//! What of a request the decisions of a table depend on.

use http::{HeaderName, header};

use super::Table;
use crate::options::AliasHeaders;

impl Table {
    /// The names of the header fields that a decision of this table may depend on, sorted; `None` when it may depend on
    /// any, because aliases of known names are refused ([R-F4]). For callers to whom each field costs something, such as
    /// bindings: a request with these fields alone, beside its authority, is decided alike. What is forwarded is made
    /// of all of them ([`Forward::dropped`](crate::decision::Forward::dropped)).
    ///
    /// Reads the whole table.
    ///
    /// ```
    /// let table = gatewright::Table::default();
    /// let names = table.header_names().unwrap();
    /// assert_eq!(names, ["connection", "content-type"]);
    /// ```
    pub fn header_names(&self) -> Option<Vec<HeaderName>> {
        if self.inner.choices.alias_headers == AliasHeaders::Reject {
            return None;
        }
        // `Connection` hides fields, and a client of gRPC gets another answer.
        let mut names = vec![header::CONNECTION, header::CONTENT_TYPE];
        let rules = self.inner.routes.iter().flatten().flat_map(|route| route.rules.iter());
        for rule in rules {
            names.extend(rule.matchers.iter().flat_map(|matcher| matcher.headers()).map(|header| header.name.clone()));
            let Some(data) = self.rule_data(rule.info.id) else { continue };
            if data.filters.cors.is_some() {
                names.extend([header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_REQUEST_HEADERS]);
            }
            names.extend(data.session().map(|session| session.field().clone()));
        }
        names.extend(self.backends().filter_map(|backend| backend.session.as_ref()).map(|session| session.field().clone()));
        names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        names.dedup();
        Some(names)
    }
}
