//! The door of Node-API.
//!
//! `call` is a function as napi-rs makes them. `decide` reads its four arguments itself: as napi-rs would read them, that
//! alone would take longer than deciding (`BENCH.md`). It writes into an array that JavaScript has, too, because a new
//! object for each answer costs more than all of it.

#![allow(unsafe_code, reason = "Node-API is C; the macros of napi-derive write the rest of it")]

use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::bindgen_prelude::{Object, Uint8Array};
use napi::{Env, JsValue as _, sys};
use napi_derive::napi;

use crate::fast::{self, Numbers, kind};
use crate::head::Lengths;

/// Code units that are read without an allocation: more than most requests have.
const SHORT: usize = 1024;

/// Beside the kinds: a string has a code unit above 0xFF.
const NOT_OCTETS: i32 = -2;

/// Answers an operation; see `call`.
#[napi(catch_unwind)]
pub(crate) fn call(operation: String, handle: u32, input: Uint8Array) -> String {
    crate::call::call(&operation, handle, &input)
}

/// Adds `decide` and the array `numbers` that it writes into.
#[napi(module_exports)]
pub(crate) fn exports(exports: Object<'_>, env: Env) -> napi::Result<()> {
    let raw = env.raw();
    let mut data = ptr::null_mut();
    let (mut buffer, mut array, mut kept, mut function) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: `raw` is the environment that Node-API has called with, and each out pointer is that of a local variable. The
    // reference that is created keeps the buffer, and so what `data` points to, for the life of the environment: as long as
    // `decide` can be called.
    let statuses = unsafe {
        [
            sys::napi_create_arraybuffer(raw, size_of::<Numbers>(), &mut data, &mut buffer),
            sys::napi_create_typedarray(raw, sys::TypedarrayType::uint32_array, size_of::<Numbers>() / 4, buffer, 0, &mut array),
            sys::napi_create_reference(raw, buffer, 1, &mut kept),
            sys::napi_create_function(raw, c"decide".as_ptr(), 6, Some(decide), data, &mut function),
            sys::napi_set_named_property(raw, exports.raw(), c"decide".as_ptr(), function),
            sys::napi_set_named_property(raw, exports.raw(), c"numbers".as_ptr(), array),
            sys::napi_create_function(raw, c"nothing".as_ptr(), 7, Some(nothing), ptr::null_mut(), &mut function),
            sys::napi_set_named_property(raw, exports.raw(), c"nothing".as_ptr(), function),
        ]
    };
    if statuses.iter().all(|status| *status == sys::Status::napi_ok) {
        Ok(())
    } else {
        Err(napi::Error::from_reason("the module cannot be set up"))
    }
}

/// `decide(place, octets, lengths, pick)`: the kind of the decision, or why there is none; never throws.
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
    let mut arguments: [sys::napi_value; 4] = [ptr::null_mut(); 4];
    let (mut count, mut data) = (arguments.len(), ptr::null_mut());
    // SAFETY: `arguments` has room for `count` values.
    let status = unsafe { sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), ptr::null_mut(), &mut data) };
    let [place_value, text, lengths_value, pick_value] = arguments;
    let (mut place, mut lengths, mut pick) = (0, 0.0, 0.0);
    // SAFETY: the values are those of this call (missing ones are `undefined`), the out pointers those of local variables.
    let statuses = unsafe {
        [
            status,
            sys::napi_get_value_uint32(env, place_value, &mut place),
            sys::napi_get_value_double(env, lengths_value, &mut lengths),
            sys::napi_get_value_double(env, pick_value, &mut pick),
        ]
    };
    if data.is_null() || statuses.iter().any(|status| *status != sys::Status::napi_ok) {
        return kind::MALFORMED;
    }
    read(env, text, |octets| {
        let mut numbers = [0; 6];
        let kind = fast::decide(place, octets, Lengths::unpack(lengths), fast::pick(pick), &mut numbers);
        // SAFETY: `data` is the memory of the array buffer that `exports` has made for this function: of this size, aligned as
        // the engine aligns buffers, kept alive by a reference, and written by this thread alone.
        unsafe { data.cast::<Numbers>().write(numbers) };
        kind
    })
}

/// The octets of a string of code units up to 0xFF. Read as UTF-16, since Node-API would cut larger ones to their low octet
/// without a word, and another request would be decided than the one that came.
#[inline]
fn read(env: sys::napi_env, value: sys::napi_value, then: impl FnOnce(&[u8]) -> i32) -> i32 {
    let mut units: [MaybeUninit<u16>; SHORT] = [MaybeUninit::uninit(); SHORT];
    let mut length = 0;
    // SAFETY: `units` has room for `SHORT` code units, of which Node-API writes at most one less and a NUL.
    let status = unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr().cast(), SHORT, &mut length) };
    if status != sys::Status::napi_ok {
        return kind::MALFORMED;
    }
    if length < SHORT - 1 {
        let mut octets: [u8; SHORT] = [0; SHORT];
        let mut all = 0;
        for (octet, unit) in octets.iter_mut().zip(&units).take(length) {
            // SAFETY: Node-API has written the first `length` code units.
            let unit = unsafe { unit.assume_init() };
            all |= unit;
            *octet = unit as u8;
        }
        return if all > 0xff { NOT_OCTETS } else { then(octets.get(..length).unwrap_or_default()) };
    }
    // SAFETY: without a buffer only the length is written.
    let status = unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &mut length) };
    let mut units = vec![0_u16; length.saturating_add(1)];
    if status != sys::Status::napi_ok {
        return kind::MALFORMED;
    }
    // SAFETY: `units` has room for as many code units as are said, of which the last is a NUL.
    let status = unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr(), units.len(), &mut length) };
    let octets: Option<Vec<u8>> = units.iter().take(length).map(|unit| u8::try_from(*unit).ok()).collect();
    match octets {
        Some(octets) if status == sys::Status::napi_ok => then(&octets),
        _ => NOT_OCTETS,
    }
}
