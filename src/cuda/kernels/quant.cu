// Stored weights as matrices that products read, with the numbers of src/nn/quant: to the bit in f32, and rounded from that to bf16.
//
// A thread has eight neighbours: codes come as four or eight bytes, a warp's side by side, and leave as sixteen (thirty-two in f32). It has
// them OFTEN times over, a block apart, so that as many loads are on their way.
#define OFTEN 4u

// The 16 numbers of NF4: src/nn/quant/nf4.rs.
__device__ const float NF4[16] = {-1.0f,       -0.6961928f, -0.52507305f, -0.3949175f, -0.28444138f, -0.18477343f, -0.091050036f, 0.0f,
                                  0.0795803f,  0.1609302f,  0.2461123f,   0.33791524f, 0.44070983f,  0.562617f,    0.72295684f,   1.0f};

// Scales of the blocks of 64.
struct PlainScales {
    const float *scales;
    __device__ inline float of(u64 block) const {
        return scales[block];
    }
};
// In 8 bits: map[codes[i]] * absmax[i / 256] + offset, each operation rounded.
struct DoubleScales {
    const unsigned char *codes;
    const float *absmax;
    const float *map;
    float offset;
    __device__ inline float of(u64 block) const {
        return map[codes[block]] * absmax[block / 256] + offset;
    }
};

// Two codes a byte, the first one in the high half.
template <class Scales>
struct Nf4Codes {
    const unsigned char *codes;
    Scales scales;
    const float *numbers;
    __device__ inline bool wide() const {
        return (u64)codes % 4 == 0;
    }
    // Elements at .. at + 8, at a multiple of 8.
    __device__ inline void eight(u64 at, float (&to)[8]) const {
        u32 word = *(const u32 *)(codes + at / 2);
        float scale = scales.of(at / 64);
#pragma unroll
        for (u32 i = 0; i < 8; i++) to[i] = numbers[word >> (i / 2 * 8 + (i % 2 ? 0 : 4)) & 15u] * scale;
    }
    __device__ inline float one(u64 at) const {
        return numbers[codes[at / 2] >> (at % 2 ? 0 : 4) & 15] * scales.of(at / 64);
    }
};

struct Int8Codes {
    const signed char *codes;
    PlainScales scales;
    __device__ inline bool wide() const {
        return (u64)codes % 8 == 0;
    }
    __device__ inline void eight(u64 at, float (&to)[8]) const {
        Eight words = *(const Eight *)(codes + at);
        float scale = scales.of(at / 64);
#pragma unroll
        for (u32 i = 0; i < 8; i++) to[i] = (float)(signed char)((i < 4 ? words.x : words.y) >> (i % 4 * 8)) * scale;
    }
    __device__ inline float one(u64 at) const {
        return (float)codes[at] * scales.of(at / 64);
    }
};

// out = the elements first .. first + n of the flattened matrix; with ids, the rows ids[i] of `columns` elements.
template <class E, class Codes>
__device__ inline void dequantize(Codes codes, u64 first, const u32 *ids, u32 columns, u64 n, E *out) {
    auto from = [&](u64 at) { return ids ? (u64)ids[at / columns] * columns + at % columns : first + at; };
    const u32 EACH = 256 * 8;
    u64 begin = (u64)blockIdx.x * OFTEN * EACH;
    if (codes.wide() && aligned<8>(out) && (ids ? columns % 8 == 0 : first % 8 == 0) && n - begin >= OFTEN * EACH) {
        float v[OFTEN][8];
#pragma unroll
        for (u32 turn = 0; turn < OFTEN; turn++) codes.eight(from(begin + turn * EACH + threadIdx.x * 8), v[turn]);
#pragma unroll
        for (u32 turn = 0; turn < OFTEN; turn++) store<8>(out + begin + turn * EACH + threadIdx.x * 8, 8, true, v[turn]);
    } else {
        u64 end = n - begin < OFTEN * EACH ? n : begin + OFTEN * EACH;
#pragma unroll 1
        for (u64 at = begin + threadIdx.x; at < end; at += 256) out[at] = element<E>(codes.one(from(at)));
    }
}

template <class E, class Scales>
__device__ inline void nf4(const unsigned char *codes, Scales scales, u64 first, const u32 *ids, u32 columns, u64 n, E *out) {
    __shared__ float numbers[16];
    if (threadIdx.x < 16) numbers[threadIdx.x] = NF4[threadIdx.x];
    __syncthreads();
    dequantize(Nf4Codes<Scales>{codes, scales, numbers}, first, ids, columns, n, out);
}

// Shapes: codes (ceil(all / 2)), scales (ceil(all / 64)), ids (n / columns) or null, out (n).
extern "C" __global__ void nf4_f32(const unsigned char *codes, PlainScales scales, u64 first, const u32 *ids, u32 columns, u64 n,
                                   float *out) {
    nf4(codes, scales, first, ids, columns, n, out);
}
extern "C" __global__ void nf4_bf16(const unsigned char *codes, PlainScales scales, u64 first, const u32 *ids, u32 columns, u64 n,
                                    Bf16 *out) {
    nf4(codes, scales, first, ids, columns, n, out);
}
extern "C" __global__ void nf4_double_f32(const unsigned char *codes, DoubleScales scales, u64 first, const u32 *ids, u32 columns, u64 n,
                                          float *out) {
    nf4(codes, scales, first, ids, columns, n, out);
}
extern "C" __global__ void nf4_double_bf16(const unsigned char *codes, DoubleScales scales, u64 first, const u32 *ids, u32 columns, u64 n,
                                           Bf16 *out) {
    nf4(codes, scales, first, ids, columns, n, out);
}
// Shapes: codes (all), the others as above.
extern "C" __global__ void int8_f32(const signed char *codes, PlainScales scales, u64 first, const u32 *ids, u32 columns, u64 n,
                                    float *out) {
    dequantize(Int8Codes{codes, scales}, first, ids, columns, n, out);
}
extern "C" __global__ void int8_bf16(const signed char *codes, PlainScales scales, u64 first, const u32 *ids, u32 columns, u64 n,
                                     Bf16 *out) {
    dequantize(Int8Codes{codes, scales}, first, ids, columns, n, out);
}
