//! Runs over rows of files: which steps are left out, and what is written.

use super::{
    Resolver,
    encode::{Encoded, Series},
    fields::Fields,
    known::Steps,
    list::{FormulaItem, Kind, StepList, TensorItem},
    names::reads,
};
use crate::{
    config::{
        plan::{EncodePlan, Offline},
        raw::At,
        report::{Report, listed, nearest},
    },
    contract::Dtype,
    encode::OutputField,
    engine::OutputRef,
};

/// A column that is written.
enum Chosen {
    Output(OutputField),
    /// A field, by its place.
    Field(usize),
}

impl Resolver<'_> {
    /// A field that is written is needed behind the step on the host that reads it last.
    pub(super) fn keep_fields(&self, fields: &mut Fields, outputs: usize) {
        for host in &mut fields.hosts {
            let columns = &self.selection.columns;
            host.last &= !columns
                .iter()
                .any(|column| column.series == outputs + host.input);
        }
    }

    /// Whether the run stops in front of the models.
    pub(super) fn is_without_models(&self) -> bool {
        self.offline.is_some_and(|offline| offline.without_models)
    }

    /// Whether everything in the file is used, as in a run.
    pub(super) fn is_whole(&self) -> bool {
        let offline = self.offline;
        offline.is_none_or(|offline| !offline.without_models && offline.outputs.is_empty())
    }

    /// Takes the models out of the list, and every step that needs what a model gives, or what is held
    /// between rows. The models
    /// need not be there, so a name that nothing else explains is taken for an output of theirs;
    /// the names of the steps that are left out are told.
    pub(super) fn leave_out(&mut self, list: &mut StepList<'_>, fields: &Fields) {
        if !self.is_without_models() || !list.complete {
            return;
        }
        let mut kept: Vec<&str> = Vec::new();
        let mut left_out = Vec::new();
        list.items.retain(|item| match &item.kind {
            Kind::Model(model) => {
                left_out.push(model.run.to_owned());
                // What has the same name cannot be told from it.
                let outputs = model.opened.iter().flat_map(|model| &model.declared);
                outputs.for_each(|output| kept.retain(|kept| kept != output));
                false
            }
            Kind::Tensor(TensorItem { output, .. }) | Kind::Formula(FormulaItem { output, .. }) => {
                let names = item.raw.map(reads).unwrap_or_default();
                let unknown = |name: &String| fields.find(name).is_none() && !is_made(name, &kept);
                let held = names.iter().any(|name| fields.holds(name));
                let needs_model = held || !left_out.is_empty() && names.iter().any(unknown);
                if needs_model {
                    left_out.push((*output).to_owned());
                } else {
                    kept.push(output);
                }
                !needs_model
            }
            // It reads fields only, and makes such.
            Kind::Host(_) => true,
        });
        self.selection.left_out = left_out;
    }

    /// What is written: what was asked for, else without models everything that there is, else
    /// what `encode` says.
    pub(super) fn select(
        &mut self,
        offline: &Offline,
        steps: &Steps,
        fields: &Fields,
    ) -> Option<Encoded> {
        let mut series = Series::default();
        let chosen = if !offline.outputs.is_empty() {
            self.named(&offline.outputs, steps, fields, &mut series)?
        } else if offline.without_models {
            everything(steps, fields, &mut series)?
        } else {
            let encoded = self.encode(steps)?;
            self.selection.columns = match &encoded.plan {
                EncodePlan::Json(outputs) | EncodePlan::Msgpack(outputs) => outputs.clone(),
                EncodePlan::Tensor(output) => vec![output.clone()],
            };
            self.mark_partial(steps, &encoded.series);
            return Some(encoded);
        };
        let behind = series.refs.len();
        let column = |chosen| match chosen {
            Chosen::Output(output) => Some(output),
            Chosen::Field(place) => Some(OutputField {
                key: fields.list.get(place)?.name.clone(),
                series: behind + place,
                element: None,
                labels: None,
            }),
        };
        let columns: Vec<OutputField> = chosen.into_iter().filter_map(column).collect();
        let written = |key: &str| columns.iter().any(|column| column.key == key);
        let passed = self.passed_keys().into_iter();
        let passed = passed.filter(|key| !written(key)).map(str::to_owned);
        let passed = passed.collect();
        self.selection.columns = columns;
        self.mark_partial(steps, &series.refs);
        Some(Encoded {
            plan: EncodePlan::Json(Vec::new()),
            passed,
            series: series.refs,
            infos: series.infos,
        })
    }

    /// Notes the outputs that a condition keeps from some of the rows.
    fn mark_partial(&mut self, steps: &Steps, outputs: &[OutputRef]) {
        let outputs = outputs.iter().enumerate();
        let partial = outputs.filter(|(_, output)| !steps.is_everywhere(**output));
        self.selection.partial = partial.map(|(series, _)| series).collect();
    }

    /// The outputs and fields of these names.
    fn named(
        &mut self,
        names: &[String],
        steps: &Steps,
        fields: &Fields,
        series: &mut Series,
    ) -> Option<Vec<Chosen>> {
        let mut chosen = Vec::with_capacity(names.len());
        let mut sound = true;
        for (at, name) in names.iter().enumerate() {
            if names.get(..at).unwrap_or_default().contains(name) {
                self.report(Report::new(format!(
                    "the output `{name}` is asked for twice"
                )));
                sound = false;
                continue;
            }
            let found = match fields.find(name) {
                Some(place) => self.field_column(place, fields),
                None => self.output_column(name, steps, fields, series),
            };
            sound &= found.is_some();
            chosen.extend(found);
        }
        sound.then_some(chosen)
    }

    fn field_column(&mut self, place: usize, fields: &Fields) -> Option<Chosen> {
        let field = fields.list.get(place)?;
        if field.dtype == Dtype::Bytes {
            self.report(
                Report::new(format!(
                    "the field `{}` is bytes, which are not written",
                    field.name
                ))
                .help("join the result with the rows by a key: `encode: { json: { pass: [id] } }`"),
            );
            return None;
        }
        Some(Chosen::Field(place))
    }

    fn output_column(
        &mut self,
        name: &str,
        steps: &Steps,
        fields: &Fields,
        series: &mut Series,
    ) -> Option<Chosen> {
        let base = name.split_once('[').map_or(name, |(base, _)| base);
        let several = steps.ambiguous(name).or_else(|| steps.ambiguous(base));
        if let Some(report) = several {
            self.report(report);
            return None;
        }
        if steps.find(name).is_none() && steps.find(base).is_none() && steps.opened {
            let outputs = steps.names();
            let fields = fields.list.iter().map(|field| field.name.as_str());
            let known: Vec<&str> = outputs.iter().map(String::as_str).chain(fields).collect();
            let mut report = Report::new(format!("there is no output or field `{name}`"))
                .maybe_help(nearest(base, known.iter().copied()))
                .help(format!("there are {}", listed(known.iter().copied())));
            if !self.selection.left_out.is_empty() {
                report = report.help(format!(
                    "without models these steps do not run: {}",
                    listed(self.selection.left_out.iter().map(String::as_str))
                ));
            }
            self.report(report);
            return None;
        }
        let written = At::unwritten(name.to_owned());
        let output = self.output(name, &written, steps, series)?;
        Some(Chosen::Output(output))
    }
}

/// Every output, and every field that can be written.
fn everything(steps: &Steps, fields: &Fields, series: &mut Series) -> Option<Vec<Chosen>> {
    if !steps.sound {
        return None;
    }
    let mut chosen: Vec<Chosen> = fields
        .list
        .iter()
        .enumerate()
        .filter(|(_, field)| field.dtype != Dtype::Bytes)
        .map(|(place, _)| Chosen::Field(place))
        .collect();
    for (at, info) in steps.all_outputs()? {
        chosen.push(Chosen::Output(OutputField {
            key: info.name.clone(),
            series: series.add(at, info),
            element: None,
            labels: info.labels.clone(),
        }));
    }
    Some(chosen)
}

/// Whether a step that runs makes this: `output`, or `output.part`.
fn is_made(name: &str, kept: &[&str]) -> bool {
    kept.iter().any(|output| {
        name.strip_prefix(output)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
