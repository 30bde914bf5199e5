//! `forebay send`: publishes the lines of a file, or whole files, to a subject.

mod lines;
mod pace;
mod publish;
mod row;
mod tally;
mod target;
mod whole;

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use futures_util::{StreamExt as _, stream::FuturesOrdered};
use tokio_util::sync::CancellationToken;

pub(super) use pace::Pace;
pub use pace::Rate;
pub use row::{SubjectTemplate, TensorField};
pub(super) use tally::milliseconds;

use super::{Exit, Failure, Globals, ServerArgs, server};
use lines::Lines;
use publish::{Letter, Outstanding, Settled, Way};
use row::RowForm;
use tally::Tally;

/// What `send` takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The file, a message a line; empty lines are skipped. `-` is standard input. Several files
    /// are sent whole only
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where to publish; `{field}` is replaced by that field of the JSON line
    #[arg(
        short,
        long,
        value_name = "SUBJECT",
        required_unless_present = "pipeline"
    )]
    pub subject: Option<SubjectTemplate>,
    /// Take the server (instead of --url), the subject and the type of a tensor from this
    /// pipeline's source and decode; where it decodes `bytes` (not text), files are sent whole
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// Each file is one message, as it is: a picture, a sound, a raw tensor
    #[arg(long, conflicts_with = "tensor")]
    pub whole: bool,
    /// Messages in a time: 1000/s, 60/m, 2.5k/s [default: as fast as it goes]
    #[arg(short, long, value_name = "RATE")]
    pub rate: Option<Rate>,
    /// Stop after this many messages
    #[arg(short = 'n', long, value_name = "N")]
    pub count: Option<u64>,
    /// Start over at the end of the file, until --count or Ctrl-C
    #[arg(long)]
    pub repeat: bool,
    /// Wait for a stream to confirm each message
    #[arg(long)]
    pub jetstream: bool,
    /// Send requests, and print the replies in the order of the lines
    #[arg(long, conflicts_with = "jetstream")]
    pub request: bool,
    /// How long to wait for a reply
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = seconds, requires = "request")]
    pub timeout: Duration,
    /// Messages that may be unconfirmed or unanswered at once; 1 measures a lone request
    #[arg(long, value_name = "N", default_value = "256")]
    pub window: NonZeroUsize,
    /// Send the numbers in this field of each JSON line as a raw little-endian tensor; DTYPE is
    /// f32 (or what --pipeline says), f64, i32, i64, u8 or bool
    #[arg(long, value_name = "FIELD[:DTYPE]")]
    pub tensor: Option<TensorField>,
    /// A header for each message; may be given more than once
    #[arg(long = "header", value_name = "KEY:VALUE", value_parser = header)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Which server.
    #[command(flatten)]
    pub server: ServerArgs,
}

pub(super) fn examples() -> String {
    super::examples!(
        "forebay send rows.jsonl --subject rows.income.ma",
        "forebay send rows.jsonl --subject 'rows.income.{state}' --jetstream   the state of each row",
        "forebay send rows.jsonl --subject rows.a --rate 1000/s --repeat       until Ctrl-C",
        "forebay send pipelines/digits/sample.jsonl --subject digits.in \\",
        "    --tensor pixels --request --count 5                               print five replies",
        "forebay send pipelines/digits/sample.jsonl --pipeline pipelines/digits/pipeline.yaml \\",
        "    --tensor pixels --request                                         the same, all of them",
        "forebay send photos/*.jpg --pipeline pictures.yaml --request          each picture a message",
        "generate | forebay send - --subject rows.a --url nats://broker:4222",
    )
}

/// The most that may be outstanding; the client itself stops at 5000.
const WINDOW_MAX: usize = 4096;

/// Sends the lines.
///
/// # Errors
/// The file, the server, or a line that cannot be sent.
pub fn send(args: &Args, globals: &Globals) -> Result<(), Failure> {
    let target = target::Target::of(args, globals)?;
    super::block_on(send_to(args, target))
}

async fn send_to(args: &Args, target: target::Target) -> Result<(), Failure> {
    let from = from(args, &target)?;
    let mut lines = Lines::open(&from, args.repeat)?;
    let broker = server::connect(&target.server, "forebay send").await?;
    let stop = super::stop_on_signal()?;
    let known = match (args.count, lines.bytes) {
        (Some(count), _) => tally::Known::Messages(count),
        (None, Some(bytes)) if !args.repeat => tally::Known::Bytes(bytes),
        _ => tally::Known::Nothing,
    };
    let mut tally = Tally::new(known, args.request);
    let run = Run::new(args, target.form, broker.clone());
    let end = match run.send(&mut lines, &mut tally, &stop).await {
        Ok(()) => broker.flush().await,
        failed => failed,
    };
    tally.finish(end.is_ok(), args.jetstream)?;
    if broker.reconnects() > 0 && !args.jetstream && !args.request {
        return end.and(Err(Failure::failed(
            "the connection was lost on the way, so some messages may be lost too; --jetstream makes sure of each",
        )));
    }
    // A server that forbids the subject says so, and drops the message.
    end?;
    tally.verdict()?;
    match broker.refusal() {
        Some(said) => Err(Failure::failed(format!("the server refused: {said}"))),
        None => Ok(()),
    }
}

