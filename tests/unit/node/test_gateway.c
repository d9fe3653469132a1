/* Protects the rules of the worker's side, each by a test of its name: what opens, what closes, and what lands with what.
 * Workers are the far ends of socket pairs; the hub is a small scripted one. */
#include "node/gateway/parts.h"

#include "../fault.h"
#include "../support.h"
#include "base/cleanup.h"
#include "net/listen.h"
#include "scripted_hub.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 8, PATIENCE = 3000 };

struct bench {
	uv_loop_t loop;
	struct scripted_hub hub;
	struct item_pool *pool;
	struct gateway *gateway;
	struct gateway_slot *slot;
	int client[CLIENTS];
	unsigned clients;
	unsigned idle, timeouts;
	bool hub_away;
};

static void ignore_superseded(void *context, bool accepted)
{
	(void)context;
	(void)accepted;
}

static void ignore_unknown(void *context)
{
	(void)context;
}

static void on_idle(void *context)
{
	((struct bench *)context)->idle++;
}

static void on_item_timeout(void *context)
{
	((struct bench *)context)->timeouts++;
}

static struct gateway_slot *new_slot(struct bench *bench, int64_t concurrency, int64_t item_timeout_ms)
{
	const struct gateway_slot_options options = {
		.pool = bench->pool,
		.input_queue = "in",
		.output_queue = "out",
		.concurrency = concurrency,
		.item_timeout_ms = item_timeout_ms,
		.subject = "slot=0",
		.context = bench,
		.on_item_timeout = on_item_timeout,
	};
	return gateway_slot_new(bench->gateway, &options);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	(void)uv_loop_init(&bench->loop);
	const struct item_pool_options options = {
		.task_id = "t-1",
		.node_id = "node",
		.epoch = 7,
		.hub = &SCRIPTED_HUB,
		.hub_context = &bench->hub,
		.context = bench,
		.on_superseded = ignore_superseded,
		.on_unknown = ignore_unknown,
	};
	bench->pool = item_pool_new(&bench->loop, &options);
	bench->gateway = gateway_new(&bench->loop);
	bench->slot = new_slot(bench, 0, 0);
	*state = bench;
	return 0;
}

static void turn(struct bench *bench)
{
	(void)uv_run(&bench->loop, UV_RUN_NOWAIT);
	if (!bench->hub_away && hub_run(&bench->hub))
		(void)uv_run(&bench->loop, UV_RUN_NOWAIT);
}

static void pause_ms(long ms)
{
	const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000 * 1000};
	(void)nanosleep(&pause, NULL);
}

/* Until all has come to rest: the gateway's answers, and the commits of the pool. */
static void settle(struct bench *bench)
{
	for (unsigned i = 0; i < 12; i++) {
		for (unsigned k = 0; k < 8; k++)
			turn(bench);
		pause_ms(1);
	}
}

static void end(struct bench *bench, enum gateway_end_kind kind)
{
	const struct gateway_end how = {.kind = kind, .exit_status = kind == GATEWAY_FAILED ? 3 : 0, .log_tail = "tail"};
	gateway_slot_end(bench->slot, &how);
	bench->slot = NULL;
	settle(bench);
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	if (bench->slot)
		end(bench, GATEWAY_STOPPED);
	for (unsigned i = 0; i < bench->clients; i++) {
		if (bench->client[i] >= 0)
			(void)close(bench->client[i]);
	}
	gateway_close(bench->gateway);
	item_pool_close(bench->pool);
	(void)uv_run(&bench->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bench->loop), 0);
	hub_done(&bench->hub);
	free(bench);
	return 0;
}

/* ---- workers' connections ---- */

static int stranger(struct bench *bench)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
	gateway_add_connection(bench->gateway, NULL, NULL, pair[0]);
	assert_true(bench->clients < CLIENTS);
	bench->client[bench->clients++] = pair[1];
	return pair[1];
}

