/* Protects bodies that the server hands on piece by piece: nothing lost, nothing kept, pauses that reach the client, answers before
 * the end, clients that go or creep. Over real loopback sockets; the bytes are written by hand where our client would not. */
#include "net/http_server.h"

#include "../support.h"
#include "base/buf.h"
#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_trust.h"
#include "net/tls_identity.h"
#include "tls_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	REQUEST_TIMEOUT_MS = 1500,
	LARGE = 3 * 1000 * 1000,
	EARLY_AT = 50 * 1000,
	PAUSE_EACH = 60 * 1000,
	MUCH = 64 * 1024 * 1024,
};

static bool secure; /* the world speaks TLS */

struct world {
	uv_loop_t loop;
	uv_timer_t guard, nudge, resume;
	struct http_server *server;
	struct http_client *client;
	char pin[128];
	struct http_trust trust;
	struct http_request *request; /* whose body comes; NULL when it is over */
	size_t got;      /* bytes of it */
	size_t since;    /* the last pause */
	bool wrong;      /* they are not those that were sent */
	bool paused;
	bool stays;      /* paused until the test says otherwise */
	unsigned ended, gone;
	bool timed_out;
};

static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at * 7 + at / 251);
}

/* ---- what the server does ---- */

static void answer(struct world *world, unsigned status, const char *text)
{
	struct http_request *request = world->request;
	struct http_response response = {.status = status, .content_type = "text/plain", .body_len = strlen(text)};
	response.body = strdup(text);
	assert_non_null(response.body);
	world->request = NULL;
	http_respond(request, &response);
}

static void on_gone(struct http_request *request)
{
	struct world *world = request->holder;
	world->gone++;
	world->request = NULL;
	world->paused = false;
}

static void on_resume(uv_timer_t *timer)
{
	struct world *world = timer->data;
	if (!world->request || !world->paused || world->stays)
		return;
	world->paused = false;
	http_go_on(world->request);
}

static void on_piece(struct http_request *request, const char *bytes, size_t len)
{
	struct world *world = request->holder;
	assert_false(world->paused);
	for (size_t i = 0; i < len; i++)
		world->wrong = world->wrong || (unsigned char)bytes[i] != byte_at(world->got + i);
	world->got += len;
	world->since += len;
	if (strcmp(request->path, "/early") == 0 && world->got >= EARLY_AT) {
		answer(world, 507, "early");
	} else if (strcmp(request->path, "/paused") == 0 && world->since >= PAUSE_EACH) {
		world->since = 0;
		world->paused = true;
		http_pause(request);
		(void)uv_timer_start(&world->resume, on_resume, 1, 0);
	}
}

static void on_late(uv_timer_t *timer)
{
	answer(timer->data, 200, "late");
}

static void on_end(struct http_request *request)
{
	struct world *world = request->holder;
	char text[32];
	world->ended++;
	(void)snprintf(text, sizeof(text), "%zu", world->got);
	if (strcmp(request->path, "/late") == 0) {
		http_hold(request);
		(void)uv_timer_start(&world->resume, on_late, 20, 0);
	} else {
		answer(world, 200, text);
	}
}

static void on_headers(void *context, struct http_request *request)
{
	struct world *world = context;
	world->request = request;
	if (strcmp(request->path, "/refused") == 0) {
		answer(world, 401, "refused");
		return;
	}
	world->got = world->since = 0;
	request->holder = world;
	request->on_gone = on_gone;
	request->on_piece = on_piece;
	request->on_end = on_end;
}

static void on_request(void *context, struct http_request *request)
{
	(void)context;
	fail_msg("%s is no stream", request->path);
}

/* ---- the loop ---- */

static void on_guard(uv_timer_t *timer)
{
	((struct world *)timer->data)->timed_out = true;
}

static void on_nudge(uv_timer_t *timer)
{
	(void)timer; /* the descriptors of the test do not wake the loop */
}

static struct world *begin(void)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	(void)uv_timer_init(&world->loop, &world->guard);
	(void)uv_timer_init(&world->loop, &world->nudge);
	(void)uv_timer_init(&world->loop, &world->resume);
	world->guard.data = world->nudge.data = world->resume.data = world;
	(void)uv_timer_start(&world->nudge, on_nudge, 2, 2);
	struct err err = {0};
	struct tls_identity *identity = secure ? tls_identity_load("c.pem", "k.pem", &err) : NULL;
	assert_true(!secure || identity);
	if (identity)
		(void)snprintf(world->pin, sizeof(world->pin), "%s", tls_identity_pin(identity));
	const struct http_server_options options = {.bind = "127.0.0.1:0",
						    .identity = identity,
						    .max_connections = 50,
						    .request_timeout_ms = REQUEST_TIMEOUT_MS,
						    .context = world,
						    .on_headers = on_headers,
						    .on_request = on_request};
	world->server = http_server_new(&world->loop, &options, &err);
	if (!world->server)
		fail_msg("%s", err.text);
	world->client = http_client_new(&world->loop, "test/1");
	assert_non_null(world->client);
	world->trust.pins = world->pin;
	http_client_set_trust(world->client, &world->trust);
	return world;
}

