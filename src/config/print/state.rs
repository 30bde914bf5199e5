//! What is held between rows.

use super::{Lines, Plan, Time, output_name, scalar, sizes, text};

/// `state`, where the file has it.
pub(super) fn held(out: &mut Lines, plan: &Plan) {
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
