//! Categories of columns, for the steps that look values up in a list: texts, whole numbers or floats.

use std::{borrow::Cow, collections::HashSet, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, SeqAccess, Visitor},
};

use super::{Fault, holds};
use crate::{
    contract::{Dtype, Scalar},
    graph::{Attr, GraphBuilder, Value, build::signed, params::Cell},
};

/// One list of categories for all columns, or a list of lists: one for each column.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Categories {
    /// For all columns.
    Shared(Vec<Cell>),
    /// For each column.
    Each(Vec<Vec<Cell>>),
}

/// The categories of one column, in the type that it is looked up in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Keys {
    Texts(Vec<String>),
    Whole(Vec<i64>),
    Floats(Vec<f64>),
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Texts(keys) => keys.len(),
            Self::Whole(keys) => keys.len(),
            Self::Floats(keys) => keys.len(),
        }
    }
}

/// Columns that are looked up in the same list.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) value: Value,
    pub(super) keys: Keys,
}

impl Categories {
    /// The values with their lists; what has several columns is split where each has a list of its own.
    ///
    /// # Errors
    /// There are not as many lists as columns; a list is empty, has a category twice, or of another type than the
    /// column; or values have several dimensions.
    pub(super) fn lookups(
        &self,
        graph: &mut GraphBuilder,
        inputs: &[Value],
    ) -> Result<Vec<Lookup>, Fault> {
        let columns: usize = inputs.iter().map(Value::width).sum();
        if inputs.iter().any(|input| input.dtype == Dtype::Bytes) {
            return Err(Fault::input(
                "takes text, numbers or truth values, and is fed with bytes",
            ));
        }
        if inputs.iter().any(|input| input.shape.len() > 1) {
            return Err(Fault::input(
                "takes columns (single values and vectors), and is fed with more dimensions",
            ));
        }
        let lists = match self {
            Self::Shared(list) => {
                return (inputs.iter())
                    .map(|input| lookup(graph, input, list))
                    .collect();
            }
            Self::Each(lists) if lists.len() == columns => lists,
            Self::Each(lists) => {
                let what = format!(
                    "has {} lists, and the input has {columns} columns",
                    lists.len()
                );
                return Err(Fault::key("categories", what)
                    .help("write one list for all columns, or a list of lists with one for each"));
            }
        };
        let mut single = Vec::with_capacity(columns);
        for input in inputs {
            match input.shape.as_slice() {
                [] | [1] => single.push(input.clone()),
                _ => single.extend(graph.split(input)),
            }
        }
        (single.iter().zip(lists))
            .map(|(column, list)| lookup(graph, column, list))
            .collect()
    }
}

/// The column in the type that it is looked up in, and its categories in that type.
fn lookup(graph: &mut GraphBuilder, value: &Value, list: &[Cell]) -> Result<Lookup, Fault> {
    let wrong = |cell: &Cell| {
        let what = format!("has {}, and the column is {}", cell.0, value.dtype);
        let help = match value.dtype {
            Dtype::String => "put it in quotes".to_owned(),
            Dtype::Bool => "write `true` and `false`".to_owned(),
            Dtype::F32 | Dtype::F64 => "write finite numbers".to_owned(),
            dtype => format!("write whole numbers that {dtype} can hold"),
        };
        Fault::key("categories", what).help(help)
    };
    if list.is_empty() {
        return Err(Fault::key("categories", "is empty").help("write one category at least"));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = list
        .iter()
        .find(|cell| !seen.insert(same(cell, value.dtype)))
    {
        let what = format!("has {} twice", twice.0);
        let fault = Fault::key("categories", what);
        return Err(match value.dtype {
            Dtype::F32 => fault.help("numbers closer than f32 can tell apart count as the same"),
            _ => fault,
        });
    }
    let keys = match value.dtype {
        Dtype::String => Keys::Texts(read(list, text, wrong)?),
        Dtype::F32 | Dtype::F64 => Keys::Floats(read(list, float, wrong)?),
        Dtype::Bool => Keys::Whole(read(list, truth, wrong)?),
        dtype => Keys::Whole(read(list, |cell| whole(cell, dtype), wrong)?),
    };
    let value = match keys {
        Keys::Whole(_) => graph.cast(value, Dtype::I64),
        _ => value.clone(),
    };
    Ok(Lookup { value, keys })
}

fn read<T>(
    list: &[Cell],
    part: impl Fn(&Cell) -> Option<T>,
    wrong: impl Fn(&Cell) -> Fault,
) -> Result<Vec<T>, Fault> {
    (list.iter())
        .map(|cell| part(cell).ok_or_else(|| wrong(cell)))
        .collect()
}

/// Equal for what a column of this type cannot tell apart.
fn same(cell: &Cell, dtype: Dtype) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "the column is of f32")]
    match (float(cell), dtype) {
        (Some(number), Dtype::F32) => (number as f32 + 0.0).to_string(),
        (Some(number), Dtype::F64) => (number + 0.0).to_string(),
        _ => cell.0.to_string(),
    }
}

