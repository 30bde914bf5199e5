//! What goes wrong on a device, and what the tests themselves can see: faults that are planted in the fake.

use forebay::engine::cuda::device::{Argument, Caching, Device, Launch, Priority};

use super::ring::{IMAGE, Ring, move_args};
use crate::support::fake_cuda;

/// The calls that are left out are those of the ring's fifth batch, so that what an earlier one left behind is not what is
/// wanted.
fn must_show(skip: &str) {
    fake_cuda::shows(skip, "cuda::device::case_ring", &[]);
}

#[test]
fn a_wait_for_the_upload_that_is_missing_shows() {
    must_show("cuStreamWaitEvent:9");
}

#[test]
fn a_wait_for_the_kernels_that_is_missing_shows() {
    must_show("cuStreamWaitEvent:10");
}

#[test]
fn a_record_of_the_upload_that_is_missing_shows() {
    must_show("cuEventRecord:13");
}

#[test]
fn a_record_of_the_kernels_that_is_missing_shows() {
    must_show("cuEventRecord:14");
}

#[test]
fn a_record_of_the_download_that_is_missing_shows() {
    must_show("cuEventRecord:15");
}

#[test]
fn a_synchronisation_that_is_missing_shows() {
    must_show("cuEventSynchronize:5");
}

#[test]
fn memory_that_is_not_there_is_an_error_and_no_end() {
    let outcome = fake_cuda::run("cuda::faults::case_out_of_memory", &[("FAKE_MEM", "65536")]);
    assert!(outcome.passed, "{outcome:?}");
    assert_eq!(outcome.report["peak_bytes"], 65536);
    assert_eq!(outcome.report["pieces_left"], 0);
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_out_of_memory() {
    let device = Device::open(0).unwrap();
    assert_eq!(device.free_and_total().unwrap(), (65536, 65536));
    let error = device.memory(65537).unwrap_err();
    assert!(error.is_out_of_memory() && !error.is_lost(), "{error}");
    assert_eq!(
        error.to_string(),
        "cuMemAlloc failed: the device has not enough free memory (CUDA_ERROR_OUT_OF_MEMORY, 2)"
    );
    // It goes on with less, and gives back.
    drop(device.memory(65536).unwrap());
    let memory = device.memory(1024).unwrap();
    assert_eq!(device.free_and_total().unwrap().0, 65536 - 1024);
    let stream = device.stream(Priority::Normal).unwrap();
    stream.fill(&memory, 0..1024, 1).unwrap();
    stream.synchronize().unwrap();
    assert!(device.lost().is_none());
}

#[test]
fn a_kernel_that_goes_astray_loses_the_device() {
    let outcome = fake_cuda::run("cuda::faults::case_astray", &[]);
    assert!(outcome.passed, "{outcome:?}");
    let violations = outcome.report["violations"].to_string();
    assert!(
        violations.contains("the kernel move touched an address outside"),
        "{violations}"
    );
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
fn case_astray() {
    let device = Device::open(0).unwrap();
    let stream = device.stream(Priority::Normal).unwrap();
    let module = device.module(&IMAGE).unwrap();
    let function = module.function("move").unwrap();
    let memory = device.memory(256).unwrap();
    let pinned = device.pinned(256, Caching::Cached).unwrap();
    // 256 elements of four bytes, in memory for 64.
    let params = move_args([1, 256], [0, 1], [0, 1]);
    let argument = |at| Argument {
        at,
        memory: &memory,
        offset: 0,
    };
    let launch = Launch {
        function: &function,
        grid: [1, 1, 1],
        block: [256, 1, 1],
        shared: 0,
        params: &params,
        arguments: &[argument(0), argument(8)],
    };
    stream.launch(&launch).unwrap();
    let error = stream.synchronize().unwrap_err();
    assert_eq!(
        error.to_string(),
        "cuStreamSynchronize failed: a kernel read or wrote memory that is not its own (CUDA_ERROR_ILLEGAL_ADDRESS, 700)"
    );
    assert!(error.is_lost());
    // From then on nothing is tried any more, and everything says why.
    assert_eq!(device.lost(), Some(&error));
    assert_eq!(device.memory(1).unwrap_err(), error);
    assert_eq!(
        stream.copy_up(&pinned, 0..1, &memory, 0).unwrap_err(),
        error
    );
}

#[test]
fn every_call_may_fail_and_nothing_panics() {
    // The calls of a ring of one slot with one batch, each failing the first time, once for the call and once for good.
    let calls = [
        "cuDevicePrimaryCtxRetain",
        "cuMemAlloc",
        "cuMemHostAlloc",
        "cuModuleLoadData",
        "cuModuleGetFunction",
        "cuFuncGetParamInfo",
        "cuFuncGetAttribute",
        "cuStreamCreateWithPriority",
        "cuEventCreate",
        "cuStreamBeginCapture",
        "cuLaunchKernel",
        "cuStreamEndCapture",
        "cuGraphInstantiateWithFlags",
        "cuGraphDestroy",
        "cuGraphUpload",
        "cuMemcpyHtoDAsync",
        "cuEventRecord",
        "cuStreamWaitEvent",
        "cuGraphLaunch",
        "cuMemcpyDtoHAsync",
        "cuEventSynchronize",
        "run",
    ];
    for call in calls {
        for code in ["2", "719"] {
            // The first of these is the probe's, or asks whether there is a second argument.
            let second = ["cuFuncGetParamInfo", "cuDevicePrimaryCtxRetain"].contains(&call);
            let number = if second { 2 } else { 1 };
            let fail = format!("{call}:{number}:{code}");
            let outcome = fake_cuda::run("cuda::faults::case_any_failure", &[("FAKE_FAIL", &fail)]);
            assert!(outcome.passed, "{fail}: {outcome:?}");
            let wanted = format!(", {code})");
            assert!(outcome.stdout.contains(&wanted), "{fail}: {outcome:?}");
        }
    }
}

#[test]
#[ignore = "a case of another test, in a process of its own"]
#[allow(clippy::print_stdout, reason = "the test that runs it reads that")]
fn case_any_failure() {
    let error = Device::open(0)
        .and_then(|device| Ring::new(&device, 1)?.run(1))
        .unwrap_err();
    println!("{error}");
    let code = error.code();
    assert_eq!(error.is_out_of_memory(), code == Some(2));
    assert_eq!(error.is_lost(), code == Some(719));
}
