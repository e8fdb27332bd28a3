// CUDA kernels on this machine's processor: every thread of a block is a fiber. For tests of what kernels compute where there is no device; it
// says nothing about memory that a device may not touch, or about time.
//
// What a device leaves open is drawn, anew for each launch: the order of blocks, which of the threads between two barriers comes first, how far
// warps are apart, and whether an asynchronous copy is done at once or when it is waited for. Shared memory holds no numbers before the first
// block and some of the others. So a kernel that lacks a barrier, or whose blocks depend on each other, gives other results than it should, if
// not each time.

#include <link.h>
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
// All of it is in one place then, which is found in order to spoil it.
#define __shared__ static thread_local

struct uint3 {
    unsigned x, y, z;
};
static uint3 threadIdx, blockIdx, blockDim, gridDim;

static void must(bool holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "the emulator of devices: %s\n", what);
    abort();
}

// What comes next of what a device leaves open.
static uint64_t drawn;
static unsigned draw() {
    uint64_t z = drawn += 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return (unsigned)((z ^ (z >> 31)) >> 32);
}
// All of `count` once: from somewhere on, in steps that have no divisor in common with it.
struct Order {
    unsigned at, step, count;
    explicit Order(unsigned count) : at(draw() % count), step(draw() % count), count(count) {
        auto common = [](unsigned a, unsigned b) {
            while (b) {
                unsigned rest = a % b;
                a = b, b = rest;
            }
            return a;
        };
        while (common(step, count) != 1) step = step % count + 1;
    }
    unsigned next() {
        unsigned found = at;
        at = (unsigned)(((uint64_t)at + step) % count);
        return found;
    }
};

// It is made once and works for block after block; jumps between fibers ask nothing of the system.
struct Fiber {
    jmp_buf context;
    char *stack;
    uint3 index;
    bool started, done;
    // What it waits for, and at which turn.
    const struct Barrier *waits;
    unsigned turn;
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
    fibers[now].waits = &barrier;
    fibers[now].turn = turn;
    while (barrier.turn == turn) yield_fiber();
    fibers[now].waits = nullptr;
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

// A copy is done at once or when it is waited for.
struct Copy {
    void *to;
    const void *from;
    bool inside;
    unsigned group;

