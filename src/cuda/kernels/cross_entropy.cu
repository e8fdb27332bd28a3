// Linear layer and softmax cross-entropy in one, without logits in memory: src/nn/cross_entropy.rs. They are computed anew where they are
// needed. Rows come in blocks of 64 and items in chunks, as on the CPU, because the sums are taken in this order there.
//
// A tile is 64 rows by 64 items. Of its elements a thread has the rows y + 16 i and the items x + 16 j.

#define TILE 64u

// Logits of a tile: bias[item] + sum_k weight[item, k] hidden[row, k]. Rows and items outside get whatever.
__device__ inline void tile_logits(const float *hidden, const float *weight, const float *bias, u32 d, u32 first_row, u32 rows,
                                   u32 first_item, u32 items, float logits[4][4]) {
    __shared__ float h[16][TILE + 1];
    __shared__ float e[16][TILE + 1];
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) logits[i][j] = x + 16 * j < items ? bias[first_item + x + 16 * j] : 0.0f;
    for (u32 from = 0; from < d; from += 16) {
        for (u32 at = threadIdx.x; at < 16 * TILE; at += 256) {
            u32 k = at % 16, one = at / 16;
            h[k][one] = one < rows && from + k < d ? hidden[(u64)(first_row + one) * d + from + k] : 0.0f;
            e[k][one] = one < items && from + k < d ? weight[(u64)(first_item + one) * d + from + k] : 0.0f;
        }
        __syncthreads();
        u32 depth = d - from < 16 ? d - from : 16;
        for (u32 k = 0; k < depth; k++) {
            float l[4], r[4];
            for (u32 i = 0; i < 4; i++) l[i] = h[k][y + 16 * i];
            for (u32 j = 0; j < 4; j++) r[j] = e[k][x + 16 * j];
            for (u32 i = 0; i < 4; i++)
                for (u32 j = 0; j < 4; j++) logits[i][j] = fmaf(r[j], l[i], logits[i][j]);
        }
        __syncthreads();
    }
}

// Of each row and chunk of items the largest logit. A block has 64 rows (blockIdx.x) of a chunk (blockIdx.y).
// Shapes: hidden (m, d), weight (v, d), bias (v), maxima (chunks, m).
extern "C" __global__ void ce_maxima(const float *hidden, const float *weight, const float *bias, u32 m, u32 v, u32 d, u32 chunk,
                                     float *maxima) {
    __shared__ float best[16][TILE];
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    u32 first_row = blockIdx.x * TILE, rows = m - first_row < TILE ? m - first_row : TILE;
    u32 from = blockIdx.y * chunk, end = v - from < chunk ? v : from + chunk;
    float maximum[4];
    bool any = false;
    for (u32 item = from; item < end; item += TILE) {
        u32 items = end - item < TILE ? end - item : TILE;
        float logits[4][4];
        tile_logits(hidden, weight, bias, d, first_row, rows, item, items, logits);
        for (u32 j = 0; j < 4; j++) {
            if (x + 16 * j >= items) continue;
            for (u32 i = 0; i < 4; i++) maximum[i] = any && maximum[i] > logits[i][j] ? maximum[i] : logits[i][j];
            any = true;
        }
    }
    for (u32 i = 0; i < 4; i++) best[x][y + 16 * i] = any ? maximum[i] : -INFINITY;
    __syncthreads();
    if (threadIdx.x < rows) {
        float top = best[0][threadIdx.x];
        for (u32 i = 1; i < 16; i++) top = top > best[i][threadIdx.x] ? top : best[i][threadIdx.x];
        maxima[(u64)blockIdx.y * m + first_row + threadIdx.x] = top;
    }
}

// Of each row and chunk the sum of e^(logit - maximum of the chunk), items in order. Blocks as above.
// Shapes: maxima, sums (chunks, m).
extern "C" __global__ void ce_sums(const float *hidden, const float *weight, const float *bias, u32 m, u32 v, u32 d, u32 chunk,
                                   const float *maxima, float *sums) {
    __shared__ float exponentials[TILE][TILE + 1];
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    u32 first_row = blockIdx.x * TILE, rows = m - first_row < TILE ? m - first_row : TILE;
    u32 from = blockIdx.y * chunk, end = v - from < chunk ? v : from + chunk;
    maxima += (u64)blockIdx.y * m + first_row;
    float sum = 0.0f;
    for (u32 item = from; item < end; item += TILE) {
        u32 items = end - item < TILE ? end - item : TILE;
        float logits[4][4];
        tile_logits(hidden, weight, bias, d, first_row, rows, item, items, logits);
        for (u32 i = 0; i < 4; i++) {
            u32 row = y + 16 * i;
            float maximum = row < rows ? maxima[row] : 0.0f;
            for (u32 j = 0; j < 4; j++) exponentials[row][x + 16 * j] = exponential(logits[i][j] - maximum);
        }
        __syncthreads();
        if (threadIdx.x < rows)
            for (u32 j = 0; j < items; j++) sum = sum + exponentials[threadIdx.x][j];
        __syncthreads();
    }
    if (threadIdx.x < rows) sums[(u64)blockIdx.y * m + first_row + threadIdx.x] = sum;
}

