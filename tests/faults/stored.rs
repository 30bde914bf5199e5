//! What lies in the streams when a campaign is over.

use async_nats::jetstream;

use crate::{
    audit::{Input, Letter},
    inputs,
    recovery::Moment,
    support::streams::Streams,
};

/// Everything that lies in the streams at the end.
pub(crate) struct Stored {
    pub(crate) inputs: Vec<Input>,
    /// When inputs were stored, in order.
    pub(crate) arrived: Vec<Moment>,
    pub(crate) results: Vec<Vec<u8>>,
    pub(crate) letters: Vec<Letter>,
    /// When results were stored, in order.
    pub(crate) at: Vec<Moment>,
    /// When messages of a bare publisher were stored beside them, in order.
    pub(crate) probes: Vec<Moment>,
}

impl Stored {
    pub(crate) async fn read(streams: &Streams, seed: u64) -> Self {
        let input = |message: &jetstream::Message| {
            let text = String::from_utf8_lossy(&message.payload);
            let digits = text.trim_start_matches(r#"{"id":"#);
            let end = digits.find(|c: char| !c.is_ascii_digit());
            let id = digits[..end.unwrap_or(0)].parse().expect("one of ours");
            Input {
                id,
                sequence: message.info().expect("a place").stream_sequence,
                payload: message.payload.to_vec(),
                expected: inputs::expected(seed, id),
            }
        };
        let inputs = streams.read("IN").await;
        let (probes, results): (Vec<_>, Vec<_>) = (streams.read("OUT").await.into_iter())
            .partition(|message| message.subject.as_str() == "out.probe");
        let letters = streams.read("DEAD").await;
        let moments = |messages: &[jetstream::Message]| {
            let nanos = (messages.iter()).map(|message| {
                message
                    .info()
                    .expect("a place")
                    .published
                    .unix_timestamp_nanos()
            });
            let mut moments: Vec<_> = nanos
                .map(|nanos| Moment::try_from(nanos / 1000).expect("a few centuries"))
                .collect();
            moments.sort_unstable();
            moments
        };
        Self {
            arrived: moments(&inputs),
            inputs: inputs.iter().map(input).collect(),
            at: moments(&results),
            probes: moments(&probes),
            results: results
                .iter()
                .map(|result| result.payload.to_vec())
                .collect(),
            letters: letters.iter().map(letter).collect(),
        }
    }

    /// Inputs that the broker has confirmed and does not have, or has twice: not the workers' fault,
    /// but nothing could be said about the rest.
    pub(crate) fn missing(&self, confirmed: u64) -> Vec<String> {
        let mut ids: Vec<_> = self.inputs.iter().map(|input| input.id).collect();
        ids.sort_unstable();
        let all: Vec<_> = (0..confirmed).collect();
        if ids == all {
            return Vec::new();
        }
        let (there, confirmed) = (ids.len(), all.len());
        vec![format!(
            "the broker has {there} inputs of {confirmed} that it has confirmed"
        )]
    }
}

fn letter(message: &jetstream::Message) -> Letter {
    let header = |name: &str| {
        let value = message
            .headers
            .as_ref()
            .and_then(|headers| headers.get(name));
        value.map_or(String::new(), |value| value.as_str().to_owned())
    };
    Letter {
        sequence: header("Forebay-Sequence").parse().unwrap_or_default(),
        stream: header("Forebay-Stream"),
        stage: header("Forebay-Stage"),
        reason: header("Forebay-Reason"),
        payload: message.payload.to_vec(),
    }
}
