/* A worker as its users write it in C: BRPOP, compute, LPUSH, with hiredis. gateway_worker URL [input output] */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisContext *link_to(const char *url)
{
	char password[128] = "";
	char host[64];
	int port = 0;
	if (sscanf(url, "redis://:%127[^@]@%63[^:]:%d", password, host, &port) != 3 &&
	    sscanf(url, "redis://%63[^:]:%d", host, &port) != 2)
		return NULL;
	redisContext *context = redisConnect(host, port);
	if (context && !context->err && password[0])
		freeReplyObject(redisCommand(context, "AUTH %s", password));
	return context;
}

int main(int argc, char **argv)
{
	const char *input = argc > 3 ? argv[2] : "in";
	const char *output = argc > 3 ? argv[3] : "out";
	redisContext *context = argc > 1 ? link_to(argv[1]) : NULL;
	if (!context || context->err)
		return 1;
	for (;;) {
		redisReply *item = redisCommand(context, "BRPOP %s 1", input);
		if (!item)
			return 1;
		if (item->type != REDIS_REPLY_ARRAY) {
			freeReplyObject(item);
			break;
		}
		long long n = strtoll(item->element[1]->str, NULL, 10);
		freeReplyObject(item);
		char result[32];
		(void)snprintf(result, sizeof(result), "%lld", n * n);
		freeReplyObject(redisCommand(context, "LPUSH %s %s", output, result));
	}
	redisFree(context);
	return 0;
}
