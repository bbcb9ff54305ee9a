// Streams, events, copies: operations run as they are submitted, or, in deferred mode, only when somebody waits for them.
// Asynchronous copies read host memory when they run.
#include "driver.h"
#include <stdio.h>

static Stream legacy = {.alive = true}, per_thread = {.alive = true, .next = &legacy};
static Stream *streams = &per_thread;

void append(Operations *list, Operation operation) {
    if (list->count == list->room) {
        list->room = 2 * list->room + 16;
        list->items = realloc(list->items, (size_t)list->room * sizeof *list->items);
    }
    list->items[list->count++] = operation;
}

static size_t argument_bytes(const Operation *operation) {
    return operation->kind == LAUNCH ? 8 * (size_t)operation->launch.kernel->parameter_count : 0;
}

Operation copy_operation(const Operation *operation) {
    Operation copy = *operation;
    size_t bytes = argument_bytes(operation);
    if (bytes) copy.launch.arguments = memcpy(malloc(bytes), operation->launch.arguments, bytes);
    return copy;
}

static void drop_operation(Operation *operation) {
    if (argument_bytes(operation)) free(operation->launch.arguments);
}

void drop_operations(Operations *list) {
    for (long i = 0; i < list->count; i++) drop_operation(&list->items[i]);
    free(list->items);
    *list = (Operations){0};
}

// ---------------------------------------------------------------- running one operation

static bool arguments_are_live(const Kernel *kernel, void **values) {
    for (int i = 0; i < kernel->parameter_count; i++) {
        void *pointer = *(void **)values[i];
        if (!(kernel->parameter_sizes[i] & 0x80) || !pointer || find_allocation(pointer)) continue;
        record_fault("kernel %s: argument %d (%p) is no live device memory", kernel->name, i, pointer);
        return false;
    }
    return true;
}

static void run_launch(Operation *operation) {
    Kernel *kernel = operation->launch.kernel;
    char message[1024] = "";
    void *values[kernel->parameter_count + 1];
    for (int i = 0; i < kernel->parameter_count; i++) values[i] = operation->launch.arguments + 8 * i;
    counters.launches++;
    if (!kernel->loaded) { record_fault("kernel %s: its library is unloaded", kernel->name); return; }
    if (!arguments_are_live(kernel, values)) return;
    if (!resolve(kernel, message, sizeof message)) { record_fault("kernel %s: %s", kernel->name, message); return; }
    if (emulation_run_grid(kernel->executable, operation->launch.grid, operation->launch.block, operation->launch.shared,
                           settings.seed, values, message, sizeof message))
        record_fault("kernel %s: %s", kernel->name, message);
    check_canaries(kernel->name);
}

// Memory is checked again when a copy runs: with deferred work it may have been freed since it was submitted.
static CUresult check_copy(OperationKind kind, const void *target, const void *source, size_t size) {
    CUresult code = CUDA_SUCCESS;
    if (!size) return code;
    if (kind != COPY_TO_HOST) code = check_device_range((CUdeviceptr)target, size, "target of a copy");
    if (!code && kind != COPY_TO_DEVICE) code = check_device_range((CUdeviceptr)source, size, "source of a copy");
    return code;
}

static void run_copy(Operation *operation) {
    size_t size = operation->copy.size;
    if (check_copy(operation->kind, operation->copy.target, operation->copy.source, size)) {
        record_fault("a copy was not made (its memory is gone)");
        return;
    }
    memmove(operation->copy.target, operation->copy.source, size);
    if (operation->kind == COPY_TO_DEVICE) { counters.h2d++; counters.h2d_bytes += (long)size; }
    if (operation->kind == COPY_TO_HOST) { counters.d2h++; counters.d2h_bytes += (long)size; }
    if (operation->kind == COPY_ON_DEVICE) { counters.d2d++; counters.d2d_bytes += (long)size; }
}

