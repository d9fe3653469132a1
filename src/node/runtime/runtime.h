/* What runs workers: one operations table, so that slots never know which engine is behind it.
 *
 * A runtime is opened once and tells when it is ready or lost (it keeps trying by itself with backoff). An image is
 * prepared once per node; a place is opened per slot and task, where its workers meet the gateway; a worker is created
 * and started for one slot, and ends exactly once. All calls return at
 * once; what comes of them is told by the callbacks, never from inside the call itself. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct runtime;
struct worker;
struct place;
struct image_call;

/* What a worker is made from. Everything is copied by create. */
struct worker_spec {
	const char *name;          /* of the container: "idm-{task}-{node}-{instance}", already safe for an engine */
	const char *image;         /* as given to prepare_image; of no meaning to a runtime without images */
	const char *platform;      /* "linux/amd64" */
	const json_t *command;     /* array of strings in the place of entrypoint and arguments, or NULL */
	bool exec;                 /* gridexec, which we carry, in the place of both; then command means nothing */
	const char *const *env;    /* "NAME=value", ended by NULL */
	const char *const *labels; /* name, value, name, value, …, NULL */
	const char *cpus;          /* the kernel's list form: "0" or "2,3" */
	unsigned cpu_count;        /* how many CPUs that list names: the quota */
	int64_t memory_mb;
	/* Where it finds the gateway, and (but for GATEWAY_TCP) the only network that it sees; it has told on_listening, and outlives the worker. NULL:
	 * the network that the runtime was opened with. */
	struct place *place;
};

/* Where workers of one slot and task find the gateway: a network of its own, and a listener on 127.0.0.1:6379 in it
 * (GATEWAY_TCP: a listener of its own on the network that all workers share). Everything is copied by open_place. */
struct place_spec {
	const char *name;          /* like a worker's, and another than any worker's */
	const char *const *labels; /* like a worker's; one is added, PLACE_LABEL */
	bool outbound;             /* false: nothing but the listener is to be reached. true: the world outside too */
};

#define PLACE_LABEL "idm-gridcore.place"

/* How a worker ended. */
struct worker_exit {
	int status;           /* 0 … 255; 128 + n for signal n; -1 unknown */
	bool out_of_memory;   /* the engine says that the kernel killed it, or a part of it, for its memory limit */
	/* Somebody ended it through the engine: docker stop, kill, restart or rm -f, or the engine's own shutdown. A crash, or
	 * a kill by its process id, is not that. After a signal of ours nobody can tell, and it may be false. */
	bool stopped_by_other;
	/* The last lines that it wrote, "" when it ended with 0 or was told to end. At most RUNTIME_LOG_TAIL_MAX bytes, always
	 * printable UTF-8;
	 * lives as long as the callback runs. */
	const char *log_tail;
};

enum { RUNTIME_LOG_TAIL_MAX = 8192 };

struct runtime_events {
	void *context;
	/* The engine answers (again). what: "Docker Engine 20.10.24 (API 1.41) at /var/run/docker.sock". */
	void (*on_ready)(void *context, const char *what);
	/* It does not answer, with the reason and what to do about it. Workers' ends may have been missed: the runtime
	 * asks for them when it is ready again. Told once per loss, and once when the first attempt fails. */
	void (*on_lost)(void *context, const struct err *err);
};

struct image_events {
	void *context;
	void (*on_progress)(void *context, int percent, const char *text); /* percent -1: not known yet */
	void (*on_done)(void *context, const struct err *err);             /* err NULL: the image is here and fits */
};

struct worker_events {
	void *context;
	/* Created and started, or why not (then the worker has ended: remove it). */
	void (*on_started)(void *context, const struct err *err);
	/* It ended. Only after a successful on_started, exactly once, unless remove is called before. */
	void (*on_exit)(void *context, const struct worker_exit *result);
	/* After remove: nothing of it is left, or what stands in the way (then it is removed with the orphans, when the
	 * engine is found again or the node starts anew). The worker is freed when this returns. */
	void (*on_removed)(void *context, const struct err *err);
};

