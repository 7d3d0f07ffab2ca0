/* openapi.h -- the descriptions that the server gives of itself: OpenAPI 3.1 of every route, and
 * Swagger 2.0 of the workshop's, and the page that shows the former. They are files of this folder,
 * assembled into the program. */
#ifndef KENNEL_OPENAPI_H
#define KENNEL_OPENAPI_H

extern const char openapi_json[], openapi_json_end[];
extern const char swagger_json[], swagger_json_end[];
extern const char docs_html[], docs_html_end[];
extern const char docs_css[], docs_css_end[];
extern const char docs_js[], docs_js_end[];

#endif
