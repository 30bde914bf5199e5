//! What both NATS sinks do: render the subject, make the headers, weigh the message.

use async_nats::{HeaderMap, HeaderName, HeaderValue, Subject};

use super::{Outgoing, dead_letter, template::Template};
use crate::{
    message::{Headers, Reject, Stage},
    nats::{Connection, scratch::Scratch, wire_len},
};

/// Makes subjects from a template without an allocation for each.
#[derive(Debug)]
pub(super) struct Subjects {
    template: Template,
    /// The subject, where it is the same for all.
    fixed: Option<Subject>,
    text: String,
    scratch: Scratch,
}

impl Subjects {
    pub(super) fn new(template: Template) -> Self {
        let mut text = String::new();
        let fixed = (template.tokens() == 0 && template.render("", &mut text).is_ok())
            .then(|| Subject::from(text.as_str()));
        Self {
            template,
            fixed,
            text,
            scratch: Scratch::default(),
        }
    }

    /// The one subject, where it does not depend on the input.
    pub(super) fn fixed(&self) -> Option<&Subject> {
        self.fixed.as_ref()
    }

    pub(super) fn render(&mut self, input: &str) -> Result<Subject, Reject> {
        if let Some(fixed) = &self.fixed {
            return Ok(fixed.clone());
        }
        self.text.clear();
        self.template.render(input, &mut self.text)?;
        Ok(self.scratch.subject(&self.text))
    }
}

/// The headers as the client wants them; `None` when there are none. What a header cannot hold
/// becomes a space, and a header without a proper name is left out.
pub(super) fn header_map(headers: &Headers) -> Option<HeaderMap> {
    if headers.is_empty() {
        return None;
    }
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let Ok(name) = name.parse::<HeaderName>() else {
            continue;
        };
        let value = value.parse::<HeaderValue>().unwrap_or_else(|_| {
            let line = value.replace(['\r', '\n'], " ");
            line.parse().unwrap_or_default()
        });
        map.append(name, value);
    }
    (!map.is_empty()).then_some(map)
}

/// Room for the header that says how a payload was shortened.
const NOTE: usize = 100;

/// Makes the headers, and refuses what the server would not take. A dead letter that is too large
/// is shortened first: it carries more than the message that the server took.
pub(super) fn fit(
    connection: &Connection,
    outgoing: &mut Outgoing,
    headers: impl Fn(&Outgoing) -> Option<HeaderMap>,
) -> Result<Option<HeaderMap>, Reject> {
    let most = connection.max_payload();
    let mut made = headers(outgoing);
    if size(outgoing, made.as_ref()) > most && dead_letter::is_one(outgoing) {
        dead_letter::shorten_headers(outgoing);
        made = headers(outgoing);
        if size(outgoing, made.as_ref()) > most {
            let room = most.saturating_sub(made.as_ref().map_or(0, wire_len) + NOTE);
            if dead_letter::shorten_payload(outgoing, room) {
                made = headers(outgoing);
            }
        }
    }
    if size(outgoing, made.as_ref()) > most {
        return Err(too_large(connection, outgoing, made.as_ref()));
    }
    Ok(made)
}

fn size(outgoing: &Outgoing, headers: Option<&HeaderMap>) -> usize {
    outgoing.payload.len() + headers.map_or(0, wire_len)
}

/// The reject for what the server does not take.
pub(super) fn too_large(
    connection: &Connection,
    outgoing: &Outgoing,
    headers: Option<&HeaderMap>,
) -> Reject {
    Reject::new(
        Stage::Sink,
        "size",
        format!(
            "the {} has {} bytes with its headers; the NATS server takes {} (max_payload)",
            if dead_letter::is_one(outgoing) {
                "dead letter"
            } else {
                "result"
            },
            size(outgoing, headers),
            connection.max_payload()
        ),
    )
}

/// The reject for a rendered subject that we may not publish to.
pub(super) fn forbidden(subject: &str) -> Reject {
    Reject::new(
        Stage::Sink,
        "forbidden",
        format!(
            "NATS does not allow to publish to `{subject}`, which is made of the input's subject"
        ),
    )
}

/// The reject for a rendered subject that the client does not take.
pub(super) fn not_a_subject(subject: &str) -> Reject {
    Reject::new(
        Stage::Sink,
        "subject",
        format!("`{subject}` is not a subject that can be published to"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_rendered_or_reused() {
        let mut fixed = Subjects::new(Template::parse("scores.all").expect("template"));
        assert_eq!(fixed.fixed().map(Subject::as_str), Some("scores.all"));
        assert_eq!(fixed.render("x").expect("fixed").as_str(), "scores.all");
        let mut made = Subjects::new(Template::parse("scores.{2}").expect("template"));
        assert_eq!(made.fixed(), None);
        assert_eq!(made.render("rows.MA").expect("made").as_str(), "scores.MA");
        assert_eq!(made.render("rows.NY").expect("made").as_str(), "scores.NY");
        assert!(made.render("rows").is_err());
    }

    #[test]
    fn headers_are_made_fit() {
        assert_eq!(header_map(&vec![]), None);
        let map = header_map(&vec![
            ("A".into(), "1".into()),
            ("A".into(), "2\r\n3".into()),
            ("not a: name".into(), "x".into()),
        ])
        .expect("two are fit");
        let values: Vec<_> = map.get_all("A").map(HeaderValue::as_str).collect();
        assert_eq!(values, ["1", "2  3"]);
        assert_eq!(wire_len(&map), 12 + (1 + 1 + 4) + (1 + 4 + 4));
    }
}
