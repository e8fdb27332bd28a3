// Products of bf16 matrices on tensor cores, with sums in f32. The order of a sum is the device's.

// What is said in PTX. tests/it/cuda/emulator.h has the same functions for processors.
#ifdef __CUDA_ARCH__
__device__ inline u32 shared_place(const void *at) {
    return (u32)__cvta_generic_to_shared(at);
}

// c (16, 8) += a (16, 16) b (16, 8).
__device__ inline void mma_bf16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four matrices (8, 8) of bf16: lane l has the place of row l % 8 of matrix l / 8. It gets elements 2 (l % 4) and the next of row l / 4 of
// each, or of its transpose.
__device__ inline void load_matrix_x4(u32 (&to)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_place(row))
                 : "memory");
}
__device__ inline void load_matrix_x4_transposed(u32 (&to)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_place(row))
                 : "memory");
}

// 16 bytes to shared memory, past registers; zeros where they are not inside.
__device__ inline void copy_async_16(void *to, const void *from, bool inside) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_place(to)), "l"(__cvta_generic_to_global(from)),
                 "r"(inside ? 16 : 0)
                 : "memory");
}
__device__ inline void commit() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}
// All copies of this thread but those of the last LEFT groups.
template <int LEFT>
__device__ inline void wait_group() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

__device__ inline u32 pack_bf16(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}
// 2^x within 2 units of the last place; 0 where that has no full precision.
__device__ inline float power_of_two(float x) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
    return power;
}
#endif

// A tile in shared memory has rows of WIDTH elements, 8 of which are moved at a time. Eight rows of one place, and eight places of one
// row, lie in different banks.
template <u32 WIDTH>
__device__ inline u32 tile_place(u32 row, u32 eight) {
    u32 turn = WIDTH == 32 ? row / 2 % 4 : row % 8;
    return row * WIDTH + (eight ^ turn) * 8;
}

// 16 rows from `row`, steps 16 `step` and on of the depth, as the left side of a product.
template <u32 WIDTH>
__device__ inline void left_side(u32 (&to)[4], const Bf16 *tile, u32 row, u32 step) {
    u32 lane = threadIdx.x % 32;
    load_matrix_x4(to, tile + tile_place<WIDTH>(row + lane % 16, step * 2 + lane / 16));
}
// As the right side, 16 columns (of the product) from `row`, each a row of the tile.
template <u32 WIDTH>
__device__ inline void right_side(u32 (&to)[2][2], const Bf16 *tile, u32 row, u32 step) {
    u32 lane = threadIdx.x % 32, all[4];
    load_matrix_x4(all, tile + tile_place<WIDTH>(row + lane / 16 * 8 + lane % 8, step * 2 + lane / 8 % 2));
    to[0][0] = all[0], to[0][1] = all[1], to[1][0] = all[2], to[1][1] = all[3];
}
// As the right side, where 16 rows of the tile from `row` are the depth, 16 columns from 16 `column`.
template <u32 WIDTH>
__device__ inline void right_side_transposed(u32 (&to)[2][2], const Bf16 *tile, u32 row, u32 column) {
    u32 lane = threadIdx.x % 32, all[4];
    load_matrix_x4_transposed(all, tile + tile_place<WIDTH>(row + lane % 16, column * 2 + lane / 16));
    to[0][0] = all[0], to[0][1] = all[1], to[1][0] = all[2], to[1][1] = all[3];
}