static void send_bytes(int fd, const char *bytes, size_t len)
{
	assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* "BRPOP in 0; LPUSH out x": in one packet. */
static void form(struct buf *into, const char *commands)
{
	AUTO_FREE char *copy = strdup(commands);
	char *rest = copy;
	for (char *one; (one = strtok_r(rest, ";", &rest));) {
		const char *words[32];
		size_t count = 0;
		char *inner = one;
		for (char *word; (word = strtok_r(inner, " ", &inner));)
			words[count++] = word;
		assert_int_equal(resp_add_command(into, count, words, NULL), 0);
	}
}

static void say(int fd, const char *commands)
{
	struct buf bytes;
	buf_init(&bytes, 1 << 20);
	form(&bytes, commands);
	send_bytes(fd, bytes.data, bytes.len);
	buf_done(&bytes);
}

/* The whole answer, with CR LF as '|'. */
static void hear(struct bench *bench, int fd, const char *expected)
{
	char got[4096] = "";
	size_t len = 0;
	for (int i = 0; i < PATIENCE && len < strlen(expected); i++) {
		char bytes[4096];
		turn(bench);
		ssize_t count = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (count < 0)
			pause_ms(1);
		for (ssize_t k = 0; k < count && len + 1 < sizeof(got); k++) {
			if (bytes[k] != '\r')
				got[len++] = bytes[k] == '\n' ? '|' : bytes[k];
		}
		got[len] = '\0';
	}
	assert_string_equal(got, expected);
}

static void hear_nothing(struct bench *bench, int fd)
{
	char byte;
	settle(bench);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* An error that holds this. */
static void hear_error(struct bench *bench, int fd, const char *part)
{
	char got[1024] = "";
	for (int i = 0; i < PATIENCE && !got[0]; i++) {
		turn(bench);
		ssize_t count = recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
		if (count < 0)
			pause_ms(1);
		got[count > 0 ? count : 0] = '\0';
	}
	assert_int_equal(got[0], '-');
	assert_contains(got, part);
}

static int client(struct bench *bench)
{
	int fd = stranger(bench);
	char command[128];
	(void)snprintf(command, sizeof(command), "AUTH %s", bench->slot->password);
	say(fd, command);
	hear(bench, fd, "+OK|");
	return fd;
}

static void hang_up(struct bench *bench, int fd)
{
	for (unsigned i = 0; i < bench->clients; i++) {
		if (bench->client[i] == fd)
			bench->client[i] = -1;
	}
	(void)close(fd);
	settle(bench);
}

/* A worker's pop that is answered with this item. */
static void pop(struct bench *bench, int fd, const char *item)
{
	char expected[256];
	hub_push(&bench->hub, item);
	say(fd, "BRPOP in 0");
	(void)snprintf(expected, sizeof(expected), "*2|$2|in|$%zu|%s|", strlen(item), item);
	hear(bench, fd, expected);
}

static void push(struct bench *bench, int fd, const char *result)
{
	char command[256];
	(void)snprintf(command, sizeof(command), "LPUSH out %s", result);
	say(fd, command);
	hear(bench, fd, ":1|");
}

static void expect_log(struct bench *bench, const char *expected)
{
	settle(bench);
	assert_string_equal(bench->hub.log, expected);
}

/* ---- rule 1 ---- */

static void test_rule_1_next_pop_closes_with_the_writes_between(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	push(bench, fd, "ra");
	expect_log(bench, "");
	say(fd, "BRPOP in 0"); /* nothing is there: it closes all the same, at the pop */
	expect_log(bench, "done a: LPUSH out ra\n");
}

static void test_rule_1_writes_on_any_connection_count(void **state)
{
	struct bench *bench = *state;
	int in = client(bench);
	int out = client(bench);
	pop(bench, in, "a");
	push(bench, out, "ra");
	say(in, "BRPOP in 0");
	expect_log(bench, "done a: LPUSH out ra\n");
}

static void test_rule_1_reads_all_connections_dry_before_a_close(void **state)
{
	struct bench *bench = *state;
	int in = client(bench);
	int out = client(bench);
	int early = client(bench);
	pop(bench, in, "a");
	/* All three arrive before the loop turns; whichever is read first, the pushes count. */
	say(early, "RPUSH out r1");
	say(in, "BRPOP in 0");
	say(out, "RPUSH out r2");
	settle(bench);
	assert_contains(bench->hub.log, "done a: ");
	assert_contains(bench->hub.log, "RPUSH out r1");
	assert_contains(bench->hub.log, "RPUSH out r2");
	assert_lacks(bench->hub.log, "write");
}

static void test_rule_1_waits_for_a_half_received_command(void **state)
{
	struct bench *bench = *state;
	int in = client(bench);
	int out = client(bench);
	static const char PUSH[] = "*3\r\n$5\r\nLPUSH\r\n$3\r\nout\r\n$4\r\nhalf\r\n";
	pop(bench, in, "a");
	send_bytes(out, PUSH, 20);
	settle(bench);
	say(in, "BRPOP in 0");
	expect_log(bench, "");
	send_bytes(out, PUSH + 20, sizeof(PUSH) - 1 - 20);
	expect_log(bench, "done a: LPUSH out half\n");
}

static void test_rule_1_does_not_wait_for_ever(void **state)
{
	struct bench *bench = *state;
	int in = client(bench);
	int out = client(bench);
	pop(bench, in, "a");
	push(bench, in, "ra");
	send_bytes(out, "*3\r\n$5\r\nLPU", 12);
	say(in, "BRPOP in 0");
	expect_log(bench, "");
	pause_ms(1050);
	expect_log(bench, "done a: LPUSH out ra\n");
	/* Nor again at the next one, while nothing more of it comes. */
	hub_push(&bench->hub, "b");
	hear(bench, in, "*2|$2|in|$1|b|");
	say(in, "BRPOP in 0");
	expect_log(bench, "done a: LPUSH out ra\ndone b\n");
}

static void test_rule_1_exit_0_closes(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	say(fd, "LPUSH out ra"); /* sent, never read before the exit is known */
	end(bench, GATEWAY_EXITED);
	expect_log(bench, "done a: LPUSH out ra\n");
}

static void test_rule_1_other_exits_drop_the_writes(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	push(bench, fd, "ra");
	end(bench, GATEWAY_FAILED);
	expect_log(bench, "fail a exit\n");
}

static void test_rule_1_gone_connection_closes_at_the_slots_next_pop(void **state)
{
	struct bench *bench = *state;
	int first = client(bench);
	int second = client(bench);
	pop(bench, first, "a");
	push(bench, second, "ra");
	hang_up(bench, first);
	expect_log(bench, "");
	say(second, "BRPOP in 0");
	expect_log(bench, "done a: LPUSH out ra\n");
}

static void test_several_items_of_one_pop_are_one_step(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	say(fd, "RPOP in 10");
	hear(bench, fd, "*2|$1|a|$1|b|");
	push(bench, fd, "r");
	say(fd, "BRPOP in 0");
	expect_log(bench, "done a,b: LPUSH out r\n");
}

static void test_items_that_fail_with_one_worker_failed_together(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	say(fd, "RPOP in 10");
	hear(bench, fd, "*2|$1|a|$1|b|");
	end(bench, GATEWAY_FAILED);
	expect_log(bench, "fail a,b together exit\n");
}

/* ---- rule 2 ---- */

static void test_rule_2_write_pipelined_behind_the_pop_belongs_to_what_was_open(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	hub_push(&bench->hub, "b");
	say(fd, "BRPOP in 0; LPUSH out ra");
	hear(bench, fd, "*2|$2|in|$1|b|:1|");
	expect_log(bench, "done a: LPUSH out ra\n");
}

static void test_rule_2_write_behind_the_second_pop_belongs_to_the_first_ones_item(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	hub_push(&bench->hub, "b");
	hub_push(&bench->hub, "c");
	say(fd, "LPUSH out ra; BRPOP in 0; BRPOP in 0; LPUSH out rb; BRPOP in 0");
	hear(bench, fd, ":1|*2|$2|in|$1|b|*2|$2|in|$1|c|:1|");
	expect_log(bench, "done a: LPUSH out ra\ndone b: LPUSH out rb\ndone c\n");
}

static void test_rule_2_multi_covers_all_its_writes(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	hub_push(&bench->hub, "b");
	say(fd, "MULTI; LPUSH out r1; RPOP in; LPUSH out r2; EXEC");
	hear(bench, fd, "+OK|+QUEUED|+QUEUED|+QUEUED|*3|:1|$1|b|:1|");
	expect_log(bench, "done a: LPUSH out r1; LPUSH out r2\n");
	end(bench, GATEWAY_STOPPED);
	expect_log(bench, "done a: LPUSH out r1; LPUSH out r2\nreturn b\n");
}

static void test_rule_2_write_while_nothing_is_open_lands_by_itself(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	push(bench, fd, "hello");
	expect_log(bench, "write: LPUSH out hello\n");
	/* Also while a pop waits. */
	say(fd, "BRPOP in 0; LPUSH out again");
	expect_log(bench, "write: LPUSH out hello\nwrite: LPUSH out again\n");
	hub_push(&bench->hub, "a");
	hear(bench, fd, "*2|$2|in|$1|a|:1|");
}

static void test_rule_2_write_before_a_late_answer_is_not_the_new_items(void **state)
{
	struct bench *bench = *state;
	int in = client(bench);
	int out = client(bench);
	bench->hub_away = true;
	say(in, "BRPOP in 0");
	settle(bench);
	say(out, "LPUSH out early"); /* unread when the item comes */
	hub_push(&bench->hub, "a");
	(void)hub_run(&bench->hub);
	bench->hub_away = false;
	hear(bench, in, "*2|$2|in|$1|a|");
	expect_log(bench, "write: LPUSH out early\n");
}

/* ---- rule 3 ---- */

static void test_rule_3_after_a_stop_everything_returns_uncharged(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	push(bench, fd, "ra");
	end(bench, GATEWAY_STOPPED);
	expect_log(bench, "return a\n");
}

static void test_rule_3_what_has_landed_in_part_is_closed(void **state)
{
	struct bench *bench = *state;
	int one = client(bench);
	int two = client(bench);
	capture_begin();
	pop(bench, one, "a");
	pop(bench, two, "b");
	push(bench, one, "ra");
	push(bench, two, "rb");
	say(two, "BRPOP in 0");
	expect_log(bench, "done b: LPUSH out ra; LPUSH out rb\n");
	end(bench, GATEWAY_STOPPED);
	expect_log(bench, "done b: LPUSH out ra; LPUSH out rb\ndone a\n");
	free(capture_end());
}

/* ---- rule 4 ---- */

static void test_rule_4_silent_item_of_a_gone_connection_fails_at_the_next_pop(void **state)
{
	struct bench *bench = *state;
	int first = client(bench);
	int second = client(bench);
	pop(bench, first, "a");
	hang_up(bench, first);
	expect_log(bench, ""); /* not when the connection ends */
	say(second, "BRPOP in 0");
	expect_log(bench, "fail a connection_lost\n");
}

static void test_rule_4_silent_item_fails_at_exit_0(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	end(bench, GATEWAY_EXITED);
	expect_log(bench, "fail a exit_without_result\n");
}

static void test_rule_4_item_for_a_connection_that_is_gone_goes_to_the_next(void **state)
{
	struct bench *bench = *state;
	int first = client(bench);
	int second = client(bench);
	bench->hub_away = true;
	say(first, "BRPOP in 0");
	settle(bench);
	say(second, "BRPOP in 0");
	settle(bench);
	hub_push(&bench->hub, "a");
	(void)close(first); /* unread when the item comes */
	bench->client[0] = -1;
	(void)hub_run(&bench->hub);
	bench->hub_away = false;
	hear(bench, second, "*2|$2|in|$1|a|");
	expect_log(bench, "");
}

static void test_rule_4_pop_and_hang_up_in_one_go_takes_nothing(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	say(fd, "LLEN in"); /* the item comes to the node by that */
	hear(bench, fd, ":1|");
	say(fd, "BRPOP in 0");
	assert_int_equal(shutdown(fd, SHUT_WR), 0); /* a bare FIN, as of a client that timed out */
	settle(bench);
	assert_int_equal(gateway_slot_open(bench->slot), 0);
	int next = client(bench);
	say(next, "BRPOP in 0");
	hear(bench, next, "*2|$2|in|$1|a|");
	expect_log(bench, "");
}

/* ---- rule 5 ---- */

static void test_rule_5_each_close_lands_all_kept_writes_and_it_is_said_once(void **state)
{
	struct bench *bench = *state;
	int one = client(bench);
	int two = client(bench);
	capture_begin();
	pop(bench, one, "a");
	pop(bench, two, "b");
	push(bench, one, "ra");
	push(bench, two, "rb");
	pop(bench, two, "c");
	pop(bench, one, "d");
	AUTO_FREE char *log = capture_end();
	expect_log(bench, "done b: LPUSH out ra; LPUSH out rb\ndone a\n");
	assert_contains(log, "several connections");
	assert_null(strstr(strstr(log, "several connections") + 1, "several connections"));
	struct item_pool_status status;
	item_pool_status(bench->pool, &status);
	assert_int_equal(status.counters.concurrent, 1);
}

static void test_rule_5_declared_serial_any_pop_closes(void **state)
{
	struct bench *bench = *state;
	end(bench, GATEWAY_STOPPED);
	bench->slot = new_slot(bench, 1, 0);
	int one = client(bench);
	int two = client(bench);
	pop(bench, one, "a");
	push(bench, two, "ra");
	pop(bench, two, "b");
	expect_log(bench, "done a: LPUSH out ra\n");
}

/* ---- rule 6 ---- */

static void test_rule_6_only_lrem_closes_a_moved_item(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	say(fd, "BLMOVE in mine RIGHT LEFT 0");
	hear(bench, fd, "$1|a|");
	say(fd, "BRPOPLPUSH in mine 0");
	hear(bench, fd, "$1|b|");
	say(fd, "LRANGE mine 0 -1; LLEN mine");
	hear(bench, fd, "*2|$1|b|$1|a|:2|");
	expect_log(bench, "");
	say(fd, "MULTI; LPUSH out rb; LREM mine 1 b; EXEC");
	hear(bench, fd, "+OK|+QUEUED|+QUEUED|*2|:1|:1|");
	expect_log(bench, "done b: LPUSH out rb\n");
	say(fd, "MULTI; LREM mine 1 a; LPUSH out ra; EXEC");
	hear(bench, fd, "+OK|+QUEUED|+QUEUED|*2|:1|:1|");
	expect_log(bench, "done b: LPUSH out rb\ndone a: LPUSH out ra\n");
	say(fd, "LREM mine 1 a; LLEN mine");
	hear(bench, fd, ":0|:0|");
}

static void test_rule_6_pops_and_exit_0_close_nothing_of_it(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	say(fd, "LMOVE in mine RIGHT LEFT");
	hear(bench, fd, "$1|a|");
	push(bench, fd, "ra");
	say(fd, "BRPOP in 0");
	expect_log(bench, "");
	end(bench, GATEWAY_EXITED);
	expect_log(bench, "fail a exit_without_removal\n");
}

static void test_rule_6_equal_payloads_oldest_first(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	bench->hub_away = true;
	for (int i = 0; i < 2; i++)
		say(fd, "RPOPLPUSH in mine");
	for (int i = 1; i <= 2; i++) {
		settle(bench);
		const char *item = i == 1 ? "x1=same" : "x2=same";
		hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){item, NULL});
	}
	bench->hub_away = false;
	hear(bench, fd, "$4|same|$4|same|");
	say(fd, "LREM mine -1 same");
	hear(bench, fd, ":1|");
	expect_log(bench, "done x1\n");
}

