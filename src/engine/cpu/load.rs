//! The model of a step and what feeds it, with the graph's front taken off where it has one.

use super::{
    feed::{Feed, Source, Taken},
    model::Model,
    step::Step,
    trim::takes_tokens,
};
use crate::{
    contract::Dtype,
    engine::{ModelError, ModelSource, StepSpec},
    graph::{
        self,
        front::{Fed, Split},
    },
};

/// Loads the model, and finds what feeds each of its inputs.
///
/// # Errors
/// The model cannot be loaded, or is not fed as it wants.
pub(super) fn load(
    spec: &StepSpec,
    taken: Taken<'_>,
    earlier: &[Step],
) -> Result<(Model, Vec<Feed>), ModelError> {
    match split(spec, taken, earlier) {
        Some(split) => without_front(spec, &split, taken, earlier),
        None => whole(spec, taken, earlier),
    }
}

/// The graph as it is, and what feeds it.
fn whole(
    spec: &StepSpec,
    taken: Taken<'_>,
    earlier: &[Step],
) -> Result<(Model, Vec<Feed>), ModelError> {
    let model = Model::load(&spec.source)?;
    if spec.inputs.len() != model.inputs.len() {
        return Err(model.error(&format!(
            "it has {} inputs, and {} are fed",
            model.inputs.len(),
            spec.inputs.len()
        )));
    }
    let feeds = (model.inputs.iter().zip(&spec.inputs))
        .map(|(input, feed)| {
            Feed::new(feed, input, taken, earlier)
                .map_err(|why| model.error(&format!("input `{}` {why}", input.name)))
        })
        .collect::<Result<_, _>>()?;
    Ok((model, feeds))
}

/// The rest of a graph whose front was taken off, and what feeds it.
fn without_front(
    spec: &StepSpec,
    split: &Split,
    taken: Taken<'_>,
    earlier: &[Step],
) -> Result<(Model, Vec<Feed>), ModelError> {
    let rest = graph::to_bytes(&split.rest);
    let model = Model::load(&ModelSource::built(&spec.source.path, rest))?;
    let feeds = (model.inputs.iter().zip(&split.inputs))
        .map(|(input, fed)| {
            let feed = match fed {
                Fed::Made(made) => Feed::made(made, &spec.inputs, taken, earlier),
                Fed::Whole(at) => match spec.inputs.get(*at) {
                    Some(spec) => Feed::new(spec, input, taken, earlier),
                    None => Err("is not fed".to_owned()),
                },
            };
            feed.map_err(|why| model.error(&format!("input `{}` {why}", input.name)))
        })
        .collect::<Result<_, _>>()?;
    Ok((model, feeds))
}

/// The graph that was built for a step without its front, where it has one. A model's own file is run as it is.
fn split(spec: &StepSpec, taken: Taken<'_>, earlier: &[Step]) -> Option<Split> {
    let graph = graph::parse(spec.source.graph.clone()?).ok()?;
    let known = graph.graph.as_ref().map(|graph| graph.input.len());
    if known != Some(spec.inputs.len()) {
        return None;
    }
    // Columns become the input's type before anything is done with them; here they go straight into what is fed.
    graph::front::split(graph, &|input, dtype| {
        let columns = spec.inputs.get(input).map(|spec| spec.columns.as_slice());
        let columns = columns.unwrap_or_default();
        // What is cut to the longest row of a batch goes in as it is.
        !takes_tokens(columns, taken.fields)
            && columns.iter().all(|column| {
                let from = Source::of(*column, taken, earlier).ok();
                from.and_then(|(_, from)| from).is_some_and(|from| {
                    matches!(
                        (from, dtype),
                        (Dtype::I32 | Dtype::U8 | Dtype::Bool, Dtype::I64)
                            | (Dtype::U8 | Dtype::Bool, Dtype::I32)
                            | (Dtype::Bool, Dtype::U8)
                            | (
                                Dtype::F64 | Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::Bool,
                                Dtype::F32
                            )
                    ) || from == dtype
                })
            })
    })
}
