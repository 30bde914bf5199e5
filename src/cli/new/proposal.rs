//! The steps that are proposed around a model of pictures or texts, as lines of a pipeline file.

use super::{
    Draft,
    head::{Head, Labels},
    kind::{Image, Kind, TOKENS, Text},
    parts::{fed, listed, picture},
    words::{entry, key, line, shown, value},
    yaml::described,
};
use crate::{contract::Dtype, engine::OutputInfo};

/// Mean and standard deviation of ImageNet's pixels, for each channel.
const IMAGENET: &str = "mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]";

/// The parts of a file that are not those of a table.
pub(super) struct Proposal {
    /// What was recognised, in lines for the file's head.
    pub about: Vec<String>,
    /// The name of the one field.
    pub field: String,
    /// The steps before the model.
    pub before: String,
    /// What feeds the model's inputs.
    pub feeds: Vec<(String, String)>,
    /// The steps behind the model.
    pub after: String,
    /// The entries of the results.
    pub outputs: String,
}

/// Names that nothing has yet.
struct Names(Vec<String>);

impl Names {
    fn fresh(&mut self, wish: &str) -> String {
        let numbered = (2..).map(|number| format!("{wish}_{number}"));
        let name = std::iter::once(wish.to_owned())
            .chain(numbered)
            .find(|name| !self.0.contains(name))
            .unwrap_or_default();
        self.0.push(name.clone());
        name
    }
}

impl Proposal {
    /// What is proposed, if the model was recognised.
    pub(super) fn of(draft: &Draft) -> Option<Self> {
        let outputs = draft.outputs.as_ref().ok()?;
        let names = outputs.iter().map(|output| &output.name);
        let inputs = draft.inputs.iter().map(|input| &input.name);
        let mut names = Names(names.chain(inputs).chain([&draft.name]).cloned().collect());
        let mut proposal = match &draft.kind {
            Kind::Table => return None,
            Kind::Image(image) => Self::image(draft, image, &mut names),
            Kind::Text(text) => Self::text(draft, text, &mut names),
        };
        let mask = match &draft.kind {
            Kind::Text(_) => proposal.mask(draft),
            _ => String::new(),
        };
        // The vectors of tokens are many; a result has their mean alone.
        let tokens = draft.heads.contains(&Head::Tokens);
        for (output, head) in outputs.iter().zip(&draft.heads) {
            if tokens && *head != Head::Tokens {
                let pair = format!("{}: {}", key(&output.name), value(&output.name));
                let pair = format!("      # {}", shown(&pair));
                line(&mut proposal.outputs, &pair, &described(output));
            } else {
                proposal.behind(output, head, &mask, &mut names);
            }
        }
        Some(proposal)
    }

    fn empty(about: Vec<String>, field: String) -> Self {
        Self {
            about,
            field,
            before: String::new(),
            feeds: Vec::new(),
            after: String::new(),
            outputs: String::new(),
        }
    }

