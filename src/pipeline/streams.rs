//! Makes the streams that a pipeline wants and that are not there: for trying a pipeline on a
//! broker of one's own. In production an administrator decides about streams.

use std::time::Duration;

use super::{broker, build::BuildError, connections::Connections};
use crate::{
    config::plan::{Plan, SinkPlan, SourcePlan},
    nats::{
        Connection,
        api::{self, ApiError, STREAM_NOT_FOUND},
    },
};

/// Long enough for every delivery of a message under the defaults (30 s × 5), and outages between.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_mins(10);

/// Makes what is missing, and says what was made: `ROWS (rows.income.>)`.
///
/// # Errors
/// No broker, no JetStream, or it refuses: another stream has the subject, say.
pub async fn create_missing(plan: &Plan) -> Result<Vec<String>, BuildError> {
    let (mut made, mut connections) = (Vec::new(), Connections::default());
    let window = broker::horizon(plan).map_or(DUPLICATE_WINDOW_MIN, |horizon| {
        horizon.saturating_mul(2).max(DUPLICATE_WINDOW_MIN)
    });
    if let SourcePlan::JetStream(server, options) = &plan.source {
        let connection = connections.get(server, &plan.name).await?;
        let missing = matches!(
            api::stream_info(&connection, &options.stream).await,
            Err(ApiError::Refused { code, .. }) if code == STREAM_NOT_FOUND
        );
        if missing {
            let subject = options.filter_subject.clone();
            let subject = subject.unwrap_or_else(|| format!("{}.>", options.stream));
            made.push(create(&connection, &options.stream, &subject, window).await?);
        }
    }
    for target in [Some(&plan.sink), plan.dead_letter.as_ref()] {
        if let Some(SinkPlan::JetStream(server, target)) = target {
            let connection = connections.get(server, &plan.name).await?;
            made.extend(create_for(&connection, &target.subject.pattern(), window).await?);
        }
    }
    Ok(made)
}

/// Makes a stream for a subject that none takes. Its name is made of the subject's fixed tokens.
async fn create_for(
    connection: &Connection,
    subject: &str,
    window: Duration,
) -> Result<Option<String>, BuildError> {
    let takers = api::stream_names(connection, Some(subject)).await;
    if takers.is_none_or(|names| !names.is_empty()) {
        return Ok(None);
    }
    let name = name_for(subject);
    create(connection, &name, subject, window).await.map(Some)
}

fn name_for(subject: &str) -> String {
    let words: Vec<String> = subject
        .split('.')
        .filter(|token| *token != "*" && *token != ">")
        .map(|token| {
            let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
            token.chars().map(legal).collect::<String>().to_uppercase()
        })
        .collect();
    if words.is_empty() {
        "RESULTS".to_owned()
    } else {
        words.join("_")
    }
}

async fn create(
    connection: &Connection,
    name: &str,
    subject: &str,
    window: Duration,
) -> Result<String, BuildError> {
    api::create_stream(connection, name, subject, window)
        .await
        .map_err(|error| {
            let what = format!("cannot make the stream `{name}` for `{subject}`");
            BuildError::Stream(error.sentence(&what, connection.server()))
        })?;
    Ok(format!("{name} ({subject})"))
}

#[cfg(test)]
mod tests {
    use super::name_for;

    #[test]
    fn streams_are_named_after_their_subject() {
        assert_eq!(name_for("scores.income.*"), "SCORES_INCOME");
        assert_eq!(name_for("dead-letters.*.x y"), "DEAD_LETTERS_X_Y");
        assert_eq!(name_for("*"), "RESULTS");
    }
}
