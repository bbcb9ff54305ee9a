// Device memory is host memory, poisoned when fresh, between two canaries.  Freed memory is kept for a while, filled with
// the canary, to catch writes through a stale pointer.
#include "driver.h"
#include <stdio.h>

enum { EDGE = 256, QUARANTINE = 64 }; // bytes of canary before and after: also the alignment that CUDA promises
static const size_t QUARANTINE_BYTES = 1 << 20, TOTAL_MEMORY = (size_t)8 << 30;

static Allocation *live; // sorted by address
static long live_count, live_room, serial;
static Allocation quarantine[QUARANTINE];
static int quarantine_next;

// ---------------------------------------------------------------- the table

static long position_of(const unsigned char *address) { // of the last allocation that starts at or before it, or -1
    long low = 0, high = live_count;
    while (low < high) {
        long middle = (low + high) / 2;
        if (live[middle].start <= address) low = middle + 1;
        else high = middle;
    }
    return low - 1;
}

Allocation *find_allocation(const void *address) {
    long index = position_of(address);
    if (index < 0) return NULL;
    Allocation *found = &live[index];
    return (const unsigned char *)address <= found->start + found->size ? found : NULL;
}

static bool filled(const unsigned char *start, size_t size, int value) {
    for (size_t i = 0; i < size; i++)
        if (start[i] != value) return false;
    return true;
}

static bool intact(const Allocation *memory, const char *after) {
    bool before_ok = filled(memory->start - EDGE, EDGE, CANARY), after_ok = filled(memory->start + memory->size, EDGE, CANARY);
    if (before_ok && after_ok) return true;
    record_fault("a write %s allocation #%ld (%zu bytes), found after %s", before_ok ? "past the end of" : "before the start of",
                 memory->serial, memory->size, after);
    memset(memory->start - EDGE, CANARY, EDGE); // told once
    memset(memory->start + memory->size, CANARY, EDGE);
    return false;
}

static bool untouched(Allocation *freed, const char *after) {
    if (!freed->start || filled(freed->start, freed->size, CANARY)) return true;
    record_fault("a write to freed allocation #%ld (%zu bytes), found after %s", freed->serial, freed->size, after);
    memset(freed->start, CANARY, freed->size);
    return false;
}

bool check_canaries(const char *after) {
    bool good = true;
    for (long i = 0; i < live_count; i++) good &= intact(&live[i], after);
    for (int i = 0; i < QUARANTINE; i++) good &= untouched(&quarantine[i], after);
    return good;
}

CUresult check_device_range(CUdeviceptr start, size_t size, const char *what) {
    Allocation *memory = find_allocation((void *)start);
    if (!memory)
        return fail(CUDA_ERROR_INVALID_VALUE, "%s: 0x%llx is no device memory (never allocated, or freed)", what, (long long)start);
    size_t offset = (size_t)((unsigned char *)start - memory->start);
    if (offset + size > memory->size)
        return fail(CUDA_ERROR_INVALID_VALUE, "%s: bytes %zu to %zu of allocation #%ld, which has %zu", what, offset, offset + size,
                    memory->serial, memory->size);
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- allocating and freeing

static CUresult allocate(CUdeviceptr *address, size_t size, MemoryKind kind) {
    if (size > TOTAL_MEMORY) return CUDA_ERROR_OUT_OF_MEMORY;
    if (kind == DEVICE_MEMORY && any_capture()) {
        counters.allocations_in_capture++;
        return refuse_capture("an allocation");
    }
    void *block;
    if (posix_memalign(&block, EDGE, EDGE + size + EDGE)) return CUDA_ERROR_OUT_OF_MEMORY;
    Allocation memory = {(unsigned char *)block + EDGE, size, kind, ++serial};
    memset(block, CANARY, EDGE + size + EDGE);
    memset(memory.start, POISON, size);
    if (live_count == live_room) live = realloc(live, (size_t)(live_room = 2 * live_room + 64) * sizeof *live);
    long index = position_of(memory.start) + 1;
    memmove(&live[index + 1], &live[index], (size_t)(live_count++ - index) * sizeof *live);
    live[index] = memory;
    if (kind == PINNED_MEMORY) counters.live_pinned++;
    else {
        counters.allocations++;
        counters.live_allocations++;
        counters.live_bytes += (long)size;
        if (counters.live_bytes > counters.peak_bytes) counters.peak_bytes = counters.live_bytes;
    }
    *address = (CUdeviceptr)memory.start;
    return CUDA_SUCCESS;
}

static void retire(Allocation memory) {
    Allocation *place = &quarantine[quarantine_next++ % QUARANTINE];
    if (place->start) {
        untouched(place, "it was freed");
        free(place->start - EDGE);
    }
    *place = (Allocation){0};
    if (memory.size > QUARANTINE_BYTES) { free(memory.start - EDGE); return; }
    memset(memory.start, CANARY, memory.size);
    *place = memory;
}

CUresult free_memory(CUdeviceptr address) {
    if (!address) return CUDA_SUCCESS;
    long index = position_of((unsigned char *)address);
    if (index < 0 || live[index].start != (unsigned char *)address) {
        record_fault("0x%llx is freed, which is no live allocation (freed twice?)", (long long)address);
        return CUDA_ERROR_INVALID_VALUE;
    }
    Allocation memory = live[index];
    intact(&memory, "it was freed");
    memmove(&live[index], &live[index + 1], (size_t)(--live_count - index) * sizeof *live);
    if (memory.kind == PINNED_MEMORY) counters.live_pinned--;
    else {
        counters.live_allocations--;
        counters.live_bytes -= (long)memory.size;
    }
    retire(memory);
    return CUDA_SUCCESS;
}

API CUresult cuMemAlloc(CUdeviceptr *address, size_t size) {
    LOCKED;
    if (!size) return fail(CUDA_ERROR_INVALID_VALUE, "cuMemAlloc of 0 bytes");
    return allocate(address, size, DEVICE_MEMORY);
}
API CUresult cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream stream) { return cuMemAlloc(address, size); }
API CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t size, CUmemoryPool pool, CUstream stream) {
    return cuMemAlloc(address, size);
}
API CUresult cuMemFree(CUdeviceptr address) { // waits for the device, as the real one does
    LOCKED;
    run_all();
    return free_memory(address);
}
API CUresult cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
    LOCKED;
    Stream *on;
    CUresult code = stream_of(stream, &on);
    if (code) return code;
    if (on->capture) return refuse_capture("freeing memory on the captured stream");
    Operation operation = {.kind = FREE, .release = {address}};
    return submit(stream, operation);
}

