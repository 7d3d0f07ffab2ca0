#include "nn/learner_kernels.h"

#include <math.h>
#include <string.h>

/* Rows whose sums are taken in floats; columns whose sums stay in registers meanwhile. */
enum { FLOAT_ROWS = 64, COLUMNS = 64 };

#define HALF_ROOT 0.70710678118654752f   /* sqrt(1/2) */
#define NORMAL_PEAK 0.39894228040143268f /* 1 / sqrt(2 pi) */
#define ROOT_2_PI 0.79788456080286536f   /* sqrt(2 / pi) */
#define INLINE static inline __attribute__((always_inline))

#if defined __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 1")
#endif

/* NaN stays. */
INLINE float clip(float x, float low, float high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* e^x by 2^n p(r), |r| <= ln(2) / 2 (Cephes); relative error 2e-7. x is held within what a float
 * can say; NaN stays. */
INLINE float exponential(float x)
{
    x = clip(x, -87.0f, 88.0f);
    float n = x * 1.44269504088896341f + 12582912.0f; /* rounds to the nearest integer */
    int32_t bits;
    memcpy(&bits, &n, sizeof bits);
    n -= 12582912.0f;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t power = (int32_t)((uint32_t)bits << 23) + (127 << 23);
    float scale;
    memcpy(&scale, &power, sizeof scale);
    return p * scale;
}

INLINE float sigmoid(float x)
{
    return 1.0f / (1.0f + exponential(-x));
}

INLINE float swish_slope(float x)
{
    float s = sigmoid(x);
    return s * (1 + x * (1 - s));
}

INLINE float gelu_inner(float x)
{
    return ROOT_2_PI * (x + 0.044715f * x * x * x);
}

INLINE float gelu_tanh_slope(float x)
{
    float t = tanhf(gelu_inner(x));
    return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * ROOT_2_PI * (1 + 3 * 0.044715f * x * x);
}

#define NAME(x) x##_plain
#define TARGET
#include "nn/learner_kernels.inc"

#if defined __x86_64__
#define NAME(x) x##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#include "nn/learner_kernels.inc"

#define NAME(x) x##_avx512
#if defined __clang__
#define TARGET __attribute__((target("avx512f,avx512vl,avx512dq,fma")))
#else
#define TARGET __attribute__((target("avx512f,avx512vl,avx512dq,fma,prefer-vector-width=512")))
#endif
#include "nn/learner_kernels.inc"
#endif

const struct learner_kernels *learner_kernels(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        return &kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &kernels_avx2;
#endif
    return &kernels_plain;
}
