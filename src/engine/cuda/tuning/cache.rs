//! What was measured at an earlier start: a file for each kind of GPU and version of the library.
//!
//! `$XDG_CACHE_HOME/forebay/LIBRARY/GPU-VERSION.json`, or the same below `$HOME/.cache`. The file may be deleted at any
//! time. What cannot be read is measured anew, and what cannot be written is measured at the next start again: nothing
//! depends on it but how long a start takes.

use std::{
    collections::BTreeMap,
    fs, io,
    marker::PhantomData,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::engine::cuda::{
    device::{Algorithm, Method},
    kept,
    kernels::HASH,
};

/// The file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// As its maker calls it.
    gpu: String,
    /// The library's version.
    #[serde(alias = "cublaslt")]
    version: String,
    /// By key, in the library's words; or [`OWN`], and of which kernels.
    algorithms: BTreeMap<String, String>,
}

/// How something is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way<M> {
    /// By the library.
    Library(M),
    /// By forebay's kernel.
    Own,
}

/// A library's way to do something, as a word.
pub(super) trait Worded: Copy {
    /// The library's folder.
    const FOLDER: &str;

    fn word(&self) -> String;

    /// One that was kept: whether it can be used is to be asked.
    fn of_word(word: &str) -> Option<Self>;
}

/// Eight words of sixteen hexadecimal digits.
impl Worded for Algorithm {
    const FOLDER: &str = "cublaslt";

    fn word(&self) -> String {
        let digits = self.words().map(|word| format!("{word:016x}"));
        digits.concat()
    }

    fn of_word(digits: &str) -> Option<Self> {
        if digits.len() != 128 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let mut words = [0; 8];
        for (at, word) in words.iter_mut().enumerate() {
            *word = u64::from_str_radix(digits.get(at * 16..at * 16 + 16)?, 16).ok()?;
        }
        Some(Self::of_words(words))
    }
}

/// A number.
impl Worded for Method {
    const FOLDER: &str = "cudnn";

    fn word(&self) -> String {
        format!("algorithm {}", self.number)
    }

    fn of_word(word: &str) -> Option<Self> {
        let number = word.strip_prefix("algorithm ")?.parse().ok()?;
        Some(Self {
            number,
            workspace: usize::MAX,
        })
    }
}

/// What stands for forebay's kernel, before the digest of the kernels' sources: others may be slower or faster.
const OWN: &str = "own ";

/// What is kept, and where.
#[derive(Debug)]
pub(super) struct Cache<M> {
    kept: Kept,
    path: Option<PathBuf>,
    changed: bool,
    of: PhantomData<M>,
}

impl<M: Worded> Cache<M> {
    /// What is kept of this GPU and this version of the library.
    pub(super) fn of(gpu: &str, version: &str) -> Self {
        Self::at(kept::folder().as_deref(), gpu, version)
    }

    fn at(folder: Option<&Path>, gpu: &str, version: &str) -> Self {
        let plain = kept::plain;
        let file = format!("{}-{}.json", plain(gpu), plain(version));
        let path = folder.map(|folder| folder.join(M::FOLDER).join(file));
        let mut empty = Kept {
            gpu: gpu.to_owned(),
            version: version.to_owned(),
            algorithms: BTreeMap::new(),
        };
        match path.as_deref().map(|path| read::<M>(path, &empty)) {
            Some(Ok(kept)) => empty = kept,
            Some(Err(why)) => {
                let path = path.as_deref().unwrap_or(Path::new("")).display();
                tracing::warn!(
                    "what was measured of {} before is measured anew, since {path} {why}",
                    M::FOLDER
                );
            }
            None => {}
        }
        Self {
            kept: empty,
            path,
            changed: false,
            of: PhantomData,
        }
    }

    /// The way that was fastest then.
    pub(super) fn way(&self, key: &str) -> Option<Way<M>> {
        let held = self.kept.algorithms.get(key)?;
        match held.strip_prefix(OWN) {
            Some(kernels) => (kernels == HASH).then_some(Way::Own),
            None => M::of_word(held).map(Way::Library),
        }
    }

    /// Keeps a way.
    pub(super) fn keep(&mut self, key: &str, way: &Way<M>) {
        let held = match way {
            Way::Own => format!("{OWN}{HASH}"),
            Way::Library(way) => way.word(),
        };
        self.kept.algorithms.insert(key.to_owned(), held);
        self.changed = true;
    }

    /// Writes what is new, beside what another process has written meanwhile.
    pub(super) fn save(&mut self) {
        let Some(path) = self.path.as_deref().filter(|_| self.changed) else {
            return;
        };
        self.changed = false;
        if let Ok(other) = read::<M>(path, &self.kept) {
            for (key, algorithm) in other.algorithms {
                self.kept.algorithms.entry(key).or_insert(algorithm);
            }
        }
        let written = serde_json::to_vec_pretty(&self.kept).map_err(io::Error::from);
        if let Err(error) = written.and_then(|bytes| kept::write(path, &bytes)) {
            let path = path.display();
            let library = M::FOLDER;
            tracing::warn!("what was measured of {library} cannot be kept in {path}: {error}");
        }
    }
}

