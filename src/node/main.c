/* gridnode: reads its arguments and configuration, builds the agent, runs the loop. Started by itself for a worker, it becomes
 * that worker. */
#include "base/log.h"
#include "base/program.h"
#include "node/agent.h"
#include "node/runtime/engine_socket.h"
#ifdef __linux__
#include "node/runtime/launcher.h"
#endif

#include <curl/curl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct program PROGRAM = {
	.name = "gridnode",
	.purpose = "The computing node of IDM-GridCore: runs the current task's container once per CPU.",
	.more_options = "      --find-engine     print the container engine's socket, or why there is none, and end\n",
	.config = &NODE_CONFIG_TABLE,
	.first_file = "server_url and token are still empty",
	.first_steps = "set both in it (\"gridctl join-command\", typed at the hub, prints them), then start gridnode again",
};

/* For scripts and for `gridctl up`: the socket that an agent here would use, without starting one. */
static int find_engine(void)
{
	struct engine_sockets sockets;
	struct err err = {0};
	const char *path = engine_sockets_list(&sockets, "", &err) ? NULL : engine_sockets_next(&sockets);
	if (path) {
		printf("unix://%s\n", path);
		return 0;
	}
	if (!err.code)
		(void)engine_sockets_explain(&sockets, &err);
	(void)fprintf(stderr, "gridnode: %s\n", err.text);
	return EXIT_CODE_FAILURE;
}

static int run(const struct node_config *config, const char *config_path)
{
	static struct agent agent; /* large: its CPU list */
	uv_loop_t loop;
	struct err err = {0};
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || uv_loop_init(&loop)) {
		log_error(NULL, "the event loop could not start");
		return EXIT_CODE_FAILURE;
	}
	int rc = agent_start(&agent, &loop, config, config_path, &err);
	if (rc) {
		log_error(NULL, "%s", err.text);
		agent_close(&agent);
	}
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	curl_global_cleanup();
	return rc || agent.displaced ? EXIT_CODE_FAILURE : 0;
}

int main(int argc, char **argv)
{
#ifdef __linux__
	if (argc > 1 && strcmp(argv[1], LAUNCHER_WORD) == 0)
		launcher_main();
#endif
	if (argc == 2 && strcmp(argv[1], "--find-engine") == 0)
		return find_engine();
	(void)signal(SIGPIPE, SIG_IGN);
	struct node_config config = {0};
	struct program_start start =
		program_start(&PROGRAM, argc, argv, &config, offsetof(struct node_config, log_level));
	int exit_code = start.done ? start.exit_code : run(&config, start.config_path);
	config_done(&NODE_CONFIG_TABLE, &config);
	free(start.config_path);
	return exit_code;
}
