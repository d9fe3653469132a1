/* Owns one epoll set with the descriptors of all held requests, which libuv watches as one. Called by http_exchange.c; never
 * reads from a descriptor, nor closes one.
 *
 * A uv_poll_t for each would do the same, for 180 bytes of each held node and more than twice the system calls of a hold;
 * a hub may have 15,000 of them, all of which hold anew after a task switch. */
#include "net/gone_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { TOLD_PER_TURN_MAX = 256 }; /* others have their turn too; what is left is told in the next one */

struct gone_watch {
	int set;
	uv_poll_t poll;
	void (*on_gone)(void *held);
};

/* One at a time: what is told may remove others. */
static void on_some_gone(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	const struct gone_watch *watch = poll->data;
	struct epoll_event event;
	for (int i = 0; i < TOLD_PER_TURN_MAX && epoll_wait(watch->set, &event, 1, 0) == 1; i++)
		watch->on_gone(event.data.ptr);
}

struct gone_watch *gone_watch_new(uv_loop_t *loop, void (*on_gone)(void *held), struct err *err)
{
	struct gone_watch *watch = calloc(1, sizeof(*watch));
	int set = epoll_create1(EPOLL_CLOEXEC);
	if (!watch || set < 0 || uv_poll_init(loop, &watch->poll, set)) {
		(void)err_from_errno(err, watch ? errno : ENOMEM, "the HTTP server cannot watch its clients");
		if (set >= 0)
			(void)close(set);
		free(watch);
		return NULL;
	}
	watch->set = set;
	watch->on_gone = on_gone;
	watch->poll.data = watch;
	(void)uv_poll_start(&watch->poll, UV_READABLE, on_some_gone);
	return watch;
}

int gone_watch_add(struct gone_watch *watch, int fd, void *held)
{
	struct epoll_event event = {.events = EPOLLRDHUP, .data.ptr = held};
	return epoll_ctl(watch->set, EPOLL_CTL_ADD, fd, &event) ? ERR_IO : 0;
}

void gone_watch_remove(struct gone_watch *watch, int fd)
{
	(void)epoll_ctl(watch->set, EPOLL_CTL_DEL, fd, NULL);
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void gone_watch_close(struct gone_watch *watch)
{
	if (!watch)
		return;
	(void)uv_poll_stop(&watch->poll); /* before its descriptor is closed */
	(void)close(watch->set);
	uv_close((uv_handle_t *)&watch->poll, on_closed);
}
