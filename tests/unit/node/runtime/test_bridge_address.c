/* Protects the way to the gateway by TCP: where to listen follows from what the engine says of its network, and is always
 * an address of this machine. The loopback interface stands for a bridge. */
#include "node/runtime/bridge_address.h"

#include "support.h"

#include <string.h>
#include <unistd.h>

static struct bridge_address read_network(const char *text)
{
	struct bridge_address address;
	json_t *network = json_loads(text, 0, NULL);
	assert_non_null(network);
	bridge_address_read(&address, network);
	json_decref(network);
	return address;
}

static void test_bridge_address_is_the_networks_gateway(void **state)
{
	(void)state;
	struct bridge_address address = read_network(
		"{\"IPAM\":{\"Config\":[{\"Gateway\":\"fd00::1\"},{\"Subnet\":\"127.0.0.0/8\",\"Gateway\":\"127.0.0.1\"}]}}");
	assert_string_equal(address.listen, "127.0.0.1");
	assert_string_equal(address.host, "127.0.0.1");
	assert_string_equal(address.interface, "lo");
}

static void test_bridge_address_is_the_default_bridges_own(void **state)
{
	(void)state;
	struct bridge_address address = read_network("{\"IPAM\":{\"Config\":[{\"Subnet\":\"127.0.0.0/8\"}]},"
						     "\"Options\":{\"com.docker.network.bridge.name\":\"lo\"}}");
	assert_string_equal(address.listen, "127.0.0.1");
	assert_string_equal(address.host, "127.0.0.1");
	assert_string_equal(address.interface, "lo");
}

static void test_bridge_address_of_an_engine_elsewhere_is_loopback(void **state)
{
	(void)state;
	static const char *const NETWORKS[] = {
		"{}",
		"{\"IPAM\":{\"Config\":[{\"Gateway\":\"192.0.2.1\"}]},\"Options\":{\"com.docker.network.bridge.name\":\"lo\"}}",
		"{\"IPAM\":{\"Config\":null},\"Options\":{\"com.docker.network.bridge.name\":\"no-such-bridge\"}}",
		"{\"IPAM\":7,\"Options\":[]}",
	};
	for (size_t i = 0; i < sizeof(NETWORKS) / sizeof(NETWORKS[0]); i++) {
		struct bridge_address address = read_network(NETWORKS[i]);
		assert_string_equal(address.listen, "127.0.0.1");
		assert_string_equal(address.host, "host.docker.internal");
		assert_string_equal(address.interface, "");
	}
}

static void test_bridge_address_listens_on_a_port_of_its_own(void **state)
{
	(void)state;
	struct err err = {0};
	unsigned one_port = 0;
	unsigned other_port = 0;
	const struct bridge_address address = {.listen = "127.0.0.1"};
	const struct bridge_address elsewhere = {.listen = "192.0.2.1"};
	int one = bridge_address_listen(&address, &one_port, &err);
	int other = bridge_address_listen(&address, &other_port, &err);
	assert_true(one >= 0 && other >= 0);
	assert_true(one_port && other_port && one_port != other_port);
	(void)close(one);
	(void)close(other);
	assert_int_equal(bridge_address_listen(&elsewhere, &one_port, &err), -1);
	assert_contains(err.text, "192.0.2.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bridge_address_is_the_networks_gateway),
		cmocka_unit_test(test_bridge_address_is_the_default_bridges_own),
		cmocka_unit_test(test_bridge_address_of_an_engine_elsewhere_is_loopback),
		cmocka_unit_test(test_bridge_address_listens_on_a_port_of_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
