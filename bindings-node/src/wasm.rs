//! The door of WebAssembly: exports of a module that imports nothing. JavaScript writes into memory of this module and reads
//! from it; the module has one thread.

#![allow(unsafe_code, reason = "`no_mangle` is an unsafe attribute: the names of exports are the interface")]
#![allow(unreachable_pub, reason = "exports of the module")]

use std::cell::RefCell;

use crate::fast::{self, Numbers};
use crate::head::{ROOM, Written};

/// The memory that JavaScript writes requests into, and reads numbers from.
#[repr(C)]
pub struct Shared {
    numbers: Numbers,
    octets: [u8; ROOM],
}

thread_local! {
    static SHARED: RefCell<Shared> = const { RefCell::new(Shared { numbers: [0; 6], octets: [0; ROOM] }) };
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where the memory is that `gatewright_decide` reads and writes.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_shared() -> *mut Shared {
    SHARED.with(RefCell::as_ptr)
}

/// Decides the request whose target, host and lines stand one after the other, of these lengths.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_decide(place: u32, bits: u32, target: usize, host: usize, lines: usize, pick: f64) -> i32 {
    SHARED.with_borrow_mut(|Shared { numbers, octets }| {
        let pieces = octets.split_at_checked(target).and_then(|(target, rest)| {
            let (host, rest) = rest.split_at_checked(host)?;
            Some(Written { bits, target, host, lines: rest.get(..lines)? })
        });
        pieces.map_or(fast::kind::MALFORMED, |written| fast::decide(place, written, fast::pick(pick), numbers))
    })
}

/// Makes room for the input of an operation, and says where.
#[unsafe(no_mangle)]
pub extern "C" fn gatewright_input(length: usize) -> *mut u8 {
    INPUT.with_borrow_mut(|input| {
        *input = vec![0; length];
        input.as_mut_ptr()
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
