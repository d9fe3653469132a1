/* Protects the reading of a certificate and its key: what is wrong is told with the file, what is right tells whom it names,
 * and the last user frees it. */
#include "net/tls_identity.h"

#include "../fault.h"
#include "../support.h"
#include "tls_pair.h"

#include <stdlib.h>
#include <string.h>

static void test_tls_identity_tells_whom_it_names(void **state)
{
	(void)state;
	tls_pair_make("CN=hub.example.org", "c.pem", "k.pem");
	struct err err = {0};
	struct tls_identity *identity = tls_identity_load("c.pem", "k.pem", &err);
	assert_non_null(identity);
	assert_string_equal(tls_identity_name(identity), "CN=hub.example.org");
	assert_int_equal(tls_identity_begins(identity), TLS_PAIR_BEGINS);
	assert_int_equal(tls_identity_ends(identity), TLS_PAIR_ENDS);
	assert_int_equal(strlen(tls_identity_pin(identity)), strlen("sha256//") + 44);
	tls_identity_drop(identity);
	tls_identity_drop(NULL);
}

static void test_tls_identity_lives_as_long_as_it_is_used(void **state)
{
	(void)state;
	tls_pair_make("CN=a", "c.pem", "k.pem");
	struct tls_identity *identity = tls_identity_load("c.pem", "k.pem", NULL);
	assert_non_null(identity);
	struct tls_identity *used = tls_identity_use(identity);
	tls_identity_drop(identity);
	gnutls_pcert_st *chain = NULL;
	unsigned chain_len = 0;
	gnutls_privkey_t key = NULL;
	tls_identity_show(used, &chain, &chain_len, &key);
	assert_int_equal(chain_len, 1);
	assert_int_equal(gnutls_privkey_get_pk_algorithm(key, NULL), GNUTLS_PK_EC);
	tls_identity_drop(used);
}

static void assert_refused(const char *certificate_path, const char *key_path, const char *text)
{
	struct err err = {0};
	assert_null(tls_identity_load(certificate_path, key_path, &err));
	assert_contains(err.text, text);
	assert_null(tls_identity_load(certificate_path, key_path, NULL));
}

static void test_tls_identity_names_what_is_wrong(void **state)
{
	(void)state;
	tls_pair_make("CN=a", "c.pem", "k.pem");
	tls_pair_make("CN=b", "c2.pem", "k2.pem");
	write_file("text.pem", "no PEM\n");
	write_file("empty.pem", "");
	assert_refused("c.pem", "k2.pem", "tls_key: the key in k2.pem does not fit the certificate in c.pem");
	assert_refused("absent", "k.pem", "tls_cert: cannot read absent");
	assert_refused("c.pem", "absent", "tls_key: cannot read absent");
	assert_refused("text.pem", "k.pem", "tls_cert: text.pem holds no certificate in PEM form");
	assert_refused("empty.pem", "k.pem", "tls_cert: empty.pem holds no certificate in PEM form");
	assert_refused("k.pem", "k.pem", "tls_cert: k.pem holds no certificate in PEM form");
	assert_refused("c.pem", "text.pem", "tls_key: text.pem holds no private key in PEM form");
	assert_refused("c.pem", "c.pem", "tls_key: c.pem holds no private key in PEM form");
}

static void test_tls_identity_holds_so_many_certificates(void **state)
{
	(void)state;
	tls_pair_make("CN=a", "c.pem", "k.pem");
	char *one = read_file("c.pem");
	size_t len = strlen(one);
	char *many = calloc(20, len + 1);
	assert_non_null(many);
	for (size_t i = 0; i < 20; i++)
		memcpy(many + i * len, one, len + 1);
	write_file("c.pem", many);
	free(many);
	free(one);
	assert_refused("c.pem", "k.pem", "tls_cert: c.pem holds more than 16 certificates");
}

static void test_tls_identity_without_memory_fails_cleanly(void **state)
{
	(void)state;
	tls_pair_make("CN=a", "c.pem", "k.pem");
	unsigned n = 0;
	do {
		fault_arm(++n);
		tls_identity_drop(tls_identity_load("c.pem", "k.pem", NULL));
	} while (fault_disarm());
	assert_in_range(n, 2, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_tls_identity_tells_whom_it_names),
		in_sandbox(test_tls_identity_lives_as_long_as_it_is_used),
		in_sandbox(test_tls_identity_names_what_is_wrong),
		in_sandbox(test_tls_identity_holds_so_many_certificates),
		in_sandbox(test_tls_identity_without_memory_fails_cleanly),
	};
	return cmocka_run_group_tests_name("tls_identity", tests, NULL, NULL);
}