    fn image(draft: &Draft, image: &Image, names: &mut Names) -> Self {
        let input = draft.inputs.first();
        let (name, dtype) = input.map_or(("", Dtype::F32), |input| (&*input.name, input.dtype));
        let Image { channels, chw, .. } = *image;
        let order = if chw {
            "channels, height, width"
        } else {
            "height, width, channels"
        };
        let about = vec![
            format!(
                "It looks like a model of pictures: its one input, `{}`, has {channels} channel{} ({order}).",
                shown(name),
                if channels == 1 { "" } else { "s" }
            ),
            "The steps are a proposal: compare each with the training code. A wrong one gives no error,".to_owned(),
            "only worse predictions. Does it take something else? Then the step `model` is enough, with the field".to_owned(),
            format!("  {}", entry("", name, &format!("{{ dtype: {dtype}, shape: {:?} }}", image.shape()))),
            "and `json: {}` under `decode`.".to_owned(),
        ];
        let mut this = Self::empty(about, names.fresh("image"));
        let mut fed = names.fresh("pixels");
        this.before = picture(image, &draft.heads);
        this.step_feeds(&this.field.clone(), &fed);
        if dtype == Dtype::U8 {
            this.comment(
                "The model takes bytes from 0 to 255 as they are, so nothing scales them.",
            );
        } else if let Some(operator) = &image.scaled {
            this.comment(&format!(
                "The model scales its pixels itself (it begins with {operator}), so nothing does so here."
            ));
        } else {
            let layout = if chw { "chw" } else { "hwc" };
            let (numbers, check) = match (channels, draft.heads.contains(&Head::Boxes)) {
                (3, false) => (
                    format!("{IMAGENET}, "),
                    [
                        "ImageNet's mean and std, which most models of photographs take. Is it one of them? Others:",
                        "  0 to 1: { scale: 255 }, and -1 to 1: { scale: 255, mean: 0.5, std: 0.5 }",
                    ],
                ),
                _ => (
                    String::new(),
                    [
                        "Pixels from 0 to 1. Was it trained with these? With a mean and a std, write them too:",
                        "  { scale: 255, mean: 0.5, std: 0.5 } makes them -1 to 1",
                    ],
                ),
            };
            for check in check {
                this.comment(check);
            }
            let scaled = names.fresh("scaled");
            this.before += &format!("  - normalize: {{ scale: 255, {numbers}layout: {layout} }}\n");
            this.step_feeds(&fed, &scaled);
            fed = scaled;
        }
        this.feeds = vec![(name.to_owned(), fed)];
        this
    }

    fn text(draft: &Draft, text: &Text, names: &mut Names) -> Self {
        let inputs: Vec<String> = (draft.inputs.iter())
            .map(|input| format!("`{}`", input.name))
            .collect();
        let about = vec![
            format!(
                "It looks like a text encoder: it takes {}, and a tokenizer.json is there.",
                inputs.join(", ")
            ),
            "The steps are a proposal: compare each with the training code. A wrong one gives no error,".to_owned(),
            "only worse predictions.".to_owned(),
        ];
        let mut this = Self::empty(about, names.fresh("text"));
        let tokens = names.fresh("tokens");
        let before = &mut this.before;
        let gives = format!(
            "text -> {}",
            TOKENS.map(|part| format!("{tokens}.{part}")).join(", ")
        );
        line(before, "  - text:", &gives);
        let file = draft.tokenizer.as_deref().unwrap_or_default();
        let file = format!("      tokenizer: {}", value(file));
        line(
            before,
            &file,
            "is it the one that the model was trained with?",
        );
        let length = format!("      max_length: {}", text.length);
        let comment = if text.assumed {
            "how long are the texts? longer ones are cut; the time grows with it"
        } else {
            "what the model takes; longer texts are cut"
        };
        line(before, &length, comment);
        this.step_feeds(&this.field.clone(), &tokens);
        this.feeds = (draft.inputs.iter())
            .map(|input| (input.name.clone(), format!("{tokens}.{}", input.name)))
            .collect();
        this
    }

    /// What says which tokens are text.
    fn mask(&self, draft: &Draft) -> String {
        let fed = self.feeds.first().map_or("", |(_, fed)| fed.as_str());
        let tokens = (draft.inputs.first()).and_then(|input| fed.strip_suffix(&*input.name));
        format!("{}{}", tokens.unwrap_or_default(), TOKENS[1])
    }

    fn comment(&mut self, comment: &str) {
        line(&mut self.before, &format!("  # {comment}"), "");
    }

    fn step_feeds(&mut self, input: &str, output: &str) {
        self.before += &fed(input, output);
    }

