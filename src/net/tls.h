/* TLS without sockets: what keys and authorities a side has (struct tls_context), and one connection's cipher
 * (struct tls_session) between plain bytes and bytes for the wire. OpenSSL does it, TLS 1.2 or newer. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct tls_context;
struct tls_session;

/* A client that checks the server's certificate and name, against the system's authorities or those in ca_file (PEM). */
struct tls_context *tls_client_new(const char *ca_file, struct err *err);

/* A server with its certificate (chain) and key, PEM files. */
struct tls_context *tls_server_new(const char *cert_file, const char *key_file, struct err *err);

/* One more owner, who frees it too. NULL is ignored. */
struct tls_context *tls_context_ref(struct tls_context *context);

/* Sessions made of it live on. NULL is ignored. */
void tls_context_free(struct tls_context *context);

/* host: what the server must prove to be, a name or a numeric address; NULL for a server's side. NULL with err set. */
struct tls_session *tls_session_new(struct tls_context *context, const char *host, struct err *err);
void tls_session_free(struct tls_session *session);

/* Bytes from the wire. */
int tls_session_receive(struct tls_session *session, const char *bytes, size_t len, struct err *err) MUST_CHECK;

/* Goes on with the handshake; puts what must be sent into wire. *done when it is over. */
int tls_session_handshake(struct tls_session *session, struct buf *wire, bool *done, struct err *err) MUST_CHECK;

/* Plain bytes out: how many (> 0), 0 when more must be received, or an error. *ended when the peer said that it is done. */
long tls_session_read(struct tls_session *session, char *into, size_t size, struct buf *wire, bool *ended,
		      struct err *err) MUST_CHECK;

/* Plain bytes in, all of them, cipher into wire. After the handshake only. */
int tls_session_write(struct tls_session *session, const char *bytes, size_t len, struct buf *wire,
		      struct err *err) MUST_CHECK;

/* Says to the peer that nothing more comes. */
int tls_session_end(struct tls_session *session, struct buf *wire, struct err *err) MUST_CHECK;
