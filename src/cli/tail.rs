//! `forebay tail`: prints what is published on a subject, a line each.

use std::{collections::BTreeMap, io::Write as _, pin::Pin, time::Duration};

use async_nats::{
    HeaderMap, Message,
    jetstream::{
        consumer::{DeliverPolicy, pull},
        context::GetStreamErrorKind,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};

use super::{
    Exit, Failure, ServerArgs,
    output::{Output, Reader},
    server::{self, Broker},
};

/// What `tail` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to listen to; `*` stands for one part, `>` for all parts that follow
    #[arg(value_name = "SUBJECT", required_unless_present = "stream", value_parser = subject)]
    pub subject: Option<String>,
    /// Read this JetStream stream, from its first message on, and then wait for more
    #[arg(long, value_name = "NAME")]
    pub stream: Option<String>,
    /// Only what comes from now on
    #[arg(long, requires = "stream")]
    pub new: bool,
    /// Stop at the end of the stream, and at once where it has no message; without, wait for more
    #[arg(long, requires = "stream", conflicts_with = "new")]
    pub to_end: bool,
    /// Stop after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
    /// Write the subject, and a tab, in front of each message
    #[arg(long)]
    pub subject_prefix: bool,
    /// Write the headers above each message, `Name: value` a line
    #[arg(long)]
    pub headers: bool,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// A subject to listen to. The server takes others too, and never sends anything for them.
fn subject(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('.').collect();
    let last = parts.len() - 1;
    let why = if parts.iter().any(|part| part.is_empty()) {
        "it has an empty part"
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "it has white space in it"
    } else if parts[..last].contains(&">") {
        "`>` stands for all parts that follow, so it comes last"
    } else if (parts.iter()).any(|part| part.len() > 1 && part.contains(['*', '>'])) {
        "`*` and `>` stand for whole parts, between dots"
    } else {
        return Ok(text.to_owned());
    };
    Err(format!("`{text}` is no subject to listen to: {why}"))
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay tail 'scores.>'                          until Ctrl-C",
        "forebay tail 'scores.>' --subject-prefix | grep income",
        "forebay tail --stream SCORES --count 10          the first ten of a stream",
        "forebay tail --stream DEAD --headers --to-end    what was rejected so far, and why",
        "forebay tail 'rows.*.ma' --stream ROWS --new     a part of a stream, from now on",
    )
}

type Messages = Pin<Box<dyn Stream<Item = Result<Message, Failure>> + Send>>;

/// Prints until Ctrl-C, the count, or nobody reads any more.
///
/// # Errors
/// No server, no stream, a subject that makes no sense.
pub async fn tail(args: Args) -> Result<(), Failure> {
    let broker = server::connect(&args.server.options()?, "forebay tail").await?;
    let stop = super::stop_on_signal()?;
    let mut messages = match &args.stream {
        Some(stream) => stored(&broker, stream, &args).await?,
        None => published(&broker, args.subject.as_deref().unwrap_or_default()).await?,
    };
    tracing::info!(server = broker.address(), "listening");
    let mut output = Output::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let message = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            message = messages.next() => message,
        };
        let Some(message) = message else {
            if args.to_end {
                break;
            }
            return Err(broker.gone("the subscription ended"));
        };
        left -= 1;
        if print(&mut output, &message?, &args)?.is_gone() {
            return Ok(());
        }
        // A burst is written in large pieces; the last line is never kept back.
        while left > 0
            && let Some(Some(message)) = messages.next().now_or_never()
        {
            left -= 1;
            if print(&mut output, &message?, &args)?.is_gone() {
                return Ok(());
            }
        }
        if output.flush()?.is_gone() {
            return Ok(());
        }
    }
    let printed = args.count.unwrap_or(u64::MAX) - left;
    if args.stream.is_none() {
        warn_if_incomplete(&broker, printed, messages).await;
    }
    Ok(())
}

/// Core NATS keeps nothing: what was not read in time is not there any more, and only we know.
async fn warn_if_incomplete(broker: &Broker, printed: u64, mut messages: Messages) {
    let read = broker.messages_read();
    // What was read last may not be in the queue yet.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut waiting = 0;
    while let Some(Some(_)) = tokio::task::unconstrained(messages.next()).now_or_never() {
        waiting += 1;
    }
    let dropped = read.saturating_sub(printed + waiting);
    let why = if dropped > 0 {
        format!("{dropped} messages came faster than they could be written, and are missing")
    } else if broker.reconnects() > 0 {
        "the connection was lost for a while, and what came then is missing".to_owned()
    } else {
        return;
    };
    drop(writeln!(
        std::io::stderr(),
        "warning: {why}; --stream reads a stream, which keeps them"
    ));
}

