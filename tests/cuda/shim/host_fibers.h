// The scheduler of host_shim.h: fibers, blocks, barriers, and the order in which threads run.
#pragma once

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

extern "C" __attribute__((weak)) char __start_cuda_shared[];
extern "C" __attribute__((weak)) char __stop_cuda_shared[];

namespace shim {
enum State : uint8_t { RUNNING, AT_BARRIER, AT_WARP, DONE };
// What lanes meet for; two lanes that meet for different things never meet.
enum Meeting : uint8_t { SYNC, SHUFFLE, BALLOT, MATRIX_PRODUCT, MATRIX_LOAD };

struct Index { unsigned x, y, z; };
#if defined(__x86_64__)
using Context = void *;
#else
using Context = ucontext_t;
#endif
// A copy that has begun (host_mma.h).
struct Copy {
    char *to;
    const void *from;
    unsigned size, bytes;
};
struct Fiber {
    Context context;
    State state;
    Meeting meeting;
    unsigned number; // of the thread in its block
    Index index;
    unsigned mask;
    uint64_t value;
    unsigned turn;               // counts matrix instructions
    unsigned open;               // copies in no group yet
    std::deque<unsigned> groups; // how many copies each has
    std::deque<Copy> copies;     // not yet arrived, the oldest first
};
using Body = void (*)(const void *);

constexpr unsigned MAX_THREADS = 1024;
constexpr size_t STACK = 64 * 1024;
inline Fiber fibers[MAX_THREADS];
inline char *stacks[MAX_THREADS];
inline unsigned order[MAX_THREADS];
inline uint64_t warp_values[MAX_THREADS];
inline Fiber *current = nullptr;
inline Context scheduler;
inline Body body = nullptr;
inline const void *body_argument = nullptr;
inline Index block_index;
inline dim3 block_size, grid_size;
inline char *dynamic_shared = nullptr;
inline uint64_t random_state = 1;
inline unsigned ahead = ~0u; // the warp that runs ahead of the others just now
inline char error_text[256];
inline bool failed = false;
// The schedule of the launches to come: 0 = threads in order, 1 = backwards, above = random and unfair.
inline uint64_t seed = 0;

inline uint64_t random_bits() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}
inline void fail(const char *format, unsigned a = 0, unsigned b = 0) {
    if (!failed) snprintf(error_text, sizeof error_text, format, a, b);
    failed = true;
}

// ---- The switch between fibers.
#if defined(__x86_64__)
extern "C" void shim_switch(void **save, void *to);
// Saves what the System V ABI has a callee keep, and takes up where `to` left off. Weak: each file that includes this has one.
asm(R"(
.pushsection .text
.weak shim_switch
.type shim_switch,@function
shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size shim_switch, .-shim_switch
.popsection
)");
inline void to_scheduler() { shim_switch(&current->context, scheduler); }
inline void resume(Fiber &fiber) { shim_switch(&scheduler, fiber.context); }
#else
inline void to_scheduler() { swapcontext(&current->context, &scheduler); }
inline void resume(Fiber &fiber) { swapcontext(&scheduler, &fiber.context); }
#endif
inline void enter() {
    body(body_argument);
    current->state = DONE;
    to_scheduler();
    __builtin_trap();
}
inline void prepare(Fiber &fiber, char *stack) {
#if defined(__x86_64__)
    void **top = reinterpret_cast<void **>(reinterpret_cast<uintptr_t>(stack + STACK) & ~uintptr_t(15));
    *--top = nullptr; // where enter() would return to; it never does
    *--top = reinterpret_cast<void *>(enter);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fiber.context = top;
#else
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = stack;
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
#endif
}

