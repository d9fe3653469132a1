/* Owns the finding of gridctl's settings. Called by the frame before a command runs, and by `gridctl config`; never puts a token
 * into a message. */
#include "ctl/ctl_config.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_checks.h"
#include "base/file.h"
#include "base/url.h"
#include "ctl/local_hub.h"
#include "net/http_trust.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { TOKEN_FILE_MAX_BYTES = 8192, MASK_SHOWN = 3, MASK_LEAST = 16 };

static const char FILE_NAME[] = "gridctl.toml";
static const char SYSTEM_PATH[] = "/etc/idm-gridcore/gridctl.toml";
static const char DEFAULT_HUB[] = "http://127.0.0.1:8080";
static const char ENVIRONMENT_HUB[] = "IDM_GRIDCORE_HUB";

const struct ctl_globals CTL_GLOBALS_BEFORE = {.retry_for_ms = -1};

/* What the file says. */
struct file_values {
	char *hub;
	char *token;
	char *token_file;
	char *tls_ca;
	char *tls_pin;
};

static int check_file(const void *values, struct err *err)
{
	const struct file_values *file = values;
	if (*file->token && *file->token_file)
		return err_set(err, ERR_INVALID, "token and token_file are both set: remove one of them");
	bool plain = strncasecmp(file->hub, "http:", strlen("http:")) == 0;
	if (plain && (*file->tls_ca || *file->tls_pin))
		return err_set(err, ERR_INVALID, "%s is set, but hub begins with http://; write https://, or remove it",
			       *file->tls_ca ? "tls_ca" : "tls_pin");
	return 0;
}

#define FIELD(name) offsetof(struct file_values, name)

static const struct config_key KEYS[] = {
	{.name = "hub", .type = CONFIG_STRING, .offset = FIELD(hub), .check = url_check_http,
	 .help = "Where the hub is, for example \"http://192.168.1.100:8080\"; https:// where it has a certificate.\n"
		 "Empty: http://127.0.0.1:8080."},
	{.name = "token", .type = CONFIG_STRING, .offset = FIELD(token), .check = config_check_token,
	 .help = "The hub's admin_token, or its viewer_token for whoever only looks."},
	{.name = "token_file", .type = CONFIG_STRING, .offset = FIELD(token_file),
	 .help = "A file whose first line is the token, in the place of token. A relative path begins beside this file."},
	{.name = "tls_ca", .type = CONFIG_STRING, .offset = FIELD(tls_ca), .check = http_trust_check_ca_file,
	 .help = "For https: a PEM file of the authorities to trust. Empty: the system's."},
	{.name = "tls_pin", .type = CONFIG_STRING, .offset = FIELD(tls_pin), .check = http_trust_check_pins,
	 .help = "For https: the hub's public key, \"sha256//...\" as the hub's log shows it at start; several with ';'\n"
		 "between. Without tls_ca it alone counts, so that a self-signed certificate will do."},
};

const struct config_table CTL_CONFIG_TABLE = {
	.file_name = FILE_NAME,
	.title = "gridctl: the command line of IDM-GridCore. Commented keys show their defaults.",
	.keys = KEYS,
	.count = sizeof(KEYS) / sizeof(KEYS[0]),
	.check = check_file,
};

/* ---- settings ---- */

int ctl_setting_set(struct ctl_setting *setting, const char *value, const char *source)
{
	AUTO_FREE char *value_copy = strdup(value);
	AUTO_FREE char *source_copy = strdup(source);
	if (!value_copy || !source_copy)
		return ERR_NOMEM;
	free(setting->value);
	free(setting->source);
	setting->value = steal(value_copy);
	setting->source = steal(source_copy);
	return 0;
}

static void setting_done(struct ctl_setting *setting)
{
	free(setting->value);
	free(setting->source);
	*setting = (struct ctl_setting){0};
}

void ctl_config_done(struct ctl_config *config)
{
	setting_done(&config->hub);
	setting_done(&config->token);
	setting_done(&config->tls_ca);
	setting_done(&config->tls_pin);
	free(config->path);
	config->path = NULL;
}

void ctl_config_mask(const char *token, char *into, size_t size)
{
	size_t len = strlen(token);
	if (len < MASK_LEAST)
		(void)snprintf(into, size, "*** (%zu characters)", len);
	else
		(void)snprintf(into, size, "%.*s*** (%zu characters)", MASK_SHOWN, token, len);
}

/* ---- the loading ---- */

struct loading {
	struct ctl_config *config;
	const struct ctl_globals *globals;
	config_report *on_problem, *on_warning;
	void *context;
	int first_error;
};

