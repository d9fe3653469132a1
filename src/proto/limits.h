/* What hub and node hold each other to: sizes and counts that a stranger could otherwise choose. */
#pragma once

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
	LIMIT_NODE_ERROR = 2048,         /* bytes of an error's text in a heartbeat; longer ones are cut by the node */
	LIMIT_USER_BODY = 256 * 1024,    /* bytes, POST /api/…; hence of a task */
	LIMIT_NODE_BODY = 16 * 1024,     /* bytes, POST /gridnode/… */
	LIMIT_TASK_WAIT_S = 60,          /* a held call is answered after that at the latest */
};
