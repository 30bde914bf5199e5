//! What may be said of batches, priorities, kept results and plans, and what not.

use std::time::Duration;

use forebay::{
    batch::Wait,
    config::resolved,
    message::{AgeFrom, Deadline, PriorityBy},
};

use crate::config_files::{load, two_columns};

const AB: &str = "{ a: {}, b: {} }";

fn with(more: &str) -> String {
    two_columns(AB, more)
}

fn with_source(source: &str, more: &str) -> String {
    with(more).replace(
        "{ file: { path: \"-\" } }\nfields",
        &format!("{source}\nfields"),
    )
}

fn broken(yaml: &str) -> String {
    match load(yaml) {
        Ok(plan) => panic!("nothing was found wrong with {plan:#?}"),
        Err(errors) => errors.render(false),
    }
}

#[test]
fn what_is_said_is_meant() {
    let yaml = with_source(
        "{ jetstream: { stream: S, consumer: c, filter_subject: rows.*.x } }",
        "batch: { max_rows: 64, target_latency: 5ms, max_bytes: 1MiB, deadline: 2s, deadline_from: stored }
priority: { subject: \"{2}\", urgent: [high, now] }
cache: { max_bytes: 64MiB }
capacity: { planned: 20000/s }
weight: 3",
    );
    let plan = load(&yaml).expect("it is right");
    assert_eq!(plan.batch.wait, Wait::Target(Duration::from_millis(5)));
    assert_eq!(plan.batch.max_bytes, Some(1 << 20));
    let deadline = Deadline {
        after: Duration::from_secs(2),
        from: AgeFrom::Stored,
    };
    assert_eq!(plan.deadline, Some(deadline));
    let priority = plan.priority.as_ref().expect("one is written");
    assert_eq!(priority.by, PriorityBy::Token(1));
    assert_eq!((plan.cache, plan.weight), (Some(64 << 20), 3));
    assert!(
        plan.planned
            .is_some_and(|planned| planned.total_cmp(&20_000.0).is_eq())
    );
    let resolved = resolved(&plan);
    let batch = resolved
        .lines()
        .skip_while(|line| !line.starts_with("batch"))
        .take(5);
    insta::assert_snapshot!(batch.collect::<Vec<_>>().join("\n"), @r#"
    batch: { max_rows: 64, target_latency: 5ms, max_bytes: 1MiB, deadline: 2s, deadline_from: stored }
    priority: { subject: "{2}", urgent: [high, now] }
    cache: { max_bytes: 64MiB }
    capacity: { planned: 20000/s }
    weight: 3
    "#);
}

/// One snapshot of what all of them say.
#[test]
fn what_cannot_be_meant_is_refused() {
    let cases = [
        with("batch: { max_delay: 2ms, target_latency: 5ms }"),
        with("batch: { target_latency: 0s }"),
        with("batch: { target_latency: 5 }"),
        with("batch: { max_tokens: 1000 }"),
        with("batch: { max_bytes: 0 }"),
        with("batch: { deadline: 0s }"),
        with("batch: { max_delay: 50ms, deadline: 20ms }"),
        with("batch: { deadline_from: stored }"),
        with("batch: { deadline: 1s, deadline_from: stored }"),
        with("batch: { deadline: 1s, deadline_from: sent }"),
        with_source(
            "{ nats: { subject: rows } }",
            "priority: { urgent: [high] }",
        ),
        with_source(
            "{ nats: { subject: rows } }",
            "priority: { header: P, subject: \"{1}\", urgent: [high] }",
        ),
        with_source(
            "{ nats: { subject: rows } }",
            "priority: { header: P, urgent: [] }",
        ),
        with_source(
            "{ nats: { subject: rows } }",
            "priority: { header: \"\", urgent: [x] }",
        ),
        with_source(
            "{ nats: { subject: rows } }",
            "priority: { subject: \"{2}\", urgent: [x] }",
        ),
        with_source(
            "{ nats: { subject: rows } }",
            "priority: { subject: high, urgent: [x] }",
        ),
        with("priority: { header: P, urgent: [high] }"),
        with_source(
            "{ nats: { subject: rows.x } }",
            "priority: { header: P, urgent: [high] }\norder_by: \"{2}\"",
        ),
        with_source(
            "{ nats: { subject: rows.x } }",
            "cache: { max_bytes: 1MiB }\norder_by: \"{2}\"",
        ),
        with("cache: {}"),
        with("capacity: { planned: 20000 }"),
        with("capacity: { planned: fast }"),
        with("capacity: { planned: 0/s }"),
        with("weight: 0"),
    ];
    let said: Vec<_> = cases.iter().map(|yaml| broken(yaml)).collect();
    insta::assert_snapshot!(said.join("\n"));
}
