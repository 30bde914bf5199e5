//! Whether a model gives on a GPU what it gives on the CPU.

use super::{catalog::came_out, collect::Collector, model::Model, trim::Cut};
use crate::{
    block::{Column, Series, Strings},
    contract::Dtype,
    engine::cuda::{cells, model::Model as CudaModel, sizes::Size, texts::Texts},
};

/// How results are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// How far a fraction may be off, as a part of the largest of its output.
    pub(super) limit: f64,
    /// What made-up fractions are multiplied by.
    pub(super) scale: f32,
}

/// What is fed, and what is compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports<'a> {
    /// The shape of one row of each input, all of it.
    pub(super) shapes: &'a [Vec<usize>],
    /// The places of the outputs.
    pub(super) outputs: &'a [usize],
    /// Inputs whose rows are cut on the GPU.
    pub(super) cut: Option<&'a Cut>,
}

/// Rows that are tried at most.
const ROWS: usize = 32;
/// Tokens that are tried at most, where one row has no more: the CPU takes long for them.
const TOKENS: usize = 2048;

/// What made-up rows came to on the CPU, so that they are run there once.
#[derive(Debug, Default)]
pub(super) struct Known {
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    size: Size,
    /// What was asked for.
    asked: f32,
    /// What the model took.
    scale: Option<f32>,
    expected: Vec<Collector>,
}

impl Known {
    /// What so many rows come to, and what they are.
    ///
    /// # Errors
    /// The model does not run on them; in words.
    fn run(
        &mut self,
        model: &mut Model,
        ports: Ports<'_>,
        (size, asked): (Size, f32),
        texts: &[String],
    ) -> Result<(Vec<Series>, &[Collector]), String> {
        let made = |model: &Model, scale| -> Vec<Series> {
            let inputs = model.inputs.iter().zip(ports.shapes).enumerate();
            let made = inputs.map(|(place, (input, shape))| {
                let cut = ports.cut.is_some_and(|cut| cut.inputs.contains(&place));
                let shape = if cut { &[size.length][..] } else { shape };
                made_up(place, input.dtype, shape, size.rows, scale, texts)
            });
            made.collect()
        };
        let same = |run: &&Run| run.size == size && run.asked.total_cmp(&asked).is_eq();
        let mut at = self.runs.iter().position(|run| same(&run));
        let mut last = String::new();
        // A model may refuse odd values, and take zeros.
        for scale in [Some(asked), None] {
            if at.is_some() {
                break;
            }
            let inputs = made(model, scale);
            match on_cpu(model, &inputs, size.rows, ports.outputs) {
                Ok(expected) => {
                    at = Some(self.runs.len());
                    self.runs.push(Run {
                        size,
                        asked,
                        scale,
                        expected,
                    });
                }
                Err(why) => last = why,
            }
        }
        let run = at.and_then(|at| self.runs.get(at)).ok_or(last)?;
        Ok((made(model, run.scale), &run.expected))
    }
}

/// What is wrong with the results of the GPU, if anything: the worst element, in a sentence. Where rows are cut, the longest and
/// the shortest that are planned are tried.
///
/// # Errors
/// The model does not run on made-up rows; in words.
pub(super) fn difference(
    model: &mut Model,
    gpu: &mut CudaModel,
    ports: Ports<'_>,
    Asked { limit, scale }: Asked,
    known: &mut Known,
) -> Result<Option<String>, String> {
    let sizes: Vec<Size> = gpu.sizes().collect();
    let mut lengths: Vec<usize> = [sizes.last(), sizes.first()]
        .into_iter()
        .flatten()
        .map(|size| size.length)
        .collect();
    lengths.dedup();
    for length in lengths {
        let planned = sizes.iter().filter(|size| size.length == length);
        let planned = planned.map(|size| size.rows).max().unwrap_or(1);
        let rows = match ports.cut {
            Some(_) => planned.min(ROWS).min((TOKENS / length).max(1)),
            None => model.batch.unwrap_or(ROWS.min(planned)),
        };
        let size = Size { length, rows };
        let (inputs, expected) = known.run(model, ports, (size, scale), gpu.known_texts())?;
        let found = on_gpu(model, gpu, &inputs, size, ports.outputs)?;
        if let Some(worst) = worst(expected, &found, limit) {
            return Ok(Some(worst));
        }
    }
    Ok(None)
}

/// Rows of every kind of value, with fractions up to twice `scale`; zeros without one. The same ones each time. Texts are
/// some that the model knows, and one that it does not.
pub(super) fn made_up(
    place: usize,
    dtype: Dtype,
    shape: &[usize],
    rows: usize,
    scale: Option<f32>,
    texts: &[String],
) -> Series {
    let count = rows * shape.iter().product::<usize>();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(place as u64 + 1);
    // Xorshift (Marsaglia 2003): any spread of values does.
    let bits = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if scale.is_some() { state } else { 0 }
    });
    let bits = bits.take(count);
    let fraction = |bits: u64| match scale {
        Some(scale) => ((bits >> 40) as f32 / 4_194_304.0 - 2.0) * scale,
        None => 0.0,
    };
    let values = match dtype {
        Dtype::F32 => Column::F32(bits.map(fraction).collect()),
        Dtype::F64 => Column::F64(bits.map(|bits| f64::from(fraction(bits))).collect()),
        // Numbers of categories and masks: these two every model knows.
        Dtype::I32 => Column::I32(bits.map(|bits| i32::from(bits & 1 == 1)).collect()),
        Dtype::I64 => Column::I64(bits.map(|bits| i64::from(bits & 1 == 1)).collect()),
        Dtype::U8 => Column::U8(bits.map(|bits| bits.to_le_bytes()[5]).collect()),
        Dtype::Bool => Column::Bool(bits.map(|bits| bits & 1 == 1).collect()),
        Dtype::String => {
            let mut made = Strings::default();
            for bits in bits {
                let at = (bits >> 20) as usize % (texts.len() + 1);
                made.push(texts.get(at).map_or("?", String::as_str));
            }
            Column::String(made)
        }
        Dtype::Bytes => Column::new(dtype),
    };
    Series {
        values,
        shape: shape.to_vec(),
        present: None,
    }
}

