/* Any bytes as a picture: decoded at full size and scaled, and prepared for a network. */
#include "data/preprocess.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct image_limits limits = { .max_pixels = 1 << 16 };
    const struct preprocess p = { .size = 32, .resize = 36, .std = { 1, 1, 1 } };
    static float tensor[3 * 32 * 32];
    struct preprocess_scratch *scratch;
    struct err e;
    if (preprocess_scratch_new(&scratch, &e) != ERR_OK)
        return 0;

    struct image img = { 0 };
    if (image_decode(data, size, &limits, 0, &img, &e) == ERR_OK) {
        if (img.width < 1 || img.height < 1 || img.width != img.full_width)
            abort();
        if (preprocess_run(&p, scratch, &img, 1, tensor, &e) != ERR_OK)
            abort();
        /* What decodes at full size decodes scaled. */
        if (image_decode(data, size, &limits, 8, &img, &e) != ERR_OK)
            abort();
        if (preprocess_run(&p, scratch, &img, 0, tensor, &e) != ERR_OK)
            abort();
        for (size_t i = 0; i < sizeof tensor / sizeof *tensor; i++)
            if (!(tensor[i] >= 0 && tensor[i] <= 255))
                abort();
    }
    image_fini(&img);
    preprocess_scratch_free(scratch);
    return 0;
}
