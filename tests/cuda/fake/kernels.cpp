// Modules and kernels. Every kernel of kernels/ is compiled in, through the shim, and found by its name. Those that nvrtc.cpp has
// compiled are in libraries of their own.
#define GPU_HOST_SHIM 1
#include "fake.h"

#include "kernels.cu"

#include <csetjmp>
#include <csignal>
#include <dlfcn.h>
#include <elf.h>
#include <unistd.h>

namespace {
template <class Args, void (*KERNEL)(const Args)>
const char *run_kernel(const void *args, unsigned grid[3], unsigned block[3], size_t shared) {
    Args copy;
    memcpy(&copy, args, sizeof copy);
    return shim::launch(KERNEL, dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]), shared, copy);
}
void seed_shim(uint64_t seed) { shim::seed = seed; }
#define ENTRY(name, Args) {#name, sizeof(Args), 48 * 1024, run_kernel<Args, name>, seed_shim},
Kernel table[] = {FOREBAY_KERNELS(ENTRY)};

// A kernel that touches what it must not ends there, and the device is lost, as on a real one.
sigjmp_buf way_out;
volatile sig_atomic_t running = 0;
void *volatile touched = nullptr;
struct sigaction before[2];
void on_fault(int signal, siginfo_t *info, void *) {
    if (running) {
        touched = info->si_addr;
        siglongjmp(way_out, 1);
    }
    // Not ours: let whoever was there before have it, when the instruction runs again.
    sigaction(signal, &before[signal == SIGBUS], nullptr);
}
void watch() {
    static bool watching = false;
    if (watching) return;
    watching = true;
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGBUS, &action, &before[1]);
}

// Nanoseconds on the device's clock: products and convolutions take some by what they are multiplied as, more than cuBLASLt's fastest
// unless FAKE_OWN says otherwise (percent of that).
uint64_t duration(const Kernel &kernel, const char *args) {
    const std::string name = kernel.name;
    auto has = [&](const char *part) { return name.find(part) != std::string::npos; };
    const double each = has("f16") ? 0.125 : has("tf32") ? 0.25 : 1, slower = double(setting("FAKE_OWN", 300)) / 100;
    double count = 0;
    if (has("gemm")) {
        GemmArgs gemm;
        memcpy(&gemm, args, sizeof gemm);
        count = double(gemm.m) * gemm.n * gemm.k * gemm.batch0 * gemm.batch1;
    } else if (has("conv_f") || has("conv_b") || has("conv_t")) {
        ConvArgs conv;
        memcpy(&conv, args, sizeof conv);
        count = double(conv.n) * conv.out_height * conv.out_width * conv.filters * conv.channels / conv.groups * conv.kernel_h * conv.kernel_w;
    }
    return uint64_t(2 * count * each * slower);
}
CUresult run(const Kernel &kernel, const std::vector<char> &args, unsigned grid[3], unsigned block[3], size_t shared) {
    watch();
    kernel.seed(random_bits() % 1000);
    note_kernel(kernel.name);
    if (sigsetjmp(way_out, 1)) {
        running = 0;
        violation("the kernel %s touched an address %s", kernel.name, place_name(where_is(touched, 0)));
        return sticky = ILLEGAL_ADDRESS;
    }
    running = 1;
    const char *error = kernel.run(args.data(), grid, block, shared);
    running = 0;
    now += duration(kernel, args.data());
    if (!error) return SUCCESS;
    violation("the kernel %s: %s", kernel.name, error);
    return sticky = LAUNCH_FAILED;
}
// What `__launch_bounds__` says of a kernel, which the shim does not see.
int most_threads(const Kernel &kernel) {
    for (const char *name : {"gemm_f16", "gemm_bf16", "gemm_tf32", "conv_f16", "conv_bf16", "conv_tf32"})
        if (!strcmp(kernel.name, name)) return 128;
    return 256;
}
// A library that nvrtc.cpp has made; the one without a library has the kernels that are compiled in.
struct Module {
    void *library = nullptr;
    std::map<std::string, std::unique_ptr<Kernel>> kernels;
};
std::vector<std::unique_ptr<Module>> modules;
Module *module_of(void *handle) {
    for (auto &module : modules)
        if (module.get() == handle) return module.get();
    return nullptr;
}
// An image says its own length: the table of sections is at its end.
CUresult load(Module &module, const void *image) {
    auto header = static_cast<const Elf64_Ehdr *>(image);
    size_t bytes = header->e_shoff + size_t(header->e_shentsize) * header->e_shnum;
    char path[] = "/tmp/fake-module-XXXXXX";
    int file = mkstemp(path);
    if (file < 0) return UNKNOWN;
    bool whole = write(file, image, bytes) == ssize_t(bytes);
    close(file);
    if (whole) module.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    unlink(path);
    return module.library ? SUCCESS : INVALID_IMAGE;
}
template <class F> F *entry(Module &module, const char *what, const char *name) {
    return reinterpret_cast<F *>(dlsym(module.library, (std::string(what) + name).c_str()));
}
Kernel *find_in(Module &module, const char *name) {
    auto &known = module.kernels[name];
    if (known) return known.get();
    auto bytes = entry<size_t()>(module, "forebay_bytes_", name);
    auto run = entry<const char *(const void *, unsigned *, unsigned *, size_t)>(module, "forebay_run_", name);
    auto seed = entry<void(uint64_t)>(module, "forebay_seed", "");
    if (!bytes || !run || !seed) return nullptr;
    // Counted by its kind: the rest of the name is of its text.
    std::string kind(name, strcspn(name, "_"));
    known.reset(new Kernel{strdup(("fused_" + kind).c_str()), bytes(), 48 * 1024, run, seed});
    return known.get();
}
} // namespace

