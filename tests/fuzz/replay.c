/* Runs a fuzz target over every file of a folder, so that what a fuzzer once found stays
 * found in every build: replay FOLDER. An absent or empty folder is a failure. */
#include "data/base/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/base/cleanup.h"

enum { FILE_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly the file's size, so that a sanitizer sees the first byte read behind it. */
static bool replay_file(const char *folder, const char *name)
{
    CLEANUP(cleanup_free) char *path = NULL;
    struct err e;
    struct buf content;
    buf_init(&content, FILE_MAX);
    bool ok = file_path(&path, &e, "%s/%s", folder, name) == ERR_OK &&
              file_read(path, &content, &e) == ERR_OK;
    uint8_t *exact = ok ? malloc(content.len ? content.len : 1) : NULL;
    if (exact) {
        if (content.len)
            memcpy(exact, content.data, content.len);
        (void)LLVMFuzzerTestOneInput(exact, content.len);
    } else {
        fprintf(stderr, "%s/%s: %s\n", folder, name, ok ? "no memory" : e.message);
    }
    ok = exact != NULL;
    free(exact);
    buf_fini(&content);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (!folder) {
        perror(argv[1]);
        return 1;
    }
    int count = 0;
    bool ok = true;
    for (struct dirent *entry; ok && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.')
            continue;
        ok = replay_file(argv[1], entry->d_name);
        count++;
    }
    closedir(folder);
    printf("%d inputs\n", count);
    if (count == 0)
        fprintf(stderr, "%s: no inputs\n", argv[1]);
    return ok && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
