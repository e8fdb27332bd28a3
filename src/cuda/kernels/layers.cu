// Layers of a decoder: norms, rotations, SwiGLU, rows, the softmax cross-entropy of logits. Activations are f32 or bf16, all arithmetic is
// f32. A thread has N neighbours at a time, sixteen bytes of the narrower type, where rows and arrays are aligned.

// Rows up to this length go to a part of a warp each, longer ones to a block each.
#define RMS_NARROW 512u
// Elements of a row that a block keeps.
#define RMS_KEPT 8192u

// 64 / N threads have a row of at most RMS_NARROW: the four chains of sixteen lanes in which the CPU sums the squares
// (src/nn/rms_norm.rs), N neighbours of these 64 a thread.
template <class X, class Y, u32 N>
__device__ inline void rms_norm_narrow(const X *x, const float *w, float eps, u32 m, u32 d, Y *y, float *inverse) {
    const u32 THREADS = 64 / N;
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u32 row = (u32)(thread / THREADS), lane = (u32)(thread % THREADS);
    bool live = row < m, wide = d % N == 0 && aligned<N>(x) && aligned<N>(y) && aligned<N>(w);
    x += (u64)row * d, y += (u64)row * d;
    u32 whole = live ? d / 64 * 64 : 0;
    float sums[N], v[N];
#pragma unroll
    for (u32 i = 0; i < N; i++) sums[i] = 0.0f;
    for (u32 at = lane * N; at < whole; at += 64) {
        load<N>(x + at, N, wide, v);
#pragma unroll
        for (u32 i = 0; i < N; i++) sums[i] = fmaf(v[i], v[i], sums[i]);
    }
    // What is left goes down the sixteen lanes of the first chain.
    for (u32 from = whole; live && lane < 16 / N && from < d; from += 16) {
#pragma unroll
        for (u32 i = 0; i < N; i++) {
            u32 at = from + lane * N + i;
            if (at < d) sums[i] = fmaf(value(x[at]), value(x[at]), sums[i]);
        }
    }
#pragma unroll
    for (u32 i = 0; i < N; i++) {
        sums[i] = sums[i] + __shfl_xor_sync(0xffffffffu, sums[i], 16 / N);
        sums[i] = sums[i] + __shfl_xor_sync(0xffffffffu, sums[i], 32 / N);
        sums[i] = sums[i] + __shfl_xor_sync(0xffffffffu, sums[i], 8 / N);
        if (N == 4) sums[i] = sums[i] + __shfl_xor_sync(0xffffffffu, sums[i], 1);
    }
#pragma unroll
    for (u32 width = N / 2; width > 0; width /= 2)
#pragma unroll
        for (u32 i = 0; i < width; i++) sums[i] = sums[i] + sums[i + width];
    float scale = 1.0f / sqrtf(sums[0] * (1.0f / (float)d) + eps);
    if (!live) return;
    if (lane == 0) inverse[row] = scale;
    for (u32 at = lane * N; at < d; at += 64) {
        float by[N];
        load<N>(x + at, d - at, wide, v);
        load<N>(w + at, d - at, wide, by);
#pragma unroll
        for (u32 i = 0; i < N; i++) v[i] = by[i] * (v[i] * scale);
        store<N>(y + at, d - at, wide, v);
    }
}

