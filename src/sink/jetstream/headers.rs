//! The headers of a result, with the id that has the broker store it once.

use std::fmt::Write as _;

use async_nats::{HeaderMap, header::NATS_MESSAGE_ID};

use super::Purpose;
use crate::{
    message::Position,
    sink::{Outgoing, publish::header_map},
};

/// The headers of a result or a dead letter; `None` where there are none.
pub(super) fn headers(outgoing: &Outgoing, purpose: Purpose) -> Option<HeaderMap> {
    let mut headers = header_map(&outgoing.headers);
    if let Some(position) = &outgoing.message.position {
        headers
            .get_or_insert_default()
            .insert(NATS_MESSAGE_ID, message_id(position, purpose));
    }
    headers
}

/// The same for every try of one result, and for no other.
fn message_id(position: &Position, purpose: Purpose) -> String {
    let suffix = match purpose {
        Purpose::Result => "",
        Purpose::DeadLetter => ".dead",
    };
    // Room for two numbers and the rest: growing would cost two more allocations.
    let mut id = String::with_capacity(48);
    if write!(
        id,
        "{:x}.{}{suffix}",
        position.incarnation, position.sequence
    )
    .is_err()
    {
        unreachable!("a growing text takes everything: this is a bug");
    }
    id
}
