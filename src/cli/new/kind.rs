//! What kind of model it is, judged by what it takes and by the files beside it.

use std::path::{Path, PathBuf};

use crate::{
    contract::Dtype,
    engine::{Dim, InputInfo},
    graph::proto::{Graph, Node},
    host::text::{TextOptions, TextStep},
};

/// The file of Hugging Face's tokenizers, looked for beside the model and one folder up.
const TOKENIZER: &str = "tokenizer.json";
/// What text encoders call their inputs, and the step `text` its results.
pub(super) const TOKENS: [&str; 3] = ["input_ids", "attention_mask", "token_type_ids"];
/// Sizes of pictures that models are usually made for, tried in this order where the file leaves
/// the size open.
const SIZES: [usize; 9] = [224, 256, 299, 384, 640, 128, 64, 32, 28];
/// Numbers of tokens, tried in this order.
const LENGTHS: [usize; 4] = [128, 64, 32, 16];
/// Smaller and larger sides are no picture's, or more than the step `image` makes.
const SIDES: std::ops::RangeInclusive<usize> = 8..=4096;
/// A gray picture that is longer than this many times its height may be a spectrogram.
const LONGEST: usize = 4;

/// What kind of model it seems to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// It takes the fields of a row as they are.
    Table,
    /// It takes a picture.
    Image(Image),
    /// It takes the tokens of a text.
    Text(Text),
}

/// A picture, as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// 3 for colours, 1 for gray.
    pub channels: usize,
    /// Channels, height, width; else height, width, channels.
    pub chw: bool,
    /// Height and width.
    pub size: [usize; 2],
    /// The file leaves the size open, and this is a usual one.
    pub assumed: bool,
    /// The operator that the model scales its pixels with itself, where it does.
    pub scaled: Option<String>,
}

impl Image {
    /// The shape of one row.
    pub fn shape(&self) -> Vec<usize> {
        let [height, width] = self.size;
        if self.chw {
            vec![self.channels, height, width]
        } else {
            vec![height, width, self.channels]
        }
    }
}

/// A text, as the model takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Where its `tokenizer.json` is.
    pub tokenizer: PathBuf,
    /// Tokens in a row.
    pub length: usize,
    /// The file leaves the number of tokens open.
    pub assumed: bool,
}

/// A kind that the model may be of, if it runs on rows of these shapes.
#[derive(Debug)]
pub(super) struct Guess {
    pub kind: Kind,
    pub shapes: Vec<Vec<usize>>,
}

/// Kinds to try, the likeliest first.
#[derive(Debug, Default)]
pub(super) struct Guesses {
    pub list: Vec<Guess>,
    /// Why something that was nearly recognised was not.
    pub note: Option<String>,
}

impl Guesses {
    /// What a model with these inputs at this path may be.
    pub(super) fn of(inputs: &[InputInfo], graph: Option<&Graph>, model: &Path) -> Self {
        match inputs {
            [input] if input.dims.len() == 4 => images(input, graph),
            _ if inputs.iter().any(|input| input.name == TOKENS[0]) => texts(inputs, model),
            _ => Self::default(),
        }
    }
}

fn images(input: &InputInfo, graph: Option<&Graph>) -> Guesses {
    let channels = |at: usize| match input.dims.get(at) {
        Some(Dim::Fixed(channels)) if matches!(channels, 1 | 3) => Some(*channels),
        _ => None,
    };
    let (channels, chw) = match (channels(1), channels(3)) {
        (Some(channels), None) => (channels, true),
        (None, Some(channels)) => (channels, false),
        _ => return Guesses::default(),
    };
    if !matches!(input.dtype, Dtype::F32 | Dtype::F64 | Dtype::U8) {
        return Guesses::default();
    }
    let first = if chw { 2 } else { 1 };
    let side = |at: usize| match input.dims.get(at) {
        Some(Dim::Fixed(side)) => Some(*side),
        _ => None,
    };
    let sides = [side(first), side(first + 1)];
    let assumed = sides.contains(&None);
    let scaled = graph.and_then(|graph| scaled(graph, &input.name));
    let sizes = if assumed { SIZES.as_slice() } else { &[0] };
    let guess = |usual: &usize| {
        let [height, width] = sides.map(|side| side.unwrap_or(*usual));
        let long = height.max(width) > LONGEST * height.min(width);
        if !SIDES.contains(&height) || !SIDES.contains(&width) || (channels == 1 && long) {
            return None;
        }
        let image = Image {
            channels,
            chw,
            size: [height, width],
            assumed,
            scaled: scaled.clone(),
        };
        Some(Guess {
            shapes: vec![image.shape()],
            kind: Kind::Image(image),
        })
    };
    Guesses {
        list: sizes.iter().filter_map(guess).collect(),
        note: None,
    }
}

