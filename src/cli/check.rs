//! `forebay check FILE…`: says what is wrong with pipeline files.

use super::{CheckArgs, Failure, Globals, output, plans};
use crate::config::{
    self, Plan,
    plan::{SinkPlan, SourcePlan},
};

/// Checks the files, models included, without connecting to anything.
///
/// # Errors
/// The reports of all files that are wrong (exit 78).
pub fn check(args: CheckArgs, globals: &Globals) -> Result<(), Failure> {
    let plans = plans::load(&args.files, globals)?;
    for plan in &plans {
        if args.resolved {
            output::print(&config::resolved(plan))?;
        } else {
            output::print(&summary(plan))?;
        }
    }
    Ok(())
}

/// What the pipeline will do, and what it does not promise.
fn summary(plan: &Plan) -> String {
    let mut lines = vec![format!("{}: ok", plan.file.display())];
    for step in &plan.steps {
        let why = step.device.reason();
        lines.push(format!("  model {} runs on the cpu ({why})", step.model));
    }
    for note in notes(plan) {
        lines.push(format!("  note: {note}"));
    }
    lines.join("\n") + "\n"
}

fn notes(plan: &Plan) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if matches!(plan.source, SourcePlan::Nats(..)) {
        notes.push("core NATS delivers at most once: what is lost on the way or in flight at a crash is not sent again; use `source: jetstream` where that matters");
    }
    if matches!(
        (&plan.source, &plan.sink),
        (SourcePlan::JetStream(..), SinkPlan::Nats(..))
    ) {
        notes.push("the sink is core NATS, which confirms nothing: a message is acknowledged once its result was handed to the connection");
    }
    if plan.order_by.is_some() {
        notes.push(match &plan.source {
            SourcePlan::JetStream(..) => "`order_by`: run one process per consumer, for each keeps the order only of what it gets; after a crash or a cut connection new messages wait until those before them have come again, up to `ack_wait`, so set that low",
            _ => "`order_by`: the order is that in which messages arrive here; each process keeps the order only of what it gets",
        });
        if matches!(plan.sink, SinkPlan::JetStream(..)) {
            notes.push("`order_by`: the next result of a key is published when the one before it is stored, so a single key gets no more results per second than the broker can store one after another");
        }
    }
    if plan.dead_letter.is_none() {
        notes.push("there is no `dead_letter`: rejected messages are counted, logged and dropped");
    }
    notes
}
