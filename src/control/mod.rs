//! What an operator talks to: HTTP and signals. Nothing on the data path waits for this room.

pub mod http;
pub mod signals;
