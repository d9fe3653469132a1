/* Owns a place's life: the image, the socket, the pause container, and the listener that comes from it. Called by the
 * slots through the operations table. Never takes over a place of an earlier run, and never makes a second container
 * for one: what is lost is closed by its owner, who opens another.
 *
 *   QUEUED ──> PREPARING (the image) ──> STARTING (the container, and its listener) ──> LISTENING
 *     │            │                        │                                              │
 *     └────────────┴────────────────────────┴── cannot be made ──> LOST <── its end ───────┘
 *                         in every state, place_close: CLOSING ──> GONE
 *
 * With gateway = "tcp", PREPARING waits for the address of the machine on the containers' network, and LISTENING
 * follows: there is no container. With "auto" that is also what an engine gets that cannot reach our socket.
 *
 * Happy path: the socket is there before the container is created; the pause program connects and passes its listener,
 * most often before the engine has answered `start`; when both are there, the owner is told.
 *
 * What can go wrong: the engine is away (LOST, with its reason). The container ends: its status tells what the program
 * could not do. It never connects, since the engine runs on another machine and mounts a directory of that one: LOST
 * after a while. It is killed later: the connection ends within milliseconds, and the listener is of no use any more.
 * The agent is killed: its container has the owner's labels, and goes with the other orphans. */
#include "node/runtime/place.h"

#include "base/cleanup.h"
#include "node/runtime/bridge_address.h"
#include "node/runtime/container.h"
#include "node/runtime/container_spec.h"
#include "node/runtime/pause_image.h"
#include "node/runtime/place_socket.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum { HAND_OVER_MS = 15000 };

enum place_state {
	PLACE_QUEUED,    /* for the loop's next turn */
	PLACE_PREPARING, /* for the image */
	PLACE_STARTING,  /* for the container's start and for the listener, in any order */
	PLACE_LISTENING, /* for the end of the connection */
	PLACE_LOST,      /* for place_close */
	PLACE_CLOSING,   /* for the loop's next turn, then for the container's removal */
	PLACE_GONE,      /* for the loop to let go of the timer */
};

struct place {
	struct engine_host *host;
	struct place_events events;
	enum place_state state;
	uv_timer_t timer; /* QUEUED, CLOSING: 0 ms; STARTING: until the listener must be there */
	char *name;
	const char *const *labels; /* name, value, …, NULL */
	bool outbound;
	struct pause_image_wish image;
	struct place_socket *socket;
	bool by_tcp;
	struct bridge_address_call *bridge; /* by_tcp, PREPARING */
	char address[BRIDGE_HOST_MAX + 8];  /* from LISTENING on */
	struct worker *container; /* from STARTING on, until on_removed */
	bool started;             /* the container told so */
	int fd;                   /* the listener, until the owner has it; else -1 */
	struct place *prev, *next;
};

/* ---- ends ---- */

static void free_place(struct place *place)
{
	engine_free_strings(place->labels);
	free(place->name);
	free(place);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free_place(handle->data);
}

/* All but the container. */
static void let_go_of_socket(struct place *place)
{
	pause_image_withdraw(&place->image);
	bridge_address_cancel(steal(place->bridge));
	place_socket_close(steal(place->socket));
	if (place->fd >= 0)
		(void)close(place->fd);
	place->fd = -1;
	(void)uv_timer_stop(&place->timer);
}

static void let_go(struct place *place)
{
	let_go_of_socket(place);
	place->state = PLACE_GONE;
	DL_DELETE(place->host->places, place);
	uv_close((uv_handle_t *)&place->timer, on_timer_closed);
}

static void finish(struct place *place, const struct err *err)
{
	let_go(place);
	if (place->events.on_closed)
		place->events.on_closed(place->events.context, err);
}

static void lose(struct place *place, const struct err *err)
{
	if (place->state >= PLACE_LOST)
		return;
	struct err why = *err;
	let_go_of_socket(place);
	place->state = PLACE_LOST;
	place->events.on_lost(place->events.context, &why);
}

/* ---- PREPARING, by TCP ---- */

