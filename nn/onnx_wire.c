#include "nn/onnx_wire.h"

#include <stdint.h>
#include <stdlib.h>

static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        if (*at == end)
            return false;
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128)) {
            *ret = value;
            return true;
        }
    }
    return false;
}

struct level {
    const ProtobufCMessageDescriptor *type;
    const uint8_t *end;
};

/* Steps over one field, or into it when it is a message. */
static bool next_field(const uint8_t **at, struct level *levels, int *depth)
{
    const struct level *here = &levels[*depth];
    uint64_t tag, size = 0;
    if (!read_varint(at, here->end, &tag))
        return false;
    switch (tag & 7) {
    case 0:
        return read_varint(at, here->end, &size);
    case 1:
        size = 8;
        break;
    case 2:
        if (!read_varint(at, here->end, &size))
            return false;
        break;
    case 5:
        size = 4;
        break;
    default:
        return false;
    }
    if (size > (uint64_t)(here->end - *at) || tag >> 3 > UINT32_MAX)
        return false;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(here->type, (unsigned)(tag >> 3));
    if ((tag & 7) == 2 && field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
        if (++*depth < WIRE_DEPTH_MAX)
            levels[*depth] = (struct level){ field->descriptor, *at + size };
        return true;
    }
    *at += size;
    return true;
}

enum err_code wire_check(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len,
                         struct err *e)
{
    const uint8_t *at = bytes;
    struct level levels[WIRE_DEPTH_MAX] = { { type, at + len } };
    int depth = 0;
    while (depth >= 0) {
        if (at == levels[depth].end) {
            depth--;
            continue;
        }
        if (!next_field(&at, levels, &depth))
            return err_set(e, ERR_ONNX_SYNTAX, "not ONNX: not protobuf at byte %zu of %zu",
                           (size_t)(at - (const uint8_t *)bytes), len);
        if (depth == WIRE_DEPTH_MAX)
            return err_set(e, ERR_ONNX_LIMIT, "messages nested deeper than %d levels",
                           WIRE_DEPTH_MAX);
    }
    return ERR_OK;
}

static void *capped_alloc(void *data, size_t size)
{
    struct wire_allocator *a = data;
    if (size > a->left) {
        a->refused = true;
        return NULL;
    }
    a->left -= size;
    void *p = malloc(size ? size : 1);
    a->starved = a->starved || !p;
    return p;
}

static void capped_free(void *data, void *p)
{
    (void)data;
    free(p);
}

void wire_allocator_init(struct wire_allocator *a, size_t cap)
{
    *a = (struct wire_allocator){ .base = { capped_alloc, capped_free, a }, .left = cap };
}