// Turns each chunk's maximum into its factor, e^(maximum of the chunk - maximum) / sum * share, and leaves each row's maximum, sum and
// the logit of its label. Shapes: maxima, sums (chunks, m); rows (3, m); labels (m).
extern "C" __global__ void ce_combine(const float *hidden, const float *weight, const float *bias, const u32 *labels, u32 m, u32 d,
                                      u32 chunks, float share, float *maxima, const float *sums, float *rows) {
    u32 row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= m) return;
    float maximum = maxima[row];
    for (u32 chunk = 1; chunk < chunks; chunk++) {
        float next = maxima[(u64)chunk * m + row];
        maximum = maximum > next ? maximum : next;
    }
    float sum = 0.0f;
    for (u32 chunk = 0; chunk < chunks; chunk++) {
        u64 at = (u64)chunk * m + row;
        float e = exponential(maxima[at] - maximum);
        sum = fmaf(sums[at], e, sum);
        maxima[at] = e;
    }
    float factor = share / sum;
    for (u32 chunk = 0; chunk < chunks; chunk++) {
        u64 at = (u64)chunk * m + row;
        maxima[at] = maxima[at] * factor;
    }
    u32 label = labels[row];
    float logit = bias[label];
    for (u32 k = 0; k < d; k++) logit = fmaf(weight[(u64)label * d + k], hidden[(u64)row * d + k], logit);
    rows[row] = maximum;
    rows[m + row] = sum;
    rows[2 * (u64)m + row] = logit;
}

// The gradients of weight and bias: a block has 64 items (blockIdx.x, tiles of a chunk are counted from its first item) and 64 columns
// (blockIdx.y), and all rows in order. `tops` are the chunks' maxima of ce_maxima, `factors` those of ce_combine.
// Shapes: tops, factors (chunks, m); d_weight (v, d), d_bias (v), both added to.
extern "C" __global__ void ce_weight(const float *hidden, const float *weight, const float *bias, const u32 *labels, u32 m, u32 v,
                                     u32 d, u32 chunk, float share, const float *tops, const float *factors, float *d_weight,
                                     float *d_bias) {
    __shared__ float exponentials[TILE][TILE + 1];
    __shared__ float scaled[TILE][TILE + 1];
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    u32 tiles = (chunk + TILE - 1) / TILE, at_chunk = blockIdx.x / tiles;
    u32 from = at_chunk * chunk, end = v - from < chunk ? v : from + chunk;
    u32 first_item = from + blockIdx.x % tiles * TILE, first_k = blockIdx.y * TILE;
    // A last chunk that is short has tiles without items.
    u32 items = first_item >= end ? 0 : end - first_item < TILE ? end - first_item : TILE;
    if (items == 0) return;
    tops += (u64)at_chunk * m;
    factors += (u64)at_chunk * m;
    float sums[4][4], d_b = 0.0f;
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) {
            u32 item = y + 16 * i, k = first_k + x + 16 * j;
            sums[i][j] = item < items && k < d ? d_weight[(u64)(first_item + item) * d + k] : 0.0f;
        }
    // It is written by the blocks of the first columns alone.
    if (blockIdx.y == 0 && threadIdx.x < items) d_b = d_bias[first_item + threadIdx.x];
    for (u32 first_row = 0; first_row < m; first_row += TILE) {
        u32 rows = m - first_row < TILE ? m - first_row : TILE;
        float logits[4][4];
        tile_logits(hidden, weight, bias, d, first_row, rows, first_item, items, logits);
        for (u32 i = 0; i < 4; i++) {
            u32 row = y + 16 * i;
            float top = row < rows ? tops[first_row + row] : 0.0f, factor = row < rows ? factors[first_row + row] : 0.0f;
            for (u32 j = 0; j < 4; j++) {
                exponentials[row][x + 16 * j] = exponential(logits[i][j] - top);
                u32 k = first_k + x + 16 * j;
                scaled[row][x + 16 * j] = row < rows && k < d ? hidden[(u64)(first_row + row) * d + k] * factor : 0.0f;
            }
        }
        __syncthreads();
        for (u32 row = 0; row < rows; row++) {
            float l[4], r[4];
            for (u32 i = 0; i < 4; i++) l[i] = exponentials[row][y + 16 * i];
            for (u32 j = 0; j < 4; j++) r[j] = scaled[row][x + 16 * j];
            for (u32 i = 0; i < 4; i++)
                for (u32 j = 0; j < 4; j++) sums[i][j] = fmaf(l[i], r[j], sums[i][j]);
        }
        if (threadIdx.x < items) {
            // Sixteen lanes run down the rows and are added as a tree.
            float lanes[16];
            for (u32 lane = 0; lane < 16; lane++) {
                lanes[lane] = 0.0f;
                for (u32 row = lane; row < rows; row += 16)
                    lanes[lane] = fmaf(exponentials[row][threadIdx.x], factors[first_row + row], lanes[lane]);
            }
            for (u32 width = 8; width > 0; width /= 2)
                for (u32 lane = 0; lane < width; lane++) lanes[lane] = lanes[lane] + lanes[lane + width];
            d_b = d_b + lanes[0];
        }
        for (u32 row = 0; row < rows; row++) {
            u32 label = labels[first_row + row];
            if (label < first_item || label >= first_item + items) continue;
            u32 item = label - first_item;
            if (threadIdx.x == item) d_b = d_b - share;
            if (item % 16 != y) continue;
            for (u32 i = 0; i < 4; i++) {
                if (item / 16 != i) continue;
                for (u32 j = 0; j < 4; j++) {
                    u32 k = first_k + x + 16 * j;
                    if (k < d) sums[i][j] = sums[i][j] - share * hidden[(u64)(first_row + row) * d + k];
                }
            }
        }
        __syncthreads();
    }
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) {
            u32 item = y + 16 * i, k = first_k + x + 16 * j;
            if (item < items && k < d) d_weight[(u64)(first_item + item) * d + k] = sums[i][j];
        }
    if (blockIdx.y == 0 && threadIdx.x < items) d_bias[first_item + threadIdx.x] = d_b;
}

