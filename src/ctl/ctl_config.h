/* What gridctl uses: which hub, with which token, trusted how; and where each of these was said. */
#pragma once

#include "base/config.h"
#include "base/err.h"
#include "ctl/options.h"

#include <stdbool.h>
#include <stdint.h>

/* The global options, as the command line says them; the texts are NULL where it is silent. */
struct ctl_globals {
	const char *hub;
	const char *token_file;
	const char *tls_ca;
	const char *tls_pin;
	const char *config;
	int64_t retry_for_ms; /* -1: not said */
	bool json;
	bool quiet;
	bool verbose;
	bool help;
	bool version;
};

extern const struct ctl_globals CTL_GLOBALS_BEFORE; /* before the command line is read */

struct ctl_setting {
	char *value;  /* never NULL; "": none */
	char *source; /* for people: "--hub", "$IDM_GRIDCORE_HUB", the file's path, "the default"; "" where there is none */
};

struct ctl_config {
	struct ctl_setting hub;
	struct ctl_setting token;
	struct ctl_setting tls_ca;
	struct ctl_setting tls_pin;
	char *path;  /* of gridctl.toml: the one that was read, or the one that `config init` would write */
	bool exists;
};

/* gridctl.toml: its keys, for the sample and the help. */
extern const struct config_table CTL_CONFIG_TABLE;

/* Options go before the environment, that before the file, that before the defaults. Without any token, and where the hub is this
 * machine's, the hub's own configuration is asked, if it can be read (local_hub.h). Every problem is told as a line; 0 or the
 * code of the first one. ctl_config_done in both cases. `warn` gets what is no error: a file whose token others can read. */
int ctl_config_load(struct ctl_config *config, const struct ctl_globals *globals, config_report *on_problem, config_report *on_warning,
		    void *context) MUST_CHECK;
void ctl_config_done(struct ctl_config *config);

/* ERR_NOMEM. */
int ctl_setting_set(struct ctl_setting *setting, const char *value, const char *source) MUST_CHECK;

/* The first line of a file, without its end, as a token. */
int ctl_config_read_token(const char *path, char **token, struct err *err) MUST_CHECK;

/* Enough of a token to tell it from others, not enough to use it: "Zk3…(43 characters)". */
void ctl_config_mask(const char *token, char *into, size_t size);
