/* Protects the run of a command, with real ones: whatever it does, it is fed, heard, limited, and gone at the end. */
#include "exec/child.h"

#include "base/clock.h"
#include "exec/descendants.h"
#include "exec/signals.h"
#include "support.h"

#include <errno.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEGABYTE = 1024 * 1024, SOON_MS = 5000 }; /* far less than any command here would take if nobody ended it */

static struct child child;
static struct child_report report;

#define COMMAND(...) (char *const[]){__VA_ARGS__, NULL}

static int setup(void **state)
{
	struct err err = {0};
	signals_init();
	descendants_init();
	return child_init(&child, environ, &err) || sandbox_setup(state);
}

static int teardown(void **state)
{
	child_done(&child);
	return sandbox_teardown(state);
}

static struct child_order order_of(char *const *argv)
{
	return (struct child_order){.argv = argv, .max_output = MEGABYTE, .peer = -1};
}

static void run(struct child_order order)
{
	int64_t begin_ms = clock_monotonic_ms();
	child_run(&child, &order, &report);
	assert_in_range(clock_monotonic_ms() - begin_ms, 0, SOON_MS);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left, neither alive nor dead */
	assert_int_equal(errno, ECHILD);
}

static void run_shell(const char *script)
{
	char *copy = strdup(script);
	run(order_of(COMMAND((char[]){"sh"}, (char[]){"-c"}, copy)));
	free(copy);
}

static void expect_output(const char *text)
{
	assert_string_equal(buf_text(&child.output), text);
	assert_int_equal(child.output.len, strlen(text));
}

static char *errors(void)
{
	size_t len;
	const char *text = tail_text(&child.errors, &len);
	return strndup(text, len);
}

/* The process whose number the command left in this file must not run any more. */
static void expect_gone(const char *file)
{
	char *text = read_file(file);
	assert_true(strtol(text, NULL, 10) > 1);
	assert_int_equal(kill((pid_t)strtol(text, NULL, 10), 0), -1);
	free(text);
}

static void test_output_and_status(void **state)
{
	(void)state;
	run_shell("echo out; echo err >&2");
	assert_int_equal(report.end, CHILD_EXITED);
	assert_int_equal(report.number, 0);
	expect_output("out\n");
	char *text = errors();
	assert_string_equal(text, "err\n");
	free(text);
	assert_true(report.seconds > 0 && report.seconds < SOON_MS / 1000.0);
	assert_in_range((int64_t)(report.started * 1000), clock_wall_ms() - SOON_MS, clock_wall_ms());
	run_shell("exit 3");
	assert_int_equal(report.end, CHILD_EXITED);
	assert_int_equal(report.number, 3);
	expect_output(""); /* nothing of the one before */
	run_shell("kill -9 $$");
	assert_int_equal(report.end, CHILD_KILLED);
	assert_int_equal(report.number, 9);
}

static void test_input_is_fed_while_output_is_read(void **state)
{
	(void)state;
	size_t len = 3 * MEGABYTE; /* far more than both pipes hold */
	char *input = malloc(len);
	for (size_t i = 0; i < len; i++)
		input[i] = (char)(i * 7 % 251);
	struct child_order order = order_of(COMMAND((char[]){"cat"}));
	order.input = input;
	order.input_len = len;
	order.max_output = len;
	run(order);
	assert_int_equal(report.end, CHILD_EXITED);
	assert_int_equal(child.output.len, len);
	assert_memory_equal(child.output.data, input, len);
	free(input);
}

static void test_input_need_not_be_read(void **state)
{
	(void)state;
	size_t len = 8 * MEGABYTE;
	char *input = calloc(1, len);
	struct child_order order = order_of(COMMAND((char[]){"sh"}, (char[]){"-c"}, (char[]){"echo ignored; exec sleep 0.05"}));
	order.input = input;
	order.input_len = len;
	run(order);
	assert_int_equal(report.end, CHILD_EXITED);
	assert_int_equal(report.number, 0);
	expect_output("ignored\n");
	order.argv = COMMAND((char[]){"true"});
	run(order);
	assert_int_equal(report.end, CHILD_EXITED);
	assert_int_equal(report.number, 0);
	order.argv = COMMAND((char[]){"head"}, (char[]){"-c"}, (char[]){"1"});
	run(order);
	assert_int_equal(report.number, 0);
	free(input);
}

static void test_input_may_be_empty_or_nothing(void **state)
{
	(void)state;
	struct child_order order = order_of(COMMAND((char[]){"wc"}, (char[]){"-c"}));
	run(order);
	expect_output("0\n");
	order.input = "";
	run(order);
	expect_output("0\n");
}