static void test_rule_6_moving_on_and_moving_back(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	say(fd, "RPOPLPUSH in mine; RPOPLPUSH in mine");
	hear(bench, fd, "$1|a|$1|b|");
	say(fd, "RPOPLPUSH mine out");
	hear(bench, fd, "$1|a|");
	expect_log(bench, "done a: LPUSH out a\n");
	say(fd, "LMOVE mine in RIGHT RIGHT; RPOPLPUSH mine in; DEL mine");
	hear(bench, fd, "$1|b|$-1|:0|");
	expect_log(bench, "done a: LPUSH out a\nreturn b\n");
}

/* ---- rule 7 ---- */

static void test_rule_7_push_to_the_input_queue_is_a_write(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	say(fd, "LPUSH in a-again");
	hear(bench, fd, ":1|");
	say(fd, "BRPOP in 0");
	expect_log(bench, "done a: LPUSH in a-again\n");
}

static void test_rule_7_close_without_a_write_is_counted(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	struct item_pool_status status;
	pop(bench, fd, "a");
	say(fd, "BRPOP in 0");
	expect_log(bench, "done a\n");
	item_pool_status(bench->pool, &status);
	assert_int_equal(status.counters.empty, 1);
	assert_int_equal(status.counters.done, 1);
}

static void test_rule_7_nil_only_after_the_hub_said_so(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	bench->hub_away = true;
	say(fd, "RPOP in");
	hear_nothing(bench, fd);
	hub_lose(hub_open(&bench->hub, "lease"));
	hear_nothing(bench, fd);
	pause_ms(1100);
	bench->hub_away = false;
	hear(bench, fd, "$-1|");
	say(fd, "LPOP in 3");
	hear(bench, fd, "*-1|");
	say(fd, "LMPOP 2 other in RIGHT COUNT 2");
	hear(bench, fd, "*-1|");
}