static void on_bridge(void *context, const struct bridge_address *address, const struct err *failed)
{
	struct place *place = context;
	struct err err;
	unsigned port;
	place->bridge = NULL;
	int fd = failed ? -1 : bridge_address_listen(address, &port, &err);
	if (fd < 0) {
		lose(place, failed ? failed : &err);
		return;
	}
	(void)snprintf(place->address, sizeof(place->address), "%s:%u", address->host, port);
	place->state = PLACE_LISTENING;
	place->events.on_listening(place->events.context, fd);
}

static void begin_by_tcp(struct place *place)
{
	struct err err;
	place->by_tcp = true;
	place->state = PLACE_PREPARING;
	place->bridge = bridge_address_ask(place->host, on_bridge, place, &err);
	if (!place->bridge)
		lose(place, &err);
}

/* The engine cannot reach our socket, and never will: the weaker way, if the owner did not exclude it. What was made of
 * the container goes when the place is closed. */
static void lose_or_fall_back(struct place *place, const struct err *err)
{
	if (place->host->options.gateway != GATEWAY_AUTO || place->state != PLACE_STARTING) {
		lose(place, err);
		return;
	}
	engine_host_warn(place->host,
			 "workers reach the gateway over the engine's network, and with it whatever that reaches (gateway = "
			 "\"tcp\"): %s",
			 err->text);
	place->host->gateway_by_tcp = true;
	let_go_of_socket(place);
	begin_by_tcp(place);
}

/* ---- LISTENING ---- */

static void listen_if_complete(struct place *place)
{
	if (place->state != PLACE_STARTING || !place->started || place->fd < 0)
		return;
	(void)uv_timer_stop(&place->timer);
	place->state = PLACE_LISTENING;
	(void)snprintf(place->address, sizeof(place->address), "127.0.0.1:6379");
	int fd = place->fd;
	place->fd = -1;
	place->events.on_listening(place->events.context, fd);
}

static void on_listener(void *context, int fd)
{
	struct place *place = context;
	place->fd = fd;
	listen_if_complete(place);
}

static void on_gone(void *context)
{
	struct place *place = context;
	struct err err;
	if (place->state != PLACE_LISTENING)
		return; /* the container's end tells more */
	(void)err_set(&err, ERR_UNREACHABLE, "container %s, which holds the workers' network, was ended", place->name);
	lose(place, &err);
}

/* ---- STARTING ---- */

/* The pause program's exit statuses (src/pause/pause.c). */
enum { NO_LOOPBACK = 81, NO_LISTENER = 82, NO_AGENT = 83, NOT_HANDED_OVER = 84 };

static const char *explain(int status)
{
	switch (status) {
	case NO_LOOPBACK:
		return "it could not bring its loopback interface up";
	case NO_LISTENER:
		return "it could not listen on 127.0.0.1:6379";
	case NO_AGENT:
		return "it could not reach gridnode's socket: the engine must run on the same machine as gridnode, and "
		       "see the same directories";
	case NOT_HANDED_OVER:
		return "it could not pass its listener on";
	default:
		return "it was ended";
	}
}

static void on_started(void *context, const struct err *err)
{
	struct place *place = context;
	if (place->by_tcp)
		return;
	if (err) {
		/* "bind source path does not exist", in the words of Docker: our directories are not the engine's. */
		if (strstr(err->text, "bind source path"))
			lose_or_fall_back(place, err);
		else
			lose(place, err);
		return;
	}
	place->started = true;
	listen_if_complete(place);
}

static void on_exit_of_container(void *context, const struct worker_exit *result)
{
	struct place *place = context;
	struct err err;
	if (place->by_tcp)
		return;
	(void)err_set(&err, ERR_UNREACHABLE, "container %s, which holds the workers' network, ended with status %d: %s",
		      place->name, result->status, explain(result->status));
	if (result->status == NO_AGENT)
		lose_or_fall_back(place, &err);
	else
		lose(place, &err);
}

static void on_removed(void *context, const struct err *err)
{
	struct place *place = context;
	place->container = NULL;
	finish(place, err);
}

