// Streams, events, copies: what is queued, and in which order it runs.
#include "fake.h"

#include <cstring>
#include <set>
#include <unistd.h>

namespace {
// Never destroyed: threads may still call when the process ends.
auto &streams = *new std::vector<std::unique_ptr<Stream>>;
auto &events = *new std::map<void *, std::shared_ptr<Event>>;
thread_local std::set<Stream *> recording_here;

bool is_ready(const Stream &stream) {
    if (stream.queue.empty()) return false;
    const Operation &next = stream.queue.front();
    return next.kind != Operation::WAIT || next.event->completed >= next.version;
}
// The ready stream that goes first. Each has a random rank, which seldom changes: so one may fall far behind, and what it
// should have done is missing where nobody waits for it. (A fair choice would hide that nearly always.)
Stream *choose() {
    Stream *first = nullptr;
    for (auto &stream : streams) {
        if (random_bits() % 200 == 0) stream->rank = random_bits();
        if (is_ready(*stream) && (!first || stream->rank > first->rank)) first = stream.get();
    }
    return first;
}
// Runs one piece of work. Gives whether there was one.
bool step() {
    Stream *stream = choose();
    if (!stream) return false;
    Operation next = std::move(stream->queue.front());
    stream->queue.pop_front();
    if (next.kind == Operation::RECORD && next.event->completed < next.version) {
        next.event->completed = next.version;
        next.event->time = now;
    }
    if (next.kind != Operation::WORK || sticky) return true; // a lost device does nothing more
    now += 1000;
    CUresult error = counted("run");
    if (error != -1 && !error) error = next.work();
    if (error > 0 && !sticky) sticky = error;
    return true;
}
std::shared_ptr<Event> event_of(void *handle) {
    auto found = events.find(handle);
    if (found == events.end() || found->second->dead) {
        violation("use of an event that is none, or is gone");
        return nullptr;
    }
    return found->second;
}
// Checked when it is queued and when it runs: memory may have been freed in between.
CUresult copy(const char *call, void *to, Where to_where, const void *from, Where from_where, size_t bytes) {
    Where to_is = where_is(to, bytes), from_is = where_is(from, bytes);
    if (to_is != to_where) return violation("%s writes %zu bytes %s", call, bytes, place_name(to_is));
    if (from_is != from_where) return violation("%s reads %zu bytes %s", call, bytes, place_name(from_is));
    memmove(to, from, bytes);
    return SUCCESS;
}
} // namespace

uint64_t now = 0;
Stream *stream_of(void *handle) {
    for (auto &stream : streams)
        if (stream.get() == handle && !stream->dead) return stream.get();
    violation("use of a stream that is none, or is gone");
    return nullptr;
}
bool breaks_recording() {
    for (Stream *stream : recording_here) stream->recording->broken = true;
    return !recording_here.empty();
}
void push_operation(Stream *stream, Operation operation) {
    stream->queue.push_back(std::move(operation));
    static const bool eager = setting("FAKE_SEED", 1) % 4 == 3;
    while (eager && random_bits() % 3 && step()) {}
}
CUresult push(Stream *stream, Work work) {
    if (stream->recording) {
        stream->recording->nodes.push_back(std::move(work));
        return SUCCESS;
    }
    push_operation(stream, {Operation::WORK, std::move(work), nullptr, 0});
    return SUCCESS;
}
bool others_are_busy(const Stream *stream) {
    for (auto &other : streams)
        if (other.get() != stream && !other->queue.empty()) return true;
    return false;
}
CUresult drain(Stream *stream) {
    auto pending = [&] {
        if (stream) return !stream->queue.empty();
        for (auto &one : streams)
            if (!one->queue.empty()) return true;
        return false;
    };
    while (pending())
        if (!step()) return violation("streams wait for each other for ever");
    return sticky;
}

API cuStreamCreateWithPriority(void **handle, unsigned, int) {
    ENTER;
    streams.emplace_back(new Stream);
    streams.back()->rank = random_bits();
    *handle = streams.back().get();
    return SUCCESS;
}
API cuStreamDestroy_v2(void *handle) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    stream->dead = true; // what is on it still runs
    return SUCCESS;
}
API cuStreamSynchronize(void *handle) {
    static const long pause = setting("FAKE_PAUSE", 0);
    if (pause) usleep(useconds_t(pause));
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    if (stream->recording) {
        stream->recording->broken = true;
        return CAPTURE_UNSUPPORTED;
    }
    return drain(stream);
}
API cuStreamWaitEvent(void *handle, void *event_handle, unsigned) {
    ENTER;
    Stream *stream = stream_of(handle);
    auto event = event_of(event_handle);
    if (!stream || !event) return sticky;
    if (stream->recording) {
        stream->recording->broken = true;
        return CAPTURE_ISOLATION; // graphs of one stream are all that is known here
    }
    push_operation(stream, {Operation::WAIT, nullptr, event, event->recorded});
    return SUCCESS;
}
API cuStreamBeginCapture_v2(void *handle, int) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    if (stream->recording) return CAPTURE_UNSUPPORTED;
    stream->recording.reset(new Recording);
    recording_here.insert(stream);
    return SUCCESS;
}
API cuStreamEndCapture(void *handle, void **graph) {
    ENTER;
    *graph = nullptr;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    if (!stream->recording) return CAPTURE_UNMATCHED;
    std::unique_ptr<Recording> recording = std::move(stream->recording);
    recording_here.erase(stream);
    if (recording->broken) return CAPTURE_INVALIDATED;
    *graph = recording.release();
    return SUCCESS;
}

