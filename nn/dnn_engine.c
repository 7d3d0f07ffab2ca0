/* The engine and the thread that it runs on. */
#include "nn/dnn_parts.h"

#include <omp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

int dnn_thread_enter(void)
{
    int saved = omp_get_max_threads();
    omp_set_num_threads(1);
    return saved;
}

void dnn_thread_leave(int saved)
{
    omp_set_num_threads(saved);
}

enum err_code dnn_engine_new(struct dnn_engine **ret, struct err *e)
{
    struct dnn_engine *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, ERR_NOMEM, "no memory for an engine");
    dnnl_status_t status = dnnl_engine_create(&d->engine, dnnl_cpu, 0);
    if (status != dnnl_success) {
        free(d);
        return err_set(e, status == dnnl_out_of_memory ? ERR_NOMEM : ERR_DNN,
                       "oneDNN refused an engine: status %d", (int)status);
    }
    *ret = d;
    return ERR_OK;
}

void dnn_engine_free(struct dnn_engine *d)
{
    if (!d)
        return;
    dnnl_engine_destroy(d->engine);
    free(d);
}

static const char *isa_text(void)
{
    /* The names are those of the ONEDNN_MAX_CPU_ISA variable. */
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "other";
    }
}

/* Counts what changes the bits of a result although oneDNN and the processor are the same. */
enum { REVISION = 2 };

static char engine_text[64];

static void write_engine_text(void)
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(engine_text, sizeof engine_text, "onednn-%d.%d.%d %s %d", v->major, v->minor, v->patch,
             isa_text(), REVISION);
}

const char *dnn_engine_text(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, write_engine_text);
    return engine_text;
}
