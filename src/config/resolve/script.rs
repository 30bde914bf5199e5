//! What is written, so that it can be written again.

use std::collections::BTreeMap;

use serde::Serialize;

use super::list::{Item, Kind, StepList};
use crate::{
    config::{
        plan::{ModelPlan, ScriptStep},
        raw::{At, Density, Feed, Model, Pipeline},
    },
    engine::Precision,
    graph::{
        params::Cell,
        yaml::{self, flow, text},
    },
};

/// The steps as they are written, with nothing left to defaults.
pub(super) fn script(list: &StepList<'_>) -> Vec<ScriptStep> {
    list.items.iter().map(script_step).collect()
}

fn script_step(item: &Item<'_>) -> ScriptStep {
    let names = |feed: &Feed| {
        feed.value
            .0
            .iter()
            .map(|name| name.value.clone())
            .collect::<Vec<_>>()
    };
    let mut inputs: Vec<(String, Vec<String>)> = (item.written_inputs().iter())
        .map(|(name, feed)| (name.value.clone(), names(feed)))
        .collect();
    let more = more(item);
    match &item.kind {
        Kind::Model(model) => {
            for input in model.opened.iter().flat_map(|model| &model.inputs) {
                if item.feeds(&input.name).is_none() {
                    inputs.push((input.name.clone(), vec![input.name.clone()]));
                }
            }
            ScriptStep {
                key: "model".to_owned(),
                value: text(model.name),
                inputs,
                output: None,
                more,
            }
        }
        Kind::Formula(step) => ScriptStep {
            key: "formula".to_owned(),
            value: text(&step.text.value),
            inputs,
            output: Some(step.output.to_owned()),
            more,
        },
        Kind::Host(step) => {
            let input = item.raw.and_then(|raw| raw.input.as_ref());
            inputs.extend(input.map(|feed| ("input".to_owned(), names(feed))));
            ScriptStep {
                key: step.key.to_owned(),
                value: flow(&step.options),
                inputs,
                output: Some(step.output.to_owned()),
                more,
            }
        }
        Kind::Tensor(step) => {
            let input = item.raw.and_then(|raw| raw.input.as_ref());
            inputs.extend(input.map(|feed| ("input".to_owned(), names(feed))));
            ScriptStep {
                key: step.key.to_owned(),
                value: step.step.parameters(),
                inputs,
                output: Some(step.output.to_owned()),
                more,
            }
        }
    }
}

/// The models that the steps run, each once.
pub(super) fn model_plans(list: &StepList<'_>) -> Vec<ModelPlan> {
    let mut plans: Vec<ModelPlan> = Vec::new();
    for model in list.models() {
        let Some(opened) = model.opened else { continue };
        if plans.iter().all(|known| known.name != model.name) {
            plans.push(ModelPlan {
                name: model.name.to_owned(),
                path: opened.source.path.clone(),
                device: model.device(),
                more: more_of_model(model.written),
            });
        }
    }
    plans
}

fn more(item: &Item<'_>) -> Vec<(&'static str, String)> {
    let Some(raw) = item.raw else {
        return Vec::new();
    };
    let name = raw.name.as_ref().map(|name| ("name", text(&name.value)));
    let unit = raw.unit.as_ref().map(|unit| ("unit", text(&unit.value)));
    let when = raw.when.as_ref().map(|when| ("when", text(&when.value)));
    let otherwise = raw.otherwise.as_ref();
    let otherwise = otherwise.map(|otherwise| {
        let cell = Cell(otherwise.value.0.clone());
        ("otherwise", flow(&cell))
    });
    [name, unit, when, otherwise]
        .into_iter()
        .flatten()
        .collect()
}

fn more_of_model(model: &Model) -> Vec<(&'static str, String)> {
    let constants = model.constants.as_ref().map(|constants| {
        let lists = constants.0.iter().map(|(name, values)| {
            let values = values
                .value
                .0
                .iter()
                .map(|value| Cell(value.value.0.clone()));
            (name.value.as_str(), values.collect::<Vec<_>>())
        });
        ("constants", flow(&lists.collect::<BTreeMap<_, _>>()))
    });
    let precision = Some(model.precision.0)
        .filter(|precision| *precision != Precision::Auto)
        .map(|precision| ("precision", precision.to_string()));
    let tolerance = (model.tolerance).map(|part| ("tolerance", yaml::float(part.0)));
    let parity = (model.parity).map(|one| ("parity", one.to_string()));
    let axes = model.batch_axis.as_ref().map(|axes| {
        let axes = axes.0.iter();
        let axes = axes.map(|(name, axis)| (name.value.as_str(), axis.value.0));
        ("batch_axis", flow(&axes.collect::<BTreeMap<_, _>>()))
    });
    let inputs = model.input_units.as_ref().map(|units| {
        let lists = units.0.iter().map(|(name, units)| {
            let units = units.value.0.iter().map(|unit| unit.value.as_str());
            (name.value.as_str(), units.collect::<Vec<_>>())
        });
        ("input_units", flow(&lists.collect::<BTreeMap<_, _>>()))
    });
    let outputs = model.output_units.as_ref();
    let outputs = outputs.map(|units| ("output_units", flow(&texts(&units.0))));
    [
        precision, tolerance, parity, constants, axes, inputs, outputs,
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn texts(named: &[(At<String>, At<String>)]) -> BTreeMap<&str, &str> {
    let texts = named.iter();
    texts
        .map(|(name, text)| (name.value.as_str(), text.value.as_str()))
        .collect()
}

/// The densities of fields as they are written.
pub(super) fn densities(raw: &Pipeline) -> Vec<(String, String)> {
    #[derive(Serialize)]
    struct Written<'a> {
        value: Option<&'a str>,
        by: Option<&'a str>,
        of: Option<BTreeMap<&'a str, &'a str>>,
    }
    let fields = raw.fields.iter().flat_map(|fields| &fields.value.0);
    let written = fields.filter_map(|(name, field)| Some((name, field.value.density.as_ref()?)));
    written
        .map(|(name, density)| {
            let Density { value, by, of } = &density.value;
            let written = Written {
                value: value.as_ref().map(|value| value.value.as_str()),
                by: by.as_ref().map(|by| by.value.as_str()),
                of: of.as_ref().map(|of| texts(&of.0)),
            };
            (name.value.clone(), flow(&written))
        })
        .collect()
}
