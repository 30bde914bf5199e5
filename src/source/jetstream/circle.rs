//! Refuses a pipeline that would read what it writes: one message would go round for ever.

use async_nats::jetstream::stream::{Config, Source, SubjectTransform};

use super::JetStreamOptions;
use crate::nats::{Connection, api::courteous_stream_info, subject::overlap};

/// Looks whether what is published to `own_subjects` comes in again: into the stream itself, under
/// another subject, or from the streams that this one copies.
///
/// # Errors
/// A sentence that names the subject and what to do.
pub(crate) async fn no_circle(
    connection: &Connection,
    config: &Config,
    options: &JetStreamOptions,
    own_subjects: &[String],
) -> Result<(), String> {
    if own_subjects.is_empty() {
        return Ok(());
    }
    let mut ways = vec![Way {
        subjects: config.subjects.clone(),
        filter: None,
        transforms: config.subject_transform.iter().cloned().collect(),
    }];
    for source in config.mirror.iter().chain(config.sources.iter().flatten()) {
        ways.extend(Way::from(connection, source).await);
    }
    let filter = options.filter_subject.as_deref().unwrap_or(">");
    let read = |own: &&String| ways.iter().any(|way| way.brings(own, filter));
    let Some(own) = own_subjects.iter().find(read) else {
        return Ok(());
    };
    Err(format!(
        "the pipeline publishes to `{own}`, and the consumer `{}` of the stream `{}` reads that too, so its own messages would come in again without an end; publish to a subject outside the stream, or set a `filter_subject` that leaves it out",
        options.consumer, options.stream
    ))
}

/// A way into the stream.
struct Way {
    /// What is taken at its beginning.
    subjects: Vec<String>,
    /// What of it goes on.
    filter: Option<String>,
    /// What it is called at the end.
    transforms: Vec<SubjectTransform>,
}

impl Way {
    /// The way from a stream that is copied. `None` where it is elsewhere, or we may not look.
    async fn from(connection: &Connection, source: &Source) -> Option<Self> {
        if source.external.is_some() || source.domain.is_some() {
            return None;
        }
        let origin = courteous_stream_info(connection, &source.name).await.ok()?;
        Some(Self {
            subjects: origin.config.subjects,
            filter: source.filter_subject.clone(),
            transforms: source.subject_transforms.clone(),
        })
    }

    /// Whether something published to `own` can arrive on a subject that `filter` takes.
    fn brings(&self, own: &str, filter: &str) -> bool {
        if !self.subjects.iter().any(|taken| overlap(own, taken))
            || self.filter.as_ref().is_some_and(|only| !overlap(own, only))
        {
            return false;
        }
        let mut transforms = self
            .transforms
            .iter()
            .filter(|transform| overlap(own, &transform.source))
            .peekable();
        if transforms.peek().is_none() {
            return overlap(own, filter);
        }
        transforms.any(|transform| overlap(&pattern(&transform.destination), filter))
    }
}

/// The subjects that a transform's destination can become.
fn pattern(destination: &str) -> String {
    let tokens = destination.split('.').map(|token| {
        if token.contains("{{") || token.contains('$') {
            "*"
        } else {
            token
        }
    });
    tokens.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(subjects: &[&str], filter: Option<&str>, transforms: &[(&str, &str)]) -> Way {
        let transforms = transforms
            .iter()
            .map(|(source, destination)| SubjectTransform {
                source: (*source).to_owned(),
                destination: (*destination).to_owned(),
            });
        Way {
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            filter: filter.map(ToOwned::to_owned),
            transforms: transforms.collect(),
        }
    }

    #[test]
    fn ways_are_followed_to_their_end() {
        let plain = way(&["data.>"], None, &[]);
        assert!(plain.brings("data.res", ">"));
        assert!(!plain.brings("data.res", "data.in"));
        assert!(!plain.brings("out.res", ">"));
        let renamed = way(&["tr.>"], None, &[("tr.>", "data.>")]);
        assert!(renamed.brings("tr.res", "data.>"));
        assert!(!renamed.brings("tr.res", "tr.>"));
        let some = way(&["a.>"], Some("a.x.*"), &[("a.x.*", "b.{{wildcard(1)}}")]);
        assert!(some.brings("a.x.1", "b.*"));
        assert!(!some.brings("a.y.1", "b.*"));
        assert_eq!(pattern("b.$1.{{partition(3,1)}}.c"), "b.*.*.c");
    }
}