Kernel *find_kernel(const char *name) {
    for (auto &kernel : table)
        if (!strcmp(kernel.name, name)) return &kernel;
    return nullptr;
}
void seed_kernels(uint64_t seed) { shim::random_state = seed; }

// For tests of the Rust side: the size of a kernel's arguments, 0 for no kernel.
extern "C" __attribute__((visibility("default"))) size_t forebay_args_size(const char *name) {
    Kernel *kernel = find_kernel(name);
    return kernel ? kernel->bytes : 0;
}

API cuModuleLoadData(void **handle, const void *image) {
    ENTER_NOT_RECORDING;
    const unsigned char fat_binary[] = {0x50, 0xED, 0x55, 0xBA}; // what is in it does not matter here
    const bool fused = !memcmp(image, ELFMAG, SELFMAG);
    if (!fused && memcmp(image, fat_binary, 4)) return INVALID_IMAGE;
    if (reinterpret_cast<uintptr_t>(image) % 8) return violation("cuModuleLoadData of an image that is not aligned");
    std::unique_ptr<Module> module(new Module);
    if (fused)
        if (CUresult failed = load(*module, image)) return failed;
    *handle = module.get();
    modules.push_back(std::move(module));
    return SUCCESS;
}
API cuModuleUnload(void *handle) {
    ENTER_NOT_RECORDING;
    Module *module = module_of(handle);
    if (!module) return violation("cuModuleUnload of no module");
    if (module->library) dlclose(module->library);
    for (auto &one : modules)
        if (one.get() == module) {
            std::swap(one, modules.back());
            modules.pop_back();
            break;
        }
    return SUCCESS;
}
API cuModuleGetFunction(void **function, void *handle, const char *name) {
    ENTER;
    Module *module = module_of(handle);
    if (!module) return violation("cuModuleGetFunction of no module");
    *function = module->library ? find_in(*module, name) : find_kernel(name);
    return *function ? SUCCESS : NOT_FOUND;
}
API cuFuncGetParamInfo(void *function, size_t index, size_t *offset, size_t *bytes) {
    ENTER;
    if (index) return INVALID_VALUE;
    *offset = 0;
    *bytes = static_cast<Kernel *>(function)->bytes;
    return SUCCESS;
}
API cuFuncGetAttribute(int *value, int attribute, void *function) {
    ENTER;
    if (attribute != 0) return violation("cuFuncGetAttribute: the fake does not know attribute %d", attribute);
    *value = most_threads(*static_cast<Kernel *>(function));
    return SUCCESS;
}
API cuFuncSetAttribute(void *function, int attribute, int value) {
    ENTER;
    if (attribute != 8) return violation("cuFuncSetAttribute: the fake does not know attribute %d", attribute);
    if (value < 0 || value > 227 * 1024) return INVALID_VALUE;
    static_cast<Kernel *>(function)->shared_limit = size_t(value);
    return SUCCESS;
}
API cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *handle, void **params, void **extra) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    const Kernel &kernel = *static_cast<Kernel *>(function);
    if (!gx || !gy || !gz || gx > 0x7fffffffu || gy > 65535 || gz > 65535) return INVALID_VALUE;
    if (!bx || !by || !bz || uint64_t(bx) * by * bz > uint64_t(most_threads(kernel)) || bz > 64) return INVALID_VALUE;
    if (shared > kernel.shared_limit || !params || extra) return INVALID_VALUE;
    auto first = static_cast<const char *>(params[0]);
    std::vector<char> args(first, first + kernel.bytes);
    return push(stream, [=] {
        unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
        return run(kernel, args, grid, block, shared);
    });
}
