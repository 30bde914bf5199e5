//! `send` and `tail` against a real server.

use std::{
    io::{Read as _, Write as _},
    process::{Child, Command, Output},
    time::{Duration, Instant},
};

use forebay::cli::demo::server::OwnServer;
use futures_util::StreamExt as _;

use crate::cli::{err, forebay, out, run};

pub(crate) fn server() -> OwnServer {
    OwnServer::start().expect("nats-server starts; `make setup` fetches it")
}

pub(crate) async fn connect(server: &OwnServer) -> async_nats::Client {
    async_nats::ConnectOptions::new()
        .connect(server.url())
        .await
        .expect("the test's server is up")
}

pub(crate) fn lines_file(lines: &[String]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    for line in lines {
        writeln!(file, "{line}").expect("writable");
    }
    file
}

/// Starts `tail` and waits until it listens.
fn tail(server: &OwnServer, args: &[&str]) -> Child {
    let args = [&["tail", "--log", "info", "--url", server.url()], args].concat();
    let mut child = forebay(&args).spawn().expect("the program runs");
    let stderr = child.stderr.as_mut().expect("piped");
    let mut said = String::new();
    while !said.contains("listening") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).expect("it gets to listen");
        said.push(char::from(byte[0]));
    }
    while !said.ends_with('\n') {
        let mut byte = [0];
        stderr.read_exact(&mut byte).expect("the line ends");
        said.push(char::from(byte[0]));
    }
    child
}

