//! Threads and tasks of one pipeline: named, watched, and joined.
//!
//! The first failure of any of them stops the source; what is in flight drains or is given back.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::PipelineError;
use crate::{
    message::Home,
    sink::SinkError,
    source::{BoxFuture, SourceError},
    threads::{self, panic_message},
};

/// The threads and tasks of one pipeline.
pub(super) struct Crew {
    pipeline: String,
    stop: CancellationToken,
    failure: Failure,
    threads: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    started: Vec<&'static str>,
}

/// The first failure of any thread or task.
#[derive(Clone, Default)]
struct Failure(Arc<Mutex<Option<PipelineError>>>);

impl Failure {
    fn keep_first(&self, error: PipelineError) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
    }

    fn take(&self) -> Option<PipelineError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Tells a crew that something has failed, from wherever that was seen.
pub(super) struct Alarm {
    failure: Failure,
    stop: CancellationToken,
}

impl Alarm {
    /// The pipeline stops with this error, where it is the first.
    pub(super) fn raise(&self, error: PipelineError) {
        self.failure.keep_first(error);
        self.stop.cancel();
    }

    /// The same for a panic that was caught in `thread`.
    pub(super) fn raise_panic(&self, thread: &str, panic: &(dyn std::any::Any + Send)) {
        self.raise(PipelineError::Panicked {
            thread: thread.to_owned(),
            message: panic_message(panic),
        });
    }
}

impl Crew {
    /// For what is seen outside the crew's own threads and tasks.
    pub(super) fn alarm(&self) -> Alarm {
        Alarm {
            failure: self.failure.clone(),
            stop: self.stop.clone(),
        }
    }

    pub(super) fn new(pipeline: &str, stop: CancellationToken) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            stop,
            failure: Failure::default(),
            threads: Vec::new(),
            tasks: JoinSet::new(),
            started: Vec::new(),
        }
    }

    /// Starts a thread named after its room, `worker-0`, `worker-1`, ….
    pub(super) fn thread(
        &mut self,
        room: &'static str,
        body: impl FnOnce() -> Result<(), PipelineError> + Send + 'static,
    ) -> Result<(), PipelineError> {
        let number = self.started.iter().filter(|name| **name == room).count();
        self.started.push(room);
        let name = format!("{room}-{number}");
        let (alarm, thread) = (self.alarm(), name.clone());
        let watched = move || match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => alarm.raise(error),
            Err(panic) => alarm.raise_panic(&thread, &*panic),
        };
        let builder = std::thread::Builder::new().name(name.clone());
        let handle = threads::spawn(builder, watched).map_err(|error| PipelineError::Thread {
            thread: name,
            error,
        })?;
        self.threads.push(handle);
        Ok(())
    }

    /// Starts a task that cannot fail (but may panic).
    pub(super) fn task(
        &mut self,
        name: &'static str,
        body: impl Future<Output = ()> + Send + 'static,
    ) {
        let body = async move {
            body.await;
            Ok(())
        };
        self.watch(name, body);
    }

    /// Starts a sink.
    pub(super) fn sink(&mut self, room: &'static str, body: BoxFuture<Result<(), SinkError>>) {
        self.watch(room, async move {
            body.await
                .map_err(|error| PipelineError::Sink { room, error })
        });
    }

    fn watch(
        &mut self,
        name: &'static str,
        body: impl Future<Output = Result<(), PipelineError>> + Send + 'static,
    ) {
        let (alarm, inner) = (self.alarm(), spawn(body));
        self.tasks.spawn(async move {
            let result = inner
                .await
                .unwrap_or_else(|error| Err(panicked(name, error)));
            if let Err(error) = result {
                alarm.raise(error);
            }
        });
    }

    /// Drives the source until it ends, then lets everything else end, and gives the first failure.
    ///
    /// The source returns once every outcome is home, so nothing is in flight when `settled` is
    /// cancelled.
    pub(super) async fn finish(
        mut self,
        source: BoxFuture<Result<(), SourceError>>,
        home: &Home,
        settled: CancellationToken,
        grace: Duration,
    ) -> Result<(), PipelineError> {
        let stop = self.stop.clone();
        let source = spawn(source);
        let abort = source.abort_handle();
        let orderly = async {
            let source = source
                .await
                .map_err(|error| panicked("source", error))
                .and_then(|result| result.map_err(PipelineError::from));
            settled.cancel();
            while self.tasks.join_next().await.is_some() {}
            source
        };
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(grace).await;
        };
        let source = tokio::select! {
            source = orderly => source,
            () = late => {
                abort.abort();
                // Whoever is stuck may be inside a model, on a thread of the source even.
                threads::abandon();
                let error = PipelineError::Grace { in_flight: home.in_flight().messages, grace };
                return Err(self.failure.take().unwrap_or(error));
            }
        };
        tracing::debug!(pipeline = self.pipeline, "source and sinks are done");
        // The source has closed its door and every message has settled: the threads are ending.
        let threads = self.threads;
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panic was caught inside and is in `failure`.
                drop(thread.join());
            }
        });
        if joined.await.is_err() {
            tracing::error!("joining the threads failed");
        }
        self.failure.take().map_or(source, Err)
    }
}

/// The one place that starts tasks: each is awaited by the crew.
fn spawn<T: Send + 'static>(
    body: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(body)
}

fn panicked(task: &str, error: tokio::task::JoinError) -> PipelineError {
    let message = match error.try_into_panic() {
        Ok(panic) => panic_message(&*panic),
        Err(error) => error.to_string(),
    };
    PipelineError::Panicked {
        thread: task.to_owned(),
        message,
    }
}