static json_t *describe(struct place *place, struct err *err)
{
	char image[PAUSE_IMAGE_NAME_SIZE];
	const struct place_spec spec = {.name = place->name, .labels = place->labels, .outbound = place->outbound};
	const struct place_socket_events events = {.context = place, .on_listener = on_listener, .on_gone = on_gone};
	const char *folder = engine_host_places_folder(place->host, err);
	place->socket = folder ? place_socket_open(place->host->loop, folder, &events, err) : NULL;
	if (!place->socket)
		return NULL;
	pause_image_name(image);
	return container_spec_place_body(&spec, image, place_socket_directory(place->socket), &place->host->options, err);
}

static void on_timer(uv_timer_t *timer);

static void on_image(void *context, const struct err *failed)
{
	struct place *place = context;
	struct err err = {0};
	const struct worker_events events = {
		.context = place,
		.on_started = on_started,
		.on_exit = on_exit_of_container,
		.on_removed = on_removed,
	};
	if (failed) {
		lose(place, failed);
		return;
	}
	place->state = PLACE_STARTING;
	json_t *body = describe(place, &err);
	if (body)
		place->container = container_start_described(place->host, place->name, body, &events, &err);
	if (place->container)
		(void)uv_timer_start(&place->timer, on_timer, HAND_OVER_MS, 0);
	else
		lose(place, &err);
}

/* ---- the loop's turn ---- */

static void begin(struct place *place)
{
	if (!place->host->ready) {
		lose(place, &place->host->lost);
		return;
	}
	if (place->host->gateway_by_tcp) {
		begin_by_tcp(place);
		return;
	}
	place->state = PLACE_PREPARING;
	pause_image_want(place->host, &place->image);
}

static void give_up_waiting(struct place *place)
{
	struct err err;
	(void)err_set(&err, ERR_TIMEOUT,
		      "container %s did not hand over its listener in %d s: the engine must run on the same machine as "
		      "gridnode, and see the same directories",
		      place->name, HAND_OVER_MS / 1000);
	lose(place, &err);
}

static void begin_closing(struct place *place)
{
	if (place->container)
		container_remove(place->container);
	else
		finish(place, NULL);
}

static void on_timer(uv_timer_t *timer)
{
	struct place *place = timer->data;
	switch (place->state) {
	case PLACE_QUEUED:
		begin(place);
		break;
	case PLACE_STARTING:
		give_up_waiting(place);
		break;
	case PLACE_CLOSING:
		begin_closing(place);
		break;
	default:
		break;
	}
}

/* ---- the caller's side ---- */

struct place *place_open(struct engine_host *host, const struct place_spec *spec, const struct place_events *events,
			 struct err *err)
{
	if (!engine_is_name(spec->name)) {
		(void)err_set(err, ERR_INVALID, "\"%s\" cannot be a container's name", spec->name);
		return NULL;
	}
	struct place *place = calloc(1, sizeof(*place));
	if (place) {
		place->name = strdup(spec->name);
		place->labels = engine_copy_strings(spec->labels);
	}
	if (!place || !place->name || !place->labels) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		if (place)
			free_place(place);
		return NULL;
	}
	place->host = host;
	place->events = *events;
	place->outbound = spec->outbound;
	place->fd = -1;
	place->image = (struct pause_image_wish){.context = place, .on_done = on_image};
	(void)uv_timer_init(host->loop, &place->timer); /* never fails (libuv documentation) */
	place->timer.data = place;
	DL_APPEND(host->places, place);
	(void)uv_timer_start(&place->timer, on_timer, 0, 0);
	return place;
}

void place_close(struct place *place)
{
	if (place->state >= PLACE_CLOSING)
		return;
	let_go_of_socket(place);
	place->state = PLACE_CLOSING;
	(void)uv_timer_start(&place->timer, on_timer, 0, 0);
}

const char *place_address(const struct place *place)
{
	return place->address;
}

int place_join(const struct place *place, json_t *body, struct err *err)
{
	const char *id = place->container ? container_id(place->container) : NULL;
	if (place->state != PLACE_LISTENING || (!place->by_tcp && !id))
		return err_set(err, ERR_STATE, "the network of the workers' gateway is gone, or not there yet");
	if (place->by_tcp)
		return 0; /* the ordinary network is the way */
	return container_spec_share_network(body, id) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

void place_drop_all(struct engine_host *host)
{
	while (host->places)
		let_go(host->places);
	pause_image_drop(host);
}
