// A cuBLASLt for the fake device: the functions that the program calls, and no others. Products are work on the same queues
// as everything else, so a missing wait, or memory that is gone, shows as it does with kernels.
//
// It is stricter than the library. Descriptors must be its own and alive, shapes must fit each other, no matrix may reach out of
// its memory, an algorithm does only what it was found for, on addresses that are aligned as was said, with the workspace that it
// asked for (which it spoils); and an algorithm that never ran cannot be recorded, since the library loads kernels when they
// are first used. A type, an epilogue or a scale that NVIDIA's tables do not have is refused with a status.
//
// Each product takes time on the device's clock: single precision most, sixteen bits least; of its algorithms the second is
// the fastest, and the third is named without being usable.
//
// Environment variables, beside those of the driver:
//   FAKE_CUBLASLT=130002   version that it says it is
// FAKE_FAIL and FAKE_SKIP know its functions by their names; codes are those of cublasStatus_t.
#include "fake.h"
#include "numbers.h"

#include <cmath>
#include <cstring>
#include <set>

API cuCtxGetCurrent(void **context);

namespace {
enum Status { NOT_INITIALIZED = 1, INVALID = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_16F = 2, R_16BF = 14 };
enum Compute { COMPUTE_32F = 68, COMPUTE_32F_FAST_TF32 = 77 };
enum Epilogue : unsigned { DEFAULT = 1, RELU = 2, BIAS = 4, GELU = 32 };
constexpr uint64_t MAGIC = 0x464F524542415921ull;
constexpr int ALGORITHMS = 4, FASTEST = 1, UNUSABLE = 2;
constexpr size_t WORKSPACE_STEP = 4096;

struct Object {
    enum Kind { HANDLE, DESC, LAYOUT, PREFERENCE } kind;
};
struct Handle : Object {};
struct Desc : Object {
    int compute, scale, turned[2] = {0, 0};
    unsigned epilogue = DEFAULT;
    const void *bias = nullptr;
};
struct Layout : Object {
    int type;
    uint64_t rows, columns;
    int64_t leading;
    int batches = 1;
    int64_t stride = 0;
};
struct Preference : Object {
    uint64_t workspace = 0;
    unsigned alignment[4] = {256, 256, 256, 256};
};
struct Algorithm {
    uint64_t magic, problem, number, workspace;
    unsigned alignment[4];
    uint64_t rest[2];
};
static_assert(sizeof(Algorithm) == 64, "cublasLtMatmulAlgo_t");
struct Result {
    Algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Result) == 96, "cublasLtMatmulHeuristicResult_t");

auto &objects = *new std::set<Object *>; // never destroyed
auto &loaded = *new std::set<uint64_t>;  // what ran, and so can be recorded

template <class T> T *of(void *handle, Object::Kind kind) {
    auto object = static_cast<Object *>(handle);
    if (objects.count(object) && object->kind == kind) return static_cast<T *>(object);
    violation("cuBLASLt is given a handle or a descriptor that is none, or is gone");
    return nullptr;
}
template <class T> void make(void **handle, T *object, Object::Kind kind) {
    object->kind = kind;
    objects.insert(object);
    *handle = static_cast<Object *>(object);
}
template <class T> int destroy(void *handle, Object::Kind kind) {
    T *object = of<T>(handle, kind);
    if (!object) return INVALID;
    objects.erase(object);
    delete object;
    return 0;
}
// Takes a value of just this size.
template <class T> int take(T &to, const void *from, size_t bytes) {
    if (!from || bytes != sizeof(T)) return INVALID;
    memcpy(&to, from, bytes);
    return 0;
}
Number number_of(int type) { return type == R_32F ? Number::SINGLE : type == R_16F ? Number::HALF : Number::BFLOAT; }

struct Problem {
    Desc desc;
    Layout a, b, c, d;
    uint64_t m, n, k;
    bool adds; // beta is not zero
};

