/* Protects the HTTP server and client over real loopback sockets, both on one loop: bodies and their caps, held requests and
 * clients that go, deadlines, answers that are produced. What our client would never send is written by hand. */
#include "net/http_server.h"

#include "../support.h"
#include "base/buf.h"
#include "base/clock.h"
#include "net/http_client.h"
#include "net/http_trust.h"
#include "net/tls_identity.h"
#include "tls_pair.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { BODY_CAP = 1000, REQUEST_TIMEOUT_MS = 1500, PRODUCED = 3 * 1000 * 1000 };

static bool secure; /* the world speaks TLS */

struct world {
	uv_loop_t loop;
	uv_timer_t guard;
	struct http_server *server;
	struct http_client *client;
	char pin[128];
	struct http_trust trust;
	unsigned requests;            /* that came whole */
	unsigned gone;                /* held ones whose client went */
	unsigned produced_done;
	struct http_request *held;    /* the last one that was held */
	bool timed_out;
};

/* ---- what the server does ---- */

static void answer(struct http_request *request, unsigned status, const char *text, size_t len)
{
	struct http_response response = {.status = status, .content_type = "text/plain", .body_len = len};
	response.body = malloc(len + 1);
	assert_non_null(response.body);
	memcpy(response.body, text, len);
	http_respond(request, &response);
}

static void on_gone(struct http_request *request)
{
	struct world *world = request->holder;
	world->gone++;
	world->held = NULL;
}

struct production {
	struct world *world;
	size_t left;
};

static ssize_t produce(void *context, char *into, size_t max)
{
	struct production *production = context;
	size_t len = max < production->left ? max : production->left;
	memset(into, 'p', len);
	production->left -= len;
	return (ssize_t)len;
}

static void produce_done(void *context)
{
	struct production *production = context;
	production->world->produced_done++;
	free(production);
}

static void on_headers(void *context, struct http_request *request)
{
	(void)context;
	if (strcmp(request->path, "/refused") == 0)
		answer(request, 401, "refused", 7);
	else if (strcmp(request->path, "/allow") == 0)
		http_respond(request, &(struct http_response){.status = 405, .allow = "GET", .authenticate = true});
	else
		request->body_cap = BODY_CAP;
}

static void on_request(void *context, struct http_request *request)
{
	struct world *world = context;
	world->requests++;
	if (strcmp(request->path, "/held") == 0) {
		request->holder = world;
		request->on_gone = on_gone;
		world->held = request;
		http_hold(request);
	} else if (strcmp(request->path, "/release") == 0) {
		answer(world->held, 200, "released", 8);
		answer(request, 200, "done", 4);
	} else if (strcmp(request->path, "/produced") == 0) {
		struct production *production = malloc(sizeof(*production));
		assert_non_null(production);
		*production = (struct production){.world = world, .left = PRODUCED};
		http_respond(request, &(struct http_response){.status = 200,
							      .produce = produce,
							      .produce_done = produce_done,
							      .produce_context = production});
	} else if (!request->body) {
		answer(request, 413, "too large", 9);
	} else if (strcmp(request->path, "/bearer") == 0) {
		const char *bearer = request->bearer ? request->bearer : "(none)";
		answer(request, 200, bearer, strlen(bearer));
	} else if (strcmp(request->path, "/query") == 0) {
		const char *value = http_query(request, "a");
		answer(request, 200, value ? value : "(none)", strlen(value ? value : "(none)"));
	} else {
		answer(request, 200, request->body, request->body_len);
	}
}

/* ---- the loop ---- */

static void on_guard(uv_timer_t *timer)
{
	struct world *world = timer->data;
	world->timed_out = true;
	uv_stop(&world->loop);
}