    void done() const {
        if (inside) memcpy(to, from, 16);
        else memset(to, 0, 16);
    }
};
struct Copies {
    std::vector<Copy> open;
    unsigned group;
};
static std::vector<Copies> copies;

// Every four bytes of shared memory a NaN.
static void spoil_shared() {
    static thread_local int inside;
    auto spoil = [](struct dl_phdr_info *module, size_t, void *inside) {
        char *begin = (char *)module->dlpi_tls_data;
        for (int i = 0; begin && i < module->dlpi_phnum; i++) {
            size_t bytes = module->dlpi_phdr[i].p_memsz;
            if (module->dlpi_phdr[i].p_type != PT_TLS || (char *)inside < begin || (char *)inside >= begin + bytes) continue;
            for (size_t at = 0; at + 4 <= bytes; at += 4) *(unsigned *)(begin + at) = 0x7fc0dead;
            return 1;
        }
        return 0;
    };
    inside = 0;
    must(dl_iterate_phdr(spoil, &inside) == 1, "shared memory is not found");
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
    unsigned blocks = grid[0] * grid[1] * grid[2];
    Order of_blocks(blocks);
    for (unsigned b = 0; b < blocks; b++) {
        unsigned at = of_blocks.next();
        blockIdx = {at % grid[0], at / grid[0] % grid[1], at / (grid[0] * grid[1])};
        // It takes its time, so not before each of them.
        if (b == 0 || draw() % 16 == 0) spoil_shared();
        whole = {0, 0};
        copies.clear();
        warps.assign(threads / 32 + 1, Barrier{0, 0});
        for (unsigned i = 0; i < threads; i++) {
            Fiber &fiber = fibers[i];
            fiber.index = {i % block[0], i / block[0] % block[1], i / (block[0] * block[1])};
            fiber.done = false;
            fiber.waits = nullptr;
        }
        // Warps go on side by side, or each as far as it can before another one does.
        bool alone = draw() % 2;
        unsigned together = alone ? 32 : threads;
        for (bool left = true; left;) {
            left = false;
            bool moved = false;
            Order of_groups((threads + together - 1) / together);
            for (unsigned group = 0; group < of_groups.count; group++) {
                unsigned first = of_groups.next() * together;
                unsigned count = threads - first < together ? threads - first : together;
                for (bool again = true; again;) {
                    again = false;
                    Order of_threads(count);
                    for (unsigned i = 0; i < count; i++) {
                        now = first + of_threads.next();
                        const Fiber &fiber = fibers[now];
                        if (fiber.done) continue;
                        left = true;
                        if (fiber.waits && fiber.waits->turn == fiber.turn) continue;
                        moved = true;
                        again = alone;
                        threadIdx = fiber.index;
                        resume_fiber();
                    }
                }
            }
            must(moved || !left, "all threads of a block wait, and not for the same");
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

// What src/cuda/kernels/matmul.cu says in PTX: tensor cores, their fragments, and copies past registers.

// Each lane leaves something for its warp. Two places in turn: who has passed the barrier may leave the next before all have read this.
struct Deposit {
    float a[8], b[4];
    const unsigned short *row;
};
static std::vector<Deposit> deposits[2];
static std::vector<unsigned char> turns;

static Deposit &deposit() {
    if (turns.size() < fibers.size()) {
        turns.resize(fibers.size());
        for (auto &each : deposits) each.resize(fibers.size());
    }
    return deposits[turns[now] ^= 1][now];
}
static const Deposit *of_warp() {
    __syncwarp();
    return &deposits[turns[now]][now / 32 * 32];
}
static float half_of(unsigned pair, unsigned which) {
    return __int_as_float((int)(which ? pair & 0xffff0000u : pair << 16));
}

// c (16, 8) += a (16, 16) b (16, 8); sums in f32, in the order of the depth.
static void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    Deposit &mine = deposit();
    for (unsigned i = 0; i < 8; i++) mine.a[i] = half_of(a[i / 2], i % 2);
    for (unsigned i = 0; i < 4; i++) mine.b[i] = half_of(b[i / 2], i % 2);
    const Deposit *lanes = of_warp();
    unsigned row = now % 32 / 4, column = now % 4 * 2;
    for (unsigned p = 0; p < 16; p++) {
        unsigned lane = p % 8 / 2, at = p / 8 * 4 + p % 2;
        float above = lanes[row * 4 + lane].a[at], below = lanes[row * 4 + lane].a[at + 2];
        float left = lanes[column * 4 + lane].b[p / 8 * 2 + p % 2], right = lanes[column * 4 + 4 + lane].b[p / 8 * 2 + p % 2];
        c[0] += above * left, c[1] += above * right, c[2] += below * left, c[3] += below * right;
    }
}

static void load_matrices(unsigned (&to)[4], const void *row, bool transposed) {
    must((uintptr_t)row % 16 == 0, "a row of a matrix is not aligned");
    deposit().row = (const unsigned short *)row;
    const Deposit *lanes = of_warp();
    unsigned one = now % 32 / 4, two = now % 4 * 2;
    for (unsigned i = 0; i < 4; i++) {
        const Deposit *rows = lanes + i * 8;
        unsigned low = transposed ? rows[two].row[one] : rows[one].row[two];
        unsigned high = transposed ? rows[two + 1].row[one] : rows[one].row[two + 1];
        to[i] = low | high << 16;
    }
}
// Four matrices (8, 8) of bf16: lane l has the place of row l % 8 of matrix l / 8.
static void load_matrix_x4(unsigned (&to)[4], const void *row) {
    load_matrices(to, row, false);
}
static void load_matrix_x4_transposed(unsigned (&to)[4], const void *row) {
    load_matrices(to, row, true);
}

static Copies &own_copies() {
    if (copies.size() < fibers.size()) copies.resize(fibers.size());
    return copies[now];
}
static void copy_async_16(void *to, const void *from, bool inside) {
    must((uintptr_t)to % 16 == 0 && (uintptr_t)from % 16 == 0, "a copy is not aligned");
    Copies &own = own_copies();
    Copy copy = {to, from, inside, own.group};
    if (draw() % 2) copy.done();
    else own.open.push_back(copy);
}
static void commit() {
    own_copies().group++;
}
template <int LEFT>
static void wait_group() {
    Copies &own = own_copies();
    size_t kept = 0;
    for (Copy copy : own.open) {
        if (copy.group + LEFT >= own.group) {
            own.open[kept++] = copy;
        } else {
            copy.done();
        }
    }
    own.open.resize(kept);
}

static unsigned pack_bf16(float low, float high) {
    auto rounded = [](float x) {
        unsigned bits = (unsigned)__float_as_int(x);
        return x != x ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    };
    return rounded(low) | rounded(high) << 16;
}
static float power_of_two(float x) {
    return exp2f(x);
}
