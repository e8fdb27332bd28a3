// The diagonal complex linear recurrence over packed sequences: src/nn/scan.rs.

// h_t = lambda h_(t-1) + gamma u_t. A thread has a channel of a sequence.
// Shapes: starts (sequences + 1), coefficients (3, c): Re lambda, Im lambda, gamma; u, h (m, 2c).
extern "C" __global__ void scan_forward(u32 c, const u32 *starts, u32 sequences, const float *coefficients, const float *u,
                                        float *h) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (u64)sequences * c) return;
    u32 sequence = (u32)(at / c), channel = (u32)(at % c);
    float lr = coefficients[channel], li = coefficients[c + channel], gamma = coefficients[2 * c + channel];
    float re = 0.0f, im = 0.0f;
    for (u32 row = starts[sequence]; row < starts[sequence + 1]; row++) {
        u64 place = (u64)row * 2 * c + channel;
        float ur = gamma * u[place], ui = gamma * u[place + c];
        float next = fmaf(lr, re, fmaf(-li, im, ur));
        im = fmaf(lr, im, fmaf(li, re, ui));
        re = next;
        h[place] = re;
        h[place + c] = im;
    }
}

// dh becomes du; each group of sequences (groups[g] .. groups[g + 1]) leaves its sums of the coefficients' gradients in partial[g].
// Shapes: groups (n + 1), u, h, dh (m, 2c), partial (n, 3, c).
extern "C" __global__ void scan_backward(u32 c, const u32 *starts, const u32 *groups, u32 n, const float *coefficients,
                                         const float *u, const float *h, float *dh, float *partial) {
    u64 at = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= (u64)n * c) return;
    u32 group = (u32)(at / c), channel = (u32)(at % c);
    float lr = coefficients[channel], li = coefficients[c + channel], gamma = coefficients[2 * c + channel];
    float d_real = 0.0f, d_imag = 0.0f, d_gamma = 0.0f;
    for (u32 sequence = groups[group]; sequence < groups[group + 1]; sequence++) {
        float gr = 0.0f, gi = 0.0f;
        u32 from = starts[sequence];
        for (u32 row = starts[sequence + 1]; row-- > from;) {
            u64 place = (u64)row * 2 * c + channel;
            float next = fmaf(lr, gr, fmaf(li, gi, dh[place]));
            gi = fmaf(lr, gi, fmaf(-li, gr, dh[place + c]));
            gr = next;
            dh[place] = gamma * gr;
            dh[place + c] = gamma * gi;
            d_gamma = fmaf(gr, u[place], fmaf(gi, u[place + c], d_gamma));
            if (row > from) {
                float hr = h[place - 2 * (u64)c], hi = h[place - c];
                d_real = fmaf(gr, hr, fmaf(gi, hi, d_real));
                d_imag = fmaf(gi, hr, fmaf(-gr, hi, d_imag));
            }
        }
    }
    float *sums = partial + (u64)group * 3 * c + channel;
    sums[0] = d_real;
    sums[c] = d_imag;
    sums[2 * c] = d_gamma;
}

// The chain rule from lambda and gamma to their logarithms. `exponentials` has e^log of nu and theta in f64: (2, c).
// Shapes: partial (n, 3, c), coefficients, d_logs (3, c).
extern "C" __global__ void scan_logs(u32 c, const float *partial, u32 n, const float *coefficients, const double *exponentials,
                                     float *d_logs) {
    u32 channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= c) return;
    float d[3];
    for (u32 part = 0; part < 3; part++) {
        d[part] = 0.0f;
        for (u32 group = 0; group < n; group++) d[part] = d[part] + partial[((u64)group * 3 + part) * c + channel];
    }
    double d_real = d[0], d_imag = d[1], real = coefficients[channel], imag = coefficients[c + channel];
    double d_nu = -(d_real * real + d_imag * imag), d_theta = d_imag * real - d_real * imag;
    d_logs[channel] = (float)(d_nu * exponentials[channel]);
    d_logs[c + channel] = (float)(d_theta * exponentials[c + channel]);
    d_logs[2 * c + channel] = d[2] * coefficients[2 * c + channel];
}
