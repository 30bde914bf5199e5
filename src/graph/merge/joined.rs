//! What models bring into a graph besides their nodes: sets of operators, functions, the format's version.

use std::collections::{HashMap, HashSet};

use super::{ml, rename::FunctionKey};
use crate::graph::{
    GraphError,
    build::{GraphBuilder, IR_VERSION, ML_DOMAIN, ML_OPSET},
    proto::{Function, Graph, Model, Opset},
    read::{standard_name, version},
    walk,
};

/// What the models of a graph brought.
#[derive(Debug, Clone)]
pub(in crate::graph) struct Joined {
    pub(in crate::graph) ir_version: i64,
    /// The set of [`ML_DOMAIN`].
    pub(in crate::graph) ml: i64,
    /// Sets of domains besides the standard one and [`ML_DOMAIN`].
    pub(in crate::graph) opsets: Vec<Opset>,
    pub(in crate::graph) functions: Vec<Function>,
}

impl Default for Joined {
    fn default() -> Self {
        Self {
            ir_version: IR_VERSION,
            ml: ML_OPSET,
            opsets: Vec::new(),
            functions: Vec::new(),
        }
    }
}

/// The functions that a model adds, and new names of those whose name another has.
pub(in crate::graph) struct Functions {
    pub(in crate::graph) new: Vec<Function>,
    pub(in crate::graph) renamed: HashMap<FunctionKey, String>,
}

impl Joined {
    /// Ready for this model.
    pub(in crate::graph) fn with(model: &Model) -> Self {
        Self {
            ml: version(model, ML_DOMAIN).unwrap_or_default().max(ML_OPSET),
            ..Self::default()
        }
    }
}

impl GraphBuilder {
    /// Unites the model's sets of operators with the graph's.
    pub(in crate::graph) fn join(
        &mut self,
        model: &Model,
        graph: &mut Graph,
    ) -> Result<(), GraphError> {
        if let Some(opset) = version(model, "").or(model.opset_import.is_empty().then_some(1))
            && opset != self.opset()
        {
            return Err(GraphError::new(format!(
                "it is written in operator set {opset}, and the graph in {}",
                self.opset()
            ))
            .help(
                "export the models of a graph with the same `target_opset` (or `opset_version`)",
            ));
        }
        self.join_ml(model, graph)?;
        for import in &model.opset_import {
            let domain = standard_name(&import.domain);
            if domain.is_empty() || domain == ML_DOMAIN {
                continue;
            }
            let known = (self.joined.opsets.iter_mut()).find(|known| known.domain == domain);
            match known {
                None => self.joined.opsets.push(import.clone()),
                // The runtime's own operators have only ever been added to.
                Some(known) if domain.starts_with("com.microsoft") => {
                    known.version = known.version.max(import.version);
                }
                Some(known) if known.version == import.version => {}
                Some(known) => {
                    return Err(GraphError::new(format!(
                        "it is written in set {} of the operators `{domain}`, and the graph in {}",
                        import.version, known.version
                    ))
                    .help(
                        "export the models of a graph with the same version of these operators",
                    ));
                }
            }
        }
        self.joined.ir_version = self.joined.ir_version.max(model.ir_version);
        Ok(())
    }

    /// [`ML_DOMAIN`] only ever grew, but for `LabelEncoder` in 2 and the trees in 5.
    fn join_ml(&mut self, model: &Model, graph: &mut Graph) -> Result<(), GraphError> {
        let Some(own) = version(model, ML_DOMAIN) else {
            return Ok(());
        };
        let target = own.max(self.joined.ml);
        ml::raise(graph, own, target)?;
        if self.ml {
            ml::raise(&mut self.graph, self.joined.ml, target)?;
        }
        self.joined.ml = target;
        self.ml = true;
        Ok(())
    }

    /// Adds functions, with new names where others have theirs.
    pub(in crate::graph) fn join_functions(&self, functions: Vec<Function>) -> Functions {
        let known: HashMap<FunctionKey, &Function> = (self.joined.functions.iter())
            .map(|function| (key(function), function))
            .collect();
        // What calls others means something else once those have new names, and is not compared for that.
        let own: HashSet<FunctionKey> = functions.iter().map(key).collect();
        let calls = |function: &Function| {
            walk::any_node(&function.node, &|node| {
                let domain = standard_name(&node.domain).to_owned();
                own.contains(&(domain, node.op_type.clone(), node.overload.clone()))
            })
        };
        let mut renamed: HashMap<FunctionKey, String> = HashMap::new();
        let mut new = Vec::new();
        for mut function in functions {
            let key = key(&function);
            let standard = key.0.is_empty() || key.0 == ML_DOMAIN || key.0 == "com.microsoft";
            match known.get(&key) {
                Some(same) if **same == function && !calls(&function) => continue,
                // A function goes before an operator of the same name, and other parts mean the operator.
                None if !standard => {}
                _ => {
                    let mut number = 2;
                    let taken = |name: &str| {
                        let wish = (key.0.clone(), name.to_owned(), key.2.clone());
                        known.contains_key(&wish)
                            || own.contains(&wish)
                            || renamed.values().any(|other| other == name)
                    };
                    while taken(&format!("{}_{number}", function.name)) {
                        number += 1;
                    }
                    function.name = format!("{}_{number}", function.name);
                    renamed.insert(key, function.name.clone());
                }
            }
            new.push(function);
        }
        Functions { new, renamed }
    }
}

fn key(function: &Function) -> FunctionKey {
    let domain = standard_name(&function.domain).to_owned();
    (domain, function.name.clone(), function.overload.clone())
}
