//! What there is for each key: an order, and what is held between rows. How rows are batched.

use super::{
    plan::Plan,
    print::{Lines, output_name, scalar, sizes},
    raw::{PerSecond, Size, Time},
};
use crate::{
    batch::Wait,
    decode::key::OrderBy,
    graph::yaml::{list, text},
    message::{AgeFrom, PriorityBy},
};

/// `order_by`, where the file has it.
pub(super) fn order_by(out: &mut Lines, plan: &Plan) {
    match &plan.order_by {
        Some(OrderBy::Token(index)) => {
            out.line(0, "order_by", &text(&format!("{{{}}}", index + 1)));
        }
        Some(OrderBy::Field { name, .. }) => out.line(0, "order_by", &text(name)),
        None => {}
    }
}

/// `state`, where the file has it.
pub(super) fn state(out: &mut Lines, plan: &Plan) {
    let Some(state) = &plan.engine.state else {
        return;
    };
    out.open(0, "state");
    out.line(1, "max_keys", &state.max_keys.to_string());
    if let Some(max_age) = state.max_age {
        out.line(1, "max_age", &Time(max_age).to_string());
    }
    out.open(1, "values");
    for value in &state.values {
        let keys = format!(
            "{{ from: {}, dtype: {}, shape: {}, initial: {} }}",
            text(&output_name(plan, value.from)),
            value.dtype,
            sizes(&value.shape),
            scalar(&value.initial)
        );
        out.line(2, &text(&value.name), &keys);
    }
}

/// `batch`, and what else says how the pipeline works beside others.
pub(super) fn batch(out: &mut Lines, plan: &Plan) {
    let batch = plan.batch;
    let wait = match batch.wait {
        Wait::Delay(delay) => format!("max_delay: {}", Time(delay)),
        Wait::Target(target) => format!("target_latency: {}", Time(target)),
    };
    let mut keys = vec![format!("max_rows: {}", batch.max_rows), wait];
    keys.extend(
        batch
            .max_bytes
            .map(|bytes| format!("max_bytes: {}", Size(bytes))),
    );
    keys.extend(
        batch
            .max_tokens
            .map(|tokens| format!("max_tokens: {}", tokens.most)),
    );
    if let Some(deadline) = plan.deadline {
        let from = match deadline.from {
            AgeFrom::Read => "read",
            AgeFrom::Stored => "stored",
        };
        keys.push(format!(
            "deadline: {}, deadline_from: {from}",
            Time(deadline.after)
        ));
    }
    out.line(0, "batch", &format!("{{ {} }}", keys.join(", ")));
    if let Some(priority) = &plan.priority {
        let by = match &priority.by {
            PriorityBy::Header(name) => format!("header: {}", text(name)),
            PriorityBy::Token(index) => format!("subject: {}", text(&format!("{{{}}}", index + 1))),
        };
        let urgent = list(priority.urgent.iter().map(|value| text(value)));
        out.line(0, "priority", &format!("{{ {by}, urgent: {urgent} }}"));
    }
    if let Some(bytes) = plan.cache {
        out.line(0, "cache", &format!("{{ max_bytes: {} }}", Size(bytes)));
    }
    if let Some(planned) = plan.planned {
        out.line(
            0,
            "capacity",
            &format!("{{ planned: {} }}", PerSecond(planned)),
        );
    }
    out.line(0, "weight", &plan.weight.to_string());
}
