//! Which nodes can be done while columns are put side by side, and what becomes of their values there.

use std::collections::{HashMap, HashSet};

use super::{
    MayMake, WIDTH_MAX,
    part::{Keys, Made, Operator, Part, Table, What},
};
use crate::{
    contract::Dtype,
    graph::{
        build::{ML_DOMAIN, element_type},
        proto::{Attribute, Graph, Kind, Node, Size, Tensor, ValueInfo},
        read::standard_name,
        tensor::{Raw, Values},
    },
};

/// The values that are known so far.
pub(super) struct Front<'a> {
    constants: HashMap<&'a str, &'a Tensor>,
    /// Those of the graph's inputs among them.
    values: HashMap<&'a str, Made>,
}

impl<'a> Front<'a> {
    /// Knows the graph's inputs and constants.
    pub(super) fn new(graph: &'a Graph, may_make: MayMake<'_>) -> Self {
        let inputs = graph.input.iter().enumerate();
        let values: HashMap<&str, Made> = inputs
            .filter_map(|(at, input)| Some((at, input.name.as_str(), whole(at, input)?)))
            .filter(|(at, _, made)| may_make(*at, made.dtype))
            .map(|(_, name, made)| (name, made))
            .collect();
        let fed: HashSet<&str> = graph.input.iter().map(|it| it.name.as_str()).collect();
        let constants = (graph.initializer.iter())
            .filter(|it| !fed.contains(it.name.as_str()))
            .map(|it| (it.name.as_str(), it))
            .collect();
        Self { constants, values }
    }

    /// The value as it can be fed; `None` where the graph must make it.
    pub(super) fn made(&self, name: &str) -> Option<Made> {
        let made = self.values.get(name)?;
        let lookups = |part: &Part| matches!(part.what, What::Lookup { .. });
        let fed = match made.dtype {
            Dtype::F32 => true,
            Dtype::I64 => made.parts.iter().any(lookups),
            _ => false,
        };
        fed.then(|| made.clone())
    }

    /// Whether the node can be done here; its value is known from then on.
    pub(super) fn take(&mut self, node: &'a Node) -> bool {
        let [output] = node.output.as_slice() else {
            return false;
        };
        let made = match standard_name(&node.domain) {
            "" => self.standard(node),
            ML_DOMAIN => self.ml(node),
            _ => None,
        };
        let made = made.filter(|made| made.width() <= WIDTH_MAX);
        made.is_some_and(|made| self.values.insert(output, made).is_none())
    }

    fn standard(&self, node: &Node) -> Option<Made> {
        let first = || self.input(node, 0).cloned();
        match node.op_type.as_str() {
            "Identity" => first(),
            "Cast" => cast(first()?, attribute(node, "to")?.i?),
            "Reshape" => self.reshape(node),
            "Concat" => self.concat(node),
            "Add" => self.arithmetic(node, Operator::Add, Some(Operator::Add)),
            "Sub" => self.arithmetic(node, Operator::Sub, Some(Operator::SubFrom)),
            "Mul" => self.arithmetic(node, Operator::Mul, Some(Operator::Mul)),
            // One over a zero shows its sign, which nobody promises.
            "Div" => self.arithmetic(node, Operator::Div, None),
            "Max" => self.arithmetic(node, Operator::Max, Some(Operator::Max)),
            "Min" => self.arithmetic(node, Operator::Min, Some(Operator::Min)),
            "Clip" => self.clip(node, first()?),
            "IsNaN" => {
                let made = first()?.with(Operator::IsNan, &[0.0])?;
                Some(Made {
                    dtype: Dtype::Bool,
                    ..made
                })
            }
            _ => None,
        }
    }

    fn ml(&self, node: &Node) -> Option<Made> {
        let made = self.input(node, 0)?.clone();
        match node.op_type.as_str() {
            "Imputer" => {
                let missing = attribute(node, "replaced_value_float")?.f?;
                let fills = &attribute(node, "imputed_value_floats")?.floats;
                let each = made.shape.len() == 1 && fills.len() == made.width();
                let fills = (fills.len() == 1 || each).then_some(fills)?;
                made.with(Operator::Fill(missing), fills)
            }
            "LabelEncoder" => made.looked_up(&keys(node, "keys_")?, &label_table(node)?),
            "OneHotEncoder" if attribute(node, "zeros").is_none_or(|it| it.i != Some(0)) => {
                let keys = keys(node, "cats_")?;
                let count = keys.len();
                let mut ones = vec![0.0; count * (count + 1)];
                ones.iter_mut().step_by(count + 1).for_each(|it| *it = 1.0);
                // The last row is that of all others.
                if let Some(last) = ones.get_mut(count * count..) {
                    last.fill(0.0);
                }
                let mut made = made.looked_up(&keys, &Table::F32(ones))?;
                made.shape.push(count);
                Some(made)
            }
            _ => None,
        }
    }

