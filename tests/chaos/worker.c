/* The chaos test's worker: an ordinary BRPOP + LPUSH program that knows nothing of leases. `worker [plain|reliable] [WORK_US
 * [JOURNAL]]`: it pops "id" or "id:MS", works for WORK_US or MS, and pushes "id:id*id". `reliable` keeps Redis' own
 * pattern: BLMOVE into a list of its own, MULTI, LPUSH, LREM, EXEC. In the directory JOURNAL it writes what it saw, for
 * the test alone: 16 bytes a time, CLOCK_MONOTONIC in ns and the id with the kind in its upper 8 bits. */
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum kind { POPPED = 1, PUSHED = 2, BEGUN = 3 };

static int journal = -1;
static redisContext *server;

static void die(const char *what)
{
	(void)fprintf(stderr, "worker: %s\n", what);
	exit(3);
}

static void note(enum kind kind, uint64_t id)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	const uint64_t record[2] = {(uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec, id | (uint64_t)kind << 56};
	if (journal >= 0 && write(journal, record, sizeof(record)) != (ssize_t)sizeof(record))
		die("cannot write the journal");
}

static void open_journal(const char *directory)
{
	char path[512];
	(void)snprintf(path, sizeof(path), "%s/%s.%s.%ld", directory, getenv("NODE_ID"), getenv("INSTANCE_ID"), (long)getpid());
	journal = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (journal < 0)
		die("cannot open the journal");
}

/* Never NULL. */
static redisReply *ask(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	redisReply *reply = redisvCommand(server, format, arguments);
	va_end(arguments);
	if (!reply)
		die(server->errstr);
	if (reply->type == REDIS_REPLY_ERROR)
		die(reply->str);
	return reply;
}

static void must(redisReply *reply)
{
	freeReplyObject(reply);
}

/* redis://:password@host:port/0 */
static void connect_to(char *url)
{
	char *password = strstr(url, "://:");
	char *host = password ? strchr(password, '@') : NULL;
	char *port = host ? strchr(host, ':') : NULL;
	if (!port)
		die("what INPUT_REDIS_URL is this?");
	*host++ = '\0';
	*port++ = '\0';
	server = redisConnect(host, (int)strtol(port, NULL, 10));
	if (!server || server->err)
		die("no connection to Redis");
	must(ask("AUTH %s", password + 4));
}

static void work(long us)
{
	const struct timespec time = {us / 1000000, us % 1000000 * 1000};
	if (us > 0)
		(void)nanosleep(&time, NULL);
}

/* The item's number; its own time, if it has one, takes the place of the task's. */
static uint64_t begin(const char *item, long *us)
{
	char *end;
	uint64_t id = strtoull(item, &end, 10);
	note(POPPED, id);
	if (*end == ':')
		*us = strtol(end + 1, NULL, 10) * 1000;
	return id;
}

static void plain(const char *input, const char *output, long us)
{
	for (;;) {
		redisReply *popped = ask("BRPOP %s 5", input);
		if (popped->type == REDIS_REPLY_ARRAY && popped->elements == 2) {
			long own_us = us;
			uint64_t id = begin(popped->element[1]->str, &own_us);
			work(own_us);
			must(ask("LPUSH %s %llu:%llu", output, (unsigned long long)id, (unsigned long long)(id * id)));
			note(PUSHED, id);
		}
		freeReplyObject(popped);
	}
}

static void reliable(const char *input, const char *output, long us)
{
	char own[64];
	(void)snprintf(own, sizeof(own), "own:%s", getenv("INSTANCE_ID"));
	for (;;) {
		redisReply *item = ask("BLMOVE %s %s RIGHT LEFT 5", input, own);
		if (item->type == REDIS_REPLY_STRING) {
			long own_us = us;
			uint64_t id = begin(item->str, &own_us);
			work(own_us);
			must(ask("MULTI"));
			must(ask("LPUSH %s %llu:%llu", output, (unsigned long long)id, (unsigned long long)(id * id)));
			must(ask("LREM %s 1 %b", own, item->str, item->len));
			must(ask("EXEC"));
			note(PUSHED, id);
		}
		freeReplyObject(item);
	}
}

int main(int argc, char **argv)
{
	const char *input = getenv("INPUT_QUEUE");
	const char *output = getenv("OUTPUT_QUEUE");
	char *url = getenv("INPUT_REDIS_URL");
	if (!input || !output || !url || !getenv("NODE_ID") || !getenv("INSTANCE_ID"))
		die("not started by a node");
	bool by_list = argc > 1 && strcmp(argv[1], "reliable") == 0;
	long us = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	if (argc > 3)
		open_journal(argv[3]);
	note(BEGUN, 0);
	connect_to(url);
	(by_list ? reliable : plain)(input, output, us);
}