namespace matmul {

struct alignas(8) Two {
    float x[2];
};
struct alignas(16) Eight {
    u32 x[4];
};

// Of four neighbouring lanes, lane t gets x[t] of all.
__device__ inline void turn_quad(u32 (&x)[4]) {
    bool odd = threadIdx.x & 1, high = threadIdx.x & 2;
    u32 one = __shfl_xor_sync(0xffffffffu, odd ? x[0] : x[1], 1), two = __shfl_xor_sync(0xffffffffu, odd ? x[2] : x[3], 1);
    odd ? (x[0] = one, x[2] = two) : (x[1] = one, x[3] = two);
    one = __shfl_xor_sync(0xffffffffu, high ? x[0] : x[2], 2), two = __shfl_xor_sync(0xffffffffu, high ? x[1] : x[3], 2);
    high ? (x[0] = one, x[1] = two) : (x[2] = one, x[3] = two);
}

// The 32 columns of a row that four lanes have: each of them two of every eight.
__device__ inline void store(float *row, u32 column, u32 n, const float (&x)[8]) {
    for (u32 j = 0; j < 4; j++) {
        u32 at = column + j * 8 + threadIdx.x % 4 * 2;
        if (row && at < n) *(Two *)(row + at) = Two{{x[2 * j], x[2 * j + 1]}};
    }
}
__device__ inline void store(Bf16 *row, u32 column, u32 n, const float (&x)[8]) {
    u32 pairs[4];
    for (u32 j = 0; j < 4; j++) pairs[j] = pack_bf16(x[2 * j], x[2 * j + 1]);
    turn_quad(pairs);
    u32 at = column + threadIdx.x % 4 * 8;
    if (row && at < n) *(Eight *)(row + at) = Eight{{pairs[0], pairs[1], pairs[2], pairs[3]}};
}

template <class C>
__device__ inline float start_of(u32 start, const C *c, const float *bias, u64 n, u32 row, u32 column) {
    if (start == START_SUM) return value(c[row * n + column]);
    if (start == START_COLUMNS) return bias[column];
    return start == START_ROWS ? bias[row] : 0.0f;
}

// C (m, n) = start + A (m, k) B (k, n), where B is there as (n, k) if it is TRANSPOSED. A block has a tile of M by N elements of C, a warp M /
// DOWN by 32 of them. n and k are multiples of 8, and all begins at multiples of 16 bytes.
template <class C, bool TRANSPOSED, u32 M, u32 N, u32 DOWN, u32 STAGES>
__device__ inline void product(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, C *c, u32 start, const float *bias) {
    const u32 DEPTH = 32, ROWS = M / DOWN, THREADS = DOWN * (N / 32) * 32;
    alignas(16) __shared__ Bf16 left[STAGES][M * DEPTH];
    alignas(16) __shared__ Bf16 right[STAGES][N * DEPTH];
    // Blocks that run at the same time have few rows and columns between them, which stay in the cache.
    const u32 GROUP = 8;
    u32 down = (m + M - 1) / M, across = (n + N - 1) / N;
    u32 first = blockIdx.x / (GROUP * across) * GROUP, within = blockIdx.x % (GROUP * across);
    u32 high = down - first < GROUP ? down - first : GROUP;
    u32 first_i = (first + within % high) * M, first_j = within / high * N;
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    u32 warp_i = warp % DOWN * ROWS, warp_j = warp / DOWN * 32;

    auto bring = [&](u32 step) {
        u32 stage = step % STAGES, from = step * DEPTH;
#pragma unroll
        for (u32 each = 0; each < M * DEPTH / 8 / THREADS; each++) {
            u32 at = threadIdx.x + each * THREADS, row = at / 4, eight = at % 4;
            bool inside = first_i + row < m && from + eight * 8 < k;
            copy_async_16(left[stage] + tile_place<DEPTH>(row, eight), a + (inside ? (u64)(first_i + row) * k + from + eight * 8 : 0),
                          inside);
        }
#pragma unroll
        for (u32 each = 0; each < N * DEPTH / 8 / THREADS; each++) {
            u32 at = threadIdx.x + each * THREADS;
            if (TRANSPOSED) {
                u32 row = at / 4, eight = at % 4;
                bool inside = first_j + row < n && from + eight * 8 < k;
                copy_async_16(right[stage] + tile_place<DEPTH>(row, eight),
                              b + (inside ? (u64)(first_j + row) * k + from + eight * 8 : 0), inside);
            } else {
                u32 row = at / (N / 8), eight = at % (N / 8);
                bool inside = from + row < k && first_j + eight * 8 < n;
                copy_async_16(right[stage] + tile_place<N>(row, eight),
                              b + (inside ? (u64)(from + row) * n + first_j + eight * 8 : 0), inside);
            }
        }
    };

    float sums[ROWS / 16][4][4];
#pragma unroll
    for (u32 i = 0; i < ROWS / 16; i++)
#pragma unroll
        for (u32 j = 0; j < 4; j++)
#pragma unroll
            for (u32 e = 0; e < 4; e++) sums[i][j][e] = 0.0f;
    u32 steps = (k + DEPTH - 1) / DEPTH;
#pragma unroll
    for (u32 step = 0; step < STAGES - 1; step++) {
        if (step < steps) bring(step);
        commit();
    }
    for (u32 step = 0; step < steps; step++) {
        // This step is here, and all are done with the one before, whose place the next takes.
        wait_group<STAGES - 2>();
        __syncthreads();
        if (step + STAGES - 1 < steps) bring(step + STAGES - 1);
        commit();
        const Bf16 *l = left[step % STAGES], *r = right[step % STAGES];
#pragma unroll
        for (u32 part = 0; part < DEPTH / 16; part++) {
            u32 lefts[ROWS / 16][4], rights[2][2][2];
#pragma unroll
            for (u32 i = 0; i < ROWS / 16; i++) left_side<DEPTH>(lefts[i], l, warp_i + i * 16, part);
#pragma unroll
            for (u32 j = 0; j < 2; j++) {
                if (TRANSPOSED) right_side<DEPTH>(rights[j], r, warp_j + j * 16, part);
                if (!TRANSPOSED) right_side_transposed<N>(rights[j], r, part * 16, warp_j / 16 + j);
            }
#pragma unroll
            for (u32 i = 0; i < ROWS / 16; i++)
#pragma unroll
                for (u32 j = 0; j < 4; j++) mma_bf16(sums[i][j], lefts[i], rights[j / 2][j % 2]);
        }
    }
#pragma unroll
    for (u32 i = 0; i < ROWS / 16 * 2; i++) {
        u32 row = first_i + warp_i + i * 8 + lane / 4;
        float x[8];
#pragma unroll
        for (u32 j = 0; j < 8; j++) {
            u32 column = first_j + warp_j + j / 2 * 8 + lane % 4 * 2 + j % 2;
            x[j] = sums[i / 2][j / 2][i % 2 * 2 + j % 2];
            if (row < m && column < n) x[j] = start_of(start, c, bias, n, row, column) + x[j];
        }
        store(row < m ? c + (u64)row * n : nullptr, first_j + warp_j, n, x);
    }
}

// The same for any sizes and places, on plain cores: 256 threads have a tile of 64 by 64.
template <class C>
__device__ inline void product_of_any(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, u32 transposed, C *c, u32 start,
                                      const float *bias) {
    const u32 DEPTH = 16;
    __shared__ float left[DEPTH][65];
    __shared__ float right[DEPTH][65];
    u32 across = (n + 63) / 64, x = threadIdx.x % 16, y = threadIdx.x / 16;
    u32 first_i = blockIdx.x / across * 64, first_j = blockIdx.x % across * 64;
    float sums[4][4] = {};
    for (u32 from = 0; from < k; from += DEPTH) {
        for (u32 at = threadIdx.x; at < DEPTH * 64; at += 256) {
            u32 i = at / DEPTH, p = at % DEPTH;
            bool inside = first_i + i < m && from + p < k;
            left[p][i] = inside ? value(a[(u64)(first_i + i) * k + from + p]) : 0.0f;
            u32 j = transposed ? i : at % 64;
            p = transposed ? p : at / 64;
            inside = first_j + j < n && from + p < k;
            u64 place = transposed ? (u64)(first_j + j) * k + from + p : (u64)(from + p) * n + first_j + j;
            right[p][j] = inside ? value(b[place]) : 0.0f;
        }
        __syncthreads();
        for (u32 p = 0; p < DEPTH; p++)
            for (u32 i = 0; i < 4; i++)
                for (u32 j = 0; j < 4; j++) sums[i][j] = fmaf(left[p][y + 16 * i], right[p][x + 16 * j], sums[i][j]);
        __syncthreads();
    }
    for (u32 i = 0; i < 4; i++) {
        for (u32 j = 0; j < 4; j++) {
            u32 row = first_i + y + 16 * i, column = first_j + x + 16 * j;
            if (row < m && column < n)
                c[(u64)row * n + column] = element<C>(start_of(start, c, bias, n, row, column) + sums[i][j]);
        }
    }
}

}  // namespace matmul

