/* A connection to one Redis that heals itself. The worker has one for its input and one for its output. Every command
 * waits, with growing pauses, until Redis can be reached, or until the stop flag is set. */
#pragma once

#include "redis_url.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stddef.h>

struct redis_link {
	const char *name;                          /* for messages: "input", "output" */
	struct redis_url url;
	redisContext *context;                     /* NULL while not connected */
	const volatile sig_atomic_t *stop;
};

/* Does not connect yet. -1 if the URL is wrong, with *why set. */
int redis_link_init(struct redis_link *link, const char *name, const char *url, const volatile sig_atomic_t *stop,
                    const char **why);
void redis_link_done(struct redis_link *link);

/* One element off the right end of the list; free() it. NULL if none came within a second, the connection broke, or the
 * stop flag is set: look at the flag, and call again. */
char *redis_link_pop(struct redis_link *link, const char *list, size_t *len);

/* Puts one element on the left end of the list, or gives it back to the right end. Repeats until Redis has taken it. A
 * connection that breaks between the push and its answer thus pushes twice: better twice than never. -1 if Redis
 * refused it, or if it was away for ten seconds since the stop flag was seen. */
int redis_link_push(struct redis_link *link, const char *list, const char *bytes, size_t len);
int redis_link_give_back(struct redis_link *link, const char *list, const char *bytes, size_t len);