static CUresult allocate_pinned(void **address, size_t size) {
    LOCKED;
    return allocate((CUdeviceptr *)address, size, PINNED_MEMORY);
}
API CUresult cuMemAllocHost(void **address, size_t size) { return allocate_pinned(address, size); }
API CUresult cuMemHostAlloc(void **address, size_t size, unsigned flags) { return allocate_pinned(address, size); }
API CUresult cuMemFreeHost(void *address) {
    LOCKED;
    run_all();
    return free_memory((CUdeviceptr)address);
}
API CUresult cuMemHostRegister(void *address, size_t size, unsigned flags) { return CUDA_SUCCESS; }
API CUresult cuMemHostUnregister(void *address) { return CUDA_SUCCESS; }
API CUresult cuMemHostGetDevicePointer(CUdeviceptr *device, void *address, unsigned flags) {
    *device = (CUdeviceptr)address;
    return CUDA_SUCCESS;
}
API CUresult cuMemGetInfo(size_t *available, size_t *total) {
    *available = TOTAL_MEMORY - (size_t)counters.live_bytes;
    *total = TOTAL_MEMORY;
    return CUDA_SUCCESS;
}
API CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) { *bytes = TOTAL_MEMORY; return CUDA_SUCCESS; }

API CUresult cuMemGetAddressRange(CUdeviceptr *base, size_t *size, CUdeviceptr address) {
    LOCKED;
    Allocation *memory = find_allocation((void *)address);
    if (!memory) return CUDA_ERROR_NOT_FOUND;
    if (base) *base = (CUdeviceptr)memory->start;
    if (size) *size = memory->size;
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- memory pools: there is one, and it keeps nothing

#define THE_POOL ((CUmemoryPool)(size_t)16)
API CUresult cuDeviceGetMemPool(CUmemoryPool *pool, CUdevice device) { *pool = THE_POOL; return CUDA_SUCCESS; }
API CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) { *pool = THE_POOL; return CUDA_SUCCESS; }
API CUresult cuMemGetDefaultMemPool(CUmemoryPool *pool, CUmemLocation *where, CUmemAllocationType type) {
    *pool = THE_POOL;
    return CUDA_SUCCESS;
}
API CUresult cuMemGetMemPool(CUmemoryPool *pool, CUmemLocation *where, CUmemAllocationType type) { *pool = THE_POOL; return CUDA_SUCCESS; }
API CUresult cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) { return CUDA_SUCCESS; }
API CUresult cuMemPoolCreate(CUmemoryPool *pool, const CUmemPoolProps *properties) { *pool = THE_POOL; return CUDA_SUCCESS; }
API CUresult cuMemPoolDestroy(CUmemoryPool pool) { return CUDA_SUCCESS; }
API CUresult cuMemPoolGetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) {
    *(cuuint64_t *)value = 0;
    return CUDA_SUCCESS;
}
API CUresult cuMemPoolSetAttribute(CUmemoryPool pool, CUmemPool_attribute attribute, void *value) { return CUDA_SUCCESS; }
API CUresult cuMemPoolSetAccess(CUmemoryPool pool, const CUmemAccessDesc *descriptor, size_t count) { return CUDA_SUCCESS; }
API CUresult cuMemPoolGetAccess(CUmemAccess_flags *flags, CUmemoryPool pool, CUmemLocation *where) {
    *flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    return CUDA_SUCCESS;
}
API CUresult cuMemPoolTrimTo(CUmemoryPool pool, size_t size) { return CUDA_SUCCESS; }

// ---------------------------------------------------------------- what a pointer is

extern CUcontext the_context;

static bool describe(void *value, CUpointer_attribute attribute, CUdeviceptr address) { // false: not memory of ours
    Allocation *memory = find_allocation((void *)address);
    switch ((int)attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)value = !memory ? 0 : memory->kind == PINNED_MEMORY ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        break;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER: *(CUdeviceptr *)value = memory ? address : 0; break;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        *(void **)value = memory && memory->kind == PINNED_MEMORY ? (void *)address : NULL;
        break;
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)value = memory ? the_context : NULL; break;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)value = memory ? 0 : -2; break;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR: *(CUdeviceptr *)value = memory ? (CUdeviceptr)memory->start : 0; break;
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE: *(size_t *)value = memory ? memory->size : 0; break;
    default: *(int *)value = 0;
    }
    return memory != NULL;
}

API CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr address) {
    LOCKED;
    return describe(value, attribute, address) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
API CUresult cuPointerGetAttributes(unsigned count, CUpointer_attribute *attributes, void **values, CUdeviceptr address) {
    LOCKED;
    for (unsigned i = 0; i < count; i++) describe(values[i], attributes[i], address);
    return CUDA_SUCCESS;
}