static void problem(struct loading *loading, const struct err *err)
{
	loading->on_problem(loading->context, err->text);
	if (!loading->first_error)
		loading->first_error = err->code;
}

static void out_of_memory(struct loading *loading)
{
	struct err err;
	(void)err_set(&err, ERR_NOMEM, "out of memory");
	problem(loading, &err);
}

static void set(struct loading *loading, struct ctl_setting *setting, const char *value, const char *source)
{
	if (ctl_setting_set(setting, value, source))
		out_of_memory(loading);
}

/* From an option or the environment: as the file's, but named by where it stands. */
static void set_checked(struct loading *loading, struct ctl_setting *setting, const char *value, const char *source,
			int (*check)(const char *value, struct err *err))
{
	struct err err = {0};
	if (!value || !*value)
		return;
	if (check(value, &err)) {
		(void)err_wrap(&err, "%s", source);
		problem(loading, &err);
		return;
	}
	set(loading, setting, value, source);
}

/* Those that others than the owner can read. */
static void look_at_mode(struct loading *loading, const char *path)
{
	struct stat st;
	char text[ERR_TEXT_MAX];
	if (stat(path, &st) || !S_ISREG(st.st_mode) || !(st.st_mode & 077))
		return;
	(void)snprintf(text, sizeof(text), "others can read the token in %s (mode %04o): chmod 600 %s", path,
		       (unsigned)(st.st_mode & 07777), path);
	loading->on_warning(loading->context, text);
}

int ctl_config_read_token(const char *path, char **token, struct err *err)
{
	struct buf text;
	buf_init(&text, TOKEN_FILE_MAX_BYTES);
	int rc = file_read(path, &text, err);
	if (!rc) {
		const char *line = buf_text(&text);
		size_t len = strcspn(line, "\r\n");
		*token = strndup(line, len);
		if (!*token)
			rc = err_set(err, ERR_NOMEM, "out of memory");
		else if (len == 0)
			rc = err_set(err, ERR_INVALID, "%s is empty: its first line must be the token", path);
		else if (config_check_token(*token, err))
			rc = err_wrap(err, "the first line of %s", path);
		if (rc) {
			free(*token);
			*token = NULL;
		}
	}
	buf_done(&text);
	return rc;
}

static void take_token_file(struct loading *loading, const char *path, const char *source)
{
	AUTO_FREE char *token = NULL;
	struct err err = {0};
	if (ctl_config_read_token(path, &token, &err)) {
		(void)err_wrap(&err, "%s", source);
		problem(loading, &err);
		return;
	}
	look_at_mode(loading, path);
	set(loading, &loading->config->token, token, path);
}

/* "~/x" is below the home, "x" beside the configuration. free() it; NULL without memory. */
static char *resolve(const char *path, const char *beside)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *directory = file_directory(beside);
	struct buf text;
	buf_init(&text, 2 * TOKEN_FILE_MAX_BYTES);
	int rc = ERR_NOMEM;
	if (path[0] == '/')
		rc = buf_printf(&text, "%s", path);
	else if (strncmp(path, "~/", 2) == 0 && home)
		rc = buf_printf(&text, "%s%s", home, path + 1);
	else if (directory)
		rc = buf_printf(&text, "%s/%s", directory, path);
	char *resolved = rc ? NULL : buf_steal(&text);
	buf_done(&text);
	return resolved;
}

/* ---- the file ---- */

static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

static int find_file(struct loading *loading)
{
	struct ctl_config *config = loading->config;
	AUTO_FREE char *user = config_user_path(FILE_NAME);
	const char *path = loading->globals->config;
	if (!path && user && is_there(user))
		path = user;
	if (!path && is_there(SYSTEM_PATH))
		path = SYSTEM_PATH;
	config->exists = path != NULL; /* one that is named has to be there */
	if (!path)
		path = user ? user : SYSTEM_PATH;
	config->path = strdup(path);
	return config->path ? 0 : ERR_NOMEM;
}

static void on_file_problem(void *context, const char *text)
{
	struct loading *loading = context;
	loading->on_problem(loading->context, text);
}

static bool is_set(const char *variable)
{
	const char *value = getenv(variable);
	return value && *value;
}

