// Causal attention over packed prompts: src/nn/attention. Scores are made in blocks of 64 keys with a running maximum and sum and never lie in
// memory; the backward pass makes them again. Every element has one owner, which takes its sum in one order, so results are the same each time.

namespace attention {

// A prompt. It has prefix + keys positions, and its queries are the last ones.
struct Span {
    u32 query, queries, key, keys, prefix;
};

// 64 queries of a span.
struct Work {
    u32 span, from;
};

// At most 64 rows of keys, and who sees them; of rows that many see, this may be one of several parts of a sum.
struct Tile {
    u32 row, rows, visit, visits, part;
};
const u32 WHOLE = 0xffffffffu;

// At most 64 rows of keys whose gradients are sums of parts.
struct Summed {
    u32 row, rows, part, parts;
};

// A span that sees the first `keys` rows of a tile; the first of them has this position in it.
struct Visit {
    u32 span, position, keys;
};

struct Shape {
    u32 heads, kv_heads, head_dim;
    // A position sees as many last positions, itself included.
    u32 reach;
    // What scores are multiplied with, to base e and to base 2.
    float scale, factor;
};

// Rows of a matrix: `split` from one place, the others from another.
struct Rows {
    u32 first, split, then, count;

    __device__ inline u32 operator[](u32 i) const {
        return i < split ? first + i : then + (i - split);
    }
};

__device__ inline Rows together(u32 first, u32 count) {
    return Rows{first, count, 0, count};
}

// The rows of keys from a position on.
__device__ inline Rows keys_of(Span span, u32 position, u32 count) {
    u32 split = position < span.prefix ? span.prefix - position : 0, behind = position < span.prefix ? 0 : position - span.prefix;
    return Rows{position, split, span.key + behind, count};
}

__device__ inline u32 first_position(Span span) {
    return span.prefix + span.keys - span.queries;
}

__device__ inline bool sees(u32 query, u32 key, u32 reach) {
    return key <= query && query - key < reach;
}

// Positions of keys that queries at positions first..=last see: from a multiple of STEP on.
template <u32 STEP>
__device__ inline u32 oldest(u32 first, u32 reach) {
    return (first + 1 > reach ? first + 1 - reach : 0) / STEP * STEP;
}

// Queries of a span (counted in it) that see any of `keys` keys from a position on.
struct Range {
    u32 from, to;
};
__device__ inline Range queries_of(Span span, u32 position, u32 keys, u32 reach) {
    u32 first = first_position(span), end = position + keys - 1 + reach;
    u32 to = end > first ? end - first : 0;
    return Range{position > first ? position - first : 0, to < span.queries ? to : span.queries};
}

// The largest and the sum of sixteen lanes.
__device__ inline float largest_of_lanes(float x) {
    for (u32 lanes = 8; lanes > 0; lanes /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, lanes));
    return x;
}

// --- On plain cores: any head_dim, f32 or bf16. 256 threads have 64 rows by 64 rows, each rows y + 16 i and x + 16 j; of results 64 rows by 128
// columns, and blocks for each 128.

struct Shared {
    float left[16][65], right[16][65];
    // Probabilities, or their gradients.
    float block[64][65];
    float part[16][128];
};

// sums[i][j] = sum_p factor left[y + 16 i][p] right[x + 16 j][p]: one chain each, as on the CPU. Rows behind the last are 0.
template <class E>
__device__ inline void multiply(Shared &shared, float (&sums)[4][4], float factor, const E *left, u64 left_stride, Rows left_rows,
                                const E *right, u64 right_stride, Rows right_rows, u32 depth) {
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) sums[i][j] = 0.0f;
    for (u32 from = 0; from < depth; from += 16) {
        __syncthreads();
        for (u32 at = threadIdx.x; at < 1024; at += 256) {
            u32 row = at / 16, p = at % 16;
            bool inside = from + p < depth;
            bool l = inside && row < left_rows.count, r = inside && row < right_rows.count;
            shared.left[p][row] = l ? value(left[left_rows[row] * left_stride + from + p]) * factor : 0.0f;
            shared.right[p][row] = r ? value(right[right_rows[row] * right_stride + from + p]) : 0.0f;
        }
        __syncthreads();
        for (u32 p = 0; p < 16; p++)
            for (u32 i = 0; i < 4; i++)
                for (u32 j = 0; j < 4; j++) sums[i][j] = fmaf(shared.left[p][y + 16 * i], shared.right[p][x + 16 * j], sums[i][j]);
    }
}

