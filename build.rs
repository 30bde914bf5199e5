//! Puts the compiled CUDA kernels where the engine embeds them from, and says whether they are of these sources.
//!
//! Never fails for want of a CUDA toolkit: `kernels/prebuilt/` is checked in, and `make kernels` makes it anew. Sets
//! `FOREBAY_KERNELS_HASH` (of the sources) and, where the fatbin is not made from them, `cfg(kernels_stale)`.

use std::{env, fs, io, path::Path};

use sha2::{Digest, Sha256};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=kernels");
    println!("cargo::rustc-check-cfg=cfg(kernels_stale)");
    if let Err(error) = embed() {
        // Only a full or read-only target folder comes here; cargo's own message would not name the file.
        println!("cargo::error=the CUDA kernels could not be put into OUT_DIR: {error}");
    }
}

fn embed() -> io::Result<()> {
    let out = env::var_os("OUT_DIR").unwrap_or_default();
    let fatbin = fs::read("kernels/prebuilt/kernels.fatbin").unwrap_or_default();
    fs::write(Path::new(&out).join("kernels.fatbin"), &fatbin)?;

    let sources = sources_digest().unwrap_or_default();
    println!("cargo::rustc-env=FOREBAY_KERNELS_HASH={sources}");
    let manifest = fs::read_to_string("kernels/prebuilt/MANIFEST").unwrap_or_default();
    let made_from = |name: &str, digest: &str| {
        manifest
            .lines()
            .any(|line| line.strip_prefix(name).map(str::trim) == Some(digest))
    };
    if fatbin.is_empty()
        || !made_from("sources ", &sources)
        || !made_from("fatbin ", &hex(&Sha256::digest(&fatbin)))
    {
        println!("cargo::rustc-cfg=kernels_stale");
        println!(
            "cargo::warning=kernels/prebuilt/kernels.fatbin is not made from kernels/*.cu as they are: run `make kernels`"
        );
    }
    Ok(())
}

/// SHA-256 over what `sha256sum` prints for the sources, in the order of their names; scripts/kernels.py computes the same.
fn sources_digest() -> io::Result<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir("kernels")? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.extension().is_some_and(|e| e == "cu" || e == "cuh") {
            lines.push((name, hex(&Sha256::digest(fs::read(&path)?))));
        }
    }
    lines.sort();
    let text: String = lines
        .iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect();
    Ok(hex(&Sha256::digest(text)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
