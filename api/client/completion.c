/* Completion for shells, made from the very tables that the client finds its commands in. */
#include "api/client/command.h"

#include <stdio.h>
#include <string.h>

/* Each command in turn. */
#define EACH_COMMAND(c)                                                                            \
    for (const struct command *const *table = command_tables; *table; table++)                     \
        for (const struct command *c = *table; c->noun; c++)

static void print_flags(const struct flag *flags)
{
    for (; flags && flags->name; flags++)
        printf(" --%s", flags->name);
}

static bool has_value_flag(const struct flag *flags, const char *name)
{
    for (; flags && flags->name; flags++)
        if (flags->value && strcmp(flags->name, name) == 0)
            return true;
    return false;
}

/* A noun stands once for each of its verbs: the first one counts. */
static bool is_first(const struct command *c)
{
    EACH_COMMAND(other)
    if (strcmp(other->noun, c->noun) == 0)
        return other == c;
    return true;
}

static bool is_first_with(const struct command *c, const char *flag)
{
    EACH_COMMAND(other)
    if (has_value_flag(other->flags, flag))
        return other == c;
    return true;
}

static const struct command *find(const char *noun, const char *verb)
{
    EACH_COMMAND(c)
    if (c->verb && strcmp(c->noun, noun) == 0 && strcmp(c->verb, verb) == 0)
        return c;
    return NULL;
}

/* Whose list, which begins with what names them, has the first argument; NULL: nobody's. */
static const char *listed(const struct command *c)
{
    static const char *const makers[] = { "create", "add" };
    if (strncmp(c->usage, "MODEL", 5) == 0)
        return "model";
    bool names = strncmp(c->usage, "NAME", 4) == 0 || strncmp(c->usage, "ID", 2) == 0;
    for (size_t i = 0; c->verb && i < sizeof makers / sizeof *makers; i++)
        names = names && strcmp(c->verb, makers[i]) != 0;
    return names && find(c->noun, "list") ? c->noun : NULL;
}

static void print_nouns(void)
{
    EACH_COMMAND(c)
    if (is_first(c))
        printf(" %s", c->noun);
}

static void print_verbs(const char *noun)
{
    EACH_COMMAND(c)
    if (c->verb && strcmp(c->noun, noun) == 0)
        printf(" %s", c->verb);
}

/* As a pattern of `case`. */
static void print_value_flags(void)
{
    const char *separator = "";
    for (const struct flag *f = global_flags; f->name; f++)
        if (f->value) {
            printf("%s--%s", separator, f->name);
            separator = " | ";
        }
    EACH_COMMAND(c)
    for (const struct flag *f = c->flags; f && f->name; f++)
        if (f->value && is_first_with(c, f->name))
            printf("%s--%s", separator, f->name);
}

/* The word before the cursor is sorted as the client sorts its own: flags and their values may
 * stand anywhere. Bash makes three words of a URL with a port. */
static void print_sorting(void)
{
    printf("    for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "        case ${COMP_WORDS[i]} in\n        ");
    print_value_flags();
    printf(")\n"
           "            ((i++))\n"
           "            while [[ $i -lt $COMP_CWORD && ${COMP_WORDS[i+1]} == [:=] ]]; do ((i += "
           "2)); done\n"
           "            [[ $i -ge $COMP_CWORD ]] && value=1 ;;\n"
           "        -*) ;;\n"
           "        *)\n"
           "            if [[ ! $noun ]]; then noun=${COMP_WORDS[i]}\n"
           "            elif [[ ! $verb ]]; then verb=${COMP_WORDS[i]}\n"
           "            else more=1; fi ;;\n"
           "        esac\n"
           "    done\n");
}

/* What a noun's verbs are, and for each command its flags and whose names it takes. */
static void print_cases(void)
{
    printf("    case $noun in\n");
    EACH_COMMAND(c)
    if (c->verb && is_first(c)) {
        printf("    %s) verbs=\"", c->noun);
        print_verbs(c->noun);
        printf("\" ;;\n");
    }
    printf("    esac\n"
           "    [[ $noun && ! $verbs ]] && { [[ $verb ]] && more=1; verb=-; }\n"
           "    case \"$noun $verb\" in\n");
    EACH_COMMAND(c)
    if (c->flags || listed(c)) {
        printf("    \"%s %s\")", c->noun, c->verb ? c->verb : "-");
        if (listed(c))
            printf(" list=%s", listed(c));
        printf(" flags+=\"");
        print_flags(c->flags);
        printf("\" ;;\n");
    }
    printf("    esac\n");
}

static enum outcome bash(struct client *client, const struct args *a)
{
    (void)client, (void)a;
    printf(
        "# completion for kennel\n"
        "_kennel()\n"
        "{\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} noun= verb= verbs= more= value= list= words= i\n"
        "    local flags=\"");
    print_flags(global_flags);
    printf("\"\n");
    print_sorting();
    print_cases();
    printf("    if [[ $value ]]; then\n"
           "        words=\n"
           "    elif [[ $word == -* ]]; then\n"
           "        words=$flags\n"
           "    elif [[ ! $noun ]]; then\n"
           "        words=\"");
    print_nouns();
    printf("\"\n"
           "    elif [[ ! $verb ]]; then\n"
           "        words=$verbs\n"
           "    elif [[ $list && ! $more ]]; then\n"
           "        words=$(kennel $list list 2>/dev/null | sed '1d; s/ .*//')\n"
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

/* zsh reads bash's own. As a file of its path of functions it is called for the first completion,
 * which it then has to make as well. */
static enum outcome zsh(struct client *client, const struct args *a)
{
    printf("#compdef kennel\n"
           "autoload -U +X compinit bashcompinit\n"
           "(( $+functions[compdef] )) || compinit\n"
           "bashcompinit\n");
    enum outcome outcome = bash(client, a);
    printf("if [[ $funcstack[1] == _kennel ]]; then\n"
           "    _bash_complete -o filenames -F _kennel\n"
           "fi\n");
    return outcome;
}

const struct command commands_completion[] = {
    { "completion", "bash", "", 0, 0, NULL, bash, "Print completion for bash" },
    { "completion", "zsh", "", 0, 0, NULL, zsh, "Print completion for zsh" },
    { 0 },
};