// A block has a row, and keeps what fits: 64 threads have the chains.
template <class X, class Y, u32 N>
__device__ inline void rms_norm_wide(const X *x, const float *w, float eps, u32 d, Y *y, float *inverse) {
    alignas(16) __shared__ float kept[RMS_KEPT];
    __shared__ float parts[32];
    __shared__ float found;
    u32 row = blockIdx.x, thread = threadIdx.x;
    bool wide = d % N == 0 && aligned<N>(x) && aligned<N>(y) && aligned<N>(w);
    x += (u64)row * d, y += (u64)row * d;
    float v[N], by[N];
    for (u32 at = thread * N; at < d && at < RMS_KEPT; at += 256 * N) {
        load<N>(x + at, d - at, wide, v);
        store<N>(kept + at, N, true, v);
    }
    __syncthreads();
    float sum = 0.0f;
    if (thread < 64) {
        u32 whole = d / 64 * 64, near = whole < RMS_KEPT ? whole : RMS_KEPT;
#pragma unroll 8
        for (u32 at = thread; at < near; at += 64) sum = fmaf(kept[at], kept[at], sum);
#pragma unroll 1
        for (u32 at = near + thread; at < whole; at += 64) {
            float one = value(x[at]);
            sum = fmaf(one, one, sum);
        }
        if (thread < 16)
            for (u32 at = whole + thread; at < d; at += 16) {
                float one = at < RMS_KEPT ? kept[at] : value(x[at]);
                sum = fmaf(one, one, sum);
            }
        sum = sum + __shfl_xor_sync(0xffffffffu, sum, 16);
        if (thread >= 32) parts[thread - 32] = sum;
    }
    __syncthreads();
    if (thread < 32) {
        sum = sum_lanes(sum + parts[thread]);
        if (thread == 0) {
            found = 1.0f / sqrtf(sum * (1.0f / (float)d) + eps);
            inverse[row] = found;
        }
    }
    __syncthreads();
    float scale = found;
    for (u32 at = thread * N; at < d; at += 256 * N) {
        if (at < RMS_KEPT) {
            load<N>(kept + at, N, true, v);
        } else {
            load<N>(x + at, d - at, wide, v);
        }
        load<N>(w + at, d - at, wide, by);
#pragma unroll
        for (u32 i = 0; i < N; i++) v[i] = by[i] * (v[i] * scale);
        store<N>(y + at, d - at, wide, v);
    }
}

template <class X, class Y, u32 N>
__device__ inline void rms_norm(const X *x, const float *w, float eps, u32 m, u32 d, Y *y, float *inverse) {
    if (d <= RMS_NARROW) {
        rms_norm_narrow<X, Y, N>(x, w, eps, m, d, y, inverse);
    } else {
        rms_norm_wide<X, Y, N>(x, w, eps, d, y, inverse);
    }
}

// inverse = 1 / sqrt(mean x^2 + eps), y = w * (x * inverse). Up to RMS_NARROW columns 16 threads a row (8 for bf16), else a block.
// Shapes: x, y (m, d); w (d); inverse (m).
extern "C" __global__ void rms_norm_f32_f32(const float *x, const float *w, float eps, u32 m, u32 d, float *y, float *inverse) {
    rms_norm<float, float, 4>(x, w, eps, m, d, y, inverse);
}
extern "C" __global__ void rms_norm_f32_bf16(const float *x, const float *w, float eps, u32 m, u32 d, Bf16 *y, float *inverse) {
    rms_norm<float, Bf16, 8>(x, w, eps, m, d, y, inverse);
}
extern "C" __global__ void rms_norm_bf16_f32(const Bf16 *x, const float *w, float eps, u32 m, u32 d, float *y, float *inverse) {
    rms_norm<Bf16, float, 8>(x, w, eps, m, d, y, inverse);
}
extern "C" __global__ void rms_norm_bf16_bf16(const Bf16 *x, const float *w, float eps, u32 m, u32 d, Bf16 *y, float *inverse) {
    rms_norm<Bf16, Bf16, 8>(x, w, eps, m, d, y, inverse);
}

// The sum over all threads of a block of 256; all get it.
__device__ inline float sum_block(float x) {
    __shared__ float parts[8];
    x = sum_lanes(x + __shfl_xor_sync(0xffffffffu, x, 16));
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = ((parts[0] + parts[4]) + (parts[2] + parts[6])) + ((parts[1] + parts[5]) + (parts[3] + parts[7]));
    __syncthreads();
    return x;
}

