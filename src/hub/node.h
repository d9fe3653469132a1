/* One computing machine as the hub knows it. */
#pragma once

#include "base/random.h"
#include "hub/node_guard.h"
#include "hub/secret_hash.h"
#include "proto/limits.h"
#include "proto/node_messages.h"
#include "proto/platform.h"
#include "proto/task_spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

/* In the place of a secret's hash: there was one, and nobody has it any more. */
#define NODE_REVOKED "revoked"

/* A secret of a node, as the registry keeps it: by its hash alone. */
struct node_secret {
	char hash[SECRET_HASH_SIZE]; /* or NODE_REVOKED, or "" */
	struct node *node;           /* while it is in the registry's table */
	UT_hash_handle hh;
};

struct task_wait;

struct node {
	char id[LIMIT_NODE_ID + 1];
	uint64_t order;                  /* grows with each new node: the order of listings */
	char *hostname;
	char *architecture;              /* as the node says it */
	const struct platform *platform; /* NULL where the architecture is unknown */
	int64_t cpu_count;
	int64_t slots;                   /* 0: not told */
	char *run;                       /* NULL from a seed agent */
	char *agent_version;             /* NULL from a seed agent */
	char *runtime;                   /* NULL from a seed agent */
	bool leases;                     /* understands leased delivery */
	bool exec;                       /* … and tasks with exec */
	int64_t epoch;                   /* the last one that was issued to a run of it; 0: none yet */
	struct node_secret secret;       /* what speaks for it; "" where it never had one */
	struct node_secret *fresh;       /* given at its last registration, and not used yet; NULL: none */
	int64_t direct_told;             /* position of the leased task that it last got as direct delivery; 0: none */
	bool stop_requested;
	bool draining;                   /* it is to run nothing, until further notice; over its runs too */
	int64_t registered_ms;           /* wall clock, first time */
	int64_t seen_ms;                 /* monotonic: decides who is Offline */
	int64_t seen_wall_ms;            /* wall clock: what people read */
	int64_t saved_wall_ms;           /* seen_wall_ms as the store has it */

	/* From the last heartbeat; unknown after a restart of the hub, until the next one. */
	enum runtime_status runtime_status;
	int64_t active_containers;
	char *task;
	char *error;
	char *pull;

	struct node_guard *guard;        /* since its first failure after a success; else NULL */

	bool online;                     /* which of the registry's two lists it is in */
	struct task_wait *wait;          /* its held call, or NULL */
	struct node *prev, *next;        /* in that list, longest silent first */
	UT_hash_handle hh;               /* by id */
};

void node_free(struct node *node);

/* Whether the task has something for this node's platform. */
bool node_can_run(const struct node *node, const struct task_spec *spec);

/* Whether it runs tasks' commands as plain processes, so that it needs no image. */
bool node_runs_processes(const struct node *node);

/* Takes over what the messages say; false without memory (the node is unchanged or partly so). */
bool node_take_registration(struct node *node, const struct register_message *message);
bool node_take_heartbeat(struct node *node, const struct heartbeat_message *message);

/* The entry of GET /api/nodes. idle_reason: why the current task gives this node nothing, or NULL. A new reference;
 * NULL without memory. */
json_t *node_to_json(const struct node *node, const char *idle_reason);
