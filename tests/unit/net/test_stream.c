/* Protects streams: bytes arrive whole and in order, plain and by TLS, whatever the peer's pace; queues are capped; an end is
 * told once or, after stream_close, never. */
#include "net/stream.h"

#include "../support.h"
#include "net/listen.h"
#include "net/listener.h"
#include "net/tls.h"
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct pair;

struct side {
	struct pair *pair;
	struct stream *stream;
	unsigned opened;
	unsigned drained;
	unsigned closed;
	struct err reason;
	size_t received;
	uint32_t sum;      /* of the bytes, in their order */
	size_t pause_at;   /* pauses once so many came; 0: never */
	bool echo;
	bool close_on_data;
};

struct pair {
	struct rig rig;
	struct listener *listener;
	struct tls_context *tls_server;
	struct tls_context *tls_client;
	struct side server;
	struct side client;
	unsigned port;
};

static uint32_t sum_of(uint32_t sum, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + (unsigned char)bytes[i];
	return sum;
}

static void on_open(void *context)
{
	((struct side *)context)->opened++;
}

static void on_data(void *context, const char *bytes, size_t len)
{
	struct side *side = context;
	assert_int_equal(side->opened, 1);
	side->received += len;
	side->sum = sum_of(side->sum, bytes, len);
	if (side->pause_at && side->received >= side->pause_at)
		stream_pause(side->stream);
	if (side->echo)
		assert_int_equal(stream_write(side->stream, bytes, len), 0);
	if (side->close_on_data) {
		stream_close(side->stream);
		side->stream = NULL;
	}
}

static void on_drained(void *context)
{
	((struct side *)context)->drained++;
}

static void on_closed(void *context, const struct err *reason)
{
	struct side *side = context;
	side->closed++;
	side->reason = *reason;
	side->stream = NULL;
}

static struct stream_options options_of(struct side *side)
{
	return (struct stream_options){.context = side,
				       .on_open = on_open,
				       .on_data = on_data,
				       .on_drained = on_drained,
				       .on_closed = on_closed};
}

static void on_connection(void *context, int fd)
{
	struct pair *pair = context;
	struct stream_options options = options_of(&pair->server);
	options.tls = pair->tls_server;
	pair->server.stream = stream_open_fd(&pair->rig.loop, fd, &options, NULL);
	assert_non_null(pair->server.stream);
}

static void pair_begin(struct pair *pair, bool tls)
{
	*pair = (struct pair){0};
	pair->server.pair = pair->client.pair = pair;
	rig_begin(&pair->rig);
	if (tls) {
		make_certificate("IP:127.0.0.1");
		pair->tls_server = tls_server_new("cert.pem", "key.pem", NULL);
		pair->tls_client = tls_client_new("cert.pem", NULL);
		assert_true(pair->tls_server && pair->tls_client);
	}
	int fd = listen_open("127.0.0.1:0", NULL);
	pair->port = listen_port(fd);
	pair->listener = listener_new(&pair->rig.loop, fd,
				      &(struct listener_options){.context = pair, .on_connection = on_connection}, NULL);
	assert_non_null(pair->listener);
}

static void pair_connect(struct pair *pair, size_t max_queue)
{
	struct stream_options options = options_of(&pair->client);
	struct err err = {0};
	options.max_queue = max_queue;
	options.tls = pair->tls_client;
	pair->client.stream = stream_connect_tcp(&pair->rig.loop, "127.0.0.1", pair->port, &options, &err);
	if (!pair->client.stream)
		fail_msg("%s", err.text);
}

static void pair_end(struct pair *pair)
{
	stream_close(pair->client.stream);
	stream_close(pair->server.stream);
	listener_close(pair->listener);
	rig_end(&pair->rig);
	tls_context_free(pair->tls_server);
	tls_context_free(pair->tls_client);
}

static char *noise(size_t len)
{
	char *bytes = malloc(len);
	assert_non_null(bytes);
	uint32_t x = 1;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
	return bytes;
}

static void check_echo(bool tls)
{
	enum { TOTAL = 5 * 1000 * 1000 };
	struct pair pair;
	pair_begin(&pair, tls);
	pair.server.echo = true;
	pair_connect(&pair, 0);
	char *bytes = noise(TOTAL);
	for (size_t at = 0; at < TOTAL; at += 100 * 1000) /* before it is open, too */
		assert_int_equal(stream_write(pair.client.stream, bytes + at, 100 * 1000), 0);
	assert_int_equal(stream_queued(pair.client.stream), TOTAL);
	run_until(&pair.rig, pair.client.received == TOTAL);
	assert_int_equal(pair.client.sum, sum_of(0, bytes, TOTAL));
	assert_int_equal(stream_queued(pair.client.stream), 0);
	assert_int_equal(pair.client.opened, 1);
	free(bytes);
	stream_end(pair.client.stream);
	assert_int_equal(stream_write(pair.client.stream, "x", 1), ERR_STATE);
	run_until(&pair.rig, pair.server.closed && pair.client.closed);
	assert_int_equal(pair.client.reason.code, 0);
	assert_int_equal(pair.server.reason.code, ERR_UNREACHABLE);
	pair_end(&pair);
}

