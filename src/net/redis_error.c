/* Owns the table of Redis' errors. Called by the Redis client for every error reply; never shows what a peer wrote but
 * one word of capitals, since the rest may hold keys, addresses, or anything. */
#include "net/redis_error.h"

#include <string.h>

enum { WORD_MAX = 32 };

static const char CLUSTER[] = "this is a node of a Redis Cluster, which is not supported yet; name a Redis that is not one";

static const struct {
	const char *word;
	enum err_code code;
	bool unusable;
	const char *meaning;
} ERRORS[] = {
	{"LOADING", ERR_UNREACHABLE, true, "Redis is still loading its data"},
	{"MASTERDOWN", ERR_UNREACHABLE, true, "this Redis is a replica whose master is away"},
	{"NOAUTH", ERR_DENIED, false, "Redis wants a password: write it into the URL, redis://:password@host"},
	{"WRONGPASS", ERR_DENIED, false, "Redis refused the user or the password of the URL"},
	{"NOPERM", ERR_DENIED, false, "the Redis user may not do this; its ACL must allow the commands and keys of the queues"},
	{"DENIED", ERR_DENIED, true, "Redis is in protected mode and takes connections from its own machine only"},
	{"MOVED", ERR_INVALID, false, CLUSTER},
	{"ASK", ERR_INVALID, false, CLUSTER},
	{"CLUSTERDOWN", ERR_INVALID, false, CLUSTER},
	{"CROSSSLOT", ERR_INVALID, false, CLUSTER},
	{"TRYAGAIN", ERR_INVALID, false, CLUSTER},
	{"READONLY", ERR_STATE, false, "this Redis is a read-only replica; name its master"},
	{"OOM", ERR_NO_SPACE, false, "Redis is at its memory limit (maxmemory)"},
	{"BUSY", ERR_STATE, false, "Redis is busy with a long script"},
	{"MISCONF", ERR_STATE, false, "Redis cannot save to its disk and refuses writes"},
	{"NOREPLICAS", ERR_STATE, false, "Redis lacks the replicas that it wants for writes (min-replicas-to-write)"},
	{"WRONGTYPE", ERR_INVALID, false, "a Redis key holds something of another type"},
	{"NOSCRIPT", ERR_NOT_FOUND, false, "Redis does not know the script"},
};

bool redis_error_is(const struct resp_value *reply, const char *word)
{
	size_t len = strlen(word);
	return reply->type == RESP_ERROR && reply->len >= len && memcmp(reply->text, word, len) == 0 &&
	       (reply->len == len || reply->text[len] == ' ');
}

/* The first word if it looks like one of Redis': "ERR". */
static void first_word(const struct resp_value *reply, char word[WORD_MAX + 1])
{
	size_t len = strspn(reply->text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");
	bool whole = len > 0 && len <= WORD_MAX && (len == reply->len || reply->text[len] == ' ');
	if (whole)
		memcpy(word, reply->text, len);
	word[whole ? len : 0] = '\0';
}

bool redis_error_explain(const struct resp_value *reply, struct err *err)
{
	for (size_t i = 0; i < sizeof(ERRORS) / sizeof(ERRORS[0]); i++) {
		if (redis_error_is(reply, ERRORS[i].word)) {
			(void)err_set(err, ERRORS[i].code, "%s (%s)", ERRORS[i].meaning, ERRORS[i].word);
			return ERRORS[i].unusable;
		}
	}
	char word[WORD_MAX + 1];
	first_word(reply, word);
	(void)err_set(err, ERR_INVALID, "Redis refused a command (%s)", *word ? word : "an error without a name");
	return false;
}
