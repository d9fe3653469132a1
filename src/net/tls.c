/* Owns OpenSSL: contexts (keys, authorities) and sessions between memory buffers. Called by the stream alone (contexts also
 * by whoever reads the configuration); never touches a socket, never blocks. */

/* OpenSSL has a type of this name, which nobody needs; ours is an error code. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "net/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>

struct tls_session {
	SSL *ssl;
	BIO *in;  /* from the wire; the SSL's */
	BIO *out; /* for the wire; the SSL's */
};

/* A tls_context is an SSL_CTX under another name: it counts its references itself. */
static SSL_CTX *ssl_ctx(struct tls_context *context)
{
	return (SSL_CTX *)context;
}

/* "<what>: <OpenSSL's reason>". The reasons are texts of OpenSSL, never the peer's. */
static int fail(struct err *err, enum err_code code, const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;
	ERR_clear_error();
	return err_set(err, code, reason ? "%s: %s" : "%s", what, reason);
}

static struct tls_context *context_new(const SSL_METHOD *method, struct err *err)
{
	ERR_clear_error();
	SSL_CTX *ctx = SSL_CTX_new(method);
	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) {
		(void)fail(err, ERR_NOMEM, "TLS could not start");
		SSL_CTX_free(ctx);
		return NULL;
	}
	/* Buffers only while they hold something: many connections are idle. */
	(void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	return (struct tls_context *)ctx;
}

struct tls_context *tls_client_new(const char *ca_file, struct err *err)
{
	struct tls_context *context = context_new(TLS_client_method(), err);
	if (!context)
		return NULL;
	SSL_CTX_set_verify(ssl_ctx(context), SSL_VERIFY_PEER, NULL);
	bool ok = ca_file ? SSL_CTX_load_verify_locations(ssl_ctx(context), ca_file, NULL) == 1
			  : SSL_CTX_set_default_verify_paths(ssl_ctx(context)) == 1;
	if (ok)
		return context;
	(void)fail(err, ERR_INVALID, "cannot read the certificates of the authorities");
	if (ca_file)
		(void)err_wrap(err, "%s", ca_file);
	tls_context_free(context);
	return NULL;
}

struct tls_context *tls_server_new(const char *cert_file, const char *key_file, struct err *err)
{
	struct tls_context *context = context_new(TLS_server_method(), err);
	if (!context)
		return NULL;
	const char *broken = NULL;
	if (SSL_CTX_use_certificate_chain_file(ssl_ctx(context), cert_file) != 1)
		broken = cert_file;
	else if (SSL_CTX_use_PrivateKey_file(ssl_ctx(context), key_file, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(ssl_ctx(context)) != 1)
		broken = key_file;
	if (!broken)
		return context;
	(void)fail(err, ERR_INVALID, broken == cert_file ? "cannot read the certificate" : "cannot use the key");
	(void)err_wrap(err, "%s", broken);
	tls_context_free(context);
	return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	if (context)
		(void)SSL_CTX_up_ref(ssl_ctx(context));
	return context;
}

void tls_context_free(struct tls_context *context)
{
	SSL_CTX_free(ssl_ctx(context));
}

/* ---- sessions ---- */

static bool expect_host(SSL *ssl, const char *host)
{
	struct in6_addr address;
	bool numeric = inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
	if (numeric)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	/* What SSL_set_tlsext_host_name means, without casting its const away in our file. */
	return SSL_set1_host(ssl, host) == 1 && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
							 (void *)(uintptr_t)host) == 1;
}

struct tls_session *tls_session_new(struct tls_context *context, const char *host, struct err *err)
{
	ERR_clear_error();
	struct tls_session *session = calloc(1, sizeof(*session));
	SSL *ssl = session ? SSL_new(ssl_ctx(context)) : NULL;
	BIO *in = ssl ? BIO_new(BIO_s_mem()) : NULL;
	BIO *out = in ? BIO_new(BIO_s_mem()) : NULL;
	if (!out || (host && !expect_host(ssl, host))) {
		(void)fail(err, ERR_NOMEM, "a TLS session could not start");
		BIO_free(in);
		BIO_free(out);
		SSL_free(ssl);
		free(session);
		return NULL;
	}
	SSL_set_bio(ssl, in, out);
	if (host)
		SSL_set_connect_state(ssl);
	else
		SSL_set_accept_state(ssl);
	*session = (struct tls_session){.ssl = ssl, .in = in, .out = out};
	return session;
}

void tls_session_free(struct tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	free(session);
}

int tls_session_receive(struct tls_session *session, const char *bytes, size_t len, struct err *err)
{
	assert(len <= INT_MAX);
	if (len == 0 || BIO_write(session->in, bytes, (int)len) == (int)len)
		return 0;
	return fail(err, ERR_NOMEM, "out of memory");
}

/* What OpenSSL made for the wire. */
static int move_out(struct tls_session *session, struct buf *wire, struct err *err)
{
	char *bytes = NULL;
	long len = BIO_get_mem_data(session->out, &bytes);
	if (len <= 0)
		return 0;
	int rc = buf_add(wire, bytes, (size_t)len);
	(void)BIO_reset(session->out);
	return rc ? err_set(err, rc, "no room for what must be sent") : 0;
}

/* Why a handshake failed, for people. */
static int explain_handshake(const struct tls_session *session, struct err *err)
{
	long verified = SSL_get_verify_result(session->ssl);
	if (verified != X509_V_OK) {
		ERR_clear_error();
		return err_set(err, ERR_DENIED, "the certificate is not trusted: %s",
			       X509_verify_cert_error_string(verified));
	}
	return fail(err, ERR_PROTOCOL, "the TLS handshake failed");
}

int tls_session_handshake(struct tls_session *session, struct buf *wire, bool *done, struct err *err)
{
	ERR_clear_error();
	*done = false;
	int result = SSL_do_handshake(session->ssl);
	int why = SSL_get_error(session->ssl, result);
	int rc = move_out(session, wire, err); /* an alert too, when it failed */
	if (rc)
		return rc;
	*done = result == 1;
	if (*done || why == SSL_ERROR_WANT_READ)
		return 0;
	return explain_handshake(session, err);
}

long tls_session_read(struct tls_session *session, char *into, size_t size, struct buf *wire, bool *ended, struct err *err)
{
	assert(size > 0 && size <= INT_MAX);
	ERR_clear_error();
	*ended = false;
	int len = SSL_read(session->ssl, into, (int)size);
	int why = SSL_get_error(session->ssl, len);
	int rc = move_out(session, wire, err); /* answers to key updates */
	if (rc)
		return rc;
	if (len > 0)
		return len;
	*ended = why == SSL_ERROR_ZERO_RETURN;
	if (*ended || why == SSL_ERROR_WANT_READ)
		return 0;
	return fail(err, ERR_PROTOCOL, "TLS failed");
}

int tls_session_write(struct tls_session *session, const char *bytes, size_t len, struct buf *wire, struct err *err)
{
	ERR_clear_error();
	while (len > 0) {
		int part = len > INT_MAX ? INT_MAX : (int)len;
		int written = SSL_write(session->ssl, bytes, part);
		if (written <= 0)
			return fail(err, ERR_PROTOCOL, "TLS failed");
		bytes += written;
		len -= (size_t)written;
		int rc = move_out(session, wire, err);
		if (rc)
			return rc;
	}
	return 0;
}

int tls_session_end(struct tls_session *session, struct buf *wire, struct err *err)
{
	ERR_clear_error();
	(void)SSL_shutdown(session->ssl); /* 0: the peer's own end is not waited for */
	ERR_clear_error();
	return move_out(session, wire, err);
}