// What can be known before the places are: a status, 0 where it fits.
int fits(const Problem &p) {
    const Layout *all[] = {&p.a, &p.b, &p.c, &p.d};
    for (auto layout : all) {
        if (layout->type != p.d.type || layout->batches != p.d.batches) return layout->batches != p.d.batches ? INVALID : NOT_SUPPORTED;
        if (!layout->rows || !layout->columns || layout->leading < int64_t(layout->rows) || layout->stride < 0) return INVALID;
    }
    bool single = p.d.type == R_32F, half = p.d.type == R_16F || p.d.type == R_16BF;
    if (p.desc.scale != R_32F || !(single || half)) return NOT_SUPPORTED;
    if (p.desc.compute != COMPUTE_32F && !(single && p.desc.compute == COMPUTE_32F_FAST_TF32)) return NOT_SUPPORTED;
    unsigned rest = p.desc.epilogue & ~unsigned(BIAS);
    if (p.desc.epilogue != DEFAULT && p.desc.epilogue != BIAS && rest != RELU && rest != GELU) return NOT_SUPPORTED;
    if ((p.desc.epilogue & BIAS) && !p.desc.bias) return INVALID;
    bool a = p.desc.turned[0], b = p.desc.turned[1];
    if ((a ? p.a.columns : p.a.rows) != p.m || (a ? p.a.rows : p.a.columns) != p.k) return INVALID;
    if ((b ? p.b.columns : p.b.rows) != p.k || (b ? p.b.rows : p.b.columns) != p.n) return INVALID;
    if (p.c.rows != p.m || p.c.columns != p.n) return INVALID;
    // Results of two batches in one place.
    int64_t whole = int64_t(p.n - 1) * p.d.leading + int64_t(p.m);
    bool apart = p.d.stride >= whole || (p.d.stride >= int64_t(p.m) && p.d.leading >= p.d.stride * (p.d.batches - 1) + int64_t(p.m));
    if (p.d.batches > 1 && !apart) return INVALID;
    // Something must be refused that the program asks for: here what kernels that read two numbers at a time could not do.
    if (p.d.type == R_16F && (p.a.leading % 2 || p.b.leading % 2)) return NOT_SUPPORTED;
    return 0;
}
int read(Problem &p, void *desc, void *a, void *b, void *c, void *d) {
    auto read_desc = of<Desc>(desc, Object::DESC);
    Layout *layouts[] = {of<Layout>(a, Object::LAYOUT), of<Layout>(b, Object::LAYOUT), of<Layout>(c, Object::LAYOUT),
                         of<Layout>(d, Object::LAYOUT)};
    for (auto layout : layouts)
        if (!layout) return INVALID;
    if (!read_desc) return INVALID;
    p = {*read_desc, *layouts[0], *layouts[1], *layouts[2], *layouts[3], 0, 0, 0, false};
    p.m = p.d.rows;
    p.n = p.d.columns;
    p.k = p.desc.turned[0] ? p.a.rows : p.a.columns;
    return fits(p);
}
uint64_t hash(const Problem &p) {
    uint64_t made = MAGIC;
    auto add = [&](uint64_t value) { made = (made ^ value) * 0x100000001B3ull + (made >> 29); };
    for (auto value : {uint64_t(p.desc.compute), uint64_t(p.desc.turned[0]), uint64_t(p.desc.turned[1]), uint64_t(p.desc.epilogue)}) add(value);
    for (auto layout : {&p.a, &p.b, &p.c, &p.d})
        for (auto value : {uint64_t(layout->type), layout->rows, layout->columns, uint64_t(layout->leading), uint64_t(layout->batches),
                           uint64_t(layout->stride)})
            add(value);
    return made;
}
unsigned alignment(const void *address) {
    auto bits = reinterpret_cast<uintptr_t>(address);
    return bits % 256 ? unsigned(bits & -bits) : 256;
}