/// The operator that first changes the pixels, where it moves or stretches them by a constant.
fn scaled(graph: &Graph, input: &str) -> Option<String> {
    let mut name = input;
    // A graph has no loops; this is for files that are broken.
    for _ in 0..graph.node.len() {
        let mut readers = (graph.node.iter()).filter(|node| node.input.iter().any(|it| it == name));
        let (node, None) = (readers.next()?, readers.next()) else {
            return None;
        };
        match node.op_type.as_str() {
            "Cast" | "Identity" | "Transpose" => name = node.output.first()?,
            "Sub" | "Div" | "Mul" | "Add" => {
                let other = node.input.iter().find(|it| *it != name)?;
                let constant = (graph.initializer.iter()).any(|it| it.name == *other)
                    || producer(graph, other).is_some_and(|node| node.op_type == "Constant");
                return constant.then(|| node.op_type.clone());
            }
            _ => return None,
        }
    }
    None
}

/// The node that gives this value.
pub(super) fn producer<'a>(graph: &'a Graph, name: &str) -> Option<&'a Node> {
    (graph.node.iter()).find(|node| node.output.iter().any(|output| output == name))
}

fn texts(inputs: &[InputInfo], model: &Path) -> Guesses {
    let tokens = |input: &InputInfo| TOKENS.contains(&&*input.name) && input.dims.len() == 2;
    if !inputs.iter().all(tokens) {
        return Guesses::default();
    }
    let not = |why: String| Guesses {
        list: Vec::new(),
        note: Some(format!("It looks like a text encoder, but {why}")),
    };
    let wide = |input: &&InputInfo| !matches!(input.dtype, Dtype::I64 | Dtype::F32 | Dtype::F64);
    if let Some(input) = inputs.iter().find(wide) {
        return not(format!(
            "`{}` takes {}, and the step `text` gives i64; export it with int64 inputs, and run `forebay new` again.",
            input.name, input.dtype
        ));
    }
    let folder = model.parent().unwrap_or(Path::new(""));
    let places = [folder.join(TOKENIZER), folder.join("..").join(TOKENIZER)];
    let Some(tokenizer) = places.into_iter().find(|file| file.is_file()) else {
        return not(format!(
            "there is no {TOKENIZER} beside it; put it there, and run `forebay new` again for the steps."
        ));
    };
    let fixed = inputs.iter().find_map(|input| match input.dims.last() {
        Some(Dim::Fixed(length)) => Some(*length),
        _ => None,
    });
    let mut options = TextOptions::new(&tokenizer);
    options.max_length = Some(fixed.unwrap_or(LENGTHS[0]));
    if let Err(fault) = TextStep::load(&tokenizer, &options) {
        return not(format!("its tokenizer cannot be used: {fault}"));
    }
    let lengths = fixed.map_or_else(|| LENGTHS.to_vec(), |length| vec![length]);
    let guess = |length| Guess {
        kind: Kind::Text(Text {
            tokenizer: tokenizer.clone(),
            length,
            assumed: fixed.is_none(),
        }),
        shapes: vec![vec![length]; inputs.len()],
    };
    Guesses {
        list: lengths.into_iter().map(guess).collect(),
        note: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesses(dtype: Dtype, dims: &[usize]) -> Vec<Vec<usize>> {
        let dim = |size: &usize| match size {
            0 => Dim::Free("n".to_owned()),
            size => Dim::Fixed(*size),
        };
        let input = InputInfo {
            name: "x".to_owned(),
            dtype,
            dims: dims.iter().map(dim).collect(),
        };
        let found = Guesses::of(&[input], None, Path::new("model.onnx"));
        found.list.into_iter().flat_map(|it| it.shapes).collect()
    }

    #[test]
    fn pictures_have_one_or_three_channels_on_one_side() {
        let first = |dims: &[usize]| guesses(Dtype::F32, dims).first().cloned();
        assert_eq!(first(&[0, 3, 0, 0]), Some(vec![3, 224, 224]));
        assert_eq!(first(&[1, 0, 0, 3]), Some(vec![224, 224, 3]));
        assert_eq!(first(&[0, 3, 48, 0]), Some(vec![3, 48, 224]));
        assert_eq!(first(&[8, 28, 28, 1]), Some(vec![28, 28, 1]));
        assert_eq!(guesses(Dtype::U8, &[0, 3, 0, 0]).len(), SIZES.len());
        for dims in [
            [0, 3, 0, 3],
            [0, 4, 64, 64],
            [0, 0, 0, 0],
            [0, 3, 4, 64],
            [0, 3, 5000, 64],
            [0, 1, 80, 3000],
        ] {
            assert_eq!(first(&dims), None, "{dims:?}");
        }
        assert!(guesses(Dtype::I64, &[0, 3, 32, 32]).is_empty());
        assert!(guesses(Dtype::F32, &[0, 3, 32]).is_empty());
    }
}