/* ---- draining, timeouts ---- */

static void test_drain_pops_get_nothing_and_idle_is_told_at_the_close(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	gateway_slot_drain(bench->slot, on_idle);
	settle(bench);
	assert_int_equal(bench->idle, 0);
	push(bench, fd, "ra");
	hub_push(&bench->hub, "b");
	say(fd, "LLEN in"); /* an item comes to the node by that */
	hear(bench, fd, ":1|");
	say(fd, "BRPOP in 0");
	hear_nothing(bench, fd);
	assert_int_equal(bench->idle, 1);
	expect_log(bench, "done a: LPUSH out ra\n");
}

static void test_drain_of_an_idle_slot_is_told_at_once_and_a_blocked_pop_stays(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	say(fd, "BRPOP in 0");
	settle(bench);
	gateway_slot_drain(bench->slot, on_idle);
	assert_int_equal(bench->idle, 0);
	hub_push(&bench->hub, "b");
	hear_nothing(bench, fd);
	assert_int_equal(bench->idle, 1);
}

static void test_item_timeout_fails_the_item_alone(void **state)
{
	struct bench *bench = *state;
	end(bench, GATEWAY_STOPPED);
	bench->slot = new_slot(bench, 0, 80);
	int one = client(bench);
	int two = client(bench);
	capture_begin();
	pop(bench, one, "a");
	pause_ms(50);
	pop(bench, two, "b");
	for (int i = 0; i < PATIENCE && !bench->timeouts; i++) {
		turn(bench);
		pause_ms(1);
	}
	assert_int_equal(bench->timeouts, 1);
	end(bench, GATEWAY_FAILED);
	free(capture_end());
	expect_log(bench, "fail a item_timeout\nreturn b\n");
}

