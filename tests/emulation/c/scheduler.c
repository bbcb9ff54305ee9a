// The emulated multiprocessor: blocks one after the other, the threads of a block in a random order that changes at every
// barrier.  A kernel without barriers runs each thread to its end.  With barriers every thread gets a stack of its own
// and is switched away from at a barrier, which costs tens of nanoseconds; so a missing barrier shows as a wrong answer
// under some seed, and a barrier that not all threads reach as an error instead of a hang.
#define _GNU_SOURCE
#include "scheduler.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { STACK_BYTES = 256 * 1024, PAGE = 4096 };
typedef enum { READY, AT_BARRIER, AT_WARP, DONE } Status;

typedef struct {
    ucontext_t boot; // only enters the stack for the first time: later switches use setjmp, which makes no system call
    jmp_buf context;
    unsigned char *stack;
    int started;
    Status status;
    uint32_t mask;  // lanes that take part in the warp operation waited for
    uint32_t value; // offered to the other lanes
} Fiber;

// One grid runs at a time (`lock`), so the state of the block is plain static data.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Fiber fibers[MAX_THREADS];
static jmp_buf scheduler;
static Fiber *current;
static const Executable *kernel;
static void **arguments;
static int thread_count;
static uint64_t random_state;

// ---------------------------------------------------------------- random order

static uint32_t random_below(uint32_t bound) { // splitmix64
    uint64_t z = (random_state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return (uint32_t)(((z ^ (z >> 31)) >> 32) * bound >> 32);
}

static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b) { uint64_t r = a % b; a = b; b = r; }
    return a;
}

// Index i of a permutation of 0..count-1 that needs no memory: start + i*step modulo count.
typedef struct { uint64_t count, start, step; } Order;

static Order random_order(uint64_t count) {
    Order order = {count, random_below((uint32_t)count), 1};
    if (count > 2) do order.step = 1 + random_below((uint32_t)count - 1); while (gcd(order.step, count) != 1);
    return order;
}

static uint64_t nth(Order order, uint64_t i) { return (order.start + i * order.step) % order.count; }

static void shuffle_threads(int *list, int count) {
    for (int i = count - 1; i > 0; i--) {
        int j = (int)random_below((uint32_t)i + 1), swap = list[i];
        list[i] = list[j];
        list[j] = swap;
    }
}

// ---------------------------------------------------------------- switching between threads of a block

static int thread_index(void) { return (int)(current - fibers); }

static void wait_for(Status status) {
    current->status = status;
    if (_setjmp(current->context) == 0) _longjmp(scheduler, 1);
}

static void fiber_main(void) {
    for (;;) { // the stack is entered once, then serves the thread of this index in every later block
        kernel->thread(arguments);
        wait_for(DONE);
    }
}

static int make_stack(Fiber *fiber) {
    if (!fiber->stack) { // the lowest page stays unmapped: an overflow crashes instead of writing elsewhere
        fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (fiber->stack == MAP_FAILED) { fiber->stack = NULL; return 1; }
        mprotect(fiber->stack, PAGE, PROT_NONE);
    }
    getcontext(&fiber->boot);
    fiber->boot.uc_stack.ss_sp = fiber->stack;
    fiber->boot.uc_stack.ss_size = STACK_BYTES;
    fiber->boot.uc_link = NULL;
    makecontext(&fiber->boot, fiber_main, 0);
    return 0;
}

static void set_thread(uint64_t index) {
    KernelState *state = kernel->state;
    state->thread[0] = (int32_t)(index % state->block_size[0]);
    state->thread[1] = (int32_t)(index / state->block_size[0] % state->block_size[1]);
    state->thread[2] = (int32_t)(index / state->block_size[0] / state->block_size[1]);
}

static void resume(int index) {
    current = &fibers[index];
    set_thread((uint64_t)index);
    if (_setjmp(scheduler) == 0) {
        if (current->started) _longjmp(current->context, 1);
        current->started = 1;
        setcontext(&current->boot);
    }
}

// ---------------------------------------------------------------- what kernels call

static void barrier(void) { wait_for(AT_BARRIER); }

static uint32_t barrier_reduce(uint32_t mode, uint32_t predicate) { // mode 0 count, 1 and, 2 or
    current->value = predicate != 0;
    wait_for(AT_BARRIER);
    uint32_t count = 0;
    for (int t = 0; t < thread_count; t++) count += fibers[t].value;
    wait_for(AT_BARRIER); // nobody offers its next value before all have read this one
    return mode == 0 ? count : mode == 1 ? count == (uint32_t)thread_count : count != 0;
}

