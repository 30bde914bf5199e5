//! Attributes that became inputs.

use super::{Raised, Raiser, int, made, seen::Seen, take};
use crate::{
    contract::Dtype,
    graph::{
        build::{ints_tensor, numbers_tensor},
        proto::Node,
    },
};

/// The number of `f32` in files.
const FLOAT: i32 = 1;

/// Gives a node the form of set 13.
///
/// # Errors
/// What of it has no new form.
pub(super) fn raise(
    raiser: &mut Raiser,
    node: &mut Node,
    seen: &Seen,
    raised: &mut Raised,
) -> Result<(), String> {
    match node.op_type.as_str() {
        "Squeeze" | "Unsqueeze" | "ReduceSum" => list(raiser, node, "axes", 1, raised),
        "Split" => list(raiser, node, "split", 1, raised),
        "Slice" => {
            list(raiser, node, "starts", 1, raised);
            list(raiser, node, "ends", 2, raised);
            list(raiser, node, "axes", 3, raised);
        }
        "Pad" => {
            list(raiser, node, "pads", 1, raised);
            let value = take(node, "value").and_then(|value| value.f);
            if let Some(value) = value.filter(|value| *value != 0.0) {
                number(raiser, node, "value", (2, value), seen, raised);
            }
        }
        "Clip" => {
            for (name, place) in [("min", 1), ("max", 2)] {
                if let Some(value) = take(node, name).and_then(|value| value.f) {
                    number(raiser, node, name, (place, value), seen, raised);
                }
            }
        }
        "TopK" => {
            if let Some(k) = take(node, "k").and_then(|k| k.i) {
                let name = raiser.constant(node, "k", ints_tensor(&[1], &[k]), raised);
                set_input(node, 1, name);
            }
        }
        "Dropout" => dropout(raiser, node)?,
        _ => {}
    }
    Ok(())
}

/// A list of whole numbers becomes the input at `place`.
fn list(raiser: &mut Raiser, node: &mut Node, name: &str, place: usize, raised: &mut Raised) {
    // A list without elements says as much as none.
    if let Some(attribute) = take(node, name).filter(|attribute| !attribute.ints.is_empty()) {
        let name = raiser.ints(node, name, &attribute.ints, raised);
        set_input(node, place, name);
    }
}

/// A number becomes the input at `place`, in the type of the first input.
fn number(
    raiser: &mut Raiser,
    node: &mut Node,
    name: &str,
    (place, value): (usize, f32),
    seen: &Seen,
    raised: &mut Raised,
) {
    let input = node.input.first().map(String::as_str).unwrap_or_default();
    let mut name = raiser.constant(
        node,
        name,
        numbers_tensor(Dtype::F32, &[], &[f64::from(value)]),
        raised,
    );
    // Where the type cannot be told it is most likely this one; the runtime refuses the model if it is not.
    let dtype = seen.dtype(input).unwrap_or(FLOAT);
    if dtype != FLOAT {
        let cast = raiser.fresh(node, "cast");
        let mut to = made("Cast", &[&name], &cast);
        to.attribute.push(int("to", i64::from(dtype)));
        raised.nodes.push(to);
        name = cast;
    }
    set_input(node, place, name);
}

/// Its share is of no use outside training, and its mask is of another type since set 10.
fn dropout(raiser: &Raiser, node: &mut Node) -> Result<(), String> {
    take(node, "ratio");
    if raiser.from >= 12 {
        return Ok(());
    }
    match node.output.get(1) {
        Some(mask) if raiser.used.contains(mask) => {
            Err("gives a mask that is used outside training".to_owned())
        }
        _ => {
            node.output.truncate(1);
            Ok(())
        }
    }
}

/// Sets the input at `place`; what is left out before it is empty.
pub(super) fn set_input(node: &mut Node, place: usize, name: String) {
    if node.input.len() <= place {
        node.input.resize(place + 1, String::new());
    }
    if let Some(input) = node.input.get_mut(place) {
        *input = name;
    }
}
