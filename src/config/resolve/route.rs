//! The ends: source, sink and dead letter.

use std::{
    fs::Metadata,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{Resolver, server::ServerKeys};
use crate::{
    config::{
        node::Span,
        plan::{SinkPlan, SourcePlan},
        raw::{At, Count, DeadLetter, FileEnd, Sink, Source, Subject, SubjectTemplate, Target},
        report::Report,
    },
    nats::{ServerOptions, subject::overlap},
    sink::{
        file::FileTarget,
        jetstream::{JetStreamTarget, Purpose},
        nats::NatsTarget,
    },
    source::{file::FileOptions, jetstream::JetStreamOptions, nats::NatsOptions},
};

/// All ends of a pipeline.
pub(super) struct Routes {
    pub(super) source: SourcePlan,
    pub(super) sink: SinkPlan,
    pub(super) dead_letter: Option<SinkPlan>,
}

impl Routes {
    /// For a run that neither reads nor writes what the file names.
    pub(super) fn nowhere() -> Self {
        Self {
            source: SourcePlan::File(FileOptions { path: None }),
            sink: SinkPlan::File(FileTarget { path: None }),
            dead_letter: None,
        }
    }
}

impl Resolver<'_> {
    pub(super) fn routes(&mut self) -> Option<Routes> {
        let source = self.source();
        let servers = source.as_ref().and_then(SourcePlan::server);
        let sink = self.sink(servers);
        let dead_letter = match &self.raw.dead_letter {
            Some(dead_letter) => self.dead_letter(dead_letter, servers).map(Some),
            None => Some(None),
        };
        self.check_files();
        Some(Routes {
            sink: sink?,
            dead_letter: dead_letter?,
            source: source?,
        })
    }

    fn source(&mut self) -> Option<SourcePlan> {
        match &self.raw.source.value {
            Source::Nats(keys) => {
                let server = self.server(&ServerKeys::from(keys), None)?;
                let options = NatsOptions {
                    subject: keys.subject.value.0.clone(),
                    queue_group: keys.queue_group.as_ref().map(|group| group.0.clone()),
                };
                Some(SourcePlan::Nats(server, options))
            }
            Source::JetStream(keys) => {
                const ACK_WAIT_MIN_SECS: u64 = 1;
                let ack_wait = &keys.ack_wait;
                if ack_wait.value.0.as_secs() < ACK_WAIT_MIN_SECS {
                    self.report(
                        Report::new(format!("`ack_wait` is too short: {}", ack_wait.value))
                            .at(&ack_wait.span(), "at least 1s")
                            .help("a message that is not acknowledged in this time is delivered again; `30s` is a good start"),
                    );
                }
                self.check_max_deliver(&keys.max_deliver);
                let server = self.server(&ServerKeys::from(keys), None)?;
                let filter = keys.filter_subject.as_ref();
                let options = JetStreamOptions {
                    stream: keys.stream.0.clone(),
                    consumer: keys.consumer.0.clone(),
                    filter_subject: filter.map(|filter| filter.value.0.clone()),
                    ack_wait: ack_wait.value.0,
                    max_deliver: keys.max_deliver.value.0 as u64,
                };
                Some(SourcePlan::JetStream(server, options))
            }
            Source::File(file) => {
                let path = match file.path.value.0.as_str() {
                    "-" => None,
                    _ => Some(self.existing(&file.path, "source file")?),
                };
                Some(SourcePlan::File(FileOptions { path }))
            }
        }
    }

    fn check_max_deliver(&mut self, max_deliver: &At<Count>) {
        const MIN: usize = 3;
        if max_deliver.value.0 < MIN {
            self.report(
                Report::new(format!("`max_deliver` is too small: {}", max_deliver.value.0))
                    .at(&max_deliver.span(), format!("at least {MIN}"))
                    .help("a crash counts as a delivery for everything that was in flight; what comes for the third time goes in alone, so that only the culprit fails; `5` is a good start"),
            );
        }
    }

    fn sink(&mut self, source: Option<&ServerOptions>) -> Option<SinkPlan> {
        let sink = &self.raw.sink;
        match &sink.value {
            Sink::Nats(target) => self.nats(target, source),
            Sink::JetStream(target) => self.jetstream(target, source, Purpose::Result),
            Sink::File(file) => Some(self.file(file)),
            Sink::Reply(_) => {
                if !matches!(self.raw.source.value, Source::Nats(_)) {
                    self.report(
                        Report::new("`sink: reply` needs `source: nats`")
                            .at(
                                &sink.span(),
                                "the answer goes to the request's reply subject",
                            )
                            .also(
                                &self.raw.source.span(),
                                "which messages from here do not have",
                            )
                            .help("use `source: nats`, or a sink with a subject of its own"),
                    );
                    return None;
                }
                source.map(|source| SinkPlan::Nats(source.clone(), NatsTarget::Reply))
            }
        }
    }

    fn dead_letter(
        &mut self,
        end: &At<DeadLetter>,
        source: Option<&ServerOptions>,
    ) -> Option<SinkPlan> {
        match &end.value {
            DeadLetter::Nats(target) => self.nats(target, source),
            DeadLetter::JetStream(target) => self.jetstream(target, source, Purpose::DeadLetter),
            DeadLetter::File(file) => Some(self.file(file)),
        }
    }

    fn nats(&mut self, target: &Target, source: Option<&ServerOptions>) -> Option<SinkPlan> {
        let server = self.target(target, source)?;
        let subject = target.subject.value.0.clone();
        Some(SinkPlan::Nats(server, NatsTarget::Subject(subject)))
    }

    fn jetstream(
        &mut self,
        target: &Target,
        source: Option<&ServerOptions>,
        purpose: Purpose,
    ) -> Option<SinkPlan> {
        let server = self.target(target, source)?;
        let subject = target.subject.value.0.clone();
        Some(SinkPlan::JetStream(
            server,
            JetStreamTarget { subject, purpose },
        ))
    }

    /// Results that are added to the source's file are read as rows, for ever; and results and dead
    /// letters in one file cannot be told apart.
    fn check_files(&mut self) {
        let raw = self.raw;
        let source = match &raw.source.value {
            Source::File(file) => Some(file),
            _ => None,
        };
        let sink = match &raw.sink.value {
            Sink::File(file) => Some(file),
            _ => None,
        };
        let dead_letter = match raw.dead_letter.as_ref().map(|end| &end.value) {
            Some(DeadLetter::File(file)) => Some(file),
            _ => None,
        };
        for (first, second, roles) in [
            (source, sink, ["is read", "results are added to it"]),
            (
                source,
                dead_letter,
                ["is read", "dead letters are added to it"],
            ),
            (
                sink,
                dead_letter,
                ["results are added to it", "and dead letters too"],
            ),
        ] {
            let (Some(first), Some(second)) = (first, second) else {
                continue;
            };
            let paths = [first, second].map(|file| file.path.value.0.as_str());
            if paths.contains(&"-") || !is_one_file(paths.map(|path| self.base.join(path))) {
                continue;
            }
            let report = Report::new("one file cannot be two ends of a pipeline")
                .at(&second.path.span(), roles[1])
                .also(&first.path.span(), roles[0])
                .help("name another file");
            self.report(report);
        }
    }

    fn file(&self, file: &FileEnd) -> SinkPlan {
        let path = match file.path.value.0.as_str() {
            "-" => None,
            path => Some(self.base.join(path)),
        };
        SinkPlan::File(FileTarget { path })
    }

    fn target(&mut self, target: &Target, source: Option<&ServerOptions>) -> Option<ServerOptions> {
        let subject = &target.subject;
        self.check_token(
            subject.value.0.tokens(),
            &subject.span(),
            "write a plain subject",
        );
        let server = self.server(&ServerKeys::from(target), source)?;
        if source.is_some_and(|source| source.urls == server.urls) {
            self.check_loop(&target.subject);
        }
        Some(server)
    }

    /// The source's subject, as far as the file says it.
    fn source_subject(&self) -> Option<&At<Subject>> {
        match &self.raw.source.value {
            Source::Nats(keys) => Some(&keys.subject),
            Source::JetStream(keys) => keys.filter_subject.as_ref(),
            Source::File(_) => None,
        }
    }

    /// A token that is asked for must be there; `instead` is what to write where there is none.
    pub(super) fn check_token(&mut self, wanted: usize, span: &Span, instead: &str) {
        if wanted == 0 {
            return;
        }
        let label = format!("asks for token {wanted}");
        let report = if let Source::File(_) = self.raw.source.value {
            Report::new("messages from a file have no subject to take tokens from")
                .at(span, label)
                .also(&self.raw.source.span(), "the source")
                .help(instead)
        } else {
            // Without a filter, or with `>`, only the messages can tell.
            let Some(source) = self.source_subject() else {
                return;
            };
            let pattern = source.value.0.as_str();
            let tokens = pattern.split('.').count();
            if pattern.ends_with('>') || wanted <= tokens {
                return;
            }
            let noun = if tokens == 1 { "token" } else { "tokens" };
            Report::new(format!(
                "the source's subject has {tokens} {noun}, and `{{{wanted}}}` asks for one more than there is"
            ))
            .at(span, label)
            .also(&source.span(), format!("{tokens} {noun}"))
            .help(format!("`{{1}}` to `{{{tokens}}}` are there"))
        };
        self.report(report);
    }

    /// What is published must not come back in.
    fn check_loop(&mut self, subject: &At<SubjectTemplate>) {
        let Some(source) = self.source_subject() else {
            return;
        };
        if !overlap(&source.value.0, &subject.value.0.pattern()) {
            return;
        }
        let report = Report::new("what is published here would come back in at the source")
            .at(&subject.span(), "is published on this subject")
            .also(&source.span(), "is read from this one")
            .help("publish on a subject that the source does not read");
        self.report(report);
    }
}

/// Whether both paths lead to the same file, which need not be there yet. Devices such as
/// `/dev/null` may be named as often as one likes.
fn is_one_file(paths: [PathBuf; 2]) -> bool {
    let [first, second] = paths.clone().map(|path| path.metadata());
    if let (Ok(first), Ok(second)) = (first, second) {
        let inode = |file: &Metadata| (file.dev(), file.ino());
        return first.is_file() && inode(&first) == inode(&second);
    }
    let [first, second] = paths.map(|path| {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    });
    first.is_some() && first == second
}

#[cfg(test)]
mod tests {
    use super::overlap;
    use crate::sink::template::Template;

    #[test]
    fn a_pattern_takes_subjects() {
        for (pattern, subject, expected) in [
            ("rows.>", "rows.income", true),
            ("rows.>", "rows", false),
            ("rows.*", "rows.income.x", false),
            ("rows.*", "rows.{2}", true),
            ("rows.*.x", "rows.{2}.y", false),
            (">", "scores", true),
            ("rows", "rows", true),
            ("rows", "row", false),
        ] {
            let template = Template::parse(subject).expect("a template");
            let taken = overlap(pattern, &template.pattern());
            assert_eq!(taken, expected, "{pattern} {subject}");
        }
    }
}
