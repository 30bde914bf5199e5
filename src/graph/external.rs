//! Weights in files of their own, brought into the model.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::{Component, Path},
};

use bytes::Bytes;
use prost::Message as _;

use super::{
    GraphError,
    proto::{Model, Tensor},
    read::{FILE_MAX, too_large},
    walk,
};

/// The weights are in a file of their own.
const EXTERNAL: i32 = 1;

/// Brings weights that are in files of their own, in or below `folder`, into the model, so that one file has all.
///
/// # Errors
/// A file is missing, too short or outside the folder; or all together is too large for one file (2 GiB).
pub fn inline_external(model: &mut Model, folder: &Path) -> Result<(), GraphError> {
    let mut size = model.encoded_len();
    walk::tensors(model, &mut |tensor| {
        if tensor.data_location != Some(EXTERNAL) {
            return Ok(());
        }
        let data = read(tensor, folder, size).map_err(|error| GraphError {
            what: format!("constant `{}`: {}", tensor.name, error.what),
            ..error
        })?;
        size = size.saturating_add(data.len());
        tensor.raw_data = Some(data);
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    })
}

/// The weights of one tensor, where `before` bytes are in the model already.
fn read(tensor: &Tensor, folder: &Path, before: usize) -> Result<Bytes, GraphError> {
    let place = Place::of(tensor)?;
    let inside = Path::new(place.location)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if place.location.is_empty() || !inside {
        return Err(GraphError::new(format!(
            "its weights are at `{}`, which is not in the model's folder",
            place.location
        ))
        .help("put the file beside the model, and save the model with a path relative to it"));
    }
    let path = folder.join(place.location);
    let failed = |error: std::io::Error| {
        GraphError::new(format!(
            "its weights cannot be read from {}: {error}",
            path.display()
        ))
        .help("copy the files with weights together with the model")
    };
    let mut file = File::open(&path).map_err(failed)?;
    let available = file.metadata().map_err(failed)?.len();
    let rest = available.saturating_sub(place.offset);
    let length = place.length.unwrap_or(rest);
    if length > rest {
        return Err(GraphError::new(format!(
            "its weights are {length} bytes behind the first {}, and {} has only {available}",
            place.offset,
            path.display()
        ))
        .help("the file is damaged or of another model: copy it again"));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let wanted = byte_size(tensor);
    if wanted.is_some_and(|wanted| wanted != length) {
        return Err(GraphError::new(format!(
            "its weights are {length} bytes long, and its shape {:?} needs {}",
            tensor.dims,
            wanted.unwrap_or_default()
        )));
    }
    let total = before.saturating_add(length);
    if total > FILE_MAX {
        return Err(too_large(total));
    }
    file.seek(SeekFrom::Start(place.offset)).map_err(failed)?;
    let mut data = vec![0; length];
    file.read_exact(&mut data).map_err(failed)?;
    Ok(Bytes::from(data))
}

/// Where the weights of a tensor are.
struct Place<'a> {
    location: &'a str,
    offset: u64,
    length: Option<u64>,
}

impl<'a> Place<'a> {
    fn of(tensor: &'a Tensor) -> Result<Self, GraphError> {
        let get = |key: &str| {
            (tensor.external_data.iter())
                .find(|property| property.key == key)
                .map(|property| property.value.as_str())
        };
        let number = |key: &str| {
            let parse = |text: &str| {
                text.parse::<u64>().map_err(|_| {
                    GraphError::new(format!(
                        "the {key} of its weights is `{text}`, not a number"
                    ))
                })
            };
            get(key).map(parse).transpose()
        };
        Ok(Self {
            location: get("location").unwrap_or_default(),
            offset: number("offset")?.unwrap_or_default(),
            length: number("length")?,
        })
    }
}

/// The bytes that a tensor's raw data must have; `None` where the type's size is not known here.
fn byte_size(tensor: &Tensor) -> Option<usize> {
    let bits = match tensor.data_type {
        2 | 3 | 9 | 17..=20 | 24 => 8,
        4 | 5 | 10 | 16 => 16,
        1 | 6 | 12 => 32,
        7 | 11 | 13 | 14 => 64,
        15 => 128,
        21..=23 => 4,
        25 | 26 => 2,
        _ => return None,
    };
    let elements = tensor.dims.iter().try_fold(1usize, |product, dim| {
        product.checked_mul(usize::try_from(*dim).ok()?)
    })?;
    Some(elements.checked_mul(bits)?.div_ceil(8))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::graph::proto::{Graph, Property};

    /// A model with one constant of three `f32` that is somewhere else.
    fn model(dims: &[i64], place: &[(&str, &str)]) -> Model {
        let tensor = Tensor {
            name: "weights".to_owned(),
            dims: dims.to_vec(),
            data_type: 1,
            data_location: Some(EXTERNAL),
            external_data: (place.iter())
                .map(|&(key, value)| Property {
                    key: key.to_owned(),
                    value: value.to_owned(),
                })
                .collect(),
            ..Tensor::default()
        };
        Model {
            graph: Some(Graph {
                initializer: vec![tensor],
                ..Graph::default()
            }),
            ..Model::default()
        }
    }

    fn inlined(folder: &Path, dims: &[i64], place: &[(&str, &str)]) -> Result<Tensor, String> {
        let mut model = model(dims, place);
        inline_external(&mut model, folder).map_err(|error| error.to_string())?;
        let graph = model.graph.unwrap_or_default();
        Ok(graph.initializer[0].clone())
    }

    #[test]
    fn weights_come_from_their_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..20).collect();
        fs::write(folder.path().join("w.bin"), &bytes).expect("written");
        let place = [("location", "w.bin"), ("offset", "4"), ("length", "12")];
        let tensor = inlined(folder.path(), &[3], &place).expect("read");
        assert_eq!(tensor.raw_data.as_deref(), Some(&bytes[4..16]));
        assert_eq!(
            (tensor.data_location, tensor.external_data.len()),
            (None, 0)
        );
        let tensor = inlined(folder.path(), &[5], &[("location", "./w.bin")]).expect("read");
        assert_eq!(tensor.raw_data.as_deref(), Some(&bytes[..]));
    }

    type Case = (
        &'static str,
        &'static [i64],
        &'static [(&'static str, &'static str)],
    );

    #[test]
    fn what_cannot_be_brought_in_is_said() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("w.bin"), [0; 20]).expect("written");
        let large = fs::File::create(folder.path().join("large.bin")).expect("made");
        large.set_len(3 << 30).expect("long");
        let cases: [Case; 9] = [
            ("nowhere", &[3], &[]),
            ("missing", &[3], &[("location", "v.bin")]),
            ("above", &[3], &[("location", "../w.bin")]),
            ("absolute", &[3], &[("location", "/etc/passwd")]),
            (
                "not a number",
                &[3],
                &[("location", "w.bin"), ("offset", "-1")],
            ),
            (
                "too short",
                &[3],
                &[("location", "w.bin"), ("offset", "12"), ("length", "12")],
            ),
            (
                "far behind",
                &[3],
                &[("location", "w.bin"), ("offset", "99999999999")],
            ),
            (
                "another shape",
                &[4],
                &[("location", "w.bin"), ("length", "12")],
            ),
            ("2 GiB", &[3 << 28], &[("location", "large.bin")]),
        ];
        let said = cases.map(|(what, dims, place)| {
            let error = inlined(folder.path(), dims, place).expect_err(what);
            let error = error.replace(&*folder.path().to_string_lossy(), "FOLDER");
            format!("{what}: {error}")
        });
        insta::assert_snapshot!(said.join("\n"));
    }
}
