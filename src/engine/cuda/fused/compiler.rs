//! Has NVRTC compile kernels for a GPU, or takes what was compiled at an earlier start.

use std::collections::BTreeMap;

use ring::digest::{Context, SHA256};

use super::{Code, cache::Cache, hexadecimal};
use crate::engine::cuda::{
    device::{CompileError, CudaError, Device, Module, Nvrtc, Source},
    probe::{Missing, Version},
};

/// A file of `kernels/`.
macro_rules! header {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../../kernels/", $name)))
    };
}
/// What the texts may include: those of the kernels that are built in, so that both compute the same.
const HEADERS: &[(&str, &str)] = &[
    header!("args.cuh"),
    header!("args_boxes.cuh"),
    header!("args_products.cuh"),
    header!("common.cuh"),
    header!("operators.cuh"),
    header!("activation.cuh"),
    header!("fused/chain.cuh"),
    header!("fused/mlp.cuh"),
];

/// Kernels by name.
pub type Codes<'c> = BTreeMap<&'c str, &'c Code>;

/// Why kernels for a model are not there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FuseError {
    /// NVRTC is not there, or not whole.
    #[error("{0}")]
    Missing(#[from] Missing),
    /// It does not compile them.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The device does not take them.
    #[error(transparent)]
    Device(#[from] CudaError),
}

/// NVRTC for one GPU.
#[derive(Debug)]
pub struct Compiler {
    device: Device,
    nvrtc: Nvrtc,
    architecture: String,
    cache: Cache,
}

impl Compiler {
    /// # Errors
    /// NVRTC cannot be used.
    pub fn open(device: &Device) -> Result<Self, Missing> {
        let nvrtc = Nvrtc::loaded()?;
        let Version(major, minor) = device.capability();
        let architecture = format!("sm_{major}{minor}");
        Ok(Self {
            device: device.clone(),
            nvrtc,
            cache: Cache::of(&architecture, nvrtc.version()),
            architecture,
        })
    }

    /// NVRTC's version.
    pub fn version(&self) -> &str {
        self.nvrtc.version()
    }

    /// One module with these kernels, by name.
    ///
    /// # Errors
    /// They do not compile, or the device does not take them.
    pub fn module(&self, codes: &Codes<'_>) -> Result<Module, FuseError> {
        let (text, options) = (text(codes), options(&self.architecture));
        let source = source(&text, &options);
        let key = key(&source);
        if let Some(kept) = self.cache.code(&key) {
            match self.device.module(&kept) {
                Ok(module) => return Ok(module),
                Err(lost) if self.device.lost().is_some() => return Err(lost.into()),
                Err(error) => {
                    tracing::warn!(%error, "a model's kernels of an earlier start are compiled anew");
                }
            }
        }
        let code = self.nvrtc.compile(&source)?;
        let module = self.device.module(&code)?;
        self.cache.keep(&key, &code);
        Ok(module)
    }
}

/// A cubin with these kernels for an architecture (`sm_90`); there need be no device of it.
///
/// # Errors
/// They do not compile.
pub fn cubin(nvrtc: Nvrtc, architecture: &str, codes: &Codes<'_>) -> Result<Vec<u8>, CompileError> {
    nvrtc.compile(&source(&text(codes), &options(architecture)))
}

/// As the kernels that are built in: FMA where one operator's expression allows it, exact division and roots, numbers
/// next to zero kept.
fn options(architecture: &str) -> [String; 6] {
    [
        format!("--gpu-architecture={architecture}"),
        "--std=c++17".to_owned(),
        "--fmad=true".to_owned(),
        "--ftz=false".to_owned(),
        "--prec-div=true".to_owned(),
        "--prec-sqrt=true".to_owned(),
    ]
}

fn source<'s>(text: &'s str, options: &'s [String]) -> Source<'s> {
    Source {
        text,
        headers: HEADERS,
        options,
    }
}

/// All kernels as one text.
fn text(codes: &Codes<'_>) -> String {
    let mut text = "#include \"fused/chain.cuh\"\n#include \"fused/mlp.cuh\"\n".to_owned();
    for code in codes.values() {
        text.push('\n');
        text.push_str(code.text());
    }
    text
}

/// What the code depends on beside NVRTC.
fn key(source: &Source<'_>) -> String {
    let mut digest = Context::new(&SHA256);
    let headers = source
        .headers
        .iter()
        .flat_map(|(name, text)| [*name, *text]);
    let parts = headers
        .chain(source.options.iter().map(String::as_str))
        .chain([source.text]);
    for part in parts {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part.as_bytes());
    }
    hexadecimal(&digest.finish())
}
