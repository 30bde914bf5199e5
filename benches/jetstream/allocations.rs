//! Counts heap allocations of this process, when told to.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::BufRead,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
/// Off where times are taken: then all that it costs is to read this.
static ON: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

fn count() {
    if ON.load(Ordering::Relaxed) {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }
}

/// What `work` gives, and how many allocations happened meanwhile in the whole process.
#[allow(dead_code, reason = "shared with a test")]
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = COUNT.load(Ordering::Relaxed);
    ON.store(true, Ordering::Relaxed);
    let made = work();
    ON.store(false, Ordering::Relaxed);
    (made, COUNT.load(Ordering::Relaxed) - before)
}

/// Counts from now on, and answers each line on standard input with the count.
#[allow(dead_code, clippy::print_stdout, reason = "shared with a test")]
pub(crate) fn answer() {
    ON.store(true, Ordering::Relaxed);
    let answer = || {
        for _ in std::io::stdin().lock().lines() {
            println!("{}", COUNT.load(Ordering::Relaxed));
        }
    };
    std::thread::Builder::new()
        .name("answer".into())
        .spawn(answer)
        .unwrap();
}
