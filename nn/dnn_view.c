/* Layouts that see the same memory under other dims. Nothing here knows oneDNN beyond one call. */
#include "nn/dnn_parts.h"

#include <stdlib.h>
#include <string.h>

/* Dims from the outermost to the innermost. */
static void known_order(bool last, int rank, int order[DNN_RANK_MAX])
{
    for (int i = 0; i < rank; i++)
        order[i] = !last || i == 0 ? i : i + 1 < rank ? i + 1 : 1;
}

static void dense_strides(int rank, const int64_t *dims, const int *order, int64_t *ret)
{
    int64_t size = 1;
    for (int i = rank - 1; i >= 0; i--) {
        ret[order[i]] = size;
        size *= dims[order[i]];
    }
}

static bool in_order(int rank, const int64_t *dims, const int64_t *strides, const int *order)
{
    int64_t above = INT64_MAX;
    for (int i = 0; i < rank; i++) {
        if (dims[order[i]] == 1)
            continue;
        if (strides[order[i]] >= above)
            return false;
        above = strides[order[i]];
    }
    return true;
}

/* Row-major before channels last. */
static bool find_order(int rank, const int64_t *dims, const int64_t *strides,
                       int order[DNN_RANK_MAX])
{
    for (int last = 0; last < (rank >= 3 ? 2 : 1); last++) {
        known_order(last, rank, order);
        if (in_order(rank, dims, strides, order))
            return true;
    }
    return false;
}

/* Dims of one entry have any stride. They get one that oneDNN takes, which looks for overlaps there
 * too: that of the dense layout where it is one, else past the end. */
static struct dnn_layout *view(int rank, const int64_t *dims, const int64_t *strides)
{
    int order[DNN_RANK_MAX];
    int64_t dense[DNN_RANK_MAX], valid[DNN_RANK_MAX], end = 1;
    if (rank < 1 || rank > DNN_RANK_MAX)
        return NULL;
    bool same = find_order(rank, dims, strides, order);
    if (same)
        dense_strides(rank, dims, order, dense);
    for (int d = 0; d < rank; d++) {
        same = same && (dims[d] == 1 || strides[d] == dense[d]);
        if (dims[d] > 1 && strides[d] * dims[d] > end)
            end = strides[d] * dims[d];
    }
    for (int d = 0; d < rank; d++)
        valid[d] = dims[d] > 1 ? strides[d] : end;
    return dnn_layout_strided(rank, dims, same ? dense : valid);
}

struct dnn_layout *dnn_layout_channels_last(int rank, const int64_t *dims)
{
    int order[DNN_RANK_MAX];
    int64_t strides[DNN_RANK_MAX];
    if (rank < 2 || rank > DNN_RANK_MAX)
        return NULL;
    known_order(true, rank, order);
    dense_strides(rank, dims, order, strides);
    return dnn_layout_strided(rank, dims, strides);
}

struct dnn_layout *dnn_layout_permuted(const struct dnn_layout *l, const int *perm)
{
    struct dnn_strides b = dnn_strides_of(l);
    int64_t dims[DNN_RANK_MAX], strides[DNN_RANK_MAX];
    int to[DNN_RANK_MAX];
    if (b.form == DNN_STRIDES_OPAQUE)
        return NULL;
    for (int d = 0; d < b.rank; d++) {
        dims[d] = b.dims[perm[d]];
        strides[d] = b.strides[perm[d]];
        to[perm[d]] = d;
    }
    if (b.form == DNN_STRIDES_ALL)
        return view(b.rank, dims, strides);
    struct dnn_layout *ret = calloc(1, sizeof *ret);
    if (ret && dnnl_memory_desc_permute_axes(&ret->md, MD(l), to) == dnnl_success)
        return ret;
    free(ret);
    return NULL;
}

/* Each run of old dims that multiplies to the same as a run of new ones must be one stretch; then
 * the new dims divide it. */
