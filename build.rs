//! Puts the compiled kernels where the program embeds them.
fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(format!("{out}/kernels.fatbin"), std::fs::read("kernels/prebuilt/kernels.fatbin").unwrap_or_default()).unwrap();
}
