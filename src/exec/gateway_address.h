/* Where the gateway is, and the password that it wants: out of the environment, once. */
#pragma once

#include "base/err.h"

#include <sys/socket.h>

enum { GATEWAY_PASSWORD_MAX = 256 };

struct gateway_address {
	struct sockaddr_storage address;
	socklen_t address_len;
	char password[GATEWAY_PASSWORD_MAX]; /* "" without one */
};

/* redis://[:password@]host:port[/0] with a numeric host ("localhost" is 127.0.0.1). The error's text holds nothing of the URL. */
int gateway_address_parse(const char *url, struct gateway_address *address, struct err *err) MUST_CHECK;

/* Takes INPUT_REDIS_URL, and wipes it and OUTPUT_REDIS_URL: from the environment that children get, and from the very memory that
 * /proc/<pid>/environ shows. ERR_NOT_FOUND without one; wiped in any case. */
int gateway_address_take(struct gateway_address *address, struct err *err) MUST_CHECK;

/* The password is needed no more. */
void gateway_address_forget(struct gateway_address *address);
