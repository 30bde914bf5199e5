//! What products are multiplied as on a GPU: chosen, asked for, refused, and said; by the driver and the cuBLASLt that stand for
//! the real ones.

use std::{fs, path::Path};

use crate::{
    cli::err,
    cuda_place::{Place, doctor},
    support::fake_cuda,
};

#[test]
fn check_says_what_was_chosen_and_why() {
    let mut said = String::new();
    let none = [fake_cuda::NO_LIBRARY];
    for options in [
        "",
        ", precision: fp32",
        ", precision: tf32",
        ", precision: fp16",
        ", precision: bf16",
        ", tolerance: 0.1",
        ", tolerance: 1e-9",
        ", device: cuda, tolerance: 1e-9",
        ", device: cuda, precision: bf16, tolerance: 1e-5",
        ", device: cuda, precision: tf32",
        ", device: cpu, precision: tf32",
    ] {
        let place = Place::new("mlp30", options);
        said += &format!("{options}\n  {}\n", place.checked(&[]));
        said += &format!("  without: {}\n", place.checked(&none));
    }
    said += "trees\n";
    let place = Place::new("lgbm_reg", ", precision: fp16");
    said += &format!("  {}\n", place.checked(&[]));
    assert_eq!(
        place.calls("cublasLtCreate"),
        0,
        "there is nothing to multiply"
    );
    insta::assert_snapshot!(said);
}

#[test]
fn results_are_as_exact_as_the_precision() {
    for (math, limit) in [
        ("fp32", 1e-5),
        ("tf32", 2e-3),
        ("fp16", 2e-3),
        ("bf16", 2e-2),
    ] {
        let options = format!(", device: cuda, precision: {math}, tolerance: 0.05");
        let place = Place::new("mlp30", &options);
        for seed in ["1", "2", "3"] {
            let off = place.off(&[("FAKE_SEED", seed)]);
            assert!(off < limit, "{math}: {off}");
            assert!(place.products(math) > 0, "{math}");
        }
        // Forebay's own kernel for that.
        let off = place.off(&[fake_cuda::NO_LIBRARY]);
        assert!(off < limit, "{math}: {off}");
        assert!(place.own_products(math) > 0, "{math}");
        assert_eq!(place.products(math), 0, "{math}");
    }
}

#[test]
fn auto_takes_the_fastest_that_is_near_enough() {
    let place = Place::new("mlp30", "");
    assert!(place.off(&[]) < 1e-3);
    let exact = Place::new("mlp30", ", tolerance: 1e-5");
    assert!(exact.off(&[]) < 1e-5);
    assert!(place.products("tf32") > 8 && exact.products("fp32") > 8);
}

#[test]
fn where_the_library_has_no_way_or_fails_the_kernels_multiply() {
    for fail in [
        "cublasLtMatmulAlgoGetHeuristic:*:15",
        "cublasLtMatmulAlgoGetHeuristic:*:7",
        "cublasLtCreate:1:1",
        "cublasLtMatmul:*:14",
    ] {
        let place = Place::new("mlp30", ", device: cuda, precision: fp32");
        let off = place.off(&[("FAKE_FAIL", fail)]);
        assert!(off < 1e-5, "{fail}: {off}");
        assert_eq!(place.products("fp32"), 0, "{fail}");
        assert!(
            place.report()["kernels"]["gemm_f32"].as_u64() > Some(0),
            "{fail}"
        );
    }
}

#[test]
fn a_kernel_that_is_faster_than_the_library_multiplies_in_its_place() {
    // Of sixteen bits the stand-in refuses some products, which is asked at every start.
    for math in ["fp32", "tf32"] {
        let options = format!(", device: cuda, precision: {math}, tolerance: 0.05");
        let place = Place::new("mlp30", &options);
        let fast = ("FAKE_OWN", "50");
        assert!(place.off(&[fast]) < 2e-2, "{math}");
        // The library's ran when they were measured, nine times each at most.
        let (own, library) = (place.own_products(math), place.products(math));
        assert!(own > 9 && library > 0, "{math}: {own} and {library}");
        // That is kept, as the library's own are: nothing is measured, and it holds where the kernel has become slow.
        assert!(place.off(&[("FAKE_OWN", "300")]) < 2e-2, "{math}");
        assert_eq!(place.calls("cublasLtMatmulAlgoGetHeuristic"), 0, "{math}");
        // Where both take no time to speak of it is the library.
        let (own, library) = (place.own_products(math), place.products(math));
        assert!(own > library, "{math}: {own} and {library}");
        let folder = place.at("cache/forebay/cublaslt");
        let file = fs::read_dir(&folder).unwrap().next().unwrap().unwrap();
        let kept = fs::read_to_string(file.path()).unwrap();
        assert!(kept.contains("\"own "), "{kept}");
        // Of other kernels: measured anew.
        let other = kept.replace("\"own ", "\"own 0");
        fs::write(file.path(), other).unwrap();
        assert!(place.off(&[]) < 2e-2, "{math}");
        assert!(place.calls("cublasLtMatmulAlgoGetHeuristic") > 0, "{math}");
    }
}