// One side of a product as rows of what is summed.
std::vector<float> side(const void *data, const Layout &layout, int64_t batch, bool by_columns, uint64_t count, uint64_t inner, bool tf32) {
    std::vector<float> out(count * inner);
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < inner; j++) {
            int64_t at = by_columns ? int64_t(i) * layout.leading + int64_t(j) : int64_t(j) * layout.leading + int64_t(i);
            float value = single(data, batch * layout.stride + at, number_of(layout.type));
            out[i * inner + j] = tf32 ? shortened(value, TF32) : value;
        }
    return out;
}
void multiply(const Problem &p, float alpha, const void *a, const void *b, float beta, const void *c, void *d) {
    bool tf32 = p.desc.compute == COMPUTE_32F_FAST_TF32;
    for (int64_t batch = 0; batch < p.d.batches; batch++) {
        auto left = side(a, p.a, batch, p.desc.turned[0], p.m, p.k, tf32);
        auto right = side(b, p.b, batch, !p.desc.turned[1], p.n, p.k, tf32);
        for (uint64_t column = 0; column < p.n; column++)
            for (uint64_t row = 0; row < p.m; row++) {
                float sum = 0;
                for (uint64_t k = 0; k < p.k; k++) sum += left[row * p.k + k] * right[column * p.k + k];
                float value = alpha * sum;
                if (p.adds) value += beta * single(c, batch * p.c.stride + int64_t(column) * p.c.leading + int64_t(row), number_of(p.c.type));
                if (p.desc.epilogue & BIAS) value += single(p.desc.bias, int64_t(row), number_of(p.d.type));
                if (p.desc.epilogue & RELU) value = value < 0 ? 0 : value;
                if (p.desc.epilogue & GELU) value *= 0.5f * (1 + std::tanh(0.7978845608f * (value + 0.044715f * value * value * value)));
                store(d, batch * p.d.stride + int64_t(column) * p.d.leading + int64_t(row), number_of(p.d.type), value);
            }
    }
}
// Whether all of a matrix is in the device's memory; a violation where it is not.
bool is_there(const char *name, const void *data, const Layout &layout) {
    int64_t last = int64_t(layout.columns - 1) * layout.leading + int64_t(layout.rows) + (layout.batches - 1) * layout.stride;
    Where where = where_is(data, size_t(last) * width(number_of(layout.type)));
    if (where == Where::device) return true;
    violation("cublasLtMatmul: %s of %zu bytes is %s", name, size_t(last) * width(number_of(layout.type)), place_name(where));
    return false;
}
// Nanoseconds.
uint64_t duration(const Problem &p, uint64_t number) {
    double each = p.d.type != R_32F ? 0.125 : p.desc.compute == COMPUTE_32F_FAST_TF32 ? 0.25 : 1;
    double slower = number == FASTEST ? 1 : 1.5 + 0.25 * double(number);
    return uint64_t(2.0 * double(p.m) * double(p.n) * double(p.k) * p.d.batches * each * slower);
}
const char *type_name(const Problem &p) {
    if (p.d.type == R_32F) return p.desc.compute == COMPUTE_32F_FAST_TF32 ? "tf32" : "fp32";
    return p.d.type == R_16F ? "fp16" : "bf16";
}
} // namespace

#define BLAS extern "C" __attribute__((visibility("default"))) int
// A status in place of the driver's code where the device is lost.
#define ENTER_BLAS                                                                                                           \
    Call call_(__func__);                                                                                                    \
    if (call_.early) return call_.early == -1 ? 0 : call_.early > 16 ? int(EXECUTION_FAILED) : call_.early