    fn input(&self, node: &Node, at: usize) -> Option<&Made> {
        self.values.get(node.input.get(at)?.as_str())
    }

    /// The elements of a constant, and its shape.
    fn constant(&self, name: &str) -> Option<(Values, Vec<usize>)> {
        let tensor = Raw::of(self.constants.get(name)?).ok()?.decode();
        Some((tensor.values, tensor.shape))
    }

    /// A constant beside a value: one number, or one for each element of a row.
    fn numbers(&self, name: &str, beside: &Made) -> Option<Vec<f32>> {
        let tensor = self.constants.get(name)?;
        if tensor.data_type != element_type(Dtype::F32) {
            return None;
        }
        let (Values::Float(numbers), shape) = self.constant(name)? else {
            return None;
        };
        let one = shape.is_empty() || shape == [1] && !beside.shape.is_empty();
        let each = beside.shape.len() == 1 && shape == beside.shape;
        #[expect(clippy::cast_possible_truncation, reason = "they came from f32")]
        (one || each).then(|| numbers.iter().map(|number| *number as f32).collect())
    }

    /// `operator` of a value and a constant, `turned` of a constant and a value.
    fn arithmetic(
        &self,
        node: &Node,
        operator: Operator,
        turned: Option<Operator>,
    ) -> Option<Made> {
        let [left, right] = node.input.as_slice() else {
            return None;
        };
        let (made, constant, operator) = match self.values.get(left.as_str()) {
            Some(made) => (made, right, operator),
            None => (self.values.get(right.as_str())?, left, turned?),
        };
        let numbers = self.numbers(constant, made)?;
        let bounds = matches!(operator, Operator::Max | Operator::Min);
        if bounds && numbers.iter().any(|bound| bound.is_nan()) {
            return None;
        }
        made.clone().with(operator, &numbers)
    }

    /// A bound that is left out is the least or the greatest number there is, which infinity becomes.
    fn clip(&self, node: &Node, mut made: Made) -> Option<Made> {
        let bounds = [(1, Operator::Max, f32::MIN), (2, Operator::Min, f32::MAX)];
        for (at, operator, none) in bounds {
            let bound = match node.input.get(at).map(String::as_str) {
                None | Some("") => vec![none],
                Some(name) => self.numbers(name, &made)?,
            };
            if bound.iter().any(|bound| bound.is_nan()) {
                return None;
            }
            made = made.with(operator, &bound)?;
        }
        Some(made)
    }

    fn reshape(&self, node: &Node) -> Option<Made> {
        let mut made = self.input(node, 0)?.clone();
        let (Values::Int(dims), _) = self.constant(node.input.get(1)?)? else {
            return None;
        };
        let (rows, rest) = dims.split_first()?;
        let shape: Option<Vec<usize>> = (rest.iter())
            .map(|size| usize::try_from(*size).ok().filter(|size| *size > 0))
            .collect();
        let shape = shape?;
        // 0 keeps the rows, and -1 comes to the same where all else is said.
        let same = shape.iter().product::<usize>() == made.width() && matches!(rows, 0 | -1);
        let plain = attribute(node, "allowzero").is_none_or(|it| it.i != Some(1));
        made.shape = shape;
        (same && plain).then_some(made)
    }

    fn concat(&self, node: &Node) -> Option<Made> {
        let values: Option<Vec<&Made>> = (0..node.input.len())
            .map(|at| self.input(node, at))
            .collect();
        let values = values?;
        let first = values.first()?;
        let axis = usize::try_from(attribute(node, "axis")?.i?).ok()?;
        let at = axis.checked_sub(1)?;
        // Side by side only where nothing but the rows stands before.
        let before = first.shape.get(..at)?.iter().product::<usize>();
        let fits = |other: &&Made| {
            other.dtype == first.dtype
                && other.shape.len() == first.shape.len()
                && at < other.shape.len()
        };
        if before != 1 || !values.iter().all(fits) {
            return None;
        }
        let mut shape = first.shape.clone();
        *shape.get_mut(at)? = values.iter().filter_map(|it| it.shape.get(at)).sum();
        Some(Made {
            dtype: first.dtype,
            shape,
            parts: values.iter().flat_map(|it| it.parts.clone()).collect(),
        })
    }
}

