// The driver, its devices and contexts, and the names of its errors.
#include "fake.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {
constexpr int MOST_DEVICES = 16;
char contexts[MOST_DEVICES]; // their addresses are the contexts
long retained[MOST_DEVICES];
bool started = false;
thread_local void *current = nullptr;

bool is_device(int device) { return device >= 0 && device < MOST_DEVICES && device < setting("FAKE_DEVICES", 1); }

struct Name {
    CUresult code;
    const char *name, *words;
};
const Name NAMES[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};
CUresult text_of(CUresult code, const char **text, const char *Name::*part) {
    for (auto &one : NAMES)
        if (one.code == code) {
            *text = one.*part;
            return SUCCESS;
        }
    *text = nullptr;
    return INVALID_VALUE;
}
} // namespace

API cuGetErrorName(CUresult code, const char **text) { return text_of(code, text, &Name::name); }
API cuGetErrorString(CUresult code, const char **text) { return text_of(code, text, &Name::words); }
API cuDriverGetVersion(int *version) {
    *version = int(setting("FAKE_DRIVER", 13000));
    return SUCCESS;
}
API cuInit(unsigned) {
    ENTER;
    CUresult code = CUresult(setting("FAKE_INIT", setting("FAKE_DEVICES", 1) > 0 ? SUCCESS : NO_DEVICE));
    started = code == SUCCESS;
    return code;
}
API cuDeviceGetCount(int *count) {
    ENTER;
    if (!started) return violation("cuDeviceGetCount before cuInit");
    *count = int(setting("FAKE_DEVICES", 1));
    return SUCCESS;
}
API cuDeviceGet(int *device, int ordinal) {
    ENTER;
    if (!started) return violation("cuDeviceGet before cuInit");
    if (!is_device(ordinal)) return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}
API cuDeviceGetName(char *name, int length, int device) {
    ENTER;
    if (!is_device(device)) return INVALID_DEVICE;
    snprintf(name, size_t(length), "a fake of a GPU");
    return SUCCESS;
}
API cuDeviceTotalMem_v2(size_t *bytes, int device) {
    ENTER;
    if (!is_device(device)) return INVALID_DEVICE;
    *bytes = size_t(setting("FAKE_MEM", 1L << 30));
    return SUCCESS;
}
API cuDeviceGetAttribute(int *value, int attribute, int device) {
    ENTER;
    if (!is_device(device)) return INVALID_DEVICE;
    const char *capability = getenv("FAKE_CAPABILITY");
    int major = 9, minor = 0;
    if (capability) sscanf(capability, "%d.%d", &major, &minor);
    switch (attribute) {
    case 1: *value = 1024; break;        // threads of a block
    case 8: *value = 48 * 1024; break;   // shared memory of a block
    case 10: *value = 32; break;         // threads of a warp
    case 16: *value = 4; break;          // multiprocessors
    case 75: *value = major; break;      // compute capability
    case 76: *value = minor; break;
    case 97: *value = 227 * 1024; break; // shared memory of a block that asks for it
    default: return violation("cuDeviceGetAttribute: the fake does not know attribute %d", attribute);
    }
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void **context, int device) {
    ENTER;
    if (!is_device(device)) return INVALID_DEVICE;
    retained[device]++;
    *context = &contexts[device];
    return SUCCESS;
}
API cuDevicePrimaryCtxRelease_v2(int device) {
    ENTER;
    if (!is_device(device)) return INVALID_DEVICE;
    if (retained[device]-- <= 0) return violation("a context is released more often than it was retained");
    return SUCCESS;
}
API cuCtxSetCurrent(void *context) {
    ENTER;
    long at = context ? static_cast<char *>(context) - contexts : 0;
    if (context && (at < 0 || at >= MOST_DEVICES || !retained[at])) return violation("cuCtxSetCurrent of no context");
    current = context;
    return SUCCESS;
}
API cuCtxGetCurrent(void **context) {
    ENTER;
    *context = current;
    return SUCCESS;
}
API cuCtxSynchronize() {
    ENTER_NOT_RECORDING;
    return drain(nullptr);
}
