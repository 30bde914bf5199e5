//! `one_hot`: a column for each category.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, categories::Categories};
use crate::graph::{GraphBuilder, Value, params::words};

words! {
    /// What becomes of a value that is no category.
    Unknown {
        /// All zeros.
        Zeros = "zeros",
        /// A column of its own, behind the others.
        Last = "last",
    }
}

/// Makes a column for each category, 1 where the value is that category and 0 elsewhere, as `f32`; those of several
/// columns side by side. scikit-learn's `OneHotEncoder` has the lists as `categories_`, and its `handle_unknown="ignore"`
/// is `unknown: zeros`; for its `drop="first"`, leave the first category of each list out. A value that must not be unknown
/// is refused by the field's `values`. Example: `{ categories: [NY, TX] }` makes TX into [0, 1], and WA into [0, 0].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OneHot {
    /// Texts, numbers, or `true` and `false`: one list for all columns, or a list of lists with one for each.
    pub categories: Categories,
    /// What becomes of other values: `zeros`, or `last`, a last column that is 1 for them (one for each input column).
    /// `zeros` where left out.
    pub unknown: Option<Unknown>,
}

impl TensorStep for OneHot {
    fn takes_list(&self) -> bool {
        true
    }

    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let lookups = self.categories.lookups(graph, inputs)?;
        let parts: Vec<Value> = (lookups.iter())
            .map(|lookup| match self.unknown {
                Some(Unknown::Last) => lookup.one_hot_or_other(graph),
                None | Some(Unknown::Zeros) => lookup.one_hot(graph),
            })
            .collect();
        // Columns of one vector are flattened together.
        let together = parts
            .iter()
            .all(|part| matches!(part.shape.as_slice(), [1, _]));
        let parts = if together {
            parts
        } else {
            parts.iter().map(|part| graph.flatten(part)).collect()
        };
        let all =
            (graph.concat(&parts)).ok_or_else(|| Fault::input("nothing is fed: this is a bug"))?;
        Ok(Output::only(graph.flatten(&all)))
    }
}
