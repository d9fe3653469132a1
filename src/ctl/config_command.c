/* Owns `gridctl config` and `gridctl config init`: what is used and from where, and the first configuration. Called through the
 * table; shows no token. */
#include "base/cleanup.h"
#include "base/config_checks.h"
#include "base/file.h"
#include "base/url.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/show.h"
#include "ctl/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

extern const struct command COMMAND_CONFIG;
extern const struct command COMMAND_CONFIG_INIT;

enum { ANSWER_MAX_BYTES = 8192 };

/* ---- show ---- */

static void add_setting(struct table *table, const char *name, const char *value, const char *source)
{
	bool set = *value != '\0';
	table_add(table, STYLE_BOLD, "%s", name);
	table_add(table, set ? STYLE_PLAIN : STYLE_FAINT, "%s", set ? value : "-");
	table_add(table, STYLE_FAINT, "%s", set ? source : "");
}

static int print_settings(struct ctl *ctl, const char *masked)
{
	static const struct table_column COLUMNS[] = {{.title = "KEY"}, {.title = "VALUE", .shrinks = true}, {.title = "FROM", .shrinks = true}};
	const struct ctl_config *config = &ctl->config;
	struct table *table = table_new(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
	add_setting(table, "hub", config->hub.value, config->hub.source);
	add_setting(table, "token", masked, config->token.source);
	add_setting(table, "tls_ca", config->tls_ca.value, config->tls_ca.source);
	add_setting(table, "tls_pin", config->tls_pin.value, config->tls_pin.source);
	int rc = table_print(table, stdout, &ctl->out);
	table_free(table);
	if (!config->exists)
		ctl_note(ctl, "there is no %s; 'gridctl config init' writes it", config->path);
	return rc ? show_no_memory(ctl) : CTL_OK;
}

static json_t *setting_json(const struct ctl_setting *setting, const char *value)
{
	bool set = *setting->value != '\0';
	return json_pack("{s:s?, s:s?}", "value", set ? value : NULL, "from", set ? setting->source : NULL);
}

static int run_config(struct ctl *ctl, const struct command_call *call)
{
	(void)call;
	char masked[64] = "";
	const struct ctl_config *config = &ctl->config;
	int exit_code = ctl_load(ctl, false);
	if (exit_code)
		return exit_code;
	if (*config->token.value)
		ctl_config_mask(config->token.value, masked, sizeof(masked));
	if (!ctl->globals.json)
		return print_settings(ctl, masked);
	return ctl_print_json(ctl, json_pack("{s:s, s:b, s:o, s:o, s:o, s:o}", "file", config->path, "exists", (int)config->exists, "hub",
					     setting_json(&config->hub, config->hub.value), "token", setting_json(&config->token, masked),
					     "tls_ca", setting_json(&config->tls_ca, config->tls_ca.value), "tls_pin",
					     setting_json(&config->tls_pin, config->tls_pin.value)));
}

const struct command COMMAND_CONFIG = {
	.name = "config",
	.group = GROUP_SETUP,
	.usage = "",
	.purpose = "Show which hub and token are used, and where that is said",
	.help = "The token is masked. The hub is not called.\n",
	.offline = true,
	.run = run_config,
};

/* ---- init ---- */

struct init_options {
	bool force;
};

struct first {
	struct buf hub, token;
	char *tls_ca; /* absolute; NULL without one */
};

static void strip_end(struct buf *line)
{
	size_t len = strcspn(buf_text(line), "\r\n");
	if (line->data) {
		line->data[len] = '\0';
		line->len = len;
	}
}

static int ask_hub(const struct ctl *ctl, bool person, struct buf *hub, struct err *err)
{
	const char *known = ctl->globals.hub ? ctl->globals.hub : getenv("IDM_GRIDCORE_HUB");
	int rc = 0;
	if (!known && person)
		rc = terminal_ask("Address of the hub [http://127.0.0.1:8080]: ", false, hub, err);
	strip_end(hub);
	if (!rc && hub->len == 0 && buf_printf(hub, "%s", known && *known ? known : "http://127.0.0.1:8080"))
		rc = err_set(err, ERR_NOMEM, "out of memory");
	return rc ? rc : url_check_http(buf_text(hub), err);
}

static int read_standard_input(struct buf *token, struct err *err)
{
	char line[ANSWER_MAX_BYTES];
	if (!fgets(line, sizeof(line), stdin))
		return err_set(err, ERR_INVALID, "no token came on standard input; or name a file with --token-file");
	return buf_printf(token, "%s", line) ? err_set(err, ERR_TOO_BIG, "the token is too long") : 0;
}

static int ask_token(const struct ctl *ctl, bool person, struct buf *token, struct err *err)
{
	AUTO_FREE char *from_file = NULL;
	int rc = 0;
	if (ctl->globals.token_file) {
		rc = ctl_config_read_token(ctl->globals.token_file, &from_file, err);
		if (!rc && buf_printf(token, "%s", from_file))
			rc = err_set(err, ERR_TOO_BIG, "the token is too long");
	} else if (person) {
		rc = terminal_ask("Its admin_token (or viewer_token; it is not shown): ", true, token, err);
	} else {
		rc = read_standard_input(token, err);
	}
	strip_end(token);
	if (!rc && token->len == 0)
		rc = err_set(err, ERR_INVALID, "the token is empty");
	return rc || !config_check_token(buf_text(token), err) ? rc : err_wrap(err, "the token");
}

static int resolve_authority(const struct ctl *ctl, char **path, struct err *err)
{
	if (!ctl->globals.tls_ca)
		return 0;
	*path = realpath(ctl->globals.tls_ca, NULL);
	if (!*path)
		return err_from_errno(err, errno, "--tls-ca %s", ctl->globals.tls_ca);
	return http_trust_check_ca_file(*path, err);
}

static int write_first(const struct ctl *ctl, const char *path, const struct first *first, struct err *err)
{
	struct config_initial values[4] = {{"hub", buf_text(&first->hub)}, {"token", buf_text(&first->token)}};
	size_t count = 2;
	if (first->tls_ca)
		values[count++] = (struct config_initial){"tls_ca", first->tls_ca};
	if (ctl->globals.tls_pin)
		values[count++] = (struct config_initial){"tls_pin", ctl->globals.tls_pin};
	if (ctl->globals.tls_pin && http_trust_check_pins(ctl->globals.tls_pin, err))
		return err_wrap(err, "--tls-pin");
	if (chmod(path, 0600) && errno != ENOENT) /* an older file's mode stays otherwise */
		return err_from_errno(err, errno, "%s", path);
	return config_write_sample(&CTL_CONFIG_TABLE, path, values, count, err);
}

/* The file is written; a hub that is not there yet is no failure. */
static int try_it(struct ctl *ctl, const char *path)
{
	struct err err = {0};
	ctl->globals = (struct ctl_globals){.config = path, .json = ctl->globals.json, .quiet = ctl->globals.quiet};
	ctl->retry_for_ms = 0;
	int exit_code = ctl_load(ctl, false);
	if (exit_code || ctl_connect(ctl, false))
		return exit_code ? exit_code : CTL_FAILED;
	if (hub_get(ctl, "/api/tasks", NULL, NULL, &err)) {
		ctl_note(ctl, "%s is written, but: %s", path, err.text);
		return err.code == ERR_DENIED ? CTL_DENIED : CTL_OK;
	}
	ctl_note(ctl, "%s is written, and the hub at %s takes the token", path, ctl->config.hub.value);
	return CTL_OK;
}

static int ask_and_write(struct ctl *ctl, const char *path, struct first *first, struct err *err)
{
	bool person = isatty(STDIN_FILENO);
	int rc = ask_hub(ctl, person, &first->hub, err);
	if (!rc)
		rc = resolve_authority(ctl, &first->tls_ca, err);
	if (!rc)
		rc = ask_token(ctl, person, &first->token, err);
	return rc ? rc : write_first(ctl, path, first, err);
}

static int run_init(struct ctl *ctl, const struct command_call *call)
{
	const struct init_options *options = call->options;
	AUTO_FREE char *path = ctl->globals.config ? strdup(ctl->globals.config) : config_user_path(CTL_CONFIG_TABLE.file_name);
	struct first first = {0};
	struct err err = {0};
	struct stat st;
	if (!path) {
		ctl_error(ctl, "there is no home directory to write to: name a file with --config FILE");
		return CTL_CONFIG;
	}
	if (!options->force && stat(path, &st) == 0) {
		ctl_error(ctl, "%s is there already: change it, or write it anew with --force", path);
		return CTL_FAILED;
	}
	buf_init(&first.hub, ANSWER_MAX_BYTES);
	buf_init(&first.token, ANSWER_MAX_BYTES);
	int exit_code = ask_and_write(ctl, path, &first, &err) ? ctl_fail(ctl, &err) : try_it(ctl, path);
	buf_done(&first.hub);
	buf_done(&first.token);
	free(first.tls_ca);
	return exit_code;
}

static const struct option_row INIT_ROWS[] = {
	{.name = "force", .type = OPTION_FLAG, .offset = offsetof(struct init_options, force), .help = "in the place of an existing file"},
};
static const struct option_table INIT_OPTIONS = {INIT_ROWS, sizeof(INIT_ROWS) / sizeof(INIT_ROWS[0])};

const struct command COMMAND_CONFIG_INIT = {
	.name = "config init",
	.group = GROUP_SETUP,
	.usage = "[--hub URL] [--token-file FILE] [--force]",
	.purpose = "Write gridctl.toml with a hub and a token",
	.help = "On a terminal it asks for what no option says; elsewhere the token is the first line of\n"
		"standard input or of --token-file. --tls-ca, --tls-pin and --config count too. The\n"
		"file can be read by its owner alone.\n",
	.options = &INIT_OPTIONS,
	.options_size = sizeof(struct init_options),
	.offline = true,
	.run = run_init,
};
