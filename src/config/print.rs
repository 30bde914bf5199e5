//! Writes a plan as a pipeline file that leaves nothing to defaults. Secrets are `***`.

use std::{fmt::Write as _, path::Path};

use super::{
    plan::{DecodePlan, EncodePlan, GoldenPlan, Plan, SinkPlan, SourcePlan},
    print_keys,
    raw::{Size, Time},
};
use crate::{
    contract::{Field, Scalar},
    encode::OutputField,
    engine::OutputRef,
    graph::yaml::{self, list, text},
    nats::{Auth, ServerOptions},
    sink::{file::FileTarget, nats::NatsTarget},
};

/// The whole resolved pipeline as YAML.
pub fn resolved(plan: &Plan) -> String {
    let mut out = Lines::default();
    out.line(0, "name", &text(&plan.name));
    source(&mut out, &plan.source);
    out.line(0, "decode", &decode(plan));
    out.open(0, "fields");
    for field in plan.fields.iter().filter(|field| !field.derived) {
        let density = plan.densities.iter().find(|(name, _)| *name == field.name);
        let density = density.map(|(_, density)| density);
        out.line(
            1,
            &text(&field.name),
            &contract(field, density, &plan.decode),
        );
    }
    print_keys::order_by(&mut out, plan);
    print_keys::state(&mut out, plan);
    print_keys::batch(&mut out, plan);
    out.line(0, "max_in_flight", &plan.in_flight.messages.to_string());
    out.line(
        0,
        "max_in_flight_bytes",
        &Size(plan.in_flight.bytes).to_string(),
    );
    models(&mut out, plan);
    steps(&mut out, plan);
    encode(&mut out, plan);
    sink(&mut out, "sink", &plan.sink);
    if let Some(dead_letter) = &plan.dead_letter {
        sink(&mut out, "dead_letter", dead_letter);
    }
    if let Some(golden) = &plan.golden {
        let GoldenPlan {
            input,
            expected,
            rtol,
            atol,
        } = golden;
        let (input, expected) = (path(Some(input)), path(Some(expected)));
        let value =
            format!("{{ input: {input}, expected: {expected}, rtol: {rtol:?}, atol: {atol:?} }}");
        out.line(0, "golden", &value);
    }
    if let Some(http) = &plan.http {
        out.line(0, "http", &format!("{{ listen: \"{http}\" }}"));
    }
    out.line(0, "shutdown_grace", &Time(plan.shutdown_grace).to_string());
    out.0
}

#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn line(&mut self, depth: usize, key: &str, value: &str) {
        self.raw(depth, &format!("{key}: {value}"));
    }

    pub(super) fn open(&mut self, depth: usize, key: &str) {
        self.raw(depth, &format!("{key}:"));
    }

    fn raw(&mut self, depth: usize, line: &str) {
        writeln!(self.0, "{:1$}{line}", "", depth * 2)
            .expect("a String takes everything: this is a bug");
    }
}

fn path(path: Option<&Path>) -> String {
    path.map_or("\"-\"".to_owned(), |path| text(&path.display().to_string()))
}

fn source(out: &mut Lines, source: &SourcePlan) {
    out.open(0, "source");
    match source {
        SourcePlan::Nats(server, options) => {
            out.open(1, "nats");
            servers(out, server);
            out.line(2, "subject", &text(&options.subject));
            if let Some(group) = &options.queue_group {
                out.line(2, "queue_group", &text(group));
            }
        }
        SourcePlan::JetStream(server, options) => {
            out.open(1, "jetstream");
            servers(out, server);
            out.line(2, "stream", &text(&options.stream));
            out.line(2, "consumer", &text(&options.consumer));
            if let Some(filter) = &options.filter_subject {
                out.line(2, "filter_subject", &text(filter));
            }
            out.line(2, "ack_wait", &Time(options.ack_wait).to_string());
            out.line(2, "max_deliver", &options.max_deliver.to_string());
        }
        SourcePlan::File(file) => {
            out.line(
                1,
                "file",
                &format!("{{ path: {} }}", path(file.path.as_deref())),
            );
        }
    }
}

