/* Protects the held calls: released by a switch, a stop, their deadline or a newer call of the same node, and forgotten
 * when their client goes; each exactly once. */
#include "hub/task_waits.h"

#include "../support.h"
#include "fake_request.h"

#include <stdlib.h>

static unsigned answered;
static struct http_request *last_answered;

static void on_answer(void *context, const struct task_wait *wait)
{
	(void)context;
	answered++;
	last_answered = wait->request;
	const struct http_response response = {.status = 200, .body = calloc(1, 1)};
	http_respond(wait->request, &response);
}

static struct task_waits *begin(void)
{
	answered = 0;
	return task_waits_new(on_answer, NULL);
}

static void hold(struct task_waits *waits, struct fake_request *fake, struct node *node, int wait_s, int64_t now_ms)
{
	fake_init(fake, "GET", "/gridnode/task", NULL);
	assert_int_equal(task_waits_hold(waits, &fake->request, node, "linux/amd64", wait_s, now_ms), 0);
	assert_true(fake->held);
}

static void test_task_waits_release_all_answers_each_once(void **state)
{
	(void)state;
	struct task_waits *waits = begin();
	struct node node = {0};
	struct fake_request fakes[3];
	hold(waits, &fakes[0], NULL, 5, 0);
	hold(waits, &fakes[1], NULL, 60, 0);
	hold(waits, &fakes[2], &node, 5, 0);
	task_waits_release_all(waits);
	assert_int_equal(answered, 3);
	assert_null(node.wait);
	task_waits_release_all(waits);
	assert_int_equal(answered, 3);
	assert_int_equal(task_waits_tick(waits, 1000000), -1);
	for (size_t i = 0; i < 3; i++)
		fake_done(&fakes[i]);
	task_waits_free(waits);
}

static void test_task_waits_release_node_answers_that_node_alone(void **state)
{
	(void)state;
	struct task_waits *waits = begin();
	struct node one = {0};
	struct node two = {0};
	struct fake_request fakes[2];
	hold(waits, &fakes[0], &one, 30, 0);
	hold(waits, &fakes[1], &two, 30, 0);
	task_waits_release_node(waits, &one);
	assert_int_equal(answered, 1);
	assert_ptr_equal(last_answered, &fakes[0].request);
	task_waits_release_node(waits, &one); /* holds none any more */
	assert_int_equal(answered, 1);
	task_waits_release_node(waits, &two);
	fake_done(&fakes[0]);
	fake_done(&fakes[1]);
	task_waits_free(waits);
}

static void test_task_waits_tick_answers_what_is_due_and_says_what_is_next(void **state)
{
	(void)state;
	struct task_waits *waits = begin();
	struct fake_request fakes[4];
	assert_int_equal(task_waits_tick(waits, 0), -1);
	hold(waits, &fakes[0], NULL, 10, 1000);
	hold(waits, &fakes[1], NULL, 2, 2000);
	hold(waits, &fakes[2], NULL, 10, 3000);
	hold(waits, &fakes[3], NULL, 60, 3000);
	assert_int_equal(task_waits_tick(waits, 3999), 4000);
	assert_int_equal(answered, 0);
	assert_int_equal(task_waits_tick(waits, 4000), 11000);
	assert_int_equal(answered, 1);
	assert_ptr_equal(last_answered, &fakes[1].request);
	assert_int_equal(task_waits_tick(waits, 12000), 13000);
	assert_int_equal(answered, 2);
	assert_int_equal(task_waits_tick(waits, 100000), -1);
	assert_int_equal(answered, 4);
	for (size_t i = 0; i < 4; i++)
		fake_done(&fakes[i]);
	task_waits_free(waits);
}

static void test_task_waits_forget_a_client_that_went(void **state)
{
	(void)state;
	struct task_waits *waits = begin();
	struct node node = {0};
	struct fake_request fakes[2];
	hold(waits, &fakes[0], &node, 10, 0);
	hold(waits, &fakes[1], NULL, 10, 0);
	fake_go(&fakes[0]);
	assert_null(node.wait);
	assert_int_equal(answered, 0);
	task_waits_release_node(waits, &node);
	task_waits_release_all(waits);
	assert_int_equal(answered, 1);
	assert_ptr_equal(last_answered, &fakes[1].request);
	fake_done(&fakes[0]);
	fake_done(&fakes[1]);
	task_waits_free(waits);
}

static void test_task_waits_newer_call_of_a_node_replaces_the_older(void **state)
{
	(void)state;
	struct task_waits *waits = begin();
	struct node node = {0};
	struct fake_request fakes[2];
	hold(waits, &fakes[0], &node, 10, 0);
	hold(waits, &fakes[1], &node, 10, 0);
	assert_int_equal(answered, 1);
	assert_ptr_equal(last_answered, &fakes[0].request);
	assert_ptr_equal(node.wait->request, &fakes[1].request);
	task_waits_release_all(waits);
	fake_done(&fakes[0]);
	fake_done(&fakes[1]);
	task_waits_free(waits);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task_waits_release_all_answers_each_once),
		cmocka_unit_test(test_task_waits_release_node_answers_that_node_alone),
		cmocka_unit_test(test_task_waits_tick_answers_what_is_due_and_says_what_is_next),
		cmocka_unit_test(test_task_waits_forget_a_client_that_went),
		cmocka_unit_test(test_task_waits_newer_call_of_a_node_replaces_the_older),
	};
	return cmocka_run_group_tests_name("task_waits", tests, NULL, NULL);
}
