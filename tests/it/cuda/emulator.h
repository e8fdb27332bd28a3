// CUDA kernels on this machine's processor: every thread of a block is a fiber, blocks come one after the other. For tests of what kernels
// compute where there is no device; it says nothing about races between blocks, about memory that a device may not touch, or about time.

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static

struct uint3 {
    unsigned x, y, z;
};
static uint3 threadIdx, blockIdx, blockDim, gridDim;

// It is made once and works for block after block; jumps between fibers ask nothing of the system.
struct Fiber {
    jmp_buf context;
    char *stack;
    uint3 index;
    bool started, done;
};
// Who waits for the others: a block, or a warp.
struct Barrier {
    unsigned arrived, turn;
};
static std::vector<Fiber> fibers;
static std::vector<Barrier> warps;
static std::vector<uint64_t> exchanged;
static Barrier whole;
static jmp_buf scheduler;
static unsigned now, active;

static void yield_fiber() {
    if (!_setjmp(fibers[now].context)) _longjmp(scheduler, 1);
}

static void wait_for(Barrier &barrier, unsigned all) {
    unsigned turn = barrier.turn;
    if (++barrier.arrived == all) {
        barrier.arrived = 0;
        barrier.turn++;
        return;
    }
    while (barrier.turn == turn) yield_fiber();
}

static void __syncthreads() {
    wait_for(whole, active);
}
static unsigned warp_size(unsigned warp) {
    unsigned left = active - warp * 32;
    return left < 32 ? left : 32;
}
static void __syncwarp() {
    wait_for(warps[now / 32], warp_size(now / 32));
}
template <class T>
static T exchange(T value, unsigned from) {
    memcpy(&exchanged[now], &value, sizeof value);
    __syncwarp();
    T got;
    memcpy(&got, &exchanged[now / 32 * 32 + from], sizeof got);
    __syncwarp();
    return got;
}
template <class T>
static T __shfl_xor_sync(unsigned, T value, unsigned lanes) {
    return exchange(value, (now % 32) ^ lanes);
}
template <class T>
static T __shfl_sync(unsigned, T value, unsigned lane) {
    return exchange(value, lane);
}
static unsigned __ballot_sync(unsigned, bool set) {
    exchanged[now] = set;
    __syncwarp();
    unsigned bits = 0;
    for (unsigned lane = 0; lane < warp_size(now / 32); lane++) bits |= (unsigned)exchanged[now / 32 * 32 + lane] << lane;
    __syncwarp();
    return bits;
}
static int __popc(unsigned bits) {
    return __builtin_popcount(bits);
}
static int __ffs(unsigned bits) {
    return __builtin_ffs((int)bits);
}
static float __int_as_float(int bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static int __float_as_int(float value) {
    int bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void (*entry)(void *);
static void *entry_of;
static void work() {
    for (;;) {
        entry(entry_of);
        fibers[now].done = true;
        yield_fiber();
    }
}
static void resume_fiber() {
    const size_t STACK = 64 << 10;
    Fiber &fiber = fibers[now];
    if (_setjmp(scheduler)) return;
    if (fiber.started) _longjmp(fiber.context, 1);
    fiber.started = true;
    if (!fiber.stack) fiber.stack = (char *)malloc(STACK);
    ucontext_t begin;
    getcontext(&begin);
    begin.uc_stack.ss_sp = fiber.stack;
    begin.uc_stack.ss_size = STACK;
    begin.uc_link = nullptr;
    makecontext(&begin, work, 0);
    setcontext(&begin);
}

template <class Call>
static void run(const unsigned grid[3], const unsigned block[3], Call call) {
    unsigned threads = block[0] * block[1] * block[2];
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    if (fibers.size() < threads) fibers.resize(threads);
    active = threads;
    exchanged.resize(threads + 32);
    entry_of = &call;
    entry = [](void *call) { (*(Call *)call)(); };
    for (unsigned z = 0; z < grid[2]; z++)
        for (unsigned y = 0; y < grid[1]; y++)
            for (unsigned x = 0; x < grid[0]; x++) {
                blockIdx = {x, y, z};
                whole = {0, 0};
                warps.assign(threads / 32 + 1, Barrier{0, 0});
                for (unsigned i = 0; i < threads; i++) {
                    Fiber &fiber = fibers[i];
                    fiber.index = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
                    fiber.done = false;
                }
                for (bool left = true; left;) {
                    left = false;
                    for (now = 0; now < threads; now++) {
                        if (fibers[now].done) continue;
                        left = true;
                        threadIdx = fibers[now].index;
                        resume_fiber();
                    }
                }
            }
}

template <class... A, size_t... I>
static void launch_with(void (*kernel)(A...), const unsigned grid[3], const unsigned block[3], void **arguments,
                        std::index_sequence<I...>) {
    run(grid, block, [=] { kernel(*(A *)arguments[I]...); });
}
template <class... A>
static void launch(void (*kernel)(A...), const unsigned grid[3], const unsigned block[3], void **arguments) {
    launch_with(kernel, grid, block, arguments, std::index_sequence_for<A...>{});
}
