//! `cyclic`: what goes round, as a point on a circle.

use std::f64::consts::TAU;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Fault, Output, TensorStep, numbers};
use crate::{
    contract::Dtype,
    graph::{Attr, GraphBuilder, Value, build::signed, params::words},
};

words! {
    /// A part of a time.
    Part {
        /// Minute of the hour, 0 to 59.
        Minute = "minute",
        /// Hour of the day, 0 to 23.
        Hour = "hour",
        /// Day of the week, 0 (Monday) to 6.
        Weekday = "weekday",
    }
}

/// Puts each number on a circle, so that the end of a period is beside its beginning: `sin(2 pi x / period)`, then
/// `cos(2 pi x / period)`, for each column in turn. With `part` in the place of `period`, the input is Unix time in seconds
/// (`i64` or `f64`; an `f32` cannot hold one), and x is a whole number as pandas' `dt.minute` (period 60), `dt.hour` (24) or
/// `dt.weekday` (7, Monday is 0), in UTC or `offset_hours` ahead of it; the result is `f32`. There is no daylight saving.
/// Example: `{ period: 24 }` makes 6 into [1, 0]; `{ part: hour }` makes 1700000000 (22:13 UTC) into [-0.5, 0.866].
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cyclic {
    /// How much it is once round: 24 for hours.
    pub period: Option<f64>,
    /// Which part of a Unix time: `minute`, `hour` or `weekday`.
    pub part: Option<Part>,
    /// For `part`: hours that the clock is ahead of UTC, such as 5.5 or -8; 0 where left out.
    pub offset_hours: Option<f64>,
}

/// A part of a time, in seconds.
struct Clock {
    /// Once round.
    round: i64,
    /// One step.
    step: i64,
    /// From the beginning of a round to 1 January 1970.
    shift: i64,
}

impl Part {
    fn clock(self) -> Clock {
        const DAY: i64 = 86_400;
        let (round, step, shift) = match self {
            Self::Minute => (3600, 60, 0),
            Self::Hour => (DAY, 3600, 0),
            // 1 January 1970 was a Thursday.
            Self::Weekday => (7 * DAY, DAY, 3 * DAY),
        };
        Clock { round, step, shift }
    }
}

impl TensorStep for Cyclic {
    fn emit(&self, graph: &mut GraphBuilder, inputs: &[Value]) -> Result<Vec<Output>, Fault> {
        let value = numbers(inputs)?;
        match (self.period, self.part) {
            (Some(period), None) => {
                if self.offset_hours.is_some() {
                    return Err(Fault::key("offset_hours", "is only for `part`"));
                }
                if !(period > 0.0 && period.is_finite()) {
                    let what = format!("is {period}, and must be above 0");
                    return Err(Fault::key("period", what));
                }
                let value = graph.float(value);
                Ok(Output::only(circle(graph, &value, TAU / period)))
            }
            (None, Some(part)) => self.time(graph, value, part),
            (None, None) => Err(Fault::key("period", "is left out, and `part` too")
                .help("write `period: 24`, or `part: hour` where the input is a Unix time")),
            (Some(_), Some(_)) => Err(Fault::key("period", "is there beside `part`")
                .help("write `part` where the input is a Unix time, and `period` otherwise")),
        }
    }
}

impl Cyclic {
    fn time(
        &self,
        graph: &mut GraphBuilder,
        value: &Value,
        part: Part,
    ) -> Result<Vec<Output>, Fault> {
        let offset = self.offset_hours.unwrap_or_default();
        if offset.is_nan() || offset.abs() > 24.0 {
            let what = format!("is {offset}, and must lie between -24 and 24");
            return Err(Fault::key("offset_hours", what));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is small")]
        let seconds = (offset * 3600.0).round() as i64;
        let mut clock = part.clock();
        clock.shift += seconds;
        match value.dtype {
            Dtype::I64 => Ok(Output::only(whole(graph, value, &clock))),
            Dtype::F64 => Ok(Output::only(float(graph, value, &clock))),
            dtype => Err(Fault::input(format!(
                "takes Unix times as i64 or f64, and is fed with {dtype}"
            ))
            .help("give the field the type i64 or f64")),
        }
    }
}

/// Whole seconds: the point is read from a table.
fn whole(graph: &mut GraphBuilder, value: &Value, clock: &Clock) -> Value {
    let mut value = Value {
        labels: None,
        ..value.clone()
    };
    if clock.shift != 0 {
        let shift = graph.ints(&[clock.shift]);
        value = graph.with_constant("Add", &value, &shift);
    }
    let round = graph.ints(&[clock.round]);
    // The remainder has the sign of the divisor, so it is right before 1970, too.
    let rest = graph.with_constant("Mod", &value, &round);
    let step = graph.ints(&[clock.step]);
    let place = graph.with_constant("Div", &rest, &step);
    let count = clock.round / clock.step;
    let points: Vec<f64> = (0..count)
        .flat_map(|place| {
            let angle = TAU * place as f64 / count as f64;
            [angle.sin(), angle.cos()]
        })
        .collect();
    let dims = [points.len() / 2, 2];
    let table = graph.numbers(Dtype::F32, &dims, &points);
    let axis = ("axis", Attr::Int(0));
    let name = graph.node("Gather", &[&table, &place.name], vec![axis]);
    let shape = [value.shape.as_slice(), &[2]].concat();
    graph.flatten(&Value::new(name, Dtype::F32, shape))
}

/// Seconds with a fraction; NaN gives NaN.
fn float(graph: &mut GraphBuilder, value: &Value, clock: &Clock) -> Value {
    let mut value = value.clone();
    if clock.shift != 0 {
        let shift = graph.number(Dtype::F64, clock.shift as f64);
        value = graph.with_constant("Add", &value, &shift);
    }
    let step = graph.number(Dtype::F64, clock.step as f64);
    let steps = graph.with_constant("Div", &value, &step);
    // Steps since the beginning, of which whole rounds may stay: the circle does not see them.
    let steps = graph.map("Floor", &steps, Vec::new());
    let point = circle(graph, &steps, TAU * clock.step as f64 / clock.round as f64);
    graph.cast(&point, Dtype::F32)
}

/// Sine and cosine of `factor` times each element, side by side.
fn circle(graph: &mut GraphBuilder, value: &Value, factor: f64) -> Value {
    let value = Value {
        labels: None,
        ..graph.unsqueeze(value)
    };
    let factor = graph.number(value.dtype, factor);
    let angle = graph.with_constant("Mul", &value, &factor);
    let [sin, cos] = ["Sin", "Cos"].map(|operator| graph.map(operator, &angle, Vec::new()));
    let axis = ("axis", Attr::Int(signed(value.shape.len())));
    let name = graph.node("Concat", &[&sin.name, &cos.name], vec![axis]);
    let mut shape = value.shape.clone();
    if let Some(last) = shape.last_mut() {
        *last = 2;
    }
    graph.flatten(&Value::new(name, value.dtype, shape))
}
