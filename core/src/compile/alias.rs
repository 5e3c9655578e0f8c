//! Header names that are aliases of each other ([R-F4]).

use std::collections::BTreeSet;

use super::draft::ViewRules;
use super::findings::Findings;
use crate::canonical::KnownFields;
use crate::diagnostic::Code;
use crate::options::{AliasHeaders, Options};

/// Learns the header names that the routes refer to, and takes matches on aliases of other names out of the game:
/// such fields are dropped before matching. Rules and findings stand in the order of the routes.
pub(crate) fn hide(routes: &mut [Vec<ViewRules>], options: &Options, findings: &mut [Findings]) -> KnownFields {
    let rules = || routes.iter().flatten().flat_map(|view| &view.rules);
    let of_matches = rules().flat_map(|rule| &rule.matchers).flat_map(|matcher| matcher.headers()).map(|header| &header.name);
    let of_filters = rules().flat_map(|rule| rule.data.request_header_names());
    let known = KnownFields::new(of_matches.chain(of_filters));
    if options.alias_headers == AliasHeaders::Keep {
        return known;
    }
    for (views, findings) in routes.iter_mut().zip(findings) {
        // A rule may be there more than once, through several kinds of parents.
        let mut told = BTreeSet::new();
        for rule in views.iter_mut().flat_map(|view| &mut view.rules) {
            for (n, matcher) in rule.matchers.iter_mut().enumerate() {
                for header in matcher.headers_mut() {
                    let Some(original) = known.original(header.name.as_str().as_bytes()) else { continue };
                    header.dropped = true;
                    let path = format!("spec.rules[{}].matches[{n}].headers", rule.index);
                    if told.insert((path.clone(), header.name.clone().to_string())) {
                        let message = format!(
                            "header `{}` is an alias of `{original}` and dropped from requests, so this match never holds (option `alias_headers`)",
                            header.name
                        );
                        findings.warning(Code::InvalidValue, path, message);
                    }
                }
            }
        }
    }
    known
}
