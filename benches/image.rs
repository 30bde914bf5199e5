//! A photograph of 640 × 480 (JPEG, quality 75, 4:2:0, 66 kB) becomes the input of a classifier, by
//! the image step; `benches/image.py` does the same with Pillow.
//!
//! Best of nine runs each, one after the other on a virtual machine with two x86-64 cores (busy with
//! other work too: take the ratios), one thread, in microseconds, Pillow 12.3 up to a `numpy` array
//! of channels, height, width:
//!
//! | what | image step | Pillow |
//! |---|---:|---:|
//! | decode alone | 1,510 | 2,420 |
//! | to 224 × 224, nearest | 1,710 | 3,560 |
//! | to 224 × 224, bilinear | 3,110 | 4,870 |
//! | to 224 × 224, bicubic | 3,140 | 6,390 |
//! | to 224 × 224, Lanczos | 3,790 | 9,130 |

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