// dx (+)= r (w dy) - x r^3 mean(w dy x), r the inverse. `threads` have a row: 16, or a block. Sums are not in the CPU's order: a thread has
// neighbours. dx may lie where dy does.
template <class E, bool ADD, u32 N>
__device__ inline void rms_norm_back(const E *x, const float *w, const float *inverse, const E *dy, u32 m, u32 d, E *dx) {
    bool narrow = d <= RMS_NARROW;
    u32 threads = narrow ? 16 : 256;
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u32 row = (u32)(thread / threads), lane = (u32)(thread % threads), end = row < m ? d : 0;
    bool wide = d % N == 0 && aligned<N>(x) && aligned<N>(dy) && aligned<N>(dx) && aligned<N>(w);
    x += (u64)row * d, dy += (u64)row * d, dx += (u64)row * d;
    float a[N], g[N], by[N], sum = 0.0f;
    for (u32 at = lane * N; at < end; at += threads * N) {
        load<N>(x + at, d - at, wide, a);
        load<N>(dy + at, d - at, wide, g);
        load<N>(w + at, d - at, wide, by);
#pragma unroll
        for (u32 i = 0; i < N; i++) sum = fmaf(by[i] * g[i], a[i], sum);
    }
    sum = narrow ? sum_lanes(sum) : sum_block(sum);
    float r = row < m ? inverse[row] : 0.0f;
    float along = sum * (1.0f / (float)d) * r * r * r;
    for (u32 at = lane * N; at < end; at += threads * N) {
        float held[N];
        load<N>(x + at, d - at, wide, a);
        load<N>(dy + at, d - at, wide, g);
        load<N>(w + at, d - at, wide, by);
        if (ADD) load<N>(dx + at, d - at, wide, held);
#pragma unroll
        for (u32 i = 0; i < N; i++) held[i] = fmaf(-a[i], along, fmaf(by[i] * g[i], r, ADD ? held[i] : 0.0f));
        store<N>(dx + at, d - at, wide, held);
    }
}

// Up to RMS_NARROW columns 16 threads a row, else a block. The first adds to dx, the others write it.
// Shapes: x, dy, dx (m, d); w (d); inverse (m).
extern "C" __global__ void rms_norm_add(const float *x, const float *w, const float *inverse, const float *dy, u32 m, u32 d, float *dx) {
    rms_norm_back<float, true, 4>(x, w, inverse, dy, m, d, dx);
}
extern "C" __global__ void rms_norm_back_f32(const float *x, const float *w, const float *inverse, const float *dy, u32 m, u32 d,
                                             float *dx) {
    rms_norm_back<float, false, 4>(x, w, inverse, dy, m, d, dx);
}
extern "C" __global__ void rms_norm_back_bf16(const Bf16 *x, const float *w, const float *inverse, const Bf16 *dy, u32 m, u32 d,
                                              Bf16 *dx) {
    rms_norm_back<Bf16, false, 8>(x, w, inverse, dy, m, d, dx);
}

// The sum over some rows, in order, of dy * (x * inverse): `rows` of them for each part. A thread has a column of a part.
template <class E>
__device__ inline void rms_norm_weight(const E *x, const float *inverse, const E *dy, u32 m, u32 d, u32 rows, u32 parts, float *partial) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x, part = at / d, column = at % d;
    if (part >= parts) return;
    u32 from = part * rows, end = m - from < rows ? m : from + rows;
    float sum = 0.0f;
#pragma unroll 8
    for (u32 row = from; row < end; row++) {
        u64 place = (u64)row * d + column;
        sum = fmaf(value(dy[place]), value(x[place]) * inverse[row], sum);
    }
    partial[at] = sum;
}

// Shapes: x, dy (m, d); inverse (m); partial (parts, d).
extern "C" __global__ void rms_norm_weight_f32(const float *x, const float *inverse, const float *dy, u32 m, u32 d, u32 rows, u32 parts,
                                               float *partial) {
    rms_norm_weight(x, inverse, dy, m, d, rows, parts, partial);
}
extern "C" __global__ void rms_norm_weight_bf16(const Bf16 *x, const float *inverse, const Bf16 *dy, u32 m, u32 d, u32 rows, u32 parts,
                                                float *partial) {
    rms_norm_weight(x, inverse, dy, m, d, rows, parts, partial);
}

// to[i] += the parts, one after the other. Shapes: partial (parts, n), to (n).
extern "C" __global__ void add_splits(const float *partial, u32 parts, u64 n, float *to) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    float sum = to[at];
#pragma unroll 8
    for (u32 part = 0; part < parts; part++) sum = sum + partial[part * n + at];
    to[at] = sum;
}

