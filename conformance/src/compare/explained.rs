//! The index of the table against the matches themselves: what `decide` finds must be the first match of `explain`, which
//! asks every match by itself. On crowded tables, with regular expressions and special fields among the conditions, and
//! under every option that orders or reads what is matched.

use gatewright::explain::Verdict;
use gatewright::options::{QueryDecoding, RegexRank, RepeatedHeaders, RepeatedQuery};
use gatewright::resource::http_route::ValueMatchType;
use gatewright::{Arrival, Authority, Options, Pick, Request, Resources, compile};

use super::mutate::Mutator;
use crate::sets;
use crate::world::Random;

const PER_TABLE: usize = 64;

/// Many rules that overlap, and many rules of one path: those have an index by conditions.
const SETS: [&str; 4] = ["crowded", "one_path_header", "one_path_query", "one_path_method_and_two_headers"];

/// Tries this many requests from this seed.
///
/// # Errors
///
/// The first difference.
pub(crate) fn index(seed: u64, cases: u64) -> Result<(), String> {
    let mut random = Random(seed);
    let mut found = 0;
    for _ in 0..cases.div_ceil(PER_TABLE as u64) {
        let most = *random.of(&[20, 80, 300]);
        let rules = 1 + random.below(most);
        let name = *random.of(&SETS);
        let set = sets::set_with_requests(name, rules, PER_TABLE, random.number()).ok_or("no such set")?;
        let mut resources = set.resources();
        vary(&mut random, &mut resources);
        let mut options = Options::default();
        options.regex_rank = *random.of(RegexRank::ALL);
        options.repeated_headers = *random.of(RepeatedHeaders::ALL);
        options.repeated_query = *random.of(RepeatedQuery::ALL);
        options.query_decoding = *random.of(QueryDecoding::ALL);
        let table = compile(&resources, &options).table;
        let mutator = Mutator::new(&set);
        for request in &set.requests {
            let mut request = request.clone();
            mutator.change(&mut random, &mut request);
            if random.one_in(4) {
                repeat(&mut random, &mut request.headers);
            }
            let target = request.target();
            let asked = Request {
                arrival: Arrival::on(table.ports()[0].id),
                method: &request.method,
                scheme: None,
                authority: Authority::Given(request.host.as_bytes()),
                target: target.as_bytes(),
                headers: &request.headers,
            };
            let decision = table.decide(&asked, Pick(random.number()));
            let decided = decision.matched().map(|matched| table.match_report(matched));
            let explained = table.explain(&asked, Pick(0));
            let first = explained.candidates.iter().find(|one| !matches!(one.verdict, Verdict::Failed { .. }));
            let place = |m: &gatewright::report::MatchReport| (m.route.clone(), m.rule, m.match_);
            found += u64::from(decided.is_some());
            // The winner is not called failed; that it does not hold shows in what it is said to win by.
            let does_not_hold = explained.won_by.as_deref().is_some_and(|by| by.contains("preflight"));
            if does_not_hold || decided.as_ref().map(place) != first.map(|one| place(&one.place)) {
                return Err(format!("{:?}\n{request:#?}\ndecided: {decided:?}\n{explained}", options.chosen()));
            }
        }
    }
    // A property of nothing would hold.
    if found * 4 < cases { Err(format!("only {found} of {cases} requests match")) } else { Ok(()) }
}

/// Further lines of some fields, more combinations of them than an index tries one by one.
fn repeat(random: &mut Random, headers: &mut Vec<(String, String)>) {
    let lines = std::mem::take(headers);
    for (name, value) in &lines {
        let others: Vec<&String> = lines.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect();
        let most = *random.of(&[1, 9, 60]);
        for n in 0..random.below(most) {
            let other = if random.one_in(3) { (*random.of(&others)).clone() } else { format!("other-{n}") };
            headers.push((name.clone(), other));
        }
        headers.push((name.clone(), value.clone()));
    }
}

/// Conditions that no comparison settles: the same values as regular expressions, and fields that are read in their own way.
fn vary(random: &mut Random, resources: &mut Resources) {
    let rules = resources.http_routes.iter_mut().filter_map(|route| route.spec.rules.as_mut()).flatten();
    for m in rules.flat_map(|rule| &mut rule.matches) {
        for header in &mut m.headers {
            match random.below(8) {
                0 => header.type_ = Some(ValueMatchType::RegularExpression),
                1 => header.name = "cookie".to_owned(),
                2 => header.name = "host".to_owned(),
                _ => {}
            }
        }
        for query in m.query_params.iter_mut().filter(|_| random.one_in(6)) {
            query.type_ = Some(ValueMatchType::RegularExpression);
        }
    }
}