static struct world *begin(void)
{
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	assert_int_equal(uv_loop_init(&world->loop), 0);
	(void)uv_timer_init(&world->loop, &world->guard);
	world->guard.data = world;
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

/* ---- a client's call ---- */

struct outcome {
	unsigned done;
	int error;
	int status;
	struct buf body;
	char text[256];
	size_t streamed;
	int headers_status;
};

static void on_done(void *context, const struct http_result *result)
{
	struct outcome *outcome = context;
	outcome->done++;
	outcome->error = result->error;
	outcome->status = result->status;
	(void)snprintf(outcome->text, sizeof(outcome->text), "%s", result->text);
	buf_init(&outcome->body, 2 * PRODUCED);
	assert_int_equal(buf_add(&outcome->body, result->body, result->body_len), 0);
}

static void on_outcome_headers(void *context, int status)
{
	((struct outcome *)context)->headers_status = status;
}

static void on_outcome_data(void *context, const char *bytes, size_t len)
{
	(void)bytes;
	((struct outcome *)context)->streamed += len;
}

static struct http_call *start(struct world *world, struct outcome *outcome, const char *path, const char *body,
			       size_t max_body, bool stream)
{
	char url[256];
	(void)snprintf(url, sizeof(url), "http%s://127.0.0.1:%u%s", secure ? "s" : "", http_server_port(world->server), path);
	*outcome = (struct outcome){0};
	const char *const headers[] = {"Authorization: Bearer  t0ken", "X-Other: 1", NULL};
	const struct http_call_options options = {.method = body ? "POST" : "GET",
						  .url = url,
						  .headers = headers,
						  .body = body,
						  .body_len = body ? strlen(body) : 0,
						  .timeout_ms = 9000,
						  .max_body = max_body,
						  .context = outcome,
						  .on_headers = on_outcome_headers,
						  .on_data = stream ? on_outcome_data : NULL,
						  .on_done = on_done};
	struct err err = {0};
	struct http_call *call = http_client_start(world->client, &options, &err);
	if (!call)
		fail_msg("%s", err.text);
	assert_int_equal(outcome->done, 0); /* never from inside */
	return call;
}

static void call_and_expect(struct world *world, const char *path, const char *body, int status, const char *expected)
{
	struct outcome outcome;
	(void)start(world, &outcome, path, body, 0, false);
	run_until(world, outcome.done);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(outcome.status, status);
	assert_int_equal(outcome.headers_status, status);
	assert_string_equal(buf_text(&outcome.body), expected);
	buf_done(&outcome.body);
}

/* ---- bytes by hand ---- */

static int dial(struct world *world)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)http_server_port(world->server))};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
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

/* A descriptor does not wake the loop: a timer does. */
static void on_nudge(uv_timer_t *timer)
{
	(void)timer;
}

#define run_until_nudged(world, condition) \
	do { \
		uv_timer_t nudge_; \
		(void)uv_timer_init(&(world)->loop, &nudge_); \
		(void)uv_timer_start(&nudge_, on_nudge, 5, 5); \
		run_until(world, condition); \
		uv_close((uv_handle_t *)&nudge_, NULL); \
		(void)uv_run(&(world)->loop, UV_RUN_NOWAIT); \
	} while (0)

static unsigned open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	unsigned count = 0;
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}

/* ---- tests ---- */

static void test_http_body_comes_whole_and_up_to_its_cap(void **state)
{
	(void)state;
	struct world *world = begin();
	char body[BODY_CAP + 2];
	memset(body, 'b', sizeof(body));
	body[BODY_CAP] = '\0';
	call_and_expect(world, "/echo", "hello", 200, "hello");
	call_and_expect(world, "/echo", body, 200, body);
	body[BODY_CAP] = 'b';
	body[BODY_CAP + 1] = '\0';
	call_and_expect(world, "/echo", body, 413, "too large");
	call_and_expect(world, "/echo", NULL, 200, "");
	call_and_expect(world, "/echo", "after", 200, "after");
	end(world);
}

static void test_http_bearer_and_query_are_found(void **state)
{
	(void)state;
	struct world *world = begin();
	call_and_expect(world, "/bearer", NULL, 200, "t0ken");
	call_and_expect(world, "/query?b=2&a=x%20%26y", NULL, 200, "x &y");
	call_and_expect(world, "/query", NULL, 200, "(none)");
	end(world);
}

static void test_http_refusal_at_the_headers_drains_the_body(void **state)
{
	(void)state;
	struct world *world = begin();
	char *body = malloc(2000001);
	assert_non_null(body);
	memset(body, 'b', 2000000);
	body[2000000] = '\0';
	call_and_expect(world, "/refused", body, 401, "refused");
	call_and_expect(world, "/refused", NULL, 401, "refused");
	assert_int_equal(world->requests, 0); /* its handler never saw them */
	free(body);
	end(world);
}

