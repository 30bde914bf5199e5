//! The contract: from `fields`, or from the models where nothing is said, and from `decode`.

use super::{
    Resolver,
    hosts::host_fields,
    list::{Item, Kind, StepList},
    names::Earlier,
    shape::{ROW_ELEMENTS_MAX, fixed_shape, is_servable, shown},
    state::StateValue,
    vocabulary::Ids,
};
use crate::{
    config::{
        node::Span,
        plan::{DecodePlan, HostPlan},
        raw::{At, Count, Decode, Field as RawField, Named, TensorDecode},
        report::{Report, listed},
    },
    contract::{Dtype, Field},
    engine::InputInfo,
    units::Unit,
};

/// The fields and how they are read.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) list: Vec<Field>,
    /// Where each field is written; none for one that was taken from a model.
    pub(super) spans: Vec<Option<Span>>,
    /// `None` where a mistake was found.
    pub(super) decode: Option<DecodePlan>,
    /// Every field is known: a name that is not here is a mistake.
    pub(super) complete: bool,
    /// The unit of each field, where it has one.
    pub(super) units: Vec<Option<Unit>>,
    /// The places of fields whose unit cannot be read.
    pub(super) misread: Vec<usize>,
    /// The fields that are token ids.
    pub(super) ids: Vec<Ids>,
    /// The steps that make fields out of others.
    pub(super) hosts: Vec<HostPlan>,
    /// For each field, whether such a step reads it.
    pub(super) used: Vec<bool>,
    /// What is held between rows, by names like those of fields.
    pub(super) state: Vec<StateValue>,
}

impl Fields {
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.list.iter().position(|field| field.name == name)
    }

    /// Whether a state value has this name.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.state.iter().any(|value| value.name == name)
    }
}

/// What stands before one field's value: its name and place.
type NamedField = (At<String>, At<RawField>);

