/* Protects the trust in hubs: the directory of authorities takes the file's place only where both are one tool's work. */
#include "net/ca_directory.h"

#include "support.h"

#include <sys/stat.h>

static void test_ca_directory_replaces_the_file_that_lies_in_it(void **state)
{
	(void)state;
	assert_int_equal(mkdir("certs", 0755), 0);
	assert_int_equal(mkdir("certs/sub", 0755), 0);
	write_file("certs/ca-certificates.crt", "");
	write_file("certs/ISRG_Root.pem", "");
	write_file("certs/ce275665.1", "");
	write_file("certs/ce27566g.0", "");
	assert_false(ca_directory_replaces("certs/ca-certificates.crt", "certs")); /* no hashes */
	write_file("certs/ce275665.0", "");
	assert_true(ca_directory_replaces("certs/ca-certificates.crt", "certs"));
	assert_false(ca_directory_replaces("elsewhere/ca-certificates.crt", "certs"));
	assert_false(ca_directory_replaces("certs/sub/bundle.crt", "certs"));
	assert_false(ca_directory_replaces("certs2/bundle.crt", "certs"));
	assert_false(ca_directory_replaces("absent/bundle.crt", "absent"));
	assert_false(ca_directory_replaces(NULL, "certs"));
	assert_false(ca_directory_replaces("certs/ca-certificates.crt", NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_ca_directory_replaces_the_file_that_lies_in_it),
	};
	return cmocka_run_group_tests_name("ca_directory", tests, NULL, NULL);
}
