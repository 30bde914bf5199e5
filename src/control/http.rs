//! `/metrics`, `/healthz` and `/readyz`.

use std::{collections::VecDeque, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};

use crate::pipeline::Status;

/// What the answers are made from.
#[derive(Debug)]
pub struct Facts {
    /// Renders all metrics.
    pub metrics: PrometheusHandle,
    /// Every pipeline of the process.
    pub pipelines: Vec<Status>,
}

impl Facts {
    /// Which pipelines are not ready, and why; empty when all are.
    fn not_ready(&self) -> Vec<String> {
        self.pipelines
            .iter()
            .filter_map(|status| {
                let reason = status.not_ready()?;
                Some(format!("{}: {reason}", status.name))
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
                for status in &self.pipelines {
                    status.refresh_gauges();
                }
                let body = self.metrics.render();
                (
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    body,
                )
            }
            "/healthz" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
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
