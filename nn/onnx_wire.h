/* onnx_wire.h -- what must be known of protobuf bytes before they are unpacked.
 *
 * protobuf-c unpacks nested messages by recursion without a limit and allocates as the bytes
 * say; here the depth is counted with a stack of fixed size, and allocation has a cap. */
#ifndef KENNEL_ONNX_WIRE_H
#define KENNEL_ONNX_WIRE_H

#include "data/base/err.h"

#include <protobuf-c/protobuf-c.h>

enum { WIRE_DEPTH_MAX = 24 };

enum err_code wire_check(const ProtobufCMessageDescriptor *type, const void *bytes, size_t len,
                         struct err *e) MUST_USE;

/* An allocator that gives at most `left` bytes in all. What it gave may be freed with free(). */
struct wire_allocator {
    ProtobufCAllocator base;
    size_t left;
    bool refused; /* a request passed the cap */
    bool starved; /* there was no memory for one */
};
void wire_allocator_init(struct wire_allocator *a, size_t cap);

#endif
