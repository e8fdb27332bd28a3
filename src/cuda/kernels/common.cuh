// What all kernels share. Compiled by NVRTC for devices and, with the shim of tests/it/cuda/emulator.h, by a C++ compiler for the tests.
//
// Every sum is taken in the order in which the CPU's kernel (src/nn) takes it, unless the kernel says otherwise, and nothing is contracted
// into a fused multiply-add that does not say so (--fmad=false), so both give the same bits.

#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif

typedef unsigned int u32;
typedef unsigned long long u64;

// f32 lanes of a virtual register of the CPU's kernels: sums over a row run down 16 lanes, which are added as a tree.
#define LANES 16u

// bfloat16, as nn::quant keeps it.
struct Bf16 {
    unsigned short bits;
};

// An element as a number.
__device__ inline float value(float x) {
    return x;
}
__device__ inline float value(Bf16 x) {
    return __int_as_float((int)((u32)x.bits << 16));
}

// A number as an element: to nearest, ties to even; a NaN stays one. src/nn/quant/stored.rs.
template <class E>
__device__ inline E element(float x);
template <>
__device__ inline float element<float>(float x) {
    return x;
}
template <>
__device__ inline Bf16 element<Bf16>(float x) {
    u32 bits = (u32)__float_as_int(x);
    u32 even = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return Bf16{(unsigned short)(x != x ? bits >> 16 | 0x40u : even)};
}

// What the sums of a product start from.
#define START_ZERO 0u
#define START_SUM 1u
#define START_COLUMNS 2u
#define START_ROWS 3u

// The mask of a dropout layer: src/nn/dropout.rs.
struct Dropout {
    u64 key;
    u32 threshold;
    float scale;
};

