//! `TreeEnsemble`, and whether what differs from ONNX Runtime is found.

use std::sync::Arc;

use super::{
    super::{finish::Transform, meaning::Meaning, tried::tried},
    Random, int, ints, model, ours, theirs,
};
use crate::graph::proto::{Attribute, Node, Tensor};

fn tensor(name: &str, tensor: Tensor) -> Attribute {
    Attribute {
        name: name.to_owned(),
        r#type: Some(4),
        t: Some(Box::new(tensor)),
        ..Attribute::default()
    }
}

fn floats(name: &str, values: &[f32]) -> Attribute {
    let dims = vec![i64::try_from(values.len()).expect("a size")];
    let made = Tensor {
        dims,
        data_type: 1,
        float_data: values.to_vec(),
        ..Tensor::default()
    };
    tensor(name, made)
}

#[derive(Default)]
struct Tables {
    features: Vec<i64>,
    splits: Vec<f32>,
    modes: Vec<u8>,
    missing: Vec<i64>,
    yes: Vec<(i64, i64)>,
    no: Vec<(i64, i64)>,
    weights: Vec<f32>,
    targets: Vec<i64>,
}

impl Tables {
    /// A branch or a leaf: its number, and whether it is a leaf.
    fn grow(
        &mut self,
        random: &mut Random,
        depth: usize,
        first: bool,
        targets: usize,
    ) -> (i64, i64) {
        if depth == 0 || (!first && random.one_in(5)) {
            self.weights.push(random.number());
            let target = i64::try_from(random.below(targets)).expect("a target");
            self.targets.push(target);
            return (i64::try_from(self.weights.len()).expect("a size") - 1, 1);
        }
        let at = self.splits.len();
        self.features
            .push(i64::try_from(random.below(5)).expect("a column"));
        self.splits.push((random.number() * 4.0).round() / 2.0);
        self.modes
            .push(u8::try_from(random.below(6)).expect("a mode"));
        self.missing.push(i64::from(random.one_in(3)));
        self.yes.push((0, 0));
        self.no.push((0, 0));
        self.yes[at] = self.grow(random, depth - 1, false, targets);
        self.no[at] = self.grow(random, depth - 1, false, targets);
        (i64::try_from(at).expect("a size"), 0)
    }

    fn node(random: &mut Random, targets: usize) -> Node {
        let mut made = Self::default();
        let roots: Vec<i64> = (0..=random.below(20))
            .map(|_| made.grow(random, 6, true, targets).0)
            .collect();
        let modes = Tensor {
            dims: vec![i64::try_from(made.modes.len()).expect("a size")],
            data_type: 2,
            raw_data: Some(made.modes.into()),
            ..Tensor::default()
        };
        let places = |of: &[(i64, i64)]| of.iter().map(|it| it.0).collect::<Vec<_>>();
        let leaves = |of: &[(i64, i64)]| of.iter().map(|it| it.1).collect::<Vec<_>>();
        Node {
            op_type: "TreeEnsemble".to_owned(),
            domain: "ai.onnx.ml".to_owned(),
            attribute: vec![
                int("n_targets", i64::try_from(targets).expect("a size")),
                int(
                    "aggregate_function",
                    i64::try_from(random.below(4)).expect("one"),
                ),
                int("post_transform", 0),
                ints("tree_roots", roots),
                ints("nodes_featureids", made.features),
                floats("nodes_splits", &made.splits),
                tensor("nodes_modes", modes),
                ints("nodes_missing_value_tracks_true", made.missing),
                ints("nodes_truenodeids", places(&made.yes)),
                ints("nodes_trueleafs", leaves(&made.yes)),
                ints("nodes_falsenodeids", places(&made.no)),
                ints("nodes_falseleafs", leaves(&made.no)),
                floats("leaf_weights", &made.weights),
                ints("leaf_targetids", made.targets),
            ],
            ..Node::default()
        }
    }
}

#[test]
fn trees_in_tables_give_the_bits_of_onnx_runtime() {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    for seed in 0..60 {
        let mut random = Random(seed);
        let targets = 1 + random.below(3);
        let node = Tables::node(&mut random, targets);
        let x: Vec<f32> = (0..5 * 40)
            .map(|_| match random.below(12) {
                0 => f32::NAN,
                1 => f32::NEG_INFINITY,
                _ => (random.number() * 4.0).round() / 2.0,
            })
            .collect();
        let ours = ours(&node, &x, 5, 40).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert_eq!(ours, theirs(&node, 5, &x, 5, 40), "seed {seed}");
    }
}

#[test]
fn what_differs_from_onnx_runtime_is_found() {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    let node = Tables::node(&mut Random(7), 3);
    let meaning = Arc::new(Meaning::of(&node).expect("trees"));
    assert_eq!(tried(&node, &model(5), &meaning), Ok(()));
    let mut other = Meaning::of(&node).expect("trees");
    other.finish.base = vec![0.0, 0.5, 0.0];
    let said = tried(&node, &model(5), &Arc::new(other)).expect_err("another base");
    assert!(said.starts_with("it gives "), "{said}");
    let mut other = Meaning::of(&node).expect("trees");
    other.finish.transform = Transform::Logistic;
    assert!(tried(&node, &model(5), &Arc::new(other)).is_err());
    // What ONNX Runtime refuses is refused.
    let mut broken = node;
    broken.attribute.push(int("no_such_thing", 1));
    let said = tried(&broken, &model(5), &meaning).expect_err("an attribute that there is not");
    assert!(said.starts_with("ONNX Runtime refuses them"), "{said}");
}
