// Libraries, kernels, launches.  A "cubin" is either an image of ours, which carries the kernel's IR (image.py writes it),
// or a true one whose content Python knows the IR of.
#include "driver.h"
#include <stdio.h>

// Fills `executable` or writes why not.  Set by driver.py.
typedef int (*BuildFunction)(const void *image, size_t size, Executable **executable, char *message, size_t message_size);
// The image for a true cubin's bytes, NULL if none.
typedef const void *(*FindImageFunction)(const void *code);
static BuildFunction build;
static FindImageFunction find_image;
API void emulation_set_callbacks(BuildFunction b, FindImageFunction f) { build = b; find_image = f; }

// Layout of an image, as image.py packs it; the entry's name and the compressed IR follow.
typedef struct {
    char magic[8];
    uint64_t size;
    uint32_t name_length;
    int32_t parameter_count;
    unsigned char parameter_sizes[512]; // bytes; the high bit marks a pointer
} ImageHeader;

typedef struct { Kernel *kernel; } Library;

static Kernel *all_kernels; // never freed: a graph may still hold one

bool resolve(Kernel *kernel, char *message, size_t size) {
    if (kernel->executable) return true;
    if (!build) { snprintf(message, size, "nobody builds kernels here"); return false; }
    return build(kernel->image, kernel->image_size, &kernel->executable, message, size) == 0;
}

static Kernel *load(const void *code) {
    const ImageHeader *header = code;
    if (memcmp(header->magic, "EMUCUBIN", 8)) {
        header = find_image ? find_image(code) : NULL;
        if (!header) return NULL;
    }
    Kernel *kernel = calloc(1, sizeof *kernel);
    const ImageHeader *copy = memcpy(malloc(header->size), header, header->size);
    *kernel = (Kernel){strndup((const char *)(copy + 1), copy->name_length), copy, copy->size, copy->parameter_count,
                       copy->parameter_sizes, true, NULL, all_kernels};
    return all_kernels = kernel;
}

API CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jit, void **jit_values, unsigned jit_count,
                               CUlibraryOption *options, void **values, unsigned count) {
    LOCKED;
    Kernel *kernel = load(code);
    if (!kernel) return fail(CUDA_ERROR_INVALID_IMAGE, "code that the emulated device did not see being compiled");
    Library *loaded = calloc(1, sizeof *loaded);
    loaded->kernel = kernel;
    *library = (CUlibrary)loaded;
    return CUDA_SUCCESS;
}
API CUresult cuLibraryUnload(CUlibrary library) {
    LOCKED;
    ((Library *)library)->kernel->loaded = false;
    free(library);
    return CUDA_SUCCESS;
}
API CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name) {
    LOCKED;
    Kernel *found = ((Library *)library)->kernel;
    if (strcmp(found->name, name)) return fail(CUDA_ERROR_NOT_FOUND, "no kernel %s in the library of %s", name, found->name);
    *kernel = (CUkernel)found;
    return CUDA_SUCCESS;
}
API CUresult cuLibraryGetKernelCount(unsigned *count, CUlibrary library) { *count = 1; return CUDA_SUCCESS; }
API CUresult cuLibraryEnumerateKernels(CUkernel *kernels, unsigned count, CUlibrary library) {
    if (count) kernels[0] = (CUkernel)((Library *)library)->kernel;
    return CUDA_SUCCESS;
}
API CUresult cuLibraryGetModule(CUmodule *module, CUlibrary library) { *module = (CUmodule)library; return CUDA_SUCCESS; }
API CUresult cuLibraryGetGlobal(CUdeviceptr *address, size_t *size, CUlibrary library, const char *name) { return CUDA_ERROR_NOT_FOUND; }
API CUresult cuModuleLoadData(CUmodule *module, const void *code) {
    return cuLibraryLoadData((CUlibrary *)module, code, NULL, NULL, 0, NULL, NULL, 0);
}
API CUresult cuModuleLoadDataEx(CUmodule *module, const void *code, unsigned count, CUjit_option *options, void **values) {
    return cuModuleLoadData(module, code);
}
API CUresult cuModuleUnload(CUmodule module) { return cuLibraryUnload((CUlibrary)module); }
API CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    return cuLibraryGetKernel((CUkernel *)function, (CUlibrary)module, name);
}

// ---------------------------------------------------------------- kernels

