/* Owns what stands in the configurations of a local system. Called by `gridctl up`; starts nothing. Every value is put in through
 * config_save_string, so that it is quoted as it must be, and no line of a person is lost. */
#include "ctl/local_files.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/file.h"
#include "base/text.h"
#include "base/toml_reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 256 * 1024, USUAL_PORT = 8080, STOP_TIMEOUT_S = 10 };

static const char LOOPBACK[] = "127.0.0.1";
static const char HUB_FILE[] = "computehub.toml";

/* ---- reading ---- */

struct wanted {
	const char *key;
	char *into;
	size_t size;
};

static int on_value(void *context, const struct toml_value *value)
{
	const struct wanted *wanted = context;
	if (value->type == TOML_STRING && strcmp(value->key, wanted->key) == 0)
		text_copy(wanted->into, wanted->size, value->string);
	return 0;
}

/* "" where there is no such file or key. */
static void read_string(const char *path, const char *key, char *into, size_t size)
{
	struct wanted wanted = {.key = key, .into = into, .size = size};
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	into[0] = '\0';
	if (file_read(path, &text, NULL) == 0)
		(void)!toml_read(buf_text(&text), text.len, on_value, &wanted, NULL);
	buf_done(&text);
}

static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

/* "0.0.0.0" is reached on loopback. */
static void fill_in(struct local_plan *plan, const char *host, unsigned port)
{
	text_copy(plan->host, sizeof(plan->host), host);
	text_copy(plan->reach, sizeof(plan->reach), strcmp(host, "0.0.0.0") == 0 ? LOOPBACK : host);
	plan->port = port;
	(void)snprintf(plan->url, sizeof(plan->url), "http://%s:%u", plan->reach, port);
}

static bool read_bind(const char *path, char host[LOCAL_HOST_MAX], unsigned *port)
{
	char bind[LOCAL_HOST_MAX + 16];
	read_string(path, "bind", bind, sizeof(bind));
	char *colon = strrchr(bind, ':');
	if (!colon)
		return false;
	*colon = '\0';
	text_copy(host, LOCAL_HOST_MAX, bind);
	*port = (unsigned)strtoul(colon + 1, NULL, 10);
	return *host && *port > 0 && *port <= 65535;
}

int local_files_read(const struct local_system *system, struct local_plan *plan, struct err *err)
{
	char path[LOCAL_PATH_MAX];
	char host[LOCAL_HOST_MAX];
	unsigned port;
	int rc = local_system_path(system, path, err, "%s", HUB_FILE);
	if (rc)
		return rc;
	if (!read_bind(path, host, &port))
		return err_set(err, ERR_NOT_FOUND, "%s does not say where the hub listens", path);
	fill_in(plan, host, port);
	read_string(path, "admin_token", plan->admin_token, sizeof(plan->admin_token));
	char runtime[32] = "";
	rc = local_system_path(system, path, err, "node-1.toml");
	if (!rc)
		read_string(path, "runtime", runtime, sizeof(runtime));
	plan->containers = strcmp(runtime, "docker") == 0;
	return rc;
}

void local_files_node_id(const struct local_system *system, int number, char *id, size_t size)
{
	char path[LOCAL_PATH_MAX];
	id[0] = '\0';
	if (local_system_path(system, path, NULL, "node-%d.toml", number) == 0)
		read_string(path, "node_id", id, size);
}

int local_files_nodes(const struct local_system *system)
{
	char path[LOCAL_PATH_MAX];
	int count = 0;
	while (count < LOCAL_NODES_MAX && local_system_path(system, path, NULL, "node-%d.toml", count + 1) == 0 && is_there(path))
		count++;
	return count;
}

/* ---- where the hub listens ---- */

/* The port if it is free, 0 for any free one; else 0. */
static unsigned free_port(const char *host, unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	socklen_t len = sizeof(address);
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&address, len) || listen(fd, 1) || getsockname(fd, (struct sockaddr *)&address, &len))
		return 0;
	return ntohs(address.sin_port);
}

static int choose_address(const char *hub_file, struct local_plan *plan, struct err *err)
{
	char host[LOCAL_HOST_MAX];
	unsigned port = 0;
	if (!read_bind(hub_file, host, &port))
		text_copy(host, sizeof(host), LOOPBACK);
	if (plan->bind_host)
		text_copy(host, sizeof(host), plan->bind_host);
	if (plan->port)
		port = plan->port;
	if (!port)
		port = free_port(host, USUAL_PORT);
	if (!port)
		port = free_port(host, 0);
	if (!port)
		return err_set(err, ERR_INVALID, "%s is no address of this machine that the hub can listen on (--bind)", host);
	fill_in(plan, host, port);
	return 0;
}

/* ---- writing ---- */

static int create(const char *path, const char *text, struct err *err)
{
	return is_there(path) ? 0 : file_replace(path, text, strlen(text), 0600, err);
}

static int save_path(const struct local_system *system, const char *file, const char *key, const char *prefix, const char *name,
		     struct err *err)
{
	char value[LOCAL_PATH_MAX + 16];
	int len = snprintf(value, sizeof(value), "%s%s/%s", prefix, system->directory, name);
	if (len < 0 || (size_t)len >= sizeof(value))
		return err_set(err, ERR_TOO_BIG, "the path %s is too long", system->directory);
	return config_save_string(file, key, value, err);
}

static int save_token(const char *path, const char *key, struct err *err)
{
	char token[LOCAL_TOKEN_MAX];
	read_string(path, key, token, sizeof(token));
	if (*token)
		return 0;
	random_token(token);
	return config_save_string(path, key, token, err);
}

