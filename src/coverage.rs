//! What has been executed, counted by the compiler: only in the build of `npm run coverage`, which reads it
//! with `scripts/lib/coverage/`.

use std::ptr::from_ref;
use wasm_bindgen::prelude::wasm_bindgen;

/// LLVM wants a runtime of this name, which would write files; here `coverage` takes its place.
#[unsafe(no_mangle)]
static __llvm_profile_runtime: i32 = 0;

unsafe extern "C" {
    #[link_name = "__start___llvm_prf_data"]
    static DATA: u8;
    #[link_name = "__stop___llvm_prf_data"]
    static DATA_END: u8;
    #[link_name = "__start___llvm_prf_cnts"]
    static COUNTERS: u8;
    #[link_name = "__stop___llvm_prf_cnts"]
    static COUNTERS_END: u8;
}

/// What this instance has executed so far: the address of the functions' records, their length, the address of
/// the counters and their length, four times 32 bits in bytes, then the records and the counters themselves.
#[wasm_bindgen]
pub fn coverage() -> Vec<u8> {
    // SAFETY: the linker puts these symbols at the ends of two parts of memory that live as long as the
    // instance does; nobody else runs while they are copied.
    let (data, counters) = unsafe {
        (
            between(from_ref(&DATA), from_ref(&DATA_END)),
            between(from_ref(&COUNTERS), from_ref(&COUNTERS_END)),
        )
    };
    let mut dump = Vec::with_capacity(16 + data.len() + counters.len());
    for part in [data, counters] {
        dump.extend((part.as_ptr() as u32).to_le_bytes());
        dump.extend((part.len() as u32).to_le_bytes());
    }
    dump.extend_from_slice(data);
    dump.extend_from_slice(counters);
    dump
}

/// The bytes from one address to another.
///
/// # Safety
///
/// All of them must be of one part of memory that is never given back.
unsafe fn between(start: *const u8, end: *const u8) -> &'static [u8] {
    // SAFETY: as the caller promises.
    unsafe { std::slice::from_raw_parts(start, end as usize - start as usize) }
}
