/* Protects the finding of our control group on machines of every kind. */
#include "node/runtime/cgroup_place.h"

#include "support.h"

#include <string.h>

static void test_cgroup_place_on_machines_of_every_kind(void **state)
{
	(void)state;
	static const struct {
		const char *mounts, *groups;
		enum cgroup_version version;
		const char *root, *own;
	} CASES[] = {
		/* Debian 12: version 2 alone */
		{"22 1 0:20 / /proc rw - proc proc rw\n29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
		 "0::/system.slice/gridnode.service\n", CGROUP_V2, "/sys/fs/cgroup",
		 "/sys/fs/cgroup/system.slice/gridnode.service"},
		/* both, memory in version 1 */
		{"32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
		 "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
		 "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		 "4:memory:/a/b\n1:cpu:/c\n0::/\n", CGROUP_V1, "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a/b"},
		/* controllers that share a hierarchy, with a name that only looks like it */
		{"35 31 0:32 / /cg rw - cgroup cgroup rw,cpu,memory\n", "4:memoryx,cpu:/no\n3:cpu,memory:/yes\n", CGROUP_V1, "/cg",
		 "/cg/yes"},
		/* a container that sees its own part, and one with a namespace of its own */
		{"29 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/1/sub\n", CGROUP_V2, "/sys/fs/cgroup",
		 "/sys/fs/cgroup/sub"},
		{"29 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/\n", CGROUP_V2, "/sys/fs/cgroup", "/sys/fs/cgroup"},
		/* none of ours is to be seen */
		{"29 23 0:26 /docker/1 /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/docker/12\n", CGROUP_NONE, "", ""},
		{"29 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n", "0::/../../other\n", CGROUP_NONE, "", ""},
		{"22 1 0:20 / /proc rw - proc proc rw\n", "0::/\n", CGROUP_NONE, "", ""},
		{"", "", CGROUP_NONE, "", ""},
		{"29 23\nx - y\n - \n", "0:\n::\n0::\n", CGROUP_NONE, "", ""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct cgroup_place place;
		int rc = cgroup_place_find(CASES[i].mounts, CASES[i].groups, &place);
		assert_int_equal(rc, CASES[i].version == CGROUP_NONE ? ERR_NOT_FOUND : 0);
		if (rc)
			continue;
		assert_int_equal(place.version, CASES[i].version);
		assert_string_equal(place.root, CASES[i].root);
		assert_string_equal(place.own, CASES[i].own);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cgroup_place_on_machines_of_every_kind),
	};
	return cmocka_run_group_tests_name("cgroup_place", tests, NULL, NULL);
}