static void run_memset(Operation *operation) {
    int width = operation->set.width;
    if (check_device_range(operation->set.target, operation->set.count * (size_t)width, "memset")) {
        record_fault("a memset was not made (its memory is gone)");
        return;
    }
    for (size_t i = 0; i < operation->set.count; i++)
        memcpy((char *)operation->set.target + i * (size_t)width, &operation->set.value, (size_t)width);
    counters.memset++;
}

static void run_until(Stream *stream, long position);

static void run(Operation *operation) {
    switch (operation->kind) {
    case LAUNCH: run_launch(operation); break;
    case COPY_TO_DEVICE: case COPY_TO_HOST: case COPY_ON_DEVICE: run_copy(operation); break;
    case MEMSET: run_memset(operation); break;
    case HOST_FUNCTION: counters.host_functions++; operation->host.function(operation->host.data); break;
    case WAIT: run_until(operation->wait.event.stream, operation->wait.event.position); break;
    case FREE: free_memory(operation->release.address); break;
    case RECORD: break; // recorded when submitted: an event is a position in its stream
    }
}

// ---------------------------------------------------------------- queues

static void run_until(Stream *stream, long position) {
    // A kernel is built by Python, whose garbage collector may free memory, which waits for all streams. What comes
    // after a running operation must not run before it: the loop further out runs it.
    if (position > stream->wanted) stream->wanted = position;
    if (stream->running) return;
    stream->running = true;
    while (stream->finished < stream->wanted && stream->queue.count) {
        Operation operation = stream->queue.items[0];
        memmove(stream->queue.items, stream->queue.items + 1, (size_t)(--stream->queue.count) * sizeof operation);
        run(&operation);
        stream->finished++; // after it ran: a host function must not find itself done
        drop_operation(&operation);
    }
    stream->running = false;
}

void run_all(void) {
    for (Stream *stream = streams; stream; stream = stream->next) run_until(stream, stream->submitted);
}

void run_legacy(void) { // the legacy stream waits for all streams but those created non-blocking
    for (Stream *stream = streams; stream; stream = stream->next)
        if (!stream->non_blocking) run_until(stream, stream->submitted);
}

CUresult stream_of(CUstream handle, Stream **stream) {
    if (!handle || handle == CU_STREAM_LEGACY) { *stream = &legacy; return CUDA_SUCCESS; }
    if (handle == CU_STREAM_PER_THREAD) { *stream = &per_thread; return CUDA_SUCCESS; }
    for (Stream *found = streams; found; found = found->next)
        if (found == (Stream *)handle && found->alive) { *stream = found; return CUDA_SUCCESS; }
    return fail(CUDA_ERROR_INVALID_HANDLE, "stream %p does not exist (any more)", (void *)handle);
}

bool any_capture(void) {
    for (Stream *stream = streams; stream; stream = stream->next)
        if (stream->capture) return true;
    return false;
}

CUresult refuse_capture(const char *what) {
    for (Stream *stream = streams; stream; stream = stream->next)
        if (stream->capture) stream->capture->invalid = true;
    return any_capture() ? fail(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "%s while a stream is captured", what) : CUDA_SUCCESS;
}

