/* Owns the claim of an id on this machine. Called by the agent before it touches any container; leaves nothing behind, since
 * the claim is an abstract Unix socket, which goes with its process and which every user's agent sees. */
#include "node/id_lock.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
int id_lock_take(const char *node_id, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "idm-gridcore/node/%s", node_id);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot claim the node's id");
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
	if (bind(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	int error = errno;
	(void)close(fd);
	if (error != EADDRINUSE)
		return err_from_errno(err, error, "cannot claim the node's id");
	return err_set(err, ERR_EXISTS,
		       "another gridnode with the id %s runs on this machine; end it, or give this one a configuration of its "
		       "own, without node_id", node_id);
}
#else
int id_lock_take(const char *node_id, struct err *err)
{
	(void)node_id; /* without abstract sockets there is no claim that a crash cannot leave behind */
	int fd = dup(STDERR_FILENO);
	return fd >= 0 ? fd : err_from_errno(err, errno, "cannot claim the node's id");
}
#endif