impl Made {
    /// Elements in one row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    fn with(self, operator: Operator, numbers: &[f32]) -> Option<Self> {
        if self.dtype != Dtype::F32 {
            return None;
        }
        let mut start = 0;
        let parts = (self.parts.into_iter())
            .map(|part| {
                let own = match numbers {
                    [_] => numbers,
                    _ => numbers.get(start..start + part.width)?,
                };
                start += part.width;
                part.with(operator, own)
            })
            .collect::<Option<_>>()?;
        Some(Self { parts, ..self })
    }

    fn looked_up(self, keys: &Keys, table: &Table) -> Option<Self> {
        let fits = match keys {
            Keys::Texts(_) => self.dtype == Dtype::String,
            Keys::Whole(_) => self.dtype == Dtype::I64,
        };
        let dtype = match table {
            Table::F32(_) => Dtype::F32,
            Table::I64(_) => Dtype::I64,
        };
        let parts = (self.parts.into_iter())
            .map(|part| part.looked_up(keys, table).filter(|_| fits))
            .collect::<Option<_>>()?;
        Some(Self {
            dtype,
            parts,
            ..self
        })
    }
}

/// An input of the graph, as one part.
fn whole(at: usize, input: &ValueInfo) -> Option<Made> {
    let Kind::Tensor(tensor) = input.r#type.as_ref()?.value.as_ref()? else {
        return None;
    };
    let dtype = (Dtype::ALL.into_iter())
        .filter(|dtype| *dtype != Dtype::Bytes)
        .find(|dtype| element_type(*dtype) == tensor.elem_type)?;
    let (_, sizes) = tensor.shape.as_ref()?.dim.split_first()?;
    let sizes = sizes.iter().map(|dim| match dim.value {
        Some(Size::Value(size)) => usize::try_from(size).ok().filter(|size| *size > 0),
        _ => None,
    });
    let shape: Vec<usize> = sizes.collect::<Option<_>>()?;
    let width: usize = shape.iter().product();
    let parts = vec![Part {
        input: at,
        width,
        what: What::Numbers(Vec::new()),
    }];
    (width <= WIDTH_MAX).then_some(Made {
        dtype,
        shape,
        parts,
    })
}

fn cast(made: Made, to: i64) -> Option<Made> {
    let to = Dtype::ALL
        .into_iter()
        .find(|dtype| i64::from(element_type(*dtype)) == to)?;
    let whole = |dtype| matches!(dtype, Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::Bool);
    let parts = match (made.dtype, to) {
        (from, to) if from == to => made.parts,
        (from, Dtype::F32) if whole(from) => {
            made.parts.into_iter().map(Part::into_floats).collect()
        }
        // As numbers come in; what was made a truth value here is a float.
        (from, Dtype::I64) if whole(from) && made.parts.iter().all(Part::is_raw) => made.parts,
        _ => return None,
    };
    Some(Made {
        dtype: to,
        parts,
        ..made
    })
}

fn attribute<'n>(node: &'n Node, name: &str) -> Option<&'n Attribute> {
    node.attribute.iter().find(|it| it.name == name)
}

/// The keys of a lookup, where each is there once.
fn keys(node: &Node, prefix: &str) -> Option<Keys> {
    let list = |kind: &str| attribute(node, &format!("{prefix}{kind}"));
    let keys = match (list("strings"), list("int64s")) {
        (Some(texts), None) => {
            let texts = texts.strings.iter();
            let texts = texts.map(|text| String::from_utf8(text.to_vec()).ok());
            Keys::Texts(texts.collect::<Option<_>>()?)
        }
        (None, Some(whole)) => Keys::Whole(whole.ints.clone()),
        _ => return None,
    };
    let distinct = match &keys {
        Keys::Texts(keys) => keys.iter().collect::<HashSet<_>>().len(),
        Keys::Whole(keys) => keys.iter().collect::<HashSet<_>>().len(),
    };
    (!keys.is_empty() && distinct == keys.len()).then_some(keys)
}

/// What a `LabelEncoder` gives for each key, and at the end for all others.
fn label_table(node: &Node) -> Option<Table> {
    let whole = attribute(node, "values_int64s").map(|it| it.ints.clone());
    let floats = attribute(node, "values_floats").map(|it| it.floats.clone());
    match (whole, floats) {
        (Some(mut rows), None) => {
            rows.push(attribute(node, "default_int64")?.i?);
            Some(Table::I64(rows))
        }
        (None, Some(mut rows)) => {
            rows.push(attribute(node, "default_float")?.f?);
            Some(Table::F32(rows))
        }
        _ => None,
    }
}
