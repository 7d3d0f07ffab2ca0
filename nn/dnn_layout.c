#include "nn/dnn_parts.h"

#include <stdlib.h>
#include <string.h>

void dnn_copy_dims(dnnl_dims_t ret, const int64_t *from, int count, int64_t less)
{
    memset(ret, 0, sizeof(dnnl_dims_t));
    for (int i = 0; i < count; i++)
        ret[i] = from[i] - less;
}

static const dnnl_format_tag_t plain_tags[DNN_RANK_MAX + 1] = {
    dnnl_format_tag_undef, dnnl_a,       dnnl_ab,      dnnl_abc, dnnl_abcd, dnnl_abcde,
    dnnl_abcdef,           dnnl_abcdefg, dnnl_abcdefgh
};

struct dnn_layout *dnn_layout_of(md_view md)
{
    struct dnn_layout *l = md ? calloc(1, sizeof *l) : NULL;
    if (!l)
        return NULL;
#if DNN_3
    if (dnnl_memory_desc_clone(&l->md, md) != dnnl_success) {
        free(l);
        return NULL;
    }
#else
    l->md = *md;
#endif
    return l;
}

static dnnl_data_type_t data_type(enum dnn_type type)
{
    return type == DNN_U8 ? dnnl_u8 : type == DNN_S8 ? dnnl_s8 : dnnl_f32;
}

static struct dnn_layout *layout_tagged(int rank, const int64_t *dims, enum dnn_type type,
                                        dnnl_format_tag_t tag)
{
    dnnl_dims_t all;
    dnn_copy_dims(all, dims, rank, 0);
    struct dnn_layout *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
#if DNN_3
    dnnl_status_t status =
        dnnl_memory_desc_create_with_tag(&l->md, rank, all, data_type(type), tag);
#else
    dnnl_status_t status = dnnl_memory_desc_init_by_tag(&l->md, rank, all, data_type(type), tag);
#endif
    if (status == dnnl_success)
        return l;
    free(l);
    return NULL;
}

struct dnn_layout *dnn_layout_new(int rank, const int64_t *dims, enum dnn_form form)
{
    if (rank < 1 || rank > DNN_RANK_MAX)
        return NULL;
    return layout_tagged(rank, dims, DNN_F32,
                         form == DNN_ANY ? dnnl_format_tag_any : plain_tags[rank]);
}

static struct dnn_layout *layout_strided(int rank, const int64_t *dims, enum dnn_type type,
                                         const int64_t *strides)
{
    dnnl_dims_t all, steps;
    dnn_copy_dims(all, dims, rank, 0);
    dnn_copy_dims(steps, strides, rank, 0);
    struct dnn_layout *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
#if DNN_3
    dnnl_status_t status =
        dnnl_memory_desc_create_with_strides(&l->md, rank, all, data_type(type), steps);
#else
    dnnl_status_t status =
        dnnl_memory_desc_init_by_strides(&l->md, rank, all, data_type(type), steps);
#endif
    if (status == dnnl_success)
        return l;
    free(l);
    return NULL;
}

struct dnn_layout *dnn_layout_strided(int rank, const int64_t *dims, const int64_t *strides)
{
    return layout_strided(rank, dims, DNN_F32, strides);
}

struct dnn_layout *dnn_layout_copy(const struct dnn_layout *l)
{
    return dnn_layout_of(MD(l));
}

void dnn_layout_free(struct dnn_layout *l)
{
    if (!l)
        return;
#if DNN_3
    dnnl_memory_desc_destroy(l->md);
#endif
    free(l);
}

int dnn_block(void)
{
    return dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core ? 16 : 8;
}

struct dnn_layout *dnn_layout_blocked(int rank, const int64_t *dims)
{
    if (rank != 4)
        return NULL;
    return layout_tagged(rank, dims, DNN_F32, dnn_block() == 16 ? dnnl_nChw16c : dnnl_nChw8c);
}

/* The blocking of a layout, read the same way from both versions. */
struct blocks {
    int rank, inner_count;
    enum dnn_type type;
    dnnl_dims_t dims, padded, strides, inner_size, inner_dim;
    bool blocked; /* false: an opaque format */
    bool any;     /* not chosen yet */
};

static enum dnn_type type_of(dnnl_data_type_t type)
{
    return type == dnnl_u8 ? DNN_U8 : type == dnnl_s8 ? DNN_S8 : DNN_F32;
}

