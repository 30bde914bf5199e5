//! What forebay loads or starts: ONNX Runtime, CUDA's libraries, nats-server.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Finding, Status, machine::gibibytes};
use crate::{
    cli::demo,
    engine::{
        cpu::library,
        cuda::{
            kernels,
            probe::{DeviceInfo, Driver, Missing, Probe},
        },
    },
};

const MODELS: &str = "models";
const GPU: &str = "gpu";

pub(super) fn onnxruntime(flag: Option<&Path>) -> Finding {
    let found = Finding {
        needed: true,
        ..Finding::found(MODELS, "ONNX Runtime")
    };
    let path = library::find(flag);
    match (library::init(flag), path) {
        (Ok(()), path) => {
            let path = path.ok();
            Finding {
                version: path.as_deref().and_then(library::version),
                path,
                ..found
            }
        }
        (Err(error), path) => Finding {
            status: if path.is_ok() {
                Status::Unusable
            } else {
                Status::Missing
            },
            path: path.ok(),
            why: Some(error.to_string()),
            without: Some("no model runs".to_owned()),
            ..found
        },
    }
}

/// The driver, its devices, and the libraries that are good to have.
pub(super) fn cuda(probe: &Probe) -> Vec<Finding> {
    let driver = Finding::found(GPU, "CUDA driver");
    let mut findings = match &probe.driver {
        Ok(Driver {
            path,
            version,
            devices,
        }) => {
            let driver = Finding {
                version: Some(version.to_string()),
                path: Some(path.clone()),
                ..driver
            };
            std::iter::once(driver)
                .chain(devices.iter().map(device))
                .collect()
        }
        Err(missing) => vec![lacking(driver, missing, "models run on the CPU")],
    };
    for (about, found) in &probe.extras {
        let extra = Finding {
            details: Some(about.purpose.to_owned()),
            ..Finding::found(GPU, about.name)
        };
        findings.push(match found {
            Ok(found) => Finding {
                version: Some(found.version.clone()),
                path: Some(found.path.clone()),
                ..extra
            },
            Err(missing) => lacking(extra, missing, about.without),
        });
    }
    findings
}

/// The kernels that are built in.
pub(super) fn kernels() -> Finding {
    let kernels = Finding {
        details: Some(format!("built in, {} KiB", kernels::FATBIN.len() / 1024)),
        ..Finding::found(GPU, "kernels")
    };
    if kernels::FATBIN.is_empty() || kernels::STALE {
        return Finding {
            status: Status::Unusable,
            why: Some("they were not compiled from the sources of this build".to_owned()),
            without: Some("models run on the CPU".to_owned()),
            mend: Some("run `make kernels` in the project's folder, and build again".to_owned()),
            ..kernels
        };
    }
    kernels
}

fn lacking(finding: Finding, missing: &Missing, without: &str) -> Finding {
    Finding {
        status: if missing.present {
            Status::Unusable
        } else {
            Status::Missing
        },
        path: missing.path.clone(),
        why: Some(missing.why.clone()),
        without: Some(without.to_owned()),
        mend: missing.mend.clone(),
        ..finding
    }
}

fn device(device: &DeviceInfo) -> Finding {
    let total = gibibytes(device.memory.total);
    let memory = match device.memory.free {
        Some(free) => format!("{} of {total} free", gibibytes(free)),
        None => total,
    };
    Finding {
        status: if device.unusable.is_some() {
            Status::Unusable
        } else {
            Status::Found
        },
        details: Some(format!(
            "{}, compute capability {}, {} multiprocessors, {memory}",
            device.name, device.capability, device.multiprocessors
        )),
        why: device.unusable.clone(),
        ..Finding::found(GPU, format!("cuda:{}", device.ordinal))
    }
}

pub(super) fn nats_server() -> Finding {
    let finding = Finding {
        details: Some(
            "for `forebay demo` and tests; pipelines use the one that their file names".to_owned(),
        ),
        ..Finding::found("tools", "nats-server")
    };
    match demo::server::find() {
        Ok(path) => Finding {
            version: version_of_server(&path),
            path: Some(path),
            ..finding
        },
        Err(failure) => Finding {
            status: Status::Missing,
            why: Some(failure.to_string()),
            without: Some("`forebay demo` does not start".to_owned()),
            ..finding
        },
    }
}

/// What `nats-server --version` says: `nats-server: v2.15.1`.
fn version_of_server(path: &PathBuf) -> Option<String> {
    let asked = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8(asked.stdout).ok()?;
    Some(said.trim().rsplit_once('v')?.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::table::render, *};
    use crate::engine::cuda::probe::{CUBLASLT, CUDNN, Found, MemoryInfo, NVRTC, Version};

    fn missing(why: &str, present: bool) -> Missing {
        Missing {
            why: why.to_owned(),
            present,
            path: present.then(|| "/usr/lib/libcuda.so.1".into()),
            mend: present.then(|| "update it".to_owned()),
        }
    }

    #[test]
    fn a_machine_without_cuda() {
        let probe = Probe {
            driver: Err(missing("no such library", false)),
            extras: vec![
                (NVRTC, Err(missing("no such library", false))),
                (CUBLASLT, Err(missing("no such library", false))),
                (CUDNN, Err(missing("it is broken", true))),
            ],
        };
        insta::assert_snapshot!(render(&cuda(&probe)));
    }

    #[test]
    fn a_machine_with_two_gpus() {
        let device = |ordinal, unusable: Option<&str>| DeviceInfo {
            ordinal,
            name: "Made Up 5000".to_owned(),
            capability: Version(9, 0),
            multiprocessors: 132,
            memory: MemoryInfo {
                total: 80 << 30,
                free: unusable.is_none().then_some(79 << 30),
            },
            unusable: unusable.map(str::to_owned),
        };
        let found = |path: &str| {
            Ok(Found {
                path: path.into(),
                version: "13.0".to_owned(),
            })
        };
        let probe = Probe {
            driver: Ok(Driver {
                path: "/usr/lib/libcuda.so.580.1".into(),
                version: Version(13, 0),
                devices: vec![device(0, None), device(1, Some("it is taken"))],
            }),
            extras: vec![
                (NVRTC, found("/venv/lib/libnvrtc.so.13")),
                (CUBLASLT, found("/venv/lib/libcublasLt.so.13")),
                (CUDNN, Err(missing("no such library", false))),
            ],
        };
        insta::assert_snapshot!(render(&cuda(&probe)));
    }
}
