//! Signing in, in every way that there is: it works, and where it does not the sentence says why.

use std::{path::PathBuf, time::Duration};

use forebay::nats::{Auth, Connection, Secret, ServerOptions};
use futures_util::StreamExt as _;

use crate::support::{
    examples::{self, changed},
    identities::{identity, identity_text, secure_server},
    options,
    program::Program,
    server::NatsServer,
    streams::Streams,
    without_ports,
};

const REFUSED: &str = "NATS at nats://127.0.0.1:PORT does not accept who we say we are; check the token, user and password, credentials file or nkey";

fn with(server: &NatsServer, auth: Auth) -> ServerOptions {
    let mut options = options(&server.url());
    options.auth = auth;
    options
}

/// Connects, and fails unless a message goes through the server and comes back.
async fn let_in(options: &ServerOptions) -> Connection {
    let connection = Connection::connect(options, "test").await.expect("let in");
    let client = connection.client();
    let mut inbox = client.subscribe("allowed.x").await.expect("subscribed");
    let hello = client.publish("allowed.x", "hello".into());
    hello.await.expect("published");
    let message = tokio::time::timeout(Duration::from_secs(5), inbox.next()).await;
    let message = message.expect("in time").expect("a message");
    assert_eq!(message.payload, "hello");
    connection
}

async fn refused(options: &ServerOptions) -> String {
    let error = Connection::connect_within(options, "test", Duration::from_millis(500)).await;
    let text = without_ports(&error.expect_err("refused").message);
    text.replace(&*identity("").to_string_lossy(), "")
}

#[tokio::test]
async fn a_token() {
    let server = NatsServer::with_config("authorization { token: t0ken }");
    let token = |text: &str| with(&server, Auth::Token(Secret::new(text)));
    let_in(&token("t0ken")).await;
    assert_eq!(refused(&token("other")).await, REFUSED);
    assert_eq!(refused(&with(&server, Auth::None)).await, REFUSED);
}

#[tokio::test]
async fn user_and_password() {
    let server = NatsServer::with_config("authorization { user: me, password: right }");
    let user = |user: &str, password| {
        let (user, password) = (user.to_owned(), Secret::new(password));
        with(&server, Auth::User { user, password })
    };
    let_in(&user("me", "right")).await;
    assert_eq!(refused(&user("me", "wrong")).await, REFUSED);
    assert_eq!(refused(&user("you", "right")).await, REFUSED);
}

#[tokio::test]
async fn an_nkey() {
    let config = format!(
        "authorization {{ users: [{{ nkey: {} }}] }}",
        identity_text("user.pub").trim()
    );
    let server = NatsServer::with_config(&config);
    let nkey = |file: PathBuf| with(&server, Auth::NkeyFile(file));
    let_in(&nkey(identity("user.nk"))).await;
    assert_eq!(refused(&nkey(identity("stranger.nk"))).await, REFUSED);

    let folder = tempfile::TempDir::new().expect("a folder");
    let broken = folder.path().join("broken.nk");
    let seed = identity_text("user.nk").trim().to_owned();
    std::fs::write(&broken, &seed[..seed.len() - 1]).expect("written");
    insta::assert_snapshot!(refused(&nkey(broken)).await, @"cannot sign in to NATS at nats://127.0.0.1:PORT: the seed in the credentials or nkey file is not valid");
}

#[tokio::test]
async fn a_credentials_file() {
    let server = NatsServer::with_config(&identity_text("operator.conf"));
    let creds = |file| with(&server, Auth::CredentialsFile(identity(file)));
    let_in(&creds("user.creds")).await;
    assert_eq!(refused(&creds("stranger.creds")).await, REFUSED);
    assert_eq!(refused(&with(&server, Auth::None)).await, REFUSED);

    // What the user may do stands in the JWT, and holds.
    let limited = let_in(&creds("limited.creds")).await;
    let published = limited.client().publish("secret.x", "1".into());
    published.await.expect("published");
    insta::assert_snapshot!(without_ports(&limited.fatal().await), @"not allowed to publish to `secret.x` at nats://127.0.0.1:PORT; add the subject to the publish permissions of the NATS user, or change it in the pipeline file");
}