    /// The steps behind one output, and what of it goes into the results.
    fn behind(&mut self, output: &OutputInfo, head: &Head, mask: &str, names: &mut Names) {
        match head {
            Head::Plain => self.give(&output.name, &described(output)),
            Head::Sigmoid => {
                let comment = format!("{}; each on its own, from 0 to 1", described(output));
                self.give(&output.name, &comment);
                self.after += &format!(
                    "  # A class that reaches which value is taken for true?\n  #  - threshold: {{ at: 0.5 }}\n  #    input: {}\n",
                    shown(&value(&output.name))
                );
            }
            Head::Boxes => self.boxes(output),
            Head::Scores {
                probabilities,
                labels,
            } => self.classes(output, *probabilities, labels, names),
            Head::Vector => self.vector(&output.name, output.shape.last(), names),
            Head::Tokens => {
                let pooled = names.fresh("pooled");
                line(
                    &mut self.after,
                    "  - mean_pool: {}",
                    "the mean of the tokens' vectors; or the first alone, as some models want?",
                );
                self.after += &format!(
                    "    inputs: {{ values: {}, mask: {mask} }}\n    output: {pooled}\n",
                    value(&output.name)
                );
                self.vector(&pooled, output.shape.last(), names);
            }
        }
    }

    fn give(&mut self, name: &str, comment: &str) {
        let entry = entry("      ", name, &value(name));
        line(&mut self.outputs, &entry, comment);
    }

    fn vector(&mut self, input: &str, width: Option<&usize>, names: &mut Names) {
        let vector = names.fresh("vector");
        let comment = "of length 1, so that a dot product is the cosine";
        line(&mut self.after, "  - l2_normalize: {}", comment);
        self.after += &fed(input, &vector);
        let width = width.copied().unwrap_or_default();
        self.give(&vector, &format!("f32 [{width}]"));
    }

    fn classes(&mut self, output: &OutputInfo, ready: bool, labels: &Labels, names: &mut Names) {
        let mut scores = output.name.clone();
        if ready {
            self.after +=
                "  # The model ends with a softmax, so its scores are probabilities already.\n";
        } else if output.shape.len() == 1 {
            let why = "scores -> probabilities: the model does not end with one";
            line(&mut self.after, "  - softmax: {}", why);
            let probabilities = names.fresh("probabilities");
            self.after += &fed(&scores, &probabilities);
            scores = probabilities;
        }
        let label = names.fresh("label");
        let classes = output.shape.last().copied().unwrap_or_default();
        let about = match labels {
            Labels::Named { file, names } => {
                self.after += &format!(
                    "  # From {file}; is this the order of the model's classes?\n  - argmax:\n{}",
                    listed(names)
                );
                "the most likely class".to_owned()
            }
            Labels::Miscounted { file, lines } => {
                self.after += &format!(
                    "  # {file} has {lines} lines, and the model {classes} classes, so it was not taken.\n  - argmax: {{}}\n"
                );
                "the most likely class, counted from 0".to_owned()
            }
            Labels::Unknown => {
                let comment = "what do the classes mean? { labels: [cat, dog, ...] } names them";
                line(&mut self.after, "  - argmax: {}", comment);
                "the most likely class, counted from 0".to_owned()
            }
        };
        self.after += &fed(&scores, &label);
        self.give(&label, &about);
        if output.shape.len() == 1 {
            let given = OutputInfo {
                name: scores.clone(),
                ..output.clone()
            };
            self.give(&scores, &described(&given));
        }
    }

    /// How the boxes of a detector become detections; in comments, for there are several forms.
    fn boxes(&mut self, output: &OutputInfo) {
        self.give(&output.name, &described(output));
        let name = shown(&value(&output.name));
        self.after += &format!(
            "  # Boxes of a detector? These steps are for one that gives the middle and the size of each box, and a score
  # for each class (YOLOv8, YOLO11), and has no suppression of its own; give `found.boxes`, `found.scores`,
  # `found.classes` and `found.count` under `outputs` then.
  #  - transpose: {{ axes: [1, 0] }}
  #    input: {name}
  #    output: by_box
  #  - select: {{ from: 0, to: 4 }}
  #    input: by_box
  #    output: middles
  #  - select: {{ from: 4 }}
  #    input: by_box
  #    output: class_scores
  #  - transpose: {{ axes: [1, 0] }}
  #    input: class_scores
  #    output: by_class
  #  - nms: {{ iou: 0.7, max_detections: 100, score: 0.25, format: cxcywh }}
  #    inputs: {{ boxes: middles, scores: by_class }}
  #    output: found
"
        );
    }
}
