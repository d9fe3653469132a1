/* Protects the checks of what a node trusts: a pin's form, and that a CA file is one. */
#include "net/http_trust.h"

#include "../support.h"

#define BASE64_43 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+/9"
#define PIN "sha256//" BASE64_43 "="

static void test_http_trust_pins_have_a_form(void **state)
{
	(void)state;
	static const char *const GOOD[] = {PIN, PIN ";" PIN, PIN ";" PIN ";" PIN};
	static const char *const BAD[] = {"", "sha256//", BASE64_43 "=", "sha1//" BASE64_43 "=", "SHA256//" BASE64_43 "=",
					  "sha256/" BASE64_43 "=", "sha256//" BASE64_43, PIN "=", "sha256//A" BASE64_43 "=",
					  "sha256//=" BASE64_43, "sha256//-" BASE64_43, PIN ";", ";" PIN, PIN ";;" PIN,
					  PIN "; " PIN, PIN " ", " " PIN, PIN "," PIN, "/etc/key.pem"};
	struct err err = {0};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		assert_int_equal(http_trust_check_pins(GOOD[i], &err), 0);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		err = (struct err){0};
		if (http_trust_check_pins(BAD[i], &err) == 0)
			fail_msg("\"%s\" passed", BAD[i]);
		assert_contains(err.text, "must be sha256// and 44 characters of base64");
	}
}

static void test_http_trust_ca_file_holds_certificates(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_not_equal(http_trust_check_ca_file("absent.pem", &err), 0);
	assert_contains(err.text, "cannot read absent.pem");
	write_file("text.pem", "no PEM\n");
	assert_int_equal(http_trust_check_ca_file("text.pem", &err), ERR_INVALID);
	assert_contains(err.text, "text.pem holds no certificate in PEM form");
	write_file("empty.pem", "");
	assert_int_equal(http_trust_check_ca_file("empty.pem", &err), ERR_INVALID);
	write_file("ca.pem", "a comment\n-----BEGIN CERTIFICATE-----\n");
	assert_int_equal(http_trust_check_ca_file("ca.pem", &err), 0);
	assert_int_equal(http_trust_check_ca_file("/dev/zero", &err), ERR_TOO_BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_trust_pins_have_a_form),
		in_sandbox(test_http_trust_ca_file_holds_certificates),
	};
	return cmocka_run_group_tests_name("http_trust", tests, NULL, NULL);
}
