//! What the steps of images, sequences, boxes, text and sound refuse.

use serde_json::Value as Json;

use crate::{
    contract::Dtype,
    graph::{GraphBuilder, Value, steps},
};

/// A step, what it is fed with, and its parameters.
const REFUSED: &str = r#"
normalize <- u8 [480, 640, 3]: {"mean": 0.5}
normalize <- u8 [480, 640, 3]: {"scale": 0}
normalize <- u8 [480, 640, 3]: {"scale": 255, "std": [0.2, 0, 0.2]}
normalize <- u8 [480, 640, 3]: {"scale": 255, "mean": [0.4, 0.5]}
normalize <- f32 [3, 480, 640]: {"mean": 0.5}
normalize <- f32 [480, 640, 3]: {"mean": 0.5, "layout": "chw"}
normalize <- f32 [480, 640, 3]: {"mean": 0.5, "layout": "nchw"}
normalize <- f32 [480, 640, 3]: {"means": 0.5}
normalize <- f32 [10]: {}
normalize <- string [480, 640, 3]: {}
normalize <- f32 [0, 640, 3]: {}
resize <- u8 [480, 640, 3]: {}
resize <- u8 [480, 640, 3]: {"size": [224, 224, 3]}
resize <- u8 [480, 640, 3]: {"size": [224, 0]}
resize <- u8 [480, 640, 3]: {"size": 30000}
resize <- u8 [480, 640, 3]: {"size": 224, "filter": "area"}
resize <- u8 [480, 640, 3]: {"size": 224, "filter": "nearest", "antialias": true}
resize <- u8 [480, 640, 3]: {"size": 224, "filter": "lanczos", "antialias": false}
center_crop <- u8 [480, 640, 3]: {"size": [500, 500]}
letterbox <- u8 [480, 640, 3]: {"size": 640}
letterbox <- u8 [480, 640, 3]: {"size": 640, "fill": 300}
letterbox <- u8 [480, 640, 3]: {"size": 640, "fill": 0.5}
mean_pool <- f32 [128], i64 [128]: {}
mean_pool <- f32 [128, 384], i64 [64]: {}
mean_pool <- string [128, 384], i64 [128]: {}
mean_pool <- f32 [128, 384], string [128]: {}
nms <- f32 [4, 100], f32 [100]: {"iou": 0.5, "max_detections": 10}
nms <- f32 [100, 4], f32 [100, 80]: {"iou": 0.5, "max_detections": 10}
nms <- f32 [100, 4], f32 [100]: {"iou": 50, "max_detections": 10}
nms <- f32 [100, 4], f32 [100]: {"iou": 0.5, "max_detections": 300}
nms <- f32 [100, 4], f32 [2, 100]: {"iou": 0.5, "max_detections": 0}
nms <- f32 [100, 4], f32 [100]: {"iou": 0.5}
nms <- f32 [100, 4], f32 [100]: {"iou": 0.5, "max_detections": 10, "format": "yxyx"}
nms <- string [100, 4], f32 [100]: {"iou": 0.5, "max_detections": 10}
ctc <- f32 [40, 97]: {}
ctc <- f32 [40, 97]: {"blank": 97}
ctc <- f32 [40, 3]: {"blank": 0, "labels": ["a", "b"]}
ctc <- f32 [97]: {"blank": 0}
spectrogram <- f32 [1, 16000]: {"n_fft": 400}
spectrogram <- f32 [16000]: {"n_fft": 1}
spectrogram <- f32 [16000]: {"n_fft": 400, "win_length": 512}
spectrogram <- f32 [16000]: {"n_fft": 400, "hop_length": 0}
spectrogram <- f32 [320]: {"n_fft": 400, "center": false}
spectrogram <- f32 [200]: {"n_fft": 400, "pad_mode": "reflect"}
spectrogram <- f32 [16000]: {"n_fft": 400, "power": 3}
spectrogram <- f32 [16000]: {"n_fft": 400, "amin": 1e-10}
spectrogram <- f32 [16000]: {"n_fft": 400, "log": "db", "amin": 0}
spectrogram <- f32 [16000]: {"n_fft": 400, "log": "db", "top_db": -1}
spectrogram <- f32 [16000]: {"n_fft": 400, "mel": {"sample_rate": 0, "n_mels": 80}}
spectrogram <- f32 [16000]: {"n_fft": 400, "mel": {"sample_rate": 16000, "n_mels": 0}}
spectrogram <- f32 [16000]: {"n_fft": 400, "mel": {"sample_rate": 16000, "n_mels": 80, "fmax": 11025}}
reshape <- f32 [16]: {"shape": [3, 5]}
reshape <- f32 [16]: {"shape": [3, -1]}
reshape <- f32 [16]: {"shape": [-1, -1]}
reshape <- f32 [16]: {"shape": [0, 16]}
transpose <- f32 [4, 5]: {"axes": [1, 2]}
transpose <- f32 [4, 5]: {"axes": [0]}
"#;

/// A step with these parameters and inputs: what is said where it is refused.
fn refused(key: &str, params: &Json, inputs: &[(Dtype, Vec<usize>)]) -> String {
    let mut graph = GraphBuilder::new(18);
    let inputs: Vec<Value> = (inputs.iter())
        .map(|(dtype, shape)| graph.input("input", *dtype, shape))
        .collect();
    let step = match steps::read(key, params).unwrap() {
        Ok(step) => step,
        Err(error) => return error.to_string(),
    };
    match step.emit(&mut graph, &inputs) {
        Ok(outputs) => panic!("{key} {params} gives {outputs:?}"),
        Err(fault) => {
            let subject = fault.key.map_or("it".to_owned(), |key| format!("`{key}`"));
            let help = fault.help.map(|help| format!("\n    help: {help}"));
            format!("{subject} {}{}", fault.what, help.unwrap_or_default())
        }
    }
}

/// `f32 [100, 4], i64 [100]`.
fn fed(text: &str) -> Vec<(Dtype, Vec<usize>)> {
    (text.split_inclusive(']'))
        .map(|input| {
            let (dtype, shape) = input.trim_start_matches(", ").split_once(' ').unwrap();
            let dtype = Dtype::from_name(dtype).unwrap();
            (dtype, serde_json::from_str(shape).unwrap())
        })
        .collect()
}

#[test]
fn faults_say_what_to_do() {
    let said: Vec<String> = (REFUSED.trim().lines())
        .map(|line| {
            let (key, rest) = line.split_once(" <- ").unwrap();
            let (inputs, params) = rest.split_once(": ").unwrap();
            let params = serde_json::from_str(params).unwrap();
            format!("{line}\n    {}", refused(key, &params, &fed(inputs)))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn nothing_is_emitted_for_nothing() {
    // Sizes that stay, axes that stay, numbers that change nothing.
    let cases = [
        ("resize", r#"{"size": [4, 6]}"#),
        ("center_crop", r#"{"size": [4, 6]}"#),
        ("letterbox", r#"{"size": [4, 6], "fill": 0}"#),
        ("normalize", "{}"),
        ("transpose", r#"{"axes": [0, 1, 2]}"#),
        ("reshape", r#"{"shape": [4, 6, 3]}"#),
    ];
    for (key, params) in cases {
        let mut graph = GraphBuilder::new(18);
        let input = graph.input("input", Dtype::F32, &[4, 6, 3]);
        let params: Json = serde_json::from_str(params).unwrap();
        let step = steps::read(key, &params).unwrap().unwrap();
        step.emit(&mut graph, &[input]).unwrap();
        assert!(graph.is_empty(), "{key}");
    }
}
