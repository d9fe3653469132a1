/* Protects the telling of a worker that ran out of memory from all others, in both versions' words. */
#include "node/runtime/cgroup.h"

#include "support.h"

#ifdef __linux__

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_cgroup_ran_out_of_memory_in_both_versions_words(void **state)
{
	(void)state;
	static const struct {
		const char *file, *text;
		bool expected;
	} CASES[] = {
		{"memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 1\noom_group_kill 0\n", true},
		{"memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 0\noom_group_kill 0\n", false},
		{"memory.oom_control", "oom_kill_disable 1\nunder_oom 1\noom_kill 0\n", false},
		{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", true},
		{"memory.oom_control", "oom_kill_disable 1\nunder_oom 1\n", false}, /* before Linux 4.13 */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char path[64];
		assert_int_equal(mkdir("group", 0755), 0);
		(void)snprintf(path, sizeof(path), "group/%s", CASES[i].file);
		write_file(path, CASES[i].text);
		assert_int_equal(cgroup_ran_out_of_memory("group"), CASES[i].expected);
		assert_int_equal(unlink(path), 0);
		assert_true(cgroup_remove("group"));
	}
	assert_false(cgroup_ran_out_of_memory("group"));
	assert_true(cgroup_remove("group")); /* it never was: so it is gone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_cgroup_ran_out_of_memory_in_both_versions_words),
	};
	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