static struct blocks blocks_of(const struct dnn_layout *l)
{
    struct blocks b = { 0 };
#if DNN_3
    const dnnl_dims_t *dims, *padded, *strides, *sizes, *which;
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    dnnl_memory_desc_query(l->md, dnnl_query_format_kind, &kind);
    dnnl_data_type_t type = dnnl_f32;
    dnnl_memory_desc_query(l->md, dnnl_query_data_type, &type);
    b.type = type_of(type);
    b.any = kind == dnnl_format_kind_any;
    dnnl_memory_desc_query(l->md, dnnl_query_ndims_s32, &b.rank);
    dnnl_memory_desc_query(l->md, dnnl_query_dims, &dims);
    memcpy(b.dims, dims, sizeof b.dims);
    b.blocked = kind == dnnl_blocked;
    if (!b.blocked)
        return b;
    dnnl_memory_desc_query(l->md, dnnl_query_padded_dims, &padded);
    dnnl_memory_desc_query(l->md, dnnl_query_strides, &strides);
    dnnl_memory_desc_query(l->md, dnnl_query_inner_nblks_s32, &b.inner_count);
    memcpy(b.padded, padded, sizeof b.padded);
    memcpy(b.strides, strides, sizeof b.strides);
    if (!b.inner_count)
        return b;
    dnnl_memory_desc_query(l->md, dnnl_query_inner_blks, &sizes);
    dnnl_memory_desc_query(l->md, dnnl_query_inner_idxs, &which);
    memcpy(b.inner_size, sizes, sizeof b.inner_size);
    memcpy(b.inner_dim, which, sizeof b.inner_dim);
#else
    b.rank = l->md.ndims;
    b.type = type_of(l->md.data_type);
    b.any = l->md.format_kind == dnnl_format_kind_any;
    memcpy(b.dims, l->md.dims, sizeof b.dims);
    b.blocked = l->md.format_kind == dnnl_blocked;
    if (!b.blocked)
        return b;
    const dnnl_blocking_desc_t *from = &l->md.format_desc.blocking;
    memcpy(b.padded, l->md.padded_dims, sizeof b.padded);
    memcpy(b.strides, from->strides, sizeof b.strides);
    b.inner_count = from->inner_nblks;
    memcpy(b.inner_size, from->inner_blks, sizeof b.inner_size);
    memcpy(b.inner_dim, from->inner_idxs, sizeof b.inner_dim);
#endif
    return b;
}

bool dnn_layout_is_strided(const struct dnn_layout *l)
{
    struct blocks b = blocks_of(l);
    return b.blocked && b.inner_count == 0;
}

bool dnn_layout_is_channels_last(const struct dnn_layout *l)
{
    struct blocks b = blocks_of(l);
    if (!b.blocked || b.inner_count || b.rank < 2)
        return false;
    int64_t want = b.dims[1];
    bool same = b.strides[1] == 1 || b.dims[1] == 1;
    for (int d = b.rank - 1; d >= 0; d--) {
        if (d == 1)
            continue;
        same = same && (b.dims[d] == 1 || b.strides[d] == want);
        want *= b.dims[d];
    }
    return same;
}

int64_t dnn_layout_block(const struct dnn_layout *l)
{
    struct blocks b = blocks_of(l);
    if (!b.blocked || b.inner_count > 1 || (b.inner_count == 1 && b.inner_dim[0] != 1))
        return 0;
    /* Outer dims in row-major order, so that channel blocks follow one another. */
    int64_t want = b.inner_count ? b.inner_size[0] : 1;
    int64_t block = want;
    for (int d = b.rank - 1; d >= 0; d--) {
        int64_t size = d == 1 ? b.padded[d] / block : b.padded[d];
        if (size != 1 && b.strides[d] != want)
            return 0;
        want *= size;
    }
    return block;
}

bool dnn_layout_is_plain(const struct dnn_layout *l)
{
    struct blocks b = blocks_of(l);
    int64_t block = dnn_layout_block(l);
    if (block <= 1)
        return block == 1;
    int64_t behind = 1;
    for (int d = 2; d < b.rank; d++)
        behind *= b.dims[d];
    return behind == 1 && b.dims[1] % block == 0;
}

