//! The program reports to nobody and leaves nothing in the user's home.

use std::{fs, path::Path, process::Command};

#[test]
fn nothing_is_left_in_the_home_or_the_temporary_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (home, temporary) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let output = Command::new(env!("CARGO_BIN_EXE_forebay"))
        .arg("check")
        .arg(root.join("pipelines/penguins/pipeline.yaml"))
        .env_remove("ORT_DISABLE_TELEMETRY")
        .env_remove("XDG_CACHE_HOME")
        .env("HOME", home.path())
        .env("TMPDIR", temporary.path())
        .current_dir(root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    for folder in [home.path(), temporary.path()] {
        let left: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .flatten()
            .map(|entry| entry.path())
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
