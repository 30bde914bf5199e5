//! Parts of the steps that are proposed.

use super::{
    head::Head,
    kind::Image,
    words::{line, value},
};

/// Where lists of labels are broken.
const WIDTH: usize = 110;

/// The step that makes pixels of a file.
pub(super) fn picture(image: &Image, heads: &[Head]) -> String {
    let mut yaml = String::new();
    line(
        &mut yaml,
        "  - image:",
        "a JPEG, PNG or WebP file -> pixels from 0 to 255",
    );
    let [height, width] = image.size;
    let question = if image.assumed {
        "which height and width? the model file leaves it open"
    } else {
        "height and width, as the model has them"
    };
    line(
        &mut yaml,
        &format!("      size: [{height}, {width}]"),
        question,
    );
    let (fit, comment) = if heads.contains(&Head::Boxes) {
        ("letterbox", "the rest is filled; or `crop`, or `stretch`?")
    } else if heads.iter().all(|head| *head == Head::Plain) {
        ("stretch", "to this shape; or `crop`, or `letterbox`?")
    } else {
        (
            "crop",
            "the middle; or `stretch`, or `letterbox`? for Resize(256) add `resize: 256`",
        )
    };
    line(&mut yaml, &format!("      fit: {fit}"), comment);
    if image.channels == 1 {
        line(
            &mut yaml,
            "      channels: gray",
            "the model has one channel",
        );
    } else {
        line(
            &mut yaml,
            "      channels: rgb",
            "or `bgr`, as OpenCV has them?",
        );
    }
    let layout = if image.chw { "chw" } else { "hwc" };
    line(
        &mut yaml,
        &format!("      layout: {layout}"),
        "as the model has it",
    );
    yaml
}

/// What feeds a step, and what its result is called.
pub(super) fn fed(input: &str, output: &str) -> String {
    format!("    input: {}\n    output: {output}\n", value(input))
}

/// Labels in lines of some width.
pub(super) fn listed(labels: &[String]) -> String {
    let mut yaml = String::from("      labels:\n        [");
    let mut column = 9;
    for (at, label) in labels.iter().enumerate() {
        let label = value(label);
        let end = if at + 1 < labels.len() { "," } else { "" };
        let width = label.chars().count() + end.len() + 1;
        if at > 0 {
            if column + width > WIDTH {
                yaml += "\n        ";
                column = 8;
            } else {
                yaml.push(' ');
            }
        }
        yaml += &label;
        yaml += end;
        column += width;
    }
    yaml += "]\n";
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_labels_are_broken_into_lines() {
        let odd = [
            "a, b",
            "",
            "no",
            "3gp",
            "it's [x]",
            "#",
            "größe 🐧",
            &"w".repeat(200),
        ];
        let labels = (0..500).map(|at| format!("class {at}"));
        let labels: Vec<String> = odd.map(str::to_owned).into_iter().chain(labels).collect();
        let yaml = listed(&labels);
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap_or_default();
        assert_eq!(read["labels"], serde_json::json!(labels));
        let wide = |line: &&str| line.chars().count() > WIDTH;
        assert_eq!(yaml.lines().filter(wide).count(), 1, "{yaml}");
    }
}