// sums[i][j] += sum_p block[y + 16 i][p] data[p][x + 16 j] over the rows of data. `data` begins at the columns of this block.
template <class E>
__device__ inline void gather(Shared &shared, float (&sums)[4][8], const E *data, u64 stride, Rows rows, u32 columns) {
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    for (u32 from = 0; from < rows.count; from += 16) {
        __syncthreads();
        for (u32 at = threadIdx.x; at < 16 * 128; at += 256) {
            u32 row = from + at / 128, column = at % 128;
            bool inside = row < rows.count && column < columns;
            shared.part[at / 128][column] = inside ? value(data[rows[row] * stride + column]) : 0.0f;
        }
        __syncthreads();
        u32 depth = rows.count - from < 16 ? rows.count - from : 16;
        for (u32 p = 0; p < depth; p++)
            for (u32 i = 0; i < 4; i++)
#pragma unroll
                for (u32 j = 0; j < 8; j++)
                    sums[i][j] = fmaf(shared.block[y + 16 * i][from + p], shared.part[p][x + 16 * j], sums[i][j]);
    }
}

template <class E>
__device__ inline void store(const float (&sums)[4][8], float factor, E *data, u64 stride, u32 row, u32 rows, u32 columns) {
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 8; j++)
            if (y + 16 * i < rows && x + 16 * j < columns)
                data[(row + y + 16 * i) * stride + x + 16 * j] = element<E>(sums[i][j] * factor);
}

template <class E>
__device__ inline void forward(Shape shape, const Span *spans, const Work *works, const E *q, const E *k, const E *v, E *out,
                               float *log_sums) {
    __shared__ Shared shared;
    Work work = works[blockIdx.x / shape.heads];
    Span span = spans[work.span];
    u32 head = blockIdx.x % shape.heads, d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    u64 stride = (u64)shape.heads * d, kv_stride = (u64)shape.kv_heads * d;
    u32 from_column = blockIdx.y * 128, columns = d - from_column < 128 ? d - from_column : 128;
    u32 count = span.queries - work.from < 64 ? span.queries - work.from : 64;
    u32 row = span.query + work.from, first = first_position(span) + work.from, end = first + count;
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    q += head * d, k += kv_head * d, v += kv_head * d, out += head * d;
    float sums[4][8] = {}, maxima[4], totals[4];
    for (u32 i = 0; i < 4; i++) maxima[i] = -INFINITY, totals[i] = 0.0f;
    for (u32 at = oldest<64>(first, shape.reach); at < end; at += 64) {
        Rows keys = keys_of(span, at, end - at < 64 ? end - at : 64);
        float scores[4][4];
        multiply(shared, scores, shape.factor, q, stride, together(row, count), k, kv_stride, keys, d);
        for (u32 i = 0; i < 4; i++) {
            u32 query = first + y + 16 * i;
            float largest = maxima[i];
            for (u32 j = 0; j < 4; j++) {
                u32 key = at + x + 16 * j;
                if (!(key < end && sees(query, key, shape.reach))) scores[i][j] = -INFINITY;
                largest = fmaxf(largest, scores[i][j]);
            }
            largest = largest_of_lanes(largest);
            float base = largest == -INFINITY ? 0.0f : largest, sum = 0.0f;
            for (u32 j = 0; j < 4; j++) {
                float power = exp2f(scores[i][j] - base);
                shared.block[y + 16 * i][x + 16 * j] = power;
                sum += power;
            }
            float alpha = exp2f(maxima[i] - base);
            maxima[i] = largest;
            totals[i] = fmaf(totals[i], alpha, sum_lanes(sum));
            for (u32 j = 0; j < 8; j++) sums[i][j] *= alpha;
        }
        gather(shared, sums, v + from_column, kv_stride, keys, columns);
    }
    for (u32 i = 0; i < 4; i++) {
        for (u32 j = 0; j < 8; j++) sums[i][j] *= 1.0f / totals[i];
        u32 place = y + 16 * i;
        if (x == 0 && blockIdx.y == 0 && place < count)
            log_sums[(u64)(row + place) * shape.heads + head] = maxima[i] + log2f(totals[i]);
    }
    store(sums, 1.0f, out + from_column, stride, row, count, columns);
}

