// Memory of the device and pinned memory of the host. Each piece lies at the end of pages of its own, with a page on each
// side that must not be touched; when it is freed its pages are locked for good.
#include "fake.h"

#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace {
constexpr size_t ALIGN = 256;
constexpr unsigned char MARGIN = 0xA5;
struct Piece {
    char *pages;
    size_t length; // of the pages, without the guards
    char *at;
    size_t bytes;
    bool pinned, freed;
};
// By where their pages begin. Never destroyed: the report at the end still reads it.
std::map<const char *, Piece> &pieces = *new std::map<const char *, Piece>;
size_t used = 0, peak = 0;

size_t page() {
    static const size_t size = size_t(sysconf(_SC_PAGESIZE));
    return size;
}
size_t rounded(size_t n, size_t to) { return (n + to - 1) / to * to; }
size_t capacity() { return size_t(setting("FAKE_MEM", 1L << 30)); }

char *make(size_t bytes, bool pinned) {
    size_t length = rounded(bytes, page());
    void *all = mmap(nullptr, length + 2 * page(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return nullptr;
    char *pages = static_cast<char *>(all) + page();
    mprotect(pages, length, PROT_READ | PROT_WRITE);
    char *at = pages + length - rounded(bytes, ALIGN);
    memset(pages, MARGIN, size_t(at - pages));
    memset(at, 0xFF, bytes);
    memset(at + bytes, MARGIN, size_t(pages + length - at) - bytes);
    pieces[pages] = {pages, length, at, bytes, pinned, false};
    return at;
}

Piece *piece_at(const void *address) {
    auto next = pieces.upper_bound(static_cast<const char *>(address));
    if (next == pieces.begin()) return nullptr;
    Piece &piece = std::prev(next)->second;
    return address < piece.pages + piece.length ? &piece : nullptr;
}

void check(const Piece &piece) {
    for (const char *at = piece.pages; at < piece.pages + piece.length; at++) {
        if (at == piece.at) at += piece.bytes;
        if (at >= piece.pages + piece.length) return;
        if (static_cast<unsigned char>(*at) == MARGIN) continue;
        violation("something wrote %s a piece of %zu bytes of %s memory, at byte %td", at < piece.at ? "before" : "behind",
                  piece.bytes, piece.pinned ? "pinned" : "device", at - piece.at);
        return;
    }
}

CUresult release(void *address, bool pinned) {
    Piece *piece = piece_at(address);
    const char *call = pinned ? "cuMemFreeHost" : "cuMemFree";
    if (!piece || piece->at != address || piece->pinned != pinned) return violation("%s of what it did not give", call);
    if (piece->freed) return violation("%s twice of the same", call);
    check(*piece);
    piece->freed = true;
    mprotect(piece->pages, piece->length, PROT_NONE);
    madvise(piece->pages, piece->length, MADV_DONTNEED);
    if (!pinned) used -= piece->bytes;
    return sticky;
}
} // namespace

Where where_is(const void *address, size_t bytes) {
    Piece *piece = piece_at(address);
    if (!piece || address < piece->at || bytes > piece->bytes) return Where::nowhere;
    if (static_cast<const char *>(address) > piece->at + (piece->bytes - bytes)) return Where::nowhere;
    if (piece->freed) return Where::freed;
    return piece->pinned ? Where::pinned : Where::device;
}

const char *place_name(Where where) {
    switch (where) {
    case Where::nowhere: return "outside of any memory that was given";
    case Where::freed: return "in memory that was freed";
    case Where::device: return "in device memory";
    default: return "in pinned memory";
    }
}

void check_margins() {
    for (auto &piece : pieces)
        if (!piece.second.freed) check(piece.second);
}

size_t pieces_left() {
    size_t left = 0;
    for (auto &piece : pieces) left += !piece.second.freed;
    return left;
}
size_t peak_bytes() { return peak; }

API cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    ENTER_NOT_RECORDING;
    if (!bytes) return INVALID_VALUE;
    if (bytes > capacity() - used) return OUT_OF_MEMORY;
    char *at = make(bytes, false);
    if (!at) return OUT_OF_MEMORY;
    used += bytes;
    if (used > peak) peak = used;
    *address = reinterpret_cast<uint64_t>(at);
    return SUCCESS;
}
API cuMemFree_v2(uint64_t address) {
    ENTER_NOT_RECORDING;
    // The driver waits for what may still use it.
    if (CUresult error = drain(nullptr)) return error;
    return release(reinterpret_cast<void *>(address), false);
}
API cuMemHostAlloc(void **address, size_t bytes, unsigned) {
    ENTER_NOT_RECORDING;
    if (!bytes) return INVALID_VALUE;
    *address = make(bytes, true);
    return *address ? SUCCESS : OUT_OF_MEMORY;
}
// Does not wait, so that freeing too early shows.
API cuMemFreeHost(void *address) {
    ENTER_NOT_RECORDING;
    return release(address, true);
}
API cuMemGetInfo_v2(size_t *free, size_t *total) {
    ENTER;
    *free = capacity() - used;
    *total = capacity();
    return SUCCESS;
}
