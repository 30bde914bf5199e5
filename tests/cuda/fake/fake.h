// A libcuda.so.1 for machines without a GPU. Kernels run through the host shim; the program is the real one.
//
// Work is queued and not run until somebody waits. Then ready pieces of all streams run in a random order that a seed
// gives, so a missing wait, record or synchronisation shows as wrong data. Every fourth seed also runs pieces as soon as
// they are queued, as a quick device would. Fresh memory is filled with 0xFF (NaN, -1). Memory has pages around it that
// must not be touched, and what was freed is never used again, so a kernel that goes astray is caught as a device would.
//
// What no program may do is a violation: it is printed, counted, and every later call fails (CUDA_ERROR_UNKNOWN).
//
// The same file is a libcublasLt.so.13 (blas.cpp), a libcudnn.so.9 (cudnn.cpp) and a libnvrtc.so.13 (nvrtc.cpp), for programs that are
// told so.
//
// Environment variables, read when the library is loaded:
//   FAKE_SEED=n            the order of things [1]
//   FAKE_MEM=bytes         how much memory the device has [1 GiB]
//   FAKE_DEVICES=n         how many devices there are [1]
//   FAKE_CAPABILITY=9.0    compute capability
//   FAKE_DRIVER=13000      version that the driver says it is
//   FAKE_INIT=code         what cuInit answers [0]
//   FAKE_FAIL=call:n:code  the n-th call of a function fails with that code; several with commas. `run` is a piece of work
//   FAKE_SKIP=call:n       the n-th call of a function does nothing and says that it did; n may be `*`. Several with commas
//   FAKE_PAUSE=n           microseconds that who waits for a stream waits before its work is done: others may queue theirs [0]
//   FAKE_OWN=percent       how long the program's own products and convolutions take, beside cuBLASLt's fastest [300]
//   FAKE_REPORT=path       when the process ends, a JSON file with what was called, what was left, and what was wrong
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

typedef int CUresult;
enum : CUresult {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_FAILED = 719,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_ISOLATION = 905,
    UNKNOWN = 999,
};
typedef std::function<CUresult()> Work;

// ---- faults.cpp: what is counted, what is made to fail, and what is wrong.
extern std::recursive_mutex mutex;
extern CUresult sticky; // what every call answers once the device is lost
long setting(const char *name, long otherwise);
// Prints and counts it, and loses the device.
CUresult violation(const char *format, ...) __attribute__((format(printf, 1, 2)));
// Counts a call by name. Gives a code where the call is to fail, -1 where it is to be skipped, else 0.
CUresult counted(const char *call);
bool is_fatal(CUresult code);
void note_kernel(const char *name);
uint64_t random_bits();

struct Call {
    std::lock_guard<std::recursive_mutex> lock;
    CUresult early;
    Call(const char *name) : lock(mutex), early(counted(name)) {
        if (!early) early = sticky;
    }
};
#define API extern "C" __attribute__((visibility("default"))) CUresult
// Begins a function of the driver: counts it, and leaves where it is to fail or to be skipped.
#define ENTER                                                                                                                \
    Call call_(__func__);                                                                                                    \
    if (call_.early) return call_.early == -1 ? SUCCESS : call_.early
// As ENTER, for what may not be called by a thread that records a graph.
#define ENTER_NOT_RECORDING                                                                                                  \
    ENTER;                                                                                                                   \
    if (breaks_recording()) return CAPTURE_UNSUPPORTED

// ---- memory.cpp
enum class Where { nowhere, freed, device, pinned };
Where where_is(const void *address, size_t bytes);
// What to call it in a message.
const char *place_name(Where where);
void check_margins();
size_t pieces_left();
size_t peak_bytes();

// ---- graphs.cpp
// How often a graph was queued while another stream had something to do.
long graphs_beside_others();

// ---- streams.cpp
struct Event {
    uint64_t recorded = 0, completed = 0;
    uint64_t time = 0; // when it came last
    bool timed = false, dead = false;
};
struct Operation {
    enum Kind { WORK, RECORD, WAIT } kind;
    Work work;
    std::shared_ptr<Event> event;
    uint64_t version; // of the event
};
struct Recording {
    std::vector<Work> nodes;
    bool broken = false;
};
struct Stream {
    std::deque<Operation> queue;
    std::unique_ptr<Recording> recording;
    uint64_t rank = 0; // the highest goes first
    bool dead = false;
};
// The device's clock, in nanoseconds: every piece of work takes some.
extern uint64_t now;
// The stream of a handle; null where it is none, which is a violation.
Stream *stream_of(void *handle);
// Queues work, or adds it to the graph that is recorded.
CUresult push(Stream *stream, Work work);
void push_operation(Stream *stream, Operation operation);
// Whether another stream has something to do.
bool others_are_busy(const Stream *stream);
// Runs until the stream is empty, or everything is for null.
CUresult drain(Stream *stream);
// Whether this thread records a graph; that graph is then broken.
bool breaks_recording();

// ---- kernels.cpp
struct Kernel {
    const char *name;
    size_t bytes; // of its arguments
    size_t shared_limit;
    const char *(*run)(const void *args, unsigned grid[3], unsigned block[3], size_t shared);
    void (*seed)(uint64_t seed); // of the order of threads
};
Kernel *find_kernel(const char *name);
void seed_kernels(uint64_t seed);
