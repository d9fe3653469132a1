/* Owns the search for the engine's socket: the list of places, and the probe of each. Called by the Docker runtime each
 * time it looks for its engine. Never speaks to an engine: a place counts when it takes a connection. */
#include "node/runtime/engine_socket.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The usual places: a path, under the directory that the variable names where there is one. */
static const struct {
	const char *variable;
	const char *path;
} PLACES[] = {
	{NULL, "/var/run/docker.sock"},
	{"XDG_RUNTIME_DIR", "/docker.sock"},              /* rootless Docker */
	{"HOME", "/.docker/run/docker.sock"},             /* Docker Desktop, macOS */
	{"HOME", "/.docker/desktop/docker.sock"},         /* Docker Desktop, Linux */
	{"HOME", "/.orbstack/run/docker.sock"},
	{"HOME", "/.colima/default/docker.sock"},
	{"HOME", "/.colima/docker.sock"},
	{"HOME", "/.rd/docker.sock"},                     /* Rancher Desktop */
	{NULL, "/run/podman/podman.sock"},
	{"XDG_RUNTIME_DIR", "/podman/podman.sock"},       /* rootless Podman */
	{"HOME", "/.local/share/containers/podman/machine/podman.sock"},
};

static void add_place(struct engine_sockets *sockets, const char *directory, const char *path)
{
	if (sockets->count == ENGINE_SOCKETS_MAX)
		return;
	struct engine_socket *item = &sockets->items[sockets->count];
	*item = (struct engine_socket){0};
	int len = snprintf(item->path, sizeof(item->path), "%s%s", directory, path);
	if (len > 0 && (size_t)len < sizeof(((struct sockaddr_un *)0)->sun_path))
		sockets->count++;
}

static int list_given(struct engine_sockets *sockets, const char *source, const char *address, struct err *err)
{
	static const char SCHEME[] = "unix://";
	const char *path = address;
	if (strncmp(address, SCHEME, strlen(SCHEME)) == 0)
		path = address + strlen(SCHEME);
	if (path[0] != '/')
		return err_set(err, ERR_INVALID,
			       "%s is \"%s\", but only an engine on this machine can be used: give the path of its "
			       "Unix socket, like unix:///var/run/docker.sock",
			       source, address);
	sockets->given = true;
	sockets->source = source;
	add_place(sockets, "", path);
	if (sockets->count == 0)
		return err_set(err, ERR_INVALID, "%s: the path of a Unix socket has at most %zu bytes", source,
			       sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
	return 0;
}

int engine_sockets_list(struct engine_sockets *sockets, const char *configured, struct err *err)
{
	*sockets = (struct engine_sockets){0};
	if (configured && configured[0])
		return list_given(sockets, "docker_host", configured, err);

	const char *docker_host = getenv("DOCKER_HOST");
	if (docker_host && docker_host[0])
		return list_given(sockets, "$DOCKER_HOST", docker_host, err);

	for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++) {
		const char *directory = PLACES[i].variable ? getenv(PLACES[i].variable) : "";
		if (directory && (!PLACES[i].variable || directory[0] == '/'))
			add_place(sockets, directory, PLACES[i].path);
	}
	return 0;
}

/* 0, or the errno of a connection attempt that never waits. */
static int probe(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, path, strlen(path) + 1);

	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0)
		return errno;
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	(void)fcntl(fd, F_SETFL, O_NONBLOCK);
	int error = connect(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	(void)close(fd);
	/* A full backlog is a busy engine, but an engine. */
	return error == EAGAIN || error == EINPROGRESS ? 0 : error;
}

static void judge(struct engine_socket *item, int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		item->code = ERR_NOT_FOUND;
		(void)snprintf(item->reason, sizeof(item->reason), "no such file");
		break;
	case EACCES:
	case EPERM:
		item->code = ERR_DENIED;
		(void)snprintf(item->reason, sizeof(item->reason), "permission denied");
		break;
	default:
		item->code = ERR_UNREACHABLE;
		(void)snprintf(item->reason, sizeof(item->reason), "%s", strerror(error));
		break;
	}
}

const char *engine_sockets_next(struct engine_sockets *sockets)
{
	while (sockets->next < sockets->count) {
		struct engine_socket *item = &sockets->items[sockets->next++];
		int error = probe(item->path);
		if (error == 0)
			return item->path;
		judge(item, error);
	}
	return NULL;
}

void engine_sockets_reject(struct engine_sockets *sockets, const struct err *why)
{
	struct engine_socket *item = &sockets->items[sockets->next - 1];
	item->code = ERR_PROTOCOL;
	(void)snprintf(item->reason, sizeof(item->reason), "%s", why->text);
}

static const struct engine_socket *first_with(const struct engine_sockets *sockets, int code)
{
	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->items[i].code == code)
			return &sockets->items[i];
	}
	return NULL;
}

static int explain_absent(const struct engine_sockets *sockets, struct err *err)
{
	if (sockets->given)
		return err_set(err, ERR_NOT_FOUND,
			       "no container engine at %s (from %s): start it, or correct the path", sockets->items[0].path,
			       sockets->source);
	struct buf places;
	buf_init(&places, ENGINE_SOCKETS_MAX * ENGINE_SOCKET_PATH_MAX);
	for (size_t i = 0; i < sockets->count; i++) {
		if (buf_printf(&places, "%s%s", i ? ", " : "", sockets->items[i].path))
			break;
	}
	int code = err_set(err, ERR_NOT_FOUND,
			   "no container engine: install one (docker.io or podman) or start it (systemctl start docker), "
			   "or name its socket in docker_host; looked at %s",
			   buf_text(&places));
	buf_done(&places);
	return code;
}

/* The most telling place speaks: one that answered wrongly, one that may not be used, one where nobody listens. */
int engine_sockets_explain(const struct engine_sockets *sockets, struct err *err)
{
	const struct engine_socket *item = first_with(sockets, ERR_PROTOCOL);
	if (item && strncmp(item->reason, item->path, strlen(item->path)) == 0)
		return err_set(err, ERR_PROTOCOL, "%s", item->reason); /* it names the place itself */
	if (item)
		return err_set(err, ERR_PROTOCOL, "%s: %s", item->path, item->reason);
	item = first_with(sockets, ERR_DENIED);
	if (item)
		return err_set(err, ERR_DENIED,
			       "%s: permission denied: add the user to the group docker (usermod -aG docker USER, then log "
			       "in again) or run as root",
			       item->path);
	item = first_with(sockets, ERR_UNREACHABLE);
	if (item)
		return err_set(err, ERR_UNREACHABLE, "%s: %s: the engine does not run: start it (systemctl start %s)",
			       item->path, item->reason, strstr(item->path, "podman") ? "podman.socket" : "docker");
	return explain_absent(sockets, err);
}
