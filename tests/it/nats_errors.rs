//! What the operator must mend is said in one sentence.

use std::time::Duration;

use async_nats::jetstream::{self, consumer, stream};
use forebay::{
    nats::{Auth, Connection, Secret, ServerOptions, State},
    sink::{
        jetstream::{JetStreamSink, JetStreamTarget, Purpose},
        nats::{NatsSink, NatsTarget},
        template::Template,
    },
    source::{
        jetstream::{JetStreamOptions, JetStreamSource},
        nats::{NatsOptions, NatsSource},
    },
};

use crate::support::{
    connect, eventually,
    line::{CREDIT, Line, echo},
    options,
    server::NatsServer,
    without_ports,
};

/// A user who may do little, and one who may do everything.
const ACCOUNTS: &str = r#"
authorization { users = [
    { user: admin, password: admin }
    { user: limited, password: limited, permissions: {
        publish: { allow: ["allowed.>", "$JS.API.STREAM.INFO.>", "$JS.API.CONSUMER.>"] }
        subscribe: { allow: ["allowed.>", "_INBOX.>"] }
    } }
] }"#;

fn user(server: &NatsServer, name: &str) -> ServerOptions {
    let mut options = options(&server.url());
    options.auth = Auth::User {
        user: name.into(),
        password: Secret::new(name),
    };
    options
}

async fn connect_as(server: &NatsServer, name: &str) -> Connection {
    Connection::connect(&user(server, name), "test")
        .await
        .expect("let in")
}

async fn refused(options: &ServerOptions) -> String {
    let error = Connection::connect_within(options, "test", Duration::from_millis(500)).await;
    without_ports(&error.expect_err("refused").message)
}

fn core_source(connection: &Connection, subject: &str) -> NatsSource {
    let options = NatsOptions {
        subject: subject.into(),
        queue_group: None,
    };
    NatsSource::new(connection.clone(), options)
}

fn core_sink(connection: &Connection, subject: &str) -> NatsSink {
    let template = Template::parse(subject).expect("template");
    NatsSink::new(connection.clone(), NatsTarget::Subject(template))
}

fn stream_options(filter: Option<&str>) -> JetStreamOptions {
    JetStreamOptions {
        stream: "IN".into(),
        consumer: "worker".into(),
        filter_subject: filter.map(Into::into),
        ack_wait: Duration::from_secs(30),
        max_deliver: 5,
    }
}

fn stream_source(connection: &Connection, filter: Option<&str>) -> JetStreamSource {
    JetStreamSource::new(connection.clone(), stream_options(filter), CREDIT)
}

fn stream_sink(connection: &Connection, subject: &str) -> JetStreamSink {
    let subject = Template::parse(subject).expect("template");
    let target = JetStreamTarget {
        subject,
        purpose: Purpose::Result,
    };
    JetStreamSink::new(connection.clone(), target)
}

async fn source_error(line: Line) -> String {
    without_ports(
        &line
            .source
            .await
            .expect("no panic")
            .expect_err("an error")
            .message,
    )
}

async fn sink_error(line: Line) -> String {
    without_ports(
        &line
            .sink
            .await
            .expect("no panic")
            .expect_err("an error")
            .message,
    )
}

async fn add_stream(connection: &Connection, name: &str, subject: &str) {
    let config = stream::Config {
        name: name.into(),
        subjects: vec![subject.into()],
        ..stream::Config::default()
    };
    let js = jetstream::new(connection.client().clone());
    js.create_stream(config).await.expect("a stream");
}

