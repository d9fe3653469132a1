/* Owns the reading of the gateway's address, and the wiping of what it was read from. Called by main at the start; never
 * looks a name up: a static program has no resolver, and the agent names an address. */
#include "exec/gateway_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char INPUT[] = "INPUT_REDIS_URL=";
static const char OUTPUT[] = "OUTPUT_REDIS_URL=";

static int malformed(struct err *err)
{
	return err_set(err, ERR_INVALID, "the address in INPUT_REDIS_URL must be redis://:password@host:port, with the host as "
					 "a number");
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* Decodes %XX. */
static int copy_password(char *into, const char *text, size_t len)
{
	size_t used = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
			int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
			if (high < 0 || low < 0)
				return ERR_INVALID;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (used + 1 == GATEWAY_PASSWORD_MAX || !c)
			return ERR_INVALID;
		into[used++] = c;
	}
	into[used] = '\0';
	return 0;
}

static int set_address(struct gateway_address *address, const char *host, unsigned port)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (inet_pton(AF_INET, host, &ipv4.sin_addr) == 1) {
		memcpy(&address->address, &ipv4, sizeof(ipv4));
		address->address_len = sizeof(ipv4);
		return 0;
	}
	if (inet_pton(AF_INET6, host, &ipv6.sin6_addr) == 1) {
		memcpy(&address->address, &ipv6, sizeof(ipv6));
		address->address_len = sizeof(ipv6);
		return 0;
	}
	return ERR_INVALID;
}

/* host:port or [host]:port, and an end or a slash. */
static int parse_place(struct gateway_address *address, const char *place)
{
	bool brackets = *place == '[';
	const char *start = place + brackets;
	size_t len = strcspn(start, brackets ? "]" : ":/");
	char host[INET6_ADDRSTRLEN];
	if (len == 0 || len >= sizeof(host))
		return ERR_INVALID;
	memcpy(host, start, len);
	host[len] = '\0';
	const char *rest = start + len;
	if (brackets && *rest++ != ']')
		return ERR_INVALID;
	unsigned long port = 6379;
	if (*rest == ':') {
		char *end;
		port = strtoul(rest + 1, &end, 10);
		if (end == rest + 1 || port < 1 || port > 65535)
			return ERR_INVALID;
		rest = end;
	}
	if (*rest != '\0' && *rest != '/')
		return ERR_INVALID;
	return set_address(address, host, (unsigned)port);
}

int gateway_address_parse(const char *url, struct gateway_address *address, struct err *err)
{
	static const char SCHEME[] = "redis://";
	*address = (struct gateway_address){0};
	if (strncmp(url, SCHEME, sizeof(SCHEME) - 1) != 0)
		return malformed(err);
	const char *authority = url + sizeof(SCHEME) - 1;
	const char *at = memrchr(authority, '@', strcspn(authority, "/?#"));
	if (at) {
		const char *colon = memchr(authority, ':', (size_t)(at - authority));
		if (!colon || copy_password(address->password, colon + 1, (size_t)(at - colon - 1)))
			return malformed(err);
	}
	return parse_place(address, at ? at + 1 : authority) ? malformed(err) : 0;
}

/* Overwrites every string that begins with `name`, and drops it. */
static void wipe(const char *name, size_t len)
{
	char **kept = environ;
	for (char **at = environ; *at; at++) {
		if (strncmp(*at, name, len) == 0)
			explicit_bzero(*at, strlen(*at));
		else
			*kept++ = *at;
	}
	*kept = NULL;
}

int gateway_address_take(struct gateway_address *address, struct err *err)
{
	const char *url = getenv("INPUT_REDIS_URL");
	int rc = url ? gateway_address_parse(url, address, err)
		     : err_set(err, ERR_NOT_FOUND,
			       "INPUT_REDIS_URL is not set: gridexec is started by gridnode, for a task with \"exec\"");
	wipe(INPUT, sizeof(INPUT) - 1);
	wipe(OUTPUT, sizeof(OUTPUT) - 1);
	return rc;
}

void gateway_address_forget(struct gateway_address *address)
{
	explicit_bzero(address->password, sizeof(address->password));
}
