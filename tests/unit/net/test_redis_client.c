/* Protects the broker's way to Redis, against real redis-servers: greeting, pipelining, loss of the connection, scripts; and
 * against peers that are none: garbage, giants, silence. */
#include "net/redis_client.h"

#include "../fault.h"
#include "../support.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "net/listen.h"
#include "net/listener.h"
#include "net/redis_script.h"
#include "net/stream.h"
#include "net/tls.h"
#include "rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a client, and what it heard ---- */

struct fixture {
	struct rig rig;
	struct redis_client *client;
	unsigned ups;
	unsigned downs;
	struct err down;
};

static void on_up(void *context)
{
	((struct fixture *)context)->ups++;
}

static void on_down(void *context, const struct err *reason)
{
	struct fixture *fixture = context;
	fixture->downs++;
	fixture->down = *reason;
}

static void connect_with(struct fixture *fixture, struct redis_client_options options)
{
	struct err err = {0};
	options.context = fixture;
	options.on_up = on_up;
	options.on_down = on_down;
	options.backoff_base_ms = options.backoff_base_ms ? options.backoff_base_ms : 20;
	fixture->client = redis_client_new(&fixture->rig.loop, &options, &err);
	if (!fixture->client)
		fail_msg("%s", err.text);
	assert_int_equal(fixture->ups + fixture->downs, 0); /* nothing comes from inside */
}

static const char *url_of(char url[128], const char *credentials, unsigned port, const char *rest)
{
	(void)snprintf(url, 128, "redis://%s127.0.0.1:%u%s", credentials, port, rest);
	return url;
}

static void begin(struct fixture *fixture)
{
	*fixture = (struct fixture){0};
	rig_begin(&fixture->rig);
}

static void end(struct fixture *fixture)
{
	redis_client_close(fixture->client);
	rig_end(&fixture->rig);
}

struct answer {
	unsigned count;
	enum resp_type type;
	int64_t integer;
	char text[256];
	struct err err;
	bool had_reply;
};

static void on_reply(void *context, const struct resp_value *reply, const struct err *err)
{
	struct answer *answer = context;
	answer->count++;
	answer->err = err ? *err : (struct err){0};
	answer->had_reply = reply != NULL;
	if (reply) {
		answer->type = reply->type;
		answer->integer = reply->integer;
		(void)snprintf(answer->text, sizeof(answer->text), "%s", reply->text);
	}
}

static int start_command(struct fixture *fixture, struct answer *answer, int64_t timeout_ms, const char *a, const char *b,
			 const char *c)
{
	const char *argv[] = {a, b, c};
	struct err err = {0};
	int rc = redis_client_command(fixture->client, c ? 3 : b ? 2 : 1, argv, NULL, timeout_ms, on_reply, answer, &err);
	assert_int_equal(answer->count, 0);
	assert_int_equal(rc, err.code);
	return rc;
}

static struct answer ask(struct fixture *fixture, const char *a, const char *b, const char *c)
{
	struct answer answer = {0};
	assert_int_equal(start_command(fixture, &answer, 5000, a, b, c), 0);
	run_until(&fixture->rig, answer.count);
	assert_int_equal(answer.count, 1);
	return answer;
}

static const char *const NOTHING[] = {NULL};

/* ---- greeting ---- */

static void test_redis_client_works_with_acl_user_database_and_every_kind_of_reply(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, (const char *const[]){"--user", "worker", "on", ">s%cret", "~*", "+@all", NULL});
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "worker:s%25cret@", port, "/3")});
	run_until(&f.rig, f.ups);
	assert_lacks(redis_client_name(f.client), "cret");
	assert_true(redis_client_is_up(f.client));
	assert_string_equal(ask(&f, "SET", "k", "value").text, "OK");
	assert_string_equal(ask(&f, "GET", "k", NULL).text, "value");
	assert_int_equal(ask(&f, "GET", "none", NULL).type, RESP_NIL);
	assert_int_equal(ask(&f, "STRLEN", "k", NULL).integer, 5);
	assert_int_equal(ask(&f, "KEYS", "*", NULL).type, RESP_ARRAY);
	assert_string_equal(ask(&f, "ACL", "WHOAMI", NULL).text, "worker");
	struct answer info = ask(&f, "CLIENT", "INFO", NULL);
	assert_contains(info.text, "db=3");
	struct answer wrong = ask(&f, "LPUSH", "k", "x");
	assert_int_equal(wrong.err.code, ERR_INVALID);
	assert_true(wrong.had_reply);
	assert_contains(wrong.err.text, "WRONGTYPE");
	assert_int_equal(f.downs, 0);
	end(&f);
	kill_redis(redis);
}

