/* What a TLS server shows and proves: a certificate with its chain, and the private key to it, from PEM files. Shared
 * by counting, so that handshakes under way keep the one that they began with when a newer one comes. */
#pragma once

#include "base/err.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdint.h>

struct tls_identity;

/* NULL with err set; the text names the file. A certificate past its time is not refused. */
struct tls_identity *tls_identity_load(const char *certificate_path, const char *key_path, struct err *err);

struct tls_identity *tls_identity_use(struct tls_identity *identity);
void tls_identity_drop(struct tls_identity *identity); /* NULL is ignored */

/* For one handshake; what is lent lives as long as the identity. */
void tls_identity_show(struct tls_identity *identity, gnutls_pcert_st **chain, unsigned *chain_len,
		       gnutls_privkey_t *key);

/* Whom it names ("CN=hub.example.org"), and from when until when it is good, in seconds since 1970. */
const char *tls_identity_name(const struct tls_identity *identity);
int64_t tls_identity_begins(const struct tls_identity *identity);
int64_t tls_identity_ends(const struct tls_identity *identity);

/* The pin of its public key, "sha256//BASE64", as curl writes it: the hash of the SubjectPublicKeyInfo (RFC 7469). */
const char *tls_identity_pin(const struct tls_identity *identity);
