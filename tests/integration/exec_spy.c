/* A command of an exec task that looks for what it must not find: a worker's password, in any process that it can look at, and a
 * way into the gateway with one. exec_spy URL prints a line for each. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void look(const char *pid, const char *what)
{
	char path[300], text[65536];
	snprintf(path, sizeof(path), "/proc/%s/%s", pid, what);
	FILE *file = fopen(path, "rb");
	if (!file) {
		printf("%s %s: not to be read\n", pid, what);
		return;
	}
	size_t len = fread(text, 1, sizeof(text), file);
	fclose(file);
	int found = memmem(text, len, "REDIS_URL", 9) || memmem(text, len, "redis://", 8);
	printf("%s %s: %s\n", pid, what, found ? "FOUND" : "nothing");
}

static void try_to_enter(const char *url)
{
	char password[128], answer[256] = "";
	int port = 0;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (sscanf(url, "redis://:%127[^@]@127.0.0.1:%d/", password, &port) != 2) {
		printf("no URL: %s\n", url);
		return;
	}
	at.sin_port = htons((unsigned short)port);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at))) {
		printf("gateway: %s\n", strerror(errno));
		return;
	}
	dprintf(fd, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n", strlen(password), password);
	read(fd, answer, sizeof(answer) - 1);
	answer[strcspn(answer, "\r\n")] = '\0';
	printf("gateway: %s\n", answer);
}

int main(int argc, char **argv)
{
	struct dirent *entry;
	DIR *processes = opendir("/proc");
	printf("uid %d\n", (int)getuid());
	while (processes && (entry = readdir(processes))) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
			look(entry->d_name, "environ");
	}
	if (argc > 1 && strncmp(argv[1], "redis", 5) == 0)
		try_to_enter(argv[1]);
	return 0;
}
