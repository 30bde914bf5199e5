//! Kernels that are compiled for a model, by the NVRTC that stands for the real one: what is said of them, kept of them, and what
//! is so when they cannot be.

use std::fs;

use crate::{
    cli::err,
    cuda_place::{Place, doctor},
    support::fake_cuda,
};

const MLP: &str = ", device: cuda, precision: fp32";

fn compiler() -> [(&'static str, &'static str); 1] {
    [fake_cuda::with_compiler()]
}

fn launches(place: &Place, kernel: &str) -> u64 {
    place.report()["kernels"][kernel].as_u64().unwrap_or(0)
}

#[test]
fn check_says_what_runs_a_model() {
    let mut said = String::new();
    for (case, options) in [
        ("mlp30", ""),
        ("mlp30", ", precision: fp32"),
        ("mlp30", ", device: cpu"),
        ("sk_gaussian_nb", ""),
        ("lgbm_reg", ""),
    ] {
        let place = Place::new(case, options);
        said += &format!("{case}{options}\n  {}\n", place.checked(&compiler()));
        said += &format!("  without: {}\n", place.checked(&[]));
        let nothing = [
            fake_cuda::with_compiler(),
            ("FAKE_FAIL", "nvrtcCompileProgram:*:6"),
        ];
        // One start has kept what it compiled.
        fs::remove_dir_all(place.at("cache")).ok();
        said += &format!("  not compiled: {}\n", place.checked(&nothing));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn results_are_right_and_the_kernels_are_its_own() {
    for (case, options, kernel) in [
        ("mlp30", MLP, "fused_mlp"),
        ("sk_gaussian_nb", ", device: cuda", "fused_chain"),
        ("sk_int64_clf", ", device: cuda", "fused_chain"),
        (
            "sk_columns",
            ", device: cuda, precision: fp16",
            "fused_chain",
        ),
    ] {
        let place = Place::new(case, options);
        for seed in ["1", "2"] {
            let off = place.off(&[fake_cuda::with_compiler(), ("FAKE_SEED", seed)]);
            assert!(off < 2e-3, "{case}{options}: {off}");
        }
        // General ones ran to be timed, and no more.
        let general = launches(&place, "pointwise_f32") + launches(&place, "gemm_f32");
        let own = launches(&place, kernel);
        let report = place.report();
        assert!(own > 10 && own * 4 > general, "{case}{options}: {report}");
    }
}

#[test]
fn what_was_compiled_is_kept_and_what_is_damaged_is_compiled_anew() {
    let place = Place::new("mlp30", MLP);
    let run = || {
        assert!(place.off(&compiler()) < 1e-5);
        place.calls("nvrtcCompileProgram")
    };
    let compiled = run();
    assert!(compiled > 0);
    assert_eq!(run(), 0);
    let folder = place.at("cache/forebay/nvrtc/sm-90-13.0");
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len() as u64, compiled);
    for file in &files {
        let whole = fs::read(file).unwrap();
        fs::write(file, &whole[..whole.len() / 2]).unwrap();
    }
    assert_eq!(run(), compiled);
    assert_eq!(run(), 0);
    // What the device does not take is compiled anew, too.
    let refused = [
        fake_cuda::with_compiler(),
        ("FAKE_FAIL", "cuModuleLoadData:2:200"),
    ];
    assert!(place.off(&refused) < 1e-5);
    assert_eq!(place.calls("nvrtcCompileProgram"), 1);
    assert!(launches(&place, "fused_mlp") > 0);
    // Another version compiles for itself, and so does another architecture.
    for other in [("FAKE_NVRTC", "1209"), ("FAKE_CAPABILITY", "8.6")] {
        assert!(place.off(&[fake_cuda::with_compiler(), other]) < 1e-5);
        assert_eq!(place.calls("nvrtcCompileProgram"), compiled, "{other:?}");
    }
    assert_eq!(
        fs::read_dir(place.at("cache/forebay/nvrtc"))
            .unwrap()
            .count(),
        3
    );
}

#[test]
fn where_nothing_can_be_kept_that_is_said_once() {
    let place = Place::new("mlp30", MLP);
    fs::create_dir_all(place.at("cache/forebay")).unwrap();
    fs::write(place.at("cache/forebay/nvrtc"), "no folder").unwrap();
    let output = place.ran("run", &compiler());
    let said = err(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(
        said.matches("are compiled at each start").count(),
        1,
        "{said}"
    );
    assert!(launches(&place, "fused_mlp") + launches(&place, "fused_chain") > 0);
}

#[test]
fn every_call_of_the_compiler_may_fail_and_general_kernels_serve() {
    for (call, code) in [
        ("nvrtcCreateProgram", 1),
        ("nvrtcCompileProgram", 5),
        ("nvrtcCompileProgram", 6),
        ("nvrtcCompileProgram", 7),
        ("nvrtcGetCUBINSize", 11),
        ("nvrtcGetCUBIN", 11),
        // The driver does not take what was compiled. The first is of the kernels that are built in.
        ("cuModuleLoadData", 200),
    ] {
        let place = Place::new("mlp30", MLP);
        let number = if call == "cuModuleLoadData" { "2" } else { "*" };
        let fail = format!("{call}:{number}:{code}");
        let off = place.off(&[fake_cuda::with_compiler(), ("FAKE_FAIL", &fail)]);
        assert!(off < 1e-5, "{fail}: {off}");
        assert_eq!(launches(&place, "fused_mlp"), 0, "{fail}");
    }
    // These cost nothing but the words.
    for call in [
        "nvrtcDestroyProgram",
        "nvrtcGetProgramLog",
        "nvrtcGetProgramLogSize",
    ] {
        let place = Place::new("mlp30", MLP);
        let fail = format!("{call}:*:4,nvrtcCompileProgram:2:6");
        assert!(
            place.off(&[fake_cuda::with_compiler(), ("FAKE_FAIL", &fail)]) < 1e-5,
            "{fail}"
        );
    }
}

/// Batches of few rows may need kernels that those of many have not. Where these do not compile, all run by general ones, and what
/// products are multiplied as is still said.
#[test]
fn what_does_not_compile_for_few_rows_takes_no_other_words_away() {
    let place = Place::new("sk_columns", ", device: cuda, precision: fp16");
    assert!(place.checked(&compiler()).ends_with("kernels of its own)"));
    let compiled = place.calls("nvrtcCompileProgram");
    assert_eq!(compiled, 2, "the largest batches, then the others");
    fs::remove_dir_all(place.at("cache")).unwrap();
    let fail = [
        fake_cuda::with_compiler(),
        ("FAKE_FAIL", "nvrtcCompileProgram:2:6"),
    ];
    insta::assert_snapshot!(place.checked(&fail));
    // The first are kept.
    fs::remove_dir_all(place.at("cache")).unwrap();
    assert!(place.off(&fail) < 2e-3);
}

#[test]
fn doctor_says_what_compiles() {
    let doctor = |environment| doctor("NVRTC", environment);
    assert!(doctor(fake_cuda::with_compiler()).contains("13.0"));
    let without = doctor(fake_cuda::NO_COMPILER);
    assert!(without.contains("/nowhere/libnvrtc.so.13"), "{without}");
    assert!(
        without.contains("a kernel for each layer of a small MLP"),
        "{without}"
    );
}
