/* The one connection to the gateway, and what is said on it: the only place that knows the protocol. */
#pragma once

#include "base/err.h"
#include "exec/gateway_address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gateway_link;

/* An item as the gateway gives it. */
struct gateway_item {
	const char *payload;
	size_t len;
	int64_t failures; /* attempts that failed before */
};

/* All of them, with err never NULL: ERR_CANCELLED when somebody wants us to end (signals.h); ERR_UNREACHABLE when the
 * connection is lost, ERR_PROTOCOL when the gateway refuses or says what it should not; the link is of no use any more then. */

/* Connects and shows the password, and forgets it. gateway_link_free it, also after an error. */
int gateway_link_open(struct gateway_link **opened, struct gateway_address *address, struct err *err) MUST_CHECK;
void gateway_link_free(struct gateway_link *link);

/* What the task wants; valid until the next call. */
int gateway_link_exec(struct gateway_link *link, const char **text, size_t *len, struct err *err) MUST_CHECK;

/* How the open items ended. Said with the next gateway_link_next, in one write. ERR_TOO_BIG: nothing is said then, and something
 * else may be. */
int gateway_link_result(struct gateway_link *link, const char *output_queue, const char *bytes, size_t len, struct err *err)
	MUST_CHECK;
int gateway_link_failure(struct gateway_link *link, const char *reason, int exit_status, const char *log, size_t log_len,
			 struct err *err) MUST_CHECK;

/* Closes what is open and waits for items, 1 … max of them; valid until the next call. */
int gateway_link_next(struct gateway_link *link, size_t max, const struct gateway_item **items, size_t *count, struct err *err)
	MUST_CHECK;

/* After ERR_CANCELLED: the gateway has not been told yet how the open items ended. */
bool gateway_link_is_unsaid(const struct gateway_link *link);

/* The connection, for whoever wants to see its end. */
int gateway_link_fd(const struct gateway_link *link);