static void end(struct world *world)
{
	http_client_close(world->client);
	http_server_close(world->server);
	uv_close((uv_handle_t *)&world->guard, NULL);
	uv_close((uv_handle_t *)&world->nudge, NULL);
	uv_close((uv_handle_t *)&world->resume, NULL);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
}

/* Runs the loop until the condition holds; fails the test after ten seconds. */
#define run_until(world, condition) \
	do { \
		(void)uv_timer_start(&(world)->guard, on_guard, 10000, 0); \
		while (!(condition) && !(world)->timed_out) \
			(void)uv_run(&(world)->loop, UV_RUN_ONCE); \
		(void)uv_timer_stop(&(world)->guard); \
		assert_false((world)->timed_out); \
	} while (0)

static void run_for(struct world *world, int64_t ms)
{
	int64_t until = clock_monotonic_ms() + ms;
	run_until(world, clock_monotonic_ms() >= until);
}

/* ---- clients ---- */

struct outcome {
	bool done;
	int error, status;
	char body[64];
};

static void on_done(void *context, const struct http_result *result)
{
	struct outcome *outcome = context;
	outcome->done = true;
	outcome->error = result->error;
	outcome->status = result->status;
	(void)snprintf(outcome->body, sizeof(outcome->body), "%.*s", (int)result->body_len, result->body ? result->body : "");
}

static char *make_body(size_t len)
{
	char *body = malloc(len + 1);
	assert_non_null(body);
	for (size_t i = 0; i < len; i++)
		body[i] = (char)byte_at(i);
	body[len] = '\0';
	return body;
}

static void post(struct world *world, const char *path, size_t len, struct outcome *outcome)
{
	char url[128];
	char *body = make_body(len);
	(void)snprintf(url, sizeof(url), "http%s://127.0.0.1:%u%s", secure ? "s" : "", http_server_port(world->server), path);
	*outcome = (struct outcome){0};
	const struct http_call_options options = {.method = "POST",
						  .url = url,
						  .body = body,
						  .body_len = len,
						  .timeout_ms = 9000,
						  .max_body = 1000,
						  .context = outcome,
						  .on_done = on_done};
	struct err err = {0};
	if (!http_client_start(world->client, &options, &err))
		fail_msg("%s", err.text);
	run_until(world, outcome->done);
	free(body);
}

static int dial(struct world *world, const char *head)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(world->server))};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
	return fd;
}

/* As many of the pattern's bytes as the system takes now. */
static size_t pour(int fd, size_t at, size_t max)
{
	size_t begun = at;
	while (at - begun < max) {
		char block[4096];
		size_t len = max - (at - begun) < sizeof(block) ? max - (at - begun) : sizeof(block);
		for (size_t i = 0; i < len; i++)
			block[i] = (char)byte_at(at + i);
		ssize_t sent = send(fd, block, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent <= 0)
			break;
		at += (size_t)sent;
	}
	return at - begun;
}

