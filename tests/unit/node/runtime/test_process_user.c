/* Protects the machine's owner: no task's command as root, and none beside the agent's secrets unasked. */
#include "node/runtime/process_user.h"

#include "support.h"

#include <pwd.h>

static void test_process_user_of_root_is_another(void **state)
{
	(void)state;
	struct process_user user;
	struct err err = {0};
	assert_int_equal(process_user_choose("", false, 0, &user, &err), ERR_INVALID);
	assert_contains(err.text, "process_user");
	assert_contains(err.text, "useradd");
	assert_int_equal(process_user_choose("", true, 0, &user, &err), ERR_INVALID);
	assert_int_equal(process_user_choose("root", false, 0, &user, &err), ERR_INVALID);
	assert_contains(err.text, "must not be root");
	assert_int_equal(process_user_choose("no such user", false, 0, &user, &err), ERR_NOT_FOUND);

	const struct passwd *nobody = getpwnam("nobody");
	assert_int_equal(process_user_choose("nobody", false, 0, &user, &err), 0);
	assert_true(user.change);
	assert_int_equal(user.uid, nobody->pw_uid);
	assert_int_equal(user.gid, nobody->pw_gid);
	assert_int_equal(user.groups[0], nobody->pw_gid);
}

static void test_process_user_of_others_is_their_own_when_they_say_so(void **state)
{
	(void)state;
	struct process_user user;
	struct err err = {0};
	assert_int_equal(process_user_choose("", false, 1000, &user, &err), ERR_INVALID);
	assert_contains(err.text, "process_same_user = true");
	assert_int_equal(process_user_choose("nobody", true, 1000, &user, &err), ERR_INVALID);
	assert_contains(err.text, "root");
	assert_int_equal(process_user_choose("", true, 1000, &user, &err), 0);
	assert_false(user.change);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_user_of_root_is_another),
		cmocka_unit_test(test_process_user_of_others_is_their_own_when_they_say_so),
	};
	return cmocka_run_group_tests_name("process_user", tests, NULL, NULL);
}