#[tokio::test]
async fn a_server_that_is_not_there() {
    // Nobody listens on the port of a server that has just ended.
    let url = NatsServer::start(&[]).url();
    insta::assert_snapshot!(refused(&options(&url)).await, @"cannot reach NATS at nats://127.0.0.1:PORT: connection refused; is the server running, and is the address right?");
    let hidden = url.replace("nats://", "nats://me:secret@");
    insta::assert_snapshot!(refused(&options(&hidden)).await, @"cannot reach NATS at nats://127.0.0.1:PORT: connection refused; is the server running, and is the address right?");
    insta::assert_snapshot!(refused(&options("nats://no-such-host.invalid")).await, @"cannot reach NATS at nats://no-such-host.invalid:4222: the host's name is not known; is the server running, and is the address right?");
    insta::assert_snapshot!(refused(&options("http://127.0.0.1")).await, @"`http://127.0.0.1` is not the address of a NATS server; write it like `nats://127.0.0.1:PORT`");
}

#[tokio::test]
async fn credentials_that_are_wrong() {
    let server = NatsServer::with_config(ACCOUNTS);
    insta::assert_snapshot!(refused(&options(&server.url())).await, @"NATS at nats://127.0.0.1:PORT does not accept who we say we are; check the token, user and password, credentials file or nkey");
    let mut wrong = user(&server, "limited");
    wrong.auth = Auth::User {
        user: "limited".into(),
        password: Secret::new("wrong"),
    };
    assert_eq!(
        refused(&wrong).await,
        refused(&options(&server.url())).await
    );
    wrong.auth = Auth::CredentialsFile("/none.creds".into());
    insta::assert_snapshot!(refused(&wrong).await, @"cannot read the credentials file `/none.creds`: no such file or directory");
    wrong.auth = Auth::CredentialsFile("Cargo.toml".into());
    insta::assert_snapshot!(refused(&wrong).await, @"`Cargo.toml` is not a NATS credentials file: it needs a user JWT and a seed, as `nsc generate creds` writes them");
    wrong.auth = Auth::NkeyFile("Cargo.toml".into());
    insta::assert_snapshot!(refused(&wrong).await, @"`Cargo.toml` holds no nkey seed: a line that starts with `SU`");
    wrong.auth = Auth::None;
    wrong.tls.ca_file = Some("/none.pem".into());
    insta::assert_snapshot!(refused(&wrong).await, @"cannot read the certificate authority's file `/none.pem`: no such file or directory");
}

#[tokio::test]
async fn credentials_that_are_right() {
    let server = NatsServer::with_config(ACCOUNTS);
    connect_as(&server, "limited").await;
    let mut in_url = options(&server.url().replace("nats://", "nats://limited:limited@"));
    Connection::connect(&in_url, "test")
        .await
        .expect("the URL's user is let in");
    let server = NatsServer::start(&["--auth", "t0ken"]);
    in_url.urls = vec![server.url().replace("nats://", "nats://t0ken@")];
    Connection::connect(&in_url, "test")
        .await
        .expect("the URL's token is let in");
    let mut token = options(&server.url());
    token.auth = Auth::Token(Secret::new("t0ken"));
    Connection::connect(&token, "test")
        .await
        .expect("the token is let in");
}

#[tokio::test]
async fn tls_that_does_not_work() {
    let server = NatsServer::start(&[]);
    let mut tls = options(&server.url());
    tls.tls.required = true;
    insta::assert_snapshot!(refused(&tls).await, @"cannot talk TLS with NATS at nats://127.0.0.1:PORT: received corrupt message of type InvalidContentType; the server does not use TLS, or nothing there speaks NATS");
}

