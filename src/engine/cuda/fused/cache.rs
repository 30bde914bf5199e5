//! Code that was compiled at an earlier start: a file for each source, kind of GPU, version of NVRTC, and options.
//!
//! `$XDG_CACHE_HOME/forebay/nvrtc/ARCHITECTURE-VERSION/KEY.cubin`, or the same below `$HOME/.cache`: 32 bytes, the SHA-256
//! of what follows, then the code. What is damaged is compiled anew.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

use crate::engine::cuda::kept;

/// Where code is kept.
#[derive(Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
    /// It was said that nothing can be kept.
    said: AtomicBool,
}

impl Cache {
    /// For code of this architecture by this version of NVRTC.
    pub(super) fn of(architecture: &str, version: &str) -> Self {
        Self::at(kept::folder().as_deref(), architecture, version)
    }

    fn at(folder: Option<&Path>, architecture: &str, version: &str) -> Self {
        let name = format!("{}-{}", kept::plain(architecture), kept::plain(version));
        Self {
            folder: folder.map(|folder| folder.join("nvrtc").join(name)),
            said: AtomicBool::new(false),
        }
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        let folder = self.folder.as_deref()?;
        Some(folder.join(format!("{key}.cubin")))
    }

    /// What is kept under a key.
    pub(super) fn code(&self, key: &str) -> Option<Vec<u8>> {
        let path = self.path(key)?;
        let why = match fs::read(&path) {
            Ok(mut bytes) if bytes.len() > SHA256_OUTPUT_LEN => {
                let code = bytes.split_off(SHA256_OUTPUT_LEN);
                if digest(&SHA256, &code).as_ref() == bytes {
                    return Some(code);
                }
                "is damaged".to_owned()
            }
            Ok(_) => "is damaged".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => format!("cannot be read: {error}"),
        };
        let path = path.display();
        tracing::warn!("a model's kernels are compiled anew, since {path} {why}");
        None
    }

    /// Keeps code under a key. Where it cannot, that is said once.
    pub(super) fn keep(&self, key: &str, code: &[u8]) {
        let Some(path) = self.path(key) else {
            return;
        };
        let bytes = [digest(&SHA256, code).as_ref(), code].concat();
        if let Err(error) = kept::write(&path, &bytes)
            && !self.said.swap(true, Ordering::Relaxed)
        {
            let folder = path.parent().unwrap_or(Path::new("")).display();
            tracing::warn!(
                "models' kernels are compiled at each start, since they cannot be kept in {folder}: {error}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_at_the_next_start_for_the_same_key_architecture_and_version() {
        let place = tempfile::tempdir().unwrap();
        let at = |architecture, version| Cache::at(Some(place.path()), architecture, version);
        at("sm_90", "13.0").keep("key", b"code");
        assert_eq!(at("sm_90", "13.0").code("key").unwrap(), b"code");
        assert_eq!(at("sm_90", "13.0").code("other"), None);
        assert_eq!(at("sm_80", "13.0").code("key"), None);
        assert_eq!(at("sm_90", "13.1").code("key"), None);
        assert!(place.path().join("nvrtc/sm-90-13.0/key.cubin").exists());
    }

    #[test]
    fn what_is_damaged_is_left_out_and_kept_anew() {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::at(Some(place.path()), "sm_90", "13.0");
        cache.keep("key", b"code");
        let path = cache.path("key").unwrap();
        let whole = fs::read(&path).unwrap();
        let mut odd = whole.clone();
        odd[40 - 8] ^= 1;
        for damaged in [&[][..], &whole[..32], &whole[..whole.len() - 1], &odd] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(cache.code("key"), None);
            cache.keep("key", b"code");
            assert_eq!(cache.code("key").unwrap(), b"code");
        }
        // A folder in its place can be neither read nor written, and stops nothing.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(cache.code("key"), None);
        cache.keep("key", b"code");
        assert!(cache.said.load(Ordering::Relaxed));
    }
}
