//! The door of WebAssembly: exports of a module that imports nothing. JavaScript writes into a buffer of this module and
//! reads from one; the module has one thread.

#![allow(unsafe_code, reason = "`no_mangle` is an unsafe attribute: the names of exports are the interface")]

use std::cell::RefCell;

use crate::fast::{self, Numbers};
use crate::head::Lengths;

thread_local! {
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
    static NUMBERS: RefCell<Numbers> = const { RefCell::new([0; 6]) };
}

/// Makes room for so many octets of input, and says where.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        input.resize(length, 0);
        input.as_mut_ptr()
    })
}

/// Where the numbers of the last decision are.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_numbers() -> *const u32 {
    NUMBERS.with_borrow(|numbers| numbers.as_ptr())
}

/// Decides the request whose octets are the first of the input.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_decide(place: u32, length: usize, lengths: f64, pick: f64) -> i32 {
    INPUT.with_borrow(|input| {
        let octets = input.get(..length).unwrap_or_default();
        NUMBERS.with_borrow_mut(|numbers| fast::decide(place, octets, Lengths::unpack(lengths), fast::pick(pick), numbers))
    })
}

/// Answers an operation: its name is the first octets of the input, what it is about the rest. Gives the length of the
/// answer.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_call(name: usize, handle: u32) -> usize {
    let input = INPUT.take();
    let (operation, rest) = input.split_at_checked(name).unwrap_or_default();
    let answer = crate::call::call(&String::from_utf8_lossy(operation), handle, rest);
    let length = answer.len();
    OUTPUT.set(answer);
    length
}

/// Where the answer is.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_output() -> *const u8 {
    OUTPUT.with_borrow(|output| output.as_ptr())
}
