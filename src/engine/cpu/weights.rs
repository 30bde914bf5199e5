//! The large weights of a model that is optimised, beside it: the optimiser is given them in a file, and what it leaves as they are
//! it neither copies nor writes. A model is optimised for one size after another, and weights are nearly all of it.

use std::{
    collections::HashMap,
    env,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;

use crate::graph::{
    self, GraphError,
    proto::{Model, Property, Tensor},
};

/// Smaller ones stay in the model: what operators do may hang on them.
const LARGE: usize = 16 << 10;
/// Each begins at a multiple of this many bytes.
const ALIGNMENT: u64 = 64;
/// The name of the file.
const NAME: &str = "weights";
/// What ONNX says where a tensor is in a file of its own.
const EXTERNAL: i32 = 1;

/// Weights in a file.
#[derive(Debug)]
pub(super) struct Weights {
    /// Where the file is, where there are any.
    folder: Option<Folder>,
    /// By their place in the file.
    held: HashMap<u64, Bytes>,
}

impl Weights {
    /// Takes large weights out of a model, and leaves a reference to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn taken_from(model: &mut Model) -> io::Result<Self> {
        let tensors = model.graph.iter_mut().flat_map(|it| &mut it.initializer);
        let is_large =
            |it: &&mut Tensor| it.raw_data.as_ref().is_some_and(|raw| raw.len() >= LARGE);
        let mut large = tensors.filter(is_large).peekable();
        let mut weights = Self {
            folder: None,
            held: HashMap::new(),
        };
        if large.peek().is_none() {
            return Ok(weights);
        }
        let folder = Folder::new()?;
        let mut file = BufWriter::new(File::create_new(folder.path().join(NAME))?);
        let mut end = 0_u64;
        for tensor in large {
            let Some(raw) = tensor.raw_data.take() else {
                continue;
            };
            let start = end.next_multiple_of(ALIGNMENT);
            io::copy(&mut io::Read::take(io::repeat(0), start - end), &mut file)?;
            file.write_all(&raw)?;
            end = start + raw.len() as u64;
            let property = |key: &str, value: String| Property {
                key: key.to_owned(),
                value,
            };
            tensor.data_location = Some(EXTERNAL);
            tensor.external_data = vec![
                property("location", NAME.to_owned()),
                property("offset", start.to_string()),
                property("length", raw.len().to_string()),
            ];
            weights.held.insert(start, raw);
        }
        file.flush()?;
        weights.folder = Some(folder);
        Ok(weights)
    }

    /// The folder of the file, where there is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(Folder::path)
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Bytes> {
        self.held.values()
    }

    /// Puts those back that are left of a model that refers to the file: the very same memory, in each model.
    ///
    /// # Errors
    /// It refers to something else.
    pub(super) fn put_back(&self, model: &mut Model) -> Result<(), GraphError> {
        for tensor in model.graph.iter_mut().flat_map(|it| &mut it.initializer) {
            if let Some(raw) = self.of(tensor) {
                tensor.raw_data = Some(raw.clone());
                tensor.external_data.clear();
                tensor.data_location = None;
            }
        }
        // What went into the graph of a branch, say.
        match self.folder() {
            Some(folder) => graph::inline_external(model, folder),
            None => Ok(()),
        }
    }

    /// What a tensor refers to.
    fn of(&self, tensor: &Tensor) -> Option<&Bytes> {
        let said = |key: &str| {
            let mut all = tensor.external_data.iter();
            Some(all.find(|it| it.key == key)?.value.as_str())
        };
        let name = Path::new(said("location")?).file_name()?;
        let offset: u64 = said("offset").unwrap_or("0").parse().ok()?;
        let raw = self.held.get(&offset).filter(|_| name == NAME)?;
        let whole = said("length").is_none_or(|it| it.parse() == Ok(raw.len()));
        (tensor.data_location == Some(EXTERNAL) && whole).then_some(raw)
    }
}

/// A folder of its own, which goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> io::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mut builder = fs::DirBuilder::new();
        // The weights are nobody else's business.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        loop {
            let folder = numbered(COUNT.fetch_add(1, Ordering::Relaxed));
            match builder.create(&folder) {
                Ok(()) => return Ok(Self(folder)),
                // Of a process that could not take it away and had the same number, as the only one of a container always has; or of
                // one that lives in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

fn numbered(number: u64) -> PathBuf {
    env::temp_dir().join(format!("forebay-optimize-{}-{number}", process::id()))
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::debug!("{} stays behind: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::proto::Graph;

    fn tensor(name: &str, raw: &[u8]) -> Tensor {
        Tensor {
            name: name.to_owned(),
            dims: vec![i64::try_from(raw.len()).unwrap()],
            data_type: 2,
            raw_data: Some(Bytes::copy_from_slice(raw)),
            ..Tensor::default()
        }
    }

    #[test]
    fn what_another_process_left_behind_is_passed_over() {
        let left: Vec<PathBuf> = (0..20).map(numbered).collect();
        let made: Vec<&PathBuf> = (left.iter())
            .filter(|folder| fs::create_dir(folder).is_ok())
            .collect();
        let folder = Folder::new().unwrap();
        assert!(folder.path().is_dir() && !made.contains(&&folder.0));
        for folder in made {
            fs::remove_dir(folder).unwrap();
        }
    }

    #[test]
    fn large_weights_are_in_a_file_and_come_back_in_the_same_memory() {
        let (small, one, two) = (vec![1; LARGE - 1], vec![2; LARGE + 5], vec![3; LARGE]);
        let tensors = [("small", &small), ("one", &one), ("two", &two)];
        let whole = Model {
            graph: Some(Graph {
                initializer: tensors.map(|(name, raw)| tensor(name, raw)).to_vec(),
                ..Graph::default()
            }),
            ..Model::default()
        };
        let mut model = whole.clone();
        let weights = Weights::taken_from(&mut model).unwrap();
        let folder = weights.folder().unwrap().to_owned();
        assert!(graph::to_bytes(&model).len() < LARGE + 500);
        // As anybody reads it who knows the format.
        let mut read = model.clone();
        graph::inline_external(&mut read, &folder).unwrap();
        assert_eq!(read, whole);
        weights.put_back(&mut model).unwrap();
        assert_eq!(model, whole);
        let back = model.graph.unwrap().initializer;
        let before: Vec<_> = weights.all().map(|it| it.as_ptr()).collect();
        for tensor in &back[1..] {
            assert!(before.contains(&tensor.raw_data.as_ref().unwrap().as_ptr()));
        }
        drop(weights);
        assert!(!folder.exists());
    }

    #[test]
    fn a_model_without_large_weights_has_no_file() {
        let mut model = Model::default();
        let weights = Weights::taken_from(&mut model).unwrap();
        assert_eq!((weights.folder(), weights.all().count()), (None, 0));
        weights.put_back(&mut model).unwrap();
    }
}
