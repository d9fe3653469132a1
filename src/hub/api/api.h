/* The dispatcher between the HTTP server and the handlers: authentication, routes, bodies. */
#pragma once

#include "net/http.h"

/* The server's callbacks; context is the hub. */
void api_on_headers(void *context, struct http_request *request);
void api_on_request(void *context, struct http_request *request);
