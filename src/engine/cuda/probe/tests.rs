//! Drivers that are made up: small libraries that the system's compiler makes here.

use std::{fs, path::PathBuf, process::Command};

use super::{
    CUBLASLT, CUDNN, MemoryInfo, Missing, NVRTC, Surroundings, Version, driver::Loaded,
    extras::Found,
};

/// A driver that answers what it is told to.
const DRIVER: &str = r#"
#include <stddef.h>
#include <string.h>
#ifndef NO_INIT
int cuInit(unsigned flags) { return INIT; }
#endif
int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
#ifndef NO_NAME
int cuDeviceGetName(char *name, int length, int device) { strncpy(name, "Made Up 5000 ", length); return 0; }
#endif
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? MAJOR : attribute == 76 ? 6 : 46;
    return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)24 << 30; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &device; return RETAIN; }
int cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
int cuCtxSetCurrent(void *context) { return 0; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = (size_t)20 << 30; *total = (size_t)24 << 30; return 0; }
"#;

struct Machine {
    place: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
        }
    }

    /// Compiles a library; gives its path.
    fn library(&self, name: &str, source: &str, flags: &[&str]) -> PathBuf {
        let path = self.place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let code = path.with_extension("c");
        fs::write(&code, source).unwrap();
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-o"])
            .arg(&path)
            .arg(&code)
            .args(flags);
        let done = compiler
            .output()
            .expect("a C compiler, as the build needs one");
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        path
    }

    /// A driver that is well but for these changes.
    fn driver(&self, changes: &[&str]) -> Result<Loaded, Missing> {
        let mut flags = vec![
            "-DINIT=0",
            "-DVERSION=13000",
            "-DCOUNT=2",
            "-DMAJOR=8",
            "-DRETAIN=0",
            "-w",
        ];
        // A later definition wins.
        flags.extend(changes);
        let path = self.library("libcuda.so.1", DRIVER, &flags);
        Loaded::new(&Surroundings {
            libcuda: Some(path),
            ..Surroundings::default()
        })
    }

    /// What is said of the driver, without the folder's name.
    fn said(&self, changes: &[&str]) -> String {
        let missing = match self.driver(changes) {
            Ok(loaded) => loaded.describe().unwrap_err(),
            Err(missing) => missing,
        };
        assert!(missing.present);
        assert!(missing.path.as_ref().unwrap().ends_with("libcuda.so.1"));
        self.without_place(&missing.to_string())
    }

    fn without_place(&self, text: &str) -> String {
        text.replace(&*self.place.path().to_string_lossy(), "PLACE")
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            packages: vec![self.place.path().join("site-packages")],
            toolkits: vec![self.place.path().join("cuda")],
            ..Surroundings::default()
        }
    }
}

#[test]
fn a_driver_tells_of_its_devices() {
    let loaded = Machine::new().driver(&[]).unwrap();
    let driver = loaded.describe().unwrap();
    assert_eq!(driver.version, Version(13, 0));
    assert_eq!(driver.devices.len(), 2);
    let second = &driver.devices[1];
    assert_eq!((second.ordinal, second.name.as_str()), (1, "Made Up 5000"));
    assert_eq!(second.capability, Version(8, 6));
    assert_eq!(second.multiprocessors, 46);
    let memory = MemoryInfo {
        total: 24 << 30,
        free: Some(20 << 30),
    };
    assert_eq!(second.memory, memory);
    assert_eq!(second.unusable, None);
    assert!(loaded.address("cuInit").is_some() && loaded.address("cuNothing").is_none());
}