fn wait(mut child: Child) -> Output {
    let start = Instant::now();
    while child.try_wait().expect("can be asked").is_none() {
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().expect("can be killed");
            panic!("the program does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().expect("has ended")
}

#[test]
fn what_send_publishes_tail_prints() {
    let server = server();
    let lines: Vec<String> = (0..500)
        .map(|n| format!(r#"{{"id":{n},"state":"{}"}}"#, ["ma", "ny"][n % 2]))
        .collect();
    let file = lines_file(&lines);
    let path = file.path().to_str().expect("UTF-8");
    let child = tail(&server, &["rows.>", "--count", "500", "--subject-prefix"]);
    let sent = run(&[
        "send",
        path,
        "--subject",
        "rows.{state}",
        "--url",
        server.url(),
    ]);
    assert!(sent.status.success(), "{}", err(&sent));
    assert!(
        err(&sent).starts_with("sent 500 messages"),
        "{}",
        err(&sent)
    );
    assert_eq!(out(&sent), "");
    let printed = wait(child);
    assert!(printed.status.success(), "{}", err(&printed));
    let expected: Vec<String> = (0..500)
        .map(|n| format!("rows.{}\t{}", ["ma", "ny"][n % 2], lines[n]))
        .collect();
    let printed = out(&printed);
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn tail_is_quiet_when_its_reader_leaves() {
    let server = server();
    let mut child = tail(&server, &["rows.>"]);
    drop(child.stdout.take());
    let file = lines_file(&["{}".to_owned()]);
    let path = file.path().to_str().expect("UTF-8");
    // The first line finds the pipe closed.
    for _ in 0..2 {
        assert!(
            run(&["send", path, "-s", "rows.a", "--url", server.url()])
                .status
                .success()
        );
    }
    let mut stderr = child.stderr.take().expect("piped");
    let output = wait(child);
    assert_eq!(output.status.code(), Some(0));
    let mut said = String::new();
    stderr.read_to_string(&mut said).expect("readable");
    assert_eq!(said, "");
}

#[test]
fn what_is_no_text_is_printed_as_base64_and_headers_above() {
    let server = server();
    let child = tail(&server, &["t.>", "--count", "1", "--headers"]);
    let file = lines_file(&[r#"{"x":[255,0,254]}"#.to_owned()]);
    let path = file.path().to_str().expect("UTF-8");
    let args = [
        "send",
        path,
        "-s",
        "t.a",
        "--url",
        server.url(),
        "--tensor",
        "x:u8",
        "--header",
        "Key: a b",
    ];
    assert!(run(&args).status.success());
    assert_eq!(out(&wait(child)), "Key: a b\nbase64:/wD+\n");
}

#[test]
fn a_pace_is_kept() {
    let server = server();
    let file = lines_file(&["{}".to_owned()]);
    let path = file.path().to_str().expect("UTF-8");
    let args = [
        "send",
        path,
        "-s",
        "a",
        "--url",
        server.url(),
        "--repeat",
        "--count",
        "200",
        "--rate",
        "200/s",
    ];
    let output = run(&args);
    assert!(output.status.success(), "{}", err(&output));
    let said = err(&output);
    let seconds: f64 = said
        .split(" in ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .and_then(|number| number.parse().ok())
        .expect("the summary has the time");
    assert!((0.8..1.2).contains(&seconds), "{said}");
}

#[test]
fn a_bad_line_is_named() {
    let server = server();
    let file = lines_file(&[
        r#"{"x":[1]}"#.to_owned(),
        String::new(),
        r#"{"x":["a"]}"#.to_owned(),
    ]);
    let path = file.path().to_str().expect("UTF-8");
    let output = run(&[
        "send",
        path,
        "-s",
        "a",
        "--url",
        server.url(),
        "--tensor",
        "x",
    ]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).ends_with("error: line 3: field `x`, element 0: \"a\" is no f32\n"),
        "{}",
        err(&output)
    );
}

#[test]
fn interrupted_sending_ends_with_the_summary() {
    let server = server();
    let file = lines_file(&["{}".to_owned()]);
    let path = file.path().to_str().expect("UTF-8");
    let args = [
        "send",
        path,
        "-s",
        "a",
        "--url",
        server.url(),
        "--repeat",
        "--rate",
        "100/s",
    ];
    let child = forebay(&args).spawn().expect("runs");
    std::thread::sleep(Duration::from_millis(800));
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(killed.is_ok_and(|status| status.success()));
    let output = wait(child);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(err(&output).starts_with("sent "), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_confirm_what_is_sent_and_can_be_read() {
    let server = server();
    let lines: Vec<String> = (0..1000).map(|n| format!("row {n}")).collect();
    let file = lines_file(&lines);
    let path = file.path().to_str().expect("UTF-8");
    let args = [
        "send",
        path,
        "-s",
        "rows.a",
        "--url",
        server.url(),
        "--jetstream",
    ];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(69), "{}", err(&output));
    assert!(
        err(&output).contains("no stream takes the subject `rows.a`"),
        "{}",
        err(&output)
    );
    assert!(!err(&output).contains("sent "), "{}", err(&output));
    let missing = run(&["tail", "--stream", "ROWS", "--url", server.url()]);
    assert_eq!(missing.status.code(), Some(69));
    assert!(
        err(&missing).contains("no stream `ROWS`"),
        "{}",
        err(&missing)
    );

    let jetstream = async_nats::jetstream::new(connect(&server).await);
    jetstream
        .create_stream(async_nats::jetstream::stream::Config {
            name: "ROWS".to_owned(),
            subjects: vec!["rows.>".to_owned()],
            ..Default::default()
        })
        .await
        .expect("a stream");
    let output = run(&args);
    assert!(output.status.success(), "{}", err(&output));
    assert!(
        err(&output).contains("stored 1000, of them duplicates 0"),
        "{}",
        err(&output)
    );
    let args = [
        "tail",
        "--stream",
        "ROWS",
        "--count",
        "1000",
        "--url",
        server.url(),
    ];
    let printed = run(&args);
    assert_eq!(out(&printed), lines.join("\n") + "\n");

    let url = server.url();
    let all = ["tail", "--stream", "ROWS", "--to-end", "--url", url];
    assert_eq!(out(&run(&all)), out(&printed));
    // Of these the stream has none.
    let none = [
        "tail",
        "rows.none",
        "--stream",
        "ROWS",
        "--to-end",
        "--url",
        url,
    ];
    let nothing = run(&none);
    assert!(nothing.status.success(), "{}", err(&nothing));
    assert_eq!(out(&nothing), "");
}

#[test]
fn a_server_that_dies_ends_sending_with_a_sentence() {
    let server = server();
    let file = lines_file(&["{}".to_owned()]);
    let path = file.path().to_str().expect("UTF-8");
    let args = ["send", path, "-s", "a", "--url", server.url(), "--repeat"];
    let child = forebay(&args).spawn().expect("runs");
    std::thread::sleep(Duration::from_millis(600));
    drop(server);
    let output = wait(child);
    assert_eq!(output.status.code(), Some(69), "{}", err(&output));
    assert!(err(&output).contains("is gone"), "{}", err(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_file_says_where_and_how_to_send() {
    let server = server();
    let client = connect(&server).await;
    let mut digits = client.subscribe("digits.in").await.expect("subscribed");
    client.flush().await.expect("flushed");
    let send = |pipeline: &str, more: &[&str]| {
        let args = [
            "send",
            "pipelines/digits/sample.jsonl",
            "--pipeline",
            pipeline,
        ];
        forebay(&[&args, more].concat())
            .env("NATS_URL", server.url())
            .output()
            .expect("runs")
    };
    let sent = send(
        "pipelines/digits/pipeline.yaml",
        &["--tensor", "pixels", "--count", "1"],
    );
    assert!(sent.status.success(), "{}", err(&sent));
    let image = digits.next().await.expect("a message").payload;
    // 64 numbers of four bytes; the first line starts 0, 0, 2, 16.
    assert_eq!(image.len(), 256);
    assert_eq!(
        image[8..16],
        [2.0_f32.to_le_bytes(), 16.0_f32.to_le_bytes()].concat()
    );

    for (pipeline, code, says) in [
        (
            "pipelines/income/pipeline.yaml",
            2,
            "listens to `rows.income.>`; say with --subject",
        ),
        (
            "pipelines/penguins/pipeline.yaml",
            2,
            "reads a file: nothing can be sent to it",
        ),
        ("no/such.yaml", 66, "no/such.yaml"),
    ] {
        let refused = send(pipeline, &[]);
        assert_eq!(refused.status.code(), Some(code), "{}", err(&refused));
        assert!(err(&refused).contains(says), "{}", err(&refused));
    }
}
