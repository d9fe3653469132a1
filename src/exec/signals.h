/* The two signals that a waiting gridexec must hear: a wish to end, and the end of a child. They are blocked but for the time in
 * signals_poll, so nothing is ever missed between a look and a wait. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

/* Every signal does what it does by default, whatever was inherited, but SIGTERM and SIGINT (the wish to end), SIGCHLD, and
 * SIGPIPE (ignored). */
void signals_init(void);

/* What a child has to undo before it becomes a command: handlers go by themselves then, what is ignored or blocked does not.
 * Between clone() and exec: calls nothing but the system. */
void signals_reset_in_child(void);

/* Somebody wants the program to end; stays true. */
bool signals_stop_asked(void);

/* A child has ended since the last call. */
bool signals_child_ended(void);

/* poll() until deadline_ms (clock_monotonic_ms; 0: no end), cut short by a signal. The number of descriptors with news; 0 after a
 * signal or at the deadline. */
int signals_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ms);
