// Rows: gathered, normalised, summed by column, scattered.

// out[i] = table[index[i]]. Shapes: table (., d), index (m), out (m, d).
extern "C" __global__ void gather_rows(const float *table, const u32 *index, u32 m, u32 d, float *out) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (u64)m * d) return;
    out[at] = table[(u64)index[at / d] * d + at % d];
}

// table[tokens[t]] += rows[positions[i]] for i in offsets[t] .. offsets[t + 1], in this order; every token is there once.
// Shapes: rows (., d), tokens (n), offsets (n + 1).
extern "C" __global__ void scatter_rows(const float *rows, const u32 *tokens, const u32 *offsets, const u32 *positions, u32 n,
                                        u32 d, float *table) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (u64)n * d) return;
    u32 token = (u32)(at / d), k = (u32)(at % d);
    float *to = table + (u64)tokens[token] * d + k;
    float sum = *to;
    for (u32 i = offsets[token]; i < offsets[token + 1]; i++) sum = sum + rows[(u64)positions[i] * d + k];
    *to = sum;
}

// z = dropout(x) + residual, normal = (z - mean z) / sqrt(var z + eps), y = normal * weight + bias. A half warp has a row.
// Shapes: x, residual (may be null), y, normal (m, d); weight, bias (d); inverse (m).
extern "C" __global__ void norm_forward(const float *x, const float *residual, Dropout dropout, const float *weight,
                                        const float *bias, u32 m, u32 d, float *y, float *normal, float *inverse) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u32 row = (u32)(thread / LANES), lane = (u32)(thread % LANES);
    bool live = row < m;
    u64 first = (u64)row * d, line = (d + LANES - 1) / LANES * LANES;
    float share = 1.0f / (float)d, sum = 0.0f;
    for (u32 k = lane; live && k < d; k += LANES) {
        float z = x[first + k];
        if (!dropout_is_off(dropout)) z = z * dropout_factor(dropout, row * line + k);
        if (residual) z = z + residual[first + k];
        normal[first + k] = z;
        sum = sum + z;
    }
    float mean = sum_lanes(sum) * share, squares = 0.0f;
    for (u32 k = lane; live && k < d; k += LANES) {
        float centred = normal[first + k] - mean;
        normal[first + k] = centred;
        squares = fmaf(centred, centred, squares);
    }
    float scale = 1.0f / sqrtf(sum_lanes(squares) * share + 1e-5f);
    if (live && lane == 0) inverse[row] = scale;
    for (u32 k = lane; live && k < d; k += LANES) {
        float z = normal[first + k] * scale;
        normal[first + k] = z;
        y[first + k] = fmaf(z, weight[k], bias[k]);
    }
}

// From dy to dz, also the residual's gradient, and dx = dropout(dz). Shapes: dy, normal, dz, dx (m, d); inverse (m); weight (d).
extern "C" __global__ void norm_backward(const float *dy, const float *normal, const float *inverse, const float *weight,
                                         Dropout dropout, u32 m, u32 d, float *dz, float *dx) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u32 row = (u32)(thread / LANES), lane = (u32)(thread % LANES);
    bool live = row < m;
    u64 first = (u64)row * d, line = (d + LANES - 1) / LANES * LANES;
    float share = 1.0f / (float)d, sum = 0.0f, dot = 0.0f;
    for (u32 k = lane; live && k < d; k += LANES) {
        float g = dy[first + k] * weight[k];
        sum = sum + g;
        dot = fmaf(g, normal[first + k], dot);
    }
    float mean = sum_lanes(sum) * share, slope = sum_lanes(dot) * share;
    float scale = live ? inverse[row] : 0.0f;
    for (u32 k = lane; live && k < d; k += LANES) {
        float g = dy[first + k] * weight[k];
        float z = scale * fmaf(-normal[first + k], slope, g - mean);
        dz[first + k] = z;
        if (!dropout_is_off(dropout)) z = z * dropout_factor(dropout, row * line + k);
        dx[first + k] = z;
    }
}

// sums[j] += a[i, j] (* b[i, j]) over the rows in order. 32 columns a block of 256 threads, which bring 128 rows at a time.
// Shapes: a, b (may be null) (m, n); sums (n).
extern "C" __global__ void column_sums(const float *a, const float *b, u32 m, u32 n, float *sums) {
    __shared__ float part_a[128][33];
    __shared__ float part_b[128][33];
    u32 x = threadIdx.x % 32, y = threadIdx.x / 32, column = blockIdx.x * 32 + x;
    float sum = y == 0 && column < n ? sums[column] : 0.0f;
    for (u32 from = 0; from < m; from += 128) {
        u32 rows = m - from < 128 ? m - from : 128;
        for (u32 row = y; row < rows; row += 8) {
            if (column < n) {
                part_a[row][x] = a[(u64)(from + row) * n + column];
                if (b) part_b[row][x] = b[(u64)(from + row) * n + column];
            }
        }
        __syncthreads();
        if (y == 0 && column < n) {
            if (b) {
                for (u32 row = 0; row < rows; row++) sum = fmaf(part_a[row][x], part_b[row][x], sum);
            } else {
                for (u32 row = 0; row < rows; row++) sum = sum + part_a[row][x];
            }
        }
        __syncthreads();
    }
    if (y == 0 && column < n) sums[column] = sum;
}

// y = dropout(gelu(x)). Shapes: x, y (n).
extern "C" __global__ void gelu_forward(const float *x, Dropout dropout, u64 n, float *y) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    float cdf, density;
    normal(x[at], &cdf, &density);
    float value = x[at] * cdf;
    if (!dropout_is_off(dropout)) value = value * dropout_factor(dropout, at);
    y[at] = value;
}

// dx = dy * mask * gelu'(x), written over dy. Shapes: x, dy (n).
extern "C" __global__ void gelu_backward(const float *x, Dropout dropout, u64 n, float *dy) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    float cdf, density, value = dy[at];
    normal(x[at], &cdf, &density);
    if (!dropout_is_off(dropout)) value = value * dropout_factor(dropout, at);
    dy[at] = value * fmaf(x[at], density, cdf);
}

// out = [real | -imag], row by row. Shapes: real, imag (d, c), out (d, 2c).
extern "C" __global__ void pair_halves(const float *real, const float *imag, u32 d, u32 c, float *out) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (u64)d * c) return;
    u64 place = at / c * 2 * c + at % c;
    out[place] = real[at];
    out[place + c] = -imag[at];
}

// The two halves back.
extern "C" __global__ void split_halves(const float *pair, u32 d, u32 c, float *real, float *imag) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (u64)d * c) return;
    u64 place = at / c * 2 * c + at % c;
    real[at] = pair[place];
    imag[at] = -pair[place + c];
}