// What the backward pass needs of each query and head: the logarithm of its sum, and out times its gradient. Heads follow one another, so
// that neighbouring queries are neighbours. A warp each.
template <class E>
__device__ inline void statistics(u32 rows, u32 heads, u32 d, const E *out, const E *d_out, const float *log_sums, float *to) {
    u64 at = (u64)blockIdx.x * 8 + threadIdx.x / 32;
    bool inside = at < (u64)rows * heads;
    u32 lane = threadIdx.x % 32;
    float sum = 0.0f;
    for (u32 i = lane; inside && i < d; i += 32) sum = fmaf(value(out[at * d + i]), value(d_out[at * d + i]), sum);
    for (u32 lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
    if (inside && lane == 0) {
        u64 place = at % heads * rows + at / heads;
        to[place] = log_sums[at];
        to[(u64)rows * heads + place] = sum;
    }
}

// The gradient of queries. `facts` are the statistics.
template <class E>
__device__ inline void queries(Shape shape, const Span *spans, const Work *works, u32 rows, const E *q, const E *k, const E *v,
                               const E *d_out, const float *facts, E *d_q) {
    __shared__ Shared shared;
    Work work = works[blockIdx.x / shape.heads];
    Span span = spans[work.span];
    u32 head = blockIdx.x % shape.heads, d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    u64 stride = (u64)shape.heads * d, kv_stride = (u64)shape.kv_heads * d;
    u32 from_column = blockIdx.y * 128, columns = d - from_column < 128 ? d - from_column : 128;
    u32 count = span.queries - work.from < 64 ? span.queries - work.from : 64;
    u32 row = span.query + work.from, first = first_position(span) + work.from, end = first + count;
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    q += head * d, d_out += head * d, k += kv_head * d, v += kv_head * d, d_q += head * d;
    const float *logs = facts + (u64)head * rows, *dots = logs + (u64)shape.heads * rows;
    float sums[4][8] = {};
    for (u32 at = oldest<64>(first, shape.reach); at < end; at += 64) {
        Rows keys = keys_of(span, at, end - at < 64 ? end - at : 64);
        float scores[4][4], slopes[4][4];
        multiply(shared, scores, shape.factor, q, stride, together(row, count), k, kv_stride, keys, d);
        multiply(shared, slopes, 1.0f, d_out, stride, together(row, count), v, kv_stride, keys, d);
        for (u32 i = 0; i < 4; i++) {
            u32 place = y + 16 * i;
            for (u32 j = 0; j < 4; j++) {
                u32 key = at + x + 16 * j;
                bool seen = place < count && key < end && sees(first + place, key, shape.reach);
                float slope = seen ? exp2f(scores[i][j] - logs[row + place]) * (slopes[i][j] - dots[row + place]) : 0.0f;
                shared.block[place][x + 16 * j] = slope;
            }
        }
        gather(shared, sums, k + from_column, kv_stride, keys, columns);
    }
    store(sums, shape.scale, d_q + from_column, stride, row, count, columns);
}

// The gradients of keys and values: all that see a tile, in the order of the spans, the heads and the queries.
template <class E>
__device__ inline void keys(Shape shape, const Span *spans, const Tile *tiles, const Visit *visits, u32 rows, const E *q, const E *k,
                            const E *v, const E *d_out, const float *facts, E *d_k, E *d_v, float *parts) {
    __shared__ Shared shared;
    Tile tile = tiles[blockIdx.x / shape.kv_heads];
    u32 kv_head = blockIdx.x % shape.kv_heads, d = shape.head_dim, group = shape.heads / shape.kv_heads;
    u64 stride = (u64)shape.heads * d, kv_stride = (u64)shape.kv_heads * d;
    u32 from_column = blockIdx.y * 128, columns = d - from_column < 128 ? d - from_column : 128;
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    k += kv_head * d, v += kv_head * d, d_k += kv_head * d + from_column, d_v += kv_head * d + from_column;
    Rows own = together(tile.row, tile.rows);
    float key_sums[4][8] = {}, value_sums[4][8] = {};
    for (u32 at = tile.visit; at < tile.visit + tile.visits; at++) {
        Visit visit = visits[at];
        Span span = spans[visit.span];
        Range range = queries_of(span, visit.position, visit.keys, shape.reach);
        for (u32 head = kv_head * group; head < (kv_head + 1) * group; head++) {
            const float *logs = facts + (u64)head * rows, *dots = logs + (u64)shape.heads * rows;
            for (u32 from = range.from; from < range.to; from += 64) {
                u32 count = range.to - from < 64 ? range.to - from : 64, row = span.query + from;
                u32 first = first_position(span) + from;
                float scores[4][4], slopes[4][4];
                multiply(shared, scores, shape.factor, k, kv_stride, own, q + head * d, stride, together(row, count), d);
                multiply(shared, slopes, 1.0f, v, kv_stride, own, d_out + head * d, stride, together(row, count), d);
                for (u32 j = 0; j < 4; j++) {
                    u32 place = x + 16 * j;
                    for (u32 i = 0; i < 4; i++) {
                        u32 key = y + 16 * i;
                        bool seen = place < count && key < visit.keys && sees(first + place, visit.position + key, shape.reach);
                        float power = seen ? exp2f(scores[i][j] - logs[row + place]) : 0.0f;
                        shared.block[key][place] = power;
                        slopes[i][j] = seen ? power * (slopes[i][j] - dots[row + place]) : 0.0f;
                    }
                }
                gather(shared, value_sums, d_out + head * d + from_column, stride, together(row, count), columns);
                __syncthreads();
                for (u32 i = 0; i < 4; i++)
                    for (u32 j = 0; j < 4; j++) shared.block[y + 16 * i][x + 16 * j] = slopes[i][j];
                gather(shared, key_sums, q + head * d + from_column, stride, together(row, count), columns);
            }
        }
    }
    if (tile.part == WHOLE) {
        store(key_sums, shape.scale, d_k, kv_stride, tile.row, tile.rows, columns);
        store(value_sums, 1.0f, d_v, kv_stride, tile.row, tile.rows, columns);
    } else {
        parts += ((u64)tile.part * shape.kv_heads + kv_head) * 2 * 64 * d + from_column;
        store(key_sums, shape.scale, parts, d, 0, tile.rows, columns);
        store(value_sums, 1.0f, parts + 64 * d, d, 0, tile.rows, columns);
    }
}

// The sums of parts, in their order. `parts` has 64 rows of keys, then of values, for each part and head.
template <class E>
__device__ inline void sum(const Summed *summed, u32 kv_heads, u32 d, const float *parts, E *d_k, E *d_v) {
    Summed tile = summed[blockIdx.x / kv_heads];
    u32 kv_head = blockIdx.x % kv_heads, size = 64 * d;
    u64 stride = (u64)kv_heads * 2 * size;
    const float *from = parts + tile.part * stride + (u64)kv_head * 2 * size;
    for (u32 at = threadIdx.x; at < tile.rows * d; at += 256) {
        float key = 0.0f, value = 0.0f;
        for (u32 part = 0; part < tile.parts; part++) {
            key += from[part * stride + at];
            value += from[part * stride + size + at];
        }
        u64 to = ((u64)(tile.row + at / d) * kv_heads + kv_head) * d + at % d;
        d_k[to] = element<E>(key);
        d_v[to] = element<E>(value);
    }
}

// --- On tensor cores: bf16, head_dim a multiple of 8 up to D, zeros behind it. Four warps have 16 rows each of a block of 64. Probabilities and
// their gradients are rounded to bf16 for the products that they go in; all sums are f32.

// A tile of ROWS rows by D columns in shared memory, zeros where there is nothing.
template <u32 D, u32 ROWS>
__device__ inline void bring(Bf16 *tile, const Bf16 *data, u64 stride, Rows rows, u32 d) {
#pragma unroll
    for (u32 each = 0; each < ROWS * D / 8 / 128; each++) {
        u32 at = threadIdx.x + each * 128, row = at / (D / 8), eight = at % (D / 8);
        bool inside = row < rows.count && eight * 8 < d;
        copy_async_16(tile + tile_place<D>(row, eight), data + (inside ? rows[row] * stride + eight * 8 : 0), inside);
    }
}

// sums (16, 8 N) = left (16, D) right (8 N, D)^T.
template <u32 D, u32 N>
__device__ inline void multiply(float (&sums)[N][4], const u32 (&left)[D / 16][4], const Bf16 *right) {
#pragma unroll
    for (u32 j = 0; j < N; j++)
#pragma unroll
        for (u32 e = 0; e < 4; e++) sums[j][e] = 0.0f;
#pragma unroll
    for (u32 step = 0; step < D / 16; step++) {
#pragma unroll
        for (u32 j = 0; j < N; j += 2) {
            u32 columns[2][2];
            right_side<D>(columns, right, j * 8, step);
            mma_bf16(sums[j], left[step], columns[0]);
            mma_bf16(sums[j + 1], left[step], columns[1]);
        }
    }
}

// The same with the left side in shared memory: 16 rows from `row`.
template <u32 D, u32 N>
__device__ inline void multiply(float (&sums)[N][4], const Bf16 *left, u32 row, const Bf16 *right) {
#pragma unroll
    for (u32 j = 0; j < N; j++)
#pragma unroll
        for (u32 e = 0; e < 4; e++) sums[j][e] = 0.0f;
#pragma unroll
    for (u32 step = 0; step < D / 16; step++) {
        u32 rows[4];
        left_side<D>(rows, left, row, step);
#pragma unroll
        for (u32 j = 0; j < N; j += 2) {
            u32 columns[2][2];
            right_side<D>(columns, right, j * 8, step);
            mma_bf16(sums[j], rows, columns[0]);
            mma_bf16(sums[j + 1], rows, columns[1]);
        }
    }
}

// sums (16, D) += weights (16, 8 N), rounded, times data (8 N, D).
template <u32 D, u32 N>
__device__ inline void gather(float (&sums)[D / 8][4], const float (&weights)[N][4], const Bf16 *data) {
#pragma unroll
    for (u32 step = 0; step < N / 2; step++) {
        const float(&l)[4] = weights[2 * step], (&r)[4] = weights[2 * step + 1];
        u32 rows[4] = {pack_bf16(l[0], l[1]), pack_bf16(l[2], l[3]), pack_bf16(r[0], r[1]), pack_bf16(r[2], r[3])};
#pragma unroll
        for (u32 j = 0; j < D / 16; j++) {
            u32 columns[2][2];
            right_side_transposed<D>(columns, data, step * 16, j);
            mma_bf16(sums[2 * j], rows, columns[0]);
            mma_bf16(sums[2 * j + 1], rows, columns[1]);
        }
    }
}

__device__ inline void store_two(float *to, float x, float y) {
    *(matmul::Two *)to = matmul::Two{{x, y}};
}
__device__ inline void store_two(Bf16 *to, float x, float y) {
    *(u32 *)to = pack_bf16(x, y);
}

// The warp's 16 of `rows` rows, times a factor each for the upper and the lower eight.
template <u32 D, class E>
__device__ inline void store(const float (&sums)[D / 8][4], float upper, float lower, E *data, u64 stride, u32 row, u32 rows, u32 d) {
    u32 lane = threadIdx.x % 32, place = threadIdx.x / 32 * 16 + lane / 4;
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        float factor = half ? lower : upper;
        u32 at = place + half * 8;
        if (at >= rows) continue;
        E *to = data + (row + at) * stride + lane % 4 * 2;
#pragma unroll
        for (u32 j = 0; j < D / 8; j++)
            if (j * 8 < d) store_two(to + j * 8, sums[j][2 * half] * factor, sums[j][2 * half + 1] * factor);
    }
}

