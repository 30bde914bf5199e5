// The same file is a libnvrtc.so.13: it has the C++ compiler make a shared library of a source, with the host shim, and that is
// its cubin (both are ELF files). The fake driver loads it like any other module.
//
// FAKE_SHIM is the folder of tests/cuda, which the build of the fake says. Environment variable:
//   FAKE_NVRTC=1300        the version that it says it is
#include "fake.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace {
enum : int { INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6, INTERNAL = 11 };
struct Program {
    std::string source, log, code;
    std::vector<std::pair<std::string, std::string>> headers;
};
std::vector<Program *> programs;

Program *known(void *handle) {
    for (auto program : programs)
        if (program == handle) return program;
    violation("NVRTC is given a program that is none, or is gone");
    return nullptr;
}
std::string read_file(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}
void write_file(const std::string &path, const std::string &text) { std::ofstream(path, std::ios::binary) << text; }

// Every option that the engine gives, and how it must look.
bool is_option(const std::string &option) {
    const char *starts[] = {"--gpu-architecture=sm_", "--std=c++17", "--fmad=true", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"};
    for (auto start : starts)
        if (!option.compare(0, strlen(start), start)) return true;
    return false;
}
int compile(Program &program) {
    const char *place = getenv("TMPDIR");
    std::string folder = std::string(place && *place ? place : "/tmp") + "/fake-nvrtc-XXXXXX";
    if (!mkdtemp(&folder[0])) return INTERNAL;
    mkdir((folder + "/fused").c_str(), 0700);
    for (auto &header : program.headers) write_file(folder + "/" + header.first, header.second);
    write_file(folder + "/source.cpp", "#include \"entries.h\"\n" + program.source);
    std::ostringstream command;
    command << "g++ -std=c++17 -O1 -fPIC -shared -fvisibility=hidden -fno-gnu-unique -w -I " << folder << " -I " FAKE_SHIM "/shim -I "
            << FAKE_SHIM "/fake/fused -o " << folder << "/code " << folder << "/source.cpp > " << folder << "/log 2>&1";
    int status = system(command.str().c_str());
    program.log = read_file(folder + "/log");
    program.code = read_file(folder + "/code");
    std::string remove = "rm -rf " + folder;
    if (system(remove.c_str())) return INTERNAL;
    return status ? COMPILATION : 0;
}
} // namespace

// Begins a function of the library: counts it, and leaves where it is to fail or to be skipped.
#define NVRTC_ENTER                                                                                                          \
    std::lock_guard<std::recursive_mutex> lock_(mutex);                                                                      \
    if (int early = counted(__func__)) return early == -1 ? 0 : early
#define NVRTC_API extern "C" __attribute__((visibility("default"))) int

NVRTC_API nvrtcVersion(int *major, int *minor) {
    *major = int(setting("FAKE_NVRTC", 1300)) / 100;
    *minor = int(setting("FAKE_NVRTC", 1300)) % 100;
    return 0;
}
NVRTC_API nvrtcCreateProgram(void **handle, const char *source, const char *, int count, const char *const *texts, const char *const *names) {
    NVRTC_ENTER;
    auto program = new Program{source, "", "", {}};
    for (int i = 0; i < count; i++) program->headers.push_back({names[i], texts[i]});
    programs.push_back(program);
    *handle = program;
    return 0;
}
NVRTC_API nvrtcDestroyProgram(void **handle) {
    NVRTC_ENTER;
    Program *program = known(*handle);
    if (!program) return INVALID_PROGRAM;
    programs.erase(std::find(programs.begin(), programs.end(), program));
    delete program;
    *handle = nullptr;
    return 0;
}
NVRTC_API nvrtcCompileProgram(void *handle, int count, const char *const *options) {
    NVRTC_ENTER;
    Program *program = known(handle);
    if (!program) return INVALID_PROGRAM;
    for (int i = 0; i < count; i++)
        if (!is_option(options[i])) {
            program->log = std::string("error: unrecognized option ") + options[i];
            return INVALID_OPTION;
        }
    return compile(*program);
}
#define GETTER(size_name, get_name, member, end)                                                                             \
    NVRTC_API size_name(void *handle, size_t *size) {                                                                        \
        NVRTC_ENTER;                                                                                                         \
        Program *program = known(handle);                                                                                    \
        if (!program) return INVALID_PROGRAM;                                                                                \
        *size = program->member.size() + end;                                                                                \
        return 0;                                                                                                            \
    }                                                                                                                        \
    NVRTC_API get_name(void *handle, char *to) {                                                                             \
        NVRTC_ENTER;                                                                                                         \
        Program *program = known(handle);                                                                                    \
        if (!program) return INVALID_PROGRAM;                                                                                \
        memcpy(to, program->member.c_str(), program->member.size() + end);                                                   \
        return 0;                                                                                                            \
    }
GETTER(nvrtcGetCUBINSize, nvrtcGetCUBIN, code, 0)
GETTER(nvrtcGetProgramLogSize, nvrtcGetProgramLog, log, 1)
