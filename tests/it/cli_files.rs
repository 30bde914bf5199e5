//! `send` of whole files.

use futures_util::StreamExt as _;

use crate::{
    cli::{err, forebay},
    cli_traffic::{connect, server},
};

/// A picture has line ends in it, which are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_sent_whole_where_the_pipeline_takes_bytes() {
    let server = server();
    let client = connect(&server).await;
    let mut files = client.subscribe("whole.in").await.expect("subscribed");
    client.flush().await.expect("flushed");
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let contents: [&[u8]; 2] = [b"\x89PNG\r\n\x1a\n\n\n ", b"\n{}\n"];
    for (name, content) in ["a.png", "b.png"].iter().zip(contents) {
        std::fs::write(path(name), content).expect("writable");
    }
    let yaml = "name: whole\nsource: { nats: { url: \"${NATS_URL}\", subject: whole.in } }\n\
         decode: { bytes: {} }\nfields: { file: { dtype: bytes } }\n\
         steps:\n  - window: { head: 4, pad: 256 }\n    input: file\n    output: bytes\n  - log1p: {}\n    input: bytes\n    output: logs\n\
         encode: { json: { outputs: { logs: logs } } }\nsink: { nats: { subject: whole.out } }\n";
    std::fs::write(path("p.yaml"), yaml).expect("writable");
    let send = |args: &[&str]| {
        let mut command = forebay(&[&["send"], args].concat());
        command
            .env("NATS_URL", server.url())
            .output()
            .expect("runs")
    };
    let [a, b, pipeline] = ["a.png", "b.png", "p.yaml"].map(path);
    for args in [
        &[&*a, &*b, "--pipeline", &*pipeline][..],
        &[&*a, &*b, "--whole", "-s", "whole.in"],
    ] {
        let sent = send(args);
        assert!(err(&sent).starts_with("sent 2 messages"), "{}", err(&sent));
        for content in contents {
            let message = files.next().await.expect("a message");
            assert_eq!(message.payload, content);
        }
    }
    for (args, says) in [
        (&[&*a, &*b, "-s", "whole.in"][..], "add --whole"),
        (
            &[&*a, "--whole", "-s", "whole.{id}"],
            "has no fields for the subject",
        ),
        (
            &[&*a, "--whole", "-s", "whole.in", "--tensor", "x"],
            "--tensor",
        ),
    ] {
        let refused = send(args);
        assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
        assert!(err(&refused).contains(says), "{}", err(&refused));
    }
}
