//! How rows are batched, which go first, and what is kept or planned.

use super::{Resolver, fields::Fields};
use crate::{
    batch::{BatchPolicy, MaxTokens, Wait},
    config::{
        raw::{At, DeadlineFrom, OrderKey, Priority as RawPriority, Source},
        report::Report,
    },
    host::HostOptions,
    message::{AgeFrom, Deadline, Priority, PriorityBy},
};

/// Most messages in flight that a file may ask for.
const IN_FLIGHT_MOST: usize = 1_000_000;

impl Resolver<'_> {
    /// When a batch is sent. Mistakes are reported, and something is given all the same.
    pub(super) fn batch(&mut self, fields: &Fields) -> BatchPolicy {
        let raw = &self.raw.batch;
        let wait = match &raw.target_latency {
            None => Wait::Delay(raw.max_delay.value.0),
            Some(target) => {
                if let Some(delay) = &raw.max_delay.span {
                    let report = Report::new(
                        "`max_delay` and `target_latency` both say how long a batch waits",
                    )
                    .at(delay, "so long at most")
                    .also(&target.span(), "as long as the target allows");
                    self.report(
                        report
                            .help("keep one of them; `target_latency` chooses the delay by itself"),
                    );
                }
                if target.value.0.is_zero() {
                    let report = Report::new("nothing is done in no time").at(&target.span(), "");
                    self.report(
                        report.help("write how old a row may be when its result is ready, `5ms`"),
                    );
                }
                Wait::Target(target.value.0)
            }
        };
        self.check_in_flight();
        self.check_fill();
        let max_tokens = self.raw.batch.max_tokens.as_ref();
        let max_tokens = max_tokens.and_then(|most| self.max_tokens(most, fields));
        BatchPolicy {
            max_rows: self.raw.batch.max_rows.value.0,
            max_bytes: self.raw.batch.max_bytes.map(|bytes| bytes.0),
            max_tokens,
            wait,
        }
    }

    /// Every channel has a place for each message that may be in flight, taken at the start.
    fn check_in_flight(&mut self) {
        let most = &self.raw.max_in_flight;
        if most.value.0 <= IN_FLIGHT_MOST {
            return;
        }
        let title = format!("`max_in_flight` is {IN_FLIGHT_MOST} at most");
        let label = "room for so many messages is taken at the start";
        let report = Report::new(title).at_written(most.span.as_ref(), label);
        self.report(report.help("a few thousand keep every model busy; what is beyond waits at the broker, and its rows can travel together in one message"));
    }

    /// A full batch must fit into the credit, or it is never full and always waits to the end.
    fn check_fill(&mut self) {
        let (batch, credit) = (&self.raw.batch, &self.raw.max_in_flight);
        let (rows, delay) = (batch.max_rows.value.0, batch.max_delay.value);
        if delay.0.is_zero() || credit.value.0 >= rows {
            return;
        }
        let mut report = Report::new(format!(
            "a batch can never fill: `max_in_flight` ({}) is below `batch.max_rows` ({rows})",
            credit.value.0
        ));
        let credit_label = "at most this many messages are in the pipeline";
        let rows_label = format!("a batch waits up to {delay} for this many rows");
        report = match (&credit.span, &batch.max_rows.span) {
            (Some(credit), Some(rows)) => report.at(credit, credit_label).also(rows, rows_label),
            (Some(credit), None) => report.at(credit, credit_label),
            (None, rows) => report.at_written(rows.as_ref(), rows_label),
        };
        let raised = rows.saturating_mul(2);
        self.report(report.help(if raised > IN_FLIGHT_MOST {
            "lower `batch.max_rows`".to_owned()
        } else {
            format!("raise `max_in_flight` to at least {raised}, or lower `batch.max_rows`")
        }));
    }

    fn max_tokens(
        &mut self,
        most: &At<crate::config::raw::Count>,
        fields: &Fields,
    ) -> Option<MaxTokens> {
        let is_text = |options: &HostOptions| matches!(options, HostOptions::Text(_));
        let mut texts = fields.hosts.iter().filter(|host| is_text(&host.options));
        match (texts.next(), texts.next()) {
            (Some(host), None) => Some(MaxTokens {
                most: most.value.0,
                // Behind the ids.
                mask: host.outputs.start + 1,
            }),
            (None, _) if !fields.complete => None,
            (first, _) => {
                let (title, help) = match first {
                    None => (
                        "there are no tokens to count: no step is a `text`",
                        "limit `max_rows` or `max_bytes`, or add a `text` step",
                    ),
                    Some(_) => (
                        "there are several `text` steps, and `max_tokens` counts the tokens of one",
                        "limit `max_rows` or `max_bytes`",
                    ),
                };
                self.report(Report::new(title).at(&most.span(), "").help(help));
                None
            }
        }
    }

    /// How old a message may be.
    pub(super) fn deadline(&mut self) -> Option<Deadline> {
        let raw = &self.raw.batch;
        let from = raw.deadline_from.as_ref();
        let Some(deadline) = &raw.deadline else {
            if let Some(from) = from {
                let report = Report::new(
                    "`deadline_from` says from when an age is counted, and nothing limits it",
                );
                self.report(
                    report
                        .at(&from.span(), "")
                        .help("add `deadline: 1s`, or leave it out"),
                );
            }
            return None;
        };
        let delay = &raw.max_delay;
        let stored = from.filter(|from| from.value == DeadlineFrom::Stored);
        if deadline.value.0.is_zero() {
            let report = Report::new("every message would be too late").at(&deadline.span(), "");
            self.report(report.help("write how old a message may be when its batch starts, `1s`"));
        } else if raw.target_latency.is_none() && delay.value.0 >= deadline.value.0 {
            let report = Report::new("a message that waits for company would be too late")
                .at(&deadline.span(), "a message may be so old")
                .also(&delay.span(), "a batch waits so long");
            self.report(report.help("make `deadline` several times as long as `max_delay`"));
        }
        if let Some(from) = stored
            && self.offline.is_none()
            && !matches!(self.raw.source.value, Source::JetStream(_))
        {
            let report = Report::new("only a stream says when a message was stored")
                .at(&from.span(), "")
                .also(&self.raw.source.span(), "the source is no stream");
            self.report(
                report.help("leave it out: then the age is counted from when a message was read"),
            );
        }
        Some(Deadline {
            after: deadline.value.0,
            from: if stored.is_some() {
                AgeFrom::Stored
            } else {
                AgeFrom::Read
            },
        })
    }

    /// Which messages go before others.
    pub(super) fn priority(&mut self) -> Option<Priority> {
        let written = self.raw.priority.as_ref()?;
        let span = written.span();
        if let Some(order) = &self.raw.order_by {
            let report = Report::new(
                "`priority` lets messages overtake others, and `order_by` keeps them in order",
            )
            .at(&span, "urgent messages go first")
            .also(&order.span(), "results leave in the order of the source");
            self.report(
                report.help("leave one of them out, or make a pipeline for urgent messages only"),
            );
        }
        let RawPriority {
            header,
            subject,
            urgent,
        } = &written.value;
        if urgent.value.is_empty() {
            let report = Report::new("no value means urgent").at(&urgent.span(), "");
            self.report(report.help("list the values: `urgent: [high]`"));
        }
        let by = match (header, subject) {
            (Some(header), None) => self.header(header),
            (None, Some(subject)) => self.token(subject),
            (header, _) => {
                let (title, help) = match header {
                    Some(_) => (
                        "`header` and `subject` both say which messages are urgent",
                        "keep one of them",
                    ),
                    None => (
                        "nothing says which messages are urgent",
                        "add `header: NAME`, or a token of the subject: `subject: \"{2}\"`",
                    ),
                };
                self.report(Report::new(title).at(&span, "").help(help));
                None
            }
        };
        let urgent = urgent.value.iter().map(|value| value.value.clone());
        Some(Priority {
            by: by?,
            urgent: urgent.collect(),
        })
    }

    fn header(&mut self, header: &At<String>) -> Option<PriorityBy> {
        let (fault, help) = if header.value.is_empty() {
            ("a header has a name", "write it: `header: Priority`")
        } else if let (Source::File(_), None) = (&self.raw.source.value, self.offline) {
            (
                "messages from a file have no headers",
                "leave `priority` out",
            )
        } else {
            return Some(PriorityBy::Header(header.value.clone()));
        };
        self.report(Report::new(fault).at(&header.span(), "").help(help));
        None
    }

    fn token(&mut self, subject: &At<OrderKey>) -> Option<PriorityBy> {
        match &subject.value {
            OrderKey::Token(number) => {
                if self.offline.is_none() {
                    self.check_token(*number, &subject.span(), "leave `priority` out");
                }
                Some(PriorityBy::Token(number - 1))
            }
            OrderKey::Field(_) => {
                let report = Report::new("`priority.subject` is one token of the subject");
                self.report(
                    report
                        .at(&subject.span(), "")
                        .help("write `\"{2}\"` for the second, or name a `header`"),
                );
                None
            }
        }
    }

    /// How much memory results may take that are kept.
    pub(super) fn cache(&mut self) -> Option<usize> {
        let cache = self.raw.cache.as_ref()?;
        let raw = self.raw;
        let other = match (&raw.state, &raw.order_by) {
            (Some(state), _) => Some((
                "with `state` the same message need not have the same result",
                state.span(),
                "depends on the messages before",
            )),
            (None, Some(order)) => Some((
                "a result from the cache would overtake those that are in the models",
                order.span(),
                "results leave in the order of the source",
            )),
            (None, None) => None,
        };
        if let Some((title, span, label)) = other {
            let report = Report::new(title)
                .at(&cache.span(), "results that are kept")
                .also(&span, label);
            self.report(report.help("leave `cache` out"));
        }
        Some(cache.value.max_bytes.0)
    }
}