__device__ inline u64 mix(u64 z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

// 0 or the scale, for a position of the layer's output.
__device__ inline float dropout_factor(Dropout dropout, u64 position) {
    u64 bits = mix(dropout.key + position / 4 * 0x9e3779b97f4a7c15ULL);
    u32 draw = (u32)(bits >> (16 * (position % 4))) & 0xffffu;
    return draw < dropout.threshold ? dropout.scale : 0.0f;
}

__device__ inline bool dropout_is_off(Dropout dropout) {
    return dropout.threshold >= 65536u;
}

// e^x: src/nn/math.rs.
__device__ inline float exponential(float x) {
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.0f ? x : 88.0f;
    float n = rintf(x * 1.44269504088896340736f);
    float r = fmaf(-n, 0.6933594f, x);
    r = fmaf(-n, -2.1219444e-4f, r);
    float p = 1.9875691e-4f;
    p = fmaf(p, r, 1.3981999e-3f);
    p = fmaf(p, r, 8.333452e-3f);
    p = fmaf(p, r, 4.1665796e-2f);
    p = fmaf(p, r, 1.6666665e-1f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r * r, r) + 1.0f;
    return p * __int_as_float(((int)n + 127) << 23);
}

// Phi(x) and phi(x): src/nn/math.rs.
__device__ inline void normal(float x, float *cdf, float *density) {
    float minus = 0.0f - x;
    float absolute = x > minus ? x : minus;
    float gauss = exponential(x * x * -0.5f);
    float t = 1.0f / fmaf(absolute, 0.3275911f * 0.707106781186547524400f, 1.0f);
    float p = 1.0614054f;
    p = fmaf(p, t, -1.453152f);
    p = fmaf(p, t, 1.4214137f);
    p = fmaf(p, t, -0.28449674f);
    p = fmaf(p, t, 0.2548296f);
    float tail = p * t * gauss * 0.5f;
    *cdf = 0.0f > x ? tail + 0.0f : 0.0f + (1.0f - tail);
    *density = gauss * 0.3989423f;
}

// The sum over the 16 lanes of a half warp, as the CPU's tree: 8 + 8, 4 + 4, 2 + 2, 1 + 1. All lanes get it.
__device__ inline float sum_lanes(float x) {
    x = x + __shfl_xor_sync(0xffffffffu, x, 8);
    x = x + __shfl_xor_sync(0xffffffffu, x, 4);
    x = x + __shfl_xor_sync(0xffffffffu, x, 2);
    x = x + __shfl_xor_sync(0xffffffffu, x, 1);
    return x;
}

// Sixteen and eight bytes that are moved at once. To a C++ compiler memory of one type must not be read as another unless it is said.
#ifdef __CUDACC_RTC__
#define MOVED(bytes) alignas(bytes)
#else
#define MOVED(bytes) __attribute__((aligned(bytes), may_alias))
#define __launch_bounds__(threads, blocks)
#endif
struct MOVED(16) Sixteen {
    u32 x, y, z, w;
};
struct MOVED(8) Eight {
    u32 x, y;
};

// N elements as they lie in memory.
template <class E, u32 N>
struct Raw {
    u32 words[N * sizeof(E) / 4];
};

// Whether N elements from here on, and from every multiple of N after it, can be moved at once.
template <u32 N, class E>
__device__ inline bool aligned(const E *at) {
    return (u64)at % (N * sizeof(E) < 16 ? N * sizeof(E) : 16) == 0;
}

// The first `left` of N elements, zeros behind them; `wide` says that they are aligned.
template <u32 N, class E>
__device__ inline Raw<E, N> fetch(const E *from, u64 left, bool wide) {
    Raw<E, N> raw;
    const u32 WORDS = N * sizeof(E) / 4;
    if (wide && left >= N) {
        if constexpr (WORDS == 2) {
            Eight part = *(const Eight *)from;
            raw.words[0] = part.x, raw.words[1] = part.y;
        } else {
#pragma unroll
            for (u32 i = 0; i < WORDS; i += 4) {
                Sixteen part = ((const Sixteen *)from)[i / 4];
                raw.words[i] = part.x, raw.words[i + 1] = part.y, raw.words[i + 2] = part.z, raw.words[i + 3] = part.w;
            }
        }
    } else if constexpr (sizeof(E) == 4) {
#pragma unroll
        for (u32 i = 0; i < N; i++) raw.words[i] = i < left ? (u32)__float_as_int(value(from[i])) : 0u;
    } else {
#pragma unroll
        for (u32 i = 0; i < N; i += 2) {
            u32 low = i < left ? from[i].bits : 0u, high = i + 1 < left ? from[i + 1].bits : 0u;
            raw.words[i / 2] = high << 16 | low;
        }
    }
    return raw;
}

// Elements as numbers.
template <u32 N>
__device__ inline void spread(Raw<float, N> raw, float (&to)[N]) {
#pragma unroll
    for (u32 i = 0; i < N; i++) to[i] = __int_as_float((int)raw.words[i]);
}
template <u32 N>
__device__ inline void spread(Raw<Bf16, N> raw, float (&to)[N]) {
#pragma unroll
    for (u32 i = 0; i < N; i += 2) {
        to[i] = __int_as_float((int)(raw.words[i / 2] << 16));
        to[i + 1] = __int_as_float((int)(raw.words[i / 2] & 0xffff0000u));
    }
}

template <u32 N, class E>
__device__ inline void load(const E *from, u64 left, bool wide, float (&to)[N]) {
    spread(fetch<N>(from, left, wide), to);
}

// The first `left` of N numbers as elements.
template <u32 N, class E>
__device__ inline void store(E *to, u64 left, bool wide, const float (&from)[N]) {
    const u32 WORDS = N * sizeof(E) / 4;
    if (wide && left >= N) {
        u32 words[WORDS];
#pragma unroll
        for (u32 i = 0; i < WORDS; i++) {
            if constexpr (sizeof(E) == 4) {
                words[i] = (u32)__float_as_int(from[i]);
            } else {
                words[i] = (u32)element<Bf16>(from[2 * i + 1]).bits << 16 | element<Bf16>(from[2 * i]).bits;
            }
        }
        if constexpr (WORDS == 2) {
            *(Eight *)to = Eight{words[0], words[1]};
        } else {
#pragma unroll
            for (u32 i = 0; i < WORDS; i += 4) ((Sixteen *)to)[i / 4] = Sixteen{words[i], words[i + 1], words[i + 2], words[i + 3]};
        }
    } else {
#pragma unroll
        for (u32 i = 0; i < N; i++)
            if (i < left) to[i] = element<E>(from[i]);
    }
}

// The factors of N positions, N a multiple of 4.
template <u32 N>
__device__ inline void dropout_factors(Dropout dropout, u64 position, float (&to)[N]) {
    u32 behind = (u32)(position % 4) * 16;
    u64 bits = mix(dropout.key + position / 4 * 0x9e3779b97f4a7c15ULL);
#pragma unroll
    for (u32 i = 0; i < N; i += 4) {
        u64 draws = bits, next = 0;
        if (i + 4 < N || behind) next = mix(dropout.key + ((position + i) / 4 + 1) * 0x9e3779b97f4a7c15ULL);
        if (behind) draws = bits >> behind | next << (64 - behind);
        bits = next;
#pragma unroll
        for (u32 j = 0; j < 4; j++) to[i + j] = ((u32)(draws >> (16 * j)) & 0xffffu) < dropout.threshold ? dropout.scale : 0.0f;
    }
}
