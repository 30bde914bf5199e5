//! `check --permissions` says what a pipeline's user must be allowed: with exactly that the pipeline
//! works, and with anything less it does not.

use std::time::Duration;

use forebay::nats::{Auth, Connection, Secret};
use futures_util::{StreamExt as _, future::join_all};

use crate::{
    cli::{err, forebay, out, run},
    support::{
        eventually,
        examples::{Changed, changed, lines},
        options,
        program::Program,
        server::NatsServer,
        streams::Streams,
        without_ports,
    },
};

/// The income example, signed in; under a name of its own in each case.
fn income() -> Changed {
    let keys = "stream: ROWS\n    auth: { user: \"${NATS_USER}\", password: \"${NATS_PASSWORD}\" }";
    changed("income/pipeline.yaml", &[("stream: ROWS", keys)])
}

fn digits() -> Changed {
    let keys =
        "subject: digits.in\n    auth: { user: \"${NATS_USER}\", password: \"${NATS_PASSWORD}\" }";
    changed("digits/pipeline.yaml", &[("subject: digits.in", keys)])
}

fn with_user(command: &mut std::process::Command, url: &str, user: &str) {
    command
        .env("NATS_URL", url)
        .env("NATS_USER", user)
        .env("NATS_PASSWORD", user)
        .env("HTTP_LISTEN", "127.0.0.1:0");
}

