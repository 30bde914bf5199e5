//! What an operator with trees means, where forebay walks them itself.

use super::{
    finish::{Aggregate, Classes, Finish, Transform},
    forest::{Forest, single},
};
use crate::graph::{
    proto::Node,
    trees::{self, Ensemble},
};

/// Targets or classes that a row's scores have memory for.
const MOST: usize = 4096;

/// Trees and what is done with the weights that a row meets.
#[derive(Debug)]
pub(super) struct Meaning {
    pub(super) forest: Forest,
    pub(super) finish: Finish,
    /// Results of a row.
    pub(super) targets: usize,
}

/// Whether the operator has trees.
pub(super) fn has_trees(node: &Node) -> bool {
    node.domain == crate::graph::build::ML_DOMAIN
        && matches!(
            node.op_type.as_str(),
            "TreeEnsembleRegressor" | "TreeEnsembleClassifier" | "TreeEnsemble"
        )
}

fn aggregate(name: &str) -> Result<Aggregate, String> {
    Ok(match name {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        "MIN" => Aggregate::Min,
        "MAX" => Aggregate::Max,
        other => return Err(format!("their aggregate is {other}")),
    })
}

fn transform(name: &str) -> Result<Transform, String> {
    Ok(match name {
        "NONE" => Transform::None,
        "SOFTMAX" => Transform::Softmax,
        "SOFTMAX_ZERO" => Transform::SoftmaxZero,
        "LOGISTIC" => Transform::Logistic,
        other => return Err(format!("their transform is {other}")),
    })
}

fn base(node: &Node, counts: &[usize]) -> Result<Vec<f32>, String> {
    let base = trees::base_values(node)?;
    if base.is_empty() || counts.contains(&base.len()) {
        Ok(base.into_iter().map(single).collect())
    } else {
        Err(format!("they have {} base values", base.len()))
    }
}

impl Meaning {
    /// Of a node that has trees.
    ///
    /// # Errors
    /// They are not walked here; why, in words.
    pub(super) fn of(node: &Node) -> Result<Self, String> {
        match node.op_type.as_str() {
            "TreeEnsembleClassifier" => Self::classifier(node),
            "TreeEnsembleRegressor" => {
                let ensemble = Ensemble::of(node, "target")?;
                let names = (
                    node.text("aggregate_function", "SUM"),
                    node.text("post_transform", "NONE"),
                );
                Self::regressor(node, &ensemble, (&names.0, &names.1))
            }
            _ => {
                let ensemble = Ensemble::of_tables(node)?;
                let names = (
                    trees::aggregate_of_tables(node)?,
                    trees::transform_of_tables(node)?,
                );
                Self::regressor(node, &ensemble, names)
            }
        }
    }

    fn regressor(
        node: &Node,
        ensemble: &Ensemble,
        (how, transformed): (&str, &str),
    ) -> Result<Self, String> {
        let targets = usize::try_from(node.int("n_targets", 0)).unwrap_or(0);
        if targets == 0 || targets > MOST {
            return Err(format!("they have {targets} targets"));
        }
        let finish = Finish {
            aggregate: aggregate(how)?,
            transform: transform(transformed)?,
            base: base(node, &[targets])?,
            classes: None,
            trees: ensemble.roots.len(),
        };
        Ok(Self {
            forest: Forest::of(ensemble, targets)?,
            finish,
            targets,
        })
    }

    fn classifier(node: &Node) -> Result<Self, String> {
        let texts = (node.attribute("classlabels_strings")).map_or(0, |held| held.strings.len());
        let labels: Vec<i64> = if texts == 0 {
            node.ints("classlabels_int64s").unwrap_or_default().to_vec()
        } else {
            // Places; what stands behind this node makes texts of them.
            (0..).take(texts).collect()
        };
        let targets = labels.len();
        if !(2..=MOST).contains(&targets) {
            return Err(format!("they know {targets} classes"));
        }
        let ensemble = Ensemble::of(node, "class")?;
        let one_sided = if targets == 2 {
            let [first, second] = [0, 1].map(|class| ensemble.scores(class));
            let (Some(first), Some(second)) = (first, second) else {
                return Err("some rows get a weight for a class, and some none".to_owned());
            };
            !(first && second)
        } else {
            false
        };
        let counts: &[usize] = if targets == 2 { &[1, 2] } else { &[targets] };
        let finish = Finish {
            aggregate: Aggregate::Sum,
            transform: transform(&node.text("post_transform", "NONE"))?,
            base: base(node, counts)?,
            classes: Some(Classes {
                labels,
                one_sided,
                positive: ensemble.all_positive(),
            }),
            trees: ensemble.roots.len(),
        };
        Ok(Self {
            forest: Forest::of(&ensemble, targets)?,
            finish,
            targets,
        })
    }
}
