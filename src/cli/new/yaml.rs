//! A draft as a pipeline file.

use super::{
    Draft, RowShape,
    kind::Kind,
    proposal::Proposal,
    words::{entry, key, line, one_line, shell, shown, value},
};
use crate::{
    contract::Dtype,
    engine::{Dim, InputInfo, OutputInfo},
};

const URL: &str = "\"${NATS_URL:-nats://127.0.0.1:4222}\"";
/// The steps that most tables need, where the model file does not have them.
const LEARNED: &str = "  \
  # What did the training code do to the fields first? What of it is not in the model file goes here, with the
  # numbers that it learned, and the model's input is fed by the `output`. Of three fields, for example:
  #  - impute: { value: 41.5 }            # SimpleImputer: statistics_; the field is `nullable`
  #    input: age
  #    output: age_known
  #  - scale: { center: 40, scale: 10 }   # StandardScaler: mean_, scale_
  #    input: [age_known, height]
  #    output: scaled
  #  - one_hot: { categories: [CA, NY] }  # OneHotEncoder: categories_
  #    input: state
  #    output: state_columns
  # With units on the fields, `input_units: { INPUT: cm }` beside the model's `path` converts what feeds it.
";
/// How many names or labels a comment lists.
const LISTED: usize = 4;

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
    let proposal = Proposal::of(draft);
    let proposal = proposal.as_ref();
    head(&mut yaml, draft, proposal);
    source(&mut yaml, draft);
    match proposal {
        Some(proposal) => field(&mut yaml, draft, proposal),
        None => fields(&mut yaml, draft),
    }
    batch(&mut yaml, draft);
    models(&mut yaml, draft);
    match proposal {
        Some(proposal) => proposed(&mut yaml, draft, proposal),
        None => steps(&mut yaml, draft),
    }
    outputs(&mut yaml, draft, proposal);
    sink(&mut yaml, draft);
    yaml
}

fn head(yaml: &mut String, draft: &Draft, proposal: Option<&Proposal>) {
    let Draft { name, file, .. } = draft;
    let about = proposal.map_or(&[][..], |proposal| &proposal.about);
    let (sent, sends) = match draft.kind {
        Kind::Image(_) => ("*.jpg", "sends pictures, each file a message"),
        _ => ("rows.jsonl", "sends rows, a line each"),
    };
    let runs = if draft.rows.iter().any(|row| row.question.is_some()) {
        "# Written by `forebay new`. First correct the shapes under `fields`, which the model file\n\
         # leaves open; the other lines with a question mark can wait. What to type then:"
    } else {
        "# Written by `forebay new`. It runs as it is; the lines with a question mark ask what the\n\
         # model file does not say. What to type next:"
    };
    line(yaml, runs, "");
    let file = shell(file);
    let commands = [
        (format!("check {file}"), "says whether this file is right"),
        (
            format!("run {file}"),
            "serves the model; needs a NATS server",
        ),
        (
            format!("tail {name}.out"),
            "shows the results, in another terminal",
        ),
        (format!("send {sent} --pipeline {file}"), sends),
    ];
    let width = (commands.iter())
        .map(|(command, _)| command.chars().count())
        .max()
        .unwrap_or_default();
    for (command, does) in commands {
        let command = format!("#   forebay {command:width$}  {does}");
        line(yaml, &one_line(&command), "");
    }
    for about in about.iter().chain(&draft.note) {
        line(yaml, &format!("# {}", one_line(about)), "");
    }
    line(yaml, &format!("name: {}", key(name)), "");
}

fn source(yaml: &mut String, draft: &Draft) {
    let name = &draft.name;
    line(yaml, &format!("\nsource:\n  nats:\n    url: {URL}"), "");
    line(
        yaml,
        &format!("    subject: {name}.in"),
        "on which subject do the rows come?",
    );
    line(yaml, "  # Or, instead of `nats`, from which stream?", "");
    line(
        yaml,
        &format!(
            "  # jetstream: {{ url: {URL}, stream: ROWS, consumer: {} }}",
            key(name)
        ),
        "",
    );
}