static void check_denied(unsigned port, const char *credentials, const char *word)
{
	struct fixture f;
	char url[128];
	begin(&f);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, credentials, port, "")});
	run_until(&f.rig, f.downs);
	assert_int_equal(f.down.code, ERR_DENIED);
	assert_contains(f.down.text, word);
	assert_lacks(f.down.text, "hunter2");
	run_for_ms(&f.rig, 300);
	assert_int_equal(f.downs, 1); /* tried again meanwhile, and said nothing new */
	assert_int_equal(f.ups, 0);
	struct answer answer = {0};
	assert_int_equal(start_command(&f, &answer, 100, "PING", NULL, NULL), ERR_UNREACHABLE);
	end(&f);
	assert_int_equal(answer.count, 0);
}

static void test_redis_client_tells_wrong_and_missing_passwords_without_showing_any(void **state)
{
	(void)state;
	unsigned port = free_port();
	pid_t redis = start_redis(port, (const char *const[]){"--requirepass", "right", NULL});
	check_denied(port, "", "wants a password");
	check_denied(port, ":hunter2@", "refused the user or the password");
	check_denied(port, "nobody:hunter2@", "refused the user or the password");
	kill_redis(redis);
	port = free_port();
	redis = start_redis(port, NOTHING);
	check_denied(port, ":hunter2@", "has none set");
	struct fixture f;
	char url[128];
	begin(&f);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "/999")});
	run_until(&f.rig, f.downs);
	assert_contains(f.down.text, "no database 999");
	end(&f);
	kill_redis(redis);
}

static void test_redis_client_is_up_for_a_user_who_may_not_ping(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, (const char *const[]){"--user", "w", "on", ">x", "~a*", "+get", NULL});
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "w:x@", port, "")});
	run_until(&f.rig, f.ups);
	assert_int_equal(ask(&f, "GET", "abc", NULL).type, RESP_NIL);
	struct answer denied = ask(&f, "GET", "secretkey", NULL);
	assert_int_equal(denied.err.code, ERR_DENIED);
	assert_lacks(denied.err.text, "secretkey");
	end(&f);
	kill_redis(redis);
}

static void test_redis_client_speaks_tls_and_checks_name_and_authority(void **state)
{
	(void)state;
	make_certificate("DNS:localhost");
	unsigned port = free_port();
	unsigned tls_port = free_port();
	char tls_text[8];
	(void)snprintf(tls_text, sizeof(tls_text), "%u", tls_port);
	pid_t redis = start_redis(port, (const char *const[]){"--tls-port", tls_text, "--tls-cert-file", "cert.pem",
							      "--tls-key-file", "key.pem", "--tls-ca-cert-file", "cert.pem",
							      "--tls-auth-clients", "no", NULL});
	struct err err = {0};
	char url[128];
	struct tls_context *tls = tls_client_new("cert.pem", &err);
	assert_non_null(tls);

	struct fixture f;
	begin(&f);
	(void)snprintf(url, sizeof(url), "rediss://localhost:%u", tls_port);
	connect_with(&f, (struct redis_client_options){.url = url, .tls = tls});
	run_until(&f.rig, f.ups);
	size_t len = 300 * 1000;
	char *large = malloc(len + 1);
	memset(large, 'L', len);
	large[len] = '\0';
	assert_string_equal(ask(&f, "SET", "k", large).text, "OK");
	assert_int_equal(ask(&f, "STRLEN", "k", NULL).integer, (int64_t)len);
	assert_int_equal(strlen(ask(&f, "GET", "k", NULL).text), 255); /* as much as the test keeps */
	free(large);
	end(&f);

	begin(&f); /* another name than the certificate's */
	(void)snprintf(url, sizeof(url), "rediss://127.0.0.1:%u", tls_port);
	connect_with(&f, (struct redis_client_options){.url = url, .tls = tls});
	run_until(&f.rig, f.downs);
	assert_int_equal(f.down.code, ERR_DENIED);
	assert_contains(f.down.text, "certificate is not trusted");
	end(&f);

	begin(&f); /* the system's authorities do not know it */
	(void)snprintf(url, sizeof(url), "rediss://localhost:%u", tls_port);
	connect_with(&f, (struct redis_client_options){.url = url});
	run_until(&f.rig, f.downs);
	assert_int_equal(f.down.code, ERR_DENIED);
	end(&f);

	begin(&f); /* no TLS behind the port */
	(void)snprintf(url, sizeof(url), "rediss://localhost:%u", port);
	connect_with(&f, (struct redis_client_options){.url = url, .tls = tls, .connect_timeout_ms = 300});
	run_until(&f.rig, f.downs);
	assert_int_equal(f.down.code, ERR_TIMEOUT); /* Redis waits for the end of a line */
	end(&f);
	tls_context_free(tls);
	kill_redis(redis);
}