// The pairs (i, i + half) of every head turn by the angle of the row's position, or back by it: src/nn/rope.rs. A thread has N pairs.
template <class E, u32 N>
__device__ inline void rope(E *x, u32 m, u32 heads, u32 head_dim, const u32 *positions, const float *cos, const float *sin, u32 half,
                            u32 inverse) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x, chunks = (half + N - 1) / N;
    u32 first = at % chunks * N, head = at / chunks, row = head / heads;
    if (row >= m) return;
    bool wide = half % N == 0 && head_dim % N == 0 && aligned<N>(x) && aligned<N>(cos) && aligned<N>(sin);
    u64 table = (u64)positions[row] * half + first;
    u32 left = half - first;
    E *a = x + (u64)head * head_dim + first, *b = a + half;
    float u[N], v[N], c[N], s[N];
    load<N>(a, left, wide, u);
    load<N>(b, left, wide, v);
    load<N>(cos + table, left, wide, c);
    load<N>(sin + table, left, wide, s);
#pragma unroll
    for (u32 i = 0; i < N; i++) {
        float turn = inverse ? 0.0f - s[i] : s[i];
        float to_a = fmaf(-v[i], turn, u[i] * c[i]), to_b = fmaf(u[i], turn, v[i] * c[i]);
        u[i] = to_a, v[i] = to_b;
    }
    store<N>(a, left, wide, u);
    store<N>(b, left, wide, v);
}

// Shapes: x (m, heads * head_dim); positions (m); cos, sin (., half).
extern "C" __global__ void rope_f32(float *x, u32 m, u32 heads, u32 head_dim, const u32 *positions, const float *cos, const float *sin,
                                    u32 half, u32 inverse) {
    rope<float, 4>(x, m, heads, head_dim, positions, cos, sin, half, inverse);
}
extern "C" __global__ void rope_bf16(Bf16 *x, u32 m, u32 heads, u32 head_dim, const u32 *positions, const float *cos, const float *sin,
                                     u32 half, u32 inverse) {
    rope<Bf16, 8>(x, m, heads, head_dim, positions, cos, sin, half, inverse);
}

__device__ inline float sigmoid(float x) {
    return 1.0f / (1.0f + exponential(0.0f - x));
}

// out = silu(gate) * up: src/nn/swiglu.rs.
template <class E, u32 N>
__device__ inline void swiglu(const E *gate, const E *up, u64 n, E *out) {
    u64 at = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (at >= n) return;
    bool wide = aligned<N>(gate) && aligned<N>(up) && aligned<N>(out);
    float g[N], u[N];
    load<N>(gate + at, n - at, wide, g);
    load<N>(up + at, n - at, wide, u);
#pragma unroll
    for (u32 i = 0; i < N; i++) g[i] = g[i] * sigmoid(g[i]) * u[i];
    store<N>(out + at, n - at, wide, g);
}

// d_gate and d_up may lie where anything read does.
template <class E, u32 N>
__device__ inline void swiglu_back(const E *gate, const E *up, const E *d_out, u64 n, E *d_gate, E *d_up) {
    u64 at = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (at >= n) return;
    bool wide = aligned<N>(gate) && aligned<N>(up) && aligned<N>(d_out) && aligned<N>(d_gate) && aligned<N>(d_up);
    float g[N], u[N], d[N];
    load<N>(gate + at, n - at, wide, g);
    load<N>(up + at, n - at, wide, u);
    load<N>(d_out + at, n - at, wide, d);
#pragma unroll
    for (u32 i = 0; i < N; i++) {
        float s = sigmoid(g[i]), silu = g[i] * s, slope = fmaf(silu, 1.0f - s, s);
        g[i] = d[i] * u[i] * slope;
        u[i] = d[i] * silu;
    }
    store<N>(d_gate + at, n - at, wide, g);
    store<N>(d_up + at, n - at, wide, u);
}

// Shapes: all (n).
extern "C" __global__ void swiglu_f32(const float *gate, const float *up, u64 n, float *out) {
    swiglu<float, 4>(gate, up, n, out);
}
extern "C" __global__ void swiglu_bf16(const Bf16 *gate, const Bf16 *up, u64 n, Bf16 *out) {
    swiglu<Bf16, 8>(gate, up, n, out);
}
extern "C" __global__ void swiglu_back_f32(const float *gate, const float *up, const float *d_out, u64 n, float *d_gate, float *d_up) {
    swiglu_back<float, 4>(gate, up, d_out, n, d_gate, d_up);
}
extern "C" __global__ void swiglu_back_bf16(const Bf16 *gate, const Bf16 *up, const Bf16 *d_out, u64 n, Bf16 *d_gate, Bf16 *d_up) {
    swiglu_back<Bf16, 8>(gate, up, d_out, n, d_gate, d_up);
}