bool dnn_layout_same(const struct dnn_layout *a, const struct dnn_layout *b)
{
    if (dnnl_memory_desc_equal(MD(a), MD(b)))
        return true;
    struct blocks x = blocks_of(a), y = blocks_of(b);
    /* Weights may have sums behind them, which shows in the size. */
    return x.rank == y.rank && x.type == y.type &&
           memcmp(x.dims, y.dims, (size_t)x.rank * sizeof x.dims[0]) == 0 &&
           dnn_layout_is_plain(a) && dnn_layout_is_plain(b) &&
           dnn_layout_bytes(a) == dnn_layout_bytes(b);
}

/* Dims from the outermost to the innermost in memory. */
static void stride_order(const struct blocks *b, int order[DNN_RANK_MAX])
{
    for (int d = 0; d < b->rank; d++) {
        int k = d;
        for (; k > 0 && b->strides[order[k - 1]] < b->strides[d]; k--)
            order[k] = order[k - 1];
        order[k] = d;
    }
}

/* The blocks, or the order of dims, of b on other dims. */
static struct dnn_layout *layout_like(const struct blocks *b, int64_t block, const int64_t *dims,
                                      enum dnn_type type)
{
    static const struct {
        int64_t block;
        int rank;
        dnnl_format_tag_t tag;
    } blocked[] = {
        { 4, 3, dnnl_aBc4b },   { 4, 4, dnnl_aBcd4b },   { 4, 5, dnnl_aBcde4b },
        { 8, 3, dnnl_aBc8b },   { 8, 4, dnnl_aBcd8b },   { 8, 5, dnnl_aBcde8b },
        { 16, 3, dnnl_aBc16b }, { 16, 4, dnnl_aBcd16b }, { 16, 5, dnnl_aBcde16b },
    };
    for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++)
        if (blocked[i].block == block && blocked[i].rank == b->rank)
            return layout_tagged(b->rank, dims, type, blocked[i].tag);
    if (b->rank < 1 || b->rank > DNN_RANK_MAX)
        return NULL;
    if (!b->blocked || b->inner_count)
        return layout_tagged(b->rank, dims, type,
                             b->any ? dnnl_format_tag_any : plain_tags[b->rank]);
    int order[DNN_RANK_MAX];
    int64_t strides[DNN_RANK_MAX], size = 1;
    stride_order(b, order);
    for (int k = b->rank - 1; k >= 0; k--) {
        strides[order[k]] = size;
        size *= dims[order[k]];
    }
    return layout_strided(b->rank, dims, type, strides);
}

struct dnn_layout *dnn_layout_like(const struct dnn_layout *like, const int64_t *dims)
{
    struct blocks b = blocks_of(like);
    return layout_like(&b, dnn_layout_block(like), dims, b.type);
}

struct dnn_layout *dnn_layout_as(const struct dnn_layout *l, enum dnn_type type)
{
    struct blocks b = blocks_of(l);
    if (b.type == type)
        return dnn_layout_copy(l);
    if (b.any || !b.blocked || b.inner_count)
        return layout_like(&b, b.any ? 0 : dnn_layout_block(l), b.dims, type);
    return layout_strided(b.rank, b.dims, type, b.strides);
}

enum dnn_type dnn_layout_type(const struct dnn_layout *l)
{
    return blocks_of(l).type;
}

size_t dnn_layout_bytes(const struct dnn_layout *l)
{
    return dnnl_memory_desc_get_size(MD(l));
}

struct dnn_strides dnn_strides_of(const struct dnn_layout *l)
{
    struct blocks b = blocks_of(l);
    struct dnn_strides ret = { .rank = b.rank, .form = DNN_STRIDES_OPAQUE };
    if (b.blocked)
        ret.form = b.inner_count ? DNN_STRIDES_BLOCKED : DNN_STRIDES_ALL;
    for (int d = 0; d < b.rank && d < DNN_RANK_MAX; d++) {
        ret.dims[d] = b.dims[d];
        ret.strides[d] = b.strides[d];
    }
    return ret;
}

int dnn_layout_dims(const struct dnn_layout *l, int64_t ret[DNN_RANK_MAX])
{
    struct blocks b = blocks_of(l);
    for (int d = 0; d < b.rank && d < DNN_RANK_MAX; d++)
        ret[d] = b.dims[d];
    return b.rank;
}

size_t dnn_layout_row(const struct dnn_layout *l)
{
    struct blocks b = blocks_of(l);
    if (!b.blocked || b.inner_count || b.rank != 4 || b.dims[0] != 1)
        return 0;
    int64_t row = b.dims[1] * b.dims[3];
    return b.strides[2] == row ? (size_t)row * sizeof(float) : 0;
}
