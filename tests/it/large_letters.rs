//! Dead letters that are larger than what takes them.

use async_nats::jetstream::{Message, stream};

use crate::support::{
    eventually, examples::example, program::Program, server::NatsServer, streams::Streams,
};

const SUBJECT: &str = "rows.income.ma";

/// A stream of the income example.
fn config(name: &str, subject: &str) -> stream::Config {
    stream::Config {
        name: name.into(),
        subjects: vec![subject.into()],
        ..stream::Config::default()
    }
}

fn header<'a>(letter: &'a Message, name: &str) -> &'a str {
    let value = letter
        .headers
        .as_ref()
        .and_then(|headers| headers.get(name));
    value.map_or("", |value| value.as_str())
}

/// No row, and this long.
fn broken(bytes: usize) -> Vec<u8> {
    vec![b'x'; bytes]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_as_large_as_the_server_takes_has_a_dead_letter_without_it() {
    let server = NatsServer::with_config("max_payload: 4000");
    let streams = Streams::income(&server).await;
    let sequences = streams
        .publish(SUBJECT, [broken(3990), broken(100), broken(4000)])
        .await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    streams.done("ROWS", "income").await;
    let mut letters = streams.read("DEAD").await;
    letters.sort_by_key(|letter| header(letter, "Forebay-Sequence").to_owned());
    let notes: Vec<_> = letters
        .iter()
        .map(|letter| (letter.payload.len(), header(letter, "Forebay-Payload")))
        .collect();
    assert_eq!(
        notes,
        [
            (0, "omitted (3990 bytes; see stream and sequence)"),
            (100, ""),
            (0, "omitted (4000 bytes; see stream and sequence)"),
        ]
    );
    assert_eq!(
        header(&letters[0], "Forebay-Sequence"),
        sequences[0].to_string()
    );
    assert_eq!(program.metric("forebay_rejects_total", &[]), 3);
    assert_eq!(program.metric("forebay_dead_letters_total", &[]), 3);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_its_stream_finds_too_large_is_shortened() {
    let server = NatsServer::start(&[]);
    let streams = Streams::income(&server).await;
    let dead = stream::Config {
        max_message_size: 600,
        ..config("DEAD", "dead.>")
    };
    streams.js.update_stream(dead).await.expect("updated");
    streams.publish(SUBJECT, [broken(700)]).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    streams.done("ROWS", "income").await;
    let letters = streams.read("DEAD").await;
    assert_eq!(letters.len(), 1);
    assert_eq!(
        header(&letters[0], "Forebay-Payload"),
        "omitted (700 bytes; see stream and sequence)"
    );
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_a_work_queue_stays_there_when_its_dead_letter_is_too_large() {
    let server = NatsServer::with_config("max_payload: 4000");
    let streams = Streams::income(&server).await;
    streams.js.delete_stream("ROWS").await.expect("deleted");
    let rows = stream::Config {
        retention: stream::RetentionPolicy::WorkQueue,
        ..config("ROWS", "rows.>")
    };
    streams.js.create_stream(rows).await.expect("ROWS");
    streams.publish(SUBJECT, [broken(3990), broken(10)]).await;
    let mut program = Program::run(&example("income/pipeline.yaml"), &server.url());
    program.ready().await;
    eventually("the small one is settled", async || {
        streams.messages("ROWS").await == 1
    })
    .await;
    program
        .wait_for("the large one is given back", |program| {
            program.said().contains("stays in its stream")
        })
        .await;
    assert!(
        program.said().contains("the dead letter has 4"),
        "{}",
        program.said()
    );
    assert_eq!(program.metric("forebay_rejects_total", &[]), 2);
    let retries = ["stage=\"dead_letter\""];
    assert_eq!(program.metric("forebay_retries_total", &retries), 1);
    assert_eq!(program.metric("forebay_dead_letters_lost_total", &[]), 0);
    assert_eq!(streams.messages("ROWS").await, 1);
    program.stop().await;
}
