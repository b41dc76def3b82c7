//! Counts what the allocator hands out, to Rust and to C++.
//!
//! Both get their memory from the C library: Rust's system allocator calls it, and so does
//! `operator new`. The functions below take the place of the library's in this program, count, and
//! pass the call on to the library under the names that glibc has for that purpose.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// A counter for itself in the cache, so that counting threads do not wait for one another.
#[repr(align(128))]
struct Counter(AtomicU64);

static COUNTERS: [Counter; 64] = [const { Counter(AtomicU64::new(0)) }; 64];
static NEXT_COUNTER: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's counter; other threads may have the same.
    static COUNTER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// How often the process was given memory so far. Growing a block counts.
pub fn count() -> u64 {
    let counters = COUNTERS.iter();
    counters.map(|c| c.0.load(Ordering::Relaxed)).sum()
}

fn note() {
    let mine = COUNTER.get().unwrap_or_else(|| {
        let mine = NEXT_COUNTER.fetch_add(1, Ordering::Relaxed) % COUNTERS.len();
        COUNTER.set(Some(mine));
        mine
    });
    COUNTERS[mine].0.fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(alignment: usize, size: usize) -> *mut c_void;
}

// SAFETY, for all of them: they have the signatures of the C library's functions, allocate nothing
// themselves, and leave to the library what the caller has promised and what he gets.

#[unsafe(no_mangle)]
unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    note();
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    note();
    unsafe { __libc_calloc(count, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    note();
    unsafe { __libc_realloc(block, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
    note();
    unsafe { __libc_memalign(alignment, size) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(
    block: *mut *mut c_void,
    alignment: usize,
    size: usize,
) -> c_int {
    note();
    let given = unsafe { __libc_memalign(alignment, size) };
    if given.is_null() {
        return libc::ENOMEM;
    }
    unsafe { *block = given };
    0
}