static void apply_file(struct loading *loading, const struct file_values *file)
{
	struct ctl_config *config = loading->config;
	const char *path = config->path;
	if (*file->hub)
		set(loading, &config->hub, file->hub, path);
	if (*file->tls_ca)
		set(loading, &config->tls_ca, file->tls_ca, path);
	if (*file->tls_pin)
		set(loading, &config->tls_pin, file->tls_pin, path);
	if (*file->token) {
		set(loading, &config->token, file->token, path);
		look_at_mode(loading, path);
	}
	/* Not looked at where another token is used anyway. */
	bool overridden = loading->globals->token_file || is_set("IDM_GRIDCORE_ADMIN_TOKEN") || is_set("IDM_GRIDCORE_TOKEN");
	if (*file->token_file && !overridden) {
		AUTO_FREE char *token_path = resolve(file->token_file, path);
		if (token_path)
			take_token_file(loading, token_path, "token_file");
		else
			out_of_memory(loading);
	}
}

static void read_file(struct loading *loading)
{
	struct file_values file = {0};
	int rc = config_load(&CTL_CONFIG_TABLE, &file, loading->config->path, on_file_problem, loading);
	if (rc && !loading->first_error)
		loading->first_error = rc;
	else if (!rc)
		apply_file(loading, &file);
	config_done(&CTL_CONFIG_TABLE, &file);
}

/* ---- the whole ---- */

static void apply_environment(struct loading *loading)
{
	static const char *const TOKENS[] = {"IDM_GRIDCORE_TOKEN", "IDM_GRIDCORE_ADMIN_TOKEN"}; /* the last one counts */
	struct ctl_config *config = loading->config;
	set_checked(loading, &config->hub, getenv(ENVIRONMENT_HUB), "$IDM_GRIDCORE_HUB", url_check_http);
	for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]); i++) {
		char source[64];
		(void)snprintf(source, sizeof(source), "$%s", TOKENS[i]);
		set_checked(loading, &config->token, getenv(TOKENS[i]), source, config_check_token);
	}
}

static void apply_options(struct loading *loading)
{
	struct ctl_config *config = loading->config;
	const struct ctl_globals *globals = loading->globals;
	set_checked(loading, &config->hub, globals->hub, "--hub", url_check_http);
	set_checked(loading, &config->tls_ca, globals->tls_ca, "--tls-ca", http_trust_check_ca_file);
	set_checked(loading, &config->tls_pin, globals->tls_pin, "--tls-pin", http_trust_check_pins);
	if (globals->token_file)
		take_token_file(loading, globals->token_file, "--token-file");
}

static void apply_local_hub(struct loading *loading)
{
	struct ctl_config *config = loading->config;
	struct local_hub hub;
	bool silent = !*config->hub.value; /* nobody said where the hub is */
	if (*config->token.value || (!silent && !local_hub_is_here(config->hub.value)) || !local_hub_find(&hub))
		return;
	set(loading, &config->token, hub.token, hub.path);
	if (silent && hub.url) {
		set(loading, &config->hub, hub.url, hub.path);
		if (hub.pin && !*config->tls_ca.value && !*config->tls_pin.value)
			set(loading, &config->tls_pin, hub.pin, hub.path);
	}
	local_hub_done(&hub);
}

/* Without TLS they would protect nothing, and look as if they did. */
static void check_trust(struct loading *loading)
{
	struct ctl_config *config = loading->config;
	struct err err;
	bool asked = loading->globals->tls_ca || loading->globals->tls_pin;
	bool plain = strncasecmp(config->hub.value, "http:", strlen("http:")) == 0;
	if (!plain || !asked)
		return;
	(void)err_set(&err, ERR_INVALID, "%s is given, but the hub's address begins with http://; write https://, or leave it out",
		      loading->globals->tls_ca ? "--tls-ca" : "--tls-pin");
	problem(loading, &err);
}

int ctl_config_load(struct ctl_config *config, const struct ctl_globals *globals, config_report *on_problem, config_report *on_warning,
		    void *context)
{
	struct loading loading = {
		.config = config, .globals = globals, .on_problem = on_problem, .on_warning = on_warning, .context = context};
	*config = (struct ctl_config){0};
	set(&loading, &config->hub, "", "");
	set(&loading, &config->token, "", "");
	set(&loading, &config->tls_ca, "", "");
	set(&loading, &config->tls_pin, "", "");
	if (!loading.first_error && find_file(&loading))
		out_of_memory(&loading);
	if (loading.first_error)
		return loading.first_error;
	if (config->exists)
		read_file(&loading);
	apply_environment(&loading);
	apply_options(&loading);
	if (!loading.first_error)
		apply_local_hub(&loading);
	if (!loading.first_error && !*config->hub.value)
		set(&loading, &config->hub, DEFAULT_HUB, "the default");
	if (!loading.first_error)
		check_trust(&loading);
	return loading.first_error;
}
