// A cuDNN for the fake device: the functions that the program calls, and no others. Convolutions are work on the same queues as
// everything else, so a missing wait, or memory that is gone, shows as it does with kernels.
//
// It is stricter than the library. Descriptors must be its own, alive and set, shapes must fit each other, no picture may reach
// out of its memory or be aligned to less than 16 bytes, a handle works on the stream that it was given last; a method that never
// ran cannot be recorded, since the library loads kernels when they are first used, and it gets the workspace that it asked for
// (which it spoils). What NVIDIA's tables do not have is refused with a status: other types than those three, a sum or a bias
// without ReLU by another method than the second, single precision in more than one group with channels side by side.
//
// Each convolution takes time on the device's clock: single precision most, sixteen bits least, planes half as much again as
// channels; of its methods the second is the fastest.
//
// Environment variables, beside those of the driver:
//   FAKE_CUDNN=91302            version that it says it is
//   FAKE_CUDNN_TIME=percent     how long its fastest takes, beside cuBLASLt's fastest with as many products [100]
//   FAKE_CUDNN_WORKSPACE=bytes  what the second method needs beside the pictures [4096]
// FAKE_FAIL and FAKE_SKIP know its functions by their names; codes are those of cudnnStatus_t.
#include "fake.h"
#include "numbers.h"

#include <cstring>
#include <set>

API cuCtxGetCurrent(void **context);