/// What `check --permissions` prints.
fn permissions(pipeline: &Changed, user: &str) -> String {
    let file = pipeline.file.to_str().expect("a path in UTF-8");
    let mut command = forebay(&["check", file, "--permissions"]);
    with_user(&mut command, "nats://127.0.0.1:4222", user);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

/// The subjects of a block, those that are not needed left out.
fn subjects(block: &str) -> Vec<String> {
    let lines = block.lines().map(str::trim);
    let quoted = lines.filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    quoted.map(ToOwned::to_owned).collect()
}

/// The block without one of its subjects. An empty list would allow everything.
fn without(block: &str, subject: &str) -> String {
    let line = format!("\"{subject}\"");
    let kept: Vec<_> = block.lines().filter(|l| l.trim() != line).collect();
    assert_eq!(kept.len() + 1, block.lines().count(), "{subject}");
    let kept = kept.join("\n");
    let lists = kept.split("allow: [").map(|list| {
        let rest = list.split_once(']').map_or("", |(list, _)| list);
        let is_empty = list.contains(']') && subjects(rest).is_empty();
        if is_empty {
            format!("deny: [ \">\"\n{list}")
        } else {
            format!("allow: [{list}")
        }
    });
    let text: String = lists.collect();
    text.trim_start_matches("allow: [").to_owned()
}

/// A server with an account for each of these blocks, in which the user `case-N` has these
/// permissions and `admin-N` all there are.
fn server(blocks: &[String], more: &str) -> NatsServer {
    let account = |(n, block): (usize, &String)| {
        format!(
            "C{n}: {{ jetstream: enabled, users: [\n{{ user: admin-{n}, password: admin-{n} }}\n{{ user: case-{n}, password: case-{n}\n{block}\n}} ] }}\n"
        )
    };
    let accounts: String = blocks.iter().enumerate().map(account).collect();
    NatsServer::with_config(&format!("{more}\naccounts: {{\n{accounts}}}"))
}

async fn connect_as(url: &str, user: &str) -> Connection {
    let mut options = options(url);
    options.auth = Auth::User {
        user: user.into(),
        password: Secret::new(user),
    };
    Connection::connect(&options, "test").await.expect("let in")
}

/// How a pipeline fared.
#[derive(Debug)]
struct Fared {
    /// The exit code and the last words, where it ended by itself.
    ended: Option<(i32, String)>,
    results: u64,
    letters: Vec<String>,
}

/// One good row, one bad row, under the permissions of case `n`.
async fn run_income(url: &str, pipeline: &Changed, n: usize) -> Fared {
    let admin = connect_as(url, &format!("admin-{n}")).await;
    let all = [
        ("ROWS", "rows.>"),
        ("SCORES", "scores.>"),
        ("DEAD", "dead.>"),
    ];
    let streams = Streams::with(&admin, &all).await;
    let good = lines("income/sample.jsonl").remove(0);
    streams.publish("rows.income.ma", [good, "{".into()]).await;
    let file = pipeline.file.to_str().expect("a path in UTF-8");
    let mut command = forebay(&["run", file]);
    with_user(&mut command, url, &format!("case-{n}"));
    let mut program = Program::start(&mut command);
    let mut ended = None;
    eventually(&format!("case {n} to be done"), async || {
        let done = streams.left("ROWS", "income").await == Some((0, 0));
        done || program.has_ended()
    })
    .await;
    if program.has_ended() {
        let end = program.ended().await;
        ended = Some((end.code, last_words(&end.stderr)));
    } else {
        program.stop().await;
    }
    let letters = streams.read("DEAD").await;
    let reason = |letter: &async_nats::jetstream::Message| {
        let headers = letter.headers.as_ref().expect("headers");
        headers.get("Forebay-Reason").expect("a reason").to_string()
    };
    Fared {
        ended,
        results: streams.messages("SCORES").await,
        letters: letters.iter().map(reason).collect(),
    }
}

/// What the program said last; which of its rooms was the first to say it may differ.
fn last_words(stderr: &str) -> String {
    let last = without_ports(stderr.lines().last().unwrap_or_default());
    let rooms = ["source: ", "sink: ", "dead_letter: "];
    rooms.iter().fold(last, |last, room| last.replace(room, ""))
}

fn works(fared: &Fared) {
    assert!(fared.ended.is_none(), "{fared:?}");
    assert_eq!((fared.results, fared.letters.len()), (1, 1), "{fared:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_streams_needs_all_of_them_and_no_more() {
    let pipeline = income();
    let block = permissions(&pipeline, "income");
    insta::assert_snapshot!("income", block);
    let subjects = subjects(&block);
    let newer = subjects.iter().position(|s| s.starts_with("$JS.ACK.*.*."));
    let newer = newer.expect("the form of newer servers");
    let mut blocks = vec![block.clone()];
    blocks.extend(subjects.iter().map(|subject| without(&block, subject)));
    let server = server(&blocks, "");
    let url = server.url();
    let cases = (0..blocks.len()).map(|n| run_income(&url, &pipeline, n));
    let fared = join_all(cases).await;
    works(&fared[0]);
    let mut table = String::new();
    for (subject, fared) in subjects.iter().zip(&fared[1..]) {
        match &fared.ended {
            Some((code, last)) => table += &format!("{subject}\n  {code}: {last}\n"),
            None => table += &format!("{subject}\n  {:?}\n", fared.letters),
        }
    }
    // This server does not write acknowledgements that way.
    works(&fared[newer + 1]);
    insta::assert_snapshot!("income_without", table);
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_acknowledgements_need_their_own() {
    let pipeline = income();
    let block = permissions(&pipeline, "income");
    let blocks = ["$JS.ACK.ROWS.income.>", "$JS.ACK.*.*.ROWS.income.>"];
    let blocks = blocks.map(|subject| without(&block, subject));
    let server = server(&blocks, "feature_flags { js_ack_fc_v2: true }");
    works(&run_income(&server.url(), &pipeline, 0).await);
    let fared = run_income(&server.url(), &pipeline, 1).await;
    let (_, last) = fared.ended.expect("it ends");
    assert!(last.contains("ROWS.income.>`"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_there_need_not_be_made() {
    let pipeline = income();
    let block = permissions(&pipeline, "income");
    let blocks = [without(&block, "$JS.API.CONSUMER.CREATE.ROWS.income")];
    let server = server(&blocks, "");
    let admin = connect_as(&server.url(), "admin-0").await;
    let streams = Streams::with(&admin, &[("ROWS", "rows.>")]).await;
    let rows = streams.js.get_stream("ROWS").await.expect("the stream");
    let config = async_nats::jetstream::consumer::pull::Config {
        durable_name: Some("income".into()),
        filter_subject: "rows.income.>".into(),
        ..Default::default()
    };
    rows.create_consumer(config).await.expect("a consumer");
    works(&run_income(&server.url(), &pipeline, 0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_of_requests_needs_all_of_them_and_no_more() {
    let pipeline = digits();
    let block = permissions(&pipeline, "digits");
    insta::assert_snapshot!("digits", block);
    let subjects = subjects(&block);
    let mut blocks = vec![block.clone()];
    blocks.extend(subjects.iter().map(|subject| without(&block, subject)));
    let server = server(&blocks, "");
    let url = server.url();
    let cases = (0..blocks.len()).map(|n| ask_digits(&url, &pipeline, n));
    let fared = join_all(cases).await;
    assert_eq!(fared[0], "answered, and a dead letter");
    let rest = subjects.iter().zip(&fared[1..]);
    let table: String = rest
        .map(|(subject, fared)| format!("{subject}\n  {fared}\n"))
        .collect();
    insta::assert_snapshot!("digits_without", table);
}

/// One good request, one bad one, under the permissions of case `n`.
async fn ask_digits(url: &str, pipeline: &Changed, n: usize) -> String {
    let admin = connect_as(url, &format!("admin-{n}")).await;
    let client = admin.client();
    let mut letters = client.subscribe("dead.digits").await.expect("subscribed");
    let file = pipeline.file.to_str().expect("a path in UTF-8");
    let mut command = forebay(&["run", file]);
    with_user(&mut command, url, &format!("case-{n}"));
    let mut program = Program::start(&mut command);
    eventually("it is ready, or has ended", async || {
        program.has_ended() || program.status("/readyz") == 200
    })
    .await;
    // Where the queue group may not be joined, the refusal comes a moment after.
    let request = async {
        loop {
            match client.request("digits.in", vec![0; 256].into()).await {
                Err(error) if error.to_string().contains("no responders") => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                answer => return answer.is_ok(),
            }
        }
    };
    let answered = tokio::time::timeout(Duration::from_secs(3), request).await;
    client
        .publish("digits.in", "x".into())
        .await
        .expect("published");
    let letter = tokio::time::timeout(Duration::from_secs(3), letters.next()).await;
    if program.has_ended() {
        let end = program.ended().await;
        return format!("{}: {}", end.code, last_words(&end.stderr));
    }
    if matches!(answered, Ok(true)) && letter.is_ok() {
        program.stop().await;
        return "answered, and a dead letter".to_owned();
    }
    let said = program.said();
    let warned = said.lines().find(|line| line.contains("not allowed"));
    let warned: serde_json::Value = serde_json::from_str(warned.expect("a warning")).expect("JSON");
    let subject = warned["subject"].as_str().expect("a subject");
    let inbox = subject.split('.').next().expect("a token");
    program.stop().await;
    format!(
        "no answer; {}: {}, {inbox}",
        warned["level"], warned["message"]
    )
}

/// One block for each user at each server, for all files; and none where no server is used.
#[test]
fn every_user_has_a_block() {
    let other = "subject: \"scores.{3}\"\n    url: nats://other:4222\n    auth: { credentials_file: user.creds }\n    inbox_prefix: _INBOX_scores\n";
    let files = [
        changed(
            "income/pipeline.yaml",
            &[("subject: \"scores.income.{3}\"", other)],
        ),
        changed("penguins/pipeline.nats.yaml", &[]),
    ];
    // The url that the sink of the example has, too.
    let text = std::fs::read_to_string(&files[0].file).expect("readable");
    let (start, sink) = text.split_once("sink:").expect("a sink");
    let sink = sink.replacen("    url: \"${NATS_URL:-nats://127.0.0.1:4222}\"\n", "", 1);
    std::fs::write(&files[0].file, format!("{start}sink:{sink}")).expect("written");
    let folder = files[0].file.parent().expect("a folder");
    std::fs::write(folder.join("user.creds"), "x").expect("written");
    let paths = files
        .each_ref()
        .map(|one| one.file.to_str().expect("UTF-8"));
    let output = run(&["check", "--permissions", paths[0], paths[1]]);
    assert!(output.status.success(), "{}", err(&output));
    let text = out(&output).replace(folder.to_str().expect("UTF-8"), "FOLDER");
    insta::assert_snapshot!("several", text);

    let files = changed(
        "penguins/pipeline.yaml",
        &[("path: sample.jsonl", "path: \"-\"")],
    );
    let output = run(&[
        "check",
        "--permissions",
        files.file.to_str().expect("UTF-8"),
    ]);
    assert_eq!(out(&output), "# No pipeline here uses a NATS server.\n");
}