fn servers(out: &mut Lines, server: &ServerOptions) {
    match server.urls.as_slice() {
        [url] => out.line(2, "url", &text(url)),
        urls => out.line(2, "url", &list(urls.iter().map(|url| text(url)))),
    }
    let auth = match &server.auth {
        Auth::None => None,
        Auth::Token(_) => Some("{ token: \"***\" }".to_owned()),
        Auth::User { user, .. } => Some(format!("{{ user: {}, password: \"***\" }}", text(user))),
        Auth::CredentialsFile(file) => {
            Some(format!("{{ credentials_file: {} }}", path(Some(file))))
        }
        Auth::NkeyFile(file) => Some(format!("{{ nkey_file: {} }}", path(Some(file)))),
    };
    if let Some(auth) = auth {
        out.line(2, "auth", &auth);
    }
    let tls = &server.tls;
    if tls.required || tls.ca_file.is_some() || tls.client.is_some() {
        out.open(2, "tls");
        out.line(3, "required", &tls.required.to_string());
        if let Some(file) = &tls.ca_file {
            out.line(3, "ca_file", &path(Some(file)));
        }
        if let Some((cert, key)) = &tls.client {
            out.line(3, "cert_file", &path(Some(cert)));
            out.line(3, "key_file", &path(Some(key)));
        }
    }
    if let Some(prefix) = &server.inbox_prefix {
        out.line(2, "inbox_prefix", &text(prefix));
    }
}

fn decode(plan: &Plan) -> String {
    match &plan.decode {
        DecodePlan::Json => "{ json: {} }".to_owned(),
        DecodePlan::Msgpack => "{ msgpack: {} }".to_owned(),
        DecodePlan::Bytes => "{ bytes: {} }".to_owned(),
        DecodePlan::Tensor { dtype } => {
            let shape = plan.fields.first().map(|field| sizes(&field.shape));
            format!(
                "{{ tensor: {{ dtype: {dtype}, shape: {} }} }}",
                shape.unwrap_or_default()
            )
        }
    }
}

pub(super) fn sizes(shape: &[usize]) -> String {
    list(shape.iter().map(usize::to_string))
}

fn contract(field: &Field, density: Option<&String>, decode: &DecodePlan) -> String {
    let mut keys = vec![format!("dtype: {}", field.dtype)];
    // An empty shape is a single value; a raw tensor says so.
    if !field.shape.is_empty() || matches!(decode, DecodePlan::Tensor { .. }) {
        keys.push(format!("shape: {}", sizes(&field.shape)));
    }
    if let Some(unit) = &field.unit {
        keys.push(format!("unit: {}", text(unit)));
    }
    if let Some(density) = density {
        keys.push(format!("density: {density}"));
    }
    if let Some([low, high]) = field.range {
        keys.push(format!("range: [{}, {}]", number(low), number(high)));
    }
    if let Some(values) = &field.values {
        keys.push(format!("values: {}", list(values.iter().map(scalar))));
    }
    if let Some(default) = &field.default {
        keys.push(format!("default: {}", scalar(default)));
    }
    if field.nullable {
        keys.push("nullable: true".to_owned());
    }
    format!("{{ {} }}", keys.join(", "))
}

fn number(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else {
        value.to_string()
    }
}

pub(super) fn scalar(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Integer(value) => value.to_string(),
        // With a point, so that it stays a float.
        Scalar::Float(value) => yaml::float(*value),
        Scalar::Bool(value) => value.to_string(),
        Scalar::String(value) => text(value),
    }
}

