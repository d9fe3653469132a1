/* The Docker runtime in a test's hands: commands in, a line each; events out, a JSON object a line. Each connection that
 * comes over a place's listener is greeted and closed.
 *
 *   place_probe ENGINE_URL NODE [namespace|tcp]
 *   open P [outbound] · close P · run W P|- IMAGE WORD… · term W · kill W · remove W · quit (or the end of the input)
 *
 * P and W are numbers below 64. Containers are named idm-probe-NODE-…, and carry the label idm-gridcore.node=NODE. */
#include "base/log.h"
#include "net/listener.h"
#include "node/runtime/docker.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 64, WORDS_MAX = 64, MEMORY_MB = 64 };

static const char GREETING[] = "+PONG\r\n";

struct probe {
	uv_loop_t loop;
	uv_pipe_t input;
	struct runtime *runtime;
	const char *labels[3];
	const char *node;
	struct place *places[MANY];
	struct listener *listeners[MANY];
	struct worker *workers[MANY];
	char *line;
	size_t line_len;
};

static struct probe probe;

static void tell(const char *event, int which, const struct err *err, json_t *more)
{
	json_t *object = json_pack("{s:s, s:i, s:s}", "event", event, "which", which, "err", err ? err->text : "");
	if (more)
		(void)json_object_update_new(object, more);
	char *text = json_dumps(object, JSON_COMPACT);
	(void)printf("%s\n", text);
	(void)fflush(stdout);
	free(text);
	json_decref(object);
}

static int number_of(void *context)
{
	return (int)(intptr_t)context;
}

/* ---- places ---- */

static void on_connection(void *context, int fd)
{
	int number = number_of(context);
	ssize_t sent = send(fd, GREETING, strlen(GREETING), MSG_NOSIGNAL);
	(void)close(fd);
	listener_released(probe.listeners[number]);
	tell("greeted", number, NULL, json_pack("{s:b}", "sent", sent == (ssize_t)strlen(GREETING)));
}

static void on_listening(void *context, int fd)
{
	struct err err = {0};
	const struct listener_options options = {.context = context, .on_connection = on_connection};
	struct listener *listener = listener_new(&probe.loop, fd, &options, &err);
	probe.listeners[number_of(context)] = listener;
	tell("listening", number_of(context), listener ? NULL : &err,
	     json_pack("{s:s}", "address", docker_runtime.place_address(probe.places[number_of(context)])));
}

static void stop_listening(int number)
{
	listener_close(probe.listeners[number]);
	probe.listeners[number] = NULL;
}

static void on_place_lost(void *context, const struct err *err)
{
	stop_listening(number_of(context));
	tell("gone", number_of(context), err, NULL);
}

static void on_place_closed(void *context, const struct err *err)
{
	probe.places[number_of(context)] = NULL;
	tell("closed", number_of(context), err, NULL);
}

static void open_place(int number, bool outbound)
{
	char name[128];
	struct err err = {0};
	const struct place_spec spec = {.name = name, .labels = probe.labels, .outbound = outbound};
	const struct place_events events = {
		.context = (void *)(intptr_t)number,
		.on_listening = on_listening,
		.on_lost = on_place_lost,
		.on_closed = on_place_closed,
	};
	(void)snprintf(name, sizeof(name), "idm-probe-%s-%d-gate", probe.node, number);
	probe.places[number] = docker_runtime.open_place(probe.runtime, &spec, &events, &err);
	if (!probe.places[number])
		tell("refused", number, &err, NULL);
}

static void close_place(int number)
{
	stop_listening(number);
	if (probe.places[number])
		docker_runtime.close_place(probe.places[number]);
}

/* ---- workers ---- */

static void on_started(void *context, const struct err *err)
{
	tell("started", number_of(context), err, NULL);
}

static void on_exit_of_worker(void *context, const struct worker_exit *result)
{
	tell("exited", number_of(context), NULL,
	     json_pack("{s:i, s:b, s:b, s:s}", "status", result->status, "oom", result->out_of_memory, "stopped",
		       result->stopped_by_other, "tail", result->log_tail));
}

static void on_removed(void *context, const struct err *err)
{
	probe.workers[number_of(context)] = NULL;
	tell("removed", number_of(context), err, NULL);
}