// The largest and the sum of four lanes, which have a row.
__device__ inline float largest_of_quad(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ inline float sum_of_quad(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

template <u32 D>
__device__ inline void tensor_forward(Shape shape, const Span *spans, const Work *works, const Bf16 *q, const Bf16 *k, const Bf16 *v,
                                      Bf16 *out, float *log_sums) {
    alignas(16) __shared__ Bf16 keys[64 * D];
    alignas(16) __shared__ Bf16 values[64 * D];
    Work work = works[blockIdx.x / shape.heads];
    Span span = spans[work.span];
    u32 head = blockIdx.x % shape.heads, d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    u64 stride = (u64)shape.heads * d, kv_stride = (u64)shape.kv_heads * d;
    u32 count = span.queries - work.from < 64 ? span.queries - work.from : 64;
    u32 row = span.query + work.from, first = first_position(span) + work.from, end = first + count;
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    q += head * d, k += kv_head * d, v += kv_head * d, out += head * d;

    u32 left[D / 16][4];
    bring<D, 64>(values, q, stride, together(row, count), d);
    commit();
    u32 begin = oldest<64>(first, shape.reach);
    bring<D, 64>(keys, k, kv_stride, keys_of(span, begin, end - begin < 64 ? end - begin : 64), d);
    commit();
    wait_group<1>();
    __syncthreads();
#pragma unroll
    for (u32 step = 0; step < D / 16; step++) left_side<D>(left[step], values, warp * 16, step);

    float sums[D / 8][4], maxima[2] = {-INFINITY, -INFINITY}, totals[2] = {0.0f, 0.0f};
#pragma unroll
    for (u32 j = 0; j < D / 8; j++)
#pragma unroll
        for (u32 e = 0; e < 4; e++) sums[j][e] = 0.0f;
    u32 query = first + warp * 16 + lane / 4;
    for (u32 at = begin; at < end; at += 64) {
        // The keys are here, and all are done with the values before (or the queries).
        wait_group<0>();
        __syncthreads();
        bring<D, 64>(values, v, kv_stride, keys_of(span, at, end - at < 64 ? end - at : 64), d);
        commit();
        float scores[8][4];
        multiply<D, 8>(scores, left, keys);
        __syncthreads();
        if (at + 64 < end) bring<D, 64>(keys, k, kv_stride, keys_of(span, at + 64, end - at - 64 < 64 ? end - at - 64 : 64), d);
        commit();
        // Most blocks are seen by all of their queries.
        if (at + 63 > first || first + 63 - at >= shape.reach) {
#pragma unroll
            for (u32 j = 0; j < 8; j++)
#pragma unroll
                for (u32 e = 0; e < 4; e++) {
                    u32 key = at + j * 8 + lane % 4 * 2 + e % 2;
                    if (!(key < end && sees(query + e / 2 * 8, key, shape.reach))) scores[j][e] = -INFINITY;
                }
        }
        float base[2], alpha[2];
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            float largest = -INFINITY;
#pragma unroll
            for (u32 j = 0; j < 8; j++) largest = fmaxf(largest, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
            largest = fmaxf(maxima[half], largest_of_quad(largest) * shape.factor);
            base[half] = largest == -INFINITY ? 0.0f : largest;
            alpha[half] = power_of_two(maxima[half] - base[half]);
            maxima[half] = largest;
            totals[half] *= alpha[half];
        }
#pragma unroll
        for (u32 j = 0; j < 8; j++)
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                scores[j][e] = power_of_two(fmaf(scores[j][e], shape.factor, -base[e / 2]));
                totals[e / 2] += scores[j][e];
            }
#pragma unroll
        for (u32 j = 0; j < D / 8; j++)
#pragma unroll
            for (u32 e = 0; e < 4; e++) sums[j][e] *= alpha[e / 2];
        // The values are here.
        wait_group<1>();
        __syncthreads();
        gather<D, 8>(sums, scores, values);
    }
    float inverse[2];
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        float total = sum_of_quad(totals[half]);
        u32 place = warp * 16 + lane / 4 + half * 8;
        inverse[half] = 1.0f / total;
        if (lane % 4 == 0 && place < count) log_sums[(u64)(row + place) * shape.heads + head] = maxima[half] + log2f(total);
    }
    store<D>(sums, inverse[0], inverse[1], out, stride, row, count, d);
}

