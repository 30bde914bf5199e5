//! What is written, so that it can be written again.

use serde_json::Value;

use super::list::{Item, Kind, StepList};
use crate::{
    config::{
        plan::{ModelPlan, ScriptStep},
        raw::{At, Density, Feed, Model, Pipeline},
    },
    contract::Scalar,
    host::HostOptions,
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
                value: model.name.into(),
                inputs,
                output: None,
                more,
            }
        }
        Kind::Formula(step) => ScriptStep {
            key: "formula".to_owned(),
            value: step.text.value.clone().into(),
            inputs,
            output: Some(step.output.to_owned()),
            more,
        },
        Kind::Host(step) => {
            let input = item.raw.and_then(|raw| raw.input.as_ref());
            inputs.extend(input.map(|feed| ("input".to_owned(), names(feed))));
            ScriptStep {
                key: step.key.to_owned(),
                value: without_nulls(&step.options),
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

fn without_nulls(options: &HostOptions) -> Value {
    let mut value = serde_json::to_value(options).unwrap_or_default();
    if let Some(keys) = value.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    value
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

fn more(item: &Item<'_>) -> Vec<(&'static str, Value)> {
    let Some(raw) = item.raw else {
        return Vec::new();
    };
    let text = |written: &At<String>| Value::from(written.value.clone());
    let unit = raw.unit.as_ref().map(|unit| ("unit", text(unit)));
    let when = raw.when.as_ref().map(|when| ("when", text(when)));
    let otherwise = raw.otherwise.as_ref();
    let otherwise = otherwise.map(|otherwise| ("otherwise", scalar(&otherwise.value.0)));
    [unit, when, otherwise].into_iter().flatten().collect()
}

fn scalar(value: &Scalar) -> Value {
    match value {
        Scalar::Integer(value) => (*value).into(),
        Scalar::Float(value) => (*value).into(),
        Scalar::Bool(value) => (*value).into(),
        Scalar::String(value) => value.clone().into(),
    }
}

fn more_of_model(model: &Model) -> Vec<(&'static str, Value)> {
    let constants = model.constants.as_ref().map(|constants| {
        let lists = constants.0.iter().map(|(name, values)| {
            let values: Vec<_> = values
                .value
                .0
                .iter()
                .map(|value| scalar(&value.value.0))
                .collect();
            (name.value.clone(), Value::from(values))
        });
        ("constants", Value::Object(lists.collect()))
    });
    let axes = model.batch_axis.as_ref().map(|axes| {
        let axes = axes.0.iter();
        let axes = axes.map(|(name, axis)| (name.value.clone(), axis.value.0.into()));
        ("batch_axis", Value::Object(axes.collect()))
    });
    let inputs = model.input_units.as_ref().map(|units| {
        let lists = units.0.iter().map(|(name, units)| {
            let units: Vec<_> = units
                .value
                .0
                .iter()
                .map(|unit| unit.value.clone())
                .collect();
            (name.value.clone(), Value::from(units))
        });
        ("input_units", Value::Object(lists.collect()))
    });
    let outputs = model.output_units.as_ref();
    let outputs = outputs.map(|units| ("output_units", texts(&units.0)));
    [constants, axes, inputs, outputs]
        .into_iter()
        .flatten()
        .collect()
}

fn texts(named: &[(At<String>, At<String>)]) -> Value {
    let texts = named.iter();
    Value::Object(
        texts
            .map(|(name, text)| (name.value.clone(), Value::from(text.value.clone())))
            .collect(),
    )
}

/// The densities of fields as they are written.
pub(super) fn densities(raw: &Pipeline) -> Vec<(String, Value)> {
    let fields = raw.fields.iter().flat_map(|fields| &fields.value.0);
    let written = fields.filter_map(|(name, field)| Some((name, field.value.density.as_ref()?)));
    written
        .map(|(name, density)| {
            let Density { value, by, of } = &density.value;
            let mut keys = serde_json::Map::new();
            for (key, text) in [("value", value), ("by", by)] {
                if let Some(text) = text {
                    keys.insert(key.to_owned(), text.value.clone().into());
                }
            }
            if let Some(of) = of {
                keys.insert("of".to_owned(), texts(&of.0));
            }
            (name.value.clone(), Value::Object(keys))
        })
        .collect()
}
