/* What a worker can reach, and how it ends: one static program for the containers of test_node_places.py.
 *
 *   try ADDRESS:PORT…  a line each, "ADDRESS:PORT yes" where something answers the connection at all (also with a refusal:
 *                      then there is a way), "no" where there is no way, with what the first bytes were; then a line for
 *                      each network interface. Ends with 1, so that its words are told.
 *   serve PORT         accepts on all addresses and says "hello"
 *   sleep              SIGTERM ends it by default
 *   polite             SIGTERM makes it end with 0; SIGUSR1 does nothing
 *   exit N             at once
 *   eat                takes memory until it is stopped */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_MS = 1000 };

static const char *knock(const char *address, int port, char *heard, size_t size)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int error = 0;
	socklen_t len = sizeof(error);
	(void)inet_pton(AF_INET, address, &to.sin_addr);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) && errno != EINPROGRESS)
		return errno == ECONNREFUSED ? "yes" : "no";
	struct pollfd wait = {.fd = fd, .events = POLLOUT};
	if (poll(&wait, 1, PATIENCE_MS) != 1)
		return "no";
	(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error)
		return error == ECONNREFUSED ? "yes" : "no";
	wait.events = POLLIN;
	(void)poll(&wait, 1, PATIENCE_MS);
	ssize_t got = recv(fd, heard, size - 1, 0);
	heard[got > 0 ? strcspn(heard, "\r\n") : 0] = '\0';
	(void)close(fd);
	return "yes";
}

static int try_all(char **places)
{
	char line[512];
	for (; *places; places++) {
		char heard[64] = "";
		char *colon = strrchr(*places, ':');
		*colon = '\0';
		const char *answer = knock(*places, atoi(colon + 1), heard, sizeof(heard));
		printf("%s:%s %s %s\n", *places, colon + 1, answer, heard);
	}
	FILE *file = fopen("/proc/net/dev", "r");
	while (file && fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');
		if (colon) {
			*colon = '\0';
			printf("interface %s\n", line + strspn(line, " "));
		}
	}
	return 1;
}

static int serve(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		return 1;
	for (;;) {
		int client = accept(fd, NULL, NULL);
		(void)!write(client, "hello\r\n", 7);
		(void)close(client);
	}
}

static void on_term(int number)
{
	(void)number;
	_exit(0);
}

static void on_nothing(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strcmp(what, "try") == 0)
		return try_all(argv + 2);
	if (strcmp(what, "serve") == 0)
		return serve(atoi(argv[2]));
	if (strcmp(what, "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(what, "polite") == 0) {
		(void)signal(SIGTERM, on_term);
		(void)signal(SIGUSR1, on_nothing);
	}
	while (strcmp(what, "eat") == 0)
		memset(malloc(1 << 20), 1, 1 << 20);
	for (;;)
		(void)pause();
}
