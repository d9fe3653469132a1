/* Owns what signals do to gridexec. Called by main once, and by whoever waits; never ends anything itself. */
#include "exec/signals.h"

#include "base/clock.h"

#include <signal.h>
#include <stddef.h>
#include <time.h>

static volatile sig_atomic_t stop_asked, child_ended;
static sigset_t open_mask; /* while waiting: nothing is blocked */

enum { PATIENCE = 16 }; /* polls in a row that may go by without a signal being let in */

static void on_stop(int number)
{
	(void)number;
	stop_asked = 1;
}

static void on_child(int number)
{
	(void)number;
	child_ended = 1;
}

static void handle(int number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
	(void)sigemptyset(&action.sa_mask);
	(void)sigaction(number, &action, NULL); /* SIGKILL and SIGSTOP refuse */
}

void signals_init(void)
{
	for (int number = 1; number < NSIG; number++)
		handle(number, SIG_DFL, 0);
	handle(SIGTERM, on_stop, 0);
	handle(SIGINT, on_stop, 0);
	handle(SIGCHLD, on_child, SA_NOCLDSTOP);
	handle(SIGPIPE, SIG_IGN, 0);
	sigset_t blocked;
	(void)sigemptyset(&open_mask);
	(void)sigemptyset(&blocked);
	(void)sigaddset(&blocked, SIGTERM);
	(void)sigaddset(&blocked, SIGINT);
	(void)sigaddset(&blocked, SIGCHLD);
	(void)sigprocmask(SIG_SETMASK, &blocked, NULL);
	stop_asked = child_ended = 0;
}

void signals_reset_in_child(void)
{
	/* A handler that ran here would write into the parent's memory. */
	handle(SIGTERM, SIG_DFL, 0);
	handle(SIGINT, SIG_DFL, 0);
	handle(SIGCHLD, SIG_DFL, 0);
	handle(SIGPIPE, SIG_DFL, 0);
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

bool signals_stop_asked(void)
{
	return stop_asked;
}

bool signals_child_ended(void)
{
	bool ended = child_ended;
	child_ended = 0;
	return ended;
}

/* A poll that has news lets no signal in: where there always is some, as from a command that never stops writing, a signal would
 * wait for ever. */
static void let_signals_in(void)
{
	const struct timespec none = {0};
	(void)ppoll(NULL, 0, &none, &open_mask);
}

int signals_poll(struct pollfd *fds, nfds_t count, int64_t deadline_ms)
{
	static unsigned in_a_row; /* polls that had news */
	int64_t left_ms = deadline_ms ? deadline_ms - clock_monotonic_ms() : 0;
	if (left_ms < 0)
		left_ms = 0;
	struct timespec left = {.tv_sec = (time_t)(left_ms / 1000), .tv_nsec = (long)(left_ms % 1000) * 1000000};
	int news = ppoll(fds, count, deadline_ms ? &left : NULL, &open_mask);
	in_a_row = news > 0 ? in_a_row + 1 : 0;
	if (in_a_row == PATIENCE) {
		let_signals_in();
		in_a_row = 0;
	}
	if (news > 0)
		return news;
	/* What the descriptors said before is nothing now. */
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = 0;
	return 0;
}
