/* A self-signed certificate and its key, in two PEM files. */
#pragma once

enum { TLS_PAIR_BEGINS = 1700000000, TLS_PAIR_ENDS = 1900000000 }; /* seconds since 1970 */

void tls_pair_make(const char *name, const char *certificate_path, const char *key_path);