struct dnn_layout *dnn_layout_reshaped(const struct dnn_layout *l, int rank, const int64_t *dims)
{
    struct dnn_strides b = dnn_strides_of(l);
    int64_t old_dims[DNN_RANK_MAX], old_strides[DNN_RANK_MAX], strides[DNN_RANK_MAX];
    int old = 0, from = 0, to = 0;
    if (b.form != DNN_STRIDES_ALL || rank < 1 || rank > DNN_RANK_MAX)
        return NULL;
    for (int d = 0; d < b.rank; d++)
        if (b.dims[d] != 1) {
            old_dims[old] = b.dims[d];
            old_strides[old++] = b.strides[d];
        }
    while (from < old && to < rank) {
        int from_end = from + 1, to_end = to + 1;
        int64_t have = old_dims[from], want = dims[to];
        while (have != want) {
            if (have < want && from_end < old)
                have *= old_dims[from_end++];
            else if (want < have && to_end < rank)
                want *= dims[to_end++];
            else
                return NULL;
        }
        for (int d = from; d + 1 < from_end; d++)
            if (old_strides[d] != old_strides[d + 1] * old_dims[d + 1])
                return NULL;
        int64_t stride = old_strides[from_end - 1];
        for (int d = to_end - 1; d >= to; d--) {
            strides[d] = stride;
            stride *= dims[d];
        }
        from = from_end;
        to = to_end;
    }
    for (; to < rank && dims[to] == 1; to++)
        strides[to] = 1;
    return from == old && to == rank ? view(rank, dims, strides) : NULL;
}

struct dnn_layout *dnn_layout_part(const struct dnn_layout *l, const int64_t *dims,
                                   const int64_t *start, const int64_t *step, int64_t *ret_offset)
{
    struct dnn_strides b = dnn_strides_of(l);
    int64_t strides[DNN_RANK_MAX], offset = 0, block = dnn_layout_block(l);
    if (b.form == DNN_STRIDES_OPAQUE)
        return NULL;
    if (b.form == DNN_STRIDES_ALL) {
        for (int d = 0; d < b.rank; d++) {
            offset += start[d] * b.strides[d];
            strides[d] = b.strides[d] * step[d];
        }
        *ret_offset = offset;
        return view(b.rank, dims, strides);
    }
    /* Whole blocks of one picture follow one another. */
    if (block <= 1 || b.dims[0] != 1 || step[1] != 1 || start[1] % block || dims[1] % block)
        return NULL;
    for (int d = 0; d < b.rank; d++)
        if (d != 1 && (dims[d] != b.dims[d] || step[d] != 1))
            return NULL;
    *ret_offset = start[1] / block * b.strides[1];
    return dnn_layout_like(l, dims);
}

bool dnn_layout_is_known(const struct dnn_layout *l)
{
    struct dnn_strides b = dnn_strides_of(l);
    int order[DNN_RANK_MAX];
    return b.form != DNN_STRIDES_ALL || find_order(b.rank, b.dims, b.strides, order);
}

struct dnn_layout *dnn_layout_settled(const struct dnn_layout *l)
{
    struct dnn_strides b = dnn_strides_of(l);
    int order[DNN_RANK_MAX];
    int64_t strides[DNN_RANK_MAX];
    if (b.form != DNN_STRIDES_ALL)
        return dnn_layout_copy(l);
    if (!find_order(b.rank, b.dims, b.strides, order))
        return dnn_layout_new(b.rank, b.dims, DNN_PLAIN);
    dense_strides(b.rank, b.dims, order, strides);
    return dnn_layout_strided(b.rank, b.dims, strides);
}

int dnn_layout_innermost(const struct dnn_layout *l)
{
    struct dnn_strides b = dnn_strides_of(l);
    int ret = -1;
    for (int d = 0; d < b.rank && b.form == DNN_STRIDES_ALL; d++)
        if (b.dims[d] > 1 && (ret < 0 || b.strides[d] < b.strides[ret]))
            ret = d;
    return ret;
}