#[test]
fn every_call_of_the_library_may_fail_and_nothing_panics() {
    for call in [
        "cublasLtCreate",
        "cublasLtMatmulDescCreate",
        "cublasLtMatmulDescSetAttribute",
        "cublasLtMatmulDescDestroy",
        "cublasLtMatrixLayoutCreate",
        "cublasLtMatrixLayoutDestroy",
        "cublasLtMatmulPreferenceCreate",
        "cublasLtMatmulPreferenceSetAttribute",
        "cublasLtMatmulPreferenceDestroy",
        "cublasLtMatmulAlgoGetHeuristic",
        "cublasLtMatmulAlgoCheck",
        "cublasLtMatmul",
        "cublasLtDestroy",
    ] {
        // Warm: what is on disk is checked. The tenth call is one that is recorded, or near it.
        let place = Place::new("mlp30", ", precision: fp32");
        for number in [1, 10] {
            let fail = format!("{call}:{number}:14");
            let off = place.off(&[("FAKE_FAIL", &*fail)]);
            assert!(off < 1e-5, "{fail}: {off}");
        }
    }
}

#[test]
fn what_was_measured_is_kept_and_what_is_damaged_is_measured_anew() {
    let place = Place::new("mlp30", ", device: cuda, precision: fp32");
    assert!(place.off(&[]) < 1e-5);
    let asked = place.calls("cublasLtMatmulAlgoGetHeuristic");
    assert!(asked > 0);
    // The second of the stand-in's is the fastest; the others ran when they were measured.
    let kernels = place.report()["kernels"].clone();
    assert!(
        kernels["cublaslt fp32 algorithm 1"].as_u64()
            > kernels["cublaslt fp32 algorithm 0"].as_u64()
    );
    assert!(place.off(&[]) < 1e-5);
    assert_eq!(place.calls("cublasLtMatmulAlgoGetHeuristic"), 0);
    assert_eq!(place.calls("cublasLtMatmulAlgoCheck"), asked);
    assert_eq!(
        place.report()["kernels"]["cublaslt fp32 algorithm 0"],
        serde_json::Value::Null
    );
    let folder = place.at("cache/forebay/cublaslt");
    let file = fs::read_dir(&folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert_eq!(file.file_name().unwrap(), "a-fake-of-a-GPU-13.0.2.json");
    // Well-formed, and another product's: the library says no.
    let kept = fs::read_to_string(&file).unwrap();
    let odd: String = kept.replace("464f524542415921", "464f524542415922");
    assert_ne!(kept, odd);
    fs::write(&file, odd).unwrap();
    assert!(place.off(&[]) < 1e-5);
    assert_eq!(place.calls("cublasLtMatmulAlgoGetHeuristic"), asked);
    // Cut off in the middle.
    fs::write(&file, &kept[..kept.len() / 2]).unwrap();
    let output = place.ran("check", &[]);
    assert!(err(&output).contains("is damaged"), "{}", err(&output));
    assert_eq!(place.calls("cublasLtMatmulAlgoGetHeuristic"), asked);
    // Another version of the library has algorithms of its own.
    let output = place.ran("check", &[("FAKE_CUBLASLT", "130100")]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(place.calls("cublasLtMatmulAlgoGetHeuristic"), asked);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
}

#[test]
fn a_precision_that_there_is_not_is_an_error_with_its_place() {
    let said = |options: &str| {
        let output = Place::new("mlp30", options).ran("check", &[]);
        let said = err(&output);
        let from = said.find("error").unwrap_or(0);
        let line = |line: &&str| !line.contains("pipeline.yaml") && !line.contains("models:");
        said[from..]
            .lines()
            .filter(line)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let all = [
        ", precision: half",
        ", precision: fp8",
        ", tolerance: 0",
        ", tolerance: 5",
        ", parity: 10000",
        ", parity: 1/0",
    ];
    insta::assert_snapshot!(all.map(said).join("\n"));
}

#[test]
fn doctor_says_what_multiplies() {
    let doctor = |environment| doctor("cuBLASLt", environment);
    assert!(doctor(fake_cuda::with_library()).contains("13.0.2"));
    let without = doctor(fake_cuda::NO_LIBRARY);
    assert!(without.contains("/nowhere/libcublasLt.so.13"), "{without}");
    assert!(without.contains("own kernels multiply"), "{without}");
    assert!(Path::new(fake_cuda::with_library().1).is_absolute());
}