#[tokio::test]
async fn tls_with_an_authority_of_our_own() {
    let server = secure_server(false, "");
    let mut options = options(&server.url());
    insta::assert_snapshot!(refused(&options).await, @"cannot talk TLS with NATS at nats://127.0.0.1:PORT: nobody who is trusted has signed the server's certificate; name the file with the certificate of who did in `ca_file`");
    options.tls.ca_file = Some(identity("stranger-ca.pem"));
    insta::assert_snapshot!(refused(&options).await, @"cannot talk TLS with NATS at nats://127.0.0.1:PORT: nobody who is trusted has signed the server's certificate; name the file with the certificate of who did in `ca_file`");
    options.tls.ca_file = Some(identity("user.pub"));
    insta::assert_snapshot!(refused(&options).await, @"the certificate authority's file `user.pub` is not a PEM file that holds one: it needs a line `-----BEGIN CERTIFICATE-----`");
    options.tls.ca_file = Some(identity("ca.pem"));
    let_in(&options).await;
    options.tls.required = true;
    let_in(&options).await;
    options.urls = vec![server.url().replace("nats://", "tls://")];
    let_in(&options).await;
    options.urls = vec![server.url().replace("127.0.0.1", "localhost")];
    let text = refused(&options).await;
    let text = text.replace(&server.port().to_string(), "PORT");
    insta::assert_snapshot!(text, @r#"cannot talk TLS with NATS at nats://localhost:PORT: invalid peer certificate: certificate not valid for name "localhost"; certificate is only valid for IpAddress(127.0.0.1); the server needs another certificate, or `url` another name"#);
}

#[tokio::test]
async fn mutual_tls() {
    let server = secure_server(true, "");
    let mut options = options(&server.url());
    options.tls.ca_file = Some(identity("ca.pem"));
    insta::assert_snapshot!(refused(&options).await, @"cannot talk TLS with NATS at nats://127.0.0.1:PORT: the server wants a client certificate; name ours in `cert_file` and its key in `key_file`");
    options.tls.client = Some((identity("stranger.pem"), identity("stranger-key.pem")));
    insta::assert_snapshot!(refused(&options).await, @"cannot talk TLS with NATS at nats://127.0.0.1:PORT: received fatal alert: UnknownCA: the server does not accept our client certificate; check `cert_file`");
    options.tls.client = Some((identity("client.pem"), identity("stranger-key.pem")));
    insta::assert_snapshot!(refused(&options).await, @"cannot talk TLS with NATS at nats://127.0.0.1:PORT: could not add certificate or key; are the files of `tls` whole, and does the certificate fit its key?");
    options.tls.client = Some((identity("client.pem"), identity("user.pub")));
    insta::assert_snapshot!(refused(&options).await, @"the client certificate's key `user.pub` is not a PEM file that holds one: it needs a line `-----BEGIN PRIVATE KEY-----`");
    options.tls.client = Some((identity("user.pub"), identity("client-key.pem")));
    insta::assert_snapshot!(refused(&options).await, @"the client certificate `user.pub` is not a PEM file that holds one: it needs a line `-----BEGIN CERTIFICATE-----`");
    options.tls.client = Some((identity("client.pem"), identity("client-key.pem")));
    let_in(&options).await;
}

/// A user who may have inboxes with one prefix only.
const ONE_PREFIX: &str = r#"
authorization { users = [
    { user: admin, password: admin }
    { user: limited, password: limited, permissions: {
        publish: ">", subscribe: { allow: ["allowed.>", "_INBOX_w1.>"] }
    } }
] }"#;

#[tokio::test]
async fn a_prefix_of_our_own_for_inboxes() {
    let server = NatsServer::with_config(ONE_PREFIX);
    let mut options = with(
        &server,
        Auth::User {
            user: "limited".into(),
            password: Secret::new("limited"),
        },
    );
    let without = let_in(&options).await;
    let ask = |connection: &Connection| {
        let client = connection.client().clone();
        async move { client.request("$JS.API.INFO", "".into()).await }
    };
    let (answer, sentence) = tokio::join!(
        tokio::time::timeout(Duration::from_millis(300), ask(&without)),
        without.fatal()
    );
    assert!(answer.is_err(), "{answer:?}");
    insta::assert_snapshot!(without_ports(&sentence), @"not allowed to subscribe to `_INBOX.>` at nats://127.0.0.1:PORT; add the subject to the subscribe permissions of the NATS user, or set `inbox_prefix` to one that it has");
    options.inbox_prefix = Some("_INBOX_w1".into());
    let with = let_in(&options).await;
    ask(&with).await.expect("an answer");
}

/// The income example over mutual TLS, signed in with a JWT that lets it have inboxes of its own only.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_signs_in_and_serves() {
    let server = secure_server(true, &identity_text("operator.conf"));
    let mut options = with(&server, Auth::CredentialsFile(identity("user.creds")));
    options.tls.ca_file = Some(identity("ca.pem"));
    options.tls.client = Some((identity("client.pem"), identity("client-key.pem")));
    let admin = let_in(&options).await;
    let all = [
        ("ROWS", "rows.>"),
        ("SCORES", "scores.>"),
        ("DEAD", "dead.>"),
    ];
    let streams = Streams::with(&admin, &all).await;
    let keys = format!(
        "stream: ROWS\n    auth: {{ credentials_file: {} }}\n    tls: {{ ca_file: {}, cert_file: {}, key_file: {} }}\n    inbox_prefix: _INBOX_income",
        identity("one_prefix.creds").display(),
        identity("ca.pem").display(),
        identity("client.pem").display(),
        identity("client-key.pem").display(),
    );
    let pipeline = changed("income/pipeline.yaml", &[("stream: ROWS", keys.as_str())]);
    let mut program = Program::run(&pipeline.file, &server.url());
    program.ready().await;
    let rows = examples::lines("income/sample.jsonl");
    streams
        .publish("rows.income.ma", rows.into_iter().take(100))
        .await;
    streams.done("ROWS", "income").await;
    let results: Vec<_> = streams.read("SCORES").await;
    let results: Vec<_> = results.iter().map(|m| examples::json(&m.payload)).collect();
    examples::assert_each_once(&results, &examples::income_results()[..100]);
    program.stop().await;
}
