//! The door of Node-API.
//!
//! `call` is a function as napi-rs makes them. `decide` reads its arguments itself, the strings into memory that it has once
//! for all calls, and answers with numbers in an array that JavaScript has, too: arguments as napi-rs reads them would take
//! longer than deciding, and a new object for each answer as long as all of it (`BENCH.md`).

#![allow(unsafe_code, reason = "Node-API is C; the macros of napi-derive write the rest of it")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::bindgen_prelude::{Object, Uint8Array};
use napi::{Env, JsValue as _, sys};
use napi_derive::napi;

use crate::fast::{self, Numbers, kind};
use crate::head::{ROOM, Written};

/// Answers an operation; see `call`.
#[napi(catch_unwind)]
pub(crate) fn call(operation: String, handle: u32, input: Uint8Array) -> String {
    crate::call::call(&operation, handle, &input)
}

/// A string has a code unit above 0xFF.
const NOT_OCTETS: i32 = -2;

/// What `decide` works with: the numbers that JavaScript reads, and room for strings.
struct Work {
    numbers: *mut Numbers,
    units: [u16; ROOM],
    octets: [u8; ROOM],
}

/// Adds `decide`, and the array `numbers` that it writes.
#[napi(module_exports)]
pub(crate) fn exports(exports: Object<'_>, env: Env) -> napi::Result<()> {
    let raw = env.raw();
    let mut data = ptr::null_mut();
    let (mut buffer, mut array, mut kept, mut function, mut empty) =
        (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: `raw` is the environment that Node-API has called with, and each out pointer is that of a local variable. The
    // reference that is created keeps the buffer, and so what `data` points to, for the life of the environment.
    let buffers = unsafe {
        [
            sys::napi_create_arraybuffer(raw, size_of::<Numbers>(), &mut data, &mut buffer),
            sys::napi_create_reference(raw, buffer, 1, &mut kept),
            sys::napi_create_typedarray(raw, sys::TypedarrayType::uint32_array, size_of::<Numbers>() / 4, buffer, 0, &mut array),
            sys::napi_set_named_property(raw, exports.raw(), c"numbers".as_ptr(), array),
        ]
    };
    // Never freed: `decide` can be called as long as the environment lives.
    let work = Box::leak(Box::new(Work { numbers: data.cast(), units: [0; ROOM], octets: [0; ROOM] }));
    // SAFETY: as above; `work` lives as long as the process.
    let functions = unsafe {
        [
            sys::napi_create_function(raw, c"decide".as_ptr(), 6, Some(decide), ptr::from_mut(work).cast(), &mut function),
            sys::napi_set_named_property(raw, exports.raw(), c"decide".as_ptr(), function),
            sys::napi_create_function(raw, c"nothing".as_ptr(), 7, Some(nothing), ptr::null_mut(), &mut empty),
            sys::napi_set_named_property(raw, exports.raw(), c"nothing".as_ptr(), empty),
        ]
    };
    let statuses = [buffers, functions].concat();
    if statuses.iter().all(|status| *status == sys::Status::napi_ok) {
        Ok(())
    } else {
        Err(napi::Error::from_reason("the module cannot be set up"))
    }
}

/// `decide(place, bits, target, host, lines, pick)`: the kind of the decision, or why there is none; never throws.
extern "C" fn decide(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let decided = catch_unwind(AssertUnwindSafe(|| decide_in(env, info))).unwrap_or(kind::MALFORMED);
    let mut result = ptr::null_mut();
    // SAFETY: `env` is the environment of this call, and `result` a local variable.
    unsafe { sys::napi_create_int32(env, decided, &mut result) };
    result
}

/// What a call costs that does nothing: for the benchmark.
extern "C" fn nothing(_env: sys::napi_env, _info: sys::napi_callback_info) -> sys::napi_value {
    ptr::null_mut()
}

#[inline]
fn decide_in(env: sys::napi_env, info: sys::napi_callback_info) -> i32 {
    let mut arguments: [sys::napi_value; 6] = [ptr::null_mut(); 6];
    let (mut count, mut data) = (arguments.len(), ptr::null_mut());
    // SAFETY: `arguments` has room for `count` values.
    let status = unsafe { sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), ptr::null_mut(), &mut data) };
    let [place_value, bits_value, target_value, host_value, lines_value, pick_value] = arguments;
    let (mut place, mut bits, mut pick) = (0, 0, 0.0);
    // SAFETY: the values are those of this call (missing ones are `undefined`), the out pointers those of local variables.
    let statuses = unsafe {
        [
            status,
            sys::napi_get_value_uint32(env, place_value, &mut place),
            sys::napi_get_value_uint32(env, bits_value, &mut bits),
            sys::napi_get_value_double(env, pick_value, &mut pick),
        ]
    };
    if data.is_null() || statuses.iter().any(|status| *status != sys::Status::napi_ok) {
        return kind::MALFORMED;
    }
    // SAFETY: `data` is the memory that `exports` has leaked for this function of this environment. An environment has one
    // thread, and no JavaScript runs before this call returns: nobody else has it.
    let work = unsafe { &mut *data.cast::<Work>() };
    let mut octets = &mut work.octets[..];
    let mut all = 0;
    let mut read = |value, wanted: bool| {
        if !wanted {
            return Some(&[][..]);
        }
        let mut length = 0;
        // SAFETY: `units` has room for as many code units as are said, a NUL at the end included.
        let status = unsafe { sys::napi_get_value_string_utf16(env, value, work.units.as_mut_ptr(), work.units.len(), &mut length) };
        // A longer string would be cut without a word, too.
        let whole = status == sys::Status::napi_ok && length < ROOM - 1;
        let units = work.units.get(..length).filter(|_| whole)?;
        let (piece, rest) = std::mem::take(&mut octets).split_at_mut_checked(length)?;
        octets = rest;
        // Read as UTF-16, since Node-API would cut larger code units to their low octet without a word, and another request
        // would be decided than the one that came.
        for (octet, unit) in piece.iter_mut().zip(units) {
            all |= unit;
            *octet = *unit as u8;
        }
        Some(&*piece)
    };
    let pieces = (read(target_value, true), read(host_value, bits & 8 != 0), read(lines_value, bits >> 4 != 0));
    let (Some(target), Some(host), Some(lines)) = pieces else { return kind::MALFORMED };
    if all > 0xff {
        return NOT_OCTETS;
    }
    let mut numbers = [0; 6];
    let kind = fast::decide(place, Written { bits, target, host, lines }, fast::pick(pick), &mut numbers);
    // SAFETY: `numbers` is the memory of the array buffer of `exports`: of this size, aligned as engines align buffers, and
    // kept alive by a reference.
    unsafe { work.numbers.write(numbers) };
    kind
}