static void test_output_is_capped(void **state)
{
	(void)state;
	struct child_order order = order_of(COMMAND((char[]){"yes"}));
	run(order);
	assert_int_equal(report.end, CHILD_TOO_MUCH);
	order = order_of(COMMAND((char[]){"printf"}, (char[]){"1234567"}));
	order.max_output = 7;
	run(order);
	assert_int_equal(report.end, CHILD_EXITED);
	order.max_output = 6; /* also where it is known only after its end */
	run(order);
	assert_int_equal(report.end, CHILD_TOO_MUCH);
}

static void test_end_of_errors_is_kept(void **state)
{
	(void)state;
	run_shell("yes 12345678 | head -c 1000000 >&2; echo last >&2; exit 1");
	assert_int_equal(report.number, 1);
	char *text = errors();
	assert_int_equal(strlen(text), TAIL_MAX);
	assert_string_equal(text + TAIL_MAX - 5, "last\n");
	free(text);
}

static void test_time_is_limited(void **state)
{
	(void)state;
	struct child_order order = order_of(COMMAND((char[]){"sh"}, (char[]){"-c"},
						    (char[]){"trap '' TERM; echo $$ >pid; (echo 1; sleep 60) & sleep 60"}));
	order.timeout_ms = 300;
	run(order);
	assert_int_equal(report.end, CHILD_TIMED_OUT);
	expect_gone("pid");
	assert_true(report.seconds >= 0.29);
}

static void test_what_cannot_run_is_told(void **state)
{
	(void)state;
	run(order_of(COMMAND((char[]){"no-such-command-anywhere"})));
	assert_int_equal(report.end, CHILD_NOT_STARTED);
	assert_int_equal(report.number, ENOENT);
	run(order_of(COMMAND((char[]){"./none"})));
	assert_int_equal(report.number, ENOENT);
	run(order_of(COMMAND((char[]){""})));
	assert_int_equal(report.number, ENOENT);
	write_file("text", "echo no\n");
	run(order_of(COMMAND((char[]){"./text"})));
	assert_int_equal(report.number, EACCES);
	assert_int_equal(chmod("text", 0755), 0);
	run(order_of(COMMAND((char[]){"./text"}))); /* a shell would run it */
	assert_int_equal(report.end, CHILD_NOT_STARTED);
	assert_int_equal(report.number, ENOEXEC);
	run_shell("exit 127"); /* and is no status of the command's own */
	assert_int_equal(report.end, CHILD_EXITED);
}

static void test_argument_that_is_too_long_is_told(void **state)
{
	(void)state;
	const char *preloaded = getenv("LD_PRELOAD");
	if (preloaded && strstr(preloaded, "vgpreload"))
		return; /* valgrind itself dies of it */
	char *large = malloc(MEGABYTE);
	memset(large, 'x', MEGABYTE - 1);
	large[MEGABYTE - 1] = '\0';
	run(order_of(COMMAND((char[]){"true"}, large)));
	assert_int_equal(report.end, CHILD_NOT_STARTED);
	assert_int_equal(report.number, E2BIG);
	free(large);
}

static void test_path_is_searched_each_time_it_has_to(void **state)
{
	(void)state;
	char *before = strdup(getenv("PATH"));
	assert_int_equal(mkdir("a", 0755), 0);
	assert_int_equal(mkdir("b", 0755), 0);
	assert_int_equal(setenv("PATH", "a:b:/usr/bin:/bin", 1), 0);
	write_file("b/tool", "#!/bin/sh\necho from b\n");
	assert_int_equal(chmod("b/tool", 0755), 0);
	run(order_of(COMMAND((char[]){"tool"})));
	expect_output("from b\n");
	assert_int_equal(rename("b/tool", "a/tool"), 0); /* a command may move while others run */
	run(order_of(COMMAND((char[]){"tool"})));
	expect_output("from b\n");
	assert_int_equal(report.number, 0);
	assert_int_equal(unlink("a/tool"), 0);
	run(order_of(COMMAND((char[]){"tool"})));
	assert_int_equal(report.end, CHILD_NOT_STARTED);
	write_file("a/tool", "#!/bin/sh\necho again\n");
	assert_int_equal(chmod("a/tool", 0755), 0);
	run(order_of(COMMAND((char[]){"tool"})));
	expect_output("again\n");
	assert_int_equal(setenv("PATH", before, 1), 0);
	free(before);
}

static void test_grandchild_that_holds_the_output_goes(void **state)
{
	(void)state;
	run_shell("sleep 60 & echo $! >pid; echo done");
	assert_int_equal(report.end, CHILD_EXITED);
	assert_int_equal(report.number, 0);
	expect_output("done\n");
	expect_gone("pid");
}

