mod hostile;
mod options;
mod pillow;
mod resize;

use std::{fs, path::PathBuf};

use super::{ImageFault, ImageOptions, ImageStep};

/// A file of tests/data/images.
fn file(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/images");
    fs::read(path.join(name)).expect("a test image")
}

fn run(options: ImageOptions, bytes: &[u8]) -> Result<Vec<u8>, ImageFault> {
    let mut out = Vec::new();
    ImageStep::new(options)
        .expect("good options")
        .run(bytes, &mut out)?;
    Ok(out)
}
