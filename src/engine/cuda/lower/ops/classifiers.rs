//! Scores become labels and probabilities, as ONNX Runtime has it.

use std::sync::Arc;

use super::{
    Lowered, Missing,
    call::Call,
    elementwise::converted,
    emit::Emitter,
    fuse::{Expression, class_of},
    gemm, reduce, softmax,
    trees::{base_values, emit},
    value::Value,
    views,
};
use crate::{
    engine::cuda::launch::{
        gather::{self, Spots},
        pointwise::{Arg, Op},
        trees::class_scores,
        type_number,
    },
    graph::{tensor::Element, trees::Ensemble},
};

/// What a classifier calls its classes.
enum Labels {
    Numbers(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    fn of(call: &Call<'_>, numbers: &str, texts: &str) -> Self {
        match call.texts(texts).filter(|held| !held.is_empty()) {
            Some(texts) => Self::Texts(texts),
            None => Self::Numbers(call.ints(numbers).unwrap_or_default().to_vec()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// The labels of classes by their place.
    fn look_up(&self, emitter: &mut Emitter, places: &Value) -> Result<Value, Missing> {
        match self {
            Self::Texts(texts) => Ok(Value {
                labels: Some(Arc::new(texts.clone())),
                ..places.clone()
            }),
            Self::Numbers(numbers)
                if (0..)
                    .zip(numbers)
                    .all(|(at, number): (i64, _)| at == *number) =>
            {
                Ok(places.clone())
            }
            Self::Numbers(numbers) => {
                let table = Value::of_ints(numbers, vec![numbers.len()]);
                let made = emitter.make(Element::Int64, &places.dims);
                let spots = Spots {
                    from: emitter.dense_spot(&table)?,
                    index: emitter.dense_spot(places)?,
                    to: emitter.view(&made)?.0,
                    bytes: 8,
                    index_type: type_number(Element::Int64).unwrap_or(0),
                };
                let launch = gather::gather(spots, [1, numbers.len(), places.len(), 1]);
                emitter.push(launch, places.len())?;
                Ok(made)
            }
        }
    }
}

/// `post_transform` on `[rows, classes]`.
pub(super) fn transformed(
    emitter: &mut Emitter,
    scores: &Value,
    transform: &str,
) -> Result<Value, Missing> {
    let (rows, classes) = (scores.dim(0), scores.dim(1));
    let op = match transform {
        "NONE" => return Ok(scores.clone()),
        "SOFTMAX" => return softmax::over(emitter, scores, [rows, classes, 1], false),
        "SOFTMAX_ZERO" => {
            let element = type_number(scores.element).ok_or_else(|| Missing::new("type"))?;
            let from = emitter.dense_spot(scores)?;
            let made = emitter.make(scores.element, &scores.dims);
            let (to, _) = emitter.view(&made)?;
            let launch = class_scores(from, to, [rows, classes], 3, element);
            emitter.push(launch, made.len())?;
            return Ok(made);
        }
        "LOGISTIC" => Op::Sigmoid,
        "PROBIT" => Op::Probit,
        other => return Err(Missing::new(format!("transform {other}"))),
    };
    gemm::activated(emitter, scores, (op, [0.0; 2]))
}

/// The scores of two classes from that of the second: `1 - s` or `-s` beside `s`, or the logistic function of both.
fn both_classes(
    emitter: &mut Emitter,
    score: &Value,
    transform: &str,
    one_minus: bool,
) -> Result<Value, Missing> {
    if transform == "PROBIT" {
        return Err(Missing::new("probit of one score for two classes"));
    }
    let rows = score.dim(0);
    let made = emitter.make(score.element, &[rows, 2]);
    let mut program = Expression::new(class_of([&score.element]));
    let mut second = program.input(score);
    let mut first = if one_minus && transform != "LOGISTIC" {
        let one = program.constant(1.0);
        program.op(Op::Sub, &[one, second])
    } else {
        program.op(Op::Neg, &[second])
    };
    if transform == "LOGISTIC" {
        (first, second) = (
            program.op(Op::Sigmoid, &[first]),
            program.op(Op::Sigmoid, &[second]),
        );
    }
    let targets = [
        (first, views::cut(emitter, &made, 1, 0, 1)?),
        (second, views::cut(emitter, &made, 1, 1, 1)?),
    ];
    emitter.express_into(program, &[rows, 1], &targets)?;
    Ok(made)
}

/// 1 where the score is above the threshold, else 0: a place among two classes for each row.
fn above(emitter: &mut Emitter, score: &Value, threshold: f64) -> Result<Value, Missing> {
    let mut program = Expression::new(class_of([&score.element]));
    let args: [Arg; 2] = [program.input(score), program.constant(threshold)];
    let result = program.op(Op::Gt, &args);
    let made = emitter.express_one(program, result, Element::Int64)?;
    let rows = [score.dim(0)];
    made.reshaped(&rows)
        .ok_or_else(|| Missing::new("shape like this"))
}

/// The place of the largest score of each row.
fn largest(emitter: &mut Emitter, scores: &Value) -> Result<Value, Missing> {
    let places = reduce::arg_over(emitter, scores, 1, [false, false])?;
    let rows = [scores.dim(0)];
    places
        .reshaped(&rows)
        .ok_or_else(|| Missing::new("shape like this"))
}

/// `LinearClassifier`.
pub(in super::super) fn linear(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = rows_of(emitter, call.input(0)?)?;
    let labels = Labels::of(call, "classlabels_ints", "classlabels_strings");
    let coefficients = call.floats("coefficients").unwrap_or_default();
    let intercepts = call.floats("intercepts").unwrap_or_default();
    let transform = call.text("post_transform", "NONE");
    let targets = intercepts.len();
    if targets == 0 {
        return Err(Missing::new("linear classifiers without intercepts"));
    }
    let scores = gemm::linear(emitter, &x, coefficients, intercepts, targets)?;
    if targets == 1 {
        if labels.len() != 2 {
            return Err(Missing::new(
                "linear classifiers with one score for other than two classes",
            ));
        }
        let place = above(emitter, &scores, 0.0)?;
        let made = both_classes(emitter, &scores, &transform, true)?;
        return Ok(vec![labels.look_up(emitter, &place)?, made]);
    }
    if labels.len() != targets {
        return Err(Missing::new(
            "linear classifiers without a label for each class",
        ));
    }
    let place = largest(emitter, &scores)?;
    let label = labels.look_up(emitter, &place)?;
    Ok(vec![label, transformed(emitter, &scores, &transform)?])
}

/// `LinearRegressor`.
pub(in super::super) fn regressor(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = rows_of(emitter, call.input(0)?)?;
    let targets = super::call::size(call.int("targets", 1))?;
    let coefficients = call.floats("coefficients").unwrap_or_default();
    let intercepts = call.floats("intercepts").unwrap_or_default();
    let scores = gemm::linear(emitter, &x, coefficients, intercepts, targets)?;
    Ok(vec![transformed(
        emitter,
        &scores,
        &call.text("post_transform", "NONE"),
    )?])
}

/// A matrix of rows; a vector is one row.
fn rows_of(emitter: &mut Emitter, x: &Value) -> Result<Value, Missing> {
    match x.rank() {
        1 => views::reshaped(emitter, x, &[1, x.dim(0)]),
        2 => Ok(x.clone()),
        _ => Err(Missing::new("linear models on other than rows of numbers")),
    }
}

/// `TreeEnsembleClassifier`.
pub(in super::super) fn trees(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let x = call.input(0)?;
    let labels = Labels::of(call, "classlabels_int64s", "classlabels_strings");
    let transform = call.text("post_transform", "NONE");
    let classes = labels.len();
    let ensemble = Ensemble::of(call.node, "class").map_err(Missing::new)?;
    let base = base_values(call)?;
    let depends = || Missing::new("trees that give a class no weight at all for some rows");
    let (place, scores) = match classes {
        2 => {
            let has = [0, 1].map(|class| ensemble.scores(class));
            let [Some(first), Some(second)] = has else {
                return Err(depends());
            };
            let (place, scores) = two(emitter, x, &ensemble, &base, &transform, [first, second])?;
            if first && second {
                // ONNX Runtime then gives the numbers 0 and 1, whatever the labels are.
                let raw = Labels::Numbers(vec![0, 1]);
                let label = match &labels {
                    Labels::Texts(_) => labels.look_up(emitter, &place)?,
                    Labels::Numbers(_) => raw.look_up(emitter, &place)?,
                };
                return Ok(vec![label, converted(emitter, &scores, Element::Float32)?]);
            }
            (place, scores)
        }
        0 | 1 => return Err(Missing::new("trees with fewer than two classes")),
        _ => {
            let base = match base.len() {
                0 => None,
                count if count == classes => Some(base.as_slice()),
                _ => return Err(Missing::new("base values for some of the classes")),
            };
            if base.is_none() && (0..classes).any(|class| ensemble.scores(class) != Some(true)) {
                return Err(depends());
            }
            let scores = emit(&ensemble, emitter, x, classes, 0, base)?;
            let place = largest(emitter, &scores)?;
            (place, transformed(emitter, &scores, &transform)?)
        }
    };
    let label = labels.look_up(emitter, &place)?;
    Ok(vec![label, converted(emitter, &scores, Element::Float32)?])
}

/// Trees for two classes, of which the weights are for the first, the second or both.
fn two(
    emitter: &mut Emitter,
    x: &Value,
    ensemble: &Ensemble,
    base: &[f64],
    transform: &str,
    has: [bool; 2],
) -> Result<(Value, Value), Missing> {
    let threshold = if ensemble.all_positive() { 0.5 } else { 0.0 };
    match (has, base) {
        ([true, false], [] | [_]) => {
            // One score, and the other is made of it.
            let score = emit(
                ensemble,
                emitter,
                x,
                1,
                0,
                (!base.is_empty()).then_some(base),
            )?;
            let place = above(emitter, &score, threshold)?;
            let scores = both_classes(emitter, &score, transform, ensemble.all_positive())?;
            Ok((place, scores))
        }
        ([true, true], [] | [_]) | ([false, true], []) => {
            let base = base.first().map(|first| [*first, 0.0]);
            let scores = emit(
                ensemble,
                emitter,
                x,
                2,
                0,
                base.as_ref().map(|base| &base[..]),
            )?;
            let second = views::cut(emitter, &scores, 1, 1, 1)?;
            let threshold = if has[0] { 0.0 } else { threshold };
            let place = above(emitter, &second, threshold)?;
            Ok((place, transformed(emitter, &scores, transform)?))
        }
        _ => Err(Missing::new(format!(
            "trees for two classes with {} base values and weights for {} of the classes",
            base.len(),
            has.iter().filter(|has| **has).count()
        ))),
    }
}
