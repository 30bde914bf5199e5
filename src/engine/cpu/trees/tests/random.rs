//! Random forests of every kind.

use super::{Random, floats, int, ints, ours, string, strings, theirs};
use crate::graph::{
    proto::{Attribute, Node},
    trees::COMPARISONS,
};

/// What a forest is like.
#[derive(Debug, Clone)]
struct Kind {
    classifier: bool,
    /// Targets or classes.
    targets: usize,
    trees: usize,
    depth: usize,
    /// How full the trees are: a branch is left out one time in so many.
    gaps: usize,
    columns: usize,
    modes: Vec<&'static str>,
    /// Nodes that a missing number passes, one in so many; 0 for none.
    missing: usize,
    aggregate: &'static str,
    transform: &'static str,
    base: usize,
    texts: bool,
    positive: bool,
    /// The classes or targets that a leaf weighs: all of them, or these.
    weighs: Vec<usize>,
}

#[derive(Default)]
struct Nodes {
    tree: Vec<i64>,
    id: Vec<i64>,
    feature: Vec<i64>,
    value: Vec<f32>,
    mode: Vec<&'static str>,
    yes: Vec<i64>,
    no: Vec<i64>,
    missing: Vec<i64>,
    leaf_tree: Vec<i64>,
    leaf_id: Vec<i64>,
    leaf_target: Vec<i64>,
    leaf_weight: Vec<f32>,
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).expect("a size")
}

impl Nodes {
    /// A tree of nodes, parents first; gives the number of its root.
    fn grow(
        &mut self,
        random: &mut Random,
        kind: &Kind,
        tree: usize,
        depth: usize,
        next: &mut i64,
    ) -> i64 {
        let (own, at) = (*next, self.id.len());
        *next += 1;
        let leaf = depth == 0 || (kind.gaps > 0 && random.one_in(kind.gaps));
        self.tree.push(signed(tree));
        self.id.push(own);
        self.feature.push(if leaf {
            0
        } else {
            signed(random.below(kind.columns))
        });
        // Some thresholds are whole, so that rows meet them.
        let value = match random.below(4) {
            0 => (random.number() * 4.0).round(),
            1 if random.one_in(8) => f32::INFINITY,
            _ => random.number() * 2.0,
        };
        self.value.push(if leaf { 0.0 } else { value });
        let mode = kind.modes[random.below(kind.modes.len())];
        self.mode.push(if leaf { "LEAF" } else { mode });
        let missing = !leaf && kind.missing > 0 && random.one_in(kind.missing);
        self.missing.push(missing.into());
        self.yes.push(0);
        self.no.push(0);
        if leaf {
            self.weigh(random, kind, signed(tree), own);
        } else {
            self.yes[at] = self.grow(random, kind, tree, depth - 1, next);
            self.no[at] = self.grow(random, kind, tree, depth - 1, next);
        }
        own
    }

    fn weigh(&mut self, random: &mut Random, kind: &Kind, tree: i64, id: i64) {
        let all: Vec<usize> = if kind.weighs.is_empty() {
            (0..kind.targets).collect()
        } else if kind.weighs.len() > 1 && kind.targets > 2 {
            vec![kind.weighs[random.below(kind.weighs.len())]]
        } else {
            kind.weighs.clone()
        };
        for target in all {
            let weight = random.number();
            self.leaf_tree.push(tree);
            self.leaf_id.push(id);
            self.leaf_target.push(signed(target));
            self.leaf_weight
                .push(if kind.positive { weight.abs() } else { weight });
        }
    }

    fn into_node(self, random: &mut Random, kind: &Kind) -> Node {
        let of = if kind.classifier { "class" } else { "target" };
        let named = |what: &str| format!("{of}_{what}");
        let mut attribute: Vec<Attribute> = vec![
            ints("nodes_treeids", self.tree),
            ints("nodes_nodeids", self.id),
            ints("nodes_featureids", self.feature),
            floats("nodes_values", self.value),
            strings("nodes_modes", self.mode),
            ints("nodes_truenodeids", self.yes),
            ints("nodes_falsenodeids", self.no),
            ints(&named("treeids"), self.leaf_tree),
            ints(&named("nodeids"), self.leaf_id),
            ints(&named("ids"), self.leaf_target),
            floats(&named("weights"), self.leaf_weight),
            string("post_transform", kind.transform),
        ];
        if kind.missing > 0 {
            attribute.push(ints("nodes_missing_value_tracks_true", self.missing));
        }
        if kind.base > 0 {
            let base: Vec<f32> = (0..kind.base).map(|_| random.number()).collect();
            attribute.push(floats("base_values", base));
        }
        if !kind.classifier {
            attribute.push(int("n_targets", signed(kind.targets)));
            attribute.push(string("aggregate_function", kind.aggregate));
        } else if kind.texts {
            let texts: Vec<String> = (0..kind.targets).map(|at| format!("class {at}")).collect();
            let texts = texts.iter().map(String::as_str);
            attribute.push(strings("classlabels_strings", texts));
        } else {
            let labels = (0..kind.targets).map(|at| signed(at) * 3 - 2);
            attribute.push(ints("classlabels_int64s", labels));
        }
        Node {
            op_type: if kind.classifier {
                "TreeEnsembleClassifier"
            } else {
                "TreeEnsembleRegressor"
            }
            .to_owned(),
            domain: "ai.onnx.ml".to_owned(),
            attribute,
            ..Node::default()
        }
    }
}