/// How a row is read, and what it has, where it has one field alone.
fn field(yaml: &mut String, draft: &Draft, proposal: &Proposal) {
    let name = &proposal.field;
    let (dtype, what) = if matches!(draft.kind, Kind::Image(_)) {
        *yaml += &format!(
            "\ndecode:\n  # A message is the file of a picture, as it is. Or is it JSON, with the file in base64? Then write json: {{}}\n  \
             # and each row like {{\"{name}\": \"base64\"}}.\n  bytes: {{}}\n"
        );
        ("bytes", "the file of a picture: JPEG, PNG or WebP")
    } else {
        *yaml += &format!(
            "\ndecode:\n  # A message is one row, or a list of rows. A row:\n  #   {{\"{name}\": \"some words\"}}\n  json: {{}}\n"
        );
        ("string", "under which key does the text come?")
    };
    *yaml += "\nfields:\n";
    line(yaml, &format!("  {name}: {{ dtype: {dtype} }}"), what);
}

/// A row as JSON, with the first few fields and elements.
fn example(draft: &Draft) -> String {
    let mut fields: Vec<String> = (draft.inputs.iter().zip(&draft.rows).take(LISTED))
        .map(|(input, row)| {
            let name = serde_json::Value::from(shown(&input.name));
            format!("{name}: {}", example_value(input.dtype, row))
        })
        .collect();
    if draft.inputs.len() > fields.len() {
        fields.push("…".to_owned());
    }
    one_line(&format!("{{{}}}", fields.join(", ")))
}

fn example_value(dtype: Dtype, row: &RowShape) -> String {
    let one = match dtype {
        Dtype::F32 | Dtype::F64 => "0.5",
        Dtype::I32 | Dtype::I64 | Dtype::U8 => "1",
        Dtype::Bool => "true",
        Dtype::String => "\"text\"",
        Dtype::Bytes => "\"base64\"",
    };
    if single(row) {
        return one.to_owned();
    }
    row.shape.iter().rev().fold(one.to_owned(), |inner, size| {
        let more = match size {
            0 | 1 => String::new(),
            2 => format!(", {inner}"),
            _ => format!(", {inner}, …"),
        };
        format!("[{inner}{more}]")
    })
}

/// Whether a row's value is one element, without brackets.
fn single(row: &RowShape) -> bool {
    row.shape.is_empty() || (row.shape == [1] && row.question.is_none())
}

/// How many values stand side by side in a row of a matrix.
fn columns(row: &RowShape) -> Option<usize> {
    match row.shape.as_slice() {
        [width] if !single(row) => Some(*width),
        _ => None,
    }
}

fn fields(yaml: &mut String, draft: &Draft) {
    line(
        yaml,
        &format!(
            "\ndecode:\n  # A message is one row, or a list of rows. A row:\n  #   {}\n  json: {{}}",
            example(draft)
        ),
        "",
    );
    *yaml += "\n# What a row has. For each field: which unit, which values, what stands for a missing one?\n\
              # As it is, any value is taken, and a row that lacks a field is rejected. Answers look like:\n\
              #   height: { dtype: f32, unit: cm, range: [30, 250], nullable: true }   # missing: NaN\n\
              #   state: { dtype: string, values: [CA, NY], default: CA }              # missing: CA\n\
              fields:\n";
    for (input, row) in draft.inputs.iter().zip(&draft.rows) {
        let shape = if single(row) {
            String::new()
        } else {
            format!(", shape: {:?}", row.shape)
        };
        let question = match (&row.question, columns(row)) {
            (Some(question), _) => question.clone(),
            (None, Some(width)) => format!("which {width} values, in which order?"),
            (None, None) => String::new(),
        };
        let what = format!("{{ dtype: {}{shape} }}", input.dtype);
        line(yaml, &entry("  ", &input.name, &what), &question);
    }
}

fn batch(yaml: &mut String, draft: &Draft) {
    let fixed = |input: &InputInfo| match input.dims.first() {
        Some(Dim::Fixed(rows)) => Some(*rows),
        _ => None,
    };
    *yaml += "\n";
    let (rows, why) = match draft.inputs.iter().find_map(fixed) {
        Some(1) => (64, "the model takes one row at a time".to_owned()),
        Some(rows) => (
            rows,
            format!("the model takes {rows} rows at a time; fewer are filled up"),
        ),
        None if draft.kind != Kind::Table => {
            (16, "these rows are large, so few go together".to_owned())
        }
        None => (256, "a row waits 2 ms at most for others".to_owned()),
    };
    line(
        yaml,
        &format!("batch: {{ max_rows: {rows}, max_delay: 2ms }}"),
        &why,
    );
}

fn models(yaml: &mut String, draft: &Draft) {
    let name = key(&draft.name);
    line(
        yaml,
        &format!("\nmodels:\n  {name}: {{ path: {} }}", value(&draft.model)),
        "relative to this file",
    );
}

