/* What was trained as an ONNX file: the graph as it was read, with the parameters' present numbers.
 */
#include "nn/learner_parts.h"

#include "data/base/cleanup.h"
#include "data/base/file.h"

#include <stdlib.h>
#include <string.h>

/* A graph that differs from the network's in some values and in the inputs of some nodes. */
struct changed {
    struct network network; /* all else is borrowed */
    int before;             /* values of the network; those behind have names of their own */
    int **in;               /* owned, [node_count], each owned: inputs of changed nodes, or NULL */
};

static void changed_fini(struct changed *x)
{
    struct graph *g = &x->network.graph;
    for (int v = x->before; g->values && v < g->value_count; v++)
        free(g->values[v].name);
    for (int i = 0; x->in && i < g->node_count; i++)
        free(x->in[i]);
    free(x->in);
    free(g->values);
    free(g->nodes);
}

static enum err_code no_memory(struct err *e)
{
    return err_set(e, ERR_NOMEM, "no memory to write the network");
}

static enum err_code copy_graph(const struct learner *l, struct changed *ret, struct err *e)
{
    const struct graph *from = &l->network->graph;
    size_t values = (size_t)from->value_count, nodes = (size_t)from->node_count;
    ret->network = *l->network;
    ret->before = from->value_count;
    struct graph *g = &ret->network.graph;
    g->values = calloc(values + (size_t)l->param_count, sizeof *g->values);
    g->nodes = calloc(nodes + 1, sizeof *g->nodes);
    ret->in = calloc(nodes + 1, sizeof *ret->in);
    if (!g->values || !g->nodes || !ret->in)
        return no_memory(e);
    memcpy(g->values, from->values, values * sizeof *g->values);
    memcpy(g->nodes, from->nodes, nodes * sizeof *g->nodes);
    return ERR_OK;
}

/* Use u reads value v instead. */
static enum err_code rewire(const struct learner *l, const struct learner_use *u, int v,
                            struct changed *x, struct err *e)
{
    size_t at = (size_t)(u->node - l->network->graph.nodes), count = (size_t)u->node->in_count;
    if (!x->in[at]) {
        x->in[at] = calloc(count, sizeof *x->in[at]);
        if (!x->in[at])
            return no_memory(e);
        memcpy(x->in[at], u->node->in, count * sizeof *x->in[at]);
        x->network.graph.nodes[at].in = x->in[at];
    }
    x->in[at][u->slot] = v;
    return ERR_OK;
}

/* Parameter i becomes an initialiser of its own. */
static enum err_code add_initialiser(const struct learner *l, int i, struct changed *x,
                                     struct err *e)
{
    struct graph *g = &x->network.graph;
    struct value *v = &g->values[g->value_count];
    CLEANUP(cleanup_free) char *name = NULL;
    const char *wish = l->params[i].name;
    do { /* i is another one each time: no two new names are the same */
        char *longer = NULL;
        enum err_code r = file_path(&longer, e, "%s.%d", name ? name : wish, i);
        if (r)
            return r;
        free(name);
        name = longer;
    } while (graph_find(&l->network->graph, name) >= 0);
    *v = g->values[l->initialisers[i]];
    v->constant.data = l->params[i].value;
    v->name = STEAL(name);
    int at = g->value_count++;
    for (int u = 0; u < l->use_count; u++) {
        enum err_code r = l->uses[u].param == i ? rewire(l, &l->uses[u], at, x, e) : ERR_OK;
        if (r)
            return r;
    }
    return ERR_OK;
}

enum err_code learner_export(const struct learner *l, const struct network_meta_pair *meta,
                             size_t meta_count, struct buf *ret, struct err *e)
{
    CLEANUP(changed_fini) struct changed x = { 0 };
    const float *head[2] = { NULL, NULL };
    enum err_code r = copy_graph(l, &x, e);
    for (int i = 0; i < l->param_count && !r; i++) {
        if (l->params[i].head)
            head[head[0] != NULL] = l->params[i].value;
        else if (l->users[i] != l->roles[l->initialisers[i]].readers)
            r = add_initialiser(l, i, &x, e);
        else
            x.network.graph.values[l->initialisers[i]].constant.data = l->params[i].value;
    }
    return r ? r
             : network_export(&x.network, l->feature, head[0], head[1], l->classes, meta,
                              meta_count, ret, e);
}