fn kind(random: &mut Random) -> Kind {
    let classifier = random.one_in(2);
    let targets = if classifier {
        2 + random.below(4)
    } else {
        1 + random.below(3)
    };
    let modes = match random.below(8) {
        at @ 0..=5 => vec![COMPARISONS[at]],
        6 => vec!["BRANCH_LEQ", "BRANCH_EQ"],
        _ => COMPARISONS.to_vec(),
    };
    let pick = |random: &mut Random, of: &[&'static str]| of[random.below(of.len())];
    let weighs = match (classifier, targets) {
        (true, 2) => [vec![], vec![0], vec![1]][random.below(3)].clone(),
        (_, 1) => vec![],
        _ => [vec![], (0..targets).collect()][random.below(2)].clone(),
    };
    let bases: &[usize] = match (classifier, targets) {
        (true, 2) => &[0, 1, 2],
        _ => &[0, targets],
    };
    let base = bases[random.below(bases.len())];
    Kind {
        classifier,
        targets,
        trees: 1 + random.below(40),
        depth: 1 + random.below(8),
        gaps: [0, 0, 4, 8][random.below(4)],
        columns: 1 + random.below(20),
        modes,
        missing: [0, 0, 1, 2][random.below(4)],
        aggregate: pick(random, &["SUM", "SUM", "AVERAGE", "MIN", "MAX"]),
        transform: pick(random, &["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"]),
        base,
        texts: random.one_in(3),
        positive: random.one_in(2),
        weighs,
    }
}

fn node(random: &mut Random, kind: &Kind) -> Node {
    let mut nodes = Nodes::default();
    for tree in 0..kind.trees {
        nodes.grow(random, kind, tree, kind.depth, &mut 0);
    }
    nodes.into_node(random, kind)
}

fn rows(random: &mut Random, count: usize, columns: usize) -> Vec<f32> {
    (0..count * columns)
        .map(|_| match random.below(20) {
            0 => f32::NAN,
            1 => f32::INFINITY,
            2 => f32::NEG_INFINITY,
            3 => -0.0,
            4..=8 => (random.number() * 4.0).round(),
            _ => random.number() * 2.0,
        })
        .collect()
}

/// Compares forests with ONNX Runtime's, seed by seed.
fn compare(seeds: std::ops::Range<u64>) {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    let (mut left, most) = (0, seeds.end - seeds.start);
    for seed in seeds {
        let mut random = Random(seed);
        let kind = kind(&mut random);
        let node = node(&mut random, &kind);
        let count = [1, 2, 15, 16, 17, 33, 120, 300, 700][random.below(9)];
        let mut x = rows(&mut random, count, kind.columns);
        if random.one_in(2) {
            x.iter_mut()
                .filter(|value| value.is_nan())
                .for_each(|value| *value = 0.5);
        }
        let width = kind.columns;
        for batch in [count, 1 + random.below(count)] {
            match ours(&node, &x, width, batch) {
                Ok(ours) => {
                    let theirs = theirs(&node, 3, &x, width, batch);
                    assert_eq!(
                        ours, theirs,
                        "seed {seed}, {count} rows by {batch}, {kind:?}"
                    );
                }
                // These stay with ONNX Runtime.
                Err(why) if why.starts_with("chains of ==") => left += 1,
                Err(why) => panic!("seed {seed}, {kind:?}: {why}"),
            }
        }
    }
    // Each is tried twice.
    assert!(left < most, "{left} of {most}");
}

/// As many as `FOREBAY_TREES` says, for whoever looks for more.
#[test]
fn random_forests_give_the_bits_of_onnx_runtime() {
    let asked = std::env::var("FOREBAY_TREES").ok();
    let seeds = asked.and_then(|asked| asked.parse().ok()).unwrap_or(240);
    compare(0..seeds);
}

#[test]
fn trees_of_more_than_one_chunk_give_the_bits_of_onnx_runtime() {
    crate::engine::cpu::library::init(None).expect("ONNX Runtime: run `make setup`");
    let mut random = Random(5);
    let kind = Kind {
        classifier: false,
        targets: 1,
        trees: 25,
        depth: 12,
        gaps: 0,
        columns: 5,
        modes: vec!["BRANCH_LEQ"],
        missing: 0,
        aggregate: "SUM",
        transform: "NONE",
        base: 1,
        texts: false,
        positive: false,
        weighs: vec![],
    };
    let node = node(&mut random, &kind);
    let chunks = super::Meaning::of(&node)
        .expect("trees")
        .forest
        .chunks
        .len();
    assert!(chunks > 2, "{chunks}");
    let x = rows(&mut random, 70, kind.columns);
    let ours = ours(&node, &x, kind.columns, 70).expect("results");
    assert_eq!(ours, theirs(&node, 3, &x, kind.columns, 70));
}