/* ---- gridexec ---- */

static int exec_setup(void **state)
{
	(void)setup(state);
	struct bench *bench = *state;
	end(bench, GATEWAY_STOPPED);
	const struct gateway_slot_options options = {
		.pool = bench->pool,
		.input_queue = "in",
		.output_queue = "out",
		.exec = "{\"exec\":[\"x\"]}",
		.subject = "slot=0",
		.context = bench,
		.on_item_timeout = on_item_timeout,
	};
	bench->slot = gateway_slot_new(bench->gateway, &options);
	return 0;
}

static void test_exec_says_what_to_run(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	say(fd, "IDM EXEC");
	hear(bench, fd, "$14|{\"exec\":[\"x\"]}|");
	say(fd, "idm exec more");
	hear_error(bench, fd, "wrong number of arguments for 'IDM EXEC'");
	say(fd, "IDM");
	hear_error(bench, fd, "wrong number of arguments");
	say(fd, "IDM NEXT 0");
	hear_error(bench, fd, "count should be greater than 0");
	say(fd, "IDM NEXT many");
	hear_error(bench, fd, "out of range");
	say(fd, "IDM STOP");
	hear_error(bench, fd, "IDM EXEC, IDM NEXT and IDM FAIL");
}

static void test_exec_next_gives_items_with_their_failures_and_closes_what_was_open(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	hub_push(&bench->hub, "c");
	say(fd, "IDM NEXT 2");
	hear(bench, fd, "*4|$1|a|:0|$1|b|:0|");
	assert_int_equal(gateway_slot_open(bench->slot), 2);
	say(fd, "LPUSH out rab;IDM NEXT 2"); /* one write, as gridexec makes it */
	hear(bench, fd, ":1|*2|$1|c|:0|");
	expect_log(bench, "done a,b: LPUSH out rab\n");
	say(fd, "IDM NEXT 2"); /* without a result */
	expect_log(bench, "done a,b: LPUSH out rab\ndone c\n");
	hub_push(&bench->hub, "d");
	hear(bench, fd, "*2|$1|d|:0|");
}

static void test_exec_next_waits_for_a_full_batch_while_the_hub_has_more(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	hub_push(&bench->hub, "c");
	say(fd, "LLEN in"); /* asks the hub, and brings one */
	hear(bench, fd, ":3|");
	say(fd, "IDM NEXT 3");
	hear(bench, fd, "*6|$1|a|:0|$1|b|:0|$1|c|:0|");
}

static void test_exec_fail_charges_what_is_open_and_drops_its_writes(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	say(fd, "IDM NEXT 2");
	hear(bench, fd, "*4|$1|a|:0|$1|b|:0|");
	push(bench, fd, "half");
	say(fd, "IDM FAIL timed-out -1 tail");
	hear(bench, fd, "+OK|");
	assert_int_equal(gateway_slot_open(bench->slot), 0);
	expect_log(bench, "fail a,b together timed-out\n");
	/* The connection lives on, and a single one has not failed together with another. */
	hub_push(&bench->hub, "c");
	say(fd, "IDM NEXT 2");
	hear(bench, fd, "*2|$1|c|:0|");
	say(fd, "IDM FAIL exit 3 tail;IDM FAIL nothing 3 open");
	hear(bench, fd, "+OK|+OK|");
	expect_log(bench, "fail a,b together timed-out\nfail c exit\n");
	say(fd, "IDM FAIL exit 256 tail");
	hear_error(bench, fd, "exit status");
	say(fd, "IDM FAIL exit x tail");
	hear_error(bench, fd, "exit status");
}

