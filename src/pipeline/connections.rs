//! The connections of a pipeline.

use std::{sync::Arc, time::Duration};

use super::Check;
use crate::{
    nats::{ConnectError, Connection, ServerOptions, State},
    sink::Held,
};

/// One connection for each set of servers that a pipeline names: a second one to the same servers
/// buys no throughput.
#[derive(Default)]
pub(super) struct Connections {
    all: Vec<(ServerOptions, Connection)>,
    /// What the sinks on them say.
    held: Vec<Held>,
    /// How long to try to connect, where not for as long as a start may.
    within: Option<Duration>,
}

impl Connections {
    /// Tries to connect for no longer than this.
    pub(super) fn within(within: Duration) -> Self {
        Self {
            within: Some(within),
            ..Self::default()
        }
    }

    /// The connection to these servers.
    ///
    /// # Errors
    /// No broker, or it does not want us.
    pub(super) async fn get(
        &mut self,
        server: &ServerOptions,
        name: &str,
    ) -> Result<Connection, ConnectError> {
        if let Some((_, connection)) = self.all.iter().find(|(known, _)| known == server) {
            return Ok(connection.clone());
        }
        let connection = match self.within {
            Some(within) => Connection::connect_within(server, name, within).await?,
            None => Connection::connect(server, name).await?,
        };
        self.all.push((server.clone(), connection.clone()));
        Ok(connection)
    }

    /// Where a sink says why it cannot get rid of what it holds.
    pub(super) fn held(&mut self) -> Held {
        let held = Held::default();
        self.held.push(held.clone());
        held
    }

    /// What must be well for the pipeline to be ready.
    pub(super) fn checks(&self) -> Vec<Check> {
        let connected = self.all.iter().map(|(_, connection)| {
            let connection = connection.clone();
            Arc::new(move || not_ready(&connection)) as Check
        });
        let storing = self.held.iter().map(|held| {
            let held = held.clone();
            Arc::new(move || held.reason()) as Check
        });
        connected.chain(storing).collect()
    }
}

fn not_ready(connection: &Connection) -> Option<String> {
    let server = connection.server();
    match connection.state() {
        State::Connected => None,
        State::Disconnected => Some(format!("not connected to NATS at {server}")),
        State::LameDuck => Some(format!("the NATS server at {server} is shutting down")),
    }
}
