/* Written with intrinsics: GCC 12 turns the same loops in its vector types into code that is
 * four times slower. */
#include "data/resample_kernels.h"

#ifdef __x86_64__

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load_pair(const uint8_t *upper, const uint8_t *lower)
{
    int32_t up, low;
    memcpy(&up, upper, 4);
    memcpy(&low, lower, 4);
    return _mm256_cvtepu8_epi32(_mm_insert_epi32(_mm_cvtsi32_si128(up), low, 1));
}

/* The red, green and blue lanes each hold four neighbouring outputs. */
AVX2 static inline void store_planes(__m128i packed, size_t padded, uint8_t *ret)
{
    int32_t plane[4];
    _mm_storeu_si128((__m128i *)plane, packed);
    for (size_t c = 0; c < 3; c++)
        memcpy(ret + c * padded, &plane[c], 4);
}

/* The lanes of a sum are red, green, blue, unused of the upper row, then of the lower. */
AVX2 static void row_pair(const struct resample_axis *x, const uint8_t *upper, const uint8_t *lower,
                          uint8_t *ret_upper, uint8_t *ret_lower)
{
    size_t taps = (size_t)x->taps, padded = (size_t)x->padded;
    for (size_t i = 0; i < padded; i += 4) {
        __m256i sum[4];
        for (size_t j = 0; j < 4; j++) {
            const int32_t *weight = x->weight + (i + j) * taps;
            size_t at = (size_t)x->start[i + j] * 3;
            sum[j] = _mm256_set1_epi32(RESAMPLE_HALF);
            for (size_t t = 0; t < taps; t++, at += 3)
                sum[j] =
                    _mm256_add_epi32(sum[j], _mm256_mullo_epi32(load_pair(upper + at, lower + at),
                                                                _mm256_set1_epi32(weight[t])));
            sum[j] = _mm256_srli_epi32(sum[j], RESAMPLE_PRECISION);
        }
        __m256i packed = _mm256_or_si256(
            _mm256_or_si256(sum[0], _mm256_slli_epi32(sum[1], 8)),
            _mm256_or_si256(_mm256_slli_epi32(sum[2], 16), _mm256_slli_epi32(sum[3], 24)));
        store_planes(_mm256_castsi256_si128(packed), padded, ret_upper + i);
        store_planes(_mm256_extracti128_si256(packed, 1), padded, ret_lower + i);
    }
}

AVX2 static inline __m256i weighted(__m256i sum, const uint8_t *pixels, __m256i weight)
{
    __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)pixels));
    return _mm256_add_epi32(sum, _mm256_mullo_epi32(wide, weight));
}

AVX2 static inline __m256 normalised(__m256i sum, __m256 mean, __m256 std)
{
    __m256 value = _mm256_cvtepi32_ps(_mm256_srli_epi32(sum, RESAMPLE_PRECISION));
    return _mm256_div_ps(_mm256_sub_ps(value, mean), std);
}

AVX2 static void column(const int32_t *weight, int taps, const uint8_t *rows, size_t stride,
                        int width, float mean, float std, float *ret)
{
    __m256 means = _mm256_set1_ps(mean), stds = _mm256_set1_ps(std);
    for (int j = 0; j < width; j += RESAMPLE_LANES) {
        const uint8_t *from = rows + j;
        __m256i low = _mm256_set1_epi32(RESAMPLE_HALF), high = low;
        for (int t = 0; t < taps; t++, from += stride) {
            __m256i w = _mm256_set1_epi32(weight[t]);
            low = weighted(low, from, w);
            high = weighted(high, from + 8, w);
        }
        float done[RESAMPLE_LANES];
        bool whole = width - j >= RESAMPLE_LANES;
        float *to = whole ? ret + j : done;
        _mm256_storeu_ps(to, normalised(low, means, stds));
        _mm256_storeu_ps(to + 8, normalised(high, means, stds));
        if (!whole)
            memcpy(ret + j, done, (size_t)(width - j) * sizeof *ret);
    }
}

const struct resample_kernels resample_avx2 = { row_pair, column };

#endif
