/* The load program: thousands of connections from one process to a hub on this machine. bench/run calls it, and people
 * may. Reads the command line; the commands are in files of their own. It ends by itself, in time, whatever the hub
 * does. */
#include "load.h"

#include "base/cleanup.h"
#include "base/program.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { COUNT_MAX = 1000000, SECONDS_MAX = 3600 };

static const struct command {
	const char *name;
	int (*run)(struct load *load, struct err *err);
	bool wants_ids;
	const char *help;
} COMMANDS[] = {
	{"register", registrations_run, false, "registers COUNT nodes and prints their ids"},
	{"heartbeats", heartbeats_run, true, "sends heartbeats over COUNT connections for SECONDS: rate, server's CPU time"},
	{"crowd", crowd_run, true, "COUNT nodes hold their task call: server's memory, and how long SWITCHES take"},
};

enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]) };

static void print_usage(FILE *to)
{
	(void)fprintf(to, "usage: load COMMAND --target URL --count N [--ids FILE] [--seconds N] [--switches N] [--pid PID]\n"
			  "            [--timeout SECONDS]\n\n"
			  "The token is $IDM_GRIDCORE_TOKEN, FILE has the ids that `register` printed, PID is the server's.\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		(void)fprintf(to, "  %-12s %s\n", COMMANDS[i].name, COMMANDS[i].help);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(COMMANDS[i].name, name) == 0)
			return &COMMANDS[i];
	}
	return NULL;
}

int load_in_time(const struct load *load, struct err *err)
{
	if (wires_now_ns() < load->deadline_ns)
		return 0;
	return err_set(err, ERR_TIMEOUT, "not done in time (--timeout)");
}

static int read_ids(struct load *load, const char *path, struct err *err)
{
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	load->ids = calloc(load->count, sizeof(*load->ids));
	if (!file || !load->ids)
		return err_from_errno(err, errno, "%s", path);
	for (size_t i = 0; i < load->count; i++) {
		if (fscanf(file, "%39s", load->ids[i]) != 1)
			return err_set(err, ERR_INVALID, "%s has fewer than %zu ids", path, load->count);
	}
	return 0;
}

static int need_descriptors(size_t count, struct err *err)
{
	enum { OWN = 64 };
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return err_from_errno(err, errno, "RLIMIT_NOFILE");
	if (limit.rlim_max < count + OWN)
		return err_set(err, ERR_TOO_BIG, "%zu connections, and the system allows %llu open files (ulimit -Hn)", count,
			       (unsigned long long)limit.rlim_max);
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) ? err_from_errno(err, errno, "RLIMIT_NOFILE") : 0;
}

/* A whole number of 1 to max; 0 for anything else. */
static int64_t number(const char *text, int64_t max)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	return errno || *end || end == text || value < 1 || value > max ? 0 : value;
}

struct arguments {
	const char *ids_path;
	int64_t timeout_s;
	bool wrong;
};

static struct arguments read_options(struct load *load, int argc, char **argv)
{
	static const struct option OPTIONS[] = {
		{"target", required_argument, NULL, 't'},   {"count", required_argument, NULL, 'n'},
		{"ids", required_argument, NULL, 'i'},      {"seconds", required_argument, NULL, 's'},
		{"switches", required_argument, NULL, 'w'}, {"pid", required_argument, NULL, 'p'},
		{"timeout", required_argument, NULL, 'o'},  {NULL, 0, NULL, 0},
	};
	struct arguments arguments = {.timeout_s = 300};
	int option;
	while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
		if (option == 't')
			load->target = optarg;
		else if (option == 'i')
			arguments.ids_path = optarg;
		else if (option == 'n')
			load->count = (size_t)number(optarg, COUNT_MAX);
		else if (option == 's')
			load->seconds = number(optarg, SECONDS_MAX);
		else if (option == 'w')
			load->switches = (size_t)number(optarg, COUNT_MAX);
		else if (option == 'p')
			load->pid = (int)number(optarg, INT32_MAX);
		else if (option == 'o')
			arguments.timeout_s = number(optarg, SECONDS_MAX);
		else
			arguments.wrong = true;
	}
	arguments.wrong = arguments.wrong || optind < argc || !load->target || !load->token || !load->count ||
			  !arguments.timeout_s;
	return arguments;
}

static int run(const struct command *command, struct load *load, const struct arguments *arguments, struct err *err)
{
	load->deadline_ns = wires_now_ns() + arguments->timeout_s * INT64_C(1000000000);
	int rc = need_descriptors(load->count, err);
	if (!rc && command->wants_ids)
		rc = read_ids(load, arguments->ids_path, err);
	if (!rc) {
		load->wires = wires_new(load->target, err);
		rc = load->wires ? command->run(load, err) : ERR_IO;
	}
	wires_free(load->wires);
	free(load->ids);
	return rc;
}

int main(int argc, char **argv)
{
	struct load load = {.token = getenv("IDM_GRIDCORE_TOKEN"), .seconds = 5, .switches = 1};
	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		print_usage(stdout);
		return 0;
	}
	const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
	struct arguments arguments = {.wrong = true};
	if (command)
		arguments = read_options(&load, argc - 1, argv + 1);
	if (arguments.wrong || (command->wants_ids && !arguments.ids_path)) {
		print_usage(stderr);
		return EXIT_CODE_USAGE;
	}
	struct err err = {0};
	if (run(command, &load, &arguments, &err) == 0)
		return 0;
	(void)fprintf(stderr, "load %s: %s\n", command->name, err.text);
	return EXIT_CODE_FAILURE;
}
