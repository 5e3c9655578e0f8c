//! The npm package `gatewright`: a handle on the compiled table of the `gatewright` crate. Conversion and errors, and no
//! rule of routing: what JavaScript needs to know, core is asked.
//!
//! One room with two doors. The doors are `native` (Node-API) and `wasm` (exports of a WebAssembly module that imports
//! nothing); each hands in octets and gets numbers or JSON back:
//!
//! - `fast` decides one request and answers with a handful of numbers, which JavaScript looks up among objects that it has
//!   made before.
//! - `call` does everything else by an operation, a handle and JSON.
//!
//! A decision is a pure function of table, request and pick. So JavaScript keeps these three, and what the numbers do not
//! say is asked again, when it is looked at.

mod budget;
mod call;
mod carry;
mod fast;
mod head;
mod latin;
mod load;
mod options;
mod place;
mod show;
mod tables;

// Unit tests are a program of their own, which no process of Node.js loads.
#[cfg(not(any(target_family = "wasm", test)))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;