CUresult submit(CUstream handle, Operation operation) {
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (!code && stream == &legacy && any_capture()) {
        refuse_capture("work on the legacy stream");
        code = CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    if (code) { drop_operation(&operation); return code; }
    if (stream->capture) {
        append(&stream->capture->nodes, operation);
        return stream->capture->invalid ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
    }
    if (stream == &legacy) run_legacy();
    else if (!stream->non_blocking) run_until(&legacy, legacy.submitted);
    append(&stream->queue, operation);
    stream->submitted++;
    if (!settings.deferred) run_until(stream, stream->submitted);
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- streams

API CUresult cuStreamCreate(CUstream *handle, unsigned flags) {
    LOCKED;
    Stream *stream = calloc(1, sizeof *stream);
    *stream = (Stream){.non_blocking = flags & CU_STREAM_NON_BLOCKING, .alive = true, .next = streams};
    streams = stream; // never freed: an event may still name it
    counters.live_streams++;
    *handle = (CUstream)stream;
    return CUDA_SUCCESS;
}
API CUresult cuStreamCreateWithPriority(CUstream *handle, unsigned flags, int priority) { return cuStreamCreate(handle, flags); }
API CUresult cuStreamDestroy(CUstream handle) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (code) return code;
    run_until(stream, stream->submitted);
    stream->alive = false;
    counters.live_streams--;
    return CUDA_SUCCESS;
}
API CUresult cuStreamSynchronize(CUstream handle) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (!code && (stream->capture || stream == &legacy)) code = refuse_capture("a synchronisation");
    if (code) return code;
    counters.syncs++;
    if (stream == &legacy) run_legacy();
    else run_until(stream, stream->submitted);
    return take_fault();
}
API CUresult cuCtxSynchronize(void) {
    LOCKED;
    CUresult code = refuse_capture("a synchronisation of the device");
    if (code) return code;
    counters.syncs++;
    run_all();
    return take_fault();
}
API CUresult cuStreamQuery(CUstream handle) { // asking makes progress, so that a loop of questions ends
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (code || stream->finished == stream->submitted) return code;
    run_until(stream, stream->finished + 1);
    return CUDA_ERROR_NOT_READY;
}
API CUresult cuStreamGetFlags(CUstream handle, unsigned *flags) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(handle, &stream);
    if (!code) *flags = stream->non_blocking ? CU_STREAM_NON_BLOCKING : CU_STREAM_DEFAULT;
    return code;
}
API CUresult cuStreamGetPriority(CUstream handle, int *priority) { *priority = 0; return CUDA_SUCCESS; }
API CUresult cuStreamGetId(CUstream handle, unsigned long long *identity) { *identity = (size_t)handle; return CUDA_SUCCESS; }
extern CUcontext the_context;
API CUresult cuStreamGetCtx(CUstream handle, CUcontext *context) { *context = the_context; return CUDA_SUCCESS; }
API CUresult cuStreamGetCtx_v2(CUstream handle, CUcontext *context, CUgreenCtx *green) {
    *context = the_context;
    if (green) *green = NULL;
    return CUDA_SUCCESS;
}
API CUresult cuStreamGetDevice(CUstream handle, CUdevice *device) { *device = 0; return CUDA_SUCCESS; }

// ---------------------------------------------------------------- events