fn text(cell: &Cell) -> Option<String> {
    match &cell.0 {
        Scalar::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn truth(cell: &Cell) -> Option<i64> {
    match &cell.0 {
        Scalar::Bool(value) => Some(i64::from(*value)),
        _ => None,
    }
}

fn float(cell: &Cell) -> Option<f64> {
    match &cell.0 {
        Scalar::Integer(number) => Some(*number as f64),
        Scalar::Float(number) if number.is_finite() => Some(*number),
        _ => None,
    }
}

fn whole(cell: &Cell, dtype: Dtype) -> Option<i64> {
    match &cell.0 {
        Scalar::Integer(number) if holds(dtype, *number as f64) => Some(*number),
        _ => None,
    }
}

impl Lookup {
    /// The place of each value in the list, as `dtype` (`i64` or `f32`); `unknown` where it is not there.
    pub(super) fn index(&self, graph: &mut GraphBuilder, unknown: i64, dtype: Dtype) -> Value {
        let places = 0..signed(self.keys.len());
        let keys = match (&self.keys, self.value.dtype) {
            (Keys::Texts(keys), _) => ("keys_strings", Attr::Texts(keys.clone())),
            (Keys::Whole(keys), _) => ("keys_int64s", Attr::Ints(keys.clone())),
            #[expect(clippy::cast_possible_truncation, reason = "the column is of f32")]
            (Keys::Floats(keys), Dtype::F32) => {
                let keys = keys.iter().map(|key| *key as f32).collect();
                ("keys_floats", Attr::Floats(keys))
            }
            // The lookup operator has no kernel for `f64`.
            (Keys::Floats(keys), _) => {
                let found = self.compare(graph, keys);
                let found = places_of(graph, &found, unknown);
                return graph.cast(&found, dtype);
            }
        };
        let attributes = if dtype == Dtype::I64 {
            vec![
                keys,
                ("values_int64s", Attr::Ints(places.collect())),
                ("default_int64", Attr::Int(unknown)),
            ]
        } else {
            #[expect(clippy::cast_possible_truncation, reason = "lists are short")]
            let float = |place: i64| place as f64 as f32;
            vec![
                keys,
                ("values_floats", Attr::Floats(places.map(float).collect())),
                ("default_float", Attr::Float(float(unknown))),
            ]
        };
        let name = graph.ml_node("LabelEncoder", &[&self.value.name], attributes);
        Value::new(name, dtype, self.value.shape.clone())
    }

    /// For each value, `f32` of 0 and a 1 at its place in the list; all 0 where it is not there.
    pub(super) fn one_hot(&self, graph: &mut GraphBuilder) -> Value {
        let categories = match &self.keys {
            Keys::Texts(keys) => ("cats_strings", Attr::Texts(keys.clone())),
            Keys::Whole(keys) => ("cats_int64s", Attr::Ints(keys.clone())),
            // The one-hot operator cuts floats off to whole numbers.
            Keys::Floats(keys) => {
                let found = self.compare(graph, keys);
                return graph.cast(&found, Dtype::F32);
            }
        };
        one_hot(graph, &self.value, categories, self.keys.len())
    }

    /// As [`one_hot`](Lookup::one_hot), with one element more, which is 1 where the value is not in the list.
    pub(super) fn one_hot_or_other(&self, graph: &mut GraphBuilder) -> Value {
        let other = signed(self.keys.len());
        let index = self.index(graph, other, Dtype::I64);
        let places = Attr::Ints((0..=other).collect());
        one_hot(graph, &index, ("cats_int64s", places), self.keys.len() + 1)
    }

    /// Whether each value is each of the keys, along a new last dimension.
    fn compare(&self, graph: &mut GraphBuilder, keys: &[f64]) -> Value {
        let constant = graph.numbers(self.value.dtype, &[keys.len()], keys);
        let spread = graph.unsqueeze(&self.value);
        let name = graph.node("Equal", &[&spread.name, &constant], Vec::new());
        let shape = [self.value.shape.as_slice(), &[keys.len()]].concat();
        Value::new(name, Dtype::Bool, shape)
    }
}

fn one_hot(
    graph: &mut GraphBuilder,
    value: &Value,
    categories: (&str, Attr),
    count: usize,
) -> Value {
    let attributes = vec![categories, ("zeros", Attr::Int(1))];
    let name = graph.ml_node("OneHotEncoder", &[&value.name], attributes);
    let shape = [value.shape.as_slice(), &[count]].concat();
    Value::new(name, Dtype::F32, shape)
}

/// Where the last dimension is true, of which at most one element is; `unknown` where none is.
fn places_of(graph: &mut GraphBuilder, found: &Value, unknown: i64) -> Value {
    let count = found.shape.last().copied().unwrap_or_default();
    let offsets: Vec<i64> = (0..signed(count)).map(|place| place - unknown).collect();
    let offsets = graph.ints(&offsets);
    let zero = graph.number(Dtype::I64, 0.0);
    let name = graph.node("Where", &[&found.name, &offsets, &zero], Vec::new());
    let places = Value::new(name, Dtype::I64, found.shape.clone());
    let sum = graph.reduce("ReduceSum", &places, &[found.shape.len() - 1], false);
    let unknown = graph.ints(&[unknown]);
    graph.with_constant("Add", &sum, &unknown)
}

/// One element of the outer list.
enum Item {
    One(Cell),
    List(Vec<Cell>),
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a category, or a list of categories")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Item, E> {
        Ok(Item::One(Cell(Scalar::Bool(value))))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Item, E> {
        Ok(Item::One(Cell(Scalar::Integer(value))))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Item, E> {
        let cell = i64::try_from(value).map_or(Scalar::Float(value as f64), Scalar::Integer);
        Ok(Item::One(Cell(cell)))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Item, E> {
        Ok(Item::One(Cell(Scalar::Float(value))))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Item, E> {
        Ok(Item::One(Cell(Scalar::String(value.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Item, A::Error> {
        let mut cells = Vec::new();
        while let Some(cell) = access.next_element()? {
            cells.push(cell);
        }
        Ok(Item::List(cells))
    }
}

impl<'de> Deserialize<'de> for Categories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut shared, mut each) = (Vec::new(), Vec::new());
        for item in Vec::<Item>::deserialize(deserializer)? {
            match item {
                Item::One(cell) => shared.push(cell),
                Item::List(list) => each.push(list),
            }
        }
        match (shared.is_empty(), each.is_empty()) {
            (_, true) => Ok(Self::Shared(shared)),
            (true, false) => Ok(Self::Each(each)),
            (false, false) => Err(de::Error::custom(
                "categories and lists of categories stand side by side\nwrite one list, or a list of lists with one for each column",
            )),
        }
    }
}

impl JsonSchema for Categories {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Categories".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let cell = generator.subschema_for::<Cell>();
        let list = schemars::json_schema!({ "type": "array", "items": cell, "minItems": 1 });
        let lists = schemars::json_schema!({ "type": "array", "items": list, "minItems": 1 });
        schemars::json_schema!({ "anyOf": [list, lists] })
    }
}