template <u32 D>
__device__ inline void tensor_queries(Shape shape, const Span *spans, const Work *works, u32 rows, const Bf16 *q, const Bf16 *k,
                                      const Bf16 *v, const Bf16 *d_out, const float *facts, Bf16 *d_q) {
    // Keys and values, of this step and of the next.
    alignas(16) __shared__ Bf16 tiles[2][64 * D];
    Work work = works[blockIdx.x / shape.heads];
    Span span = spans[work.span];
    u32 head = blockIdx.x % shape.heads, d = shape.head_dim, kv_head = head / (shape.heads / shape.kv_heads);
    u64 stride = (u64)shape.heads * d, kv_stride = (u64)shape.kv_heads * d;
    u32 count = span.queries - work.from < 64 ? span.queries - work.from : 64;
    u32 row = span.query + work.from, first = first_position(span) + work.from, end = first + count;
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    q += head * d, d_out += head * d, k += kv_head * d, v += kv_head * d, d_q += head * d;

    u32 left[D / 16][4], d_left[D / 16][4];
    bring<D, 64>(tiles[0], q, stride, together(row, count), d);
    bring<D, 64>(tiles[1], d_out, stride, together(row, count), d);
    commit();
    wait_group<0>();
    __syncthreads();
#pragma unroll
    for (u32 step = 0; step < D / 16; step++) {
        left_side<D>(left[step], tiles[0], warp * 16, step);
        left_side<D>(d_left[step], tiles[1], warp * 16, step);
    }
    __syncthreads();
    float logs[2], dots[2], sums[D / 8][4];
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        u32 place = warp * 16 + lane / 4 + half * 8;
        u64 at = (u64)head * rows + row + place;
        logs[half] = place < count ? facts[at] : 0.0f;
        dots[half] = place < count ? facts[(u64)shape.heads * rows + at] : 0.0f;
    }
