/* Owns the listeners, and connections until they have said a password. Called by the agent; never looks at a command.
 *
 *   connection --AUTH with a slot's password--> that slot's      --10 s without, or too many of them--> closed
 *
 * Failure modes: no descriptors left: the listener rests and goes on. A flood of connections: the oldest that has not said a
 * password makes room. */
#include "node/gateway/parts.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STRANGERS_MAX = 128, STRANGER_MS = 10 * 1000, SWEEP_MS = 1000, SHARED_MAX = 4096 };

static void on_sweep(uv_timer_t *timer)
{
	struct gateway *gateway = timer->data;
	int64_t now = clock_monotonic_ms();
	struct gateway_session *next = NULL;
	for (struct gateway_session *session = gateway->strangers; session; session = next) {
		next = session->next;
		if (now - session->came_ms >= STRANGER_MS)
			session_close(session);
	}
	if (gateway->stranger_count == 0)
		(void)uv_timer_stop(timer);
}

static void make_room(struct gateway *gateway)
{
	struct gateway_session *oldest = gateway->strangers;
	while (oldest && oldest->next)
		oldest = oldest->next;
	if (oldest && gateway->stranger_count >= STRANGERS_MAX)
		session_close(oldest);
}

void gateway_add_connection(struct gateway *gateway, struct gateway_slot *only, struct listener *listener, int fd)
{
	make_room(gateway);
	struct gateway_session *session = session_new(gateway, fd);
	if (!session) {
		(void)close(fd);
		if (listener)
			listener_released(listener);
		return;
	}
	session->only = only;
	session->listener = listener;
	session_link(&gateway->strangers, session);
	gateway->stranger_count++;
	if (!uv_is_active((const uv_handle_t *)&gateway->timer))
		(void)uv_timer_start(&gateway->timer, on_sweep, SWEEP_MS, SWEEP_MS);
}

static bool opens(const struct gateway_slot *slot, const char *password, size_t len)
{
	return !slot->ending && secret_equal(slot->password, password, len);
}

struct gateway_slot *gateway_find_slot(struct gateway *gateway, const struct gateway_session *session, const char *password,
				       size_t len)
{
	if (session->only)
		return opens(session->only, password, len) ? session->only : NULL;
	for (struct gateway_slot *slot = gateway->slots; slot; slot = slot->next) {
		if (opens(slot, password, len))
			return slot;
	}
	return NULL;
}

/* ---- listeners ---- */

static void on_slot_connection(void *context, int fd)
{
	struct gateway_slot *slot = context;
	gateway_add_connection(slot->gateway, slot, slot->listener, fd);
}

static void on_slot_trouble(void *context, const struct err *err)
{
	const struct gateway_slot *slot = context;
	log_warn(slot->subject, "the gateway: %s", err->text);
}

static void on_shared_connection(void *context, int fd)
{
	struct gateway *gateway = context;
	gateway_add_connection(gateway, NULL, gateway->listener, fd);
}

static void on_shared_trouble(void *context, const struct err *err)
{
	(void)context;
	log_warn(NULL, "the gateway: %s", err->text);
}

int gateway_open_listener(struct gateway *gateway, struct gateway_slot *only, int fd, unsigned max,
			  struct listener **listener, struct err *err)
{
	struct err own = {0};
	const struct listener_options options = {
		.max_connections = max,
		.context = only ? (void *)only : (void *)gateway,
		.on_connection = only ? on_slot_connection : on_shared_connection,
		.on_trouble = only ? on_slot_trouble : on_shared_trouble,
	};
	*listener = listener_new(gateway->loop, fd, &options, &own);
	return *listener ? 0 : err_set(err, own.code, "%s", own.text);
}

int gateway_listen(struct gateway *gateway, int fd, struct err *err)
{
	assert(!gateway->listener);
	return gateway_open_listener(gateway, NULL, fd, SHARED_MAX, &gateway->listener, err);
}

/* ---- beginning and end ---- */

struct gateway *gateway_new(uv_loop_t *loop)
{
	struct gateway *gateway = calloc(1, sizeof(*gateway));
	if (!gateway)
		return NULL;
	gateway->loop = loop;
	(void)uv_timer_init(loop, &gateway->timer);
	gateway->timer.data = gateway;
	awake_init(&gateway->awake, loop, gateway);
	return gateway;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_awake_closed(uv_handle_t *handle)
{
	struct gateway *gateway = handle->data;
	uv_close((uv_handle_t *)&gateway->timer, on_closed);
}

void gateway_close(struct gateway *gateway)
{
	if (!gateway || gateway->closing)
		return;
	assert(!gateway->slots);
	gateway->closing = true;
	while (gateway->strangers)
		session_close(gateway->strangers);
	if (gateway->listener)
		listener_close(gateway->listener);
	awake_close(&gateway->awake, on_awake_closed);
}