// Row and first column of a thread that has N columns of a row of d.
struct Place {
    u32 row, column;
};
template <u32 N>
__device__ inline Place place_of(u32 d) {
    u32 at = blockIdx.x * blockDim.x + threadIdx.x, chunks = (d + N - 1) / N;
    return Place{at / chunks, at % chunks * N};
}

// to[i] = from[rows[i]].
template <class From, class To, u32 N>
__device__ inline void pick_rows(const From *from, const u32 *rows, u32 m, u32 d, To *to) {
    Place place = place_of<N>(d);
    if (place.row >= m) return;
    bool wide = d % N == 0 && aligned<N>(from) && aligned<N>(to);
    float v[N];
    load<N>(from + (u64)rows[place.row] * d + place.column, d - place.column, wide, v);
    store<N>(to + (u64)place.row * d + place.column, d - place.column, wide, v);
}

// Shapes: from (., d), rows (m), to (m, d).
extern "C" __global__ void pick_rows_f32(const float *from, const u32 *rows, u32 m, u32 d, float *to) {
    pick_rows<float, float, 4>(from, rows, m, d, to);
}
extern "C" __global__ void pick_rows_bf16(const Bf16 *from, const u32 *rows, u32 m, u32 d, Bf16 *to) {
    pick_rows<Bf16, Bf16, 8>(from, rows, m, d, to);
}
// The same with rows that are read as numbers: a table of tokens.
extern "C" __global__ void embed_bf16(const Bf16 *from, const u32 *rows, u32 m, u32 d, float *to) {
    pick_rows<Bf16, float, 8>(from, rows, m, d, to);
}

// to[rows[i]] += from[i]; all rows differ. Shapes: from (m, d), rows (m), to (., d).
extern "C" __global__ void add_rows(const float *from, const u32 *rows, u32 m, u32 d, float *to) {
    Place place = place_of<4>(d);
    if (place.row >= m) return;
    bool wide = d % 4 == 0 && aligned<4>(from) && aligned<4>(to);
    float v[4], held[4];
    to += (u64)rows[place.row] * d + place.column;
    load<4>(from + (u64)place.row * d + place.column, d - place.column, wide, v);
    load<4>(to, d - place.column, wide, held);
    for (u32 i = 0; i < 4; i++) held[i] = held[i] + v[i];
    store<4>(to, d - place.column, wide, held);
}

// to[i, j] += from[j]. Shapes: from (d), to (m, d).
extern "C" __global__ void add_to_each(const float *from, u32 m, u32 d, float *to) {
    Place place = place_of<4>(d);
    if (place.row >= m) return;
    bool wide = d % 4 == 0 && aligned<4>(from) && aligned<4>(to);
    float v[4], held[4];
    to += (u64)place.row * d + place.column;
    load<4>(from + place.column, d - place.column, wide, v);
    load<4>(to, d - place.column, wide, held);
    for (u32 i = 0; i < 4; i++) held[i] = held[i] + v[i];
    store<4>(to, d - place.column, wide, held);
}

template <class From, class To, u32 N>
__device__ inline void convert(const From *from, u64 n, To *to) {
    u64 at = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * N;
    if (at >= n) return;
    bool wide = aligned<N>(from) && aligned<N>(to);
    float v[N];
    load<N>(from + at, n - at, wide, v);
    store<N>(to + at, n - at, wide, v);
}

// to = from, to nearest. Shapes: from, to (n).
extern "C" __global__ void narrow(const float *from, u64 n, Bf16 *to) {
    convert<float, Bf16, 8>(from, n, to);
}
// to = from. Shapes: from, to (n).
extern "C" __global__ void widen(const Bf16 *from, u64 n, float *to) {
    convert<Bf16, float, 8>(from, n, to);
}

// Logits of a block of the softmax, and how many groups of four a thread has of them.
#define SOFTMAX_PART 4096u
#define SOFTMAX_GROUPS 4u