#pragma unroll
    for (u32 j = 0; j < D / 8; j++)
#pragma unroll
        for (u32 e = 0; e < 4; e++) sums[j][e] = 0.0f;
    auto step = [&](u32 at, u32 stage) {
        Rows keys = keys_of(span, at, end - at < 32 ? end - at : 32);
        bring<D, 32>(tiles[stage], k, kv_stride, keys, d);
        bring<D, 32>(tiles[stage] + 32 * D, v, kv_stride, keys, d);
    };
    u32 begin = oldest<32>(first, shape.reach), query = first + warp * 16 + lane / 4, stage = 0;
    step(begin, 0);
    commit();
    for (u32 at = begin; at < end; at += 32, stage ^= 1) {
        // Keys and values are here, and all are done with those before, whose place the next take.
        wait_group<0>();
        __syncthreads();
        if (at + 32 < end) step(at + 32, stage ^ 1);
        commit();
        float scores[4][4], slopes[4][4];
        multiply<D, 4>(scores, left, tiles[stage]);
        multiply<D, 4>(slopes, d_left, tiles[stage] + 32 * D);
        bool whole = at + 31 <= first && first + 63 - at < shape.reach;
#pragma unroll
        for (u32 j = 0; j < 4; j++)
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                u32 key = at + j * 8 + lane % 4 * 2 + e % 2;
                float power = power_of_two(fmaf(scores[j][e], shape.factor, -logs[e / 2]));
                bool seen = whole || (key < end && sees(query + e / 2 * 8, key, shape.reach));
                scores[j][e] = seen ? power * (slopes[j][e] - dots[e / 2]) : 0.0f;
            }
        gather<D, 4>(sums, scores, tiles[stage]);
    }
    store<D>(sums, shape.scale, shape.scale, d_q, stride, row, count, d);
}