static void test_http_headers_of_refusals(void **state)
{
	(void)state;
	struct world *world = begin();
	int fd = dial(world);
	char text[4096] = "";
	assert_true(say(fd, "GET /allow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	run_until_nudged(world, take(fd, text, sizeof(text)));
	assert_contains(text, "HTTP/1.1 405 ");
	assert_contains(text, "Allow: GET\r\n");
	assert_contains(text, "WWW-Authenticate: Bearer\r\n");
	assert_contains(text, "Content-Length: 0\r\n");
	(void)close(fd);
	end(world);
}

static void test_http_chunked_body_is_read_and_capped(void **state)
{
	(void)state;
	struct world *world = begin();
	int fd = dial(world);
	char text[8192] = "";
	assert_true(say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"));
	run_until_nudged(world, (take(fd, text, sizeof(text)), strstr(text, "hello world")));
	assert_contains(text, "HTTP/1.1 200 ");
	/* The same connection, and more than the cap. */
	text[0] = '\0';
	assert_true(say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
	for (int i = 0; i < 20; i++)
		assert_true(say(fd, "64\r\n0123456789012345678901234567890123456789012345678901234567890123456789"
				    "012345678901234567890123456789\r\n"));
	assert_true(say(fd, "0\r\n\r\n"));
	run_until_nudged(world, (take(fd, text, sizeof(text)), strstr(text, "too large")));
	assert_contains(text, "HTTP/1.1 413 ");
	(void)close(fd);
	end(world);
}

static void test_http_two_requests_in_one_packet(void **state)
{
	(void)state;
	struct world *world = begin();
	int fd = dial(world);
	char text[8192] = "";
	assert_true(say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\noneGET /query?a=two HTTP/1.1\r\n"
			    "Host: x\r\nConnection: close\r\n\r\n"));
	run_until_nudged(world, take(fd, text, sizeof(text)));
	assert_contains(text, "\r\n\r\none");
	assert_contains(text, "\r\n\r\ntwo");
	(void)close(fd);
	end(world);
}

static void test_http_slow_header_is_cut_at_the_deadline(void **state)
{
	(void)state;
	struct world *world = begin();
	int fd = dial(world);
	char text[4096] = "";
	int64_t begun = clock_monotonic_ms();
	int64_t last = 0;
	bool closed = false;
	assert_true(say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\nX: "));
	/* A byte now and then: a timeout that counts from the last one would never come. */
	run_until_nudged(world, ({
				 int64_t now = clock_monotonic_ms();
				 if (!closed && now - last >= 100) {
					 closed = !say(fd, "x");
					 last = now;
				 }
				 closed = closed || take(fd, text, sizeof(text));
				 closed;
			 }));
	assert_in_range((uintmax_t)(clock_monotonic_ms() - begun), REQUEST_TIMEOUT_MS - 100, REQUEST_TIMEOUT_MS + 2500);
	assert_int_equal(world->requests, 0);
	(void)close(fd);
	end(world);
}

static void test_http_slow_body_and_silence_are_cut_too(void **state)
{
	(void)state;
	struct world *world = begin();
	int silent = dial(world);
	int slow = dial(world);
	char text[4096] = "";
	assert_true(say(slow, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this"));
	bool silent_closed = false;
	bool slow_closed = false;
	run_until_nudged(world, ({
				 silent_closed = silent_closed || take(silent, text, sizeof(text));
				 slow_closed = slow_closed || take(slow, text, sizeof(text));
				 silent_closed &&slow_closed;
			 }));
	assert_int_equal(world->requests, 0);
	(void)close(silent);
	(void)close(slow);
	end(world);
}

static void test_http_held_request_outlives_the_deadline_and_is_answered(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	(void)start(world, &outcome, "/held", NULL, 0, false);
	run_until(world, world->held);
	int64_t begun = clock_monotonic_ms();
	run_until_nudged(world, clock_monotonic_ms() - begun > REQUEST_TIMEOUT_MS + 1500);
	assert_int_equal(outcome.done, 0);
	answer(world->held, 200, "at last", 7);
	run_until(world, outcome.done);
	assert_int_equal(outcome.status, 200);
	assert_string_equal(buf_text(&outcome.body), "at last");
	assert_int_equal(world->gone, 0);
	buf_done(&outcome.body);
	call_and_expect(world, "/echo", "same connection", 200, "same connection");
	end(world);
}

/* The releasing connection stays open, and nothing else happens: no descriptor announces that there is an answer to send. */
static void test_http_held_request_is_answered_from_within_another(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome held;
	(void)start(world, &held, "/held", NULL, 0, false);
	run_until(world, world->held);
	int fd = dial(world);
	char text[4096] = "";
	int64_t begun = clock_monotonic_ms();
	assert_true(say(fd, "GET /release HTTP/1.1\r\nHost: x\r\n\r\n"));
	run_until(world, held.done);
	assert_in_range((uintmax_t)(clock_monotonic_ms() - begun), 0, 500);
	assert_string_equal(buf_text(&held.body), "released");
	buf_done(&held.body);
	run_until_nudged(world, (take(fd, text, sizeof(text)), strstr(text, "done")));
	(void)close(fd);
	end(world);
}

static void test_http_connections_at_the_limit_make_room_when_they_go(void **state)
{
	(void)state;
	struct world *world = begin();
	int fds[60]; /* ten more than are taken */
	for (int i = 0; i < 60; i++)
		fds[i] = dial(world);
	int64_t begun = clock_monotonic_ms();
	run_until_nudged(world, clock_monotonic_ms() - begun > 100);
	for (int i = 0; i < 60; i++)
		(void)close(fds[i]);
	call_and_expect(world, "/echo", "room", 200, "room");
	assert_in_range((uintmax_t)(clock_monotonic_ms() - begun), 0, 1000); /* long before a deadline would help */
	end(world);
}

static void test_http_held_request_is_let_go_when_its_client_goes(void **state)
{
	(void)state;
	struct world *world = begin();
	unsigned before = open_descriptors();
	for (unsigned i = 0; i < 20; i++) {
		int fd = dial(world);
		assert_true(say(fd, "GET /held HTTP/1.1\r\nHost: x\r\n\r\n"));
		if (i % 2) /* and one more behind it, that will never be read */
			assert_true(say(fd, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"));
		run_until(world, world->held);
		(void)close(fd);
		run_until(world, world->gone == i + 1);
	}
	run_until_nudged(world, open_descriptors() <= before);
	call_and_expect(world, "/echo", "well", 200, "well");
	end(world);
}

static void test_http_cancelled_call_looks_like_a_client_that_went(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	struct http_call *call = start(world, &outcome, "/held", NULL, 0, false);
	run_until(world, world->held);
	http_call_cancel(call);
	run_until(world, world->gone == 1);
	assert_int_equal(outcome.done, 0); /* no callback comes any more */
	end(world);
}

static void test_http_server_that_closes_tells_its_holders(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	(void)start(world, &outcome, "/held", NULL, 0, false);
	run_until(world, world->held);
	http_server_close(world->server);
	assert_int_equal(world->gone, 1);
	world->server = NULL;
	run_until(world, outcome.done);
	assert_int_not_equal(outcome.error, 0);
	buf_done(&outcome.body);
	end(world);
}

static void test_http_large_answer_is_produced_piece_by_piece(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	(void)start(world, &outcome, "/produced", NULL, PRODUCED, false);
	run_until(world, outcome.done);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(outcome.body.len, PRODUCED);
	assert_int_equal(strspn(buf_text(&outcome.body), "p"), PRODUCED);
	run_until_nudged(world, world->produced_done == 1);
	buf_done(&outcome.body);

	(void)start(world, &outcome, "/produced", NULL, 0, true); /* taken as it comes: no cap */
	run_until(world, outcome.done);
	assert_int_equal(outcome.error, 0);
	assert_int_equal(outcome.streamed, PRODUCED);
	assert_int_equal(outcome.body.len, 0);
	buf_done(&outcome.body);
	end(world);
}

static void test_http_reader_that_goes_ends_the_production(void **state)
{
	(void)state;
	struct world *world = begin();
	int fd = dial(world);
	char text[512] = "";
	assert_true(say(fd, "GET /produced HTTP/1.1\r\nHost: x\r\n\r\n"));
	run_until_nudged(world, (take(fd, text, sizeof(text)), strlen(text) > 100));
	(void)close(fd);
	run_until_nudged(world, world->produced_done == 1);
	end(world);
}

static void test_http_client_refuses_an_answer_over_its_cap(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome;
	(void)start(world, &outcome, "/produced", NULL, 1000, false);
	run_until(world, outcome.done);
	assert_int_equal(outcome.error, ERR_TOO_BIG);
	buf_done(&outcome.body);
	run_until_nudged(world, world->produced_done == 1);
	end(world);
}

static void test_http_client_says_who_does_not_answer(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome = {0};
	/* A port that nobody has: bound, never listening. */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	char url[64];
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(address.sin_port));
	struct http_call_options options = {.method = "GET", .url = url, .context = &outcome, .on_done = on_done};
	assert_non_null(http_client_start(world->client, &options, NULL));
	run_until(world, outcome.done);
	assert_int_equal(outcome.error, ERR_UNREACHABLE);
	assert_true(strlen(outcome.text) > 0);
	buf_done(&outcome.body);

	outcome = (struct outcome){0};
	options.unix_socket = "/nonexistent/docker.sock";
	options.url = "http://engine/version";
	assert_non_null(http_client_start(world->client, &options, NULL));
	run_until(world, outcome.done);
	assert_int_not_equal(outcome.error, 0);
	buf_done(&outcome.body);
	(void)close(fd);
	end(world);
}

static void test_http_client_gives_up_in_time(void **state)
{
	(void)state;
	struct world *world = begin();
	struct outcome outcome = {0};
	char url[64];
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/held", http_server_port(world->server));
	const struct http_call_options options = {
		.method = "GET", .url = url, .timeout_ms = 300, .context = &outcome, .on_done = on_done};
	int64_t begun = clock_monotonic_ms();
	assert_non_null(http_client_start(world->client, &options, NULL));
	run_until(world, outcome.done);
	assert_int_equal(outcome.error, ERR_TIMEOUT);
	assert_in_range((uintmax_t)(clock_monotonic_ms() - begun), 250, 2000);
	run_until(world, world->gone == 1);
	buf_done(&outcome.body);
	end(world);
}

static void test_http_many_calls_at_once(void **state)
{
	(void)state;
	struct world *world = begin();
	enum { MANY = 40 };
	struct outcome outcomes[MANY];
	for (int i = 0; i < MANY; i++)
		(void)start(world, &outcomes[i], "/echo", "x", 0, false);
	for (int i = 0; i < MANY; i++) {
		run_until(world, outcomes[i].done);
		assert_int_equal(outcomes[i].status, 200);
		buf_done(&outcomes[i].body);
	}
	assert_int_equal(world->requests, MANY);
	end(world);
}

static void test_http_port_in_use_is_told(void **state)
{
	(void)state;
	struct world *world = begin();
	char address[64];
	(void)snprintf(address, sizeof(address), "127.0.0.1:%u", http_server_port(world->server));
	const struct http_server_options options = {.bind = address, .max_connections = 10, .request_timeout_ms = 1000};
	struct err err = {0};
	assert_null(http_server_new(&world->loop, &options, &err));
	assert_contains(err.text, address);
	assert_contains(err.text, "in use");
	end(world);
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
		cmocka_unit_test(test_http_body_comes_whole_and_up_to_its_cap),
		cmocka_unit_test(test_http_bearer_and_query_are_found),
		cmocka_unit_test(test_http_refusal_at_the_headers_drains_the_body),
		cmocka_unit_test(test_http_headers_of_refusals),
		cmocka_unit_test(test_http_chunked_body_is_read_and_capped),
		cmocka_unit_test(test_http_two_requests_in_one_packet),
		cmocka_unit_test(test_http_slow_header_is_cut_at_the_deadline),
		cmocka_unit_test(test_http_slow_body_and_silence_are_cut_too),
		cmocka_unit_test(test_http_held_request_outlives_the_deadline_and_is_answered),
		cmocka_unit_test(test_http_held_request_is_answered_from_within_another),
		cmocka_unit_test(test_http_connections_at_the_limit_make_room_when_they_go),
		cmocka_unit_test(test_http_held_request_is_let_go_when_its_client_goes),
		cmocka_unit_test(test_http_cancelled_call_looks_like_a_client_that_went),
		cmocka_unit_test(test_http_server_that_closes_tells_its_holders),
		cmocka_unit_test(test_http_large_answer_is_produced_piece_by_piece),
		cmocka_unit_test(test_http_reader_that_goes_ends_the_production),
		cmocka_unit_test(test_http_client_refuses_an_answer_over_its_cap),
		cmocka_unit_test(test_http_client_says_who_does_not_answer),
		cmocka_unit_test(test_http_client_gives_up_in_time),
		cmocka_unit_test(test_http_many_calls_at_once),
		cmocka_unit_test(test_http_port_in_use_is_told),
		over_tls(test_http_body_comes_whole_and_up_to_its_cap),
		over_tls(test_http_bearer_and_query_are_found),
		over_tls(test_http_refusal_at_the_headers_drains_the_body),
		over_tls(test_http_held_request_outlives_the_deadline_and_is_answered),
		over_tls(test_http_cancelled_call_looks_like_a_client_that_went),
		over_tls(test_http_server_that_closes_tells_its_holders),
		over_tls(test_http_large_answer_is_produced_piece_by_piece),
		over_tls(test_http_client_refuses_an_answer_over_its_cap),
		over_tls(test_http_many_calls_at_once),
		over_tls(test_http_port_in_use_is_told),
	};
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
