//! A draft as a pipeline file.

use std::fmt::Write as _;

use super::Draft;
use crate::{
    contract::Dtype,
    engine::{Dim, OutputInfo},
};

/// The pipeline file.
pub fn pipeline_yaml(draft: &Draft) -> String {
    let mut yaml = String::new();
    if let Some(schema) = &draft.schema {
        line(
            &mut yaml,
            &format!("# yaml-language-server: $schema={schema}"),
            "",
        );
    }
    let Draft { name, model, .. } = draft;
    yaml += "# Written by `forebay new`. It runs as it is; a comment with a question mark asks what the\n\
             # model file does not say.\n";
    line(&mut yaml, &format!("name: {name}"), "");
    yaml += "\nsource:\n  nats:\n    url: \"${NATS_URL:-nats://127.0.0.1:4222}\"\n";
    line(
        &mut yaml,
        &format!("    subject: {name}.in"),
        "on which subject do the rows come? or which stream (jetstream)?",
    );
    yaml += "\ndecode:\n";
    line(
        &mut yaml,
        "  json: {}",
        "an object is a row; an array of objects is many rows",
    );
    fields(&mut yaml, draft);
    batch(&mut yaml, draft);
    line(
        &mut yaml,
        &format!("\nmodels:\n  {name}: {{ path: {} }}", quoted(model)),
        "relative to this file",
    );
    line(
        &mut yaml,
        &format!("\nsteps:\n  - model: {name}\n    inputs:"),
        "",
    );
    for input in &draft.inputs {
        let input = quoted(&input.name);
        line(&mut yaml, &format!("      {input}: {input}"), "");
    }
    outputs(&mut yaml, draft);
    yaml += "\nsink:\n  nats:\n    url: \"${NATS_URL:-nats://127.0.0.1:4222}\"\n";
    line(
        &mut yaml,
        &format!("    subject: {name}.out"),
        "where do results go? `sink: { reply: {} }` answers requests",
    );
    line(
        &mut yaml,
        &format!("\ndead_letter:\n  nats: {{ subject: dead.{name} }}"),
        "rows that cannot be served go here",
    );
    line(
        &mut yaml,
        "\nhttp: { listen: \"127.0.0.1:9464\" }",
        "/metrics, /healthz, /readyz",
    );
    yaml
}

fn fields(yaml: &mut String, draft: &Draft) {
    *yaml += "\n# What a row is. Which units (unit: mm)? Which values are allowed (range: [0, 120],\n\
              # values: [a, b])? What stands for a missing one (default: 0, or nullable: true)?\n\
              fields:\n";
    for (input, row) in draft.inputs.iter().zip(&draft.rows) {
        let width: usize = row.shape.iter().product();
        let single = row.shape.is_empty() || (row.shape == [1] && row.question.is_none());
        let shape = if single {
            String::new()
        } else {
            format!(", shape: {:?}", row.shape)
        };
        let question = match &row.question {
            Some(question) => question.clone(),
            None if width > 1 && row.shape.len() == 1 => {
                format!("what are the {width} values, in which order?")
            }
            None => String::new(),
        };
        line(
            yaml,
            &format!(
                "  {}: {{ dtype: {}{shape} }}",
                quoted(&input.name),
                input.dtype
            ),
            &question,
        );
    }
}

fn batch(yaml: &mut String, draft: &Draft) {
    let fixed = draft
        .inputs
        .iter()
        .find_map(|input| match input.dims.first() {
            Some(Dim::Fixed(rows)) => Some(*rows),
            _ => None,
        });
    *yaml += "\n";
    match fixed {
        Some(1) => line(
            yaml,
            "batch: { max_rows: 64, max_delay: 2ms }",
            "the model takes one row at a time",
        ),
        Some(rows) => line(
            yaml,
            &format!("batch: {{ max_rows: {rows}, max_delay: 2ms }}"),
            &format!("the model takes {rows} rows at a time; fewer are filled up"),
        ),
        None => line(yaml, "batch: { max_rows: 256, max_delay: 2ms }", ""),
    }
}

fn outputs(yaml: &mut String, draft: &Draft) {
    *yaml += "\nencode:\n  json:\n    outputs:\n";
    match &draft.outputs {
        Ok(outputs) => {
            for output in outputs {
                let name = quoted(&output.name);
                line(yaml, &format!("      {name}: {name}"), &described(output));
            }
        }
        Err((names, why)) => {
            line(yaml, "      # What comes out is not known:", "");
            for why in why.lines() {
                line(yaml, &format!("      # {why}"), "");
            }
            for name in names {
                let name = quoted(name);
                line(yaml, &format!("      {name}: {name}"), "");
            }
        }
    }
}

fn described(output: &OutputInfo) -> String {
    let dtype = output.dtype;
    if let Some(labels) = &output.labels {
        let some: Vec<&str> = labels.iter().take(8).map(String::as_str).collect();
        let more = if labels.len() > some.len() {
            ", …"
        } else {
            ""
        };
        return format!("an object: {}{more} -> {dtype}", one_line(&some.join(", ")));
    }
    if output.shape.is_empty() || output.shape == [1] {
        let question = match dtype {
            Dtype::I64 | Dtype::I32 => "; what do the values mean?",
            _ => "",
        };
        return format!("{dtype}{question}");
    }
    let part = match output.shape.as_slice() {
        [_] => format!("; \"{}[0]\" is the first alone", one_line(&output.name)),
        _ => String::new(),
    };
    format!("{dtype} {:?}{part}", output.shape)
}

/// Writes a line, with a comment in its own column.
fn line(yaml: &mut String, text: &str, comment: &str) {
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    let written = if comment.is_empty() {
        writeln!(yaml, "{text}")
    } else {
        writeln!(
            yaml,
            "{text}{}# {}",
            " ".repeat(38usize.saturating_sub(last).max(2)),
            one_line(comment)
        )
    };
    debug_assert!(written.is_ok(), "writing into a string");
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// A name as YAML: as it is where no reader can take it for anything else.
fn quoted(text: &str) -> String {
    const WORDS: [&str; 10] = [
        "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan",
    ];
    let mut letters = text.chars();
    let plain = letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