fn models(out: &mut Lines, plan: &Plan) {
    if plan.models.is_empty() {
        return;
    }
    out.open(0, "models");
    for model in &plan.models {
        let more = model
            .more
            .iter()
            .map(|(key, value)| format!(", {key}: {value}"));
        let value = format!(
            "{{ path: {}, device: {}, workers: {}{} }}",
            path(Some(&model.path)),
            model.device,
            plan.workers,
            more.collect::<String>()
        );
        out.line(1, &text(&model.name), &value);
    }
}

fn steps(out: &mut Lines, plan: &Plan) {
    out.open(0, "steps");
    for step in &plan.script {
        out.raw(1, &format!("- {}: {}", step.key, step.value));
        let names = |names: &[String]| list(names.iter().map(|name| text(name)));
        match step.inputs.as_slice() {
            [(name, columns)] if name == "input" && step.output.is_some() => {
                out.line(2, "input", &names(columns));
            }
            inputs => {
                if !inputs.is_empty() {
                    out.open(2, "inputs");
                }
                for (name, columns) in inputs {
                    out.line(3, &text(name), &names(columns));
                }
            }
        }
        if let Some(output) = &step.output {
            out.line(2, "output", &text(output));
        }
        for (key, value) in &step.more {
            out.line(2, key, value);
        }
    }
}

pub(super) fn output_name(plan: &Plan, at: OutputRef) -> String {
    let step = plan.steps.get(at.step);
    let name = step.and_then(|step| step.outputs.get(at.output).cloned());
    name.unwrap_or_else(|| "?".to_owned())
}

fn encode(out: &mut Lines, plan: &Plan) {
    out.open(0, "encode");
    let (kind, fields) = match &plan.encode {
        EncodePlan::Json(fields) => ("json", fields),
        EncodePlan::Msgpack(fields) => ("msgpack", fields),
        EncodePlan::Tensor(field) => {
            let output = text(&output(plan, field));
            out.line(1, "tensor", &format!("{{ output: {output} }}"));
            return;
        }
    };
    out.open(1, kind);
    out.line(2, "pass", &list(plan.passed.iter().map(|key| text(key))));
    out.open(2, "outputs");
    for field in fields {
        let comment = plan.outputs.get(field.series).map(|info| {
            if field.element.is_some() {
                return format!("  # {} {}", info.dtype, sizes(&[]));
            }
            let labels = info
                .labels
                .as_ref()
                .map(|labels| format!(", labels {}", labels.join(" ")));
            let labels = labels.unwrap_or_default().replace(['\n', '\r'], " ");
            format!("  # {} {}{labels}", info.dtype, sizes(&info.shape))
        });
        let value = text(&output(plan, field)) + &comment.unwrap_or_default();
        out.line(3, &text(&field.key), &value);
    }
}

fn output(plan: &Plan, field: &OutputField) -> String {
    let at = plan.engine.outputs.get(field.series);
    let name = at.map_or_else(|| "?".to_owned(), |at| output_name(plan, *at));
    let labels = plan
        .outputs
        .get(field.series)
        .and_then(|info| info.labels.as_ref());
    match field.element {
        None => name,
        Some(index) => match labels.and_then(|labels| labels.get(index)) {
            Some(label) => format!("{name}[{label}]"),
            None => format!("{name}[{index}]"),
        },
    }
}

fn sink(out: &mut Lines, key: &str, sink: &SinkPlan) {
    let (kind, server, subject) = match sink {
        SinkPlan::Nats(server, NatsTarget::Subject(subject)) => ("nats", server, subject),
        SinkPlan::JetStream(server, target) => ("jetstream", server, &target.subject),
        SinkPlan::Nats(_, NatsTarget::Reply) => {
            out.line(0, key, "{ reply: {} }");
            return;
        }
        SinkPlan::File(FileTarget { path: file }) => {
            out.line(
                0,
                key,
                &format!("{{ file: {{ path: {} }} }}", path(file.as_deref())),
            );
            return;
        }
    };
    out.open(0, key);
    out.open(1, kind);
    servers(out, server);
    out.line(2, "subject", &text(&subject.to_string()));
}