struct place_events {
	void *context;
	/* Workers may start in it. The descriptor is listening, non-blocking and close-on-exec, and the callee's. Connections
	 * to it come from the place's workers alone, but with GATEWAY_TCP. At most once. */
	void (*on_listening)(void *context, int fd);
	/* It could not be made, or it is gone: close it, end its workers, and open another. At most once; may come without
	 * on_listening. */
	void (*on_lost)(void *context, const struct err *err);
	/* After close_place: nothing of it is left, or what stands in the way, as for a worker. The place is freed when this
	 * returns. NULL if nobody waits for it. */
	void (*on_closed)(void *context, const struct err *err);
};

enum worker_signal { WORKER_TERMINATE, WORKER_KILL };

/* How workers in a place reach the gateway. */
enum gateway_way {
	GATEWAY_AUTO,      /* as NAMESPACE; where the engine turns out to be unable to do it, as TCP, with a warning */
	GATEWAY_NAMESPACE, /* in a network of their own, in which there is nothing else */
	GATEWAY_TCP,       /* over the machine's address on their ordinary network: they reach whatever that network reaches */
};

/* What the machine's owner lets workers have. Copied by open. */
struct runtime_options {
	const char *engine_host;        /* "unix:///path" or a path; "" or NULL: $DOCKER_HOST, then the usual places */
	const char *network;            /* the containers' network mode: "bridge", "host", "none", or a network's name */
	int64_t pids_max;               /* per container */
	const char *const *capabilities; /* kept ones, ended by NULL; all others are dropped */
	bool no_new_privileges;
	const char *const *owner_labels; /* name, value, …, NULL: tell our own containers from all others */
	enum gateway_way gateway;

	/* Of the process runtime alone. */
	const char *state_directory;    /* where a record of each worker stands */
	const char *owner_id;           /* whose workers they are: a node's id */
	const char *user;               /* process_user, process_same_user: see process_user.h */
	bool same_user;
	size_t workers_max;             /* at once */
};

struct runtime_ops {
	const char *name; /* RUNTIME_… of proto/node_messages.h */
	const char *noun; /* what a worker is, to people: "container", "process" */

	/* Begins to look for the engine. owner_labels as in worker_spec (one at least): each time an engine is found,
	 * whatever carries them all and belongs to none of our workers is removed, created ones too, before on_ready.
	 * NULL with err set for an engine_host that can never work. */
	struct runtime *(*open)(uv_loop_t *loop, const struct runtime_options *options,
				const struct runtime_events *events, struct err *err);
	/* Cancels everything, calls nothing back, leaves containers as they are (processes, which could not outlive us,
	 * are killed). Frees itself, its workers and image calls on the loop. Allowed in every callback. */
	void (*close)(struct runtime *runtime);

	/* NULL, as cancel_image, where workers need no image. Makes sure that the image is on this machine and fits the
	 * platform, pulling it if need be. A name without a tag means ":latest". The call is gone when on_done returns.
	 * ERR_UNREACHABLE while the engine is away. */
	struct image_call *(*prepare_image)(struct runtime *runtime, const char *image, const char *platform,
					    const struct image_events *events, struct err *err);
	/* No callback comes any more. NULL is ignored. */
	void (*cancel_image)(struct image_call *call);

	struct worker *(*start)(struct runtime *runtime, const struct worker_spec *spec,
				const struct worker_events *events, struct err *err);
	/* Before on_started it is remembered: the worker then is never started (on_started tells ERR_CANCELLED), or
	 * ended at once. While the engine is away it is remembered too. A worker that has ended ignores it. */
	void (*signal)(struct worker *worker, enum worker_signal signal);
	/* Whatever state it is in: ends and removes it. From now on only on_removed is called. Where the engine is
	 * away, it waits a few seconds for it. */
	void (*remove)(struct worker *worker);

	/* Makes a place, and keeps it until close_place. NULL with err set when it cannot even begin. All three are NULL in a
	 * runtime that has no places: its workers share the machine's network. */
	struct place *(*open_place)(struct runtime *runtime, const struct place_spec *spec,
				    const struct place_events *events, struct err *err);
	/* "127.0.0.1:6379": where its workers find the gateway, for their URLs. Only once it has told on_listening. */
	const char *(*place_address)(const struct place *place);
	/* Whatever state it is in: ends and removes it. From now on only on_closed is called. Its workers are removed
	 * before. */
	void (*close_place)(struct place *place);
};
