//! The threads: one reads chunks of rows, workers turn each into columns, and this one writes them
//! in the order in which they were read.

use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, select};
use tokio_util::sync::CancellationToken;

use super::{
    Ended, Ends, Rejects, Summary,
    work::{Done, Pool, Worker},
};
use crate::{
    cli::{Exit, Failure},
    config::plan::Plan,
    decode::Decode,
    engine::Engine,
    pipeline::build,
    rows::{
        RowsError,
        read::{ReadRows, Row},
        write::{Form, Shape, WriteRows},
    },
};

/// Chunks that are read and not written, for each thread: this bounds the memory.
const CHUNKS_PER_THREAD: usize = 4;
/// How often it is looked at whether to stop, where nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Rows with the number of their chunk.
type Chunk = (u64, Vec<Row>);

enum Event {
    /// A chunk is worked off.
    Done(u64, Result<Done, String>),
    /// There are no more chunks than so many.
    End(Result<u64, RowsError>),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All rows are written, or there are more bad ones than there may be.
    Ended,
    /// Ctrl-C.
    Stopped,
}

/// What runs rows.
pub(super) struct Flow {
    workers: Vec<Worker>,
    engines: Vec<Box<dyn Engine>>,
    max_rows: usize,
}

impl Flow {
    /// One worker for each decoder. A single one takes the chunks in the order of the rows.
    pub(super) fn new(
        plan: &Plan,
        engines: Vec<Box<dyn Engine>>,
        decoders: Vec<Box<dyn Decode>>,
    ) -> Self {
        let empty = build::table(plan);
        let worker = |decoder| Worker::new(decoder, empty.empty_like());
        Self {
            workers: decoders.into_iter().map(worker).collect(),
            engines,
            max_rows: plan.batch.max_rows,
        }
    }

    /// Runs all rows of `input`.
    ///
    /// # Errors
    /// The input cannot be read, the output not be written, or the device is lost.
    pub(super) fn run(
        &mut self,
        input: Box<dyn ReadRows>,
        ends: &Ends,
        shape: &Shape,
        count: Option<NonZeroU64>,
        (output, rejects, summary): (&mut Box<dyn WriteRows>, &mut Rejects, &mut Summary),
        stop: &CancellationToken,
    ) -> Result<Outcome, Ended> {
        let room = CHUNKS_PER_THREAD * self.workers.len().max(1);
        let (give, take) = bounded(room);
        for _ in 0..room {
            let _full = give.try_send(());
        }
        let (chunks, work) = bounded::<Chunk>(room);
        let (events, happened) = bounded::<Event>(room + 1);
        let (quit, quitting) = bounded::<()>(0);
        let (back, free) = bounded(self.engines.len().max(1));
        let pool = (!self.engines.is_empty()).then(|| Pool {
            free,
            back: back.clone(),
        });
        for mut engine in self.engines.drain(..) {
            // A second attempt begins as the first did.
            engine.forget();
            drop(back.try_send(engine));
        }
        let position = Arc::new(AtomicU64::new(0));
        // Not waited for: it may wait for standard input.
        let reader = Reader {
            input,
            most: self.max_rows,
            left: count.map_or(u64::MAX, NonZeroU64::get),
            position: Arc::clone(&position),
            room: take,
        };
        let (ended, tell) = (events.clone(), chunks);
        thread::Builder::new()
            .name("read".to_owned())
            .spawn(move || drop(ended.send(Event::End(reader.run(&tell)))))
            .map_err(|error| {
                let words = format!("no thread could be started to read the rows: {error}");
                Ended::Failed(Failure::rendered(Exit::Unavailable, words))
            })?;
        let mut writing = Writing {
            give,
            position,
            output,
            rejects,
            summary,
        };
        let result = thread::scope(|scope| {
            for worker in &mut self.workers {
                let (work, events, quitting) = (work.clone(), events.clone(), quitting.clone());
                let (pool, mut form) =
                    (pool.as_ref(), Form::new(ends.output_format, shape.clone()));
                scope.spawn(move || {
                    while let Some((number, rows)) = next(&work, &quitting) {
                        let done = worker.work(rows, pool, (&mut form, shape));
                        if events.send(Event::Done(number, done)).is_err() {
                            break;
                        }
                    }
                });
            }
            drop((events, work));
            let result = writing.run(&happened, stop);
            drop((quit, happened));
            result
        });
        self.engines
            .extend(pool.iter().flat_map(|pool| pool.free.try_iter()));
        result
    }
}

/// The next chunk; none where there are no more, or nobody wants them.
fn next(work: &Receiver<Chunk>, quitting: &Receiver<()>) -> Option<Chunk> {
    select! {
        recv(work) -> chunk => chunk.ok(),
        recv(quitting) -> _ => None,
    }
}

struct Reader {
    input: Box<dyn ReadRows>,
    /// Rows in a chunk.
    most: usize,
    /// Rows that are still wanted.
    left: u64,
    position: Arc<AtomicU64>,
    /// A chunk may be read for each of these.
    room: Receiver<()>,
}

impl Reader {
    /// Reads to the end, and says how many chunks there were.
    fn run(mut self, chunks: &Sender<Chunk>) -> Result<u64, RowsError> {
        let mut number = 0;
        while self.left > 0 && self.room.recv().is_ok() {
            let mut rows = Vec::with_capacity(self.most.min(1024));
            let most = usize::try_from(self.left).unwrap_or(usize::MAX);
            self.input.read(self.most.min(most), &mut rows)?;
            if rows.is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(rows.len() as u64);
            self.position
                .store(self.input.position(), Ordering::Relaxed);
            if chunks.send((number, rows)).is_err() {
                break;
            }
            number += 1;
        }
        Ok(number)
    }
}

struct Writing<'w> {
    give: Sender<()>,
    position: Arc<AtomicU64>,
    output: &'w mut Box<dyn WriteRows>,
    rejects: &'w mut Rejects,
    summary: &'w mut Summary,
}

impl Writing<'_> {
    fn run(
        &mut self,
        happened: &Receiver<Event>,
        stop: &CancellationToken,
    ) -> Result<Outcome, Ended> {
        let mut waiting: BTreeMap<u64, Done> = BTreeMap::new();
        let (mut written, mut all) = (0, None);
        while all != Some(written) {
            if stop.is_cancelled() {
                return Ok(Outcome::Stopped);
            }
            match happened.recv_timeout(LOOK_EVERY) {
                Ok(Event::End(chunks)) => all = Some(chunks?),
                Ok(Event::Done(number, done)) => {
                    waiting.insert(number, done.map_err(lost)?);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let text = "a thread ended before its work did; this is a bug in forebay";
                    return Err(Failure::new(Exit::Bug, text).into());
                }
            }
            while let Some(done) = waiting.remove(&written) {
                written += 1;
                if !self.write(done)? {
                    return Ok(Outcome::Ended);
                }
            }
            self.summary.show(self.position.load(Ordering::Relaxed));
        }
        Ok(Outcome::Ended)
    }

    /// Writes a chunk. Says whether more is wanted.
    fn write(&mut self, done: Done) -> Result<bool, Ended> {
        for part in done.parts {
            self.output.write(part)?;
        }
        self.summary.good += done.good;
        self.summary.not_finite += done.not_finite;
        let more = self.rejects.add(&done.rejected)?;
        // The reader may be gone already.
        let _gone = self.give.try_send(());
        Ok(more)
    }
}

fn lost(why: String) -> Ended {
    Failure::new(Exit::Unavailable, why).into()
}
