use insta::assert_snapshot;

use crate::host::image::{AxisOrder, Channels, Filter, Fit, ImageOptions, ImageStep, Orientation};

fn fault(json: &str) -> String {
    let options: ImageOptions = match serde_json::from_str(json) {
        Ok(options) => options,
        Err(error) => return error.to_string(),
    };
    match ImageStep::new(options) {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn what_is_left_out_has_a_default() {
    let options: ImageOptions =
        serde_json::from_str(r#"{"size": [224, 112], "fit": "crop"}"#).expect("options");
    assert_eq!(options, ImageOptions::new([224, 112], Fit::Crop));
    assert_eq!(options.filter, Filter::Bilinear);
    assert_eq!(options.channels, Channels::Rgb);
    assert_eq!(options.layout, AxisOrder::Chw);
    assert_eq!(options.orientation, Orientation::Ignore);
    let shape = |channels, layout| {
        let options = ImageOptions {
            channels,
            layout,
            ..options.clone()
        };
        ImageStep::new(options).expect("good options").row_shape()
    };
    assert_eq!(shape(Channels::Rgb, AxisOrder::Chw), [3, 224, 112]);
    assert_eq!(shape(Channels::Gray, AxisOrder::Chw), [1, 224, 112]);
    assert_eq!(shape(Channels::Bgr, AxisOrder::Hwc), [224, 112, 3]);
}

#[test]
fn faults() {
    let faults: Vec<String> = [
        r#"{"size": [224, 224]}"#,
        r#"{"size": [224, 224], "fit": "squash"}"#,
        r#"{"size": [224, 224], "fit": "crop", "crop": 3}"#,
        r#"{"size": [0, 224], "fit": "crop"}"#,
        r#"{"size": [224, 4097], "fit": "stretch"}"#,
        r#"{"size": [224, 224], "fit": "stretch", "resize": 256}"#,
        r#"{"size": [224, 256], "fit": "crop", "resize": 255}"#,
        r#"{"size": [224, 256], "fit": "crop", "resize": 5000}"#,
        r#"{"size": [224, 256], "fit": "crop", "fill": [0, 0, 0]}"#,
        r#"{"size": [224, 256], "fit": "letterbox", "fill": [0, 0, 256]}"#,
        r#"{"size": [224, 256], "fit": "crop", "align": "top_left"}"#,
        r#"{"size": [224, 256], "fit": "crop", "max_pixels": 0}"#,
        r#"{"size": [224, 256], "fit": "crop", "max_bytes": 0}"#,
    ]
    .iter()
    .map(|json| format!("{json}\n  {}", fault(json)))
    .collect();
    assert_snapshot!(faults.join("\n"));
}
