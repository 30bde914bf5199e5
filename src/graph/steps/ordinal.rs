//! `ordinal`: a number for each category.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, categories::Categories};
use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value, params::words},
};

words! {
    /// The type of the numbers.
    Numbers {
        /// 64-bit whole numbers.
        I64 = "i64",
        /// 32-bit floats.
        F32 = "f32",
    }
}

/// Makes each category into its place in the list, from 0. scikit-learn's `OrdinalEncoder` has the lists as `categories_`,
/// with `handle_unknown="use_encoded_value"` and `unknown_value=-1`. Several columns give a vector.
/// Example: `{ categories: [low, mid, high] }` makes high into 2, and other words into -1.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ordinal {
    /// Texts, numbers, or `true` and `false`: one list for all columns, or a list of lists with one for each.
    pub categories: Categories,
    /// What becomes of other values; -1 where left out.
    pub unknown: Option<i64>,
    /// The type of the result: `i64` or `f32`; `i64` where left out.
    pub dtype: Option<Numbers>,
}

impl TensorStep for Ordinal {
    fn takes_list(&self) -> bool {
        true
    }

    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        /// Greater whole numbers are no `f32`.
        const FLOAT_MAX: u64 = 1 << 24;
        let unknown = self.unknown.unwrap_or(-1);
        let dtype = match self.dtype {
            Some(Numbers::F32) => Dtype::F32,
            None | Some(Numbers::I64) => Dtype::I64,
        };
        if dtype == Dtype::F32 && unknown.unsigned_abs() > FLOAT_MAX {
            return Err(Fault::key(
                "unknown",
                format!("is {unknown}, which is no f32"),
            ));
        }
        let lookups = self.categories.lookups(graph, inputs)?;
        let parts: Vec<Value> = (lookups.iter())
            .map(|lookup| lookup.index(graph, unknown, dtype))
            .collect();
        let all = graph.concat(&parts);
        all.map(Output::only)
            .ok_or_else(|| Fault::input("nothing is fed: this is a bug"))
    }
}