template <u32 D>
__device__ inline void tensor_keys(Shape shape, const Span *spans, const Tile *tiles, const Visit *visits, u32 rows, const Bf16 *q,
                                   const Bf16 *k, const Bf16 *v, const Bf16 *d_out, const float *facts, Bf16 *d_k, Bf16 *d_v,
                                   float *parts) {
    alignas(16) __shared__ Bf16 keys[64 * D];
    alignas(16) __shared__ Bf16 values[64 * D];
    alignas(16) __shared__ Bf16 queries[32 * D];
    alignas(16) __shared__ Bf16 d_outs[32 * D];
    Tile tile = tiles[blockIdx.x / shape.kv_heads];
    u32 kv_head = blockIdx.x % shape.kv_heads, d = shape.head_dim, group = shape.heads / shape.kv_heads;
    u64 stride = (u64)shape.heads * d, kv_stride = (u64)shape.kv_heads * d;
    u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    k += kv_head * d, v += kv_head * d, d_k += kv_head * d, d_v += kv_head * d;
    bring<D, 64>(keys, k, kv_stride, together(tile.row, tile.rows), d);
    bring<D, 64>(values, v, kv_stride, together(tile.row, tile.rows), d);
    commit();
    float key_sums[D / 8][4], value_sums[D / 8][4];
#pragma unroll
    for (u32 j = 0; j < D / 8; j++)
#pragma unroll
        for (u32 e = 0; e < 4; e++) key_sums[j][e] = value_sums[j][e] = 0.0f;
    for (u32 at = tile.visit; at < tile.visit + tile.visits; at++) {
        Visit visit = visits[at];
        Span span = spans[visit.span];
        Range range = queries_of(span, visit.position, visit.keys, shape.reach);
        u32 key = warp * 16 + lane / 4;
        for (u32 head = kv_head * group; head < (kv_head + 1) * group; head++) {
            const float *logs = facts + (u64)head * rows, *dots = logs + (u64)shape.heads * rows;
            for (u32 from = range.from; from < range.to; from += 32) {
                u32 count = range.to - from < 32 ? range.to - from : 32, row = span.query + from;
                u32 first = first_position(span) + from;
                // All are done with the queries before.
                __syncthreads();
                bring<D, 32>(queries, q + head * d, stride, together(row, count), d);
                bring<D, 32>(d_outs, d_out + head * d, stride, together(row, count), d);
                commit();
                wait_group<0>();
                __syncthreads();
                float scores[4][4], slopes[4][4];
                multiply<D, 4>(scores, keys, warp * 16, queries);
                multiply<D, 4>(slopes, values, warp * 16, d_outs);
                bool whole = count == 32 && visit.keys == 64 && visit.position + 63 <= first &&
                             first + 31 - visit.position < shape.reach;
#pragma unroll
                for (u32 j = 0; j < 4; j++)
#pragma unroll
                    for (u32 e = 0; e < 2; e++) {
                        u32 place = j * 8 + lane % 4 * 2 + e;
                        float log = place < count ? logs[row + place] : 0.0f, dot = place < count ? dots[row + place] : 0.0f;
#pragma unroll
                        for (u32 half = 0; half < 2; half++) {
                            u32 own = key + half * 8;
                            bool seen = whole || (place < count && own < visit.keys &&
                                                  sees(first + place, visit.position + own, shape.reach));
                            float &score = scores[j][half * 2 + e], &slope = slopes[j][half * 2 + e];
                            float power = power_of_two(fmaf(score, shape.factor, -log));
                            score = seen ? power : 0.0f;
                            slope = seen ? power * (slope - dot) : 0.0f;
                        }
                    }
                gather<D, 4>(value_sums, scores, d_outs);
                gather<D, 4>(key_sums, slopes, queries);
            }
        }
    }
    wait_group<0>();
    if (tile.part == WHOLE) {
        store<D>(key_sums, shape.scale, shape.scale, d_k, kv_stride, tile.row, tile.rows, d);
        store<D>(value_sums, 1.0f, 1.0f, d_v, kv_stride, tile.row, tile.rows, d);
    } else {
        parts += ((u64)tile.part * shape.kv_heads + kv_head) * 2 * 64 * d;
        store<D>(key_sums, shape.scale, shape.scale, parts, d, 0, tile.rows, d);
        store<D>(value_sums, 1.0f, 1.0f, parts + 64 * d, d, 0, tile.rows, d);
    }
}

}  // namespace attention