async fn published(broker: &Broker, subject: &str) -> Result<Messages, Failure> {
    let subscriber = broker
        .client()
        .subscribe(subject.to_owned())
        .await
        .map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("`{subject}` cannot be listened to: {error}"),
            )
        })?;
    // From here on nothing is missed.
    broker.flush().await?;
    if let Some(said) = broker.refusal() {
        return Err(Failure::new(
            Exit::Unavailable,
            format!("`{subject}` cannot be listened to: {said}"),
        ));
    }
    Ok(Box::pin(subscriber.map(Ok)))
}

async fn stored(broker: &Broker, name: &str, args: &Args) -> Result<Messages, Failure> {
    let unavailable = |sentence: String| Failure::new(Exit::Unavailable, sentence);
    let found = broker.jetstream().get_stream(name).await.map_err(|error| {
        let none = matches!(error.kind(), GetStreamErrorKind::JetStream(_));
        unavailable(if none {
            format!("no stream `{name}` at {}: {error}", broker.address())
        } else {
            format!(
                "stream `{name}` at {} cannot be read: {error}; does the server have JetStream?",
                broker.address()
            )
        })
    })?;
    let config = pull::OrderedConfig {
        filter_subject: args.subject.clone().unwrap_or_default(),
        deliver_policy: if args.new {
            DeliverPolicy::New
        } else {
            DeliverPolicy::All
        },
        ..Default::default()
    };
    let cannot = |error: &dyn std::fmt::Display| {
        unavailable(format!("stream `{name}` cannot be read: {error}"))
    };
    let consumer = found
        .create_consumer(config)
        .await
        .map_err(|error| cannot(&error))?;
    if args.to_end && consumer.cached_info().num_pending == 0 {
        return Ok(Box::pin(stream::empty()));
    }
    let messages = consumer.messages().await.map_err(|error| cannot(&error))?;
    let name = name.to_owned();
    // The consumer mends itself after a lost connection. When it cannot several times in a row,
    // the stream is gone.
    let mut failures = 0;
    let messages = messages.filter_map(move |message| {
        std::future::ready(match message {
            Ok(message) => {
                failures = 0;
                let last = message.info().is_ok_and(|info| info.pending == 0);
                Some(Ok((message.into(), last)))
            }
            Err(error) if failures < 5 => {
                failures += 1;
                tracing::warn!(stream = name, %error, "reading the stream was interrupted");
                None
            }
            Err(error) => Some(Err(Failure::new(
                Exit::Unavailable,
                format!("stream `{name}` cannot be read any more: {error}"),
            ))),
        })
    });
    Ok(until_last(messages, args.to_end))
}

/// The messages; up to the one that is marked as the last, where `to_end` says so.
fn until_last(
    messages: impl Stream<Item = Result<(Message, bool), Failure>> + Send + 'static,
    to_end: bool,
) -> Messages {
    let messages = (Box::pin(messages), false);
    let one_by_one = stream::unfold(messages, move |(mut messages, over)| async move {
        if over {
            return None;
        }
        let next = messages.next().await?;
        let over = to_end && matches!(next, Ok((_, true)));
        Some((next.map(|(message, _)| message), (messages, over)))
    });
    Box::pin(one_by_one.fuse())
}

fn print(output: &mut Output, message: &Message, args: &Args) -> Result<Reader, Failure> {
    if args.headers
        && let Some(headers) = &message.headers
        && output.write(&[header_lines(headers).as_bytes()])?.is_gone()
    {
        return Ok(Reader::Gone);
    }
    let (subject, tab): (&[u8], &[u8]) = if args.subject_prefix {
        (message.subject.as_bytes(), b"\t")
    } else {
        (b"", b"")
    };
    match std::str::from_utf8(&message.payload) {
        // A terminal would obey control characters; whoever sent them is not its user.
        Ok(text)
            if !(output.is_terminal()
                && text.contains(|c: char| c.is_control() && c != '\t' && c != '\n')) =>
        {
            output.write(&[subject, tab, text.as_bytes(), b"\n"])
        }
        _ => {
            let text = STANDARD.encode(&message.payload);
            output.write(&[subject, tab, b"base64:", text.as_bytes(), b"\n"])
        }
    }
}

fn header_lines(headers: &HeaderMap) -> String {
    // The client keeps them without an order.
    let headers: BTreeMap<_, _> = (headers.iter())
        .map(|(name, values)| (name.to_string(), values))
        .collect();
    (headers.iter())
        .flat_map(|(name, values)| values.iter().map(move |value| format!("{name}: {value}\n")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_in_the_order_of_their_names() {
        let names = [
            "Forebay-Subject",
            "Id",
            "Forebay-Reason",
            "Forebay-Stage",
            "A",
        ];
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(name, "1");
        }
        headers.append("Id", "0");
        assert_eq!(
            header_lines(&headers),
            "A: 1\nForebay-Reason: 1\nForebay-Stage: 1\nForebay-Subject: 1\nId: 1\nId: 0\n"
        );
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(STANDARD.encode(text.as_bytes()), encoded);
        }
    }
}