/* What a dead letter shows. */
static void test_exec_fail_tells_reason_status_and_tail_whatever_bytes_they_are(void **state)
{
	struct bench *bench = *state;
	static const char FAIL[] =
		"*5\r\n$3\r\nIDM\r\n$4\r\nFAIL\r\n$13\r\nexit status 3\r\n$1\r\n3\r\n$5\r\na\0\xff\nb\r\n";
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	say(fd, "IDM NEXT 1");
	hear(bench, fd, "*2|$1|a|:0|");
	bench->hub_away = true;
	send_bytes(fd, FAIL, sizeof(FAIL) - 1);
	hear(bench, fd, "+OK|");
	settle(bench);
	struct taken_post *post = hub_open(&bench->hub, "/commit");
	assert_non_null(post);
	struct err err = {0};
	struct commit_batch *batch = commit_parse(post->body, post->body_len, &err);
	const struct outcome *outcome = commit_outcome(batch, 0);
	json_t *error = json_loadb(outcome->error, outcome->error_len, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(error, "reason")), "exit status 3");
	assert_int_equal(json_integer_value(json_object_get(error, "exit_status")), 3);
	assert_true(json_is_false(json_object_get(error, "out_of_memory")));
	assert_string_equal(json_string_value(json_object_get(error, "log_tail")), "a ?\nb");
	json_decref(error);
	commit_free(batch);
	bench->hub_away = false;
}

static void test_exec_password_is_good_for_one_connection(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	char command[128];
	(void)snprintf(command, sizeof(command), "AUTH %s", bench->slot->password);
	say(fd, command); /* the same connection may repeat itself */
	hear(bench, fd, "+OK|");
	int second = stranger(bench);
	say(second, command);
	hear_error(bench, second, "good for one connection");
	(void)snprintf(command, sizeof(command), "HELLO 2 AUTH default %s", bench->slot->password);
	say(second, command);
	hear_error(bench, second, "good for one connection");
	hang_up(bench, fd);
	int third = stranger(bench);
	say(third, command); /* nor is it when the first has gone */
	hear_error(bench, third, "good for one connection");
}

static void test_exec_items_of_a_lost_connection_fail_with_the_worker(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	say(fd, "IDM NEXT 1");
	hear(bench, fd, "*2|$1|a|:0|");
	push(bench, fd, "ra");
	hang_up(bench, fd);
	expect_log(bench, "");
	end(bench, GATEWAY_FAILED);
	expect_log(bench, "fail a exit\n");
}

static void test_exec_drained_is_idle_after_a_failure(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	say(fd, "IDM NEXT 1");
	hear(bench, fd, "*2|$1|a|:0|");
	gateway_slot_drain(bench->slot, on_idle);
	settle(bench);
	assert_int_equal(bench->idle, 0);
	say(fd, "IDM FAIL exit 3 tail;IDM NEXT 1");
	hear(bench, fd, "+OK|");
	hear_nothing(bench, fd);
	assert_int_equal(bench->idle, 1);
}

static void test_exec_commands_are_not_for_a_multi(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	say(fd, "MULTI;IDM NEXT 1;EXEC");
	settle(bench);
	char got[512] = "";
	(void)recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	assert_contains(got, "'IDM' is not for a MULTI");
	assert_contains(got, "EXECABORT");
}

static void test_exec_commands_are_for_exec_tasks_alone(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	(void)client(bench); /* and their password is good for as many as they like */
	static const char *const WORDS[] = {"IDM EXEC", "IDM NEXT 1", "IDM FAIL a 1 b"};
	for (size_t i = 0; i < 3; i++) {
		say(fd, WORDS[i]);
		hear_error(bench, fd, "gridexec");
	}
}

/* ---- the rest of the table ---- */

static void test_stranger_gets_nothing_without_the_password(void **state)
{
	struct bench *bench = *state;
	int fd = stranger(bench);
	say(fd, "RPOP in");
	hear_error(bench, fd, "NOAUTH");
	say(fd, "AUTH wrong");
	hear_error(bench, fd, "WRONGPASS");
	say(fd, "HELLO 3");
	hear_error(bench, fd, "NOAUTH");
	AUTO_FREE char *url = gateway_slot_url(bench->slot, "127.0.0.1", 6379);
	assert_contains(url, "@127.0.0.1:6379/0");
	char command[128];
	(void)snprintf(command, sizeof(command), "HELLO 3 AUTH default %s SETNAME me", bench->slot->password);
	say(fd, command);
	settle(bench);
	char got[512] = "";
	(void)recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT);
	assert_contains(got, "$5\r\nproto\r\n:2\r\n"); /* whatever was asked for */
}

static void test_stranger_may_not_fill_the_memory(void **state)
{
	struct bench *bench = *state;
	int fd = stranger(bench);
	static char bytes[64 * 1024];
	static const char HEAD[] = "*2\r\n$4\r\nAUTH\r\n$9999999\r\n";
	send_bytes(fd, HEAD, sizeof(HEAD) - 1);
	ssize_t sent = 0;
	for (int i = 0; i < 64 && sent >= 0; i++) {
		sent = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN)
			sent = 0;
		turn(bench);
	}
	assert_int_equal(sent, -1);
	assert_int_equal(bench->gateway->stranger_count, 0);
}

static void test_connections_without_a_password_are_few_and_short_lived(void **state)
{
	struct bench *bench = *state;
	int first = stranger(bench);
	int pairs[200];
	for (int i = 0; i < 200; i++) {
		int pair[2];
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
		gateway_add_connection(bench->gateway, NULL, NULL, pair[0]);
		pairs[i] = pair[1];
	}
	assert_true(bench->gateway->stranger_count <= 128);
	char byte;
	assert_int_equal(recv(first, &byte, 1, MSG_DONTWAIT), 0); /* the oldest made room */
	for (struct gateway_session *session = bench->gateway->strangers; session; session = session->next)
		session->came_ms -= 60 * 1000;
	pause_ms(1100);
	settle(bench);
	assert_int_equal(bench->gateway->stranger_count, 0);
	for (int i = 0; i < 200; i++)
		(void)close(pairs[i]);
}

