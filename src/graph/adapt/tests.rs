use super::*;
use crate::graph::{GraphBuilder, Value};

/// `out = Identity(x)`, with a graph within that takes `x` from outside.
fn model(shape: &[usize]) -> Model {
    let mut builder = GraphBuilder::new(18);
    let x = builder.input("x", Dtype::F32, shape);
    let name = builder.node("Identity", &[&x.name], vec![]);
    let mut model = builder.finish(&[("out".to_owned(), Value::new(name, x.dtype, x.shape))]);
    let inner = Graph {
        node: vec![Node {
            op_type: "Neg".to_owned(),
            input: vec!["x".to_owned()],
            output: vec!["minus".to_owned()],
            ..Node::default()
        }],
        ..Graph::default()
    };
    let branch = Attribute {
        name: "then_branch".to_owned(),
        g: Some(Box::new(inner)),
        ..Attribute::default()
    };
    let graph = model.graph.as_mut().expect("a graph");
    graph.node.push(Node {
        op_type: "If".to_owned(),
        attribute: vec![branch],
        ..Node::default()
    });
    model
}

fn sizes(value: &ValueInfo) -> Vec<Option<i64>> {
    let tensor = tensor_of(value).expect("a tensor");
    let shape = tensor.shape.as_ref().expect("a shape");
    let size = |value: &Option<Size>| match value {
        Some(Size::Value(size)) => Some(*size),
        _ => None,
    };
    shape.dim.iter().map(|dim| size(&dim.value)).collect()
}

fn perm(node: &Node) -> &[i64] {
    assert_eq!(node.op_type, "Transpose");
    &node.attribute[0].ints
}

/// numpy's `transpose` of a shape.
fn turned(shape: &[usize], perm: &[i64]) -> Vec<usize> {
    let at = |axis: &i64| shape[usize::try_from(*axis).expect("an axis")];
    perm.iter().map(at).collect()
}

#[test]
fn an_input_is_turned_on_its_way_in() {
    let mut model = model(&[5, 6]);
    batch_first(&mut model, "x", 2).expect("it has three dimensions");
    let graph = model.graph.expect("a graph");
    // Declared as [rows, 5, 6], so that 6 is taken for the batch.
    assert_eq!(sizes(&graph.input[0]), [Some(6), None, Some(5)]);
    assert_eq!(graph.input[0].name, "x");
    let [turn, same, .., within] = graph.node.as_slice() else {
        panic!("the nodes that were there, and one more");
    };
    assert_eq!(turned(&[6, 4, 5], perm(turn)), [4, 5, 6]);
    assert_eq!((turn.input[0].as_str(), &turn.output), ("x", &same.input));
    let inner = within.attribute[0].g.as_ref().expect("a graph within");
    assert_eq!(inner.node[0].input, turn.output);
}

#[test]
fn an_output_is_turned_on_its_way_out() {
    let mut model = model(&[5, 6]);
    batch_first(&mut model, "out", 1).expect("it has three dimensions");
    let graph = model.graph.expect("a graph");
    assert_eq!(sizes(&graph.output[0]), [Some(5), None, Some(6)]);
    let turn = graph.node.last().expect("a node");
    assert_eq!(turned(&[4, 5, 6], perm(turn)), [5, 4, 6]);
    assert_eq!(turn.output, ["out"]);
    assert!(graph.node.iter().any(|node| node.output == turn.input));
}

#[test]
fn a_constant_takes_the_place_of_an_input() {
    let mut model = model(&[2]);
    let graph = model.graph.as_mut().expect("a graph");
    let Some(Kind::Tensor(tensor)) =
        (graph.input[0].r#type.as_mut()).and_then(|of| of.value.as_mut())
    else {
        panic!("a tensor");
    };
    tensor.shape.as_mut().expect("a shape").dim[0].value = Some(Size::Value(3));
    let mut one = model.clone();
    fix_input(&mut one, "x", &[Scalar::Float(0.5)]).expect("one for all");
    let graph = one.graph.expect("a graph");
    assert!(graph.input.is_empty());
    assert_eq!(
        (
            graph.initializer[0].name.as_str(),
            &*graph.initializer[0].dims
        ),
        ("x", &[3, 2][..])
    );
    let raw = graph.initializer[0].raw_data.clone().expect("numbers");
    assert_eq!(&raw[..], [0.5f32.to_le_bytes(); 6].concat());
    let count = fix_input(&mut model, "x", &[Scalar::Integer(1), Scalar::Integer(2)]);
    assert_eq!(
        count.expect_err("too few").to_string(),
        "the input `x` has 6 elements, and 2 values are given"
    );
}

#[test]
fn what_cannot_be_is_said() {
    let mut model = model(&[2]);
    let said = [
        fix_input(&mut model, "y", &[Scalar::Integer(1)]),
        fix_input(&mut model, "x", &[Scalar::Integer(1)]),
        batch_first(&mut model, "y", 1),
        batch_first(&mut model, "out", 2),
    ];
    let said: Vec<String> = (said.into_iter())
        .map(|error| error.expect_err("wrong").to_string())
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    the model has no input `y`; it has `x`
    the input `x` leaves its shape open, and cannot be given a value
    the model has no input or output `y`; it has `x`, `out`
    `out` has 2 dimensions, and none of the number 2 (they count from 0)
    ");
}