static void test_redis_client_goes_to_link_local_and_unix_only_when_told(void **state)
{
	(void)state;
	struct fixture f;
	static const char *const LOCAL[] = {"redis://169.254.169.254", "redis://[fe80::1]", "redis://[::ffff:169.254.1.1]"};
	for (size_t i = 0; i < 3; i++) {
		begin(&f);
		connect_with(&f, (struct redis_client_options){.url = LOCAL[i]});
		run_until(&f.rig, f.downs);
		assert_int_equal(f.down.code, ERR_DENIED);
		assert_contains(f.down.text, "link-local");
		end(&f);
	}
	struct err err = {0};
	rig_begin(&f.rig);
	assert_null(redis_client_new(&f.rig.loop, &(struct redis_client_options){.url = "unix:///redis.sock"}, &err));
	assert_int_equal(err.code, ERR_INVALID);
	rig_end(&f.rig);

	pid_t redis = start_redis(free_port(), (const char *const[]){"--unixsocket", "r.sock", NULL});
	begin(&f);
	connect_with(&f, (struct redis_client_options){.url = "redis://anywhere", .unix_socket = "r.sock"});
	run_until(&f.rig, f.ups);
	assert_string_equal(ask(&f, "PING", NULL, NULL).text, "PONG");
	end(&f);

	AUTO_FREE char *here = getcwd(NULL, 0);
	char url[128];
	assert_non_null(here);
	assert_true(snprintf(url, sizeof(url), "unix://%s/r.sock", here) < (int)sizeof(url));
	begin(&f);
	connect_with(&f, (struct redis_client_options){.url = url, .allow_unix_url = true});
	run_until(&f.rig, f.ups);
	assert_string_equal(ask(&f, "PING", NULL, NULL).text, "PONG");
	assert_string_equal(redis_client_name(f.client), url);
	end(&f);
	kill_redis(redis);
}

/* ---- pipelining and loss ---- */

struct load {
	struct fixture *fixture;
	unsigned sent;
	unsigned answered;
	unsigned lost;
	unsigned wrong_order;
	int64_t last;
	bool running;
};

static void send_more(struct load *load);

static void on_counted(void *context, const struct resp_value *reply, const struct err *err)
{
	struct load *load = context;
	if (err) {
		assert_int_equal(err->code, ERR_UNREACHABLE);
		assert_null(reply);
		load->lost++;
	} else {
		load->answered++;
		if (reply->integer <= load->last)
			load->wrong_order++;
		load->last = reply->integer;
	}
	if (load->running)
		send_more(load);
}

static void send_more(struct load *load)
{
	const char *argv[] = {"INCR", "n"};
	while (redis_client_outstanding(load->fixture->client) < 500 &&
	       redis_client_command(load->fixture->client, 2, argv, NULL, 5000, on_counted, load, NULL) == 0)
		load->sent++;
}

static void test_redis_client_comes_back_after_kills_under_load_and_loses_no_callback(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	struct load load = {.fixture = &f, .running = true};
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "")});
	for (unsigned round = 1; round <= 3; round++) {
		run_until(&f.rig, f.ups == round);
		load.last = 0;
		unsigned goal = load.answered + 3000;
		send_more(&load);
		run_until(&f.rig, load.answered >= goal);
		assert_true(redis_client_outstanding(f.client) > 0);
		kill_redis(redis);
		run_until(&f.rig, f.downs >= round && !redis_client_is_up(f.client));
		assert_int_equal(redis_client_outstanding(f.client), 0);
		assert_int_equal(load.sent, load.answered + load.lost);
		assert_true(load.lost > 0);
		redis = start_redis(port, NOTHING);
		f.downs = round;
	}
	assert_int_equal(load.wrong_order, 0);
	load.running = false;
	end(&f);
	kill_redis(redis);
}

