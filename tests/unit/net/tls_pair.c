/* Owns the making of certificates for the unit tests, by GnuTLS itself. Never kept anywhere: each test makes its own. */
#include "tls_pair.h"

#include "../support.h"

#include <gnutls/x509.h>
#include <string.h>

static void write_pem(const char *path, const gnutls_datum_t *pem)
{
	char text[8192];
	assert_in_range(pem->size, 1, sizeof(text) - 1);
	memcpy(text, pem->data, pem->size);
	text[pem->size] = '\0';
	write_file(path, text);
	gnutls_free(pem->data);
}

void tls_pair_make(const char *name, const char *certificate_path, const char *key_path)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
	gnutls_datum_t pem;
	assert_int_equal(gnutls_x509_privkey_init(&key), 0);
	assert_int_equal(gnutls_x509_privkey_generate(key, GNUTLS_PK_EC, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
			 0);
	assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
	assert_int_equal(gnutls_x509_crt_set_version(certificate, 3), 0);
	assert_int_equal(gnutls_x509_crt_set_serial(certificate, "\x01", 1), 0);
	assert_int_equal(gnutls_x509_crt_set_dn(certificate, name, NULL), 0);
	assert_int_equal(gnutls_x509_crt_set_activation_time(certificate, TLS_PAIR_BEGINS), 0);
	assert_int_equal(gnutls_x509_crt_set_expiration_time(certificate, TLS_PAIR_ENDS), 0);
	assert_int_equal(gnutls_x509_crt_set_key(certificate, key), 0);
	assert_int_equal(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
	assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &pem), 0);
	write_pem(certificate_path, &pem);
	assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem), 0);
	write_pem(key_path, &pem);
	gnutls_x509_crt_deinit(certificate);
	gnutls_x509_privkey_deinit(key);
}
