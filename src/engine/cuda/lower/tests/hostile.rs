//! Nodes that make no sense: refused, without a panic.

use proptest::prelude::*;

use super::{Made, floats, int, ints, text};
use crate::{
    engine::cuda::{
        convolution::Order,
        lower::{Products, table::COVERED},
        plan::Place,
        product::Math,
    },
    graph::proto::Attribute,
};

const NAMES: &[&str] = &[
    "axis",
    "axes",
    "keepdims",
    "perm",
    "kernel_shape",
    "strides",
    "pads",
    "dilations",
    "group",
    "split",
    "to",
    "k",
    "batch_dims",
    "blocksize",
    "shape",
    "allowzero",
    "starts",
    "ends",
    "steps",
    "num_heads",
    "hidden_size",
    "num_groups",
    "transA",
    "transB",
    "transBatchA",
    "transBatchB",
    "output_shape",
    "output_padding",
    "scales",
    "alpha",
    "n_targets",
    "targets",
    "coefficients",
    "intercepts",
    "offset",
    "scale",
    "nodes_nodeids",
    "nodes_treeids",
    "nodes_values",
    "classlabels_ints",
    "classlabels_int64s",
    "keys_int64s",
    "values_int64s",
    "cats_int64s",
    "ceil_mode",
    "sizes",
    "p",
    "q_num_heads",
    "kv_num_heads",
    "start",
    "end",
    "direction",
    "mode",
    "auto_pad",
    "norm",
];

fn attribute() -> impl Strategy<Value = Attribute> {
    let words = [
        "SAME_UPPER",
        "VALID",
        "linear",
        "cubic",
        "edge",
        "reflect",
        "LEFT",
        "reverse",
        "L2",
    ];
    (
        0..NAMES.len(),
        0..4u8,
        -4i64..9,
        proptest::collection::vec(-3i64..6, 0..6),
        0..words.len(),
    )
        .prop_map(move |(name, kind, one, many, word)| {
            let name = NAMES[name];
            match kind {
                0 => int(name, one),
                1 => ints(name, &many),
                2 => floats(
                    name,
                    &many.iter().map(|value| *value as f32).collect::<Vec<_>>(),
                ),
                _ => text(name, words[word]),
            }
        })
}

/// An input: its element type, whether it is known, and its shape.
type Input = (i32, bool, Vec<i64>);

fn input() -> impl Strategy<Value = Input> {
    let element = prop_oneof![6 => Just(1), 2 => Just(7), 1 => Just(11), 1 => Just(9), 1 => Just(6), 1 => Just(10)];
    (
        element,
        any::<bool>(),
        proptest::collection::vec(0i64..5, 0..6),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn whatever_a_node_says_nothing_panics(
        op in 0..COVERED.len(),
        inputs in proptest::collection::vec(input(), 0..6),
        attributes in proptest::collection::vec(attribute(), 0..6),
        outputs in 1usize..4,
        math in prop_oneof![Just(Math::Single), Just(Math::Tf32), Just(Math::Half), Just(Math::Bfloat)],
        library in any::<bool>(),
        cudnn in prop_oneof![Just(None), Just(Some(Order::Planes)), Just(Some(Order::Channels))],
        fused in any::<bool>(),
    ) {
        let op = &COVERED[op];
        let mut graph = Made::default();
        for (at, (element, known, dims)) in inputs.iter().enumerate() {
            let name = format!("x{at}");
            let count: i64 = dims.iter().product();
            graph = match (known, element) {
                (true, 7) => graph.ints(&name, &(0..count.min(5)).collect::<Vec<_>>()),
                (true, 1) => graph.floats(&name, dims),
                _ => graph.input(&name, *element, dims),
            };
        }
        let names = |what: &str, count: usize| {
            (0..count).map(|at| format!("{what}{at}")).collect::<Vec<_>>().join(", ")
        };
        let node = format!("{} = {}:{}({})", names("y", outputs), op.domain, op.name, names("x", inputs.len()));
        let node = node.replace(" = :", " = ");
        let made = graph.node(&node, attributes).output("y0").lower_by(23, Products { math, library, cudnn, fused });
        if let Ok(plan) = made {
            // What is there is long enough for where launches begin.
            for step in &plan.steps {
                for place in step.places() {
                    let (offset, size) = match place {
                        Place::Constant { index, offset } => (offset, plan.constants[index].bytes.len()),
                        Place::Arena(offset) => (offset, plan.arena),
                        Place::Input { index, offset } => (offset, plan.inputs[index].bytes()),
                        Place::Output { index, offset } => (offset, plan.outputs[index].bytes()),
                        Place::Fault => (0, 4),
                    };
                    prop_assert!(offset <= size, "{plan}");
                }
            }
        }
    }
}

#[test]
fn no_operator_is_there_twice() {
    let mut names: Vec<_> = COVERED.iter().map(|op| (op.domain, op.name)).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