// y = x W^T and dx = dy W, in f32 and bf16; tiles of 128 by 128 for many elements, of 64 by 64 for few.
extern "C" __global__ void matmul_forward_wide_f32(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, float *c, u32 start,
                                                   const float *bias) {
    matmul::product<float, true, 128, 128, 2, 3>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_forward_wide_bf16(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, Bf16 *c, u32 start,
                                                    const float *bias) {
    matmul::product<Bf16, true, 128, 128, 2, 3>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_forward_small_f32(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, float *c, u32 start,
                                                    const float *bias) {
    matmul::product<float, true, 64, 64, 2, 4>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_forward_small_bf16(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, Bf16 *c, u32 start,
                                                     const float *bias) {
    matmul::product<Bf16, true, 64, 64, 2, 4>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_backward_wide_f32(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, float *c, u32 start,
                                                    const float *bias) {
    matmul::product<float, false, 128, 128, 2, 3>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_backward_wide_bf16(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, Bf16 *c, u32 start,
                                                     const float *bias) {
    matmul::product<Bf16, false, 128, 128, 2, 3>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_backward_small_f32(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, float *c, u32 start,
                                                     const float *bias) {
    matmul::product<float, false, 64, 64, 2, 4>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_backward_small_bf16(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, Bf16 *c, u32 start,
                                                      const float *bias) {
    matmul::product<Bf16, false, 64, 64, 2, 4>(m, n, k, a, b, c, start, bias);
}
extern "C" __global__ void matmul_any_f32(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, u32 transposed, float *c, u32 start,
                                          const float *bias) {
    matmul::product_of_any(m, n, k, a, b, transposed, c, start, bias);
}
extern "C" __global__ void matmul_any_bf16(u32 m, u32 n, u32 k, const Bf16 *a, const Bf16 *b, u32 transposed, Bf16 *c, u32 start,
                                           const float *bias) {
    matmul::product_of_any(m, n, k, a, b, transposed, c, start, bias);
}
