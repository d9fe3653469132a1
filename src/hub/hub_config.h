/* The hub's configuration, computehub.toml. */
#pragma once

#include "base/config.h"

struct hub_config {
	char *bind;
	char *token;        /* the seed's: good for everything; "" none */
	char *admin_token;  /* everything a person may do; "" none */
	char *viewer_token; /* reads; "" none */
	char *join_token;   /* registers nodes; "" none */
	char *state_dir; /* "": see hub_config_state_directory */
	int64_t offline_after_s;
	int64_t forget_after_s;
	int64_t keep_completed;
	int64_t max_connections;
	int64_t request_timeout_s;
	char *redis_url;  /* "": tasks must name their own */
	struct config_strings redis_hosts; /* none: any */
	bool redis_link_local;
	int64_t lease_timeout_s;
	char *log_level;
};

extern const struct config_table HUB_CONFIG_TABLE;

/* What a table of keys cannot say: whether somebody may call at all, and whether each token means one thing. */
int hub_config_check(const void *values, struct err *err) MUST_CHECK;

/* Where the state lives: the key, else $STATE_DIRECTORY (systemd), else /var/lib/idm-gridcore for root or the user's
 * state directory. free() it; NULL without memory or a home. */
char *hub_config_state_directory(const struct hub_config *config);
