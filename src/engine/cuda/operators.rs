//! The page about the operators that run on a GPU, made from the table that lowering uses.

use super::lower::table::{COVERED, Covered};

/// `docs/cuda-operators.md`.
pub fn reference() -> String {
    let mut page = String::from(
        "# Operators on the GPU\n\nMade by `make schema` from the table that the CUDA engine works with. A model with any \
         other operator, type or shape runs on the CPU as a whole; `forebay check` names the node and what was missing. \
         What counts is the graph after ONNX Runtime has optimised it: constants are folded, and shapes are known. \
         A model with an `If` is not given to its optimiser, even where the condition would be known.\n",
    );
    let mut domain = None;
    let mut rows: Vec<&Covered> = COVERED.iter().collect();
    rows.sort_by_key(|covered| (covered.domain, covered.name));
    for covered in rows {
        if domain != Some(covered.domain) {
            let name = match covered.domain {
                "" => "ai.onnx",
                other => other,
            };
            page += &format!(
                "\n## {name}\n\n| operator | from operator set | types | left out |\n|---|--:|---|---|\n"
            );
            domain = Some(covered.domain);
        }
        let Covered {
            name,
            since,
            types,
            limits,
            ..
        } = covered;
        page += &format!("| `{name}` | {since} | {types} | {limits} |\n");
    }
    page
}
