//! Instructions of a thousand decisions, and of compiling a thousand rules, counted by valgrind: the same on every run, however
//! busy the machine is. `cargo xtask instructions` runs it.
#![allow(missing_docs, reason = "the harness makes modules and constants of its own")]

use std::hint::black_box;

use gatewright_benches::contender::{Contender, prepare};
use gatewright_benches::engine::{Engine, HttpRequest};
use gatewright_benches::floor::Floor;
use gatewright_benches::plain::Plain;
use gatewright_conformance::sets;
use gungraun::{library_benchmark, library_benchmark_group, main};

const REQUESTS: usize = 1_000;

type Strict = Engine<true>;
type Ready<C, R> = (C, Vec<(usize, R)>);

fn ready<C: Contender>(set: &str, rules: usize) -> Ready<C, C::Request> {
    let set = sets::set_with_requests(set, rules, REQUESTS, 1).expect("there is a set of this name");
    let contender = C::build(&C::source(&set));
    let requests = prepare(&contender, &set.requests);
    // What grows on first use has grown.
    decide(&contender, &requests);
    (contender, requests)
}

fn decide<C: Contender>(contender: &C, requests: &[(usize, C::Request)]) {
    for (_, request) in requests {
        black_box(contender.find(black_box(request)));
    }
}

#[library_benchmark(setup = ready::<Strict>)]
#[bench::standard_1000("standard", 1_000)]
#[bench::standard_10000("standard", 10_000)]
#[bench::one_host_1000("one_host", 1_000)]
#[bench::one_path_header_1000("one_path_header", 1_000)]
#[bench::one_path_query_1000("one_path_query", 1_000)]
#[bench::regex_paths_1000("regex_paths", 1_000)]
#[bench::nested_wildcards_1000("nested_wildcards", 1_000)]
#[bench::long_paths_1000("long_paths", 1_000)]
#[bench::many_headers_1000("many_headers", 1_000)]
#[bench::crowded_1000("crowded", 1_000)]
fn strict((table, requests): Ready<Strict, HttpRequest>) -> Ready<Strict, HttpRequest> {
    decide(&table, &requests);
    // Given back, so that dropping it is not counted.
    (table, requests)
}

#[library_benchmark(setup = ready::<Engine<false>>)]
#[bench::standard_1000("standard", 1_000)]
fn compatible((table, requests): Ready<Engine<false>, HttpRequest>) -> Ready<Engine<false>, HttpRequest> {
    decide(&table, &requests);
    (table, requests)
}

#[library_benchmark(setup = ready::<Floor>)]
#[bench::standard_1000("standard", 1_000)]
fn floor((table, requests): Ready<Floor, Plain>) -> Ready<Floor, Plain> {
    decide(&table, &requests);
    (table, requests)
}

fn source(rules: usize) -> <Strict as Contender>::Source {
    let set = sets::set_with_requests("standard", rules, 1, 1).expect("there is a set of this name");
    Strict::source(&set)
}

#[library_benchmark(setup = source)]
#[bench::standard_1000(1_000)]
fn compile(source: <Strict as Contender>::Source) -> (Strict, <Strict as Contender>::Source) {
    (Strict::build(&source), source)
}

library_benchmark_group!(name = all, benchmarks = [strict, compatible, floor, compile]);
main!(library_benchmark_groups = all);