// Each chunk's share of the gradient of the hidden states: a block has 64 rows (blockIdx.x), a chunk (blockIdx.y) and 64 columns
// (blockIdx.z). Shapes: partial (chunks, m, d).
extern "C" __global__ void ce_hidden(const float *hidden, const float *weight, const float *bias, const u32 *labels, u32 m, u32 v,
                                     u32 d, u32 chunk, float share, const float *tops, const float *factors, float *partial) {
    __shared__ float exponentials[TILE][TILE + 1];
    __shared__ float embeddings[TILE][TILE + 1];
    u32 x = threadIdx.x % 16, y = threadIdx.x / 16;
    u32 first_row = blockIdx.x * TILE, rows = m - first_row < TILE ? m - first_row : TILE;
    u32 from = blockIdx.y * chunk, end = v - from < chunk ? v : from + chunk, first_k = blockIdx.z * TILE;
    tops += (u64)blockIdx.y * m + first_row;
    factors += (u64)blockIdx.y * m + first_row;
    float sums[4][4];
    for (u32 i = 0; i < 4; i++)
        for (u32 j = 0; j < 4; j++) sums[i][j] = 0.0f;
    for (u32 first_item = from; first_item < end; first_item += TILE) {
        u32 items = end - first_item < TILE ? end - first_item : TILE;
        float logits[4][4];
        tile_logits(hidden, weight, bias, d, first_row, rows, first_item, items, logits);
        for (u32 i = 0; i < 4; i++) {
            u32 row = y + 16 * i;
            float top = row < rows ? tops[row] : 0.0f;
            for (u32 j = 0; j < 4; j++) exponentials[row][x + 16 * j] = exponential(logits[i][j] - top);
        }
        for (u32 at = threadIdx.x; at < TILE * TILE; at += 256) {
            u32 item = at / TILE, k = at % TILE;
            embeddings[item][k] = item < items && first_k + k < d ? weight[(u64)(first_item + item) * d + first_k + k] : 0.0f;
        }
        __syncthreads();
        for (u32 item = 0; item < items; item++) {
            float l[4], r[4];
            for (u32 i = 0; i < 4; i++) l[i] = exponentials[y + 16 * i][item];
            for (u32 j = 0; j < 4; j++) r[j] = embeddings[item][x + 16 * j];
            for (u32 i = 0; i < 4; i++)
                for (u32 j = 0; j < 4; j++) sums[i][j] = fmaf(l[i], r[j], sums[i][j]);
        }
        __syncthreads();
    }
    for (u32 i = 0; i < 4; i++) {
        u32 row = y + 16 * i;
        if (row >= rows) continue;
        u32 label = labels[first_row + row];
        bool here = label >= from && label < end;
        for (u32 j = 0; j < 4; j++) {
            u32 k = first_k + x + 16 * j;
            if (k >= d) continue;
            float sum = sums[i][j] * factors[row];
            if (here) sum = sum - share * weight[(u64)label * d + k];
            partial[((u64)blockIdx.y * m + first_row + row) * d + k] = sum;
        }
    }
}

// to[i] = sum over the parts in order. Shapes: partial (parts, n), to (n).
extern "C" __global__ void add_parts(const float *partial, u32 parts, u64 n, float *to) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    float sum = partial[at];
    for (u32 part = 1; part < parts; part++) sum = sum + partial[part * n + at];
    to[at] = sum;
}