API CUresult cuKernelGetFunction(CUfunction *function, CUkernel kernel) { *function = (CUfunction)kernel; return CUDA_SUCCESS; }
API CUresult cuKernelGetName(const char **name, CUkernel kernel) { *name = ((Kernel *)kernel)->name; return CUDA_SUCCESS; }
API CUresult cuFuncGetName(const char **name, CUfunction function) { return cuKernelGetName(name, (CUkernel)function); }
API CUresult cuFuncGetModule(CUmodule *module, CUfunction function) { return CUDA_ERROR_NOT_SUPPORTED; }

static CUresult attribute_of(int *value, CUfunction_attribute attribute) {
    *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? MAX_THREADS : attribute == CU_FUNC_ATTRIBUTE_NUM_REGS ? 32 : 0;
    return CUDA_SUCCESS;
}
API CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attribute, CUkernel kernel, CUdevice device) {
    return attribute_of(value, attribute);
}
API CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) { return attribute_of(value, attribute); }
API CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) { return CUDA_SUCCESS; }
API CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel kernel, CUdevice device) { return CUDA_SUCCESS; }

static CUresult parameter_info(const Kernel *kernel, size_t index, size_t *offset, size_t *size) {
    if (index >= (size_t)kernel->parameter_count) return CUDA_ERROR_INVALID_VALUE;
    size_t start = 0;
    for (size_t i = 0; i <= index; i++) { // each aligned to its own size
        size_t width = kernel->parameter_sizes[i] & 0x7F;
        start = (start + width - 1) / width * width;
        if (i == index) { *offset = start; if (size) *size = width; }
        start += width;
    }
    return CUDA_SUCCESS;
}
API CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *size) {
    return parameter_info((Kernel *)kernel, index, offset, size);
}
API CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *size) {
    return parameter_info((Kernel *)function, index, offset, size);
}
API CUresult cuOccupancyMaxPotentialBlockSize(int *grid, int *block, CUfunction function, CUoccupancyB2DSize shared, size_t dynamic,
                                              int limit) {
    *grid = 264;
    *block = 256;
    return CUDA_SUCCESS;
}
API CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int *grid, int *block, CUfunction function, CUoccupancyB2DSize shared,
                                                       size_t dynamic, int limit, unsigned flags) {
    return cuOccupancyMaxPotentialBlockSize(grid, block, function, shared, dynamic, limit);
}
API CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int block, size_t dynamic) {
    *blocks = 2048 / (block ? block : 1);
    return CUDA_SUCCESS;
}

// ---------------------------------------------------------------- launches

static CUresult launch(Kernel *kernel, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, CUstream stream, void **values) {
    LOCKED;
    uint64_t threads = (uint64_t)block[0] * block[1] * block[2], blocks = (uint64_t)grid[0] * grid[1] * grid[2];
    bool fits = grid[0] <= 0x7FFFFFFF && grid[1] <= 65535 && grid[2] <= 65535 && block[2] <= 64; // as the attributes say
    if (!fits || !threads || threads > MAX_THREADS || !blocks || shared > 49152)
        return fail(CUDA_ERROR_INVALID_VALUE, "kernel %s: a grid of %llu blocks of %llu threads with %u bytes of shared memory",
                    kernel->name, (unsigned long long)blocks, (unsigned long long)threads, shared);
    Operation operation = {.kind = LAUNCH};
    operation.launch.kernel = kernel;
    operation.launch.shared = shared;
    memcpy(operation.launch.grid, grid, sizeof operation.launch.grid);
    memcpy(operation.launch.block, block, sizeof operation.launch.block);
    if (kernel->parameter_count) operation.launch.arguments = calloc((size_t)kernel->parameter_count, 8);
    for (int i = 0; i < kernel->parameter_count; i++)
        memcpy(operation.launch.arguments + 8 * i, values[i], kernel->parameter_sizes[i] & 0x7F);
    return submit(stream, operation);
}

API CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                            unsigned shared, CUstream stream, void **values, void **extra) {
    uint32_t grid[3] = {gx, gy, gz}, block[3] = {bx, by, bz};
    return launch((Kernel *)function, grid, block, shared, stream, values);
}
API CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **values, void **extra) {
    return cuLaunchKernel(function, config->gridDimX, config->gridDimY, config->gridDimZ, config->blockDimX, config->blockDimY,
                          config->blockDimZ, config->sharedMemBytes, config->hStream, values, extra);
}