namespace {
enum Status { NOT_INITIALIZED = 1001, BAD_PARAM = 2000, MISALIGNED = 2003, UNSUPPORTED = 3000, UNSUPPORTED_TYPE = 3003, FAILED = 5000 };
enum Type { FLOAT = 0, HALF = 2, BFLOAT = 9 };
enum Format { PLANES = 0, CHANNELS = 1 };
enum Math { DEFAULT_MATH = 0, TENSOR_MATH = 1, FMA_MATH = 3 };
enum Mode { RELU = 1, IDENTITY = 5 };
constexpr int METHODS = 3, FASTEST = 1;

struct Object {
    enum Kind { HANDLE, TENSOR, FILTER, WINDOWS, ACTIVATION } kind;
    bool set = false;
};
struct Handle : Object {
    void *stream = nullptr;
};
struct Tensor : Object {
    int type, format, size[4];
};
struct Windows : Object {
    int pad[2], stride[2], dilation[2], mode, type, groups = 1, math = DEFAULT_MATH;
};
struct Activation : Object {
    int mode, nan;
};

auto &objects = *new std::set<Object *>;       // never destroyed
auto &loaded = *new std::set<std::string>;     // what ran, and so can be recorded

template <class T> T *of(void *handle, Object::Kind kind) {
    auto object = static_cast<Object *>(handle);
    if (!objects.count(object) || object->kind != kind) {
        violation("cuDNN is given a handle or a descriptor that is none, or is gone");
        return nullptr;
    }
    if (kind != Object::HANDLE && !object->set) {
        violation("cuDNN is given a descriptor in which nothing is written");
        return nullptr;
    }
    return static_cast<T *>(object);
}
// One to be written.
template <class T> T *blank(void *handle, Object::Kind kind) {
    auto object = static_cast<Object *>(handle);
    if (objects.count(object) && object->kind == kind) {
        object->set = true;
        return static_cast<T *>(object);
    }
    violation("cuDNN is given a handle or a descriptor that is none, or is gone");
    return nullptr;
}
template <class T> int make(void **handle, Object::Kind kind) {
    T *object = new T;
    object->kind = kind;
    objects.insert(object);
    *handle = static_cast<Object *>(object);
    return 0;
}
template <class T> int destroy(void *handle, Object::Kind kind) {
    auto object = static_cast<Object *>(handle);
    if (!objects.count(object) || object->kind != kind) {
        violation("cuDNN is given a handle or a descriptor that is none, or is gone");
        return BAD_PARAM;
    }
    objects.erase(object);
    delete static_cast<T *>(object);
    return 0;
}
Number number_of(int type) { return type == FLOAT ? Number::SINGLE : type == HALF ? Number::HALF : Number::BFLOAT; }
int64_t count(const Tensor &tensor) {
    int64_t all = 1;
    for (int size : tensor.size) all *= size;
    return all;
}
// Where a number of a tensor lies: n, channel, row, column.
int64_t place(const Tensor &tensor, int64_t n, int64_t c, int64_t h, int64_t w) {
    int64_t C = tensor.size[1], H = tensor.size[2], W = tensor.size[3];
    return tensor.format == PLANES ? ((n * C + c) * H + h) * W + w : ((n * H + h) * W + w) * C + c;
}

struct Problem {
    Tensor x, w, y;
    Windows windows;
};
// What can be known before the places are: a status, 0 where it fits.
int fits(const Problem &p) {
    const Tensor *all[] = {&p.x, &p.w, &p.y};
    for (auto tensor : all)
        if (tensor->type != p.x.type || tensor->format != p.x.format) return UNSUPPORTED;
    if (p.x.type != FLOAT && p.x.type != HALF && p.x.type != BFLOAT) return UNSUPPORTED_TYPE;
    if (p.windows.type != FLOAT || p.windows.mode != 1) return UNSUPPORTED;
    // Sixteen bits by these only with tensor cores; FMA is of single precision.
    if ((p.x.type == FLOAT) == (p.windows.math == TENSOR_MATH)) return UNSUPPORTED;
    int groups = p.windows.groups;
    if (groups < 1 || p.x.size[1] % groups || p.w.size[0] % groups) return BAD_PARAM;
    if (p.w.size[1] != p.x.size[1] / groups || p.y.size[0] != p.x.size[0] || p.y.size[1] != p.w.size[0]) return BAD_PARAM;
    for (int i = 0; i < 2; i++) {
        int span = p.windows.dilation[i] * (p.w.size[2 + i] - 1) + 1;
        int room = p.x.size[2 + i] + 2 * p.windows.pad[i] - span;
        if (p.windows.stride[i] < 1 || p.windows.pad[i] < 0 || room < 0 || room / p.windows.stride[i] + 1 != p.y.size[2 + i]) return BAD_PARAM;
    }
    // Something must be refused that the program asks for.
    if (p.x.type == FLOAT && p.windows.math == FMA_MATH && p.x.format == CHANNELS && groups > 1) return UNSUPPORTED;
    return 0;
}
int read(Problem &p, void *x, void *w, void *windows, void *y) {
    auto read_x = of<Tensor>(x, Object::TENSOR), read_w = of<Tensor>(w, Object::FILTER), read_y = of<Tensor>(y, Object::TENSOR);
    auto read_windows = of<Windows>(windows, Object::WINDOWS);
    if (!read_x || !read_w || !read_y || !read_windows) return BAD_PARAM;
    p = {*read_x, *read_w, *read_y, *read_windows};
    return fits(p);
}
std::string words(const Problem &p, int method) {
    std::string made = std::to_string(method);
    auto add = [&](const int *from, int many) {
        for (int i = 0; i < many; i++) made += "," + std::to_string(from[i]);
    };
    for (auto tensor : {&p.x, &p.w, &p.y}) add(&tensor->type, 1), add(&tensor->format, 1), add(tensor->size, 4);
    add(p.windows.pad, 2), add(p.windows.stride, 2), add(p.windows.dilation, 2), add(&p.windows.groups, 1), add(&p.windows.math, 1);
    return made;
}
size_t needed(int method) { return method == FASTEST ? size_t(setting("FAKE_CUDNN_WORKSPACE", 4096)) : method ? 65536 : 0; }

// What follows the sums; no bias where nothing does.
struct Behind {
    float scale = 0;
    const void *z = nullptr, *bias = nullptr;
    bool relu = false;
};
void convolve(const Problem &p, const void *x, const void *w, const Behind &behind, void *y) {
    const bool tf32 = p.x.type == FLOAT && p.windows.math == DEFAULT_MATH;
    const int each = p.w.size[1], filters = p.w.size[0] / p.windows.groups;
    auto rounded = [&](float value) { return tf32 ? shortened(value, TF32) : value; };
    // What is added may lie where the result goes: all of it is read before.
    std::vector<float> added;
    if (behind.scale != 0)
        for (int64_t i = 0; i < count(p.y); i++) added.push_back(behind.scale * single(behind.z, i, number_of(p.y.type)));
    for (int n = 0; n < p.y.size[0]; n++)
        for (int f = 0; f < p.y.size[1]; f++)
            for (int h = 0; h < p.y.size[2]; h++)
                for (int v = 0; v < p.y.size[3]; v++) {
                    float sum = 0;
                    for (int c = 0; c < each; c++)
                        for (int i = 0; i < p.w.size[2]; i++)
                            for (int j = 0; j < p.w.size[3]; j++) {
                                int row = h * p.windows.stride[0] - p.windows.pad[0] + i * p.windows.dilation[0];
                                int column = v * p.windows.stride[1] - p.windows.pad[1] + j * p.windows.dilation[1];
                                if (row < 0 || row >= p.x.size[2] || column < 0 || column >= p.x.size[3]) continue;
                                float left = single(x, place(p.x, n, f / filters * each + c, row, column), number_of(p.x.type));
                                sum += rounded(left) * rounded(single(w, place(p.w, f, c, i, j), number_of(p.w.type)));
                            }
                    const int64_t at = place(p.y, n, f, h, v);
                    if (behind.scale != 0) sum += added[size_t(at)];
                    if (behind.bias) sum += single(behind.bias, f, number_of(p.y.type));
                    if (behind.relu && sum < 0) sum = 0;
                    store(y, at, number_of(p.y.type), sum);
                }
}
// Nanoseconds.
uint64_t duration(const Problem &p, int method) {
    double each = p.x.type != FLOAT ? 0.125 : p.windows.math == DEFAULT_MATH ? 0.25 : 1;
    double slower = (method == FASTEST ? 1 : 1.5 + 0.25 * method) * (p.x.format == PLANES ? 1.5 : 1);
    double products = double(count(p.y)) * p.w.size[1] * p.w.size[2] * p.w.size[3];
    return uint64_t(2 * products * each * slower * double(setting("FAKE_CUDNN_TIME", 100)) / 100);
}
const char *type_name(const Problem &p) {
    if (p.x.type == FLOAT) return p.windows.math == DEFAULT_MATH ? "tf32" : "fp32";
    return p.x.type == HALF ? "fp16" : "bf16";
}
bool is_there(const char *name, const void *data, int64_t numbers, int type) {
    size_t bytes = size_t(numbers) * width(number_of(type));
    Where where = where_is(data, bytes);
    if (where == Where::device) return true;
    violation("cuDNN: %s of %zu bytes is %s", name, bytes, place_name(where));
    return false;
}
// Queues it on the handle's stream.
int queue(void *handle, const Problem &p, const void *x, const void *w, const Behind &behind, void *y, int method, void *workspace,
          size_t bytes) {
    auto own = of<Handle>(handle, Object::HANDLE);
    if (!own) return BAD_PARAM;
    if (!own->stream) {
        violation("cuDNN convolves on the default stream, which nobody waits for");
        return BAD_PARAM;
    }
    Stream *stream = stream_of(own->stream);
    if (!stream) return BAD_PARAM;
    if (method < 0 || method >= METHODS) return UNSUPPORTED;
    if (bytes < needed(method)) return BAD_PARAM;
    for (auto address : {x, w, static_cast<const void *>(y), behind.z, behind.bias})
        if (reinterpret_cast<uintptr_t>(address) % 16) {
            violation("cuDNN is given a picture that is not aligned to 16 bytes");
            return MISALIGNED;
        }
    if (needed(method) && reinterpret_cast<uintptr_t>(workspace) % 256) return violation("cuDNN: the workspace is not aligned"), BAD_PARAM;
    const std::string what = words(p, method) + (behind.bias ? "+" : "");
    if (stream->recording && !loaded.count(what)) {
        stream->recording->broken = true;
        return FAILED;
    }
    loaded.insert(what);
    const size_t room = needed(method);
    CUresult queued = push(stream, [=]() -> CUresult {
        if (!is_there("the pictures", x, count(p.x), p.x.type) || !is_there("the filters", w, count(p.w), p.w.type) ||
            !is_there("the result", y, count(p.y), p.y.type))
            return sticky;
        if (behind.scale != 0 && !is_there("what is added", behind.z, count(p.y), p.y.type)) return sticky;
        if (behind.bias && !is_there("the bias", behind.bias, p.y.size[1], p.y.type)) return sticky;
        if (room) {
            if (where_is(workspace, room) != Where::device) return violation("cuDNN: the workspace is not on the device");
            memset(workspace, 0x5A, room);
        }
        const char *order = p.x.format == PLANES ? "planes" : "channels";
        note_kernel((std::string("cudnn ") + type_name(p) + " " + order + " method " + std::to_string(method)).c_str());
        convolve(p, x, w, behind, y);
        now += duration(p, method);
        return SUCCESS;
    });
    return queued ? int(FAILED) : 0;
}
} // namespace

