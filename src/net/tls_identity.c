/* Owns the reading and matching of a certificate and its key. Called by the hub at start, at a reload, and when the
 * configuration is checked, and by the HTTP server at each handshake; never opens a connection, and never lets a byte
 * of a key into a message. */
#include "net/tls_identity.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILE_MAX_BYTES = 256 * 1024,
	CHAIN_MAX = 16,
	NAME_SIZE = 256,
	HASH_BYTES = 32,
	PIN_SIZE = 64, /* "sha256//" and 44 characters */
};

struct tls_identity {
	unsigned uses;
	gnutls_pcert_st chain[CHAIN_MAX]; /* its own certificate first */
	unsigned chain_len;
	gnutls_privkey_t key;
	char name[NAME_SIZE];
	int64_t begins, ends;
	char pin[PIN_SIZE];
};

/* ---- reading ---- */

static int read_chain(struct tls_identity *identity, const char *path, const struct buf *text, struct err *err)
{
	gnutls_datum_t pem = {.data = (unsigned char *)text->data, .size = (unsigned)text->len};
	unsigned len = CHAIN_MAX;
	int rc = gnutls_pcert_list_import_x509_raw(identity->chain, &len, &pem, GNUTLS_X509_FMT_PEM,
						   GNUTLS_X509_CRT_LIST_SORT |
							   GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
	if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER)
		return err_set(err, ERR_TOO_BIG, "%s holds more than %d certificates", path, CHAIN_MAX);
	if (rc < 0 || len == 0)
		return err_set(err, ERR_INVALID, "%s holds no certificate in PEM form that can be read: %s", path,
			       gnutls_strerror(rc < 0 ? rc : GNUTLS_E_NO_CERTIFICATE_FOUND));
	identity->chain_len = len;
	return 0;
}

static int read_key(struct tls_identity *identity, const char *path, const struct buf *text, struct err *err)
{
	gnutls_datum_t pem = {.data = (unsigned char *)text->data, .size = (unsigned)text->len};
	if (gnutls_privkey_init(&identity->key))
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = gnutls_privkey_import_x509_raw(identity->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc == GNUTLS_E_DECRYPTION_FAILED)
		return err_set(err, ERR_INVALID, "the key in %s is locked with a password; "
			       "unlock it with \"openssl pkey -in FILE -out NEWFILE\"", path);
	if (rc < 0)
		return err_set(err, ERR_INVALID, "%s holds no private key in PEM form that can be read: %s", path,
			       gnutls_strerror(rc));
	return 0;
}

static int read_files(struct tls_identity *identity, const char *certificate_path, const char *key_path, struct err *err)
{
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int rc = file_read(certificate_path, &text, err);
	if (!rc)
		rc = read_chain(identity, certificate_path, &text, err);
	buf_done(&text);
	if (rc) {
		(void)err_wrap(err, "tls_cert");
		return rc;
	}
	buf_init(&text, FILE_MAX_BYTES);
	rc = file_read(key_path, &text, err);
	if (!rc)
		rc = read_key(identity, key_path, &text, err);
	buf_done(&text);
	if (rc)
		(void)err_wrap(err, "tls_key");
	return rc;
}

/* ---- what it says ---- */

static int hash_of(gnutls_pubkey_t key, unsigned char hash[HASH_BYTES])
{
	size_t size = HASH_BYTES;
	return gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, hash, &size);
}

static int match(struct tls_identity *identity, const char *certificate_path, const char *key_path, struct err *err)
{
	unsigned char shown[HASH_BYTES];
	unsigned char proven[HASH_BYTES];
	gnutls_pubkey_t of_key;
	if (gnutls_pubkey_init(&of_key))
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = gnutls_pubkey_import_privkey(of_key, identity->key, 0, 0);
	if (!rc)
		rc = hash_of(of_key, proven);
	gnutls_pubkey_deinit(of_key);
	if (!rc)
		rc = hash_of(identity->chain[0].pubkey, shown);
	if (rc)
		return err_set(err, ERR_INVALID, "tls_key: %s: %s", key_path, gnutls_strerror(rc));
	if (memcmp(shown, proven, HASH_BYTES) != 0)
		return err_set(err, ERR_INVALID, "tls_key: the key in %s does not fit the certificate in %s", key_path,
			       certificate_path);

	const gnutls_datum_t bytes = {.data = shown, .size = HASH_BYTES};
	gnutls_datum_t base64 = {0};
	if (gnutls_base64_encode2(&bytes, &base64))
		return err_set(err, ERR_NOMEM, "out of memory");
	(void)snprintf(identity->pin, sizeof(identity->pin), "sha256//%.*s", (int)base64.size, (const char *)base64.data);
	gnutls_free(base64.data);
	return 0;
}

static int read_certificate(struct tls_identity *identity, struct err *err)
{
	gnutls_x509_crt_t certificate;
	gnutls_datum_t name = {0};
	int rc = gnutls_pcert_export_x509(&identity->chain[0], &certificate);
	if (rc)
		return err_set(err, ERR_INVALID, "tls_cert: %s", gnutls_strerror(rc));
	identity->begins = gnutls_x509_crt_get_activation_time(certificate);
	identity->ends = gnutls_x509_crt_get_expiration_time(certificate);
	if (gnutls_x509_crt_get_dn3(certificate, &name, 0) == 0)
		text_copy(identity->name, sizeof(identity->name), (const char *)name.data);
	gnutls_free(name.data);
	gnutls_x509_crt_deinit(certificate);
	return 0;
}

/* ---- life ---- */

struct tls_identity *tls_identity_load(const char *certificate_path, const char *key_path, struct err *err)
{
	struct tls_identity *identity = calloc(1, sizeof(*identity));
	if (!identity) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	identity->uses = 1;
	int rc = read_files(identity, certificate_path, key_path, err);
	if (!rc)
		rc = match(identity, certificate_path, key_path, err);
	if (!rc)
		rc = read_certificate(identity, err);
	if (!rc)
		return identity;
	tls_identity_drop(identity);
	return NULL;
}

struct tls_identity *tls_identity_use(struct tls_identity *identity)
{
	identity->uses++;
	return identity;
}

void tls_identity_drop(struct tls_identity *identity)
{
	if (!identity || --identity->uses > 0)
		return;
	for (unsigned i = 0; i < identity->chain_len; i++)
		gnutls_pcert_deinit(&identity->chain[i]);
	if (identity->key)
		gnutls_privkey_deinit(identity->key);
	free(identity);
}

void tls_identity_show(struct tls_identity *identity, gnutls_pcert_st **chain, unsigned *chain_len,
		       gnutls_privkey_t *key)
{
	*chain = identity->chain;
	*chain_len = identity->chain_len;
	*key = identity->key;
}

const char *tls_identity_name(const struct tls_identity *identity)
{
	return identity->name;
}

int64_t tls_identity_begins(const struct tls_identity *identity)
{
	return identity->begins;
}

int64_t tls_identity_ends(const struct tls_identity *identity)
{
	return identity->ends;
}

const char *tls_identity_pin(const struct tls_identity *identity)
{
	return identity->pin;
}
