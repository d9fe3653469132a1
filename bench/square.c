/* The measured worker in C, as its users write it with hiredis: BRPOP n, LPUSH n². The same program under both ways of delivery.
 *
 * square             for ever, until SIGTERM
 * square hold PORT   tells each item it gets, and its pid, to UDP port PORT on loopback, and finishes it when it is answered:
 *                    till then it can be killed with the item in its hands */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_term(int number)
{
	(void)number;
	_exit(0);
}

static void give_up(const char *what)
{
	(void)fprintf(stderr, "square: %s\n", what);
	exit(1);
}

/* redis://:password@host:port/0, as the agent writes it. */
static redisContext *connect_to(const char *variable)
{
	const char *url = getenv(variable);
	char password[256];
	char host[256];
	int port = 0;
	if (!url || sscanf(url, "redis://:%255[^@]@%255[^:]:%d", password, host, &port) != 3)
		give_up("no address of Redis with a password");
	redisContext *redis = redisConnect(host, port);
	if (!redis || redis->err)
		give_up("no connection to Redis");
	redisReply *reply = redisCommand(redis, "AUTH %s", password);
	if (!reply || reply->type != REDIS_REPLY_STATUS)
		give_up("Redis refuses the password");
	freeReplyObject(reply);
	return redis;
}

static void push_square(redisContext *redis, const char *queue, const char *item)
{
	int64_t n = strtoll(item, NULL, 10);
	redisReply *reply = redisCommand(redis, "LPUSH %s %" PRId64, queue, n * n);
	if (!reply || reply->type != REDIS_REPLY_INTEGER)
		give_up("the result was not taken");
	freeReplyObject(reply);
}

static int connect_udp(const char *port)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
				       .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
		give_up("no socket");
	return fd;
}

static void tell_and_wait(int fd, const char *item)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%.64s %d", item, (int)getpid());
	if (send(fd, text, (size_t)len, 0) < 0 || recv(fd, text, sizeof(text), 0) < 0)
		give_up("nobody listens");
}

int main(int argc, char **argv)
{
	(void)signal(SIGTERM, on_term);
	int holding = argc == 3 && strcmp(argv[1], "hold") == 0 ? connect_udp(argv[2]) : -1;
	const char *input = getenv("INPUT_QUEUE");
	const char *output = getenv("OUTPUT_QUEUE");
	redisContext *redis = connect_to("INPUT_REDIS_URL");
	if (!input || !output)
		give_up("no queues");
	if (holding >= 0)
		tell_and_wait(holding, "ready");
	for (;;) {
		redisReply *reply = redisCommand(redis, "BRPOP %s 0", input);
		if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
			give_up("no item came");
		if (holding >= 0)
			tell_and_wait(holding, reply->element[1]->str);
		push_square(redis, output, reply->element[1]->str);
		freeReplyObject(reply);
	}
}