API CUresult cuEventCreate(CUevent *handle, unsigned flags) {
    LOCKED;
    *handle = calloc(1, sizeof(Event));
    counters.live_events++;
    return CUDA_SUCCESS;
}
API CUresult cuEventDestroy(CUevent handle) {
    LOCKED;
    free(handle);
    counters.live_events--;
    return CUDA_SUCCESS;
}
API CUresult cuEventRecord(CUevent handle, CUstream on) {
    LOCKED;
    Stream *stream;
    CUresult code = stream_of(on, &stream);
    if (!code && stream->capture) code = refuse_capture("recording an event (the emulation has no forked captures)");
    if (!code) code = submit(on, (Operation){.kind = RECORD});
    if (!code) *(Event *)handle = (Event){stream, stream->submitted};
    return code;
}
API CUresult cuEventRecordWithFlags(CUevent handle, CUstream on, unsigned flags) { return cuEventRecord(handle, on); }
API CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned flags) {
    LOCKED;
    Event what = *(Event *)event;
    if (!what.stream) return CUDA_SUCCESS; // never recorded: nothing to wait for
    return submit(handle, (Operation){.kind = WAIT, .wait = {what}});
}
API CUresult cuEventSynchronize(CUevent handle) {
    LOCKED;
    Event *event = (Event *)handle;
    counters.syncs++;
    if (event->stream) run_until(event->stream, event->position);
    return take_fault();
}
API CUresult cuEventQuery(CUevent handle) {
    LOCKED;
    Event *event = (Event *)handle;
    if (!event->stream || event->stream->finished >= event->position) return CUDA_SUCCESS;
    run_until(event->stream, event->stream->finished + 1);
    return CUDA_ERROR_NOT_READY;
}
API CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) { // no clock that would mean anything
    *milliseconds = 0.001f;
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- copies, memsets, host functions

static CUresult copy(OperationKind kind, void *target, const void *source, size_t size, CUstream stream) {
    LOCKED;
    CUresult code = check_copy(kind, target, source, size);
    if (code) return code;
    return submit(stream, (Operation){.kind = kind, .copy = {target, source, size}});
}

static CUresult copy_now(OperationKind kind, void *target, const void *source, size_t size) {
    LOCKED;
    CUresult code = copy(kind, target, source, size, NULL);
    if (!code) run_legacy();
    return code ? code : take_fault();
}

static bool on_device(const void *address) {
    Allocation *memory = find_allocation(address);
    return memory && memory->kind == DEVICE_MEMORY && (const unsigned char *)address < memory->start + memory->size + !memory->size;
}

static OperationKind kind_of(CUdeviceptr target, CUdeviceptr source) {
    if (on_device((void *)target)) return on_device((void *)source) ? COPY_ON_DEVICE : COPY_TO_DEVICE;
    return COPY_TO_HOST; // from host to host: refused, as its source is no device memory
}

#define V(pointer) ((void *)(pointer))
API CUresult cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n) { return copy_now(COPY_TO_DEVICE, V(d), s, n); }
API CUresult cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n) { return copy_now(COPY_TO_HOST, d, V(s), n); }
API CUresult cuMemcpyDtoD(CUdeviceptr d, CUdeviceptr s, size_t n) { return copy_now(COPY_ON_DEVICE, V(d), V(s), n); }
API CUresult cuMemcpy(CUdeviceptr d, CUdeviceptr s, size_t n) { LOCKED; return copy_now(kind_of(d, s), V(d), V(s), n); }
API CUresult cuMemcpyHtoDAsync(CUdeviceptr d, const void *s, size_t n, CUstream t) { return copy(COPY_TO_DEVICE, V(d), s, n, t); }
API CUresult cuMemcpyDtoHAsync(void *d, CUdeviceptr s, size_t n, CUstream t) { return copy(COPY_TO_HOST, d, V(s), n, t); }
API CUresult cuMemcpyDtoDAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream t) { return copy(COPY_ON_DEVICE, V(d), V(s), n, t); }
API CUresult cuMemcpyAsync(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream t) { LOCKED; return copy(kind_of(d, s), V(d), V(s), n, t); }

static CUresult set(CUdeviceptr target, uint32_t value, size_t count, int width, CUstream stream) {
    LOCKED;
    CUresult code = check_device_range(target, count * (size_t)width, "memset");
    if (code) return code;
    return submit(stream, (Operation){.kind = MEMSET, .set = {target, value, count, width}});
}
API CUresult cuMemsetD8(CUdeviceptr d, unsigned char v, size_t n) { return set(d, v, n, 1, NULL); }
API CUresult cuMemsetD16(CUdeviceptr d, unsigned short v, size_t n) { return set(d, v, n, 2, NULL); }
API CUresult cuMemsetD32(CUdeviceptr d, unsigned v, size_t n) { return set(d, v, n, 4, NULL); }
API CUresult cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, CUstream s) { return set(d, v, n, 1, s); }
API CUresult cuMemsetD16Async(CUdeviceptr d, unsigned short v, size_t n, CUstream s) { return set(d, v, n, 2, s); }
API CUresult cuMemsetD32Async(CUdeviceptr d, unsigned v, size_t n, CUstream s) { return set(d, v, n, 4, s); }

API CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) {
    LOCKED;
    return submit(stream, (Operation){.kind = HOST_FUNCTION, .host = {function, data}});
}
