/* Owns connecting, logging in, and repeating. The worker calls it with lists and bytes. It never shows a URL in a
 * message, since passwords stand there. */
#include "redis_link.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CONNECT_TIMEOUT_S = 5,
	ANSWER_TIMEOUT_S = 10,                     /* well above POP_WAIT: a silent server is a dead one */
	FIRST_PAUSE_MS = 100,
	MAX_PAUSE_MS = 5000,
	STOP_PATIENCE_S = 10,                      /* a worker may need it twice, and is killed after 30 s by default */
	STOP_PAUSE_MS = 200,
};

#define POP_WAIT "1"                               /* seconds; also how long a stop may take while the list is empty */

int redis_link_init(struct redis_link *link, const char *name, const char *url, const volatile sig_atomic_t *stop,
                    const char **why)
{
	*link = (struct redis_link){.name = name, .stop = stop};
	return redis_url_parse(&link->url, url, why);
}

static void disconnect(struct redis_link *link)
{
	redisFree(link->context);
	link->context = NULL;
}

void redis_link_done(struct redis_link *link)
{
	disconnect(link);
	redis_url_done(&link->url);
}

static void complain(const struct redis_link *link, const char *what, const char *why)
{
	(void)fprintf(stderr, "worker: %s redis %s:%d: %s: %s\n", link->name, link->url.host, link->url.port, what, why);
}

/* One command whose answer is only looked at for an error. */
static bool is_granted(struct redis_link *link, redisReply *reply, const char *what)
{
	bool granted = reply && reply->type != REDIS_REPLY_ERROR;
	if (!granted)
		complain(link, what, reply ? reply->str : link->context->errstr);
	freeReplyObject(reply);
	return granted;
}

static bool log_in(struct redis_link *link)
{
	const struct redis_url *url = &link->url;
	redisReply *reply;
	if (url->user) {
		reply = redisCommand(link->context, "AUTH %s %s", url->user, url->password ? url->password : "");
		if (!is_granted(link, reply, "AUTH"))
			return false;
	} else if (url->password) {
		reply = redisCommand(link->context, "AUTH %s", url->password);
		if (!is_granted(link, reply, "AUTH"))
			return false;
	}
	if (url->database == 0)
		return true;
	reply = redisCommand(link->context, "SELECT %d", url->database);
	return is_granted(link, reply, "SELECT");
}

static bool connect_once(struct redis_link *link)
{
	if (link->context)
		return true;

	link->context = redisConnectWithTimeout(link->url.host, link->url.port,
	                                        (struct timeval){.tv_sec = CONNECT_TIMEOUT_S});
	if (!link->context || link->context->err) {
		complain(link, "connecting", link->context ? link->context->errstr : "out of memory");
		disconnect(link);
		return false;
	}
	(void)redisEnableKeepAlive(link->context);
	(void)redisSetTimeout(link->context, (struct timeval){.tv_sec = ANSWER_TIMEOUT_S});
	if (!log_in(link)) {
		disconnect(link);
		return false;
	}
	return true;
}

/* A signal ends the pause early, so a stop never waits for it. */
static void pause_before_retry(int *pause_ms)
{
	struct timespec pause = {.tv_sec = *pause_ms / 1000, .tv_nsec = *pause_ms % 1000 * 1000000L};
	(void)nanosleep(&pause, NULL);
	*pause_ms = *pause_ms * 2 > MAX_PAUSE_MS ? MAX_PAUSE_MS : *pause_ms * 2;
}

/* Errors that pass by themselves: starting up, failing over, or short of memory for a moment. */
static bool is_temporary(const char *error)
{
	static const char *const prefixes[] = {"LOADING", "BUSY", "MASTERDOWN", "READONLY", "TRYAGAIN", "OOM", "MISCONF"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(error, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

char *redis_link_pop(struct redis_link *link, const char *list, size_t *len)
{
	int pause_ms = FIRST_PAUSE_MS;
	while (!connect_once(link)) {
		if (*link->stop)
			return NULL;
		pause_before_retry(&pause_ms);
	}
	if (*link->stop)
		return NULL;

	char *bytes = NULL;
	redisReply *reply = redisCommand(link->context, "BRPOP %s " POP_WAIT, list);
	if (!reply || reply->type == REDIS_REPLY_ERROR) {
		complain(link, "BRPOP", reply ? reply->str : link->context->errstr);
		disconnect(link);
		pause_before_retry(&pause_ms);
	} else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2) {
		*len = reply->element[1]->len;
		bytes = malloc(*len + 1);
		if (bytes)
			memcpy(bytes, reply->element[1]->str, *len + 1);
	}
	freeReplyObject(reply);
	return bytes;
}

/* Once told to stop, an item or a result in hand is worth some more attempts, but not for ever. */
static bool may_try_again(const struct redis_link *link, time_t *give_up_at, int *pause_ms)
{
	if (!*link->stop)
		return true;
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	if (*give_up_at == 0)
		*give_up_at = now.tv_sec + STOP_PATIENCE_S;
	*pause_ms = STOP_PAUSE_MS;
	return now.tv_sec < *give_up_at;
}

static int push_until_taken(struct redis_link *link, const char *command, const char *list, const char *bytes,
                            size_t len)
{
	int pause_ms = FIRST_PAUSE_MS;
	time_t give_up_at = 0;
	for (;;) {
		redisReply *reply = NULL;
		if (connect_once(link)) {
			reply = redisCommand(link->context, "%s %s %b", command, list, bytes, len);
			if (reply && reply->type == REDIS_REPLY_INTEGER) {
				freeReplyObject(reply);
				return 0;
			}
			complain(link, command, reply ? reply->str : link->context->errstr);
		}
		bool is_refused = reply && !is_temporary(reply->str);
		freeReplyObject(reply);
		disconnect(link);
		if (is_refused || !may_try_again(link, &give_up_at, &pause_ms))
			return -1;
		pause_before_retry(&pause_ms);
	}
}

int redis_link_push(struct redis_link *link, const char *list, const char *bytes, size_t len)
{
	return push_until_taken(link, "LPUSH", list, bytes, len);
}

int redis_link_give_back(struct redis_link *link, const char *list, const char *bytes, size_t len)
{
	return push_until_taken(link, "RPUSH", list, bytes, len);
}
