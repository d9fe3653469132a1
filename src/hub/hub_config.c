/* Owns the table of the hub's configuration keys. Called at start-up; --help, the sample file and every message about a
 * key come from this table. */
#include "hub/hub_config.h"

#include "base/config_checks.h"
#include "base/state_directory.h"
#include "base/url.h"
#include "hub/certificate.h"
#include "net/listen.h"

#include <stddef.h>
#include <string.h>

enum { TOKEN_MIN_BYTES = 8, DAY_S = 24 * 60 * 60 };

static int check_token(const char *token, struct err *err)
{
	if (strlen(token) < TOKEN_MIN_BYTES)
		return err_set(err, ERR_INVALID, "must have at least %d characters", TOKEN_MIN_BYTES);
	return config_check_token(token, err);
}

#define FIELD(name) offsetof(struct hub_config, name)

static const struct config_key KEYS[] = {
	{.name = "bind", .type = CONFIG_STRING, .offset = FIELD(bind), .fallback = "\"0.0.0.0:8080\"",
	 .check = listen_check_address,
	 .help = "Address and port to listen on. Port 0 takes a free one; the log tells which."},
	{.name = "admin_token", .type = CONFIG_STRING, .offset = FIELD(admin_token),
	 .environment = "IDM_GRIDCORE_ADMIN_TOKEN", .check = check_token,
	 .help = "For whoever runs tasks: good for all of /api, and to register nodes. It is sent, as all of these are, as\n"
		 "\"Authorization: Bearer <token>\"."},
	{.name = "viewer_token", .type = CONFIG_STRING, .offset = FIELD(viewer_token),
	 .environment = "IDM_GRIDCORE_VIEWER_TOKEN", .check = check_token,
	 .help = "For whoever only looks: reads tasks and nodes, changes nothing. Empty: no such token."},
	{.name = "join_token", .type = CONFIG_STRING, .offset = FIELD(join_token),
	 .environment = "IDM_GRIDCORE_JOIN_TOKEN", .check = check_token,
	 .help = "For machines: the token in each gridnode.toml. It only registers a node, which then gets a secret of its\n"
		 "own. Empty: no such token."},
	{.name = "token", .type = CONFIG_STRING, .offset = FIELD(token), .environment = "IDM_GRIDCORE_TOKEN",
	 .check = check_token,
	 .help = "One token in the place of all three, for agents that know no other way. Whoever has a node has it, and may\n"
		 "then do everything. Empty: no such token."},
	{.name = "tls_cert", .type = CONFIG_STRING, .offset = FIELD(tls_cert),
	 .help = "For HTTPS: a PEM file with the certificate, and after it those between it and its authority.\n"
		 "SIGHUP reads it and tls_key anew; connections stay. Empty: plain HTTP."},
	{.name = "tls_key", .type = CONFIG_STRING, .offset = FIELD(tls_key),
	 .help = "A PEM file with the certificate's private key, without a password."},
	{.name = "state_dir", .type = CONFIG_STRING, .offset = FIELD(state_dir),
	 .help = "Where tasks and nodes are kept. Empty: $STATE_DIRECTORY, else /var/lib/idm-gridcore for root,\n"
		 "else ${XDG_STATE_HOME:-~/.local/state}/idm-gridcore."},
	{.name = "offline_after", .type = CONFIG_INTEGER, .offset = FIELD(offline_after_s), .fallback = "60", .min = 1,
	 .max = DAY_S, .unit = "seconds", .help = "A node that is silent for so long is shown as Offline."},
	{.name = "forget_after", .type = CONFIG_INTEGER, .offset = FIELD(forget_after_s), .fallback = "604800",
	 .min = 1, .max = 3650LL * DAY_S, .unit = "seconds",
	 .help = "A node that is silent for so long is removed from the list."},
	{.name = "keep_completed", .type = CONFIG_INTEGER, .offset = FIELD(keep_completed), .fallback = "1000",
	 .min = 1, .max = 100000, .unit = "tasks", .help = "How many completed tasks stay listed; the oldest go first."},
	{.name = "max_connections", .type = CONFIG_INTEGER, .offset = FIELD(max_connections), .fallback = "20000",
	 .min = 10, .max = 1000000, .unit = "connections",
	 .help = "Each node holds one or two. Fewer where the system allows fewer open files."},
	{.name = "request_timeout", .type = CONFIG_INTEGER, .offset = FIELD(request_timeout_s), .fallback = "60",
	 .min = 1, .max = 3600, .unit = "seconds",
	 .help = "A connection that has not sent a whole request after so long is closed."},
	{.name = "redis_url", .type = CONFIG_STRING, .offset = FIELD(redis_url), .check = url_check_own_redis,
	 .help = "The Redis of tasks that name none: redis://[user][:password@]host[:port][/database], rediss://..., or\n"
		 "unix:///path/of/its/socket (which no task may name)."},
	{.name = "redis_hosts", .type = CONFIG_STRINGS, .offset = FIELD(redis_hosts),
	 .help = "Patterns (* and ?) of the hosts that tasks may name as their Redis. Empty: any host."},
	{.name = "redis_link_local", .type = CONFIG_BOOLEAN, .offset = FIELD(redis_link_local), .fallback = "false",
	 .help = "Whether a task's Redis may be at a link-local address (169.254.0.0/16, fe80::/10)."},
	{.name = "lease_timeout", .type = CONFIG_INTEGER, .offset = FIELD(lease_timeout_s), .fallback = "60", .min = 5,
	 .max = DAY_S, .unit = "seconds",
	 .help = "A node that is silent for so long loses its items to others. At least twice the nodes' heartbeat_interval."},
	{.name = "log_level", .type = CONFIG_STRING, .offset = FIELD(log_level), .fallback = "\"info\"",
	 .check = config_check_log_level, .help = "error, warn, info or debug."},
};

static int check_tokens(const struct hub_config *config, struct err *err)
{
	const struct {
		const char *name, *value;
	} tokens[] = {{"token", config->token},
		      {"admin_token", config->admin_token},
		      {"viewer_token", config->viewer_token},
		      {"join_token", config->join_token}};
	enum { COUNT = sizeof(tokens) / sizeof(tokens[0]) };
	if (!*config->token && !*config->admin_token)
		return err_set(err, ERR_INVALID,
			       "neither admin_token nor token is set; set one here, or in $IDM_GRIDCORE_ADMIN_TOKEN or "
			       "$IDM_GRIDCORE_TOKEN");
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t j = i + 1; j < COUNT; j++) {
			if (*tokens[i].value && strcmp(tokens[i].value, tokens[j].value) == 0)
				return err_set(err, ERR_INVALID, "%s and %s are the same, but mean different rights; draw another",
					       tokens[i].name, tokens[j].name);
		}
	}
	return 0;
}

static int check_all(const void *config, struct err *err)
{
	int rc = check_tokens(config, err);
	return rc ? rc : certificate_check(config, err);
}

const struct config_table HUB_CONFIG_TABLE = {
	.file_name = "computehub.toml",
	.title = "computehub: the server of IDM-GridCore. Commented keys show their defaults.",
	.keys = KEYS,
	.count = sizeof(KEYS) / sizeof(KEYS[0]),
	.check = check_all,
};

char *hub_config_state_directory(const struct hub_config *config)
{
	return state_directory(config->state_dir);
}
