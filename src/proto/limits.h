/* What hub and node hold each other to: sizes and counts that a stranger could otherwise choose. */
#pragma once

#include <stdint.h>

/* Take numbers, epochs and the like: what Redis' scripts can count. */
#define LIMIT_NUMBER INT64_C(9007199254740991)

enum {
	LIMIT_TASK_NAME = 128,           /* bytes */
	LIMIT_IMAGE = 512,               /* bytes, an image's reference */
	LIMIT_QUEUE_NAME = 512,          /* bytes */
	LIMIT_COMMAND_PARTS = 256,       /* elements */
	LIMIT_ENV_VARIABLES = 256,       /* entries */
	LIMIT_ARGUMENT = 128 * 1024 - 1, /* bytes of one argument, or of one "NAME=value": the kernel's own limit */
	LIMIT_IMAGES = 32,               /* platforms of one task */
	LIMIT_MEMORY_MB = 16 * 1024 * 1024,
	LIMIT_CPUS = 4096,               /* per machine, hence per container */
	LIMIT_HOSTNAME = 255,            /* bytes */
	LIMIT_NODE_ID = 64,              /* bytes */
	LIMIT_RUN = 64,                  /* bytes */
	LIMIT_NODE_SECRET = 128,         /* bytes */
	LIMIT_NODE_ERROR = 2048,         /* bytes of an error's text in a heartbeat; longer ones are cut by the node */
	LIMIT_USER_BODY = 256 * 1024,    /* bytes, POST /api/…; hence of a task */
	LIMIT_NODE_BODY = 16 * 1024,     /* bytes, POST /gridnode/… */
	LIMIT_ATTEMPTS = 1000,
	LIMIT_ITEM_TIMEOUT_S = 30 * 24 * 60 * 60,
	LIMIT_LEASE_ITEMS = 1000,        /* of one lease call */
	LIMIT_ITEM = 16 * 1024 * 1024,   /* bytes of an item's payload that a node takes */
	LIMIT_RESULT = 16 * 1024 * 1024, /* bytes of all writes of one item */
	LIMIT_MAX_RESULT = 8 * 1024 * 1024, /* bytes of standard output of a command of `exec` */
	LIMIT_COMMIT_BODY = 32 * 1024 * 1024,  /* bytes, POST /gridnode/commit */
	LIMIT_LEASE_ANSWER = 32 * 1024 * 1024, /* bytes */
	LIMIT_INVENTORY_BODY = 2 * 1024 * 1024, /* bytes, POST /gridnode/inventory: 10,000 pairs and more */
	LIMIT_FAILURE = 12 * 1024,       /* bytes of a failure's JSON: reason and log tail */
	LIMIT_ITEM_ID = 64,              /* bytes */
	LIMIT_BATCH_ITEMS = 100 * 1000,  /* in all outcomes of a commit together */
	LIMIT_HELD_ITEMS = 10 * 1000,    /* that a node holds of a task */
	LIMIT_PUSH_ID = 64,              /* bytes */
	LIMIT_RESULTS_PAGE = 10 * 1000,  /* results in one answer */
	LIMIT_RESULTS_BYTES = 8 * 1024 * 1024, /* bytes of them together; one always comes */
	LIMIT_TASK_WAIT_S = 60,          /* a held call is answered after that at the latest */
};
