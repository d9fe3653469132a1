/* Owns the table of the agent's configuration keys. Called at start-up; --help, the sample file and every message about a
 * key come from this table. */
#include "node/node_config.h"

#include "base/config_checks.h"
#include "base/url.h"
#include "net/http_trust.h"
#include "proto/node_messages.h"
#include "proto/limits.h"
#ifdef __linux__
#include "node/runtime/process_user.h"
#endif

#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { DAY_S = 24 * 60 * 60 };

bool node_id_is_valid(const char *id)
{
	size_t len = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");
	return len > 0 && len <= LIMIT_NODE_ID && id[len] == '\0';
}

static int check_node_id(const char *id, struct err *err)
{
	return node_id_is_valid(id) ? 0
				    : err_set(err, ERR_INVALID, "must be 1 to %d letters, digits, '-', '_' or '.'",
					      LIMIT_NODE_ID);
}

static int check_docker_host(const char *host, struct err *err)
{
	if (host[0] == '/' || strncmp(host, "unix:///", strlen("unix:///")) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "must be a Unix socket, as unix:///var/run/docker.sock");
}

static int check_hostname(const char *name, struct err *err)
{
	return strlen(name) <= LIMIT_HOSTNAME ? 0
					      : err_set(err, ERR_INVALID, "must be at most %d bytes", LIMIT_HOSTNAME);
}

static const struct {
	const char *name;
	enum gateway_way way;
} GATEWAYS[] = {{"auto", GATEWAY_AUTO}, {"namespace", GATEWAY_NAMESPACE}, {"tcp", GATEWAY_TCP}};

enum { GATEWAY_COUNT = sizeof(GATEWAYS) / sizeof(GATEWAYS[0]) };

static size_t find_gateway(const char *text)
{
	size_t i = 0;
	while (i < GATEWAY_COUNT && strcmp(text, GATEWAYS[i].name) != 0)
		i++;
	return i;
}

enum gateway_way node_gateway(const char *text)
{
	size_t i = find_gateway(text);
	return i < GATEWAY_COUNT ? GATEWAYS[i].way : GATEWAY_AUTO;
}

static int check_gateway(const char *text, struct err *err)
{
	return find_gateway(text) < GATEWAY_COUNT
		       ? 0
		       : err_set(err, ERR_INVALID, "must be \"auto\", \"namespace\" or \"tcp\"");
}

/* Without TLS they would protect nothing, and look as if they did. */
static int check_trust(const struct node_config *config, struct err *err)
{
	bool secure = strncasecmp(config->server_url, "https:", strlen("https:")) == 0;
	if (secure || (!*config->tls_ca && !*config->tls_pin))
		return 0;
	return err_set(err, ERR_INVALID, "%s is set, but server_url begins with http://; write https://, or remove it",
		       *config->tls_ca ? "tls_ca" : "tls_pin");
}

static int check_runtime(const char *name, struct err *err)
{
	if (strcmp(name, RUNTIME_DOCKER) == 0 || strcmp(name, RUNTIME_PROCESS) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "must be \"" RUNTIME_DOCKER "\" or \"" RUNTIME_PROCESS "\"");
}

static int check_process_user(const struct node_config *config, struct err *err)
{
	if (strcmp(config->runtime, RUNTIME_PROCESS) != 0)
		return 0;
#ifdef __linux__
	struct process_user user;
	return process_user_choose(config->process_user, config->process_same_user, geteuid(), &user, err);
#else
	return err_set(err, ERR_INVALID, "runtime = \"" RUNTIME_PROCESS "\" needs Linux");
#endif
}

static int check_all(const void *values, struct err *err)
{
	int rc = check_trust(values, err);
	return rc ? rc : check_process_user(values, err);
}

#define FIELD(name) offsetof(struct node_config, name)

