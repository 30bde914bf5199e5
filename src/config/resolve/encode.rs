//! What is written: output references become series of the output table.

use super::{Resolver, known::Steps};
use crate::{
    config::{
        node::Span,
        plan::EncodePlan,
        raw::{At, Decode, Encode, RecordEncode, TensorEncode},
        report::{Report, listed, nearest},
    },
    encode::OutputField,
    engine::{OutputInfo, OutputRef},
};

/// The encoder, and the series it needs.
pub(super) struct Encoded {
    pub(super) plan: EncodePlan,
    pub(super) passed: Vec<String>,
    pub(super) series: Vec<OutputRef>,
    pub(super) infos: Vec<OutputInfo>,
}

/// The series that were asked for so far; each is there once.
#[derive(Default)]
pub(super) struct Series {
    pub(super) refs: Vec<OutputRef>,
    pub(super) infos: Vec<OutputInfo>,
}

impl Series {
    pub(super) fn add(&mut self, at: OutputRef, info: &OutputInfo) -> usize {
        let known = self.refs.iter().position(|known| *known == at);
        known.unwrap_or_else(|| {
            self.refs.push(at);
            self.infos.push(info.clone());
            self.refs.len() - 1
        })
    }
}

impl Resolver<'_> {
    /// Keys that are carried into the result.
    pub(super) fn passed_keys(&self) -> Vec<&str> {
        let keys = self.record().and_then(|keys| keys.pass.as_ref());
        keys.map(|keys| keys.iter().map(|key| key.value.as_str()).collect())
            .unwrap_or_default()
    }

    fn record(&self) -> Option<&RecordEncode> {
        match &self.raw.encode.as_ref()?.value {
            Encode::Json(keys) | Encode::Msgpack(keys) => Some(keys),
            Encode::Tensor(_) => None,
        }
    }

    pub(super) fn encode(&mut self, steps: &Steps) -> Option<Encoded> {
        let raw = self.raw;
        let mut series = Series::default();
        let (plan, passed) = match raw.encode.as_ref().map(|encode| (&encode.value, encode)) {
            None => (
                self.outputs(None, steps, &mut series).map(EncodePlan::Json),
                Vec::new(),
            ),
            Some((Encode::Json(keys), _)) => {
                let passed = self.pass(keys);
                (
                    self.outputs(Some(keys), steps, &mut series)
                        .map(EncodePlan::Json),
                    passed,
                )
            }
            Some((Encode::Msgpack(keys), _)) => {
                let passed = self.pass(keys);
                (
                    self.outputs(Some(keys), steps, &mut series)
                        .map(EncodePlan::Msgpack),
                    passed,
                )
            }
            Some((Encode::Tensor(keys), encode)) => {
                let field = self.tensor_output(keys, &encode.span(), steps, &mut series);
                (field.map(EncodePlan::Tensor), Vec::new())
            }
        };
        Some(Encoded {
            plan: plan?,
            passed,
            series: series.refs,
            infos: series.infos,
        })
    }

    fn pass(&mut self, keys: &RecordEncode) -> Vec<String> {
        let pass = keys.pass.as_deref().unwrap_or_default();
        if let (Some(first), Some(Decode::Tensor(_) | Decode::Bytes(_))) = (
            pass.first(),
            self.raw.decode.as_ref().map(|decode| &decode.value),
        ) {
            self.report(
                Report::new("`pass` has nothing to carry: such a message has no keys")
                    .at(&first.span(), "")
                    .help("remove `pass`, or use `decode: json` or `decode: msgpack`"),
            );
        }
        let outputs = keys
            .outputs
            .as_ref()
            .map(|outputs| outputs.value.0.as_slice());
        for (at, key) in pass.iter().enumerate() {
            let other = pass[..at].iter().find(|other| other.value == key.value);
            let output = outputs.unwrap_or_default().iter().map(|(name, _)| name);
            let other = other.or_else(|| output.into_iter().find(|name| name.value == key.value));
            if let Some(other) = other {
                self.report(
                    Report::new(format!(
                        "the result would have the key `{}` twice",
                        key.value
                    ))
                    .at(&key.span(), "from the input")
                    .also(&other.span(), "and from here")
                    .help("remove one, or give the output another key"),
                );
            }
        }
        pass.iter().map(|key| key.value.clone()).collect()
    }

    /// The outputs of a record; every output of the last step where nothing is said.
    fn outputs(
        &mut self,
        keys: Option<&RecordEncode>,
        steps: &Steps,
        series: &mut Series,
    ) -> Option<Vec<OutputField>> {
        if let Some(outputs) = keys.and_then(|keys| keys.outputs.as_ref()) {
            if outputs.value.0.is_empty() {
                self.report(
                    Report::new("`outputs` is empty")
                        .at(&outputs.span(), "")
                        .help(
                            "name at least one output, or leave `outputs` out to write all of them",
                        ),
                );
            }
            let fields: Vec<_> = outputs
                .value
                .0
                .iter()
                .map(|(key, output)| self.output(&key.value, output, steps, series))
                .collect();
            return fields.into_iter().collect();
        }
        let last = steps.last_outputs()?;
        let passed = self.passed_keys();
        if let Some((_, info)) = last
            .iter()
            .find(|(_, info)| passed.contains(&info.name.as_str()))
        {
            let pass = keys
                .and_then(|keys| keys.pass.as_deref())
                .unwrap_or_default();
            let key = pass.iter().find(|key| key.value == info.name);
            let report = Report::new(format!(
                "the result would have the key `{}` twice",
                info.name
            ))
            .at_written(
                key.and_then(|key| key.span.as_ref()),
                "from the input, and from the model",
            )
            .help("name the outputs to write, with other keys: `outputs: { KEY: OUTPUT }`");
            self.report(report);
            return None;
        }
        let fields = last.iter().map(|(at, info)| OutputField {
            key: info.name.clone(),
            series: series.add(*at, info),
            element: None,
            labels: info.labels.clone(),
        });
        Some(fields.collect())
    }

    fn tensor_output(
        &mut self,
        keys: &TensorEncode,
        span: &Span,
        steps: &Steps,
        series: &mut Series,
    ) -> Option<OutputField> {
        let (field, span) = if let Some(output) = &keys.output {
            (
                self.output(&output.value, output, steps, series)?,
                output.span(),
            )
        } else {
            let last = steps.last_outputs()?;
            let [(at, info)] = last.as_slice() else {
                self.report(
                    Report::new(
                        "`encode: tensor` writes one output, and the last step has several",
                    )
                    .at(span, "")
                    .help(format!(
                        "name one: `tensor: {{ output: NAME }}`; there are {}",
                        listed(steps.last_names())
                    )),
                );
                return None;
            };
            let field = OutputField {
                key: info.name.clone(),
                series: series.add(*at, info),
                element: None,
                labels: info.labels.clone(),
            };
            (field, span.clone())
        };
        let at = series.refs.get(field.series).copied();
        if at.is_some_and(|at| !steps.is_everywhere(at)) {
            self.report(
                Report::new(format!(
                    "`{}` is not there in every row, and a raw tensor has no null",
                    field.key
                ))
                .at(&span, "")
                .help("say with `otherwise`, beside `when`, what it is in the other rows"),
            );
            return None;
        }
        let fault = if field.labels.is_some() {
            "a map"
        } else if series.infos[field.series].dtype.size_bytes().is_none() {
            "text"
        } else {
            return Some(field);
        };
        self.report(
            Report::new(format!(
                "`{}` is {fault}, which a raw tensor cannot hold",
                field.key
            ))
            .at(&span, "")
            .help("name another output, or use `encode: json` or `encode: msgpack`"),
        );
        None
    }

    /// One reference: an output, or `output[element]`.
    pub(super) fn output(
        &mut self,
        key: &str,
        written: &At<String>,
        steps: &Steps,
        series: &mut Series,
    ) -> Option<OutputField> {
        let text = written.value.as_str();
        let (base, element) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            // An output's own name may have brackets in it.
            Some((base, element)) if !steps.is_known(text) => (base, Some(element)),
            _ => (text, None),
        };
        let Some(at) = steps.find(base) else {
            self.unknown_output(base, written, steps);
            return None;
        };
        let info = steps.info(at)?;
        let mut field = OutputField {
            key: key.to_owned(),
            series: series.add(at, info),
            element: None,
            labels: info.labels.clone(),
        };
        if let Some(element) = element {
            match element_index(element, base, info) {
                Ok(index) => field.element = Some(index),
                Err(report) => {
                    self.report(report.at_written(written.span.as_ref(), ""));
                    return None;
                }
            }
            field.labels = None;
        }
        Some(field)
    }

    fn unknown_output(&mut self, base: &str, written: &At<String>, steps: &Steps) {
        if !steps.all_opened() {
            return;
        }
        if let Some(report) = steps.ambiguous(base) {
            self.report(report.at_written(written.span.as_ref(), ""));
            return;
        }
        let names = steps.names();
        let known = || names.iter().map(String::as_str);
        let field = steps.fields.iter().find(|(name, _)| name == base);
        if let Some((_, derived)) = field {
            self.field_as_output(base, *derived, written);
            return;
        }
        let report = Report::new(format!("there is no output `{base}`"));
        let there = format!("there are {}", listed(known()));
        let report = match &written.span {
            Some(span) => report.at(span, there),
            None => report.help(there),
        };
        self.report(report.maybe_help(nearest(base, known())));
    }
}