/// What the file holds, if it is of the same GPU and library; nothing where it is not there.
fn read<M: Worded>(path: &Path, of: &Kept) -> Result<Kept, String> {
    let nothing = || Kept {
        gpu: of.gpu.clone(),
        version: of.version.clone(),
        algorithms: BTreeMap::new(),
    };
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(nothing()),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let kept: Kept =
        serde_json::from_slice(&bytes).map_err(|error| format!("is damaged: {error}"))?;
    if (&kept.gpu, &kept.version) != (&of.gpu, &of.version) {
        return Err(format!("is of {} and {}", kept.gpu, kept.version));
    }
    let odd = |held: &&String| !held.starts_with(OWN) && M::of_word(held).is_none();
    match kept.algorithms.values().find(odd) {
        Some(odd) => Err(format!("is damaged: `{odd}` is no algorithm")),
        None => Ok(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(words: [u64; 8]) -> Way<Algorithm> {
        Way::Library(Algorithm::of_words(words))
    }

    #[test]
    fn what_was_kept_is_there_at_the_next_start_for_the_same_gpu_and_version() {
        let place = tempfile::tempdir().unwrap();
        let at = |gpu, version| Cache::<Algorithm>::at(Some(place.path()), gpu, version);
        let mut cache = at("A GPU / 80GB", "13.0.2");
        let words = [1, u64::MAX, 0, 4, 5, 6, 7, 8];
        cache.keep("fp32 x", &kept(words));
        cache.save();
        let file = place.path().join("cublaslt/A-GPU---80GB-13.0.2.json");
        assert!(file.exists());
        let again = at("A GPU / 80GB", "13.0.2");
        assert_eq!(again.way("fp32 x"), Some(kept(words)));
        assert_eq!(again.way("fp32 y"), None);
        assert_eq!(at("A GPU / 80GB", "13.1.0").way("fp32 x"), None);
        // Another name that gives the same file is another GPU all the same.
        assert_eq!(at("A GPU - 80GB", "13.0.2").way("fp32 x"), None);
    }

    #[test]
    fn forebays_own_kernel_is_kept_as_long_as_the_kernels_are_the_same() {
        let place = tempfile::tempdir().unwrap();
        let at = || Cache::<Algorithm>::at(Some(place.path()), "gpu", "1");
        let mut cache = at();
        cache.keep("one", &Way::Own);
        cache.save();
        assert_eq!(at().way("one"), Some(Way::Own));
        let file = place.path().join("cublaslt/gpu-1.json");
        let other = fs::read_to_string(&file).unwrap().replace(HASH, "0123");
        fs::write(&file, other).unwrap();
        assert_eq!(at().way("one"), None, "it is measured anew");
    }

    #[test]
    fn each_library_has_a_folder_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let at = || Cache::<Method>::at(Some(place.path()), "gpu", "9.13.2");
        let way = |number| {
            Way::Library(Method {
                number,
                workspace: usize::MAX,
            })
        };
        let mut cache = at();
        cache.keep("fp16 x", &way(1));
        cache.save();
        assert_eq!(at().way("fp16 x"), Some(way(1)));
        let file = place.path().join("cudnn/gpu-9.13.2.json");
        let odd = fs::read_to_string(&file)
            .unwrap()
            .replace("algorithm 1", "algorithm x");
        fs::write(&file, odd).unwrap();
        assert_eq!(at().way("fp16 x"), None);
    }

    #[test]
    fn what_was_written_under_the_librarys_name_is_read() {
        let place = tempfile::tempdir().unwrap();
        let at = || Cache::<Algorithm>::at(Some(place.path()), "gpu", "1");
        let mut cache = at();
        cache.keep("one", &kept([1; 8]));
        cache.save();
        let file = place.path().join("cublaslt/gpu-1.json");
        let before = fs::read_to_string(&file)
            .unwrap()
            .replace("\"version\"", "\"cublaslt\"");
        fs::write(&file, before).unwrap();
        assert!(at().way("one").is_some());
    }

    #[test]
    fn two_processes_keep_what_both_measured() {
        let place = tempfile::tempdir().unwrap();
        let at = || Cache::<Algorithm>::at(Some(place.path()), "gpu", "1");
        let (mut one, mut other) = (at(), at());
        one.keep("one", &kept([1; 8]));
        other.keep("other", &kept([2; 8]));
        one.save();
        other.save();
        let both = at();
        assert!(both.way("one").is_some() && both.way("other").is_some());
    }

    #[test]
    fn a_damaged_file_is_left_out_and_written_anew() {
        let place = tempfile::tempdir().unwrap();
        let at = || Cache::<Algorithm>::at(Some(place.path()), "gpu", "1");
        let mut cache = at();
        cache.keep("one", &kept([1; 8]));
        cache.save();
        let file = place.path().join("cublaslt/gpu-1.json");
        let whole = fs::read_to_string(&file).unwrap();
        let odd_digit = whole.replacen("0001", "000g", 1);
        for damaged in ["", "{}", &whole[..whole.len() / 2], odd_digit.as_str()] {
            fs::write(&file, damaged).unwrap();
            let mut cache = at();
            assert_eq!(cache.way("one"), None, "{damaged}");
            cache.keep("two", &kept([2; 8]));
            cache.save();
            assert!(at().way("two").is_some(), "{damaged}");
        }
        // A folder in its place can be neither read nor written, and stops nothing.
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let mut cache = at();
        cache.keep("two", &kept([2; 8]));
        cache.save();
        assert!(cache.way("two").is_some());
    }
}
