// Runs one grid of an emulated kernel on the calling CPU thread.  Shared by the fake driver and the driverless executor.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { WARP = 32, MAX_THREADS = 1024, GUARD = 32, POISON = 0xFF, CANARY = 0xFD };

// What the compiled kernel reads and calls.  One such struct lives in every kernel's object code (host_ir.py declares the
// same layout), so several kernels never share registers.
typedef struct {
    int32_t thread[3], block_size[3], block[3], grid_size[3]; // threadIdx, blockDim, blockIdx, gridDim
    int32_t dynamic_shared, padding;
    void (*barrier)(void);                                                         // __syncthreads
    uint32_t (*barrier_reduce)(uint32_t mode, uint32_t predicate);                 // __syncthreads_count/_and/_or
    void (*warp_barrier)(uint32_t mask);                                           // __syncwarp
    uint64_t (*shuffle)(uint32_t mask, uint32_t mode, uint32_t value, uint32_t lane, uint32_t clamp); // bit 32: predicate
    uint32_t (*vote)(uint32_t mask, uint32_t mode, uint32_t predicate);
    uint32_t (*active_mask)(void);
} KernelState;

// A __shared__ array: GUARD bytes of canary lie on either side.  size < 0: the dynamic array, as long as the launch says.
typedef struct {
    unsigned char *start;
    int64_t size;
} SharedArray;

typedef struct {
    void (*thread)(void **parameters); // one thread of the kernel; parameters as cuLaunchKernel takes them
    KernelState *state;
    SharedArray *shared;
    int32_t shared_count;
    int32_t cooperative; // has barriers, shuffles or votes: threads need stacks of their own
} Executable;

// 0, or 1 with what went wrong in `message`.  `seed` orders blocks and threads.
int emulation_run_grid(const Executable *kernel, const uint32_t grid[3], const uint32_t block[3], uint32_t dynamic_shared,
                       uint64_t seed, void **parameters, char *message, size_t message_size);
