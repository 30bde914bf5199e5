//! `forebay check FILE…`: says what is wrong with pipeline files.

use super::{CheckArgs, Exit, Failure, Globals, block_on, output, permissions, plans};
use crate::{
    config::{
        self, Plan,
        plan::{SinkPlan, SourcePlan},
    },
    engine::{self, Placed},
    pipeline::{
        broker::{self, Finding, Severity},
        golden::{self, Golden, Tolerance, Verified},
        permissions::permissions,
    },
};

/// Checks the files, models included; connects to nothing unless told to.
///
/// # Errors
/// The reports of all files that are wrong or whose golden rows do not pass (exit 78), or what the servers lack (exit 69).
pub fn check(args: CheckArgs, globals: &Globals) -> Result<(), Failure> {
    let plans = plans::load(&args.files, globals)?;
    if args.permissions {
        return output::print(&permissions::render(&permissions(&plans)));
    }
    let golden = golden_rows(&plans)?;
    if args.resolved {
        for plan in &plans {
            output::print(&config::resolved(plan))?;
        }
        return Ok(());
    }
    let found = plans.iter().zip(golden).map(|(plan, verified)| {
        let (golden, placed) = match verified {
            Some(verified) => (Some(verified.golden), verified.placed),
            None => (None, placed(plan)?),
        };
        Ok(Found {
            plan,
            golden,
            placed,
        })
    });
    let found: Vec<Found<'_>> = found.collect::<Result<_, Failure>>()?;
    if args.connect {
        return block_on(connect(&found));
    }
    for one in &found {
        output::print(&one.summary("ok"))?;
    }
    Ok(())
}

/// Where the steps run.
fn placed(plan: &Plan) -> Result<Vec<Placed>, Failure> {
    engine::placed(&plan.engine, &plan.fields).map_err(|error| {
        let said = format!("error: pipeline `{}`: {error}", plan.name);
        Failure::rendered(Exit::Unavailable, said)
    })
}

/// A pipeline whose file is right, and what it does on this machine.
struct Found<'a> {
    plan: &'a Plan,
    golden: Option<Golden>,
    /// One for each step.
    placed: Vec<Placed>,
}

/// What came of each pipeline's golden rows, where it has any.
fn golden_rows(plans: &[Plan]) -> Result<Vec<Option<Verified>>, Failure> {
    let mut errors = Vec::new();
    let mut all = Vec::with_capacity(plans.len());
    for plan in plans {
        let ran = golden::verify(plan, Tolerance::of).and_then(|ran| {
            ran.as_ref().map_or(Ok(()), |ran| ran.golden.verdict())?;
            Ok(ran)
        });
        match ran {
            Ok(ran) => all.push(ran),
            Err(error) => errors.push(format!("error: pipeline `{}`: {error}", plan.name)),
        }
    }
    if errors.is_empty() {
        Ok(all)
    } else {
        Err(Failure::rendered(Exit::Config, errors.join("\n")))
    }
}

const UNREADY: &str = "the file is right, but the servers are not ready for it";

/// Asks the servers, prints what they say, and fails where a pipeline could not run.
async fn connect(pipelines: &[Found<'_>]) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for one in pipelines {
        let plan = one.plan;
        let found = broker::inspect(plan).await;
        let fails = found.iter().any(|one| one.severity == Severity::Error);
        let mut text = one.summary(if fails { UNREADY } else { "ok" });
        for Finding {
            severity,
            text: said,
        } in found
        {
            match severity {
                Severity::Error => errors.push(format!("error: pipeline `{}`: {said}", plan.name)),
                Severity::Warning => text += &format!("  warning: {said}\n"),
                Severity::Note => text += &format!("  note: {said}\n"),
            }
        }
        output::print(&text)?;
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::rendered(Exit::Unavailable, errors.join("\n")))
    }
}

impl Found<'_> {
    /// What the pipeline will do, and what it does not promise.
    fn summary(&self, verdict: &str) -> String {
        let plan = self.plan;
        let mut lines = vec![format!("{}: {verdict}", plan.file.display())];
        for (step, Placed { device, reason, .. }) in plan.steps.iter().zip(&self.placed) {
            let what = if step.has_model { "model" } else { "graph" };
            let name = &step.model;
            lines.push(format!("  {what} {name} runs on {device} ({reason})"));
        }
        lines.extend(self.golden.iter().map(|golden| format!("  {golden}")));
        for note in notes(plan) {
            lines.push(format!("  note: {note}"));
        }
        lines.join("\n") + "\n"
    }
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
    if !matches!(plan.source, SourcePlan::Nats(..))
        && matches!(plan.dead_letter, Some(SinkPlan::Nats(..)))
    {
        notes.push("`dead_letter` is core NATS, which keeps nothing: where nobody listens to its subject, a rejected message is acknowledged and its dead letter is nowhere; use `dead_letter: jetstream` (or `file`) where that matters");
    }
    if plan.order_by.is_some() {
        notes.push(match &plan.source {
            SourcePlan::JetStream(..) => "`order_by`: run one process per consumer, for each keeps the order only of what it gets; after a crash or a cut connection new messages wait until those before them have come again, up to `ack_wait` and two seconds, so set that low",
            _ => "`order_by`: the order is that in which messages arrive here; each process keeps the order only of what it gets",
        });
        if matches!(plan.sink, SinkPlan::JetStream(..)) {
            notes.push("`order_by`: the next result of a key is published when the one before it is stored, so a single key gets no more results per second than the broker can store one after another");
        }
    }
    if plan.engine.state.is_some() {
        notes
            .push("`state`: what is held is in memory, and every key starts anew with the process");
    }
    if plan.dead_letter.is_none() {
        notes.push("there is no `dead_letter`: rejected messages are counted, logged and dropped");
    }
    notes
}
