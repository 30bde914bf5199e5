//! Stand-in until the nats branch lands.
use crate::message::{Headers, Message, Reject};
/// Headers.
pub fn headers(message: &Message, reject: &Reject) -> Headers {
    vec![
        ("Forebay-Stage".into(), reject.stage.name().into()),
        ("Forebay-Reason".into(), one_line(&reject.reason)),
        ("Forebay-Subject".into(), message.subject().into()),
    ]
}
/// One line.
pub fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}
