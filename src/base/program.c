/* Owns the start of a daemon up to the point where it has its configuration. Called by each main.c; this is the one
 * place below the programs that writes to standard output and to the log. */
#include "base/program.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"

#include <getopt.h>
#include <string.h>

struct options {
	const char *config_path;
	const char *log_level;
	bool check_config;
};

enum { OPTION_CHECK_CONFIG = 256, OPTION_LOG_LEVEL, OPTION_VERSION, OPTION_MAN };

static const struct option LONG_OPTIONS[] = {
	{"config", required_argument, NULL, 'c'},
	{"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, 'h'},
	{"man", no_argument, NULL, OPTION_MAN}, /* for the build: a man page in troff */
	{NULL, 0, NULL, 0},
};

static void print_keys(const struct config_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];
		printf("  %-22s %s", key->name, key->required ? "(required)" : key->fallback ? key->fallback : "\"\"");
		if (key->unit)
			printf(" %s", key->unit);
		if (key->environment)
			printf("   or $%s", key->environment);
		printf("\n");
		for (const char *line = key->help; line && *line;) {
			size_t len = strcspn(line, "\n");
			printf("      %.*s\n", (int)len, line);
			line += len + (line[len] == '\n');
		}
	}
}

static void print_help(const struct program *program)
{
	const char *file = program->config->file_name;
	printf("Usage: %s [OPTION]...\n%s\n\n"
	       "  -c, --config FILE     read this configuration file\n"
	       "      --check-config    check the configuration, say what is wrong with it, and end\n"
	       "      --log-level LEVEL error, warn, info or debug\n"
	       "%s"
	       "      --version         print the version and end\n"
	       "  -h, --help            print this and end\n\n"
	       "Configuration file, the first of:\n"
	       "  -c FILE, $IDM_GRIDCORE_CONFIG, /etc/idm-gridcore/%s,\n"
	       "  ${XDG_CONFIG_HOME:-~/.config}/idm-gridcore/%s\n"
	       "Where there is none, a commented one is written.\n\n"
	       "Its keys, with their defaults:\n",
	       program->name, program->purpose, program->more_options ? program->more_options : "", file, file);
	print_keys(program->config);
	printf("\nIt logs to standard error and ends on SIGTERM or SIGINT.\n"
	       "Exit status: 0 ended in order, 1 failed, 2 wrong command line, 78 wrong or incomplete configuration.\n");
}

static struct program_start end_with(int exit_code)
{
	return (struct program_start){.done = true, .exit_code = exit_code};
}

static bool parse_options(const struct program *program, int argc, char **argv, struct options *options, int *exit_code)
{
	int option;
	while ((option = getopt_long(argc, argv, "c:h", LONG_OPTIONS, NULL)) != -1) {
		switch (option) {
		case 'c':
			options->config_path = optarg;
			break;
		case OPTION_CHECK_CONFIG:
			options->check_config = true;
			break;
		case OPTION_LOG_LEVEL:
			options->log_level = optarg;
			break;
		case OPTION_VERSION:
			printf("%s %s\n", program->name, PROJECT_VERSION);
			*exit_code = 0;
			return false;
		case OPTION_MAN:
			program_print_man(program);
			*exit_code = 0;
			return false;
		case 'h':
			print_help(program);
			*exit_code = 0;
			return false;
		default:
			(void)fprintf(stderr, "Try '%s --help'.\n", program->name);
			*exit_code = EXIT_CODE_USAGE;
			return false;
		}
	}
	if (optind < argc) {
		(void)fprintf(stderr, "%s: unexpected argument '%s'\nTry '%s --help'.\n", program->name, argv[optind],
			      program->name);
		*exit_code = EXIT_CODE_USAGE;
		return false;
	}
	return true;
}

static bool set_log_level(const char *name)
{
	enum log_level level;
	if (!log_level_parse(name, &level))
		return false;
	log_set_level(level);
	return true;
}

static void on_problem(void *context, const char *problem)
{
	(void)context;
	log_error(NULL, "%s", problem);
}

/* Writes the first configuration; false where the program has to end. */
static bool first_run(const struct program *program, const char *path, int *exit_code)
{
	struct config_initial values[4];
	size_t count = program->first_values ? program->first_values(values, 4) : 0;
	struct err err = {0};
	if (config_write_sample(program->config, path, values, count, &err)) {
		log_error(NULL, "there is no configuration yet, and a first one could not be written: %s; "
				"name a place with -c FILE", err.text);
		*exit_code = EXIT_CODE_CONFIG;
		return false;
	}
	log_info(NULL, "wrote a first configuration to %s: %s", path, program->first_file);
	log_info(NULL, "next: %s", program->first_steps);
	*exit_code = EXIT_CODE_CONFIG;
	return program->runs_unconfigured;
}

static int load(const struct program *program, void *config, const char *path)
{
	return config_load(program->config, config, path, on_problem, NULL) ? EXIT_CODE_CONFIG : 0;
}

static int find_and_load(const struct program *program, const struct options *options, void *config, char **path)
{
	struct config_place place = {0};
	struct err err = {0};
	if (config_find(program->config->file_name, options->config_path, &place, &err)) {
		log_error(NULL, "%s", err.text);
		return EXIT_CODE_CONFIG;
	}
	*path = place.path;
	int exit_code = 0;
	if (!place.exists && !options->check_config && !first_run(program, place.path, &exit_code))
		return exit_code;
	return load(program, config, place.path);
}

struct program_start program_start(const struct program *program, int argc, char **argv, void *config,
				   size_t log_level_offset)
{
	struct options options = {0};
	int exit_code = 0;
	file_open_standard();
	if (!parse_options(program, argc, argv, &options, &exit_code))
		return end_with(exit_code);
	if (options.log_level && !set_log_level(options.log_level)) {
		(void)fprintf(stderr, "%s: --log-level must be error, warn, info or debug\n", program->name);
		return end_with(EXIT_CODE_USAGE);
	}

	AUTO_FREE char *path = NULL;
	exit_code = find_and_load(program, &options, config, &path);
	if (exit_code)
		return end_with(exit_code);
	if (!options.log_level)
		(void)set_log_level(*(char **)((char *)config + log_level_offset));
	if (options.check_config) {
		printf("%s: ok\n", path);
		return end_with(0);
	}
	return (struct program_start){.config_path = steal(path)};
}
