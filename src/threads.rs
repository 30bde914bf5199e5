//! Threads on which models are loaded and run, and how a process ends while one of them is still at work.

use std::{
    any::Any,
    io::{self, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread::{Builder, JoinHandle},
    time::Duration,
};

use crossbeam::channel::bounded;
use tokio::sync::oneshot;

/// The stack of a thread that loads models. ONNX Runtime goes down a tree branch by branch when it loads it, and takes
/// nearly 1 KiB for each: the 2 MiB that threads have otherwise end after 2,500. What is never used takes no memory.
pub const STACK: usize = 64 << 20;

/// The most that is waited for standard output, in which somebody may be stuck who holds its lock.
const FLUSHED_WITHIN: Duration = Duration::from_secs(1);

/// Threads that may be inside a library.
static AT_WORK: AtomicUsize = AtomicUsize::new(0);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The thread could not be started.
    #[error("cannot start thread {thread}: {error}")]
    NotStarted {
        /// Its name.
        thread: String,
        /// What the system said.
        error: io::Error,
    },
    /// A bug in what it does.
    #[error("thread {thread} panicked: {message}; this is a bug in forebay")]
    Panicked {
        /// Its name.
        thread: String,
        /// What it said.
        message: String,
    },
}

/// One of [`AT_WORK`].
struct AtWork;

impl AtWork {
    fn begin() -> Self {
        AT_WORK.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Starts a thread that [`end`] takes for one at work until it has done its work.
///
/// # Errors
/// The system gives no thread.
pub fn spawn<T: Send + 'static>(
    thread: Builder,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let at_work = AtWork::begin();
    thread.spawn(move || {
        let result = work();
        drop(at_work);
        result
    })
}

/// What `work` gives, on a thread of its own with a deep [stack](STACK): for what takes long and calls ONNX Runtime. Where it is no
/// longer waited for, it goes on to its end, and what it gives is dropped.
///
/// # Errors
/// There is no thread, or `work` panics.
pub async fn apart<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Lost> {
    let thread = name.to_owned();
    let (sender, receiver) = oneshot::channel();
    let at_work = AtWork::begin();
    let started = deep(name).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        // Together: whoever has the result finds nobody at work, and where nobody wants it, it is dropped at work.
        drop(sender.send((result, at_work)));
    });
    if let Err(error) = started {
        return Err(Lost::NotStarted { thread, error });
    }
    match receiver.await {
        Ok((Ok(result), _)) => Ok(result),
        Ok((Err(panic), _)) => Err(Lost::Panicked {
            thread,
            message: panic_message(&*panic),
        }),
        Err(gone) => Err(Lost::Panicked {
            thread,
            message: gone.to_string(),
        }),
    }
}

/// A thread of this name with a deep [stack](STACK).
pub fn deep(name: &str) -> Builder {
    Builder::new().name(name.to_owned()).stack_size(STACK)
}

/// From now on some thread that is not known here is taken for one at work: it did not end when it should have.
pub fn abandon() {
    std::mem::forget(AtWork::begin());
}

/// Ends the process with this code: returns it for `main` to give back, or, where a thread is at work, [leaves](leave).
pub fn end(code: u8) -> ExitCode {
    if AT_WORK.load(Ordering::SeqCst) > 0 {
        leave(code);
    }
    ExitCode::from(code)
}

/// Ends the process at once. Libraries written in C++ take themselves apart when a process ends in the usual way, and a thread that is
/// inside of one (ONNX Runtime, say, which cannot be interrupted) then brings the process down with a signal. Here nobody is told.
pub fn leave(code: u8) -> ! {
    let (sender, flushed) = bounded(1);
    let flush = move || {
        drop(io::stdout().flush());
        sender.send(()).ok();
    };
    if Builder::new().spawn(flush).is_ok() {
        flushed.recv_timeout(FLUSHED_WITHIN).ok();
    }
    signal_hook::low_level::exit(i32::from(code))
}

/// What a panic says.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_done_apart_comes_back_or_is_said_to_be_lost() {
        assert_eq!(apart("load", || 7).await.expect("it is done"), 7);
        let lost = apart("load", || -> u8 { panic!("no such branch") }).await;
        assert_eq!(
            lost.expect_err("it panicked").to_string(),
            "thread load panicked: no such branch; this is a bug in forebay"
        );
    }

    #[tokio::test]
    async fn the_stack_is_deep() {
        /// Takes 1 KiB for each level, and so more than any other thread has.
        fn down(levels: usize) -> usize {
            let room = std::hint::black_box([levels; 128]);
            match levels {
                0 => 0,
                _ => down(levels - 1) + usize::from(room[levels % 128] == levels),
            }
        }
        let levels = 20_000;
        assert_eq!(apart("load", move || down(levels)).await.ok(), Some(levels));
    }
}
