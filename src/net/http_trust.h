/* Whom the HTTP client believes when it speaks TLS, and what a person can do when it believes nobody. */
#pragma once

#include "base/err.h"

#include <curl/curl.h>
#include <stddef.h>

/* Nothing set: the system's authorities. A pin without ca_file: the pin alone counts, whoever signed, whatever the name.
 * Both: both. */
struct http_trust {
	const char *ca_file; /* PEM, instead of the system's; NULL or "": none */
	const char *pins;    /* "sha256//BASE64", several with ';' between: curl's CURLOPT_PINNEDPUBLICKEY; NULL or "" */
};

/* Checks of configuration keys. */
int http_trust_check_ca_file(const char *path, struct err *err);
int http_trust_check_pins(const char *pins, struct err *err);

/* Sets what a call needs for TLS. `trust` may be NULL; its texts are copied. */
CURLcode http_trust_apply(CURL *easy, const struct http_trust *trust);

/* What to do about a call that failed with `code`, and `text`, for the reasons of TLS; NULL for another failure. */
const char *http_trust_advice(CURL *easy, CURLcode code, const char *text);
