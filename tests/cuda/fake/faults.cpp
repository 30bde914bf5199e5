// What is counted, what is made to fail, and what is wrong.
#include "fake.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

std::recursive_mutex mutex;
CUresult sticky = SUCCESS;

namespace {
struct Planned {
    std::string call;
    long number; // 0: each one
    CUresult code;
};
std::vector<Planned> planned;
std::map<std::string, long> calls, kernels;
std::vector<std::string> violations;
uint64_t state = 1;

// call:n:code or call:n, several with commas.
void plan(const char *variable, bool skip) {
    const char *text = getenv(variable);
    while (text && *text) {
        std::string part(text, strcspn(text, ","));
        text += part.size() + (text[part.size()] == ',');
        char call[64], number[16];
        int code = -1, read = sscanf(part.c_str(), "%63[^:]:%15[^:]:%d", call, number, &code);
        bool each = read > 1 && !strcmp(number, "*");
        if (read != (skip ? 2 : 3) || (!each && atol(number) < 1)) {
            fprintf(stderr, "fake libcuda: %s=%s: not understood\n", variable, part.c_str());
            abort();
        }
        planned.push_back({call, each ? 0 : atol(number), skip ? -1 : code});
    }
}

std::string quoted(const std::string &text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + "\"";
}

void write_counts(FILE *file, const char *name, const std::map<std::string, long> &counts) {
    fprintf(file, "  \"%s\": {", name);
    const char *comma = "";
    for (auto &count : counts) {
        fprintf(file, "%s%s: %ld", comma, quoted(count.first).c_str(), count.second);
        comma = ", ";
    }
    fprintf(file, "},\n");
}

struct Life {
    Life() {
        state = uint64_t(setting("FAKE_SEED", 1)) * 0x9E3779B97F4A7C15ull + 1;
        seed_kernels(state);
        plan("FAKE_FAIL", false);
        plan("FAKE_SKIP", true);
    }
    ~Life() {
        check_margins();
        const char *path = getenv("FAKE_REPORT");
        FILE *file = path ? fopen(path, "w") : nullptr;
        if (!file) return;
        fprintf(file, "{\n");
        write_counts(file, "calls", calls);
        write_counts(file, "kernels", kernels);
        fprintf(file, "  \"graphs_beside_others\": %ld,\n", graphs_beside_others());
        fprintf(file, "  \"peak_bytes\": %zu,\n  \"pieces_left\": %zu,\n  \"violations\": [", peak_bytes(), pieces_left());
        const char *comma = "";
        for (auto &one : violations) {
            fprintf(file, "%s%s", comma, quoted(one).c_str());
            comma = ", ";
        }
        fprintf(file, "]\n}\n");
        fclose(file);
    }
};
} // namespace

long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text && *text ? atol(text) : otherwise;
}

uint64_t random_bits() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

// As the driver: after these the context is dead.
bool is_fatal(CUresult code) {
    switch (code) {
    case 214: case 220: case 226: case 700: case 702: case 709: case 710: case 714: case 715: case 716: case 717: case 718:
    case 719: case 721: case 999: return true;
    default: return false;
    }
}

CUresult counted(const char *call) {
    std::string name(call);
    if (name.size() > 3 && name.compare(name.size() - 3, 3, "_v2") == 0) name.resize(name.size() - 3);
    long number = ++calls[name];
    for (auto &one : planned) {
        if (one.call != name || (one.number && one.number != number)) continue;
        if (is_fatal(one.code)) sticky = one.code;
        return one.code;
    }
    return SUCCESS;
}

void note_kernel(const char *name) { kernels[name]++; }

CUresult violation(const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "fake libcuda: VIOLATION: %s\n", text);
    violations.push_back(text);
    if (!sticky) sticky = UNKNOWN;
    return sticky;
}

// Last in this file, so that it is made after and gone before what it uses.
static Life life;
