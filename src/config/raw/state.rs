//! `state`: what is held of a row for the next one with the same key.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{At, Count, Named, ScalarValue, Time, TypeName};

/// What is held between rows: outputs of models and steps that stand beside the fields of the next
/// row with the same key (`order_by`). It is held in memory, by one engine, and starts anew with
/// the process.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct State {
    /// For so many keys; for one more, the key that was not seen for longest is dropped.
    #[serde(default = "max_keys")]
    pub(in crate::config) max_keys: At<Count>,
    /// A key that was not seen for longer than this starts anew.
    #[serde(default = "max_age")]
    pub(in crate::config) max_age: At<Time>,
    /// The values, by the names under which models and steps take them, as they take fields.
    pub(in crate::config) values: At<Named<At<StateValue>>>,
}

/// One value that is held for each key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StateValue {
    /// The output of a model or a step (`output` or `model.output`) that it is after each row. Where
    /// that step did not run on a row (`when`), the value stays.
    pub(in crate::config) from: At<String>,
    /// Type of the value, or of each element: that of the output. Numbers and `bool` only.
    #[schemars(extend("default" = "f32"))]
    pub(in crate::config) dtype: Option<At<TypeName>>,
    /// Shape of the value: that of one row of the output; left out for a single value.
    pub(in crate::config) shape: Option<At<Vec<Count>>>,
    /// What each element is before the first row of a key; 0 or `false` where left out.
    pub(in crate::config) initial: Option<At<ScalarValue>>,
}

fn max_keys() -> At<Count> {
    At::unwritten(Count(10_000))
}

fn max_age() -> At<Time> {
    At::unwritten(Time::from_secs(600))
}
