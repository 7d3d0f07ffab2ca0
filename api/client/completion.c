/* Completion for the shell, made from the very tables that the client finds its commands in. */
#include "api/client/command.h"

#include <stdio.h>
#include <string.h>

static void print_flags(const struct flag *flags)
{
    for (; flags && flags->name; flags++)
        printf(" --%s", flags->name);
}

/* A noun stands once for each of its verbs: the first one counts. */
static bool is_first(const struct command *c)
{
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *other = *table; other->noun; other++)
            if (strcmp(other->noun, c->noun) == 0)
                return other == c;
    return true;
}

static void print_nouns(void)
{
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *c = *table; c->noun; c++)
            if (is_first(c))
                printf(" %s", c->noun);
}

static void print_verbs(const char *noun)
{
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *c = *table; c->noun; c++)
            if (c->verb && strcmp(c->noun, noun) == 0)
                printf(" %s", c->verb);
}

static enum outcome bash(struct client *client, const struct args *a)
{
    (void)client, (void)a;
    printf("# bash completion for kennel\n"
           "_kennel()\n"
           "{\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words= flags=\"");
    print_flags(global_flags);
    printf("\"\n    case $COMP_CWORD in\n    1) words=\"");
    print_nouns();
    printf("\" ;;\n    2)\n        case ${COMP_WORDS[1]} in\n");
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *c = *table; c->noun; c++)
            if (c->verb && is_first(c)) {
                printf("        %s) words=\"", c->noun);
                print_verbs(c->noun);
                printf("\" ;;\n");
            }
    printf("        esac ;;\n    esac\n"
           "    case \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
    for (const struct command *const *table = command_tables; *table; table++)
        for (const struct command *c = *table; c->noun; c++)
            if (c->flags) {
                printf("    \"%s %s\"%s) flags+=\"", c->noun, c->verb ? c->verb : "",
                       c->verb ? "" : "*");
                print_flags(c->flags);
                printf("\" ;;\n");
            }
    printf("    esac\n"
           "    if [[ $word == -* ]]; then\n"
           "        words=$flags\n"
           "    fi\n"
           "    if [[ $words ]]; then\n"
           "        COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "    else\n"
           "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
           "    fi\n"
           "}\n"
           "complete -o filenames -F _kennel kennel\n");
    return DONE;
}

const struct command commands_completion[] = {
    { "completion", "bash", "", 0, 0, NULL, bash, "Print completion for the shell" },
    { 0 },
};