// ---- One block.
inline void start_block(unsigned threads, size_t shared) {
    if (__start_cuda_shared) memset(__start_cuda_shared, 0xFF, size_t(__stop_cuda_shared - __start_cuda_shared));
    if (shared) memset(dynamic_shared, 0xFF, shared);
    for (unsigned t = 0; t < threads; t++) {
        Fiber &fiber = fibers[t];
        fiber.state = RUNNING;
        fiber.number = t;
        fiber.turn = fiber.open = 0;
        if (!fiber.copies.empty()) fiber.copies.clear();
        if (!fiber.groups.empty()) fiber.groups.clear();
        fiber.index = {t % block_size.x, t / block_size.x % block_size.y, t / (block_size.x * block_size.y)};
        prepare(fiber, stacks[t]);
        order[t] = seed == 1 ? threads - 1 - t : t;
    }
}
// With random schedules only one warp runs in most rounds, so that it can get far ahead. Gives that warp, or none.
inline unsigned choose_warp(unsigned threads) {
    if (seed < 2) return ~0u;
    for (unsigned t = threads - 1; t > 0; t--) std::swap(order[t], order[random_bits() % (t + 1)]);
    auto can_run = [&](unsigned warp) {
        for (unsigned t = warp * 32; t < threads && t < warp * 32 + 32; t++)
            if (fibers[t].state == RUNNING) return true;
        return false;
    };
    if (ahead != ~0u && random_bits() % 8 && can_run(ahead)) return ahead;
    for (int attempt = 0; attempt < 64; attempt++) {
        unsigned t = unsigned(random_bits() % threads);
        if (fibers[t].state == RUNNING) return ahead = t / 32;
    }
    return ahead = ~0u;
}
inline void run_round(unsigned threads, unsigned only) {
    for (unsigned i = 0; i < threads; i++) {
        Fiber &fiber = fibers[order[i]];
        if (fiber.state != RUNNING || (only != ~0u && fiber.number / 32 != only)) continue;
        current = &fiber;
        resume(fiber);
    }
}
// Whether every lane that `fiber` waits for waits for the same.
inline bool all_met(const Fiber &fiber, unsigned threads) {
    unsigned first = fiber.number & ~31u, lane = fiber.number & 31u;
    if (!(fiber.mask >> lane & 1)) {
        fail("lane %u is in a warp collective whose mask %08x lacks it", lane, fiber.mask);
        return false;
    }
    for (unsigned l = 0; l < 32; l++) {
        if (!(fiber.mask >> l & 1)) continue;
        if (first + l >= threads || fibers[first + l].state == DONE) {
            fail("a warp collective waits for lane %u, which is gone (mask %08x)", l, fiber.mask);
            return false;
        }
        const Fiber &other = fibers[first + l];
        if (other.state != AT_WARP || other.mask != fiber.mask || other.meeting != fiber.meeting) return false;
    }
    return true;
}
inline bool release_warps(unsigned threads) {
    bool released = false;
    for (unsigned t = 0; t < threads && !failed; t++) {
        if (fibers[t].state != AT_WARP || !all_met(fibers[t], threads)) continue;
        unsigned first = t & ~31u;
        for (unsigned l = 0; l < 32; l++) {
            if (!(fibers[t].mask >> l & 1)) continue;
            warp_values[first + l] = fibers[first + l].value;
            fibers[first + l].state = RUNNING;
        }
        released = true;
    }
    return released;
}
inline void run_block(unsigned threads, size_t shared) {
    start_block(threads, shared);
    while (!failed) {
        run_round(threads, choose_warp(threads));
        if (release_warps(threads)) continue;
        unsigned waiting = 0, done = 0, running = 0;
        for (unsigned t = 0; t < threads; t++) {
            waiting += fibers[t].state == AT_BARRIER;
            done += fibers[t].state == DONE;
            running += fibers[t].state == RUNNING;
        }
        if (done == threads) return;
        if (running) continue;
        // The hardware counts threads that are gone as arrived; a kernel must not rest on it, so it is an error here.
        if (waiting == threads) {
            for (unsigned t = 0; t < threads; t++) fibers[t].state = RUNNING;
        } else if (waiting && waiting + done == threads) {
            fail("%u threads are at __syncthreads, %u have left the kernel", waiting, done);
        } else {
            fail("deadlock: %u threads are at __syncthreads, %u have left, the others wait in a warp collective", waiting, done);
        }
    }
}

// Runs `call(argument)` for every thread of the grid. Gives null, or what went wrong, in words.
inline const char *launch_raw(dim3 grid, dim3 block, size_t shared, Body call, const void *argument) {
    unsigned threads = block.x * block.y * block.z;
    failed = false;
    if (threads == 0 || threads > MAX_THREADS) return "a block has 1 to 1024 threads";
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) return "a grid size is out of range";
    random_state = seed * 0x9E3779B97F4A7C15ull + 0x1234567;
    ahead = ~0u;
    block_size = block;
    grid_size = grid;
    body = call;
    body_argument = argument;
    for (unsigned t = 0; t < threads; t++) {
        if (!stacks[t]) stacks[t] = static_cast<char *>(aligned_alloc(64, STACK));
#if defined(__SANITIZE_ADDRESS__)
        ASAN_UNPOISON_MEMORY_REGION(stacks[t], STACK); // a kernel that failed left its frames there
#endif
    }
    void *memory = nullptr;
    if (shared && posix_memalign(&memory, 128, shared)) return "no memory for shared memory";
    dynamic_shared = static_cast<char *>(memory);
    uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
    for (uint64_t i = 0; i < blocks && !failed; i++) {
        uint64_t at = seed & 1 ? blocks - 1 - i : i; // a grid has no order
        block_index = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)};
        run_block(threads, shared);
    }
    free(memory);
    dynamic_shared = nullptr;
    return failed ? error_text : nullptr;
}
template <class Args> struct Call {
    void (*kernel)(const Args);
    const Args *args;
};
// Launches a kernel as cuLaunchKernel would.
template <class Args>
const char *launch(void (*kernel)(const Args), dim3 grid, dim3 block, size_t shared, const Args &args) {
    Call<Args> call{kernel, &args};
    return launch_raw(grid, block, shared, [](const void *at) {
        auto c = static_cast<const Call<Args> *>(at);
        c->kernel(*c->args);
    }, &call);
}
} // namespace shim

static inline void __syncthreads() {
    shim::current->state = shim::AT_BARRIER;
    shim::to_scheduler();
}
