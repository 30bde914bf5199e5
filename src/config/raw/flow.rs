//! What happens between the ends: `decode`, `fields`, `models`, `steps` and `encode`.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::{
    At, Count, Devices, FilePath, Named, OneIn, OneOrMany, PrecisionName, Tolerance, TypeName,
    route::Nothing,
};
use crate::contract::Scalar;

/// How payloads are read: one of `json`, `msgpack`, `tensor`, `bytes`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Decode {
    /// An object is one row; an array of objects is many rows in one message.
    Json(Nothing),
    /// The same as MessagePack.
    Msgpack(Nothing),
    /// Raw little-endian elements of the one field; several rows may follow each other.
    Tensor(TensorDecode),
    /// The whole payload is the value of the one field, of `dtype: bytes` or `string`: a file.
    Bytes(Nothing),
}

/// Raw tensors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TensorDecode {
    /// Type of the elements; the field's or the model input's where left out.
    pub(in crate::config) dtype: Option<At<TypeName>>,
    /// Shape of one row; the field's or the model input's where left out.
    pub(in crate::config) shape: Option<At<Vec<Count>>>,
}

/// One field of a row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Field {
    /// Type of the value, or of each element.
    #[schemars(extend("default" = "f32"))]
    pub(in crate::config) dtype: Option<At<TypeName>>,
    /// Shape of one row's value; left out for a single value.
    pub(in crate::config) shape: Option<At<Vec<Count>>>,
    /// Unit of the values (UCUM: `Cel`, `kg/har`, `[bu_us]/[acr_us]`; also `ha`, `km/h`, `EUR`).
    /// Formulas and models with units of their own check and convert it; without, it changes
    /// nothing.
    pub(in crate::config) unit: Option<At<String>>,
    /// Mass per volume, for a field that counts a volume (bushels, litres) where a mass is wanted.
    pub(in crate::config) density: Option<At<Density>>,
    /// Smallest and largest allowed value, both included: `[0, 120]`. `.inf` and `-.inf` leave a
    /// side open.
    pub(in crate::config) range: Option<At<Vec<At<f64>>>>,
    /// The only values allowed.
    pub(in crate::config) values: Option<At<Vec<At<ScalarValue>>>>,
    /// Stands in for a missing or null value; without it, such a row is rejected.
    pub(in crate::config) default: Option<At<ScalarValue>>,
    /// Let a missing or null value become NaN. Floats only.
    pub(in crate::config) nullable: Option<At<bool>>,
    /// What the field means; for the reader.
    #[serde(rename = "description")]
    pub(in crate::config) _description: Option<String>,
}

/// Mass per volume: one, or one for each kind of commodity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Density {
    /// The same for every row: `56 [lb_av]/[bu_us]`.
    pub(in crate::config) value: Option<At<String>>,
    /// The text field that says what it is, with its `values`.
    pub(in crate::config) by: Option<At<String>>,
    /// With `by`: the density of each of that field's values. Where left out, the standard weights
    /// of US bushels, by the commodities' English names.
    pub(in crate::config) of: Option<Named<At<String>>>,
}

/// A number, text, `true` or `false`.
#[derive(Debug, Clone)]
pub(in crate::config) struct ScalarValue(pub(in crate::config) Scalar);

impl<'de> Deserialize<'de> for ScalarValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, text, `true` or `false`")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::String(value.to_owned()))
    }
}

impl JsonSchema for ScalarValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": ["number", "string", "boolean"] })
    }
}

/// A model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Model {
    /// The ONNX file, relative to this file.
    pub(in crate::config) path: At<FilePath>,
    /// Where it runs; `auto` takes the best that there is. With a list of GPUs, `[cuda:0, cuda:1]`, the engines
    /// (`workers`) take them in turns.
    #[serde(default)]
    pub(in crate::config) device: Devices,
    /// What products of matrices and convolutions are multiplied as on a GPU: `fp32`, `tf32`, `fp16` or `bf16`. Sums,
    /// and all else, stay as the model has them. `auto` takes the fastest that stays within `tolerance`.
    #[serde(default)]
    pub(in crate::config) precision: PrecisionName,
    /// How far a fraction may be off on a GPU from what the CPU gives for made-up rows, as a part of the
    /// largest of its output; 0.0001 for `fp32` and 0.001 for the others where left out.
    pub(in crate::config) tolerance: Option<Tolerance>,
    /// How many of the rows that run on a GPU are run on the CPU too while it serves, and compared: `1/10000` is one in ten
    /// thousand. Metrics say how far they are off (`forebay_parity_difference`).
    pub(in crate::config) parity: Option<OneIn>,
    /// Engine threads, each with its own copy of the model; half of the CPU cores where left out, and two for
    /// each GPU in `device` at least.
    pub(in crate::config) workers: Option<At<Count>>,
    /// Inputs that are the same for every row, with their values: one for all elements of an input, or
    /// a list with one for each. They need no feed then: `{ sr: 16000 }`.
    pub(in crate::config) constants: Option<Named<At<OneOrMany<At<ScalarValue>>>>>,
    /// Inputs and outputs whose batch dimension is not the first, with its number, counted from 0. A
    /// row of an input `[2, batch, 128]` is `[2, 128]` then: `{ state: 1 }`.
    pub(in crate::config) batch_axis: Option<Named<At<Count>>>,
    /// The units that the model was trained with, by its inputs: one for all columns of an input,
    /// or one for each (`"1"` for what has none). What feeds them is converted where its unit is
    /// another of the same kind, and refused where it is of another kind or has none.
    pub(in crate::config) input_units: Option<Named<At<OneOrMany<At<String>>>>>,
    /// The units of what the model gives, by its outputs.
    pub(in crate::config) output_units: Option<Named<At<String>>>,
}

/// How results are written: one of `json`, `msgpack`, `tensor`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Encode {
    /// One object for each row.
    Json(RecordEncode),
    /// The same as MessagePack.
    Msgpack(RecordEncode),
    /// Raw little-endian elements of one output.
    Tensor(TensorEncode),
}

/// Results as objects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RecordEncode {
    /// Keys of the input that are carried into the result as they are (an id, say); null where a row has none.
    pub(in crate::config) pass: Option<Vec<At<String>>>,
    /// The result's keys and the outputs behind them: `output`, `model.output`, one element
    /// `"probabilities[1]"`, or one label of a map `"probabilities[setosa]"`. Where left out,
    /// every output of the last step under its own name.
    pub(in crate::config) outputs: Option<At<Named<At<String>>>>,
}

/// Results as raw tensors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TensorEncode {
    /// The output, `output` or `model.output`; may be left out where the last step has one.
    pub(in crate::config) output: Option<At<String>>,
}
