//! A photograph of 640 × 480 (JPEG, quality 75, 4:2:0, 66 kB) becomes the input of a classifier, by
//! the image step; `benches/image.py` does the same with Pillow.
//!
//! FIGURES

use std::{fs, hint::black_box};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forebay::host::image::{AxisOrder, Filter, Fit, ImageOptions, ImageStep};

fn photo() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/images/photo.jpg");
    fs::read(path).expect("the photograph of the tests")
}

fn image(c: &mut Criterion) {
    let photo = photo();
    let mut group = c.benchmark_group("image");
    group.throughput(Throughput::Elements(1));
    let mut measure = |name: &str, options: ImageOptions| {
        let mut step = ImageStep::new(options).expect("good options");
        let mut out = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                step.run(black_box(&photo), &mut out)
                    .expect("a good photograph");
            });
        });
    };
    measure(
        "decode alone",
        ImageOptions {
            layout: AxisOrder::Hwc,
            ..ImageOptions::new([480, 640], Fit::Stretch)
        },
    );
    for filter in [
        Filter::Nearest,
        Filter::Bilinear,
        Filter::Bicubic,
        Filter::Lanczos,
    ] {
        measure(
            &format!("to 224 x 224, {filter:?}"),
            ImageOptions {
                filter,
                ..ImageOptions::new([224, 224], Fit::Stretch)
            },
        );
    }
    measure(
        "resize 256, crop 224, Bilinear",
        ImageOptions {
            resize: Some(256),
            ..ImageOptions::new([224, 224], Fit::Crop)
        },
    );
    group.finish();
}

criterion_group!(benches, image);
criterion_main!(benches);