static void test_stream_carries_bytes_both_ways(void **state)
{
	(void)state;
	check_echo(false);
}

static void test_stream_carries_bytes_both_ways_by_tls(void **state)
{
	(void)state;
	check_echo(true);
}

static void check_pause(bool tls)
{
	enum { TOTAL = 40 * 1000 * 1000, CHUNK = 1000 * 1000 };
	struct pair pair;
	pair_begin(&pair, tls);
	pair.server.pause_at = 1;
	pair_connect(&pair, 8 * CHUNK);
	char *bytes = noise(CHUNK);
	size_t written = 0;
	int rc = 0;
	run_until(&pair.rig, pair.client.opened);
	while (written < TOTAL) { /* until the buffers between are full */
		rc = stream_write(pair.client.stream, bytes, CHUNK);
		if (rc)
			break;
		written += CHUNK;
		(void)uv_run(&pair.rig.loop, UV_RUN_NOWAIT);
	}
	assert_int_equal(rc, ERR_TOO_BIG);
	run_for_ms(&pair.rig, 100);
	size_t held = pair.server.received;
	assert_true(held <= (tls ? 16U : 64U) * 1024); /* one read, or one record */
	assert_in_range(stream_queued(pair.client.stream), CHUNK, 8 * CHUNK + CHUNK);
	assert_int_equal(pair.client.drained, 0);
	run_for_ms(&pair.rig, 50);
	assert_int_equal(pair.server.received, held); /* nothing came while paused */

	pair.server.pause_at = 0;
	stream_resume(pair.server.stream);
	assert_int_equal(pair.server.received, held); /* nor from inside */
	run_until(&pair.rig, pair.client.drained);
	run_until(&pair.rig, pair.server.received == written);
	uint32_t sum = 0;
	for (size_t at = 0; at < written; at += CHUNK)
		sum = sum_of(sum, bytes, CHUNK);
	assert_int_equal(pair.server.sum, sum);
	assert_int_equal(pair.client.drained, 1);
	free(bytes);
	pair_end(&pair);
}

static void test_stream_a_peer_that_does_not_read_fills_a_capped_queue(void **state)
{
	(void)state;
	check_pause(false);
}

static void test_stream_a_peer_that_does_not_read_fills_a_capped_queue_by_tls(void **state)
{
	(void)state;
	check_pause(true);
}

static void check_end_delivers(bool tls)
{
	struct pair pair;
	pair_begin(&pair, tls);
	pair_connect(&pair, 0);
	run_until(&pair.rig, pair.server.opened && pair.client.opened);
	/* The client goes on sending what the server no longer reads; the server's last words must arrive all the same. */
	char *bytes = noise(3000 * 1000);
	pair.client.echo = false;
	assert_int_equal(stream_write(pair.client.stream, bytes, 3000 * 1000), 0);
	run_until(&pair.rig, pair.server.received > 0);
	size_t before = pair.server.received;
	assert_int_equal(stream_write(pair.server.stream, bytes, 1000 * 1000), 0);
	stream_end(pair.server.stream);
	run_until(&pair.rig, pair.client.closed);
	assert_int_equal(pair.client.received, 1000 * 1000);
	assert_int_equal(pair.client.sum, sum_of(0, bytes, 1000 * 1000));
	run_until(&pair.rig, pair.server.closed);
	assert_int_equal(pair.server.reason.code, 0);
	assert_int_equal(pair.server.received, before); /* dropped */
	free(bytes);
	pair_end(&pair);
}

static void test_stream_end_delivers_the_last_bytes(void **state)
{
	(void)state;
	check_end_delivers(false);
	check_end_delivers(true);
}

static void test_stream_close_is_silent_and_allowed_in_callbacks(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		struct pair pair;
		pair_begin(&pair, tls);
		pair.server.close_on_data = true;
		pair_connect(&pair, 0);
		assert_int_equal(stream_write(pair.client.stream, "a", 1), 0);
		run_until(&pair.rig, pair.client.closed);
		assert_int_equal(pair.server.closed, 0);
		assert_int_equal(pair.client.reason.code, ERR_UNREACHABLE);
		assert_contains(pair.client.reason.text, "127.0.0.1:");
		pair_end(&pair);
	}
}

static void test_stream_closed_in_every_state_leaves_nothing(void **state)
{
	(void)state;
	for (int tls = 0; tls < 2; tls++) {
		for (unsigned turns = 0; turns < 12; turns++) {
			struct pair pair;
			pair_begin(&pair, tls);
			pair_connect(&pair, 0);
			assert_int_equal(stream_write(pair.client.stream, "abc", 3), 0);
			for (unsigned i = 0; i < turns; i++)
				(void)uv_run(&pair.rig.loop, UV_RUN_NOWAIT);
			pair_end(&pair);
			assert_int_equal(pair.client.closed + pair.server.closed, 0);
		}
	}
}