impl Resolver<'_> {
    /// A field is named where an output is wanted.
    fn field_as_output(&mut self, name: &str, derived: bool, written: &At<String>) {
        let keys = !matches!(
            self.raw.decode.as_ref().map(|decode| &decode.value),
            Some(Decode::Tensor(_) | Decode::Bytes(_))
        );
        let help = if derived {
            "name what a model or another step makes of it; a step on the host makes fields"
                .to_owned()
        } else if keys && self.record().is_some() {
            format!("carry it into the result as it came: `pass: [{name}]`")
        } else {
            "name what a model or another step makes of it".to_owned()
        };
        let report = Report::new(format!("`{name}` is a field, and no output"));
        self.report(report.at_written(written.span.as_ref(), "").help(help));
    }
}

fn element_index(element: &str, base: &str, info: &OutputInfo) -> Result<usize, Report> {
    if let Some(labels) = &info.labels {
        let known = || labels.iter().map(String::as_str);
        let index = labels.iter().position(|label| label == element);
        return index.ok_or_else(|| {
            Report::new(format!("`{base}` has no label `{element}`"))
                .maybe_help(nearest(element, known()))
                .help(format!("its labels: {}", listed(known())))
        });
    }
    let width: usize = info.shape.iter().product();
    let numbered = || match width {
        1 => format!("it has one element for each row: write `{base}`"),
        _ => format!(
            "its elements: `{base}[0]` to `{base}[{}]`",
            width.saturating_sub(1)
        ),
    };
    match element.parse::<usize>() {
        Ok(index) if index < width => Ok(index),
        Ok(_) => Err(Report::new(format!("`{base}` has no element {element}")).help(numbered())),
        // More digits than a number of elements can have.
        Err(_) if element.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Report::new(format!("`{base}` has no element {element}")).help(numbered()))
        }
        Err(_) => Err(Report::new(format!(
            "`{base}` has no labels, so `{element}` cannot name an element"
        ))
        .help(numbered())),
    }
}