static void test_redis_client_closed_with_commands_outstanding_tells_them(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "")});
	run_until(&f.rig, f.ups);
	struct answer kept = {0};
	struct answer forgotten = {0};
	assert_int_equal(start_command(&f, &kept, 0, "BLPOP", "q", "0"), 0);
	assert_int_equal(start_command(&f, &forgotten, 0, "GET", "q", NULL), 0);
	redis_client_forget(f.client, &forgotten);
	redis_client_close(f.client);
	assert_int_equal(kept.count, 1);
	assert_int_equal(kept.err.code, ERR_CANCELLED);
	assert_int_equal(forgotten.count, 0);
	f.client = NULL;
	end(&f);
	assert_int_equal(f.downs, 0);
	kill_redis(redis);
}

static void test_redis_client_a_command_that_is_not_answered_in_time_takes_the_connection_down(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "")});
	run_until(&f.rig, f.ups);
	struct answer patient = {0};
	struct answer late = {0};
	assert_int_equal(kill(redis, SIGSTOP), 0);
	assert_int_equal(start_command(&f, &patient, 0, "PING", NULL, NULL), 0);
	assert_int_equal(start_command(&f, &late, 200, "PING", NULL, NULL), 0);
	run_until(&f.rig, late.count);
	assert_int_equal(late.err.code, ERR_TIMEOUT);
	assert_int_equal(patient.count, 1);
	assert_int_equal(patient.err.code, ERR_UNREACHABLE);
	assert_int_equal(f.down.code, ERR_TIMEOUT);
	assert_int_equal(kill(redis, SIGCONT), 0);
	run_until(&f.rig, f.ups == 2);
	assert_string_equal(ask(&f, "PING", NULL, NULL).text, "PONG");
	end(&f);
	kill_redis(redis);
}

static void test_redis_client_a_blocking_command_outlives_the_timeouts_of_others(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "")});
	run_until(&f.rig, f.ups);
	assert_string_equal(ask(&f, "PING", NULL, NULL).text, "PONG"); /* starts a deadline's timer */
	struct answer blocked = {0};
	assert_int_equal(start_command(&f, &blocked, 0, "BLPOP", "q", "0.4"), 0);
	run_until(&f.rig, blocked.count);
	assert_int_equal(blocked.err.code, 0);
	assert_int_equal(blocked.type, RESP_NIL);
	assert_int_equal(f.downs, 0);
	end(&f);
	kill_redis(redis);
}

static void test_redis_client_caps_what_is_outstanding(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	connect_with(&f, (struct redis_client_options){
				 .url = url_of(url, "", port, ""), .max_commands = 3, .max_bytes = 1000});
	run_until(&f.rig, f.ups);
	struct answer answers[5] = {0};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(start_command(&f, &answers[i], 0, "PING", NULL, NULL), i < 3 ? 0 : ERR_TOO_BIG);
	run_until(&f.rig, answers[2].count);
	char large[600] = {0};
	memset(large, 'x', sizeof(large) - 1);
	struct answer big[3] = {0};
	assert_int_equal(start_command(&f, &big[0], 0, "ECHO", large, NULL), 0);
	assert_int_equal(start_command(&f, &big[1], 0, "ECHO", large, NULL), ERR_TOO_BIG); /* both together */
	char huge[1200] = {0};
	memset(huge, 'x', sizeof(huge) - 1);
	assert_int_equal(start_command(&f, &big[2], 0, "ECHO", huge, NULL), ERR_TOO_BIG);
	run_until(&f.rig, big[0].count);
	assert_string_equal(ask(&f, "PING", NULL, NULL).text, "PONG");
	assert_int_equal(big[1].count + big[2].count + answers[3].count, 0);
	end(&f);
	kill_redis(redis);
}

/* ---- scripts ---- */

static const char ADD[] = "redis.call('RPUSH', KEYS[1], ARGV[1]) return redis.call('LLEN', KEYS[1])";