static void test_stream_gives_up_after_its_time(void **state)
{
	(void)state;
	struct pair pair;
	pair_begin(&pair, false);
	pair.tls_client = tls_client_new(NULL, NULL); /* nobody answers the handshake */
	struct stream_options options = options_of(&pair.client);
	options.tls = pair.tls_client;
	options.connect_timeout_ms = 1000; /* TLS is begun within it, also under valgrind */
	pair.client.stream = stream_connect_tcp(&pair.rig.loop, "127.0.0.1", pair.port, &options, NULL);
	run_until(&pair.rig, pair.client.closed);
	assert_int_equal(pair.client.reason.code, ERR_TIMEOUT);
	assert_contains(pair.client.reason.text, "speak TLS at all"); /* rediss:// to a Redis without TLS */
	assert_int_equal(pair.client.opened, 0);
	pair_end(&pair);
}

static void test_stream_names_what_cannot_be_reached(void **state)
{
	(void)state;
	struct rig rig;
	rig_begin(&rig);
	struct side side = {0};
	struct stream_options options = options_of(&side);
	side.stream = stream_connect_tcp(&rig.loop, "no-such-host.invalid", 6379, &options, NULL);
	run_until(&rig, side.closed);
	assert_int_equal(side.reason.code, ERR_UNREACHABLE);
	assert_contains(side.reason.text, "no-such-host.invalid:6379");
	side = (struct side){0};
	side.stream = stream_connect_unix(&rig.loop, "none.sock", &options, NULL);
	run_until(&rig, side.closed);
	assert_contains(side.reason.text, "none.sock");
	char long_path[300];
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';
	struct err err = {0};
	assert_null(stream_connect_unix(&rig.loop, long_path, &options, &err));
	assert_int_equal(err.code, ERR_INVALID);
	rig_end(&rig);
}

static void test_stream_takes_a_descriptor_of_a_unix_socket(void **state)
{
	(void)state;
	struct rig rig;
	int fds[2];
	rig_begin(&rig);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	struct side side = {.echo = true};
	struct stream_options options = options_of(&side);
	side.stream = stream_open_fd(&rig.loop, fds[0], &options, NULL);
	assert_non_null(side.stream);
	assert_int_equal(side.opened, 0);
	assert_int_equal(write(fds[1], "hello", 5), 5);
	run_until(&rig, side.received == 5);
	run_for_ms(&rig, 10);
	char back[8] = {0};
	assert_int_equal(read(fds[1], back, sizeof(back)), 5);
	assert_string_equal(back, "hello");
	(void)close(fds[1]);
	run_until(&rig, side.closed);
	rig_end(&rig);
}

static void test_stream_a_server_refuses_a_client_without_tls(void **state)
{
	(void)state;
	struct pair pair;
	pair_begin(&pair, true);
	tls_context_free(pair.tls_client);
	pair.tls_client = NULL;
	pair_connect(&pair, 0);
	assert_int_equal(stream_write(pair.client.stream, "*1\r\n$4\r\nPING\r\n", 14), 0);
	run_until(&pair.rig, pair.server.closed);
	assert_int_equal(pair.server.reason.code, ERR_PROTOCOL);
	assert_int_equal(pair.server.opened, 0);
	pair_end(&pair);
}

static void test_tls_tells_which_file_it_cannot_use(void **state)
{
	(void)state;
	struct err err = {0};
	assert_null(tls_client_new("none.pem", &err));
	assert_contains(err.text, "none.pem");
	make_certificate("DNS:localhost");
	assert_null(tls_server_new("cert.pem", "none.pem", &err));
	assert_contains(err.text, "none.pem");
	write_file("empty.pem", "");
	assert_null(tls_server_new("empty.pem", "key.pem", &err));
	assert_contains(err.text, "empty.pem");
	tls_context_free(NULL);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		in_sandbox(test_stream_carries_bytes_both_ways),
		in_sandbox(test_stream_carries_bytes_both_ways_by_tls),
		in_sandbox(test_stream_a_peer_that_does_not_read_fills_a_capped_queue),
		in_sandbox(test_stream_a_peer_that_does_not_read_fills_a_capped_queue_by_tls),
		in_sandbox(test_stream_end_delivers_the_last_bytes),
		in_sandbox(test_stream_close_is_silent_and_allowed_in_callbacks),
		in_sandbox(test_stream_closed_in_every_state_leaves_nothing),
		in_sandbox(test_stream_gives_up_after_its_time),
		in_sandbox(test_stream_names_what_cannot_be_reached),
		in_sandbox(test_stream_takes_a_descriptor_of_a_unix_socket),
		in_sandbox(test_stream_a_server_refuses_a_client_without_tls),
		in_sandbox(test_tls_tells_which_file_it_cannot_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
