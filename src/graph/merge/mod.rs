//! Puts a model into a graph under construction.
//!
//! - `rename` gives its insides new names
//! - `joined` unites sets of operators and functions, `ml` those of `ai.onnx.ml`

mod joined;
mod ml;
#[cfg(test)]
mod properties;
mod rename;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use self::rename::Renamer;
pub(super) use self::{joined::Joined, rename::made};
use super::{
    GraphError,
    build::{GraphBuilder, OPSET_MIN, Value, element_type},
    opset,
    proto::{Graph, Kind, Model, Node, Size, TensorType, ValueInfo},
    walk,
};
use crate::contract::Dtype;

impl GraphBuilder {
    /// An empty graph that this model can be put into: its operators are those of the model.
    ///
    /// # Errors
    /// The model's operators are older than steps can be written in ([`super::raise()`] helps).
    pub fn around(model: &Model) -> Result<Self, GraphError> {
        let opset = opset(model);
        if opset < OPSET_MIN {
            return Err(GraphError::new(format!(
                "the model is written in operator set {opset}, and steps need {OPSET_MIN} or newer"
            ))
            .help("export it anew with `target_opset` (or `opset_version`) 13 or higher"));
        }
        let mut builder = Self::new(opset);
        builder.joined = Joined::with(model);
        Ok(builder)
    }

    /// The set of [`super::build::ML_DOMAIN`] that nodes must be valid in: 2, or what the model imports where
    /// that is higher.
    ///
    /// What changed: `LabelEncoder` has its lists as `keys_*` and `values_*` since 2 (also as tensors since 4; the
    /// lists stay valid); `TreeEnsembleClassifier` and `TreeEnsembleRegressor` are there until 4, `TreeEnsemble`
    /// since 5. All other operators are the same in 1 to 5.
    pub fn ml_version(&self) -> i64 {
        self.joined.ml
    }

    /// Puts a model into the graph: what is inside gets the prefix `PREFIX/`, the model's input becomes the value
    /// that feeds it, and the model's outputs are then values named `PREFIX/OUTPUT`. Inputs with a value of their
    /// own in the file need no feed. Weights in files of their own stay there, at paths relative to the model's folder.
    ///
    /// After an error the graph is of no more use.
    ///
    /// # Errors
    /// An input is not fed, or with what it cannot take; there is a name `PREFIX/OUTPUT` already; the model's sets
    /// of operators do not fit those of the graph.
    pub fn insert(
        &mut self,
        model: Model,
        prefix: &str,
        feeds: &[(String, Value)],
    ) -> Result<(), GraphError> {
        self.insert_all(model, prefix, feeds)
            .map_err(|error| GraphError {
                what: format!("model `{prefix}`: {}", error.what),
                ..error
            })
    }

    fn insert_all(
        &mut self,
        mut model: Model,
        prefix: &str,
        feeds: &[(String, Value)],
    ) -> Result<(), GraphError> {
        let mut graph = (model.graph.take()).ok_or_else(|| GraphError::new("it has no graph"))?;
        let functions = std::mem::take(&mut model.functions);
        self.join(&model, &mut graph)?;
        let fed = self.take_inputs(&mut graph, feeds)?;
        let functions = self.join_functions(functions);
        let mut renamer = Renamer {
            builder: self,
            prefix,
            scopes: vec![fed.clone()],
            functions: functions.renamed,
        };
        let through = reserve_outputs(&mut renamer, &graph, &fed)?;
        declare_outputs(&mut graph, &fed);
        renamer.graph(&mut graph);
        let mut functions = functions.new;
        for function in &mut functions {
            walk::nodes(&mut function.node, &mut |node| renamer.call(node));
        }
        self.joined.functions.append(&mut functions);
        let ours = &mut self.graph;
        ours.node.append(&mut graph.node);
        ours.node.extend(through);
        ours.initializer.append(&mut graph.initializer);
        ours.sparse_initializer
            .append(&mut graph.sparse_initializer);
        ours.value_info.append(&mut graph.value_info);
        ours.quantization_annotation
            .append(&mut graph.quantization_annotation);
        Ok(())
    }

    /// Takes the inputs out of the model's graph, and gives the names of what feeds them.
    fn take_inputs(
        &self,
        graph: &mut Graph,
        feeds: &[(String, Value)],
    ) -> Result<HashMap<String, String>, GraphError> {
        let inputs = std::mem::take(&mut graph.input);
        for (name, _) in feeds {
            if !inputs.iter().any(|input| input.name == *name) {
                let names: Vec<_> = inputs.iter().map(|input| input.name.as_str()).collect();
                return Err(GraphError::new(format!("it has no input `{name}` to feed"))
                    .help(format!("its inputs: {}", names.join(", "))));
            }
        }
        let constants: HashSet<String> = constants(graph).into_iter().collect();
        let mut fed = HashMap::new();
        for input in inputs {
            match feeds.iter().find(|(name, _)| *name == input.name) {
                Some((_, value)) => {
                    self.check(&input, value)?;
                    fed.insert(input.name, value.name.clone());
                }
                None if constants.contains(&input.name) => {}
                None => {
                    return Err(GraphError::new(format!(
                        "nothing feeds its input `{}`",
                        input.name
                    )));
                }
            }
        }
        // What the file gives for an input counts only where nothing feeds it.
        (graph.initializer).retain(|constant| !fed.contains_key(&constant.name));
        (graph.sparse_initializer).retain(|constant| {
            let values = constant.values.as_ref();
            !values.is_some_and(|values| fed.contains_key(&values.name))
        });
        (graph.value_info).retain(|value| !fed.contains_key(&value.name));
        Ok(fed)
    }

