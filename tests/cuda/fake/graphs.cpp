// Graphs: what a stream recorded, queued again as a whole.
#include "fake.h"

#include <set>

namespace {
struct Executable {
    std::vector<Work> nodes;
    std::shared_ptr<Event> last = std::make_shared<Event>(); // the end of its latest run
};
auto &executables = *new std::set<void *>; // never destroyed
long beside_others = 0;
} // namespace

long graphs_beside_others() { return beside_others; }

API cuGraphInstantiateWithFlags(void **handle, void *graph, unsigned long long) {
    ENTER;
    if (!graph) return INVALID_VALUE;
    auto executable = new Executable;
    executable->nodes = static_cast<Recording *>(graph)->nodes;
    executables.insert(executable);
    *handle = executable;
    return SUCCESS;
}
API cuGraphDestroy(void *graph) {
    ENTER;
    delete static_cast<Recording *>(graph);
    return SUCCESS;
}
API cuGraphUpload(void *handle, void *stream) {
    ENTER;
    if (!executables.count(handle)) return violation("cuGraphUpload of a graph that is none, or is gone");
    return stream_of(stream) ? SUCCESS : sticky;
}
API cuGraphLaunch(void *handle, void *stream_handle) {
    ENTER;
    if (!executables.count(handle)) return violation("cuGraphLaunch of a graph that is none, or is gone");
    Stream *stream = stream_of(stream_handle);
    if (!stream) return sticky;
    auto executable = static_cast<Executable *>(handle);
    if (stream->recording) return CAPTURE_UNSUPPORTED; // graphs in graphs are not known here
    beside_others += others_are_busy(stream);
    // Runs of one graph never overlap.
    push_operation(stream, {Operation::WAIT, nullptr, executable->last, executable->last->recorded});
    for (auto &node : executable->nodes) push_operation(stream, {Operation::WORK, node, nullptr, 0});
    push_operation(stream, {Operation::RECORD, nullptr, executable->last, ++executable->last->recorded});
    return SUCCESS;
}
API cuGraphExecDestroy(void *handle) {
    ENTER;
    if (!executables.erase(handle)) return violation("cuGraphExecDestroy of a graph that is none, or is gone");
    auto executable = static_cast<Executable *>(handle);
    if (executable->last->completed < executable->last->recorded) return violation("a graph is destroyed while it runs");
    delete executable;
    return SUCCESS;
}
