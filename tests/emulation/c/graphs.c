// Capture of one stream into a graph: a list of operations in the order they were submitted, run in that order.
#include "driver.h"

static long next_identity = 1;

// ---------------------------------------------------------------- objects that a graph keeps alive

typedef struct UserObject { void *object; CUhostFn destroy; unsigned references; } UserObject;

static CUresult release(UserObject *object, unsigned count) {
    CUhostFn function = NULL;
    void *argument = NULL;
    lock_driver();
    object->references -= count;
    if (!object->references) {
        function = object->destroy;
        argument = object->object;
        free(object);
    }
    unlock_driver(); // the program's function may need the interpreter, which somebody may hold who waits for the lock
    if (function) function(argument);
    return CUDA_SUCCESS;
}

API CUresult cuUserObjectCreate(CUuserObject *handle, void *object, CUhostFn destroy, unsigned references, unsigned flags) {
    UserObject *made = malloc(sizeof *made);
    *made = (UserObject){object, destroy, references};
    *handle = (CUuserObject)made;
    return CUDA_SUCCESS;
}
API CUresult cuUserObjectRetain(CUuserObject object, unsigned count) {
    LOCKED;
    ((UserObject *)object)->references += count;
    return CUDA_SUCCESS;
}
API CUresult cuUserObjectRelease(CUuserObject object, unsigned count) { return release((UserObject *)object, count); }
API CUresult cuGraphRetainUserObject(CUgraph handle, CUuserObject object, unsigned count, unsigned flags) {
    LOCKED;
    Graph *graph = (Graph *)handle;
    if (graph->object_count == 64) return fail(CUDA_ERROR_NOT_SUPPORTED, "more than 64 objects kept by one graph");
    if (!(flags & CU_GRAPH_USER_OBJECT_MOVE)) ((UserObject *)object)->references += count;
    ((UserObject *)object)->references -= count - 1; // a graph holds one reference to each object it lists
    graph->objects[graph->object_count++] = (UserObject *)object;
    return CUDA_SUCCESS;
}
API CUresult cuGraphReleaseUserObject(CUgraph handle, CUuserObject object, unsigned count) {
    Graph *graph = (Graph *)handle;
    for (int i = 0; i < graph->object_count; i++)
        if (graph->objects[i] == (UserObject *)object) {
            graph->objects[i] = graph->objects[--graph->object_count];
            return release((UserObject *)object, 1);
        }
    return fail(CUDA_ERROR_INVALID_VALUE, "a graph is told to release an object that it does not keep");
}

static CUresult destroy(Graph *graph) {
    if (!graph || graph->destroyed) return CUDA_ERROR_INVALID_VALUE;
    graph->destroyed = true;
    lock_driver();
    drop_operations(&graph->nodes);
    counters.live_graphs--;
    unlock_driver();
    for (int i = 0; i < graph->object_count; i++) release(graph->objects[i], 1);
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- capture

API CUresult cuStreamBeginCapture(CUstream handle, CUstreamCaptureMode mode) {
    LOCKED;
    Stream *stream, *legacy;
    CUresult code = stream_of(handle, &stream);
    if (code) return code;
    stream_of(NULL, &legacy);
    if (stream == legacy) return fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "the legacy stream cannot be captured");
    if (stream->capture) return fail(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the stream is captured already");
    stream->capture = calloc(1, sizeof(Graph));
    counters.live_graphs++;
    return CUDA_SUCCESS;
}

API CUresult cuStreamEndCapture(CUstream handle, CUgraph *graph) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    *graph = NULL;
    if (code) return code;
    if (!stream->capture) return fail(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the stream is not being captured");
    Graph *captured = stream->capture;
    stream->capture = NULL;
    if (captured->invalid) {
        destroy(captured);
        return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED; // the reason is among the faults
    }
    *graph = (CUgraph)captured;
    return CUDA_SUCCESS;
}

API CUresult cuStreamIsCapturing(CUstream handle, CUstreamCaptureStatus *status) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (code) return code;
    *status = !stream->capture ? CU_STREAM_CAPTURE_STATUS_NONE
              : stream->capture->invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
    return CUDA_SUCCESS;
}

