/* An item that this node holds in lease, and lists of them. The pool makes and frees items; whoever has one on a list of
 * its own holds it: the pool what no worker has seen yet and what waits to be acknowledged, a gateway's slot what is open. */
#pragma once

#include "proto/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#define HASH_NONFATAL_OOM 1 /* an addition without memory leaves hh.tbl NULL */
#include <uthash.h>

struct gateway_session;
struct private_list;

struct item {
	struct item *next, *prev; /* on its holder's list */
	const char *payload;      /* bytes, never interpreted */
	size_t payload_len;
	char id[LIMIT_ITEM_ID];   /* bytes, id_len of them */
	size_t id_len;
	int64_t number;           /* of the take that gave it; adopted anew when it comes again (R4) */
	int64_t failures;
	bool alone;               /* to be the only open one in its slot */
	int64_t came_ms;          /* monotonic */

	/* The slot's, while it is open. */
	struct gateway_session *session; /* it was popped into; NULL: that connection is gone */
	struct private_list *list;       /* rule 6: it was moved into; NULL: an ordinary pop */
	uint64_t written_before;         /* how many writes the slot had made when it was popped */
	uint64_t wrote;                  /* the last of the writes that its own connection made since; 0: none */
	bool landed;                     /* such a write has landed with another item (rule 5) */
	bool timed_out;
	int64_t opened_ms;               /* monotonic */
	uint64_t opened_ns;

	bool known;               /* the pool's: in its table by id */
	UT_hash_handle hh;
};

struct item_list {
	struct item *first, *last;
	size_t count;
};

void item_list_push(struct item_list *list, struct item *item);
void item_list_push_front(struct item_list *list, struct item *item);
void item_list_remove(struct item_list *list, struct item *item);

/* NULL from an empty one. */
struct item *item_list_shift(struct item_list *list);

/* All of `from` to the end of `to`. */
void item_list_append(struct item_list *to, struct item_list *from);