static void test_own_listener_takes_its_own_password_alone(void **state)
{
	struct bench *bench = *state;
	struct err err = {0};
	struct gateway_slot *other = new_slot(bench, 0, 0);
	int fd = listen_open("127.0.0.1:0", &err);
	const struct sockaddr_in at = {.sin_family = AF_INET,
				       .sin_port = htons((uint16_t)listen_port(fd)),
				       .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	assert_int_equal(gateway_slot_listen(bench->slot, fd, &err), 0);
	int own = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(own, (const struct sockaddr *)&at, sizeof(at)), 0);
	bench->client[bench->clients++] = own;
	char command[128];
	(void)snprintf(command, sizeof(command), "AUTH %s", other->password);
	say(own, command);
	hear_error(bench, own, "WRONGPASS");
	(void)snprintf(command, sizeof(command), "AUTH %s", bench->slot->password);
	say(own, command);
	hear(bench, own, "+OK|");
	pop(bench, own, "a");
	const struct gateway_end how = {.kind = GATEWAY_STOPPED};
	gateway_slot_end(other, &how);
	end(bench, GATEWAY_STOPPED);
	char byte;
	assert_int_equal(recv(own, &byte, 1, MSG_DONTWAIT), 0);
	int late = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(late, (const struct sockaddr *)&at, sizeof(at)), -1);
	(void)close(late);
}

static void test_small_talk(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	say(fd, "PING; ping hi; ECHO x; SELECT 2; CLIENT SETINFO LIB-NAME y; INFO; COMMAND DOCS; WATCH k; UNWATCH");
	hear(bench, fd, "+PONG|$2|hi|$1|x|+OK|+OK|$0||*0|+OK|+OK|");
	say(fd, "EXISTS in; TYPE in; LLEN in");
	hear(bench, fd, ":0|+none|:0|");
	say(fd, "SET out:k v; APPEND out:k abc; HSET out:h f 1 g 2; SADD out:s a b; ZADD out:z 1 a");
	hear(bench, fd, "+OK|:3|:2|:2|:1|");
	say(fd, "GET out:k");
	hear_error(bench, fd, "'GET'");
	say(fd, "LPUSH elsewhere x");
	hear_error(bench, fd, "\"delivery\": \"direct\"");
	say(fd, "MULTI; NONSENSE; EXEC");
	settle(bench);
	char rest[1024] = "";
	(void)recv(fd, rest, sizeof(rest) - 1, MSG_DONTWAIT);
	assert_contains(rest, "EXECABORT");
}

static void test_replies_keep_their_order_while_a_pop_waits(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	say(fd, "BRPOP in 0; PING; LLEN in; PING last");
	hear_nothing(bench, fd);
	hub_push(&bench->hub, "a");
	hear(bench, fd, "*2|$2|in|$1|a|+PONG|:0|$4|last|");
}

static void test_blocking_pop_times_out(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	say(fd, "BRPOP in other 0.05; PING");
	hear(bench, fd, "*-1|+PONG|");
	say(fd, "BRPOP other 0.05; BLMPOP 0.05 1 other LEFT; RPOP other");
	hear(bench, fd, "*-1|*-1|$-1|");
}