#define DNN extern "C" __attribute__((visibility("default"))) int
// A status in place of the driver's code where the device is lost.
#define ENTER_DNN                                                                                                            \
    Call call_(__func__);                                                                                                    \
    if (call_.early) return call_.early == -1 ? 0 : call_.early < 1000 ? int(FAILED) : call_.early

extern "C" __attribute__((visibility("default"))) size_t cudnnGetVersion() { return size_t(setting("FAKE_CUDNN", 91302)); }
DNN cudnnCreate(void **handle) {
    ENTER_DNN;
    void *context = nullptr;
    if (cuCtxGetCurrent(&context) || !context) return NOT_INITIALIZED;
    return make<Handle>(handle, Object::HANDLE);
}
DNN cudnnDestroy(void *handle) {
    ENTER_DNN;
    return destroy<Handle>(handle, Object::HANDLE);
}
DNN cudnnSetStream(void *handle, void *stream) {
    ENTER_DNN;
    auto own = of<Handle>(handle, Object::HANDLE);
    if (!own || !stream_of(stream)) return BAD_PARAM;
    own->stream = stream;
    return 0;
}
#define DESCRIPTOR(Name, T, kind)                                                                                            \
    DNN cudnnCreate##Name##Descriptor(void **handle) {                                                                       \
        ENTER_DNN;                                                                                                           \
        return make<T>(handle, Object::kind);                                                                                \
    }                                                                                                                        \
    DNN cudnnDestroy##Name##Descriptor(void *handle) {                                                                       \
        ENTER_DNN;                                                                                                           \
        return destroy<T>(handle, Object::kind);                                                                             \
    }