/// The model, and the steps around it.
fn proposed(yaml: &mut String, draft: &Draft, proposal: &Proposal) {
    *yaml += &format!("\nsteps:\n{}", proposal.before);
    line(
        yaml,
        &format!("  - model: {}\n    inputs:", key(&draft.name)),
        "",
    );
    for (input, fed) in &proposal.feeds {
        line(yaml, &entry("      ", input, &value(fed)), "");
    }
    *yaml += &proposal.after;
}

fn steps(yaml: &mut String, draft: &Draft) {
    *yaml += "\nsteps:\n";
    if draft.rows.iter().all(|row| row.shape.len() < 2) {
        *yaml += LEARNED;
    }
    line(
        yaml,
        &format!("  - model: {}", key(&draft.name)),
        "a field feeds the input of its name",
    );
    let mut rows = draft.inputs.iter().zip(&draft.rows);
    let Some((matrix, _)) = rows.find(|(_, row)| columns(row).is_some()) else {
        return;
    };
    line(
        yaml,
        &format!(
            "    # Does each value come under a key of its own? Then make each a field, and list them in\n    \
             # order: {}: [age, height]\n    inputs:",
            shown(&key(&matrix.name))
        ),
        "",
    );
    for input in &draft.inputs {
        let fed = entry("      ", &input.name, &value(&input.name));
        line(yaml, &fed, "");
    }
}

fn outputs(yaml: &mut String, draft: &Draft, proposal: Option<&Proposal>) {
    *yaml += "\nencode:\n  json:\n";
    // The bytes of a file have no keys.
    if !matches!(draft.kind, Kind::Image(_)) {
        line(
            yaml,
            "    # pass: [id]",
            "which keys of a row go into its result as they are?",
        );
    }
    line(
        yaml,
        "    outputs:",
        "key in the result: output of the model",
    );
    if let Some(proposal) = proposal {
        *yaml += &proposal.outputs;
        return;
    }
    let mut write = |name: &str, comment: &str| {
        line(yaml, &entry("      ", name, &value(name)), comment);
    };
    match &draft.outputs {
        Ok(outputs) => {
            for output in outputs {
                write(&output.name, &described(output));
            }
        }
        Err((names, why)) => {
            for name in names {
                write(name, "");
            }
            *yaml += "      # What comes out shows once the shapes under `fields` are right. As they are now:\n";
            for why in why.lines() {
                line(yaml, &format!("      # {}", one_line(why)), "");
            }
        }
    }
}

pub(super) fn described(output: &OutputInfo) -> String {
    let dtype = output.dtype;
    if let Some(labels) = &output.labels {
        let mut some: Vec<String> = labels
            .iter()
            .take(LISTED)
            .map(|label| shown(label))
            .collect();
        let part = some.first().map_or_else(String::new, |first| {
            format!("; \"{}[{first}]\" is one alone", shown(&output.name))
        });
        if labels.len() > some.len() {
            some.push("…".to_owned());
        }
        return format!("{dtype} for each of {}{part}", some.join(", "));
    }
    if output.shape.is_empty() || output.shape == [1] {
        let question = match dtype {
            Dtype::I64 | Dtype::I32 => "; what do the values mean?",
            _ => "",
        };
        return format!("{dtype}{question}");
    }
    let part = match output.shape.as_slice() {
        [_] => format!("; \"{}[0]\" is the first alone", shown(&output.name)),
        _ => String::new(),
    };
    format!("{dtype} {:?}{part}", output.shape)
}

fn sink(yaml: &mut String, draft: &Draft) {
    let name = &draft.name;
    line(yaml, &format!("\nsink:\n  nats:\n    url: {URL}"), "");
    line(
        yaml,
        &format!("    subject: {name}.out"),
        "on which subject do the results go?",
    );
    line(yaml, "  # Or, instead of `nats`, into a stream?", "");
    line(
        yaml,
        &format!("  # jetstream: {{ url: {URL}, subject: {name}.out }}"),
        "",
    );
    *yaml += "  # Or back to who sent a request?\n  # reply: {}\n";
    line(
        yaml,
        &format!("\ndead_letter:\n  nats: {{ subject: dead.{name} }}"),
        "what cannot be served goes here",
    );
    *yaml += "  # Or into a stream? Core NATS keeps nothing: where nobody listens, dead letters are gone.\n";
    line(
        yaml,
        &format!("  # jetstream: {{ subject: dead.{name} }}"),
        "",
    );
    line(
        yaml,
        "\nhttp: { listen: \"${HTTP_LISTEN:-127.0.0.1:9464}\" }",
        "/metrics, /healthz, /readyz",
    );
}
