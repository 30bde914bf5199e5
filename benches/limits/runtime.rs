//! ONNX Runtime alone on all cores: the best of what it does with one session of many threads, and with a session of one
//! thread for each core, at several batches.

use std::{
    path::Path,
    sync::Barrier,
    time::{Duration, Instant},
};

use forebay::engine::cpu::library;
use ort::{session::Session, value::TensorRef};

use crate::shapes::Random;

/// What a row is made of.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    /// So many numbers.
    Numbers(usize),
    /// So many ids of tokens, below `words`, and a mask of ones.
    Tokens { tokens: usize, words: usize },
}

/// Rows that are run before the first comes again.
pub(crate) const DIFFERENT: usize = 1 << 14;

/// Sessions at work beside each other, and the batch that suits them.
pub(crate) struct Alone {
    sessions: Vec<Session>,
    threads: usize,
    input: Input,
    pub(crate) batch: usize,
    rows_per_second: f64,
}

/// Cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

impl Alone {
    /// Tries out both ways and all batches, each for so long; keeps the fastest.
    pub(crate) fn best(model: &Path, input: Input, batches: &[usize], each: Duration) -> Self {
        let mut best: Option<Self> = None;
        for (sessions, threads) in [(cores(), 1), (1, cores())] {
            let mut this = Self {
                sessions: (0..sessions).map(|_| session(model, threads)).collect(),
                threads,
                input,
                batch: 0,
                rows_per_second: 0.0,
            };
            let tried = batches
                .iter()
                .map(|batch| (*batch, this.try_out(*batch, each)));
            let (batch, rows_per_second) = tried.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            this.batch = batch;
            this.rows_per_second = rows_per_second;
            if best
                .as_ref()
                .is_none_or(|best| best.rows_per_second < rows_per_second)
            {
                best = Some(this);
            }
        }
        best.unwrap()
    }

    /// In words.
    pub(crate) fn how(&self) -> String {
        match self.sessions.len() {
            1 => format!("one session of {} threads", self.threads),
            many => format!("{many} sessions of one thread each"),
        }
    }

    /// Runs for so long, as it was fastest.
    pub(crate) fn rows_per_second(&mut self, time: Duration) -> f64 {
        self.try_out(self.batch, time)
    }

    fn try_out(&mut self, batch: usize, time: Duration) -> f64 {
        let (input, ready) = (self.input, Barrier::new(self.sessions.len()));
        std::thread::scope(|scope| {
            let running: Vec<_> = (self.sessions.iter_mut())
                .map(|session| scope.spawn(|| run(session, input, batch, time, &ready)))
                .collect();
            running.into_iter().map(|one| one.join().unwrap()).sum()
        })
    }
}

pub(crate) fn session(model: &Path, threads: usize) -> Session {
    library::init(None).unwrap();
    let environment = library::loaded().unwrap();
    Session::builder(&environment)
        .unwrap()
        .with_intra_threads(threads)
        .unwrap()
        .with_inter_threads(1)
        .unwrap()
        .commit_from_file(model)
        .unwrap()
}

/// Rows in a second.
pub(crate) fn run(
    session: &mut Session,
    input: Input,
    batch: usize,
    time: Duration,
    ready: &Barrier,
) -> f64 {
    let mut random = Random::new(5);
    let mut once: Box<dyn FnMut()> = match input {
        Input::Numbers(width) => {
            // Other rows each time: a processor learns the way of a few through the trees by heart.
            let batches = DIFFERENT.div_ceil(batch);
            let count = batches * batch * width;
            let values: Vec<f32> = (0..count).map(|_| random.number() as f32).collect();
            let mut next = 0;
            Box::new(move || {
                let rows = &values[next * batch * width..][..batch * width];
                next = (next + 1) % batches;
                let x = TensorRef::from_array_view(([batch, width], rows)).unwrap();
                drop(session.run(ort::inputs![x]).unwrap());
            })
        }
        Input::Tokens { tokens, words } => {
            let ids = (0..batch * tokens).map(|_| random.below(words) as i64);
            let ids: Vec<i64> = ids.collect();
            let mask = vec![1_i64; batch * tokens];
            Box::new(move || {
                let shape = [batch, tokens];
                let ids = TensorRef::from_array_view((shape, ids.as_slice())).unwrap();
                let mask = TensorRef::from_array_view((shape, mask.as_slice())).unwrap();
                drop(session.run(ort::inputs![ids, mask]).unwrap());
            })
        }
    };
    once();
    ready.wait();
    let (start, mut runs) = (Instant::now(), 0);
    while start.elapsed() < time {
        once();
        runs += 1;
    }
    f64::from(runs) * batch as f64 / start.elapsed().as_secs_f64()
}