/* Takes what is there; true when the server has closed. */
static bool take(int fd, char *into, size_t size)
{
	size_t len = strlen(into);
	ssize_t got = recv(fd, into + len, size - len - 1, MSG_DONTWAIT);
	if (got > 0)
		into[len + (size_t)got] = '\0';
	return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

#define HEAD(path, length) "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Length: " length "\r\n\r\n"

/* ---- tests ---- */

static void test_http_stream_comes_in_pieces_whole_and_in_order(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	post(world, "/stream", LARGE, &outcome);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(outcome.status, 200);
	assert_string_equal(outcome.body, "3000000");
	assert_false(world->wrong);
	post(world, "/stream", 0, &outcome);
	assert_string_equal(outcome.body, "0");
	post(world, "/late", 10, &outcome);
	assert_string_equal(outcome.body, "late");
	assert_int_equal(world->ended, 3);
	assert_int_equal(world->gone, 0);
	end(world);
}

static void test_http_stream_loses_nothing_by_pauses(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	post(world, "/paused", LARGE, &outcome);
	assert_int_equal(outcome.error, 0);
	assert_string_equal(outcome.body, "3000000");
	assert_false(world->wrong);
	end(world);
}

/* Chunks that are smaller than what is read at once: a pause comes between two that are here already. */
static void test_http_stream_of_chunks_loses_nothing_by_pauses(void **state)
{
	(void)state;
	struct world *world = begin();
	char answered[1024] = "";
	char chunk[128];
	int fd = dial(world, "POST /paused HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
	size_t at = 0;
	while (at < LARGE / 10) {
		int len = snprintf(chunk, sizeof(chunk), "40\r\n");
		for (size_t i = 0; i < 64; i++)
			chunk[len++] = (char)byte_at(at++);
		chunk[len++] = '\r';
		chunk[len++] = '\n';
		for (int sent = 0; sent < len;) {
			ssize_t now = send(fd, chunk + sent, (size_t)(len - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
			sent += now > 0 ? (int)now : 0;
			if (now <= 0)
				(void)uv_run(&world->loop, UV_RUN_ONCE);
		}
	}
	assert_int_equal(send(fd, "0\r\n\r\n", 5, MSG_NOSIGNAL), 5);
	run_until(world, take(fd, answered, sizeof(answered)) || strstr(answered, "300032"));
	assert_non_null(strstr(answered, "200 OK"));
	assert_int_equal(world->got, 300032);
	assert_false(world->wrong);
	(void)close(fd);
	end(world);
}

static void test_http_stream_that_is_paused_holds_its_client_up(void **state)
{
	(void)state;
	struct world *world = begin();
	char answered[1024] = "";
	int fd = dial(world, HEAD("/paused", "67108864"));
	world->stays = true;
	size_t sent = 0;
	size_t more;
	do {
		more = pour(fd, sent, MUCH - sent);
		sent += more;
		run_for(world, 50);
	} while (more > 0);
	assert_true(world->paused);
	assert_true(sent < MUCH / 2);
	size_t got = world->got;
	run_for(world, REQUEST_TIMEOUT_MS + 1500); /* its deadline does not run meanwhile */
	assert_int_equal(world->got, got);
	assert_int_equal(world->gone, 0);
	world->stays = false;
	on_resume(&world->resume);
	while (sent < MUCH) {
		sent += pour(fd, sent, MUCH - sent);
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	}
	run_until(world, take(fd, answered, sizeof(answered)) || strstr(answered, "67108864"));
	assert_non_null(strstr(answered, "200 OK"));
	assert_false(world->wrong);
	(void)close(fd);
	end(world);
}

static void test_http_stream_is_answered_before_its_end(void **state)
{
	(void)state;
	struct world *world = begin();
	char answered[1024] = "";
	int fd = dial(world, HEAD("/early", "1000000"));
	size_t sent = pour(fd, 0, EARLY_AT + 100);
	run_until(world, strstr(answered, "early") || take(fd, answered, sizeof(answered)));
	assert_non_null(strstr(answered, "HTTP/1.1 507 Insufficient Storage\r\n"));
	assert_non_null(strstr(answered, "Connection: close\r\n"));
	assert_true(sent < 1000000);
	while (sent < 1000000) { /* a client that only reads when it has sent everything is not cut meanwhile */
		sent += pour(fd, sent, 1000000 - sent);
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	}
	run_until(world, take(fd, answered, sizeof(answered)));
	assert_string_equal(strstr(answered, "\r\n\r\n"), "\r\n\r\nearly");
	assert_int_equal(world->ended, 0);
	assert_int_equal(world->gone, 0);
	(void)close(fd);
	end(world);
}

static void test_http_stream_is_answered_early_to_our_client(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	post(world, "/early", LARGE, &outcome);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(outcome.status, 507);
	assert_string_equal(outcome.body, "early");
	post(world, "/stream", LARGE, &outcome); /* on another connection */
	assert_string_equal(outcome.body, "3000000");
	end(world);
}

static void test_http_stream_is_answered_while_it_is_paused(void **state)
{
	(void)state;
	struct world *world = begin();
	char answered[1024] = "";
	int fd = dial(world, HEAD("/paused", "1000000"));
	world->stays = true;
	(void)pour(fd, 0, PAUSE_EACH + 5000);
	run_until(world, world->paused);
	answer(world, 409, "while paused");
	run_until(world, strstr(answered, "while paused") || take(fd, answered, sizeof(answered)));
	assert_non_null(strstr(answered, "409 Conflict"));
	int64_t begun = clock_monotonic_ms();
	run_until(world, take(fd, answered, sizeof(answered))); /* who does not stop is cut in time */
	assert_true(clock_monotonic_ms() - begun <= REQUEST_TIMEOUT_MS + 3000);
	assert_int_equal(world->gone, 0);
	(void)close(fd);
	end(world);
}

static void test_http_stream_whose_client_goes_is_told(void **state)
{
	(void)state;
	struct world *world = begin();
	int fd = dial(world, HEAD("/stream", "1000000"));
	(void)pour(fd, 0, 1000);
	run_until(world, world->got == 1000);
	(void)close(fd);
	run_until(world, world->gone == 1);
	fd = dial(world, HEAD("/paused", "1000000"));
	world->stays = true;
	(void)pour(fd, 0, PAUSE_EACH + 5000);
	run_until(world, world->paused);
	(void)close(fd);
	run_for(world, 1300); /* not watched: its receiver is busy with what came */
	assert_int_equal(world->gone, 1);
	world->stays = false;
	on_resume(&world->resume);
	run_until(world, world->gone == 2);
	assert_int_equal(world->ended, 0);
	end(world);
}

static void test_http_stream_that_creeps_is_cut_and_a_slow_one_is_not(void **state)
{
	(void)state;
	struct world *world = begin();
	char answered[1024] = "";
	int fd = dial(world, HEAD("/stream", "1000000"));
	int64_t begun = clock_monotonic_ms();
	for (size_t sent = 0; world->gone == 0;) {
		sent += pour(fd, sent, 1);
		run_for(world, 100);
		assert_true(clock_monotonic_ms() - begun <= REQUEST_TIMEOUT_MS + 3000);
	}
	assert_true(clock_monotonic_ms() - begun >= REQUEST_TIMEOUT_MS);
	(void)close(fd);

	fd = dial(world, HEAD("/stream", "9000"));
	begun = clock_monotonic_ms();
	for (size_t sent = 0; sent < 9000;) {
		sent += pour(fd, sent, 100);
		run_for(world, 40);
	}
	assert_true(clock_monotonic_ms() - begun >= 2 * REQUEST_TIMEOUT_MS);
	run_until(world, take(fd, answered, sizeof(answered)) || strstr(answered, "9000"));
	assert_non_null(strstr(answered, "200 OK"));
	(void)close(fd);
	end(world);
}

static void test_http_stream_refused_at_its_headers(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	post(world, "/refused", 1000, &outcome);
	assert_int_equal(outcome.status, 401);
	assert_string_equal(outcome.body, "refused");
	end(world);
}

static void test_http_server_that_closes_tells_its_streams(void **state)
{
	(void)state;
	struct world *world = begin();
	int one = dial(world, HEAD("/stream", "1000000"));
	(void)pour(one, 0, 1000);
	run_until(world, world->got == 1000);
	struct http_request *first = world->request;
	int two = dial(world, HEAD("/paused", "1000000"));
	world->stays = true;
	(void)pour(two, 0, PAUSE_EACH + 5000);
	run_until(world, world->paused);
	assert_ptr_not_equal(first, world->request);
	struct world *closed = world;
	http_server_close(closed->server);
	assert_int_equal(world->gone, 2);
	(void)close(one);
	(void)close(two);
	http_client_close(world->client);
	uv_close((uv_handle_t *)&world->guard, NULL);
	uv_close((uv_handle_t *)&world->nudge, NULL);
	uv_close((uv_handle_t *)&world->resume, NULL);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
}

static int begin_tls(void **state)
{
	if (sandbox_setup(state))
		return -1;
	tls_pair_make("CN=test", "c.pem", "k.pem");
	secure = true;
	return 0;
}

static int end_tls(void **state)
{
	secure = false;
	return sandbox_teardown(state);
}

/* The same behaviour, through TLS. */
#define over_tls(test) {#test "_over_tls", (test), begin_tls, end_tls, NULL}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_http_stream_comes_in_pieces_whole_and_in_order),
		cmocka_unit_test(test_http_stream_loses_nothing_by_pauses),
		cmocka_unit_test(test_http_stream_of_chunks_loses_nothing_by_pauses),
		cmocka_unit_test(test_http_stream_that_is_paused_holds_its_client_up),
		cmocka_unit_test(test_http_stream_is_answered_before_its_end),
		cmocka_unit_test(test_http_stream_is_answered_early_to_our_client),
		cmocka_unit_test(test_http_stream_is_answered_while_it_is_paused),
		cmocka_unit_test(test_http_stream_whose_client_goes_is_told),
		cmocka_unit_test(test_http_stream_that_creeps_is_cut_and_a_slow_one_is_not),
		cmocka_unit_test(test_http_stream_refused_at_its_headers),
		cmocka_unit_test(test_http_server_that_closes_tells_its_streams),
		over_tls(test_http_stream_comes_in_pieces_whole_and_in_order),
		over_tls(test_http_stream_loses_nothing_by_pauses),
		over_tls(test_http_stream_is_answered_early_to_our_client),
		over_tls(test_http_stream_refused_at_its_headers),
	};
	return cmocka_run_group_tests_name("http stream", tests, NULL, NULL);
}
