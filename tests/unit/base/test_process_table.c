/* Protects foreign processes: a group is known by the start of its leader, whatever a program calls itself. */
#include "base/process_table.h"

#include "support.h"

#ifdef __linux__

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_process_stat_parse_is_not_fooled_by_a_name(void **state)
{
	(void)state;
	static const char REST[] = " S 1 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 10";
	static const char *const NAMES[] = {"(sh)", "(a b)", "() Z 1 7 (x)", "())"};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		char text[256];
		struct process_stat stat;
		(void)snprintf(text, sizeof(text), "42 %s%s", NAMES[i], REST);
		assert_int_equal(process_stat_parse(text, &stat), 0);
		assert_int_equal(stat.state, 'S');
		assert_int_equal(stat.group, 42);
		assert_int_equal(stat.start, 123456);
	}
	static const char *const BAD[] = {"", "42", "42 (sh)", "42 (sh) S 1 42", "42 (sh) S 1 42 42 0 -1 4194304 1 2"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct process_stat stat;
		assert_int_equal(process_stat_parse(BAD[i], &stat), ERR_INVALID);
	}
}

static void test_process_group_lives_only_with_the_right_start(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		(void)setpgid(0, 0);
		(void)pause();
		_exit(0);
	}
	(void)setpgid(child, child);
	struct process_stat stat;
	assert_int_equal(process_stat_read(child, &stat), 0);
	assert_true(process_group_lives(child, stat.start));
	assert_false(process_group_lives(child, stat.start + 1));
	assert_false(process_group_lives(child, stat.start - 1));
	(void)kill(child, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_false(process_group_lives(child, stat.start)); /* over, though nobody has waited for it */
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(process_stat_read(child, &stat), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_stat_parse_is_not_fooled_by_a_name),
		cmocka_unit_test(test_process_group_lives_only_with_the_right_start),
	};
	return cmocka_run_group_tests_name("process_table", tests, NULL, NULL);
}

#else

int main(void)
{
	return 0;
}

#endif
