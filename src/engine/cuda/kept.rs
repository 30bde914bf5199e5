//! Files of an earlier start: a folder below the user's cache.
//!
//! Nothing depends on them but how long a start takes. They may be deleted at any time.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

/// `$XDG_CACHE_HOME/forebay`, or the same below `$HOME/.cache`; none where neither is an absolute path.
pub(super) fn folder() -> Option<PathBuf> {
    let named = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
    Some(caches?.join("forebay"))
}

/// Writes a file as a whole: whoever reads meanwhile sees the old one.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let being_written = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&being_written, bytes)?;
    fs::rename(&being_written, path)
}

/// A text as part of a file's name.
pub(super) fn plain(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    (text.chars())
        .map(|letter| if plain(letter) { letter } else { '-' })
        .collect()
}
