/* The tests' worker: one static program that does what its arguments say.
 *
 *   (none)         BRPOP n from INPUT_QUEUE, LPUSH n*n to OUTPUT_QUEUE, for ever; at SIGTERM it notes when, and ends
 *   report         pushes its environment, then sleeps like `sleep`
 *   exit N [TEXT]  prints TEXT and ends with status N
 *   sleep          does nothing; SIGTERM ends it
 *   stubborn       does nothing; SIGTERM does not end it
 *   eat            takes memory until it is stopped
 *
 * Reports go to the list OUTPUT_QUEUE:reports, the times of SIGTERM (seconds since 1970) to OUTPUT_QUEUE:terms. */
#include <errno.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static volatile sig_atomic_t terminated;
static struct timespec terminated_at;

static void on_term(int number)
{
	(void)number;
	if (!terminated)
		(void)clock_gettime(CLOCK_REALTIME, &terminated_at);
	terminated = 1;
}

static redisContext *connect_to(const char *variable)
{
	const char *url = getenv(variable);
	char password[256];
	char host[256];
	int port;
	if (!url || sscanf(url, "redis://:%255[^@]@%255[^:]:%d", password, host, &port) != 3)
		return NULL;
	redisContext *redis = redisConnectWithTimeout(host, port, (struct timeval){.tv_sec = 5});
	if (!redis || redis->err)
		return NULL;
	redisReply *reply = redisCommand(redis, "AUTH %s", password);
	int ok = reply && reply->type == REDIS_REPLY_STATUS;
	freeReplyObject(reply);
	return ok ? redis : NULL;
}

static void push(const char *suffix, const char *text)
{
	redisContext *redis = connect_to("OUTPUT_REDIS_URL");
	if (redis)
		freeReplyObject(redisCommand(redis, "RPUSH %s:%s %s", getenv("OUTPUT_QUEUE"), suffix, text));
	redisFree(redis);
}

static int note_term(void)
{
	char text[64];
	(void)snprintf(text, sizeof(text), "%s %lld.%06ld", getenv("INSTANCE_ID"), (long long)terminated_at.tv_sec,
		       terminated_at.tv_nsec / 1000);
	push("terms", text);
	return 0;
}

static int square(void)
{
	redisContext *in = connect_to("INPUT_REDIS_URL");
	redisContext *out = connect_to("OUTPUT_REDIS_URL");
	if (terminated)
		return note_term();
	if (!in || !out) {
		(void)fprintf(stderr, "no connection to Redis\n");
		return 1;
	}
	while (!terminated) {
		redisReply *item = redisCommand(in, "BRPOP %s 1", getenv("INPUT_QUEUE"));
		if (!item)
			break; /* a signal, or Redis is gone */
		if (item->type == REDIS_REPLY_ARRAY && item->elements == 2) {
			long long n = atoll(item->element[1]->str);
			freeReplyObject(redisCommand(out, "LPUSH %s %lld", getenv("OUTPUT_QUEUE"), n * n));
		}
		freeReplyObject(item);
	}
	return terminated ? note_term() : 1;
}

static int report(void)
{
	char text[16384] = "";
	size_t len = 0;
	for (char **entry = environ; *entry; entry++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\n", *entry);
	push("reports", text);
	while (!terminated)
		(void)pause();
	return note_term();
}

static int eat(void)
{
	for (;;) {
		char *block = malloc(1 << 20);
		if (block)
			memset(block, 1, 1 << 20);
	}
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_term}; /* without SA_RESTART: a wait ends */
	const char *what = argc > 1 ? argv[1] : "";
	(void)sigaction(SIGTERM, &action, NULL);
	if (strcmp(what, "exit") == 0) {
		if (argc > 3)
			(void)fprintf(stderr, "%s\n", argv[3]);
		return argc > 2 ? atoi(argv[2]) : 0;
	}
	if (strcmp(what, "sleep") == 0) {
		while (!terminated)
			(void)pause();
		return 0;
	}
	if (strcmp(what, "stubborn") == 0) {
		for (;;)
			(void)pause();
	}
	if (strcmp(what, "eat") == 0)
		return eat();
	return strcmp(what, "report") == 0 ? report() : square();
}