API cuEventCreate(void **handle, unsigned flags) {
    ENTER;
    auto event = std::make_shared<Event>();
    event->timed = !(flags & 2);
    *handle = event.get();
    events[event.get()] = event;
    return SUCCESS;
}
API cuEventDestroy_v2(void *handle) {
    ENTER;
    auto event = event_of(handle);
    if (!event) return sticky;
    event->dead = true; // kept, so that its address is not given again
    return SUCCESS;
}
API cuEventRecord(void *handle, void *stream_handle) {
    ENTER;
    auto event = event_of(handle);
    Stream *stream = stream_of(stream_handle);
    if (!stream || !event) return sticky;
    if (stream->recording) {
        stream->recording->broken = true;
        return CAPTURE_UNSUPPORTED;
    }
    push_operation(stream, {Operation::RECORD, nullptr, event, ++event->recorded});
    return SUCCESS;
}
API cuEventQuery(void *handle) {
    ENTER_NOT_RECORDING;
    auto event = event_of(handle);
    if (!event) return sticky;
    if (random_bits() & 1) step();
    if (sticky) return sticky;
    return event->completed >= event->recorded ? SUCCESS : NOT_READY;
}
API cuEventSynchronize(void *handle) {
    ENTER_NOT_RECORDING;
    auto event = event_of(handle);
    if (!event) return sticky;
    while (event->completed < event->recorded)
        if (!step()) return violation("an event never comes");
    return sticky;
}
API cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) {
    ENTER;
    auto first = event_of(start), last = event_of(end);
    if (!first || !last) return sticky;
    if (!first->timed || !last->timed || !first->recorded || !last->recorded) return INVALID_HANDLE;
    if (first->completed < first->recorded || last->completed < last->recorded) return NOT_READY;
    *milliseconds = float(double(int64_t(last->time - first->time)) / 1e6);
    return SUCCESS;
}

API cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *handle) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    void *target = reinterpret_cast<void *>(to);
    Where from_is = where_is(from, bytes);
    if (from_is == Where::freed) return violation("cuMemcpyHtoDAsync reads memory that was freed");
    if (from_is == Where::pinned)
        return push(stream, [=] { return copy("cuMemcpyHtoDAsync", target, Where::device, from, Where::pinned, bytes); });
    // The driver takes a copy of what is not pinned before it returns.
    if (stream->recording) return CAPTURE_UNSUPPORTED;
    auto staged = std::make_shared<std::vector<char>>(static_cast<const char *>(from), static_cast<const char *>(from) + bytes);
    return push(stream, [=]() -> CUresult {
        Where to_is = where_is(target, bytes);
        if (to_is != Where::device) return violation("cuMemcpyHtoDAsync writes %zu bytes %s", bytes, place_name(to_is));
        memcpy(target, staged->data(), bytes);
        return SUCCESS;
    });
}
API cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *handle) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    const void *source = reinterpret_cast<const void *>(from);
    Where to_is = where_is(to, bytes);
    if (to_is == Where::freed) return violation("cuMemcpyDtoHAsync writes memory that was freed");
    if (to_is == Where::pinned)
        return push(stream, [=] { return copy("cuMemcpyDtoHAsync", to, Where::pinned, source, Where::device, bytes); });
    if (stream->recording) return CAPTURE_UNSUPPORTED;
    push(stream, [=]() -> CUresult {
        Where from_is = where_is(source, bytes);
        if (from_is != Where::device) return violation("cuMemcpyDtoHAsync reads %zu bytes %s", bytes, place_name(from_is));
        memcpy(to, source, bytes);
        return SUCCESS;
    });
    return drain(stream);
}
API cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *handle) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    return push(stream, [=] {
        return copy("cuMemcpyDtoDAsync", reinterpret_cast<void *>(to), Where::device, reinterpret_cast<const void *>(from),
                    Where::device, bytes);
    });
}
API cuMemsetD8Async(uint64_t to, unsigned char byte, size_t bytes, void *handle) {
    ENTER;
    Stream *stream = stream_of(handle);
    if (!stream) return sticky;
    return push(stream, [=]() -> CUresult {
        void *target = reinterpret_cast<void *>(to);
        Where is = where_is(target, bytes);
        if (is != Where::device) return violation("cuMemsetD8Async writes %zu bytes %s", bytes, place_name(is));
        memset(target, byte, bytes);
        return SUCCESS;
    });
}
