#include "api/openapi.h"

/* The source folder comes from the build, so that any build folder finds the files. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global " #name "\n"                                                                  \
            ".global " #name "_end\n" #name ":\n"                                                  \
            ".incbin \"" KENNEL_API_FOLDER "/" file "\"\n" #name "_end:\n"                         \
            ".byte 0\n"                                                                            \
            ".previous\n")

EMBED(openapi_json, "openapi.json");
EMBED(swagger_json, "swagger.json");
EMBED(docs_html, "docs/docs.html");
EMBED(docs_css, "docs/docs.css");
EMBED(docs_js, "docs/docs.js");