static const struct config_key KEYS[] = {
	{.name = "server_url", .type = CONFIG_STRING, .offset = FIELD(server_url), .required = true,
	 .check = url_check_http,
	 .help = "Where the hub is, for example \"http://192.168.1.100:8080\"; https:// where it has a certificate."},
	{.name = "token", .type = CONFIG_STRING, .offset = FIELD(token), .required = true,
	 .environment = "IDM_GRIDCORE_TOKEN", .check = config_check_token,
	 .help = "The hub's join_token (or its single token): what registers this node."},
	{.name = "tls_ca", .type = CONFIG_STRING, .offset = FIELD(tls_ca), .check = http_trust_check_ca_file,
	 .help = "For https: a PEM file of the authorities to trust. Empty: the system's."},
	{.name = "tls_pin", .type = CONFIG_STRING, .offset = FIELD(tls_pin), .check = http_trust_check_pins,
	 .help = "For https: the hub's public key, \"sha256//...\" as the hub's log shows it at start; several with ';'\n"
		 "between. Without tls_ca it alone counts, so that a self-signed certificate will do."},
	{.name = "node_id", .type = CONFIG_STRING, .offset = FIELD(node_id), .check = check_node_id,
	 .help = "Who this node is. The hub gives it at the first registration; the agent saves it here."},
	{.name = "parallelism", .type = CONFIG_INTEGER, .offset = FIELD(parallelism), .fallback = "0", .min = 0,
	 .max = LIMIT_CPUS, .unit = "containers",
	 .help = "How many containers run at once. 0: one for each CPU that this process may use."},
	{.name = "heartbeat_interval", .type = CONFIG_INTEGER, .offset = FIELD(heartbeat_interval_s), .fallback = "30",
	 .min = 1, .max = 3600, .unit = "seconds", .help = "How often the hub hears from this node."},
	{.name = "stop_timeout", .type = CONFIG_INTEGER, .offset = FIELD(stop_timeout_s), .fallback = "30", .min = 0,
	 .max = DAY_S, .unit = "seconds",
	 .help = "How long a container may take to end after SIGTERM, at a task switch or a stop; then SIGKILL."},
	{.name = "container_memory", .type = CONFIG_INTEGER, .offset = FIELD(container_memory_mb), .fallback = "1024",
	 .min = 6, .max = LIMIT_MEMORY_MB, .unit = "MB",
	 .help = "Memory limit of each container, where the task does not say (memory_mb)."},
	{.name = "container_memory_max", .type = CONFIG_INTEGER, .offset = FIELD(container_memory_max_mb),
	 .fallback = "0", .min = 0, .max = LIMIT_MEMORY_MB, .unit = "MB",
	 .help = "A task that wants more for a container is not run here. 0: no limit."},
	{.name = "container_pids", .type = CONFIG_INTEGER, .offset = FIELD(container_pids), .fallback = "1024", .min = 1,
	 .max = 4194304, .unit = "processes", .help = "How many processes and threads a container may have."},
	{.name = "container_capabilities", .type = CONFIG_STRINGS, .offset = FIELD(container_capabilities),
	 .fallback = "[\"CHOWN\", \"DAC_OVERRIDE\", \"FOWNER\", \"SETUID\", \"SETGID\", \"KILL\"]",
	 .help = "Linux capabilities that containers keep; all others are dropped."},
	{.name = "no_new_privileges", .type = CONFIG_BOOLEAN, .offset = FIELD(no_new_privileges), .fallback = "true",
	 .help = "Whether set-user-ID programs in containers gain nothing."},
	{.name = "network", .type = CONFIG_STRING, .offset = FIELD(network), .fallback = "\"bridge\"",
	 .help = "The containers' network: \"bridge\", \"host\", \"none\" or the name of an engine's network.\n"
		 "On a bridge they reach this machine as host.docker.internal."},
	{.name = "allow_images", .type = CONFIG_STRINGS, .offset = FIELD(allow_images), .fallback = "[\"*\"]",
	 .help = "Patterns (* and ?) of images that tasks may run on this machine."},
	{.name = "allow_network", .type = CONFIG_BOOLEAN, .offset = FIELD(allow_network), .fallback = "false",
	 .help = "Whether leased tasks that ask for it (network = \"outbound\") reach the network from this machine.\n"
		 "All others reach the gateway alone."},
	{.name = "gateway", .type = CONFIG_STRING, .offset = FIELD(gateway), .fallback = "\"auto\"", .check = check_gateway,
	 .help = "How leased tasks' containers reach the gateway. \"namespace\": in a network of their own, where nothing else\n"
		 "is. \"tcp\": over the engine's network, and whatever that reaches. \"auto\": as the engine can."},
	{.name = "docker_host", .type = CONFIG_STRING, .offset = FIELD(docker_host), .check = check_docker_host,
	 .help = "The engine's socket, as unix:///var/run/docker.sock. Empty: $DOCKER_HOST, else the usual places."},
	{.name = "runtime", .type = CONFIG_STRING, .offset = FIELD(runtime), .fallback = "\"" RUNTIME_DOCKER "\"",
	 .check = check_runtime,
	 .help = "\"docker\": containers. \"process\": tasks' commands as plain processes of this machine, with no isolation\n"
		 "but a user of their own, for machines where no container engine can run."},
	{.name = "process_user", .type = CONFIG_STRING, .offset = FIELD(process_user),
	 .help = "The user that such processes run as, if gridnode runs as root (it must be set then)."},
	{.name = "process_same_user", .type = CONFIG_BOOLEAN, .offset = FIELD(process_same_user), .fallback = "false",
	 .help = "If gridnode does not run as root: whether such processes may run as its own user. They can then read all\n"
		 "that it can, this file too."},
	{.name = "state_dir", .type = CONFIG_STRING, .offset = FIELD(state_dir),
	 .help = "Where the node's secret and records of its processes are kept. Empty: $STATE_DIRECTORY, else\n"
		 "/var/lib/idm-gridcore for root, else ${XDG_STATE_HOME:-~/.local/state}/idm-gridcore."},
	{.name = "hostname", .type = CONFIG_STRING, .offset = FIELD(hostname), .check = check_hostname,
	 .help = "The name to show at the hub. Empty: the system's."},
	{.name = "log_level", .type = CONFIG_STRING, .offset = FIELD(log_level), .fallback = "\"info\"",
	 .check = config_check_log_level, .help = "error, warn, info or debug."},
};

const struct config_table NODE_CONFIG_TABLE = {
	.file_name = "gridnode.toml",
	.title = "gridnode: the computing node of IDM-GridCore. Commented keys show their defaults.",
	.keys = KEYS,
	.count = sizeof(KEYS) / sizeof(KEYS[0]),
	.check = check_all,
};
