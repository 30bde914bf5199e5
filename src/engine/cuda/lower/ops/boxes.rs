//! Boxes of a detector that say the same.
//!
//! `NonMaxSuppression` gives a list whose length is known when it has run, and a plan has fixed shapes. What is covered is what a
//! model makes rows of again: the scores at the places of the list (`GatherND`), put among `-inf` (`ScatterND`). Both
//! are what the kernel gives, so that the list need not be.

use super::{
    Lowered, Missing,
    call::{Call, size},
    emit::Emitter,
    gather,
    value::{Home, LISTS, Value},
};
use crate::{engine::cuda::launch::boxes::Nms, graph::tensor::Element};

fn list() -> Missing {
    Missing::new(LISTS)
}

/// The first element of a known input.
fn number(call: &Call<'_>, at: usize) -> Result<Option<f64>, Missing> {
    let Some(value) = call.optional(at)? else {
        return Ok(None);
    };
    let known = value.floats().and_then(|held| held.first().copied());
    known
        .map(Some)
        .ok_or_else(|| Missing::new("thresholds that the model computes"))
}

/// `NonMaxSuppression`.
pub(in super::super) fn nms(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    let (boxes, scores) = (call.input(0)?, call.input(1)?);
    let &[rows, classes, count] = scores.dims.as_slice() else {
        return Err(Missing::new("scores without classes"));
    };
    if boxes.dims != [rows, count, 4] || boxes.element != Element::Float32 {
        return Err(Missing::new("boxes other than the scores'"));
    }
    let most = call.known_ints(2, "a number of boxes")?;
    let most = most.and_then(|held| held.first().copied()).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "they were f32")]
    let (iou, score) = (
        number(call, 3)?.unwrap_or(0.0) as f32,
        number(call, 4)?.map(|score| score as f32),
    );
    let (kept, left) = (
        emitter.make(Element::Float32, &scores.dims),
        emitter.make(Element::Float32, &scores.dims),
    );
    let launch = Nms {
        boxes: emitter.dense_spot(boxes)?,
        scores: emitter.dense_spot(scores)?,
        to: emitter.view(&kept)?.0,
        left: emitter.view(&left)?.0,
        rows,
        classes,
        count,
        most: size(most.max(0))?.min(count),
        center: call.flag("center_point_box", false),
        iou,
        score,
    };
    emitter.push(launch.launch(), kept.len())?;
    Ok(vec![Value {
        home: Home::Boxes {
            kept: Box::new(kept),
            scores: Box::new(scores.clone()),
        },
        // As many as there are: nobody may ask.
        ..Value::of_ints(&[], vec![0, 3])
    }])
}

/// `GatherND`.
pub(in super::super) fn gather_nd(emitter: &mut Emitter, call: &Call<'_>) -> Lowered {
    match call.given(1).map(|index| (&index.home, index)) {
        Some((Home::Boxes { scores, .. }, index)) => {
            let same = call.given(0).is_some_and(|x| x.is_same(scores));
            (same && call.int("batch_dims", 0) == 0)
                .then(|| vec![index.clone()])
                .ok_or_else(list)
        }
        _ => gather::nd(emitter, call),
    }
}

/// `ScatterND`, of the scores of a list of boxes.
pub(in super::super) fn scatter_nd(_: &mut Emitter, call: &Call<'_>) -> Lowered {
    let lists = (1..3).filter_map(|at| match &call.given(at)?.home {
        Home::Boxes { kept, .. } => Some(kept),
        _ => None,
    });
    let lists: Vec<_> = lists.collect();
    let &[places, scores] = lists.as_slice() else {
        return Err(Missing::new("way to put values to computed places"));
    };
    let among = call.input(0)?;
    let nothing = among
        .floats()
        .is_some_and(|held| held.iter().all(|value| *value == f64::NEG_INFINITY));
    let plain = call.text("reduction", "none") == "none";
    let fits = places.is_same(scores) && among.dims == places.dims;
    (nothing && plain && fits)
        .then(|| vec![(**places).clone()])
        .ok_or_else(list)
}