#[test]
fn a_driver_that_does_not_start_says_why() {
    let mut said = Vec::new();
    for code in [34, 35, 100, 101, 304, 802, 803, 804, 999, 7] {
        said.push(Machine::new().said(&[&format!("-DINIT={code}")]));
    }
    said.push(Machine::new().said(&["-DCOUNT=0"]));
    said.push(Machine::new().said(&["-DVERSION=12040"]));
    said.push(Machine::new().said(&["-DNO_INIT"]));
    said.push(Machine::new().said(&["-DNO_NAME"]));
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_device_that_cannot_be_used_is_listed_with_the_reason() {
    let unusable = |change| {
        let loaded = Machine::new().driver(&[change]).unwrap();
        loaded.describe().unwrap().devices[0]
            .unusable
            .clone()
            .unwrap()
    };
    assert_eq!(
        unusable("-DMAJOR=7"),
        "its compute capability is 7.6, and the kernels need 8.0 or newer"
    );
    assert_eq!(
        unusable("-DRETAIN=46"),
        "it cannot be opened: cuDevicePrimaryCtxRetain answers 46"
    );
}

#[test]
fn a_library_that_is_none_is_said_to_be_none() {
    let machine = Machine::new();
    let text = machine.place.path().join("libcuda.so.1");
    fs::write(&text, "not a library").unwrap();
    let mut said = Vec::new();
    for path in [
        text,
        machine.place.path().join("nowhere"),
        "libcuda.so.1".into(),
    ] {
        let surroundings = Surroundings {
            libcuda: Some(path),
            ..Surroundings::default()
        };
        let missing = Loaded::new(&surroundings).unwrap_err();
        assert!(!missing.present);
        said.push(machine.without_place(&missing.to_string()));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_a_python_environment_brings_is_found_with_what_it_needs() {
    let machine = Machine::new();
    let folder = "site-packages/nvidia/cu13/lib";
    machine.library(
        &format!("{folder}/libnvrtc-builtins.so.13.0"),
        "int forebay_test_builtins(void) { return 13; }",
        &["-Wl,-soname,libnvrtc-builtins.so.13.0"],
    );
    // It finds the other only if that was loaded before, for all to see.
    let nvrtc = machine.library(
        &format!("{folder}/libnvrtc.so.13"),
        "int forebay_test_builtins(void);\n\
         int nvrtcVersion(int *major, int *minor) { *major = forebay_test_builtins(); *minor = 2; return 0; }",
        &[],
    );
    machine.library(
        "cuda/lib64/libcublasLt.so.12",
        "#include <stddef.h>\nsize_t cublasLtGetVersion(void) { return 120904; }",
        &[],
    );
    let surroundings = machine.surroundings();
    let found = Found {
        path: nvrtc,
        version: "13.2".to_owned(),
    };
    assert_eq!(NVRTC.find(&surroundings), Ok(found));
    assert_eq!(CUBLASLT.find(&surroundings).unwrap().version, "12.9.4");
}

#[test]
fn cudnn_is_taken_as_a_whole_and_no_older_than_it_can_be_used() {
    const FOLDER: &str = "site-packages/nvidia/cudnn/lib";
    let machine = Machine::new();
    let whole = format!("{FOLDER}/libcudnn.so.9");
    let absent = CUDNN.find(&Surroundings::default()).unwrap_err();
    let mut all = vec![absent.to_string()];
    let version = |number: u32| {
        format!("#include <stddef.h>\nsize_t cudnnGetVersion(void) {{ return {number}; }}")
    };
    for (source, parts) in [
        ("int x;".to_owned(), 6),
        (version(91_302), 0),
        (version(91_302), 3),
        (version(91_302), 6),
        (version(8907), 6),
    ] {
        // A library of one path is loaded once in a process, so each is another machine's.
        let machine = Machine::new();
        for part in &CUDNN.parts[..parts] {
            machine.library(&format!("{FOLDER}/{part}"), "int x;", &[]);
        }
        machine.library(&whole, &source, &[]);
        all.push(match CUDNN.find(&machine.surroundings()) {
            Ok(found) => format!("version {}", found.version),
            Err(missing) => machine.without_place(&missing.to_string()),
        });
    }
    insta::assert_snapshot!(all.join("\n"));
    // The one file that it may be.
    let named = Surroundings {
        libcudnn: Some("/nowhere/libcudnn.so.9".into()),
        ..machine.surroundings()
    };
    assert_eq!(
        CUDNN.find(&named).unwrap_err().to_string(),
        "/nowhere/libcudnn.so.9: cannot open shared object file: No such file or directory (the file that FOREBAY_LIBCUDNN names)"
    );
}

#[test]
fn parts_that_cannot_be_loaded_are_a_reason() {
    let machine = Machine::new();
    let folder = machine.place.path();
    fs::write(folder.join("libcudnn_graph.so.9"), "not a library").unwrap();
    let why = CUDNN.open_parts(&folder.join("libcudnn.so.9")).unwrap_err();
    assert_eq!(
        machine.without_place(&why),
        "PLACE/libcudnn_graph.so.9: file too short"
    );
}
