//! A few lines of Python that run what was compiled.

use std::path::Path;

use super::{
    describe::{Column, Input},
    model::Compiled,
};
use crate::{
    config::Plan,
    contract::{Dtype, Scalar},
};

/// The longest line.
const WIDE: usize = 110;

/// Runs the graphs one after another on made-up rows that keep the contract.
pub(super) fn snippet(plan: &Plan, all: &[(&Path, &Compiled)]) -> String {
    let mut lines = vec![
        "import numpy as np, onnxruntime as ort".to_owned(),
        "def run(path, inputs):".to_owned(),
        "    model = ort.InferenceSession(path)".to_owned(),
        "    return dict(zip([output.name for output in model.get_outputs()], model.run(None, inputs)))"
            .to_owned(),
    ];
    let mut made: Vec<(&str, String)> = Vec::new();
    for (number, (path, compiled)) in all.iter().enumerate() {
        let rows = compiled.rows.unwrap_or(1);
        let inputs: Vec<String> = (compiled.inputs.iter())
            .map(|input| {
                let name = quoted(&input.name);
                format!("{name}: {}", tensor(plan, input, rows, &made))
            })
            .collect();
        if let Some(when) = &compiled.when {
            lines.push(format!(
                "# only for {}",
                when.words().replace(['\n', '\r'], " ")
            ));
        }
        let result = format!("made_{}", number + 1);
        let call = format!("{result} = run({}, {{", quoted(&path.to_string_lossy()));
        let short = format!("{call}{}}})", inputs.join(", "));
        if short.len() <= WIDE || inputs.len() < 2 {
            lines.push(short);
        } else {
            lines.push(call);
            lines.extend(inputs.iter().map(|input| format!("    {input},")));
            lines.push("})".to_owned());
        }
        for output in &compiled.outputs {
            made.push((
                &output.called,
                format!("{result}[{}]", quoted(&output.name)),
            ));
        }
    }
    let results: Vec<String> = (1..=all.len())
        .map(|number| format!("made_{number}"))
        .collect();
    lines.push(format!("print({})", results.join(", ")));
    lines.join("\n") + "\n"
}

/// The expression for one input.
fn tensor(plan: &Plan, input: &Input, rows: usize, made: &[(&str, String)]) -> String {
    let dtype = numpy(input.dtype);
    let shape = |sizes: &[usize]| {
        let sizes: Vec<String> = (std::iter::once(&rows).chain(sizes))
            .map(ToString::to_string)
            .collect();
        format!(
            "({}{})",
            sizes.join(", "),
            if sizes.len() == 1 { "," } else { "" }
        )
    };
    let all_fields = input.columns.iter().all(|column| column.output.is_none());
    let values: Vec<String> = (input.columns.iter())
        .map(|column| value(plan, column, input.dtype))
        .collect();
    let single = input.columns.iter().all(|column| width(column) == 1);
    match values.first() {
        Some(first) if all_fields && values.iter().all(|value| value == first) => {
            format!("np.full({}, {first}, {dtype})", shape(&input.shape))
        }
        Some(_) if all_fields && single => {
            let again = if rows == 1 {
                String::new()
            } else {
                format!(" * {rows}")
            };
            let values = values.join(", ");
            format!(
                "np.array([[{values}]]{again}, {dtype}).reshape{}",
                shape(&input.shape)
            )
        }
        _ => joined(input, rows, made, &values, dtype).map_or_else(
            || format!("np.zeros({}, {dtype})", shape(&input.shape)),
            |joined| format!("{joined}.reshape{}", shape(&input.shape)),
        ),
    }
}

/// Columns of earlier graphs, and of fields among them, side by side.
fn joined(
    input: &Input,
    rows: usize,
    made: &[(&str, String)],
    values: &[String],
    dtype: &str,
) -> Option<String> {
    let from = |column: &Column| {
        let name = column.output.as_deref();
        let found = made.iter().find(|(known, _)| Some(*known) == name);
        found.map(|(_, made)| format!("{made}.astype({dtype})"))
    };
    if let [column] = input.columns.as_slice() {
        return from(column);
    }
    let parts = input.columns.iter().zip(values).map(|(column, value)| {
        from(column).map_or_else(
            || format!("np.full(({rows}, {}), {value}, {dtype})", width(column)),
            |made| format!("{made}.reshape({rows}, -1)"),
        )
    });
    let parts: Vec<String> = parts.collect();
    Some(format!("np.concatenate([{}], 1)", parts.join(", ")))
}

fn width(column: &Column) -> usize {
    column.shape.iter().product()
}

/// A value that keeps the field's contract, as Python writes it.
fn value(plan: &Plan, column: &Column, dtype: &str) -> String {
    match &column.initial {
        Some(serde_json::Value::Bool(initial)) => return u8::from(*initial).to_string(),
        Some(initial) => return initial.to_string(),
        None => {}
    }
    let name = column.field.as_deref();
    let field = plan
        .fields
        .iter()
        .find(|field| Some(field.name.as_str()) == name);
    let allowed = field.and_then(|field| field.values.as_ref()?.first().cloned());
    let default = field.and_then(|field| field.default.clone());
    let range = field.and_then(|field| field.range);
    let near_zero = range.map(|[low, high]| Scalar::Float(0f64.max(low).min(high)));
    match allowed.or(default).or(near_zero) {
        Some(Scalar::String(text)) => quoted(&text),
        _ if dtype == Dtype::String.name() => "''".to_owned(),
        Some(Scalar::Integer(value)) => value.to_string(),
        Some(Scalar::Float(value)) if value.is_finite() => value.to_string(),
        Some(Scalar::Bool(true)) => "1".to_owned(),
        _ => "0".to_owned(),
    }
}

fn numpy(dtype: &str) -> &'static str {
    match Dtype::from_name(dtype) {
        Some(Dtype::F64) => "np.float64",
        Some(Dtype::I32) => "np.int32",
        Some(Dtype::I64) => "np.int64",
        Some(Dtype::U8) => "np.uint8",
        Some(Dtype::Bool) => "np.bool_",
        Some(Dtype::String | Dtype::Bytes) => "object",
        Some(Dtype::F32) | None => "np.float32",
    }
}

/// JSON's strings are Python's too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
