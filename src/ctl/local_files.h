/* The configurations of a local system. Written when there are none yet; what a person changed in them stays, but for what has to
 * fit together: addresses, sockets, directories. */
#pragma once

#include "base/err.h"
#include "base/random.h"
#include "ctl/local_system.h"

#include <stdbool.h>

enum { LOCAL_HOST_MAX = 64, LOCAL_TOKEN_MAX = 1024 };

/* What the files are made from, and what they say. */
struct local_plan {
	const char *bind_host;            /* "127.0.0.1"; NULL: as it was */
	unsigned port;                    /* 0: as it was, else 8080 if it is free, else any */
	int nodes;
	const char *engine;               /* "unix:///…"; NULL: plain processes */

	bool containers;                  /* what the nodes run; local_files_read's */
	char host[LOCAL_HOST_MAX];        /* filled in: where the hub listens */
	char reach[LOCAL_HOST_MAX];       /* by which address it is reached from here */
	char url[LOCAL_HOST_MAX + 32];
	char admin_token[LOCAL_TOKEN_MAX];
};

/* Where an earlier run listened, and its token; ERR_NOT_FOUND where there was none. */
int local_files_read(const struct local_system *system, struct local_plan *plan, struct err *err) MUST_CHECK;

/* Makes and mends everything but the nodes' files, and fills in the plan. */
int local_files_write(const struct local_system *system, struct local_plan *plan, struct err *err) MUST_CHECK;

/* Those of one node, 1 … plan->nodes. */
int local_files_write_node(const struct local_system *system, const struct local_plan *plan, int number, struct err *err) MUST_CHECK;

/* The id that the hub gave to a node; "" while there is none. */
void local_files_node_id(const struct local_system *system, int number, char *id, size_t size);

/* How many nodes ever had a configuration there. */
int local_files_nodes(const struct local_system *system);