extern "C" __global__ void attention_forward_f32(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                 const float *q, const float *k, const float *v, float *out, float *log_sums) {
    attention::forward(shape, spans, works, q, k, v, out, log_sums);
}
extern "C" __global__ void attention_forward_bf16(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                  const Bf16 *q, const Bf16 *k, const Bf16 *v, Bf16 *out, float *log_sums) {
    attention::forward(shape, spans, works, q, k, v, out, log_sums);
}
extern "C" __global__ void attention_statistics_f32(u32 rows, u32 heads, u32 head_dim, const float *out, const float *d_out,
                                                    const float *log_sums, float *to) {
    attention::statistics(rows, heads, head_dim, out, d_out, log_sums, to);
}
extern "C" __global__ void attention_statistics_bf16(u32 rows, u32 heads, u32 head_dim, const Bf16 *out, const Bf16 *d_out,
                                                     const float *log_sums, float *to) {
    attention::statistics(rows, heads, head_dim, out, d_out, log_sums, to);
}
extern "C" __global__ void attention_queries_f32(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                 u32 rows, const float *q, const float *k, const float *v, const float *d_out,
                                                 const float *facts, float *d_q) {
    attention::queries(shape, spans, works, rows, q, k, v, d_out, facts, d_q);
}
extern "C" __global__ void attention_queries_bf16(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                  u32 rows, const Bf16 *q, const Bf16 *k, const Bf16 *v, const Bf16 *d_out,
                                                  const float *facts, Bf16 *d_q) {
    attention::queries(shape, spans, works, rows, q, k, v, d_out, facts, d_q);
}
extern "C" __global__ void attention_keys_f32(attention::Shape shape, const attention::Span *spans, const attention::Tile *tiles,
                                              const attention::Visit *visits, u32 rows, const float *q, const float *k, const float *v,
                                              const float *d_out, const float *facts, float *d_k, float *d_v, float *parts) {
    attention::keys(shape, spans, tiles, visits, rows, q, k, v, d_out, facts, d_k, d_v, parts);
}
extern "C" __global__ void attention_keys_bf16(attention::Shape shape, const attention::Span *spans, const attention::Tile *tiles,
                                               const attention::Visit *visits, u32 rows, const Bf16 *q, const Bf16 *k, const Bf16 *v,
                                               const Bf16 *d_out, const float *facts, Bf16 *d_k, Bf16 *d_v, float *parts) {
    attention::keys(shape, spans, tiles, visits, rows, q, k, v, d_out, facts, d_k, d_v, parts);
}
extern "C" __global__ void attention_sum_f32(const attention::Summed *summed, u32 kv_heads, u32 head_dim, const float *parts, float *d_k,
                                             float *d_v) {
    attention::sum(summed, kv_heads, head_dim, parts, d_k, d_v);
}
extern "C" __global__ void attention_sum_bf16(const attention::Summed *summed, u32 kv_heads, u32 head_dim, const float *parts, Bf16 *d_k,
                                              Bf16 *d_v) {
    attention::sum(summed, kv_heads, head_dim, parts, d_k, d_v);
}

// On tensor cores: head_dim up to 64, and up to 128.
extern "C" __global__ void attention_forward_64(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                 const Bf16 *q, const Bf16 *k, const Bf16 *v, Bf16 *out, float *log_sums) {
    attention::tensor_forward<64>(shape, spans, works, q, k, v, out, log_sums);
}
extern "C" __global__ void attention_queries_64(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                 u32 rows, const Bf16 *q, const Bf16 *k, const Bf16 *v, const Bf16 *d_out,
                                                 const float *facts, Bf16 *d_q) {
    attention::tensor_queries<64>(shape, spans, works, rows, q, k, v, d_out, facts, d_q);
}
extern "C" __global__ void attention_keys_64(attention::Shape shape, const attention::Span *spans, const attention::Tile *tiles,
                                              const attention::Visit *visits, u32 rows, const Bf16 *q, const Bf16 *k, const Bf16 *v,
                                              const Bf16 *d_out, const float *facts, Bf16 *d_k, Bf16 *d_v, float *parts) {
    attention::tensor_keys<64>(shape, spans, tiles, visits, rows, q, k, v, d_out, facts, d_k, d_v, parts);
}
extern "C" __global__ void attention_forward_128(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                 const Bf16 *q, const Bf16 *k, const Bf16 *v, Bf16 *out, float *log_sums) {
    attention::tensor_forward<128>(shape, spans, works, q, k, v, out, log_sums);
}
extern "C" __global__ void attention_queries_128(attention::Shape shape, const attention::Span *spans, const attention::Work *works,
                                                 u32 rows, const Bf16 *q, const Bf16 *k, const Bf16 *v, const Bf16 *d_out,
                                                 const float *facts, Bf16 *d_q) {
    attention::tensor_queries<128>(shape, spans, works, rows, q, k, v, d_out, facts, d_q);
}
extern "C" __global__ void attention_keys_128(attention::Shape shape, const attention::Span *spans, const attention::Tile *tiles,
                                              const attention::Visit *visits, u32 rows, const Bf16 *q, const Bf16 *k, const Bf16 *v,
                                              const Bf16 *d_out, const float *facts, Bf16 *d_k, Bf16 *d_v, float *parts) {
    attention::tensor_keys<128>(shape, spans, tiles, visits, rows, q, k, v, d_out, facts, d_k, d_v, parts);
}
