// AdamW with a clipped gradient: src/nn/adamw.rs.

// Sums of squares of 1,024 elements each: 16 lanes run down 64 vectors and are added as a tree. A half warp has a sum.
// Shapes: gradient (n), sums (ceil(n / 1024)).
extern "C" __global__ void square_sums(const float *gradient, u64 n, float *sums) {
    u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    u64 block = thread / LANES, lane = thread % LANES;
    float sum = 0.0f;
    for (u64 at = block * 1024 + lane; at < n && at < (block + 1) * 1024; at += LANES)
        sum = fmaf(gradient[at], gradient[at], sum);
    sum = sum_lanes(sum);
    if (lane == 0 && block * 1024 < n) sums[block] = sum;
}

// The 2-norm from these sums: parts of 32 in f64, then all parts, in order. One block of 256 threads; totals is room for the parts.
extern "C" __global__ void total_norm(const float *sums, u32 n, double *totals, double *norm) {
    u32 parts = (n + 31) / 32;
    for (u32 part = threadIdx.x; part < parts; part += blockDim.x) {
        double total = 0.0;
        for (u32 at = part * 32; at < n && at < (part + 1) * 32; at++) total = total + (double)sums[at];
        totals[part] = total;
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    double total = 0.0;
    for (u32 part = 0; part < parts; part++) total = total + totals[part];
    *norm = sqrt(total);
}

struct AdamW {
    float factor;
    float rest1;
    float beta2;
    float rest2;
    float rate;
    float root;
    float epsilon;
    float keep;
};

// A step. Elements in the ranges decayed[2r] .. decayed[2r + 1], sorted, are multiplied by `keep` first.
// Shapes: gradient, weights, first, second (n).
extern "C" __global__ void adamw_step(AdamW c, const float *gradient, const u64 *decayed, u32 ranges, u64 n, float *weights,
                                      float *first, float *second) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    float keep = 1.0f;
    for (u32 range = 0; range < ranges; range++)
        if (decayed[2 * range] <= at && at < decayed[2 * range + 1]) keep = c.keep;
    float g = gradient[at] * c.factor, m = first[at];
    m = fmaf(c.rest1, g - m, m);
    float v = c.beta2 * second[at];
    v = fmaf(c.rest2 * g, g, v);
    float w = weights[at] * keep, root = fmaf(sqrtf(v), c.root, c.epsilon);
    first[at] = m;
    second[at] = v;
    weights[at] = fmaf(-c.rate, m / root, w);
}