/* Where there is always something to read, signals have to come in all the same. */
static void test_flood_hides_no_end(void **state)
{
	(void)state;
	run_shell("yes >&2 & echo $! >pid; sleep 0.3; echo done");
	assert_int_equal(report.end, CHILD_EXITED);
	expect_output("done\n");
	expect_gone("pid");
}

static void test_last_words_of_a_pipeline_are_heard(void **state)
{
	(void)state;
	run_shell("(sleep 0.03; echo late) & echo early");
	expect_output("early\nlate\n");
}

static void test_daemon_of_a_session_of_its_own_goes(void **state)
{
	(void)state;
	run_shell("setsid sh -c 'echo $$ >pid; exec sleep 60' & while ! [ -s pid ]; do sleep 0.01; done; echo done");
	assert_int_equal(report.end, CHILD_EXITED);
	expect_output("done\n");
	expect_gone("pid");
	assert_int_equal(unlink("pid"), 0);
	/* One that holds nothing of ours, and has children in sessions of their own. */
	run_shell("setsid sh -c 'setsid sleep 60 & echo $! >pid; exec sleep 60' >/dev/null 2>&1 </dev/null & "
		  "while ! [ -s pid ]; do sleep 0.01; done; echo done");
	expect_output("done\n");
	expect_gone("pid");
}

static void test_descriptors_are_three(void **state)
{
	(void)state;
	/* What the test inherited is not ours to close. */
	assert_int_equal(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), 0);
	run_shell("ls /proc/$$/fd; exit 0");
	expect_output("0\n1\n2\n");
}

static void test_signals_are_as_at_birth(void **state)
{
	(void)state;
	run(order_of(COMMAND((char[]){"cat"}, (char[]){"/proc/self/status"})));
	assert_contains(buf_text(&child.output), "\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n");
}

static void test_end_of_the_peer_ends_it(void **state)
{
	(void)state;
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct child_order order = order_of(COMMAND((char[]){"sh"}, (char[]){"-c"}, (char[]){"echo $$ >pid; exec sleep 60"}));
	order.peer = pair[0];
	pid_t closer = fork();
	if (closer == 0) {
		(void)close(pair[0]);
		(void)usleep(200 * 1000);
		_exit(0);
	}
	(void)close(pair[1]);
	run(order);
	assert_int_equal(report.end, CHILD_ABANDONED);
	expect_gone("pid");
	(void)close(pair[0]);
}

/* Sends SIGTERM to us after a while, from outside. */
static void stop_soon(void)
{
	pid_t self = getpid();
	if (fork() == 0) {
		(void)usleep(200 * 1000);
		(void)kill(self, SIGTERM);
		_exit(0);
	}
}

static void test_wish_to_end_ends_it_softly(void **state)
{
	(void)state;
	stop_soon();
	run_shell("trap 'echo bye >bye; exit 0' TERM; echo $$ >pid; while :; do sleep 0.02; done");
	assert_int_equal(report.end, CHILD_STOPPED);
	expect_gone("pid");
	char *bye = read_file("bye");
	assert_string_equal(bye, "bye\n");
	free(bye);
}

static void test_wish_to_end_is_heard_in_a_flood(void **state)
{
	(void)state;
	stop_soon();
	run_shell("exec yes >&2");
	assert_int_equal(report.end, CHILD_STOPPED);
}

static void test_wish_to_end_ends_it_hard_after_two_seconds(void **state)
{
	(void)state;
	int64_t begin_ms = clock_monotonic_ms();
	stop_soon();
	run_shell("trap '' TERM; echo $$ >pid; while :; do sleep 0.02; done");
	assert_int_equal(report.end, CHILD_STOPPED);
	assert_true(clock_monotonic_ms() - begin_ms >= 2000);
	expect_gone("pid");
}

#define in_child(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_child(test_output_and_status),
		in_child(test_input_is_fed_while_output_is_read),
		in_child(test_input_need_not_be_read),
		in_child(test_input_may_be_empty_or_nothing),
		in_child(test_output_is_capped),
		in_child(test_end_of_errors_is_kept),
		in_child(test_time_is_limited),
		in_child(test_what_cannot_run_is_told),
		in_child(test_argument_that_is_too_long_is_told),
		in_child(test_path_is_searched_each_time_it_has_to),
		in_child(test_grandchild_that_holds_the_output_goes),
		in_child(test_flood_hides_no_end),
		in_child(test_last_words_of_a_pipeline_are_heard),
		in_child(test_daemon_of_a_session_of_its_own_goes),
		in_child(test_descriptors_are_three),
		in_child(test_signals_are_as_at_birth),
		in_child(test_end_of_the_peer_ends_it),
		in_child(test_wish_to_end_ends_it_softly),
		in_child(test_wish_to_end_is_heard_in_a_flood),
		in_child(test_wish_to_end_ends_it_hard_after_two_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