// The largest of a block of 256; all get it.
__device__ inline float max_block(float x) {
    __shared__ float parts[8];
    for (u32 lanes = 16; lanes > 0; lanes /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, x, lanes);
        x = other > x ? other : x;
    }
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    for (u32 i = 0; i < 8; i++) x = parts[i] > x ? parts[i] : x;
    __syncthreads();
    return x;
}

// The largest logit of each part of each row, and the sum of e^(logit - it); the logit of the row's label. A block has a part.
// Shapes: logits (m, v), labels (m), maxima, sums (m, parts), labelled (m).
extern "C" __global__ void softmax_parts(const float *logits, const u32 *labels, u32 v, u32 parts, float *maxima, float *sums,
                                         float *labelled) {
    u32 row = blockIdx.x / parts, part = blockIdx.x % parts, from = part * SOFTMAX_PART;
    u32 count = v - from < SOFTMAX_PART ? v - from : SOFTMAX_PART;
    const float *part_of = logits + (u64)row * v + from;
    bool wide = aligned<4>(part_of);
    float x[SOFTMAX_GROUPS][4], maximum = -3.402823466e38f, sum = 0.0f;
#pragma unroll
    for (u32 g = 0; g < SOFTMAX_GROUPS; g++) {
        u32 at = (g * 256 + threadIdx.x) * 4;
        load<4>(part_of + at, at < count ? count - at : 0, wide, x[g]);
#pragma unroll
        for (u32 i = 0; i < 4; i++)
            if (at + i < count) maximum = x[g][i] > maximum ? x[g][i] : maximum;
    }
    maximum = max_block(maximum);
#pragma unroll
    for (u32 g = 0; g < SOFTMAX_GROUPS; g++) {
        u32 at = (g * 256 + threadIdx.x) * 4;
#pragma unroll
        for (u32 i = 0; i < 4; i++)
            if (at + i < count) sum = sum + exponential(x[g][i] - maximum);
    }
    sum = sum_block(sum);
    if (threadIdx.x != 0) return;
    maxima[blockIdx.x] = maximum;
    sums[blockIdx.x] = sum;
    u32 label = labels[row];
    if (label >= from && label < from + count) labelled[row] = part_of[label - from];
    // No class: no loss, and nothing read beside the logits.
    if (label >= v && part == 0) labelled[row] = __int_as_float(0x7fc00000);
}

// logits = share * (softmax - [item = label]), and log(sum exp(logits)) - logit of the label of each row. A block has a part.
// Shapes: as above, losses (m).
extern "C" __global__ void softmax_gradient(float *logits, const u32 *labels, u32 v, u32 parts, float share, const float *maxima,
                                            const float *sums, const float *labelled, double *losses) {
    u32 row = blockIdx.x / parts, part = blockIdx.x % parts, from = part * SOFTMAX_PART;
    u32 count = v - from < SOFTMAX_PART ? v - from : SOFTMAX_PART, lane = threadIdx.x % 32, label = labels[row];
    maxima += (u64)row * parts, sums += (u64)row * parts;
    float maximum = -3.402823466e38f;
    for (u32 i = lane; i < parts; i += 32) maximum = maxima[i] > maximum ? maxima[i] : maximum;
    for (u32 lanes = 16; lanes > 0; lanes /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, maximum, lanes);
        maximum = other > maximum ? other : maximum;
    }
    double sum = 0.0;
    for (u32 i = lane; i < parts; i += 32) sum = sum + (double)sums[i] * exp((double)(maxima[i] - maximum));
    for (u32 lanes = 16; lanes > 0; lanes /= 2) sum = sum + __shfl_xor_sync(0xffffffffu, sum, lanes);
    if (part == 0 && threadIdx.x == 0) losses[row] = (double)maximum + log(sum) - (double)labelled[row];
    float factor = (float)((double)share / sum);
    float *part_of = logits + (u64)row * v + from;
    bool wide = aligned<4>(part_of);
#pragma unroll 1
    for (u32 g = 0; g < SOFTMAX_GROUPS; g++) {
        u32 at = (g * 256 + threadIdx.x) * 4;
        if (at >= count) continue;
        float x[4];
        load<4>(part_of + at, count - at, wide, x);
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            x[i] = exponential(x[i] - maximum) * factor;
            if (from + at + i == label) x[i] = x[i] - share;
        }
        store<4>(part_of + at, count - at, wide, x);
    }
}