static void warp_barrier(uint32_t mask) {
    current->mask = mask;
    wait_for(AT_WARP);
}

// shfl.sync; modes as the compiler numbers them: 0 idx, 1 up, 2 down, 3 bfly.  `clamp` holds the segment mask in
// bits 8-12 and the clamp in bits 0-4.
static uint64_t shuffle(uint32_t mask, uint32_t mode, uint32_t value, uint32_t lane_argument, uint32_t clamp) {
    int index = thread_index(), lane = index % WARP, first = index - lane;
    current->value = value;
    warp_barrier(mask);
    int b = (int)(lane_argument & 31), segment = (int)(clamp >> 8 & 31), limit = (int)(clamp & 31);
    int highest = (lane & segment) | (limit & ~segment), lowest = lane & segment;
    int source = mode == 0 ? (lowest | (b & ~segment)) : mode == 1 ? lane - b : mode == 2 ? lane + b : lane ^ b;
    int inside = mode == 1 ? source >= highest : source <= highest;
    if (!inside) source = lane;
    uint32_t result = 0xFFFFFFFFu; // a lane that is absent, or has left: undefined on the device, poison here
    if (first + source < thread_count && (mask >> source & 1) && fibers[first + source].status != DONE) result = fibers[first + source].value;
    warp_barrier(mask);
    return (uint64_t)inside << 32 | result;
}

static uint32_t vote(uint32_t mask, uint32_t mode, uint32_t predicate) { // mode 0 all, 1 any, 2 uniform, 3 ballot
    int first = thread_index() / WARP * WARP;
    current->value = predicate != 0;
    warp_barrier(mask);
    uint32_t ballot = 0, members = 0;
    for (int lane = 0; lane < WARP && first + lane < thread_count; lane++)
        if ((mask >> lane & 1) && fibers[first + lane].status != DONE) {
            members |= 1u << lane;
            ballot |= fibers[first + lane].value << lane;
        }
    warp_barrier(mask);
    if (mode == 3) return ballot;
    return mode == 0 ? ballot == members : mode == 1 ? ballot != 0 : ballot == 0 || ballot == members;
}

static uint32_t active_mask(void) {
    int first = thread_index() / WARP * WARP;
    uint32_t mask = 0;
    for (int lane = 0; lane < WARP && first + lane < thread_count; lane++)
        if (fibers[first + lane].status != DONE) mask |= 1u << lane;
    return mask;
}

// ---------------------------------------------------------------- one block

// A warp operation waits for the lanes of its mask that have not left the kernel, as on the device.  (A barrier of the
// block does so too since Volta; here threads that have left are a divergence, because such a kernel is hardly meant.)
static int warp_is_complete(int first, uint32_t mask) {
    for (int lane = 0; lane < WARP && first + lane < thread_count; lane++) {
        Fiber *fiber = &fibers[first + lane];
        if (!(mask >> lane & 1) || fiber->status == DONE) continue;
        if (fiber->status != AT_WARP || fiber->mask != mask) return 0;
    }
    return 1;
}

static int release_warps(const char **problem) {
    int released = 0;
    for (int t = 0; t < thread_count; t++) {
        if (fibers[t].status != AT_WARP) continue;
        int first = t / WARP * WARP;
        uint32_t mask = fibers[t].mask;
        if (!(mask >> (t - first) & 1)) *problem = "a lane takes part in a warp operation whose mask leaves it out";
        if (!warp_is_complete(first, mask)) continue;
        for (int lane = 0; lane < WARP && first + lane < thread_count; lane++)
            if ((mask >> lane & 1) && fibers[first + lane].status == AT_WARP) fibers[first + lane].status = READY;
        released = 1;
    }
    return released;
}

static int count_status(Status status) {
    int count = 0;
    for (int t = 0; t < thread_count; t++) count += fibers[t].status == status;
    return count;
}

static int release(char *message, size_t size) { // 1: somebody may go on; 0: nobody can, `message` says why
    const char *problem = NULL;
    int released = release_warps(&problem);
    if (released && !problem) return 1;
    int waiting = count_status(AT_BARRIER), warp = count_status(AT_WARP), done = count_status(DONE);
    if (!problem && waiting == thread_count) {
        for (int t = 0; t < thread_count; t++) fibers[t].status = READY;
        return 1;
    }
    int32_t *block = kernel->state->block;
    snprintf(message, size, "divergent barrier in block (%d, %d, %d): of %d threads %d wait at a barrier, %d at a warp "
             "operation, %d have left the kernel%s%s", block[0], block[1], block[2], thread_count, waiting, warp, done,
             problem ? ": " : "", problem ? problem : "");
    return 0;
}