static int write_hub(const struct local_system *system, struct local_plan *plan, struct err *err)
{
	static const char FIRST[] = "# The hub of `gridctl up`. It writes bind, state_dir and redis_url anew at each start; all else is yours\n"
				    "# (computehub --help names the keys).\n";
	static const char *const TOKENS[] = {"admin_token", "viewer_token", "join_token"};
	char path[LOCAL_PATH_MAX];
	char bind[LOCAL_HOST_MAX + 16];
	int rc = local_system_path(system, path, err, "%s", HUB_FILE);
	if (!rc)
		rc = choose_address(path, plan, err);
	if (!rc)
		rc = create(path, FIRST, err);
	(void)snprintf(bind, sizeof(bind), "%s:%u", plan->host, plan->port);
	if (!rc)
		rc = config_save_string(path, "bind", bind, err);
	for (size_t i = 0; i < sizeof(TOKENS) / sizeof(TOKENS[0]) && !rc; i++)
		rc = save_token(path, TOKENS[i], err);
	if (!rc)
		rc = save_path(system, path, "state_dir", "", "hub", err);
	if (!rc)
		rc = save_path(system, path, "redis_url", "unix://", "redis.sock", err);
	if (!rc)
		read_string(path, "admin_token", plan->admin_token, sizeof(plan->admin_token));
	return rc;
}

/* Redis reads "…" with backslashes as C does. */
static int add_quoted(struct buf *buf, const char *key, const char *directory, const char *name)
{
	int rc = buf_printf(buf, "%s \"", key);
	for (const char *c = directory; *c && !rc; c++)
		rc = *c == '"' || *c == '\\' ? buf_printf(buf, "\\%c", *c) : buf_add(buf, c, 1);
	return rc ? rc : buf_printf(buf, "/%s\"\n", name);
}

static int write_redis(const struct local_system *system, struct err *err)
{
	char path[LOCAL_PATH_MAX];
	struct buf text;
	struct sockaddr_un address;
	if (strlen(system->directory) + strlen("/redis.sock") >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID,
			       "the path %s is too long for Redis' socket in it (%zu bytes at most): name a shorter place with "
			       "--directory DIR",
			       system->directory, sizeof(address.sun_path) - 1 - strlen("/redis.sock"));
	int rc = local_system_path(system, path, err, "redis.conf");
	buf_init(&text, FILE_MAX_BYTES);
	if (!rc)
		rc = buf_printf(&text, "# The Redis of `gridctl up`, which writes this file anew at each start.\n"
				       "port 0\nunixsocketperm 600\nappendonly yes\nsave \"\"\nmaxmemory-policy noeviction\n"
				       "daemonize no\nalways-show-logo no\n");
	if (!rc)
		rc = add_quoted(&text, "unixsocket", system->directory, "redis.sock");
	if (!rc)
		rc = add_quoted(&text, "dir", system->directory, "redis");
	if (!rc)
		rc = file_replace(path, buf_text(&text), text.len, 0600, err);
	buf_done(&text);
	return rc;
}

int local_files_write(const struct local_system *system, struct local_plan *plan, struct err *err)
{
	static const char *const DIRECTORIES[] = {"redis", "hub", "logs", "run"};
	char path[LOCAL_PATH_MAX];
	int rc = 0;
	for (size_t i = 0; i < sizeof(DIRECTORIES) / sizeof(DIRECTORIES[0]) && !rc; i++) {
		rc = local_system_path(system, path, err, "%s", DIRECTORIES[i]);
		if (!rc)
			rc = file_make_directories(path, 0700, err);
	}
	if (!rc)
		rc = write_redis(system, err);
	return rc ? rc : write_hub(system, plan, err);
}

/* Its own name where it is the only one; else with a number. */
static int save_hostname(const char *path, const struct local_plan *plan, int number, struct err *err)
{
	char host[48] = "";
	char name[64];
	if (plan->nodes == 1)
		return 0;
	(void)gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	(void)snprintf(name, sizeof(name), "%s-%d", *host ? host : "node", number);
	return config_save_string(path, "hostname", name, err);
}

int local_files_write_node(const struct local_system *system, const struct local_plan *plan, int number, struct err *err)
{
	char path[LOCAL_PATH_MAX];
	char hub_path[LOCAL_PATH_MAX];
	char name[32];
	char token[LOCAL_TOKEN_MAX];
	char first[512];
	(void)snprintf(name, sizeof(name), "node-%d", number);
	int len = snprintf(first, sizeof(first), "# A node of `gridctl up`. It writes server_url, token, runtime, docker_host and state_dir anew "
						 "at each start; all else\n# is yours (gridnode --help names the keys).\n"
						 "stop_timeout = %d\n%s\n", STOP_TIMEOUT_S,
			   geteuid() == 0 ? "process_user = \"nobody\"" : "process_same_user = true");
	int rc = len > 0 && (size_t)len < sizeof(first) ? 0 : err_set(err, ERR_INTERNAL, "the first configuration is too long");
	if (!rc)
		rc = local_system_path(system, path, err, "%s.toml", name);
	if (!rc)
		rc = local_system_path(system, hub_path, err, "%s", HUB_FILE);
	if (!rc)
		rc = create(path, first, err);
	if (rc)
		return rc;
	read_string(hub_path, "join_token", token, sizeof(token));
	rc = config_save_string(path, "server_url", plan->url, err);
	if (!rc)
		rc = config_save_string(path, "token", token, err);
	if (!rc)
		rc = config_save_string(path, "runtime", plan->engine ? "docker" : "process", err);
	if (!rc && plan->engine)
		rc = config_save_string(path, "docker_host", plan->engine, err);
	if (!rc)
		rc = save_path(system, path, "state_dir", "", name, err);
	return rc ? rc : save_hostname(path, plan, number, err);
}
