// One device with one context, and the table of entry points.
#define _GNU_SOURCE
#include "driver.h"
#include <dlfcn.h>
#include <stdio.h>

static int context_object;
CUcontext the_context = (CUcontext)&context_object;
static __thread CUcontext current_context;
static int capability_major = 9, capability_minor = 0;

API void emulation_set_capability(int major, int minor) { capability_major = major; capability_minor = minor; }

// ---------------------------------------------------------------- device

API CUresult cuInit(unsigned flags) { return CUDA_SUCCESS; }
API CUresult cuDriverGetVersion(int *version) { *version = 13000; return CUDA_SUCCESS; }
API CUresult cuDeviceGetCount(int *count) { *count = 1; return CUDA_SUCCESS; }
API CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = 0;
    return ordinal == 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
API CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
    snprintf(name, (size_t)size, "Emulated device (on the CPU), sm_%d%d", capability_major, capability_minor);
    return CUDA_SUCCESS;
}
API CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) { memset(uuid, 7, sizeof *uuid); return CUDA_SUCCESS; }
API CUresult cuDeviceGetPCIBusId(char *text, int size, CUdevice device) { snprintf(text, (size_t)size, "0000:00:00.0"); return CUDA_SUCCESS; }

typedef struct { CUdevice_attribute attribute; int value; } DeviceAttribute;
static const DeviceAttribute device_attributes[] = { // of an H100, but few multiprocessors: grids sized by them stay quick
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, MAX_THREADS},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 232448},
    {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, 233472},
    {CU_DEVICE_ATTRIBUTE_WARP_SIZE, WARP},
    {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 8},
    {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, 2048},
    {CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, 32},
    {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536},
    {CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING, 1},
    {CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    {CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT, 1},
};

API CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    *value = 0;
    if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) *value = capability_major;
    if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) *value = capability_minor;
    for (size_t i = 0; i < sizeof device_attributes / sizeof *device_attributes; i++)
        if (device_attributes[i].attribute == attribute) *value = device_attributes[i].value;
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- context

API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) { *context = the_context; return CUDA_SUCCESS; }
API CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return CUDA_SUCCESS; }
API CUresult cuDevicePrimaryCtxReset(CUdevice device) { return CUDA_SUCCESS; }
API CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) { return CUDA_SUCCESS; }
API CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
    *flags = 0;
    *active = 1;
    return CUDA_SUCCESS;
}
API CUresult cuCtxGetCurrent(CUcontext *context) { *context = current_context; return CUDA_SUCCESS; }
API CUresult cuCtxSetCurrent(CUcontext context) { current_context = context; return CUDA_SUCCESS; }
API CUresult cuCtxPushCurrent(CUcontext context) { current_context = context; return CUDA_SUCCESS; }
API CUresult cuCtxPopCurrent(CUcontext *context) {
    if (context) *context = current_context;
    current_context = NULL;
    return CUDA_SUCCESS;
}
// A context of another library's: it can be current, and that is all.
API CUresult cuCtxCreate_v4(CUcontext *context, CUctxCreateParams *parameters, unsigned flags, CUdevice device) {
    *context = current_context = malloc(1);
    return CUDA_SUCCESS;
}
API CUresult cuCtxDestroy(CUcontext context) {
    if (current_context == context) current_context = NULL;
    free(context);
    return CUDA_SUCCESS;
}
API CUresult cuCtxGetDevice(CUdevice *device) {
    *device = 0;
    return current_context ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
API CUresult cuCtxGetDevice_v2(CUdevice *device, CUcontext context) { *device = 0; return CUDA_SUCCESS; }
API CUresult cuCtxGetId(CUcontext context, unsigned long long *identity) { *identity = 1; return CUDA_SUCCESS; }
API CUresult cuCtxGetFlags(unsigned *flags) { *flags = 0; return CUDA_SUCCESS; }
API CUresult cuCtxGetApiVersion(CUcontext context, unsigned *version) { *version = 13000; return CUDA_SUCCESS; }
API CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = *greatest = 0; return CUDA_SUCCESS; }

// ---------------------------------------------------------------- entry points by name

// Programs ask for "cuMemAlloc" and mean its newest version.
API CUresult cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
                                 CUdriverProcAddressQueryResult *status) {
    static const char *suffixes[] = {"_v4", "_v3", "_v2", ""};
    static void *self;
    if (!self) {
        Dl_info info;
        dladdr((void *)&context_object, &info);
        self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    }
    char name[256];
    *function = NULL;
    for (int i = 0; i < 4 && !*function; i++) {
        snprintf(name, sizeof name, "%s%s", symbol, suffixes[i]);
        *function = dlsym(self, name);
    }
    if (status) *status = *function ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    if (!*function && getenv("EMULATION_MISSING")) fprintf(stderr, "emulated driver: no %s\n", symbol);
    return *function ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}