static int run_cooperative_block(char *message, size_t size) {
    int ready[MAX_THREADS];
    for (int t = 0; t < thread_count; t++) {
        Fiber *fiber = &fibers[t];
        if (!fiber->started && make_stack(fiber)) { snprintf(message, size, "no memory for thread stacks"); return 1; }
        fiber->status = READY;
    }
    for (;;) {
        int count = 0;
        for (int t = 0; t < thread_count; t++)
            if (fibers[t].status == READY) ready[count++] = t;
        if (count == 0) {
            if (count_status(DONE) == thread_count) return 0;
            if (release(message, size)) continue;
            for (int t = 0; t < thread_count; t++) // these stacks hold half-run threads: start them afresh next time
                if (fibers[t].status != DONE) fibers[t].started = 0;
            return 1;
        }
        shuffle_threads(ready, count);
        for (int i = 0; i < count; i++) resume(ready[i]);
    }
}

static void run_plain_block(void) {
    Order order = random_order((uint64_t)thread_count);
    for (int i = 0; i < thread_count; i++) {
        set_thread(nth(order, (uint64_t)i));
        kernel->thread(arguments);
    }
}

// ---------------------------------------------------------------- shared memory

static int64_t shared_size(const SharedArray *array) {
    return array->size < 0 ? kernel->state->dynamic_shared : array->size;
}

static void poison_shared(void) {
    for (int i = 0; i < kernel->shared_count; i++) {
        SharedArray *array = &kernel->shared[i];
        memset(array->start - GUARD, CANARY, GUARD);
        memset(array->start, POISON, (size_t)shared_size(array));
        memset(array->start + shared_size(array), CANARY, GUARD);
    }
}

static int shared_is_intact(char *message, size_t size) {
    for (int i = 0; i < kernel->shared_count; i++) {
        SharedArray *array = &kernel->shared[i];
        for (int k = 0; k < GUARD; k++)
            if (array->start[k - GUARD] != CANARY || array->start[shared_size(array) + k] != CANARY) {
                snprintf(message, size, "a write outside shared array %d (%lld bytes) in block %d", i,
                         (long long)shared_size(array), kernel->state->block[0]);
                return 0;
            }
    }
    return 1;
}

// ---------------------------------------------------------------- the grid

static void fill_state(const uint32_t grid[3], const uint32_t block[3], uint32_t dynamic_shared) {
    KernelState *state = kernel->state;
    for (int axis = 0; axis < 3; axis++) {
        state->grid_size[axis] = (int32_t)grid[axis];
        state->block_size[axis] = (int32_t)block[axis];
    }
    state->dynamic_shared = (int32_t)dynamic_shared;
    state->barrier = barrier;
    state->barrier_reduce = barrier_reduce;
    state->warp_barrier = warp_barrier;
    state->shuffle = shuffle;
    state->vote = vote;
    state->active_mask = active_mask;
}

static int run_blocks(uint64_t count, char *message, size_t size) {
    KernelState *state = kernel->state;
    Order order = random_order(count);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t index = nth(order, i);
        state->block[0] = (int32_t)(index % state->grid_size[0]);
        state->block[1] = (int32_t)(index / state->grid_size[0] % state->grid_size[1]);
        state->block[2] = (int32_t)(index / state->grid_size[0] / state->grid_size[1]);
        poison_shared();
        if (!kernel->cooperative) run_plain_block();
        else if (run_cooperative_block(message, size)) return 1;
        if (!shared_is_intact(message, size)) return 1;
    }
    return 0;
}

int emulation_run_grid(const Executable *executable, const uint32_t grid[3], const uint32_t block[3], uint32_t dynamic_shared,
                       uint64_t seed, void **parameters, char *message, size_t message_size) {
    uint64_t blocks = (uint64_t)grid[0] * grid[1] * grid[2], threads = (uint64_t)block[0] * block[1] * block[2];
    if (!blocks || !threads || threads > MAX_THREADS || blocks > 0x7FFFFFFF) {
        snprintf(message, message_size, "a grid of %llu blocks of %llu threads (a block has 1 to %d threads)",
                 (unsigned long long)blocks, (unsigned long long)threads, MAX_THREADS);
        return 1;
    }
    pthread_mutex_lock(&lock);
    kernel = executable;
    arguments = parameters;
    thread_count = (int)threads;
    random_state = seed;
    fill_state(grid, block, dynamic_shared);
    int failed = run_blocks(blocks, message, message_size);
    pthread_mutex_unlock(&lock);
    return failed;
}
