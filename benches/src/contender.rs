//! What is compared: the engine, the floor and the peers, each behind the same four questions.

use gatewright_conformance::sets::{RouteSet, SetRequest};

use crate::engine::Engine;
use crate::floor::Floor;
use crate::peers::{Atc, Matchit, PathTree, PerHost, RegexSets, Wayfind};

/// A router that is measured.
pub trait Contender: Sized {
    /// Its name in tables.
    const NAME: &'static str;

    /// What it cannot express of a rule, in a few words; empty if nothing.
    const LACKS: &'static str;

    /// The most rules for which it is asked; above it a measurement takes too long, or too much memory.
    const MOST_RULES: usize = usize::MAX;

    /// A request in the form that its interface takes.
    type Request;

    /// What [`build`](Self::build) starts from; parsed, not yet compiled.
    type Source;

    /// The rules in the form that its interface takes. Not part of the time it takes to build.
    fn source(set: &RouteSet) -> Self::Source;

    /// Compiles the rules.
    fn build(source: &Self::Source) -> Self;

    /// Makes a request ready. Not part of the time of a lookup.
    fn prepare(&self, request: &SetRequest) -> Self::Request;

    /// Reads every byte of a request, as the code that parsed it has just done.
    fn touch(request: &Self::Request) -> usize;

    /// What it answers.
    type Found;

    /// Asks for the rule for a request. This is what is timed.
    fn find(&self, request: &Self::Request) -> Self::Found;

    /// What leads from answers to the rules of the set. Not part of what is measured.
    type Names;

    /// Makes it.
    fn names(&self, set: &RouteSet) -> Self::Names;

    /// The rule of an answer, as index in [`RouteSet::rules`].
    fn rule(names: &Self::Names, found: &Self::Found) -> Option<u32>;

    /// Says why, if it can. Timed, too.
    fn explain(&self, _request: &Self::Request) -> bool {
        false
    }
}

/// The requests of a set, ready for a contender, in random order; each with its place in the set.
///
/// They are made one after the other in that order, so that neighbours in memory are neighbours in time for every contender.
pub fn prepare<C: Contender>(contender: &C, requests: &[SetRequest]) -> Vec<(usize, C::Request)> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    let mut state = 1_u64;
    for n in (1..order.len()).rev() {
        // Knuth's MMIX generator; good enough for an order.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(n, (state >> 33) as usize % (n + 1));
    }
    order.into_iter().map(|n| (n, contender.prepare(&requests[n]))).collect()
}

/// What is done with each contender.
pub trait Visit {
    /// Does it.
    fn visit<C: Contender>(&mut self);
}

/// Does it with all of them: the engine first, then the floor, then the peers.
pub fn visit_all(visitor: &mut impl Visit) {
    visitor.visit::<Engine<true>>();
    visitor.visit::<Engine<false>>();
    visitor.visit::<Floor>();
    visitor.visit::<PerHost<Matchit>>();
    visitor.visit::<PerHost<Wayfind>>();
    visitor.visit::<PerHost<PathTree>>();
    visitor.visit::<RegexSets>();
    visitor.visit::<Atc>();
}
