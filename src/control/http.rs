//! `/metrics`, `/healthz` and `/readyz`.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

use crate::{pipeline::Status, telemetry::metrics::Handle};

/// What the answers are made from.
#[derive(Debug)]
pub struct Facts {
    /// Renders all metrics.
    pub metrics: Handle,
    /// Every pipeline of the process, those that are still starting too.
    pub pipelines: Vec<Place>,
    /// A batch that is in the models for longer than this is not expected back; [`HUNG_AFTER`],
    /// but for tests.
    pub hung_after: Duration,
}

/// A pipeline that starts: it has a place here from the beginning, so that whoever watches the process is answered while
/// a large model loads or the broker is away.
#[derive(Debug)]
pub struct Place {
    /// The name of the pipeline.
    pub name: String,
    /// How it is, once it is there.
    pub status: OnceLock<Status>,
}

impl Place {
    /// For a pipeline that is about to start.
    #[must_use]
    pub fn starting(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            status: OnceLock::new(),
        }
    }
}

/// How long a batch may be in the models before `/healthz` says that the process should be
/// restarted: far more than any batch takes that comes back, so that nothing is restarted in vain.
pub const HUNG_AFTER: Duration = Duration::from_mins(5);

impl Facts {
    /// Which pipelines are not ready, and why; empty when all are.
    fn not_ready(&self) -> Vec<String> {
        self.pipelines
            .iter()
            .filter_map(|place| {
                let reason = match place.status.get() {
                    Some(status) => status.not_ready()?,
                    None => "is starting".to_owned(),
                };
                Some(format!("{}: {reason}", place.name))
            })
            .collect()
    }

    /// Which pipelines only a new process can help, and why.
    fn hung(&self) -> Vec<String> {
        self.pipelines
            .iter()
            .filter_map(|place| {
                let reason = place.status.get()?.hung(self.hung_after)?;
                Some(format!("pipeline `{}`: {reason}", place.name))
            })
            .collect()
    }

    fn answer(&self, method: &Method, path: &str) -> (StatusCode, &'static str, String) {
        const TEXT: &str = "text/plain; charset=utf-8";
        if method != Method::GET && method != Method::HEAD {
            let body = "only GET is answered here\n".to_owned();
            return (StatusCode::METHOD_NOT_ALLOWED, TEXT, body);
        }
        match path {
            "/metrics" => {
                for status in self.pipelines.iter().filter_map(|place| place.status.get()) {
                    status.refresh_gauges();
                }
                let body = self.metrics.render();
                (
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    body,
                )
            }
            "/healthz" => {
                let reasons = self.hung();
                if reasons.is_empty() {
                    (StatusCode::OK, TEXT, "ok\n".to_owned())
                } else {
                    let body = format!("{}\n", reasons.join("\n"));
                    (StatusCode::SERVICE_UNAVAILABLE, TEXT, body)
                }
            }
            "/readyz" => {
                let reasons = self.not_ready();
                if reasons.is_empty() {
                    (StatusCode::OK, TEXT, "ready\n".to_owned())
                } else {
                    let body = format!("not ready\n{}\n", reasons.join("\n"));
                    (StatusCode::SERVICE_UNAVAILABLE, TEXT, body)
                }
            }
            _ => {
                let body = "there is /metrics, /healthz and /readyz\n".to_owned();
                (StatusCode::NOT_FOUND, TEXT, body)
            }
        }
    }
}

/// Opens an address.
///
/// # Errors
/// A sentence that names the address and what to do.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| {
        format!("cannot listen on {address} (http.listen): {error}; choose another port, or end the process that has it")
    })
}

/// An operator's scrapers are few; more than this is a mistake or an attack. The oldest connection
/// makes room then: probes and scrapers ask at once and leave, so it is one that only stands there.
const CONNECTIONS_MAX: usize = 256;

/// Answers requests until dropped. A slow or broken client harms nobody else.
pub async fn serve(listener: TcpListener, facts: Arc<Facts>) {
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: give others time to close some.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        oldest_first.retain(|connection| !connection.is_finished());
        while oldest_first.len() >= CONNECTIONS_MAX {
            if let Some(oldest) = oldest_first.pop_front() {
                oldest.abort();
            }
        }
        let facts = Arc::clone(&facts);
        let connection = connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (status, kind, body) = facts.answer(request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(response(status, kind, body)) }
            });
            let mut server = http1::Builder::new();
            server
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(10));
            if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "an HTTP connection ended early");
            }
        });
        oldest_first.push_back(connection);
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        message::{Home, InFlight},
        pipeline::Running,
        telemetry::metrics::{PipelineMetrics, Recorder},
    };

    #[test]
    fn a_batch_that_stays_in_the_model_is_not_healthy() {
        let recorder = Recorder::new();
        let running = Running::new();
        let home = Home::new(InFlight {
            messages: 1,
            bytes: 1,
        });
        let gauges = metrics::with_local_recorder(&recorder, || PipelineMetrics::new("x").gauges);
        let status = Status::new("x", home, Arc::clone(&running), gauges, Vec::new());
        let mut facts = Facts {
            metrics: recorder.handle(),
            pipelines: vec![Place {
                name: "x".to_owned(),
                status: status.into(),
            }],
            hung_after: Duration::ZERO,
        };
        let running_seconds = |facts: &Facts| {
            let (_, _, text) = facts.answer(&Method::GET, "/metrics");
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("forebay_running_seconds{pipeline=\"x\"} "));
            line.and_then(|value| value.parse::<f64>().ok())
        };
        let health = |facts: &Facts| {
            let (status, _, body) = facts.answer(&Method::GET, "/healthz");
            (status, body)
        };
        assert_eq!(health(&facts), (StatusCode::OK, "ok\n".to_owned()));
        assert_eq!(running_seconds(&facts), Some(0.0));
        let note = running.note();
        note.begin(Instant::now());
        while running.longest(Instant::now()).is_zero() {
            std::thread::yield_now();
        }
        assert!(running_seconds(&facts) > Some(0.0));
        let (status, body) = health(&facts);
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        insta::assert_snapshot!(body, @"pipeline `x`: a batch has been in the model for 0 s; the process should be restarted");
        facts.hung_after = HUNG_AFTER;
        assert_eq!(health(&facts).0, StatusCode::OK);
        note.end();
        assert_eq!(running_seconds(&facts), Some(0.0));
    }
}
