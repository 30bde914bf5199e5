//! One entry of `steps`: a model, or one of the tensor steps, and what feeds it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Named, OneOrMany, ScalarValue};
use crate::{
    graph::steps::{self, TensorStep, each_tensor_step},
    host::{
        HostOptions, audio::AudioOptions, hash::HashOptions, image::ImageOptions,
        text::TextOptions, window::WindowOptions,
    },
};

/// What feeds an input: one name, or several side by side.
pub(in crate::config) type Feed = At<OneOrMany<At<String>>>;

macro_rules! step {
    ($($key:ident: $parameters:ident,)*) => {
        /// One thing that is done with each batch: a `model`, or one of the other keys here, of
        /// which each becomes nodes of the graph that the model is in. Beside it stand what feeds
        /// it and what its result is called.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(in crate::config) struct Step {
            /// Runs a model, by its name under `models`.
            pub(in crate::config) model: Option<At<String>>,
            /// Beside `model`: what this run of it is called, its own name where left out. A model that
            /// runs twice needs it: the outputs of a run are `NAME.output`.
            pub(in crate::config) name: Option<At<String>>,
            /// What feeds each input of a model (or of a step with several inputs): a field, an
            /// output of an earlier step (`output` or `model.output`), or a list of them, which
            /// stand side by side as columns. An input of a model that is left out is fed by the
            /// field or output of its own name.
            pub(in crate::config) inputs: Option<At<Named<Feed>>>,
            /// What feeds a step with one input: a field, an output of an earlier step, or a list
            /// of them, which stand side by side as columns.
            pub(in crate::config) input: Option<Feed>,
            /// What the result of a step is called, for later steps and `encode`; the step's own
            /// key where left out. A step with several results has them as `output.part`.
            pub(in crate::config) output: Option<At<String>>,
            pub(in crate::config) image: Option<At<ImageOptions>>,
            pub(in crate::config) text: Option<At<TextOptions>>,
            pub(in crate::config) window: Option<At<WindowOptions>>,
            pub(in crate::config) audio: Option<At<AudioOptions>>,
            pub(in crate::config) hash: Option<At<HashOptions>>,
            /// Computes one value of each row out of others: `yield * price - cost`. The language is
            /// in `docs/formulas.md`.
            pub(in crate::config) formula: Option<At<String>>,
            /// Runs the step only on the rows for which this formula is true: `score > 0.5`. In the
            /// others its results are null, unless `otherwise` says what they are; what takes them
            /// runs on the same rows.
            pub(in crate::config) when: Option<At<String>>,
            /// With `when`: what the results are in the other rows.
            pub(in crate::config) otherwise: Option<At<ScalarValue>>,
            /// The unit that the result of a `formula` has, or is converted to (UCUM).
            pub(in crate::config) unit: Option<At<String>>,
            $(pub(in crate::config) $key: Option<At<steps::$parameters>>,)*
        }

        impl Step {
            /// The steps on the host that are named, with their keys: one, where all is well.
            pub(in crate::config) fn host_steps(&self) -> Vec<(&'static str, At<HostOptions>)> {
                fn at<T: Clone>(
                    key: &'static str,
                    options: Option<&At<T>>,
                    wrap: fn(T) -> HostOptions,
                ) -> Option<(&'static str, At<HostOptions>)> {
                    let options = options?;
                    let at = At {
                        value: wrap(options.value.clone()),
                        span: options.span.clone(),
                        from_env: options.from_env,
                    };
                    Some((key, at))
                }
                let found = [
                    at("image", self.image.as_ref(), HostOptions::Image),
                    at("text", self.text.as_ref(), HostOptions::Text),
                    at("window", self.window.as_ref(), HostOptions::Window),
                    at("audio", self.audio.as_ref(), HostOptions::Audio),
                    at("hash", self.hash.as_ref(), HostOptions::Hash),
                ];
                found.into_iter().flatten().collect()
            }

            /// The tensor steps that are named, with their keys: one, where all is well.
            pub(in crate::config) fn tensor_steps(&self) -> Vec<(&'static str, At<&dyn TensorStep>)> {
                let mut found: Vec<(&'static str, At<&dyn TensorStep>)> = Vec::new();
                $(if let Some(step) = &self.$key {
                    let at = At {
                        value: &step.value as &dyn TensorStep,
                        span: step.span.clone(),
                        from_env: step.from_env,
                    };
                    found.push((stringify!($key), at));
                })*
                found
            }
        }
    };
}
each_tensor_step!(step);
