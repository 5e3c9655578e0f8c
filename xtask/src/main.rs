//! The commands that CI and people run.

fn main() {}
