//! What there is for each key: an order, and what is held between rows.

use super::{
    plan::Plan,
    print::{Lines, output_name, scalar, sizes},
    raw::Time,
};
use crate::{decode::key::OrderBy, graph::yaml::text};

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