extern "C" __attribute__((visibility("default"))) size_t cublasLtGetVersion() { return size_t(setting("FAKE_CUBLASLT", 130002)); }
BLAS cublasLtCreate(void **handle) {
    ENTER_BLAS;
    void *context = nullptr;
    if (cuCtxGetCurrent(&context) || !context) return NOT_INITIALIZED;
    make(handle, new Handle, Object::HANDLE);
    return 0;
}
BLAS cublasLtDestroy(void *handle) {
    ENTER_BLAS;
    return destroy<Handle>(handle, Object::HANDLE);
}
BLAS cublasLtMatmulDescCreate(void **handle, int compute, int scale) {
    ENTER_BLAS;
    auto desc = new Desc;
    desc->compute = compute;
    desc->scale = scale;
    make(handle, desc, Object::DESC);
    return 0;
}
BLAS cublasLtMatmulDescDestroy(void *handle) {
    ENTER_BLAS;
    return destroy<Desc>(handle, Object::DESC);
}
BLAS cublasLtMatmulDescSetAttribute(void *handle, int attribute, const void *from, size_t bytes) {
    ENTER_BLAS;
    auto desc = of<Desc>(handle, Object::DESC);
    if (!desc) return INVALID;
    switch (attribute) {
    case 3: return take(desc->turned[0], from, bytes);
    case 4: return take(desc->turned[1], from, bytes);
    case 7: return take(desc->epilogue, from, bytes);
    case 8: return take(desc->bias, from, bytes);
    default: violation("cublasLtMatmulDescSetAttribute: the fake does not know attribute %d", attribute); return INVALID;
    }
}
BLAS cublasLtMatrixLayoutCreate(void **handle, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    ENTER_BLAS;
    auto layout = new Layout;
    layout->type = type;
    layout->rows = rows;
    layout->columns = columns;
    layout->leading = leading;
    make(handle, layout, Object::LAYOUT);
    return 0;
}
BLAS cublasLtMatrixLayoutDestroy(void *handle) {
    ENTER_BLAS;
    return destroy<Layout>(handle, Object::LAYOUT);
}
BLAS cublasLtMatrixLayoutSetAttribute(void *handle, int attribute, const void *from, size_t bytes) {
    ENTER_BLAS;
    auto layout = of<Layout>(handle, Object::LAYOUT);
    if (!layout) return INVALID;
    switch (attribute) {
    case 5: return take(layout->batches, from, bytes);
    case 6: return take(layout->stride, from, bytes);
    default: violation("cublasLtMatrixLayoutSetAttribute: the fake does not know attribute %d", attribute); return INVALID;
    }
}
BLAS cublasLtMatmulPreferenceCreate(void **handle) {
    ENTER_BLAS;
    make(handle, new Preference, Object::PREFERENCE);
    return 0;
}
BLAS cublasLtMatmulPreferenceDestroy(void *handle) {
    ENTER_BLAS;
    return destroy<Preference>(handle, Object::PREFERENCE);
}
BLAS cublasLtMatmulPreferenceSetAttribute(void *handle, int attribute, const void *from, size_t bytes) {
    ENTER_BLAS;
    auto preference = of<Preference>(handle, Object::PREFERENCE);
    if (!preference) return INVALID;
    if (attribute == 1) return take(preference->workspace, from, bytes);
    if (attribute >= 5 && attribute <= 8) return take(preference->alignment[attribute - 5], from, bytes);
    violation("cublasLtMatmulPreferenceSetAttribute: the fake does not know attribute %d", attribute);
    return INVALID;
}
BLAS cublasLtMatmulAlgoGetHeuristic(void *handle, void *desc, void *a, void *b, void *c, void *d, void *preference_handle, int asked,
                                    Result *results, int *given) {
    ENTER_BLAS;
    auto preference = of<Preference>(preference_handle, Object::PREFERENCE);
    if (!of<Handle>(handle, Object::HANDLE) || !preference || !results || !given || asked < 1) return INVALID;
    Problem p;
    *given = 0;
    if (int status = read(p, desc, a, b, c, d)) return status;
    for (int i = 0; i < ALGORITHMS && *given < asked; i++) {
        if (WORKSPACE_STEP * size_t(i) > preference->workspace) break;
        Result &result = results[(*given)++];
        result = {{MAGIC, hash(p), uint64_t(i), WORKSPACE_STEP * size_t(i), {}, {}}, WORKSPACE_STEP * size_t(i), 0, 1, {}};
        memcpy(result.algorithm.alignment, preference->alignment, sizeof preference->alignment);
        // The bias is named, and expected to stay where it is, or as well aligned.
        if (p.desc.epilogue & BIAS) result.algorithm.rest[0] = alignment(p.desc.bias);
        if (i == UNUSABLE) result.state = NOT_SUPPORTED;
    }
    return *given ? 0 : NOT_SUPPORTED;
}
BLAS cublasLtMatmulAlgoCheck(void *handle, void *desc, void *a, void *b, void *c, void *d, const Algorithm *algorithm, Result *result) {
    ENTER_BLAS;
    if (!of<Handle>(handle, Object::HANDLE) || !algorithm || !result) return INVALID;
    Problem p;
    if (int status = read(p, desc, a, b, c, d)) return status;
    if (algorithm->magic != MAGIC || algorithm->problem != hash(p) || algorithm->number >= ALGORITHMS) return INVALID;
    *result = {*algorithm, algorithm->workspace, algorithm->number == UNUSABLE ? int(NOT_SUPPORTED) : 0, 1, {}};
    return 0;
}
BLAS cublasLtMatmul(void *handle, void *desc, const float *alpha_at, const void *a, void *a_layout, const void *b, void *b_layout,
                    const float *beta_at, const void *c, void *c_layout, void *d, void *d_layout, const Algorithm *algorithm,
                    void *workspace, size_t workspace_bytes, void *stream_handle) {
    ENTER_BLAS;
    Stream *stream = stream_of(stream_handle);
    if (!of<Handle>(handle, Object::HANDLE) || !stream) return INVALID;
    if (!alpha_at || !beta_at || !algorithm) return INVALID;
    Problem p;
    if (int status = read(p, desc, a_layout, b_layout, c_layout, d_layout)) return status;
    if (algorithm->magic != MAGIC || algorithm->problem != hash(p) || algorithm->workspace > workspace_bytes) return INVALID;
    const uint64_t number = algorithm->number;
    if (number >= ALGORITHMS || number == UNUSABLE) {
        violation("cublasLtMatmul with an algorithm that cannot be used");
        return INVALID;
    }
    const void *places[] = {a, b, c, d};
    for (int i = 0; i < 4; i++)
        if (alignment(places[i]) < algorithm->alignment[i]) {
            violation("cublasLtMatmul: operand %d is aligned to %u bytes, and the algorithm was found for %u", i, alignment(places[i]),
                      algorithm->alignment[i]);
            return INVALID;
        }
    if ((p.desc.epilogue & BIAS) && alignment(p.desc.bias) < algorithm->rest[0]) {
        violation("cublasLtMatmul: the bias is aligned to %u bytes, and the algorithm was found for %u", alignment(p.desc.bias),
                  unsigned(algorithm->rest[0]));
        return INVALID;
    }
    if (workspace_bytes && alignment(workspace) < 256) return violation("cublasLtMatmul: the workspace is not aligned"), INVALID;
    if (stream->recording && !loaded.count(algorithm->problem * 31 + number)) {
        stream->recording->broken = true;
        return EXECUTION_FAILED;
    }
    loaded.insert(algorithm->problem * 31 + number);
    const float alpha = *alpha_at, beta = *beta_at;
    const size_t needed = algorithm->workspace;
    p.adds = beta != 0;
    CUresult queued = push(stream, [=]() -> CUresult {
        Layout bias = p.d;
        bias.columns = 1;
        bias.batches = 1;
        if (!is_there("A", a, p.a) || !is_there("B", b, p.b) || !is_there("D", d, p.d)) return sticky;
        if (p.adds && !is_there("C", c, p.c)) return sticky;
        if ((p.desc.epilogue & BIAS) && !is_there("the bias", p.desc.bias, bias)) return sticky;
        if (needed) {
            if (where_is(workspace, needed) != Where::device) return violation("cublasLtMatmul: the workspace is not on the device");
            memset(workspace, 0x5A, needed);
        }
        note_kernel((std::string("cublaslt ") + type_name(p) + " algorithm " + std::to_string(number)).c_str());
        multiply(p, alpha, a, b, beta, c, d);
        now += duration(p, number);
        return SUCCESS;
    });
    return queued ? int(EXECUTION_FAILED) : 0;
}