fn on_cpu(
    model: &mut Model,
    inputs: &[Series],
    rows: usize,
    outputs: &[usize],
) -> Result<Vec<Collector>, String> {
    let mut found: Vec<Option<Collector>> = (came_out(model, inputs, rows, rows)?.into_iter())
        .map(Some)
        .collect();
    let wanted = outputs
        .iter()
        .filter_map(|place| found.get_mut(*place)?.take());
    Ok(wanted.collect())
}

fn on_gpu(
    model: &Model,
    gpu: &mut CudaModel,
    inputs: &[Series],
    size: Size,
    outputs: &[usize],
) -> Result<Vec<Collector>, String> {
    let declared = outputs.iter().filter_map(|place| model.outputs.get(*place));
    let mut found: Vec<Collector> = declared.map(Collector::new).collect();
    let fill = |place: usize, _, to: &mut [u8], texts: &mut Texts| {
        if let Some(series) = inputs.get(place) {
            let count = series.values.len();
            let written = match &series.values {
                Column::String(held) => texts.write((0..count).filter_map(|at| held.get(at)), to),
                values => cells::write(values, 0..count, to),
            };
            // Rows of a larger bucket: zeros.
            to.get_mut(written..).unwrap_or_default().fill(0);
        }
        Ok(())
    };
    let take = |place: usize, slot: &_, bytes: &[u8], texts: &Texts| match found.get_mut(place) {
        Some(collector) => collector.append_bytes(slot, bytes, texts),
        None => Ok(()),
    };
    gpu.run(size, fill, take)
        .map_err(|error| error.to_string())?;
    Ok(found)
}

/// The element that is furthest off, where one is too far.
fn worst(expected: &[Collector], found: &[Collector], limit: f64) -> Option<String> {
    let pairs = expected.iter().zip(found);
    let worst = pairs.filter_map(|(expected, found)| {
        let (on_cpu, on_gpu) = (&expected.series, &found.series);
        let width = on_cpu.width().max(1);
        let (excess, at) = furthest(&on_cpu.values, &on_gpu.values, limit)?;
        let (row, name) = (at / width, expected.name());
        let (cpu, gpu) = (shown(&on_cpu.values, at), shown(&on_gpu.values, at));
        Some((
            excess,
            format!("output `{name}` of made-up row {row} is {gpu}, and {cpu} on the CPU"),
        ))
    });
    worst
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, said)| said)
}

/// How many tolerances the worst element is off, where it is more than one, and its place.
fn furthest(expected: &Column, found: &Column, limit: f64) -> Option<(f64, usize)> {
    if expected.len() != found.len() {
        return Some((f64::INFINITY, expected.len().min(found.len())));
    }
    let floats = |expected: &[f64], found: &[f64]| {
        let finite = expected.iter().filter(|value| value.is_finite());
        let scale = finite.fold(0.0, |scale: f64, value| scale.max(value.abs()));
        let off = expected
            .iter()
            .zip(found)
            .enumerate()
            .map(|(at, (one, other))| (apart(*one, *other, scale * limit), at));
        off.max_by(|one, other| one.0.total_cmp(&other.0))
            .filter(|(off, _)| *off > 1.0)
    };
    match (expected, found) {
        (Column::F32(expected), Column::F32(found)) => {
            let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect();
            let (expected, found): (Vec<f64>, Vec<f64>) = (wide(expected), wide(found));
            floats(&expected, &found)
        }
        (Column::F64(expected), Column::F64(found)) => floats(expected, found),
        (expected, found) => {
            let differs = |at: &usize| shown(expected, *at) != shown(found, *at);
            let at = (0..expected.len()).find(differs)?;
            Some((f64::INFINITY, at))
        }
    }
}

/// How far two numbers are apart, as a part of `scale`. NaN equals NaN; on one side only, as infinity, it is as far off as can
/// be.
pub(super) fn apart(one: f64, other: f64, scale: f64) -> f64 {
    if one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan()) {
        return 0.0;
    }
    let off = (one - other).abs() / scale;
    if off.is_nan() { f64::INFINITY } else { off }
}

pub(super) fn shown(column: &Column, at: usize) -> String {
    fn of<T: ToString>(values: &[T], at: usize) -> Option<String> {
        values.get(at).map(ToString::to_string)
    }
    let shown = match column {
        Column::F32(values) => of(values, at),
        Column::F64(values) => of(values, at),
        Column::I32(values) => of(values, at),
        Column::I64(values) => of(values, at),
        Column::U8(values) => of(values, at),
        Column::Bool(values) => of(values, at),
        Column::String(values) => values.get(at).map(|text| format!("{text:?}")),
        Column::Bytes(_) => None,
    };
    shown.unwrap_or_else(|| "missing".to_owned())
}