/// What is sent: the lines of the file, or the files themselves.
fn from(args: &Args, target: &target::Target) -> Result<lines::From, Failure> {
    let usage = |sentence: &str| Err(Failure::new(Exit::Usage, sentence));
    let from = match args.files.as_slice() {
        files if target.whole => lines::From::Whole(files.to_vec()),
        [file] => lines::From::named(file),
        _ => {
            return usage(
                "several files are sent whole only: add --whole, or for their lines `cat FILE… | forebay send -`",
            );
        }
    };
    if target.whole && target.form.subject.has_fields() {
        return usage(
            "a file that is sent whole has no fields for the subject; write one without `{}`",
        );
    }
    if args.repeat && from.is_stdin() {
        return usage("standard input cannot be repeated; put the lines into a file");
    }
    Ok(from)
}

/// All that sending needs.
struct Run {
    broker: server::Broker,
    way: Way,
    form: RowForm,
    headers: HeaderMap,
    pace: Pace,
    window: usize,
    count: u64,
}

impl Run {
    fn new(args: &Args, form: RowForm, broker: server::Broker) -> Self {
        let way = if args.jetstream {
            Way::JetStream(Box::new(broker.jetstream()))
        } else if args.request {
            Way::Request(args.timeout)
        } else {
            Way::Core
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &args.headers {
            headers.append(name.clone(), value.clone());
        }
        Self {
            broker,
            way,
            headers,
            form,
            pace: Pace::new(args.rate),
            window: args.window.get().min(WINDOW_MAX),
            count: args.count.unwrap_or(u64::MAX),
        }
    }

    async fn send(
        mut self,
        lines: &mut Lines,
        tally: &mut Tally,
        stop: &CancellationToken,
    ) -> Result<(), Failure> {
        let mut outstanding: FuturesOrdered<Outstanding> = FuturesOrdered::new();
        let mut next = None;
        let mut more = self.count > 0;
        while more || next.is_some() || !outstanding.is_empty() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return settle(outstanding, tally).await,
                Some(settled) = outstanding.next(), if !outstanding.is_empty() => {
                    if tally.settled(settled?)?.is_gone() {
                        return Ok(());
                    }
                }
                line = lines.next(), if more && next.is_none() => match line? {
                    Some(line) => next = Some(self.letter(&line).map(|letter| (letter, line.read))?),
                    None => more = false,
                },
                () = self.pace.due(), if next.is_some() && outstanding.len() < self.window => {
                    if let Some((letter, read)) = next.take() {
                        let bytes = letter.payload.len();
                        let sent = tokio::select! {
                            sent = publish::publish(&self.broker, &self.way, letter) => sent?,
                            () = stop.cancelled() => return settle(outstanding, tally).await,
                        };
                        outstanding.extend(sent);
                        self.pace.sent();
                        more &= tally.sent(bytes, read) < self.count;
                    }
                }
            }
        }
        Ok(())
    }

    fn letter(&self, line: &lines::Line) -> Result<Letter, Failure> {
        let (subject, payload) = self
            .form
            .of(&line.bytes)
            .map_err(|wrong| Failure::failed(format!("{}: {wrong}", line.place)))?;
        Ok(Letter {
            place: line.place,
            subject,
            payload,
            headers: self.headers.clone(),
        })
    }
}

/// After Ctrl-C: what is under way may still arrive, for a moment.
async fn settle(
    mut outstanding: FuturesOrdered<Outstanding>,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let end = tokio::time::Instant::now() + Duration::from_secs(2);
    while let Ok(Some(settled)) = tokio::time::timeout_at(end, outstanding.next()).await {
        if tally.settled(settled?)?.is_gone() {
            break;
        }
    }
    Ok(())
}

/// `5s`, `200ms`, or a number of seconds.
pub(in crate::cli) fn seconds(text: &str) -> Result<Duration, String> {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * factor).ok())
        .filter(|time| !time.is_zero() && time.as_secs() < 86_400)
        .ok_or_else(|| format!("`{text}` is no time; write it like 5s or 200ms"))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = |why: String| format!("`{text}` is no header: {why}; write it like Key:value");
    let (name, value) = text
        .split_once(':')
        .ok_or_else(|| wrong("it has no colon".to_owned()))?;
    if name.trim().is_empty() {
        return Err(wrong("its name is empty".to_owned()));
    }
    Ok((
        name.parse().map_err(|error| wrong(format!("{error}")))?,
        value
            .trim()
            .parse()
            .map_err(|error| wrong(format!("{error}")))?,
    ))
}