static void start_eval(struct fixture *f, const struct redis_script *script, struct answer *answer, const char *value)
{
	struct err err = {0};
	if (redis_client_eval(f->client, script, 1, 2, (const char *[]){"list", value}, NULL, 5000, on_reply, answer, &err))
		fail_msg("%s", err.text);
}

static void test_redis_client_scripts_run_once_each_also_when_redis_forgot_them(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	struct redis_script script;
	assert_int_equal(redis_script_init(&script, "add", ADD, strlen(ADD), NULL), 0);
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "")});
	run_until(&f.rig, f.ups);

	struct answer first[3] = {0}; /* pipelined before the first was answered */
	for (size_t i = 0; i < 3; i++)
		start_eval(&f, &script, &first[i], "x");
	run_until(&f.rig, first[2].count);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(first[i].integer, (int64_t)i + 1);

	struct answer flushed = {0};
	struct answer again[3] = {0};
	assert_int_equal(start_command(&f, &flushed, 5000, "SCRIPT", "FLUSH", NULL), 0);
	for (size_t i = 0; i < 3; i++)
		start_eval(&f, &script, &again[i], "y");
	run_until(&f.rig, again[0].count && again[1].count && again[2].count);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(again[i].err.code, 0);
		assert_int_equal(again[i].integer, (int64_t)i + 4);
	}
	assert_int_equal(ask(&f, "LLEN", "list", NULL).integer, 6);

	kill_redis(redis); /* a new Redis knows no script */
	run_until(&f.rig, f.downs);
	redis = start_redis(port, NOTHING);
	run_until(&f.rig, f.ups == 2);
	struct answer fresh = {0};
	start_eval(&f, &script, &fresh, "z");
	run_until(&f.rig, fresh.count);
	assert_int_equal(fresh.integer, 1);
	end(&f);
	kill_redis(redis);
}

static void test_redis_client_uses_the_sha_after_the_first_time(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	struct redis_script script;
	assert_int_equal(redis_script_init(&script, "add", ADD, strlen(ADD), NULL), 0);
	assert_int_equal(strlen(script.sha), 40);
	begin(&f);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", port, "")});
	run_until(&f.rig, f.ups);
	for (int i = 0; i < 3; i++) {
		struct answer answer = {0};
		start_eval(&f, &script, &answer, "x");
		run_until(&f.rig, answer.count);
	}
	static const char COUNT[] = "local s = redis.call('INFO', 'commandstats') return s:match('cmdstat_evalsha:calls=(%d+)')";
	const char *argv[] = {"EVAL", COUNT, "0"};
	struct answer count = ask(&f, argv[0], argv[1], argv[2]);
	assert_string_equal(count.text, "2");

	kill_redis(redis); /* which forgets it, so on a new connection the text comes first again */
	run_until(&f.rig, f.downs);
	redis = start_redis(port, NOTHING);
	run_until(&f.rig, f.ups == 2);
	struct answer answer = {0};
	start_eval(&f, &script, &answer, "x");
	run_until(&f.rig, answer.count);
	assert_int_equal(answer.integer, 1);
	count = ask(&f, argv[0], argv[1], argv[2]);
	assert_int_equal(count.err.code, 0);
	assert_int_equal(count.type, RESP_NIL);
	end(&f);
	kill_redis(redis);
}

/* ---- peers that are no Redis, or not now ---- */

struct impostor {
	struct fixture f;
	struct listener *listener;
	struct stream *stream;
	const char *reply;  /* to everything */
	unsigned connections;
	unsigned port;
};

static void impostor_on_data(void *context, const char *bytes, size_t len)
{
	struct impostor *impostor = context;
	(void)bytes;
	(void)len;
	if (impostor->reply)
		assert_int_equal(stream_write(impostor->stream, impostor->reply, strlen(impostor->reply)), 0);
}

static void impostor_on_closed(void *context, const struct err *reason)
{
	struct impostor *impostor = context;
	(void)reason;
	impostor->stream = NULL;
	listener_released(impostor->listener);
}

static void impostor_on_connection(void *context, int fd)
{
	struct impostor *impostor = context;
	const struct stream_options options = {
		.context = impostor, .on_data = impostor_on_data, .on_closed = impostor_on_closed};
	impostor->connections++;
	impostor->stream = stream_open_fd(&impostor->f.rig.loop, fd, &options, NULL);
	assert_non_null(impostor->stream);
}

