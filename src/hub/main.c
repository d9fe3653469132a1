/* computehub: reads its arguments and configuration, builds the hub, runs the loop. */
#include "base/log.h"
#include "base/program.h"
#include "base/random.h"
#include "hub/hub.h"

#include <curl/curl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

/* A first run gets tokens of its own, one for each kind of caller: never well-known ones. */
static size_t first_values(struct config_initial *into, size_t max)
{
	static const char *const NAMES[] = {"admin_token", "viewer_token", "join_token"};
	static char tokens[sizeof(NAMES) / sizeof(NAMES[0])][TOKEN_SIZE];
	size_t count = 0;
	for (; count < sizeof(NAMES) / sizeof(NAMES[0]) && count < max; count++) {
		random_token(tokens[count]);
		into[count] = (struct config_initial){.name = NAMES[count], .value = tokens[count]};
	}
	return count;
}

static const struct program PROGRAM = {
	.name = "computehub",
	.purpose = "The server of IDM-GridCore: queues tasks and coordinates computing nodes.",
	.config = &HUB_CONFIG_TABLE,
	.first_values = first_values,
	.runs_unconfigured = true,
	.first_file = "fresh tokens, and the defaults; this hub goes on with it",
	.first_steps = "run what \"gridctl join-command\" prints on each machine that shall compute; then a first job: "
		       "seq 10 | gridctl run --image busybox -- awk '{ print $1 * $1 }'",
};

static int run(const struct hub_config *config)
{
	uv_loop_t loop;
	if (uv_loop_init(&loop)) {
		log_error(NULL, "the event loop could not start");
		return EXIT_CODE_FAILURE;
	}
	struct hub hub;
	struct err err = {0};
	int rc = hub_start(&hub, &loop, config, &err);
	if (rc) {
		log_error(NULL, "%s", err.text);
		hub_stop(&hub);
	}
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	return rc ? EXIT_CODE_FAILURE : 0;
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	struct hub_config config = {0};
	struct program_start start =
		program_start(&PROGRAM, argc, argv, &config, offsetof(struct hub_config, log_level));
	int exit_code = start.done ? start.exit_code : run(&config);
	config_done(&HUB_CONFIG_TABLE, &config);
	free(start.config_path);
	return exit_code;
}
