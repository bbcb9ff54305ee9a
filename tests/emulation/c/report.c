// Counters, faults, settings: what the tests read and set.
#include "driver.h"
#include <stdarg.h>
#include <stdio.h>

enum { FAULTS = 32, TEXT = 1024 };

Counters counters;
Settings settings;
static char faults[FAULTS][TEXT];
static int fault_count;
static bool untold; // a fault that the program has not been told of
static pthread_mutex_t lock;

__attribute__((constructor)) static void start(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&lock, &attributes);
}

void lock_driver(void) { pthread_mutex_lock(&lock); }
void unlock_driver(void) { pthread_mutex_unlock(&lock); }
void unlock_at_end(int *unused) { unlock_driver(); }

static void keep(const char *format, va_list list) {
    if (fault_count < FAULTS) vsnprintf(faults[fault_count++], TEXT, format, list);
}

void record_fault(const char *format, ...) {
    va_list list;
    va_start(list, format);
    keep(format, list);
    va_end(list);
    untold = true;
}

CUresult fail(CUresult code, const char *format, ...) {
    va_list list;
    va_start(list, format);
    keep(format, list);
    va_end(list);
    return code;
}

static bool broken;
API void emulation_set_broken(int value) { broken = value; }

CUresult take_fault(void) {
    if (broken) return CUDA_ERROR_LAUNCH_FAILED;
    if (!untold) return CUDA_SUCCESS;
    untold = false;
    return CUDA_ERROR_LAUNCH_FAILED;
}

// ---------------------------------------------------------------- for the tests

API const char *emulation_counter_names(void) {
#define NAME(name) #name " "
    return COUNTERS(NAME);
}
API long *emulation_counters(void) { return (long *)&counters; }
API int emulation_fault_count(void) { return fault_count; }
API const char *emulation_fault(int index) { return faults[index]; }
API void emulation_forget_faults(void) { fault_count = 0; untold = false; }
API void emulation_set_seed(uint64_t seed) { settings.seed = seed; }
API int emulation_check_canaries(void) { LOCKED; return check_canaries("(asked by the test)"); }
API void emulation_set_deferred(int deferred) {
    LOCKED;
    run_all();
    settings.deferred = deferred;
}
API void emulation_run_all(void) { LOCKED; run_all(); }

// ---------------------------------------------------------------- error names of the driver interface

typedef struct { CUresult code; const char *name, *text; } ErrorName;
#define ERROR(name, text) {name, #name, text}
static const ErrorName error_names[] = {
    ERROR(CUDA_SUCCESS, "no error"),
    ERROR(CUDA_ERROR_INVALID_VALUE, "invalid argument"),
    ERROR(CUDA_ERROR_OUT_OF_MEMORY, "out of memory"),
    ERROR(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal"),
    ERROR(CUDA_ERROR_INVALID_CONTEXT, "invalid device context"),
    ERROR(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid"),
    ERROR(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle"),
    ERROR(CUDA_ERROR_NOT_FOUND, "named symbol not found"),
    ERROR(CUDA_ERROR_NOT_READY, "device not ready"),
    ERROR(CUDA_ERROR_LAUNCH_FAILED, "a launch failed"),
    ERROR(CUDA_ERROR_NOT_SUPPORTED, "operation not supported by the emulated device"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "operation not permitted when stream is capturing"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "operation failed due to a previous error during capture"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture was not initiated in this stream"),
    ERROR(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "operation would make the legacy stream depend on a capturing stream"),
};

static const ErrorName *find_error(CUresult code) {
    for (size_t i = 0; i < sizeof error_names / sizeof *error_names; i++)
        if (error_names[i].code == code) return &error_names[i];
    return NULL;
}

API CUresult cuGetErrorName(CUresult code, const char **name) {
    const ErrorName *found = find_error(code);
    *name = found ? found->name : "CUDA_ERROR_UNKNOWN";
    return CUDA_SUCCESS;
}

API CUresult cuGetErrorString(CUresult code, const char **text) {
    const ErrorName *found = find_error(code);
    *text = code != CUDA_SUCCESS && fault_count ? faults[fault_count - 1] : found ? found->text : "unknown error";
    return CUDA_SUCCESS;
}
