// Parts of the library that stands in for the CUDA driver; see driver.py for what tests read of it.
#pragma once
#include "scheduler.h"
#include <cuda.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))

// ---------------------------------------------------------------- counters and errors (report.c)

#define COUNTERS(X) \
    X(launches) X(graph_launches) X(h2d) X(h2d_bytes) X(d2h) X(d2h_bytes) X(d2d) X(d2d_bytes) X(memset) X(syncs) \
    X(allocations) X(live_allocations) X(live_bytes) X(peak_bytes) X(live_pinned) X(live_graphs) X(live_streams) X(live_events) \
    X(allocations_in_capture) X(host_functions)
#define DECLARE(name) long name;
typedef struct { COUNTERS(DECLARE) } Counters;
extern Counters counters;

typedef struct { bool deferred; uint64_t seed; } Settings;
extern Settings settings;

// One lock for everything.  It is held while queued work runs, host functions of the program included.
void lock_driver(void);
void unlock_driver(void);
#define LOCKED __attribute__((cleanup(unlock_at_end))) int locked = (lock_driver(), 0)
void unlock_at_end(int *unused);

// A fault that real hardware reports later or never: kept for the test, and told to the program at its next
// synchronisation (take_fault).  `fail` is for calls that are refused at once; it also keeps the text.
void record_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
CUresult fail(CUresult code, const char *format, ...) __attribute__((format(printf, 2, 3)));
CUresult take_fault(void);

// ---------------------------------------------------------------- memory (memory.c)

typedef enum { DEVICE_MEMORY, PINNED_MEMORY } MemoryKind;
typedef struct {
    unsigned char *start;
    size_t size;
    MemoryKind kind;
    long serial;
} Allocation;

// The live allocation that holds `address`, or ends at it; NULL if none does.
Allocation *find_allocation(const void *address);
bool check_canaries(const char *after); // faults are recorded; `after` names what ran last
CUresult check_device_range(CUdeviceptr start, size_t size, const char *what);
CUresult free_memory(CUdeviceptr address);

// ---------------------------------------------------------------- code (code.c)

typedef struct Kernel {
    char *name;
    const void *image;
    size_t image_size;
    int parameter_count;
    const unsigned char *parameter_sizes; // of the image; the high bit marks a pointer
    bool loaded;
    Executable *executable; // built at the first launch
    struct Kernel *next;
} Kernel;
bool resolve(Kernel *kernel, char *message, size_t size);

// ---------------------------------------------------------------- work on streams (streams.c)

typedef enum { LAUNCH, COPY_TO_DEVICE, COPY_TO_HOST, COPY_ON_DEVICE, MEMSET, HOST_FUNCTION, RECORD, WAIT, FREE } OperationKind;
typedef struct Stream Stream;
typedef struct { Stream *stream; long position; } Event; // done once `stream` has run `position` operations

typedef struct Operation {
    OperationKind kind;
    union {
        struct { Kernel *kernel; uint32_t grid[3], block[3], shared; unsigned char *arguments; } launch;
        struct { void *target; const void *source; size_t size; } copy;
        struct { CUdeviceptr target; uint32_t value; size_t count; int width; } set;
        struct { CUhostFn function; void *data; } host;
        struct { Event event; } wait;
        struct { CUdeviceptr address; } release;
    };
} Operation;

typedef struct { Operation *items; long count, room; } Operations;
typedef struct {
    Operations nodes;
    bool invalid, destroyed; // destroyed graphs stay as husks: cuda.core destroys the graph of a failed capture again
    struct UserObject *objects[64];
    int object_count;
} Graph;

struct Stream {
    bool non_blocking, alive;
    Operations queue; // deferred mode: submitted, not run yet
    long submitted, finished, wanted; // wanted: somebody waits for the operations before it
    bool running; // an operation of it, just now
    Graph *capture; // NULL unless capturing
    Stream *next;
};

void append(Operations *list, Operation operation);
Operation copy_operation(const Operation *operation);
void drop_operations(Operations *list);
CUresult submit(CUstream handle, Operation operation);
CUresult stream_of(CUstream handle, Stream **stream);
void run_all(void);
void run_legacy(void);           // what a synchronous call on the default stream waits for
bool any_capture(void);
CUresult refuse_capture(const char *what); // an error, and the capture is void, if anything captures