#[tokio::test(flavor = "multi_thread")]
async fn permissions_that_are_missing() {
    let server = NatsServer::with_config(ACCOUNTS);
    let limited = connect_as(&server, "limited").await;
    let line = Line::start(
        core_source(&limited, "secret.in"),
        core_sink(&limited, "allowed.out"),
        echo,
    );
    insta::assert_snapshot!(source_error(line).await, @"not allowed to subscribe to `secret.in` at nats://127.0.0.1:PORT; add the subject to the subscribe permissions of the NATS user, or change it in the pipeline file");

    let line = Line::start(
        core_source(&limited, "allowed.in"),
        core_sink(&limited, "secret.out"),
        echo,
    );
    server.subscribed("allowed.in").await;
    limited
        .client()
        .publish("allowed.in", "1".into())
        .await
        .expect("published");
    insta::assert_snapshot!(sink_error(line).await, @"not allowed to publish to `secret.out` at nats://127.0.0.1:PORT; add the subject to the publish permissions of the NATS user, or change it in the pipeline file");
    insta::assert_snapshot!(without_ports(&limited.fatal().await), @"not allowed to publish to `secret.out` at nats://127.0.0.1:PORT; add the subject to the publish permissions of the NATS user, or change it in the pipeline file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_subject_that_is_not_allowed_harms_nobody() {
    let server = NatsServer::with_config(ACCOUNTS);
    let limited = connect_as(&server, "limited").await;
    let admin = connect_as(&server, "admin").await;
    let sink = NatsSink::new(limited.clone(), NatsTarget::Reply);
    let mut line = Line::start(core_source(&limited, "allowed.in"), sink, echo);
    server.subscribed("allowed.in").await;
    let mut answers = admin
        .client()
        .subscribe("allowed.answer")
        .await
        .expect("subscribed");
    for reply in ["secret.answer", "$SYS.x", "$JS.API.x", "allowed.answer"] {
        let published = admin
            .client()
            .publish_with_reply("allowed.in", reply, "1".into());
        published.await.expect("published");
    }
    futures_util::StreamExt::next(&mut answers)
        .await
        .expect("the allowed answer");
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    assert_eq!((message.reply(), reject.kind), (Some("$JS.API.x"), "reply"));
    drop(message);
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_made_of_the_inputs_that_is_not_allowed_is_a_reject() {
    let server = NatsServer::with_config(ACCOUNTS);
    let admin = connect_as(&server, "admin").await;
    add_stream(&admin, "OUT", "allowed.out").await;
    let limited = connect_as(&server, "limited").await;
    let sink = stream_sink(&limited, "{3}.out");
    let mut line = Line::start(core_source(&limited, "allowed.in.*"), sink, echo);
    server.subscribed("allowed.in.*").await;
    for subject in ["allowed.in.secret", "allowed.in.allowed"] {
        let published = admin.client().publish(subject, "1".into());
        published.await.expect("published");
    }
    let (message, reject) = line.rejects.recv().await.expect("rejected");
    assert_eq!(message.subject(), "allowed.in.secret");
    insta::assert_snapshot!(reject, @"sink: NATS does not allow to publish to `secret.out`, which is made of the input's subject");
    drop(message);
    eventually("the other", async || {
        line.counter("forebay_results_total") == 1
    })
    .await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_missing() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    let line = Line::start(
        stream_source(&connection, None),
        stream_sink(&connection, "out.x"),
        echo,
    );
    insta::assert_snapshot!(sink_error(line).await, @"no stream at nats://127.0.0.1:PORT takes the subject `out.x`, so results could not be stored; make one, or let `forebay run --create-streams` make what is missing");
    add_stream(&connection, "OUT", "out.>").await;
    add_stream(&connection, "ROWS", "rows.>").await;
    let line = Line::start(
        stream_source(&connection, Some("in.>")),
        stream_sink(&connection, "out.x"),
        echo,
    );
    insta::assert_snapshot!(source_error(line).await, @"there is no stream `IN` at nats://127.0.0.1:PORT; the server has `OUT`, `ROWS`; make it, or let `forebay run --create-streams` make what is missing");

    let server = NatsServer::without_jetstream();
    let connection = connect(&server.url()).await;
    let line = Line::start(
        stream_source(&connection, None),
        core_sink(&connection, "out.x"),
        echo,
    );
    insta::assert_snapshot!(source_error(line).await, @"cannot look up the stream `IN`: NATS at nats://127.0.0.1:PORT has no JetStream; start it with `nats-server -js`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_list_streams_can_work() {
    let server = NatsServer::with_config(ACCOUNTS);
    let admin = connect_as(&server, "admin").await;
    add_stream(&admin, "IN", "in.>").await;
    let limited = connect_as(&server, "limited").await;
    // A fixed subject is looked up at the start, which this user may not do.
    let line = Line::start(
        stream_source(&limited, None),
        stream_sink(&limited, "allowed.out"),
        echo,
    );
    add_stream(&admin, "OUT", "allowed.out").await;
    admin
        .client()
        .publish("in.1", "1".into())
        .await
        .expect("published");
    // What it may not do either is acknowledge, and that is fatal.
    insta::assert_snapshot!(source_error(line).await, @"not allowed to publish to `$JS.ACK.IN.worker.>` at nats://127.0.0.1:PORT; add the subject to the publish permissions of the NATS user");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_does_not_fit() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    add_stream(&connection, "IN", "in.>").await;
    let js = jetstream::new(connection.client().clone());
    let stream = js.get_stream("IN").await.expect("IN");
    let config = consumer::pull::Config {
        durable_name: Some("worker".into()),
        ack_policy: consumer::AckPolicy::All,
        ack_wait: Duration::from_mins(1),
        max_deliver: 5,
        filter_subject: "in.a".into(),
        ..consumer::pull::Config::default()
    };
    stream.create_consumer(config).await.expect("a consumer");
    let line = Line::start(
        stream_source(&connection, Some("in.b")),
        core_sink(&connection, "out"),
        echo,
    );
    insta::assert_snapshot!(source_error(line).await, @"the consumer `worker` of the stream `IN` is there but does not fit: ack_policy is all, and must be explicit; ack_wait is 60s, and 30s in the pipeline file; filter_subject is `in.a`, and `in.b` in the pipeline file; max_deliver is 5, so the server would give up before the dead letter is written; it must be -1, or above the 5 in the pipeline file. Change the consumer or the pipeline file, or name another consumer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_would_read_what_it_writes() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    add_stream(&connection, "IN", "in.>").await;
    let source = |filter, own: &str| {
        stream_source(&connection, filter).with_own_subjects(vec!["out.x".into(), own.into()])
    };
    let sink = || core_sink(&connection, "out.x");
    let line = Line::start(source(None, "in.dead"), sink(), echo);
    insta::assert_snapshot!(source_error(line).await, @"the pipeline publishes to `in.dead`, and the consumer `worker` of the stream `IN` reads that too, so its own messages would come in again without an end; publish to a subject outside the stream, or set a `filter_subject` that leaves it out");
    let line = Line::start(source(Some("in.*"), "in.*"), sink(), echo);
    assert!(source_error(line).await.contains("`in.*`"));
    let line = Line::start(source(Some("in.rows"), "in.dead"), sink(), echo);
    eventually("it reads", async || line.home.is_reading()).await;
    line.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_deleted_under_us() {
    let server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    add_stream(&connection, "IN", "in.>").await;
    let js = jetstream::new(connection.client().clone());
    let line = Line::start(
        stream_source(&connection, None),
        core_sink(&connection, "out"),
        echo,
    );
    let stream = js.get_stream("IN").await.expect("IN");
    eventually("the consumer", async || {
        stream.consumer_info("worker").await.is_ok()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.delete_consumer("worker").await.expect("deleted");
    insta::assert_snapshot!(source_error(line).await, @"the consumer `worker` of the stream `IN` was deleted; a new one would deliver everything again, so this is for you to decide: start again to make it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_follows_the_server() {
    let mut server = NatsServer::start(&[]);
    let connection = connect(&server.url()).await;
    assert_eq!(connection.state(), State::Connected);
    server.kill();
    eventually("disconnected", async || {
        connection.state() == State::Disconnected
    })
    .await;
    server.restart();
    eventually("connected", async || connection.state() == State::Connected).await;
    server.lame_duck();
    eventually("lame duck", async || connection.state() == State::LameDuck).await;
}