static void impostor_begin(struct impostor *impostor, const char *reply)
{
	*impostor = (struct impostor){.reply = reply};
	begin(&impostor->f);
	int fd = listen_open("127.0.0.1:0", NULL);
	impostor->port = listen_port(fd);
	const struct listener_options options = {
		.max_connections = 1, .context = impostor, .on_connection = impostor_on_connection};
	impostor->listener = listener_new(&impostor->f.rig.loop, fd, &options, NULL);
	assert_non_null(impostor->listener);
}

static void impostor_end(struct impostor *impostor)
{
	stream_close(impostor->stream);
	listener_close(impostor->listener);
	end(&impostor->f);
}

static void test_redis_client_treats_what_redis_says_at_the_greeting_as_down(void **state)
{
	(void)state;
	static const struct {
		const char *reply;
		enum err_code code;
		const char *word;
	} CASES[] = {
		{"-LOADING Redis is loading\r\n", ERR_UNREACHABLE, "loading"},
		{"-MASTERDOWN Link with MASTER is down\r\n", ERR_UNREACHABLE, "master"},
		{"-DENIED Redis is running in protected mode\r\n", ERR_DENIED, "protected mode"},
		{"-MOVED 1 10.0.0.1:6379\r\n", ERR_INVALID, "Redis Cluster"},
		{"HTTP/1.1 400 hunter2\r\n", ERR_PROTOCOL, "begins no RESP2 value"},
		{"*2147483647\r\n", ERR_TOO_BIG, "elements"},
		{"$9999999999\r\n", ERR_TOO_BIG, "bulk string"},
		{"-hunter2\r\n", ERR_INVALID, "without a name"},
		{"+PONG\r\n+PONG\r\n", ERR_PROTOCOL, "nobody asked"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct impostor impostor;
		char url[128];
		impostor_begin(&impostor, CASES[i].reply);
		connect_with(&impostor.f, (struct redis_client_options){.url = url_of(url, "", impostor.port, "")});
		run_until(&impostor.f.rig, impostor.f.downs);
		if (impostor.f.down.code != CASES[i].code)
			fail_msg("%s: %s", CASES[i].reply, impostor.f.down.text);
		assert_contains(impostor.f.down.text, CASES[i].word);
		assert_lacks(impostor.f.down.text, "hunter2");
		assert_lacks(impostor.f.down.text, "10.0.0.1");
		run_until(&impostor.f.rig, impostor.connections >= 3); /* goes on trying */
		impostor_end(&impostor);
	}
}

static void test_redis_client_a_redis_that_begins_to_load_is_down_and_comes_back(void **state)
{
	(void)state;
	struct impostor impostor;
	char url[128];
	impostor_begin(&impostor, "+PONG\r\n");
	connect_with(&impostor.f, (struct redis_client_options){.url = url_of(url, "", impostor.port, "")});
	run_until(&impostor.f.rig, impostor.f.ups);
	static const struct {
		const char *reply;
		enum err_code code;
		bool down;
	} CASES[] = {
		{"-ASK 1 10.0.0.1:1\r\n", ERR_INVALID, false},   {"-CLUSTERDOWN x\r\n", ERR_INVALID, false},
		{"-NOAUTH x\r\n", ERR_DENIED, false},            {"-READONLY x\r\n", ERR_STATE, false},
		{"-LOADING x\r\n", ERR_UNREACHABLE, true},       {"-MASTERDOWN x\r\n", ERR_UNREACHABLE, true},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		unsigned downs = impostor.f.downs;
		unsigned ups = impostor.f.ups;
		impostor.reply = CASES[i].reply;
		struct answer answer = ask(&impostor.f, "GET", "k", NULL);
		assert_int_equal(answer.err.code, CASES[i].code);
		assert_int_equal(answer.had_reply, !CASES[i].down);
		assert_lacks(answer.err.text, "10.0.0.1");
		assert_int_equal(impostor.f.downs, downs + CASES[i].down);
		impostor.reply = "+PONG\r\n";
		if (CASES[i].down)
			run_until(&impostor.f.rig, impostor.f.ups == ups + 1);
	}
	impostor_end(&impostor);
}

static void test_redis_client_a_silent_peer_is_given_up(void **state)
{
	(void)state;
	struct impostor impostor;
	char url[128];
	impostor_begin(&impostor, NULL);
	connect_with(&impostor.f, (struct redis_client_options){
					  .url = url_of(url, ":hunter2@", impostor.port, ""), .connect_timeout_ms = 200});
	run_until(&impostor.f.rig, impostor.f.downs);
	assert_int_equal(impostor.f.down.code, ERR_TIMEOUT);
	assert_lacks(impostor.f.down.text, "hunter2");
	run_until(&impostor.f.rig, impostor.connections >= 2);
	impostor_end(&impostor);
}

static void test_redis_client_a_port_without_a_listener_is_unreachable(void **state)
{
	(void)state;
	struct fixture f;
	char url[128];
	begin(&f);
	connect_with(&f, (struct redis_client_options){.url = url_of(url, "", free_port(), "")});
	run_until(&f.rig, f.downs);
	assert_int_equal(f.down.code, ERR_UNREACHABLE);
	assert_contains(f.down.text, "cannot connect to 127.0.0.1:");
	end(&f);
}

/* One failing allocation costs a connection or a command, told as such, and nothing else. */
static void test_redis_client_survives_any_failing_allocation(void **state)
{
	(void)state;
	char url[128];
	struct redis_script script;
	assert_int_equal(redis_script_init(&script, "add", ADD, strlen(ADD), NULL), 0);
	unsigned port = free_port();
	pid_t redis = start_redis(port, NOTHING);
	(void)url_of(url, "", port, "/1");
	unsigned nth = 0;
	bool hit;
	do {
		struct fixture f;
		struct err err = {0};
		begin(&f);
		fault_arm(++nth);
		f.client = redis_client_new(&f.rig.loop,
					    &(struct redis_client_options){.url = url,
									   .backoff_base_ms = 5,
									   .context = &f,
									   .on_up = on_up,
									   .on_down = on_down},
					    &err);
		if (f.client) {
			run_until(&f.rig, f.ups);
			struct answer answers[2] = {0};
			unsigned started = 0;
			for (size_t i = 0; i < 2; i++) /* EVAL, EVALSHA */
				started += !redis_client_eval(f.client, &script, 1, 2, (const char *[]){"k", "v"}, NULL, 5000,
							      on_reply, &answers[i], &err);
			run_until(&f.rig, answers[0].count + answers[1].count == started);
		}
		hit = fault_disarm();
		assert_true(hit || (f.client && f.downs == 0 && err.code == 0));
		if (!f.client)
			assert_int_equal(err.code, ERR_NOMEM);
		end(&f);
	} while (hit);
	assert_true(nth > 10);
	kill_redis(redis);
}

int main(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		in_sandbox(test_redis_client_works_with_acl_user_database_and_every_kind_of_reply),
		in_sandbox(test_redis_client_tells_wrong_and_missing_passwords_without_showing_any),
		in_sandbox(test_redis_client_is_up_for_a_user_who_may_not_ping),
		in_sandbox(test_redis_client_speaks_tls_and_checks_name_and_authority),
		in_sandbox(test_redis_client_goes_to_link_local_and_unix_only_when_told),
		in_sandbox(test_redis_client_comes_back_after_kills_under_load_and_loses_no_callback),
		in_sandbox(test_redis_client_closed_with_commands_outstanding_tells_them),
		in_sandbox(test_redis_client_a_command_that_is_not_answered_in_time_takes_the_connection_down),
		in_sandbox(test_redis_client_a_blocking_command_outlives_the_timeouts_of_others),
		in_sandbox(test_redis_client_caps_what_is_outstanding),
		in_sandbox(test_redis_client_scripts_run_once_each_also_when_redis_forgot_them),
		in_sandbox(test_redis_client_uses_the_sha_after_the_first_time),
		in_sandbox(test_redis_client_treats_what_redis_says_at_the_greeting_as_down),
		in_sandbox(test_redis_client_a_redis_that_begins_to_load_is_down_and_comes_back),
		in_sandbox(test_redis_client_a_silent_peer_is_given_up),
		in_sandbox(test_redis_client_a_port_without_a_listener_is_unreachable),
		in_sandbox(test_redis_client_survives_any_failing_allocation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