API CUresult cuStreamGetCaptureInfo_v3(CUstream handle, CUstreamCaptureStatus *status, cuuint64_t *identity, CUgraph *graph,
                                       const CUgraphNode **dependencies, const CUgraphEdgeData **edges, size_t *count) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (code) return code;
    if (identity) *identity = (cuuint64_t)(size_t)stream->capture;
    if (graph) *graph = (CUgraph)stream->capture;
    static CUgraphNode last; // the newest node: nodes of a stream depend each on the one before
    long nodes = stream->capture ? stream->capture->nodes.count : 0;
    if (nodes) last = (CUgraphNode)&stream->capture->nodes.items[nodes - 1];
    if (dependencies) *dependencies = &last;
    if (edges) *edges = NULL;
    if (count) *count = nodes > 0;
    return cuStreamIsCapturing(handle, status);
}

API CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode) { return CUDA_SUCCESS; }

// ---------------------------------------------------------------- graphs

static Graph *copy_graph(const Graph *graph) {
    Graph *copy = calloc(1, sizeof *copy);
    for (long i = 0; i < graph->nodes.count; i++) append(&copy->nodes, copy_operation(&graph->nodes.items[i]));
    for (int i = 0; i < graph->object_count; i++) {
        graph->objects[i]->references++;
        copy->objects[copy->object_count++] = graph->objects[i];
    }
    counters.live_graphs++;
    return copy;
}

API CUresult cuGraphCreate(CUgraph *graph, unsigned flags) {
    LOCKED;
    *graph = calloc(1, sizeof(Graph));
    counters.live_graphs++;
    return CUDA_SUCCESS;
}
API CUresult cuGraphClone(CUgraph *clone, CUgraph graph) {
    LOCKED;
    *clone = (CUgraph)copy_graph((Graph *)graph);
    return CUDA_SUCCESS;
}
API CUresult cuGraphDestroy(CUgraph graph) { return destroy((Graph *)graph); }
API CUresult cuGraphExecDestroy(CUgraphExec graph) { return destroy((Graph *)graph); }

API CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
    LOCKED;
    *executable = (CUgraphExec)copy_graph((Graph *)graph);
    return CUDA_SUCCESS;
}
API CUresult cuGraphInstantiateWithParams(CUgraphExec *executable, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS *parameters) {
    parameters->result_out = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    return cuGraphInstantiateWithFlags(executable, graph, 0);
}

API CUresult cuGraphExecUpdate_v2(CUgraphExec executable, CUgraph graph, CUgraphExecUpdateResultInfo *result) {
    LOCKED;
    Graph *target = (Graph *)executable, *source = (Graph *)graph;
    memset(result, 0, sizeof *result);
    result->result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
    bool same = target->nodes.count == source->nodes.count;
    for (long i = 0; same && i < source->nodes.count; i++) same = target->nodes.items[i].kind == source->nodes.items[i].kind;
    if (!same) {
        result->result = CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED;
        return fail(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "a graph is updated by one of another shape");
    }
    drop_operations(&target->nodes);
    for (long i = 0; i < source->nodes.count; i++) append(&target->nodes, copy_operation(&source->nodes.items[i]));
    return CUDA_SUCCESS;
}

API CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    LOCKED;
    Graph *graph = (Graph *)executable;
    Stream *on;
    CUresult code = stream_of(stream, &on);
    if (!code && graph->destroyed) code = fail(CUDA_ERROR_INVALID_HANDLE, "a destroyed graph is launched");
    if (!code && on->capture) code = refuse_capture("launching a graph (the emulation has no child graphs)");
    counters.graph_launches++;
    for (long i = 0; !code && i < graph->nodes.count; i++) code = submit(stream, copy_operation(&graph->nodes.items[i]));
    return code;
}
API CUresult cuGraphUpload(CUgraphExec executable, CUstream stream) { return CUDA_SUCCESS; }
API CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
    LOCKED;
    Operations *list = &((Graph *)graph)->nodes;
    for (size_t i = 0; nodes && i < *count && i < (size_t)list->count; i++) nodes[i] = (CUgraphNode)&list->items[i];
    *count = (size_t)list->count;
    return CUDA_SUCCESS;
}
API CUresult cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType *type) {
    OperationKind kind = ((Operation *)node)->kind;
    *type = kind == LAUNCH ? CU_GRAPH_NODE_TYPE_KERNEL : kind == MEMSET ? CU_GRAPH_NODE_TYPE_MEMSET
            : kind == HOST_FUNCTION ? CU_GRAPH_NODE_TYPE_HOST : CU_GRAPH_NODE_TYPE_MEMCPY;
    return CUDA_SUCCESS;
}
API CUresult cuGraphGetId(CUgraph graph, unsigned *identity) { *identity = (unsigned)next_identity++; return CUDA_SUCCESS; }
API CUresult cuGraphExecGetId(CUgraphExec graph, unsigned *identity) { *identity = (unsigned)next_identity++; return CUDA_SUCCESS; }

