/* The agent's configuration, gridnode.toml: where the hub is, and what the machine's owner gives. */
#pragma once

#include "base/config.h"
#include "node/runtime/runtime.h"

struct node_config {
	char *server_url;
	char *token;
	char *tls_ca;         /* "": the system's authorities */
	char *tls_pin;        /* "": none */
	char *node_id;        /* "": none yet */
	int64_t parallelism;  /* 0: one slot per CPU of our affinity */
	int64_t heartbeat_interval_s;
	int64_t stop_timeout_s;
	int64_t container_memory_mb;
	int64_t container_memory_max_mb; /* 0: no limit */
	int64_t container_pids;
	struct config_strings container_capabilities;
	bool no_new_privileges;
	char *network;
	struct config_strings allow_images;
	bool allow_network;
	char *gateway;        /* "auto", "namespace" or "tcp" */
	char *docker_host;    /* "": searched for */
	char *runtime;        /* RUNTIME_… of proto/node_messages.h */
	char *process_user;   /* "": none */
	bool process_same_user;
	char *state_dir;      /* "": see base/state_directory.h */
	char *hostname;       /* "": the system's */
	char *log_level;
};

extern const struct config_table NODE_CONFIG_TABLE;

/* What `gateway` says; it was checked. */
enum gateway_way node_gateway(const char *text);

/* Whether the text can be a node's id: it goes into URLs, labels and container names. */
bool node_id_is_valid(const char *id);