    /// Whether an input takes this value.
    fn check(&self, input: &ValueInfo, value: &Value) -> Result<(), GraphError> {
        let wrong = |what: String| {
            let name = &input.name;
            Err(GraphError::new(format!("its input `{name}` {what}")))
        };
        let Some(Kind::Tensor(TensorType { elem_type, shape })) =
            (input.r#type.as_ref()).and_then(|declared| declared.value.as_ref())
        else {
            return wrong("is no tensor".to_owned());
        };
        if *elem_type != element_type(value.dtype) {
            let of = Dtype::ALL.into_iter();
            let of = of.filter(|dtype| element_type(*dtype) == *elem_type);
            let takes = (of.map(Dtype::name).next()).map_or_else(
                || format!("elements of ONNX type {elem_type}"),
                str::to_owned,
            );
            return wrong(format!("takes {takes}, and is fed with {}", value.dtype));
        }
        let Some(shape) = shape else { return Ok(()) };
        let Some((first, rest)) = shape.dim.split_first() else {
            return wrong("takes a single value, whatever the number of rows".to_owned());
        };
        let fixed = |size: Option<&Size>| match size {
            Some(Size::Value(size)) => usize::try_from(*size).ok(),
            _ => None,
        };
        if let Some(rows) = fixed(first.value.as_ref())
            && self.rows != Some(rows)
        {
            let ours = (self.rows).map_or_else(|| "any number".to_owned(), |own| own.to_string());
            return wrong(format!(
                "takes {rows} rows at once, and the graph is built for {ours}"
            ));
        }
        let sizes: Vec<Option<usize>> = rest.iter().map(|dim| fixed(dim.value.as_ref())).collect();
        let fits = sizes.len() == value.shape.len()
            && (sizes.iter().zip(&value.shape)).all(|(size, own)| size.is_none_or(|it| it == *own));
        if fits {
            return Ok(());
        }
        let sizes: Vec<String> = sizes
            .into_iter()
            .map(|size| size.map_or_else(|| "?".to_owned(), |size| size.to_string()))
            .collect();
        wrong(format!(
            "takes rows of shape [{}], and is fed with rows of shape {:?}",
            sizes.join(", "),
            value.shape
        ))
    }
}

/// The names of a graph's constants.
fn constants(graph: &Graph) -> Vec<String> {
    let sparse = (graph.sparse_initializer.iter()).filter_map(|it| it.values.as_ref());
    (graph.initializer.iter().chain(sparse))
        .map(|tensor| tensor.name.clone())
        .collect()
}

/// Sees to it that outputs get their names before anything else can, and gives nodes for outputs that are inputs
/// handed through.
fn reserve_outputs(
    renamer: &mut Renamer<'_>,
    graph: &Graph,
    fed: &HashMap<String, String>,
) -> Result<Vec<Node>, GraphError> {
    let made: HashSet<String> = made(graph).into_iter().collect();
    let mut through = Vec::new();
    let mut seen = HashSet::new();
    for ValueInfo { name, .. } in &graph.output {
        let wish = renamer.wish(name);
        if !seen.insert(name) {
            return Err(GraphError::new(format!("it has two outputs `{name}`")));
        }
        if !renamer.builder.taken.insert(wish.clone()) {
            return Err(GraphError::new(format!(
                "there is a value `{wish}` already, so its output `{name}` cannot have this name"
            ))
            .help("give one of the two steps another name"));
        }
        if let Some(from) = fed.get(name) {
            through.push(Node {
                input: vec![from.clone()],
                name: renamer.builder.fresh(&format!("{wish}/through")),
                output: vec![wish],
                op_type: "Identity".to_owned(),
                ..Node::default()
            });
        } else if made.contains(name) {
            renamer.keep(name, wish);
        } else {
            return Err(GraphError::new(format!(
                "no node makes its output `{name}`"
            )));
        }
    }
    Ok(through)
}

/// Outputs become values like others: their types stay known, but not their shapes, which files often have wrong.
fn declare_outputs(graph: &mut Graph, fed: &HashMap<String, String>) {
    let known: HashSet<String> = (graph.value_info.iter())
        .map(|value| value.name.clone())
        .collect();
    for mut output in std::mem::take(&mut graph.output) {
        if known.contains(&output.name) || fed.contains_key(&output.name) {
            continue;
        }
        if let Some(Kind::Tensor(tensor)) =
            (output.r#type.as_mut()).and_then(|declared| declared.value.as_mut())
        {
            tensor.shape = None;
        }
        graph.value_info.push(output);
    }
}
