//! What it means that the driver does not start, and what to do about it.

/// What `cuInit` answered, in plain words, and what to do.
pub(super) fn init(code: i32) -> (String, &'static str) {
    let (words, mend) = match code {
        34 => (
            "the library is the toolkit's stub, which is only for linking",
            "take its folder (…/stubs) out of LD_LIBRARY_PATH, and install NVIDIA's driver",
        ),
        35 => (
            "the driver is older than its library",
            "update NVIDIA's driver to 580 or newer",
        ),
        100 => (
            "the driver is there, and no GPU that this process may use",
            "look at nvidia-smi, at CUDA_VISIBLE_DEVICES, and whether the container was given the GPU (--gpus all)",
        ),
        101 => (
            "CUDA_VISIBLE_DEVICES names a GPU that is not there",
            "compare it with nvidia-smi -L",
        ),
        304 => (
            "the driver cannot open the GPU's device files",
            "see whether /dev/nvidia* are there and may be opened by this user",
        ),
        802 => (
            "the GPUs are not ready yet",
            "see whether nvidia-fabricmanager runs, on machines with NVSwitch",
        ),
        803 => (
            "the driver's library and its kernel module are of different versions",
            "restart the machine after an update of the driver; in a container, mount the host's library",
        ),
        804 => (
            "a forward-compatible library (cuda-compat) is in use, and this GPU does not support that",
            "take cuda-compat out of LD_LIBRARY_PATH",
        ),
        999 => (
            "the driver does not start, for a reason that it does not know",
            "nvidia-smi and dmesg may say more; often /dev/nvidia-uvm is missing, or the machine woke from sleep",
        ),
        _ => {
            return (
                format!("the driver does not start: cuInit answers {code}"),
                "nvidia-smi and dmesg may say more",
            );
        }
    };
    (format!("{words} (cuInit answers {code})"), mend)
}
