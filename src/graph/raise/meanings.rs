//! Operators that mean something else in set 13, or are called something else.

use super::{Raised, Raiser, forms::set_input, int, made, seen::Seen, take};
use crate::{
    contract::Dtype,
    graph::{
        build::numbers_tensor,
        proto::{Attribute, Graph, Node},
    },
};

/// Adds the node, or nodes that mean the same in set 13.
///
/// # Errors
/// What of it means nothing in set 13.
pub(super) fn raise(
    raiser: &mut Raiser,
    mut node: Node,
    graph: &Graph,
    seen: &Seen,
    raised: &mut Raised,
) -> Result<(), String> {
    match node.op_type.as_str() {
        "Softmax" | "LogSoftmax" | "Hardmax" => softmax(raiser, node, seen, raised),
        "BatchNormalization" => {
            if take(&mut node, "spatial").is_some_and(|it| it.i == Some(0)) {
                return Err("normalises each element by itself (`spatial` is 0)".to_owned());
            }
            raised.nodes.push(node);
        }
        "Scatter" => {
            "ScatterElements".clone_into(&mut node.op_type);
            raised.nodes.push(node);
        }
        "Scan" if raiser.from < 9 => {
            return Err("goes over batches of sequences".to_owned());
        }
        "Upsample" => {
            "Resize".clone_into(&mut node.op_type);
            if let Some(scales) = take(&mut node, "scales") {
                let wide: Vec<f64> = scales.floats.iter().map(|it| f64::from(*it)).collect();
                let tensor = numbers_tensor(Dtype::F32, &[wide.len()], &wide);
                let name = raiser.constant(&node, "scales", tensor, raised);
                set_input(&mut node, 1, name);
            }
            resize(node, "floor", raised);
        }
        "Resize" if raiser.from < 11 => {
            let rounding = rounding(&node, graph, seen)?;
            resize(node, rounding, raised);
        }
        "Resize" => {
            resize_for_nearest(&mut node)?;
            raised.nodes.push(node);
        }
        _ => raised.nodes.push(node),
    }
    Ok(())
}

/// Until set 12, everything from `axis` on was one vector; since 13 `axis` is the only dimension. Where `axis` is the
/// last dimension that is the same, else the value is made a matrix for it.
fn softmax(raiser: &mut Raiser, mut node: Node, seen: &Seen, raised: &mut Raised) {
    let axis = take(&mut node, "axis").and_then(|axis| axis.i).unwrap_or(1);
    let (Some(input), Some(output)) = (node.input.first().cloned(), node.output.first().cloned())
    else {
        raised.nodes.push(node);
        return;
    };
    let rank = seen.rank(&input);
    let last = axis == -1 || rank.is_some_and(|rank| axis == rank - 1);
    node.attribute.push(int("axis", -1));
    if last {
        raised.nodes.push(node);
        return;
    }
    let shape = raiser.fresh(&node, "shape");
    let matrix = raiser.fresh(&node, "matrix");
    let result = raiser.fresh(&node, "result");
    raised.nodes.push(made("Shape", &[&input], &shape));
    let mut flatten = made("Flatten", &[&input], &matrix);
    flatten.attribute.push(int("axis", axis));
    raised.nodes.push(flatten);
    node.input = vec![matrix];
    node.output = vec![result.clone()];
    raised.nodes.push(node);
    raised
        .nodes
        .push(made("Reshape", &[&result, &shape], &output));
}

/// Until set 10, places were counted from the corner, and rounded in one way.
fn resize(mut node: Node, rounding: &str, raised: &mut Raised) {
    let scales = node.input.get(1).cloned().unwrap_or_default();
    node.input.truncate(1);
    set_input(&mut node, 2, scales);
    node.attribute
        .push(text("coordinate_transformation_mode", "asymmetric"));
    node.attribute.push(text("nearest_mode", rounding));
    raised.nodes.push(node);
}

/// How Resize of set 10 takes the nearest place: the lower one where it enlarges, the upper one where it shrinks.
fn rounding(node: &Node, graph: &Graph, seen: &Seen) -> Result<&'static str, String> {
    let nearest = (node.attribute.iter())
        .find(|it| it.name == "mode")
        .and_then(|it| it.s.as_deref())
        .is_none_or(|mode| mode == b"nearest");
    if !nearest {
        return Ok("floor");
    }
    let name = node.input.get(1).map(String::as_str).unwrap_or_default();
    let scales = (graph.initializer.iter())
        .find(|it| it.name == name)
        .or_else(|| seen.constant(name))
        .map(super::seen::floats)
        .ok_or("takes scales that are computed")?;
    if scales.iter().all(|scale| *scale >= 1.0) {
        Ok("floor")
    } else if scales.iter().all(|scale| *scale <= 1.0) {
        Ok("ceil")
    } else {
        Err("shrinks in one direction and enlarges in another".to_owned())
    }
}

/// One way to count places is gone since set 13; with the rounding that it was made for, another is the same.
fn resize_for_nearest(node: &mut Node) -> Result<(), String> {
    let is = |attribute: &Attribute, name: &str, value: &str| {
        attribute.name == name && attribute.s.as_deref() == Some(value.as_bytes())
    };
    let (key, gone) = ("coordinate_transformation_mode", "tf_half_pixel_for_nn");
    if !node.attribute.iter().any(|it| is(it, key, gone)) {
        return Ok(());
    }
    if !node
        .attribute
        .iter()
        .any(|it| is(it, "nearest_mode", "floor"))
    {
        return Err(format!("counts places by `{gone}` without rounding down"));
    }
    // floor((x + 0.5) / s) is (x + 0.5) / s - 0.5, rounded half up.
    take(node, key);
    take(node, "nearest_mode");
    node.attribute.push(text(key, "half_pixel"));
    node.attribute
        .push(text("nearest_mode", "round_prefer_ceil"));
    Ok(())
}

fn text(name: &str, value: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(3),
        s: Some(value.to_owned().into()),
        ..Attribute::default()
    }
}
