//! `send --request` against a real server and somebody who answers.

use std::{process::Output, time::Duration};

use forebay::cli::demo::server::OwnServer;
use futures_util::StreamExt as _;

use crate::{
    cli::{err, out, run},
    cli_traffic::{connect, lines_file, server},
};

/// Sends requests with the numbers 0 to 49 on `ask`.
fn send_requests(server: &OwnServer, more: &[&str]) -> Output {
    let lines: Vec<String> = (0..50).map(|n| format!("{{\"x\":[{n}]}}")).collect();
    let file = lines_file(&lines);
    let path = file.path().to_str().expect("UTF-8");
    let args = [
        "send",
        path,
        "-s",
        "ask",
        "--request",
        "--tensor",
        "x:i32",
        "--url",
        server.url(),
    ];
    run(&[&args, more].concat())
}

/// Answers with the number; the lower it is the later, and 49 with an error.
async fn answer(client: async_nats::Client, message: async_nats::Message) {
    let number = i32::from_le_bytes(message.payload[..].try_into().expect("four bytes"));
    let reply = message.reply.expect("a request");
    let wait = u64::try_from(50 - number).expect("numbers below 50");
    tokio::time::sleep(Duration::from_millis(wait)).await;
    let sent = if number == 49 {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Service-Error", "too large");
        client
            .publish_with_headers(reply, headers, "no 49".into())
            .await
    } else {
        client.publish(reply, number.to_string().into()).await
    };
    sent.expect("replied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_answered_in_the_order_of_the_lines() {
    let server = server();
    let nobody = send_requests(&server, &[]);
    assert_eq!(nobody.status.code(), Some(69));
    assert!(
        err(&nobody).contains("nobody answers requests on `ask`"),
        "{}",
        err(&nobody)
    );

    let client = connect(&server).await;
    let mut asked = client.subscribe("ask").await.expect("subscribed");
    client.flush().await.expect("flushed");
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            tokio::spawn(answer(client.clone(), message));
        }
    });
    let good = send_requests(&server, &["--count", "49"]);
    assert!(good.status.success(), "{}", err(&good));
    let expected: Vec<String> = (0..49).map(|n| n.to_string()).collect();
    assert_eq!(out(&good).lines().collect::<Vec<_>>(), expected);
    assert!(
        err(&good).contains("replies 49, of them errors 0; without a reply 0\np50 "),
        "{}",
        err(&good)
    );

    let refused = send_requests(&server, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(out(&refused).ends_with("no 49\n"));
    assert!(
        err(&refused).contains("1 of 50 requests were answered with an error"),
        "{}",
        err(&refused)
    );

    let slow = send_requests(&server, &["--count", "1", "--timeout", "10ms"]);
    assert_eq!(slow.status.code(), Some(1));
    assert!(
        err(&slow).contains("1 of 1 requests had no reply in time"),
        "{}",
        err(&slow)
    );
}