impl Resolver<'_> {
    pub(super) fn fields(&mut self, steps: &StepList<'_>) -> Fields {
        let raw = self.raw;
        let tensor = match raw.decode.as_ref().map(|decode| (&decode.value, decode)) {
            Some((Decode::Tensor(tensor), decode)) => Some((tensor, decode.span())),
            _ => None,
        };
        let mut fields = match &raw.fields {
            Some(written) => self.written(written, tensor.as_ref().map(|(tensor, _)| *tensor)),
            None => self.taken_from_models(steps, tensor.as_ref().map(|(tensor, _)| *tensor)),
        };
        fields.decode = match (raw.decode.as_ref().map(|decode| &decode.value), tensor) {
            (_, Some((_, span))) => self.tensor(&mut fields, &span),
            (Some(Decode::Msgpack(_)), _) => Some(DecodePlan::Msgpack),
            (Some(Decode::Bytes(_)), _) => self.bytes(&fields),
            _ => Some(DecodePlan::Json),
        };
        self.field_units(&mut fields);
        fields.state = self.state_values(&fields);
        self.hosts(steps, &mut fields);
        fields
    }

    fn written(
        &mut self,
        written: &At<Named<At<RawField>>>,
        tensor: Option<&TensorDecode>,
    ) -> Fields {
        if written.value.0.is_empty() {
            self.report(
                Report::new("`fields` is empty")
                    .at(&written.span(), "")
                    .help("name what a row has, or leave `fields` out to take it from the model"),
            );
        }
        let fields = written
            .value
            .0
            .iter()
            .map(|field| self.field(field, tensor))
            .collect();
        let names = written.value.0.iter();
        Fields {
            list: fields,
            spans: names.map(|(name, _)| name.span.clone()).collect(),
            complete: !written.value.0.is_empty(),
            ..Fields::default()
        }
    }

    fn field(&mut self, (name, raw): &NamedField, tensor: Option<&TensorDecode>) -> Field {
        let keys = &raw.value;
        let tensor_dtype = tensor.and_then(|tensor| tensor.dtype.as_ref());
        let tensor_shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        if let (Some(here), Some(there)) = (&keys.dtype, tensor_dtype)
            && here.value.0 != there.value.0
        {
            self.disagree("dtype", &name.value, &here.span(), &there.span());
        }
        if let (Some(here), Some(there)) = (&keys.shape, tensor_shape)
            && here.value != there.value
        {
            self.disagree("shape", &name.value, &here.span(), &there.span());
        }
        let dtype = keys.dtype.as_ref().or(tensor_dtype);
        let shape = keys.shape.as_ref().or(tensor_shape);
        let mut field = Field::new(
            name.value.as_str(),
            dtype.map_or(Dtype::F32, |dtype| dtype.value.0),
            shape.map(|shape| self.sizes(shape)).unwrap_or_default(),
        );
        field.unit = keys.unit.as_ref().map(|unit| unit.value.clone());
        self.limits(keys, &mut field);
        field
    }

    fn disagree(&mut self, key: &str, name: &str, here: &Span, there: &Span) {
        self.report(
            Report::new(format!(
                "`decode.tensor` and the field `{name}` give different {key}s"
            ))
            .at(here, "here")
            .also(there, "and here")
            .help("write it in one place"),
        );
    }

    /// The sizes of a shape that is not too large to be meant.
    pub(super) fn sizes(&mut self, shape: &At<Vec<Count>>) -> Vec<usize> {
        let sizes: Vec<usize> = shape.value.iter().map(|size| size.0).collect();
        if is_servable(&sizes) {
            return sizes;
        }
        self.report(
            Report::new("one row of this shape is too large")
                .at(
                    &shape.span(),
                    format!("more than {ROW_ELEMENTS_MAX} elements"),
                )
                .help("`shape` is that of one row, without the batch dimension"),
        );
        Vec::new()
    }

    /// One field for each model input that no earlier step feeds.
    fn taken_from_models(&mut self, steps: &StepList<'_>, tensor: Option<&TensorDecode>) -> Fields {
        let mut fields = Fields {
            complete: steps.complete,
            ..Fields::default()
        };
        let held = self.state_names().map(Earlier::Tensor);
        let mut earlier: Vec<Earlier<'_>> = held.collect();
        for step in &steps.items {
            let item = match &step.kind {
                Kind::Model(item) => item,
                Kind::Tensor(tensor) => {
                    self.tensor_without_fields(step, &earlier, &mut fields);
                    earlier.push(Earlier::Tensor(tensor.output));
                    continue;
                }
                Kind::Formula(formula) => {
                    self.formula_without_fields(formula, &earlier, &mut fields);
                    earlier.push(Earlier::Tensor(formula.output));
                    continue;
                }
                Kind::Host(host) => {
                    host_fields(step, host, &mut fields);
                    earlier.push(Earlier::Tensor(host.output));
                    continue;
                }
            };
            let Some(model) = item.opened else {
                fields.complete = false;
                continue;
            };
            for input in &model.inputs {
                let is_output = |name: &str| earlier.iter().any(|output| output.is(name));
                let (name, span) = match step
                    .feeds(&input.name)
                    .map(|feeds| feeds.value.0.as_slice())
                {
                    None => (input.name.as_str(), step.span.clone()),
                    Some([feed]) => (feed.value.as_str(), feed.span()),
                    Some(feeds) => {
                        if let Some(feed) = feeds.iter().find(|feed| !is_output(&feed.value)) {
                            fields.complete = false;
                            self.columns_without_fields(feed, input);
                        }
                        continue;
                    }
                };
                if is_output(name) || fields.find(name).is_some() {
                    continue;
                }
                match self.field_for_input(name, input, tensor, &span) {
                    Some(field) => {
                        fields.list.push(field);
                        fields.spans.push(None);
                    }
                    None => fields.complete = false,
                }
            }
            let outputs = model.declared.iter();
            earlier.extend(outputs.map(|output| Earlier::Model {
                model: item.run,
                output,
            }));
        }
        fields
    }

    /// A step that is no model cannot say what its fields are.
    fn tensor_without_fields(
        &mut self,
        step: &Item<'_>,
        earlier: &[Earlier<'_>],
        fields: &mut Fields,
    ) {
        let input = step.raw.and_then(|raw| raw.input.as_ref());
        let several = step.written_inputs().iter().map(|(_, feed)| feed);
        let mut names = several.chain(input).flat_map(|feed| &feed.value.0);
        let unknown = names.find(|name| !earlier.iter().any(|output| output.is(&name.value)));
        if let Some(name) = unknown {
            if fields.complete {
                self.report(
                    Report::new(format!(
                        "`fields` is missing: the step cannot say what `{}` is",
                        name.value
                    ))
                    .at(&name.span(), "")
                    .help(format!(
                        "add `fields: {{ {}: {{ dtype: f32 }}, … }}`",
                        name.value
                    )),
                );
            }
            fields.complete = false;
        }
    }

    fn columns_without_fields(&mut self, feed: &At<String>, input: &InputInfo) {
        self.report(
            Report::new(format!(
                "`fields` is missing: the model cannot say what `{}` is, only what the whole input `{}` is",
                feed.value, input.name
            ))
            .at(&feed.span(), "")
            .help(format!("add `fields: {{ {}: {{ dtype: {} }}, … }}`", feed.value, input.dtype)),
        );
    }

    fn field_for_input(
        &mut self,
        name: &str,
        input: &InputInfo,
        tensor: Option<&TensorDecode>,
        span: &Span,
    ) -> Option<Field> {
        let dtype = tensor.and_then(|tensor| tensor.dtype.as_ref());
        let dtype = dtype.map_or(input.dtype, |dtype| dtype.value.0);
        let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
        let dims = input.row_dims();
        let Some(mut shape) = shape
            .map(|shape| self.sizes(shape))
            .or_else(|| fixed_shape(dims))
        else {
            let help = match tensor {
                Some(_) => "add `shape` to `decode.tensor`: the shape of one row".to_owned(),
                None => format!(
                    "add `fields`, for instance `fields: {{ {name}: {{ dtype: {}, shape: [4] }} }}`",
                    input.dtype
                ),
            };
            self.report(
                Report::new(format!(
                    "the model leaves the shape of its input `{}` open: {}",
                    input.name,
                    shown(dims)
                ))
                .at(span, "so a field for it needs a shape")
                .help(help),
            );
            return None;
        };
        if !is_servable(&shape) {
            self.report(
                Report::new(format!(
                    "one row of the input `{}` is too large: {}",
                    input.name,
                    shown(dims)
                ))
                .at(span, format!("at most {ROW_ELEMENTS_MAX} elements")),
            );
            return None;
        }
        // A column as scikit-learn's exports have it: one value for each row.
        if shape == [1] && tensor.is_none() {
            shape.clear();
        }
        Some(Field::new(name, dtype, shape))
    }

    /// The one field whose value is the whole payload.
    fn bytes(&mut self, fields: &Fields) -> Option<DecodePlan> {
        let span = self.raw.decode.as_ref().map(At::span).unwrap_or_default();
        let report = match fields.list.as_slice() {
            _ if !fields.complete => return None,
            [field] if matches!(field.dtype, Dtype::Bytes | Dtype::String) && field.shape.is_empty() => {
                return Some(DecodePlan::Bytes);
            }
            [field] => Report::new(format!(
                "`decode: bytes` gives bytes or text, and the field `{}` is {}",
                field.name, field.dtype
            ))
            .help("declare it with `dtype: bytes` (or `string`), and read it with a step: `image`, `text`, `window` or `audio`"),
            list => Report::new(format!(
                "`decode: bytes` reads one field, and there are {}: {}",
                list.len(),
                listed(list.iter().map(|field| field.name.as_str()))
            ))
            .help("use `decode: msgpack`, which can hold bytes, or `decode: json` with base64 text, for several fields"),
        };
        self.report(report.at(&span, "the whole message is one value"));
        None
    }

    fn tensor(&mut self, fields: &mut Fields, span: &Span) -> Option<DecodePlan> {
        if !fields.complete {
            return None;
        }
        let [field] = fields.list.as_slice() else {
            let names = listed(fields.list.iter().map(|field| field.name.as_str()));
            self.report(
                Report::new(format!(
                    "`decode: tensor` reads one field, and there are {}: {names}",
                    fields.list.len()
                ))
                .at(span, "a raw tensor has no names in it")
                .help("use `decode: json` or `decode: msgpack` for several fields"),
            );
            return None;
        };
        if field.dtype.size_bytes().is_none() {
            self.report(
                Report::new(format!("a raw tensor cannot hold {}", field.dtype))
                    .at(span, "")
                    .also(
                        &fields
                            .spans
                            .first()
                            .cloned()
                            .flatten()
                            .unwrap_or(span.clone()),
                        "this field has another dtype than numbers",
                    )
                    .help("use `decode: json` or `decode: msgpack`"),
            );
            return None;
        }
        Some(DecodePlan::Tensor { dtype: field.dtype })
    }
}