static void test_broken_protocol_is_told_and_closed(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	send_bytes(fd, "GET / HTTP/1.1\r\n", 16);
	hear_error(bench, fd, "Protocol error");
	char byte;
	settle(bench);
	assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

static void test_too_large_a_result_fails_its_item_cleanly(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	pop(bench, fd, "a");
	static const char HEAD[] = "*3\r\n$5\r\nLPUSH\r\n$3\r\nout\r\n$9000000\r\n";
	char *payload = calloc(1, 9000002);
	payload[9000000] = '\r';
	payload[9000001] = '\n';
	for (int i = 0; i < 2; i++) {
		send_bytes(fd, HEAD, sizeof(HEAD) - 1);
		for (size_t sent = 0; sent < 9000002;) {
			ssize_t count = send(fd, payload + sent, 9000002 - sent, MSG_NOSIGNAL);
			turn(bench);
			sent += count > 0 ? (size_t)count : 0;
		}
		if (i == 0)
			hear(bench, fd, ":1|");
	}
	free(payload);
	hear_error(bench, fd, "has failed");
	say(fd, "BRPOP in 0");
	expect_log(bench, "fail a result_too_large\n");
}

static void test_slow_reader_is_not_read_any_more(void **state)
{
	struct bench *bench = *state;
	int fd = client(bench);
	char large[60 * 1024];
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	struct buf bytes;
	buf_init(&bytes, 1 << 20);
	const char *const argv[] = {"ECHO", large};
	assert_int_equal(resp_add_command(&bytes, 2, argv, NULL), 0);
	size_t sent = 0;
	size_t total = 0;
	for (int i = 0; i < 4000; i++) {
		ssize_t count = send(fd, bytes.data + sent, bytes.len - sent, MSG_NOSIGNAL);
		total += count > 0 ? (size_t)count : 0;
		sent = count > 0 ? (sent + (size_t)count) % bytes.len : sent;
		turn(bench);
	}
	assert_true(total < 8 * 1024 * 1024);
	buf_done(&bytes);
}

/* A worker's life with the nth allocation failing: whatever fails, each item is told of once at most, and nothing leaks. */
static bool live_with_a_fault(unsigned nth)
{
	void *state = NULL;
	(void)setup(&state);
	struct bench *bench = state;
	int fd = client(bench);
	hub_push(&bench->hub, "a");
	hub_push(&bench->hub, "b");
	say(fd, "LLEN in; RPOP in 2");
	bool reached = false;
	fault_arm(nth);
	static const char *const COMMANDS[] = {"LPUSH out r; MULTI; RPOPLPUSH in mine; LPUSH out s; EXEC",
					       "BRPOP in 0.01", "LREM mine 1 b"};
	for (size_t i = 0; i < 4; i++) {
		(void)uv_run(&bench->loop, UV_RUN_NOWAIT);
		item_pool_step(bench->pool);
		fault_pause(true);
		if (i < 3) {
			struct buf bytes;
			buf_init(&bytes, 1 << 16);
			form(&bytes, COMMANDS[i]);
			(void)!send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
			buf_done(&bytes);
		}
		(void)hub_run(&bench->hub);
		fault_pause(false);
	}
	const struct gateway_end how = {.kind = GATEWAY_EXITED};
	gateway_slot_end(bench->slot, &how);
	bench->slot = NULL;
	reached = fault_disarm();
	settle(bench);
	struct item_pool_status status;
	item_pool_status(bench->pool, &status);
	assert_int_equal(status.open, 0);
	(void)teardown(&state);
	return reached;
}

static void test_any_allocation_may_fail(void **state)
{
	(void)state;
	unsigned nth = 0;
	capture_begin();
	while (live_with_a_fault(++nth))
		;
	free(capture_end());
	assert_true(nth > 10);
}

#define gateway_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define exec_test(name) cmocka_unit_test_setup_teardown(name, exec_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		gateway_test(test_rule_1_next_pop_closes_with_the_writes_between),
		gateway_test(test_rule_1_writes_on_any_connection_count),
		gateway_test(test_rule_1_reads_all_connections_dry_before_a_close),
		gateway_test(test_rule_1_waits_for_a_half_received_command),
		gateway_test(test_rule_1_does_not_wait_for_ever),
		gateway_test(test_rule_1_exit_0_closes),
		gateway_test(test_rule_1_other_exits_drop_the_writes),
		gateway_test(test_rule_1_gone_connection_closes_at_the_slots_next_pop),
		gateway_test(test_several_items_of_one_pop_are_one_step),
		gateway_test(test_items_that_fail_with_one_worker_failed_together),
		gateway_test(test_rule_2_write_pipelined_behind_the_pop_belongs_to_what_was_open),
		gateway_test(test_rule_2_write_behind_the_second_pop_belongs_to_the_first_ones_item),
		gateway_test(test_rule_2_multi_covers_all_its_writes),
		gateway_test(test_rule_2_write_while_nothing_is_open_lands_by_itself),
		gateway_test(test_rule_2_write_before_a_late_answer_is_not_the_new_items),
		gateway_test(test_rule_3_after_a_stop_everything_returns_uncharged),
		gateway_test(test_rule_3_what_has_landed_in_part_is_closed),
		gateway_test(test_rule_4_silent_item_of_a_gone_connection_fails_at_the_next_pop),
		gateway_test(test_rule_4_silent_item_fails_at_exit_0),
		gateway_test(test_rule_4_item_for_a_connection_that_is_gone_goes_to_the_next),
		gateway_test(test_rule_4_pop_and_hang_up_in_one_go_takes_nothing),
		gateway_test(test_rule_5_each_close_lands_all_kept_writes_and_it_is_said_once),
		gateway_test(test_rule_5_declared_serial_any_pop_closes),
		gateway_test(test_rule_6_only_lrem_closes_a_moved_item),
		gateway_test(test_rule_6_pops_and_exit_0_close_nothing_of_it),
		gateway_test(test_rule_6_equal_payloads_oldest_first),
		gateway_test(test_rule_6_moving_on_and_moving_back),
		gateway_test(test_rule_7_push_to_the_input_queue_is_a_write),
		gateway_test(test_rule_7_close_without_a_write_is_counted),
		gateway_test(test_rule_7_nil_only_after_the_hub_said_so),
		gateway_test(test_drain_pops_get_nothing_and_idle_is_told_at_the_close),
		gateway_test(test_drain_of_an_idle_slot_is_told_at_once_and_a_blocked_pop_stays),
		gateway_test(test_item_timeout_fails_the_item_alone),
		exec_test(test_exec_says_what_to_run),
		exec_test(test_exec_next_gives_items_with_their_failures_and_closes_what_was_open),
		exec_test(test_exec_next_waits_for_a_full_batch_while_the_hub_has_more),
		exec_test(test_exec_fail_charges_what_is_open_and_drops_its_writes),
		exec_test(test_exec_fail_tells_reason_status_and_tail_whatever_bytes_they_are),
		exec_test(test_exec_password_is_good_for_one_connection),
		exec_test(test_exec_items_of_a_lost_connection_fail_with_the_worker),
		exec_test(test_exec_drained_is_idle_after_a_failure),
		exec_test(test_exec_commands_are_not_for_a_multi),
		gateway_test(test_exec_commands_are_for_exec_tasks_alone),
		gateway_test(test_stranger_gets_nothing_without_the_password),
		gateway_test(test_stranger_may_not_fill_the_memory),
		gateway_test(test_connections_without_a_password_are_few_and_short_lived),
		gateway_test(test_own_listener_takes_its_own_password_alone),
		gateway_test(test_small_talk),
		gateway_test(test_replies_keep_their_order_while_a_pop_waits),
		gateway_test(test_blocking_pop_times_out),
		gateway_test(test_broken_protocol_is_told_and_closed),
		gateway_test(test_too_large_a_result_fails_its_item_cleanly),
		gateway_test(test_slow_reader_is_not_read_any_more),
		cmocka_unit_test(test_any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
