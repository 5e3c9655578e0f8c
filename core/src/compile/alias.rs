//! Header names that are aliases of each other ([R-F4]).

use std::collections::BTreeSet;

use super::findings::Findings;
use crate::canonical::KnownFields;
use crate::diagnostic::Code;
use crate::options::AliasHeaders;
use crate::table::Inner;
use crate::table::rule::RuleData;

/// Learns the header names that the table refers to, and takes matches on aliases of other names out of the game:
/// such fields are dropped before matching. `owners` are the findings of each rule.
pub(crate) fn hide(inner: &mut Inner, owners: &[usize], findings: &mut [Findings]) {
    let of_matches = inner.match_data.iter().flat_map(|data| data.matcher.headers()).map(|header| &header.name);
    let of_filters = inner.rule_data.iter().flat_map(RuleData::request_header_names);
    inner.known_fields = KnownFields::new(of_matches.chain(of_filters));
    if inner.choices.alias_headers == AliasHeaders::Keep {
        return;
    }
    // A rule may be in the table more than once, through several kinds of parents.
    let mut told = BTreeSet::new();
    for (data, info) in inner.match_data.iter_mut().zip(&inner.matches) {
        for header in data.matcher.headers_mut() {
            let Some(original) = inner.known_fields.original(header.name.as_str().as_bytes()) else { continue };
            header.dropped = true;
            let rule = usize::try_from(info.rule.0).unwrap_or(usize::MAX);
            let owner = owners.get(rule).copied();
            let (Some(owner), Some(rule)) = (owner, inner.rules.get(rule)) else { continue };
            let path = format!("spec.rules[{}].matches[{}].headers", rule.index, info.index);
            if let (true, Some(findings)) = (told.insert((owner, path.clone(), header.name.clone().to_string())), findings.get_mut(owner)) {
                let message = format!(
                    "header `{}` is an alias of `{original}` and dropped from requests, so this match never holds (option `alias_headers`)",
                    header.name
                );
                findings.warning(Code::InvalidValue, path, message);
            }
        }
    }
}
