//! A server that is about to stop says so, and clients should go elsewhere before it does. The
//! client does nothing of its own then.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use async_nats::{Client, ServerAddr};
use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    State,
    connection::{Connection, Inner},
    status::Status,
};

/// How long results may take to be confirmed through the server that stops. What is not confirmed by
/// then is sent again through the next one, with the same id.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);
/// The longest wait for the client.
const CLIENT_WITHIN: Duration = Duration::from_secs(1);
const GREETING_WITHIN: Duration = Duration::from_secs(1);
/// More than any server's greeting has.
const GREETING_MAX: usize = 32 << 10;
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often to look for another server while there is none.
const SEARCH_EVERY: Duration = Duration::from_secs(1);

/// For as long as the connection lives: takes it to another server when its own is about to stop.
pub(super) async fn watch(inner: Weak<Inner>, mut status: watch::Receiver<Status>) {
    loop {
        let lame = status.wait_for(|status| status.state == State::LameDuck);
        if lame.await.is_err() || !leave(&inner).await {
            return;
        }
        // The word of the next connection, or of the next lame duck.
        if status.changed().await.is_err() {
            return;
        }
    }
}

/// Goes on until the connection is no longer with a server that stops; `false` where it is gone.
async fn leave(inner: &Weak<Inner>) -> bool {
    let mut told = false;
    loop {
        let Some(connection) = Connection::upgrade(inner) else {
            return false;
        };
        if !std::mem::replace(&mut told, true) {
            connection.note_lame_duck();
            tracing::warn!(
                server = connection.server(),
                "the NATS server is about to stop; nothing new is read from it"
            );
        }
        if connection.state() != State::LameDuck {
            return true;
        }
        let client = connection.client();
        if is_there_another(client).await {
            confirmed(&connection).await;
            // A reconnect throws away what the client has not written.
            connection.flush(CLIENT_WITHIN).await;
            if matches!(
                timeout(CLIENT_WITHIN, client.force_reconnect()).await,
                Ok(Ok(()))
            ) {
                tracing::info!(server = connection.server(), "going to another NATS server");
            }
        }
        drop(connection);
        sleep(SEARCH_EVERY).await;
    }
}

/// Waits until all that was published is confirmed, for a bounded time.
async fn confirmed(connection: &Connection) {
    let started = Instant::now();
    while connection.unconfirmed() > 0 && started.elapsed() < CONFIRMED_WITHIN {
        sleep(LOOK_EVERY).await;
    }
}

/// Whether any server that the client knows takes connections and is not about to stop.
async fn is_there_another(client: &Client) -> bool {
    let Ok(Ok(pool)) = timeout(CLIENT_WITHIN, client.server_pool()).await else {
        return false;
    };
    for server in pool {
        if matches!(
            timeout(GREETING_WITHIN, greets(&server.addr)).await,
            Ok(Ok(true))
        ) {
            return true;
        }
    }
    false
}

async fn greets(address: &ServerAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((address.host(), address.port())).await?;
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"\n") && greeting.len() < GREETING_MAX {
        if stream.read_buf(&mut greeting).await? == 0 {
            return Ok(false);
        }
    }
    let greeting = String::from_utf8_lossy(&greeting);
    Ok(greeting.starts_with("INFO ") && !greeting.contains("\"ldm\":true"))
}