static void run(int number, const char *place, const char *image, char **words, size_t count)
{
	char name[128];
	struct err err = {0};
	json_t *command = json_array();
	for (size_t i = 0; i < count; i++)
		(void)json_array_append_new(command, json_string(words[i]));
	const struct worker_spec spec = {
		.name = name,
		.image = image,
		.command = command,
		.labels = probe.labels,
		.cpus = "0",
		.cpu_count = 1,
		.memory_mb = MEMORY_MB,
		.place = place[0] == '-' ? NULL : probe.places[atoi(place)],
	};
	const struct worker_events events = {
		.context = (void *)(intptr_t)number,
		.on_started = on_started,
		.on_exit = on_exit_of_worker,
		.on_removed = on_removed,
	};
	(void)snprintf(name, sizeof(name), "idm-probe-%s-%d", probe.node, number);
	probe.workers[number] = docker_runtime.start(probe.runtime, &spec, &events, &err);
	if (!probe.workers[number])
		tell("refused", number, &err, NULL);
	json_decref(command);
}

/* ---- commands ---- */

static void quit(void)
{
	for (int i = 0; i < MANY; i++)
		stop_listening(i);
	docker_runtime.close(probe.runtime);
	probe.runtime = NULL;
	uv_close((uv_handle_t *)&probe.input, NULL);
}

static void obey(char *line)
{
	char *words[WORDS_MAX];
	size_t count = 0;
	char *rest = line;
	for (char *word; count < WORDS_MAX && (word = strtok_r(rest, " ", &rest));)
		words[count++] = word;
	if (count == 0)
		return;
	int number = count > 1 ? atoi(words[1]) % MANY : 0;
	struct worker *worker = probe.workers[number];
	if (strcmp(words[0], "quit") == 0)
		quit();
	else if (strcmp(words[0], "open") == 0)
		open_place(number, count > 2);
	else if (strcmp(words[0], "close") == 0)
		close_place(number);
	else if (strcmp(words[0], "run") == 0 && count > 3)
		run(number, words[2], words[3], words + 4, count - 4);
	else if (strcmp(words[0], "term") == 0 && worker)
		docker_runtime.signal(worker, WORKER_TERMINATE);
	else if (strcmp(words[0], "kill") == 0 && worker)
		docker_runtime.signal(worker, WORKER_KILL);
	else if (strcmp(words[0], "remove") == 0 && worker)
		docker_runtime.remove(worker);
	else
		tell("what?", number, NULL, NULL);
}

static void on_room(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
	static char room[4096];
	(void)handle;
	(void)size;
	*buffer = uv_buf_init(room, sizeof(room));
}

static void on_input(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
	(void)stream;
	if (got < 0) {
		quit();
		return;
	}
	probe.line = realloc(probe.line, probe.line_len + (size_t)got + 1);
	memcpy(probe.line + probe.line_len, buffer->base, (size_t)got);
	probe.line_len += (size_t)got;
	probe.line[probe.line_len] = '\0';
	for (char *end; probe.runtime && (end = memchr(probe.line, '\n', probe.line_len));) {
		*end = '\0';
		obey(probe.line);
		probe.line_len -= (size_t)(end + 1 - probe.line);
		memmove(probe.line, end + 1, probe.line_len + 1);
	}
}

static void on_ready(void *context, const char *what)
{
	(void)context;
	(void)what;
	tell("ready", 0, NULL, NULL);
}

static void on_lost(void *context, const struct err *err)
{
	(void)context;
	tell("lost", 0, err, NULL);
}

int main(int argc, char **argv)
{
	static const char *const CAPABILITIES[] = {NULL};
	struct err err = {0};
	if (argc < 3)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_LEVEL_DEBUG);
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	(void)uv_loop_init(&probe.loop);
	probe.node = argv[2];
	probe.labels[0] = "idm-gridcore.node";
	probe.labels[1] = probe.node;
	const struct runtime_options options = {
		.engine_host = argv[1],
		.network = "bridge",
		.pids_max = 64,
		.capabilities = CAPABILITIES,
		.no_new_privileges = true,
		.owner_labels = probe.labels,
		.gateway = argc < 4 ? GATEWAY_AUTO : strcmp(argv[3], "tcp") == 0 ? GATEWAY_TCP : GATEWAY_NAMESPACE,
	};
	const struct runtime_events events = {.on_ready = on_ready, .on_lost = on_lost};
	probe.runtime = docker_runtime.open(&probe.loop, &options, &events, &err);
	if (!probe.runtime) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	(void)uv_pipe_init(&probe.loop, &probe.input, 0);
	(void)uv_pipe_open(&probe.input, STDIN_FILENO);
	(void)uv_read_start((uv_stream_t *)&probe.input, on_room, on_input);
	(void)uv_run(&probe.loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&probe.loop);
	free(probe.line);
	curl_global_cleanup();
	return 0;
}