DESCRIPTOR(Tensor, Tensor, TENSOR)
DESCRIPTOR(Filter, Tensor, FILTER)
DESCRIPTOR(Convolution, Windows, WINDOWS)
DESCRIPTOR(Activation, Activation, ACTIVATION)

static int set(Tensor *tensor, int type, int format, const int (&size)[4]) {
    if (!tensor) return BAD_PARAM;
    if (format != PLANES && format != CHANNELS) return UNSUPPORTED;
    for (int i = 0; i < 4; i++)
        if ((tensor->size[i] = size[i]) < 1) return BAD_PARAM;
    tensor->type = type;
    tensor->format = format;
    return 0;
}
DNN cudnnSetTensor4dDescriptor(void *handle, int format, int type, int n, int c, int h, int w) {
    ENTER_DNN;
    return set(blank<Tensor>(handle, Object::TENSOR), type, format, {n, c, h, w});
}
DNN cudnnSetFilter4dDescriptor(void *handle, int type, int format, int k, int c, int h, int w) {
    ENTER_DNN;
    return set(blank<Tensor>(handle, Object::FILTER), type, format, {k, c, h, w});
}
DNN cudnnSetConvolution2dDescriptor(void *handle, int pad_h, int pad_w, int stride_h, int stride_w, int dilation_h, int dilation_w, int mode,
                                    int type) {
    ENTER_DNN;
    auto windows = blank<Windows>(handle, Object::WINDOWS);
    if (!windows) return BAD_PARAM;
    const int pad[2] = {pad_h, pad_w}, stride[2] = {stride_h, stride_w}, dilation[2] = {dilation_h, dilation_w};
    memcpy(windows->pad, pad, sizeof pad);
    memcpy(windows->stride, stride, sizeof stride);
    memcpy(windows->dilation, dilation, sizeof dilation);
    windows->mode = mode;
    windows->type = type;
    return 0;
}
DNN cudnnSetConvolutionGroupCount(void *handle, int groups) {
    ENTER_DNN;
    auto windows = of<Windows>(handle, Object::WINDOWS);
    if (!windows) return BAD_PARAM;
    windows->groups = groups;
    return 0;
}
DNN cudnnSetConvolutionMathType(void *handle, int math) {
    ENTER_DNN;
    auto windows = of<Windows>(handle, Object::WINDOWS);
    if (!windows) return BAD_PARAM;
    windows->math = math;
    return 0;
}
DNN cudnnSetActivationDescriptor(void *handle, int mode, int nan, double) {
    ENTER_DNN;
    auto activation = blank<Activation>(handle, Object::ACTIVATION);
    if (!activation) return BAD_PARAM;
    activation->mode = mode;
    activation->nan = nan;
    return 0;
}
DNN cudnnGetConvolutionForwardWorkspaceSize(void *handle, void *x, void *w, void *windows, void *y, int method, size_t *bytes) {
    ENTER_DNN;
    Problem p;
    if (!of<Handle>(handle, Object::HANDLE) || !bytes) return BAD_PARAM;
    if (int status = read(p, x, w, windows, y)) return status;
    if (method < 0 || method >= METHODS) return UNSUPPORTED;
    *bytes = needed(method);
    return 0;
}
DNN cudnnConvolutionForward(void *handle, const float *alpha, void *x_desc, const void *x, void *w_desc, const void *w, void *windows, int method,
                            void *workspace, size_t bytes, const float *beta, void *y_desc, void *y) {
    ENTER_DNN;
    Problem p;
    if (int status = read(p, x_desc, w_desc, windows, y_desc)) return status;
    if (!alpha || !beta || *alpha != 1 || *beta != 0) return UNSUPPORTED;
    return queue(handle, p, x, w, Behind(), y, method, workspace, bytes);
}
DNN cudnnConvolutionBiasActivationForward(void *handle, const float *alpha, void *x_desc, const void *x, void *w_desc, const void *w,
                                          void *windows, int method, void *workspace, size_t bytes, const float *scale, void *z_desc,
                                          const void *z, void *bias_desc, const void *bias, void *activation_desc, void *y_desc, void *y) {
    ENTER_DNN;
    Problem p;
    if (int status = read(p, x_desc, w_desc, windows, y_desc)) return status;
    auto z_tensor = of<Tensor>(z_desc, Object::TENSOR), bias_tensor = of<Tensor>(bias_desc, Object::TENSOR);
    auto activation = of<Activation>(activation_desc, Object::ACTIVATION);
    if (!z_tensor || !bias_tensor || !activation || !alpha || !scale || *alpha != 1 || !z || !bias) return BAD_PARAM;
    if (memcmp(z_tensor->size, p.y.size, sizeof p.y.size) || z_tensor->type != p.y.type || z_tensor->format != p.y.format) return BAD_PARAM;
    const int channels[4] = {1, p.y.size[1], 1, 1};
    if (memcmp(bias_tensor->size, channels, sizeof channels) || bias_tensor->type != p.y.type) return BAD_PARAM;
    if (activation->mode != RELU && activation->mode != IDENTITY) return UNSUPPORTED;
    if (activation->mode == IDENTITY && method != FASTEST) return UNSUPPORTED;
    Behind behind;
    behind.scale = *scale;
    behind.z = z;
    behind.bias = bias;
    behind.relu = activation->mode == RELU;
    return queue(handle, p, x, w, behind, y, method, workspace, bytes);
}
