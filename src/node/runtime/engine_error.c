/* Owns the reading of engine errors: a table of what messages mean, and of what to do about them. Called with each
 * refusal. Never decides by wording alone where a status tells (engines reword their messages). */
#include "node/runtime/engine_error.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 512 };

/* The first row whose fragment is in the message counts. */
static const struct {
	const char *fragment;
	enum err_code code;
	const char *advice;
} MEANINGS[] = {
	{"no space left on device", ERR_NO_SPACE, "free disk space on this machine (docker system prune helps)"},
	{"is already in use", ERR_EXISTS, NULL},
	{"does not match the specified platform", ERR_INVALID,
	 "give the task an image for this platform in \"images\""},
	{"exec format error", ERR_INVALID, "the image is made for another platform: give the task one in \"images\""},
	{"no matching manifest", ERR_NOT_FOUND, "give the task an image for this platform in \"images\""},
	{"toomanyrequests", ERR_DENIED, "the registry limits pulls: log in to it on this machine (docker login) or wait"},
	{"no basic auth credentials", ERR_DENIED,
	 "log in to the registry on this machine (docker login), as the user that runs gridnode"},
	{"authentication required", ERR_DENIED,
	 "log in to the registry on this machine (docker login), as the user that runs gridnode"},
	{"pull access denied", ERR_DENIED,
	 "correct the image's name, or log in to its registry on this machine (docker login)"},
	{"unauthorized", ERR_DENIED, "log in to the registry on this machine (docker login) with the right account"},
	{"manifest unknown", ERR_NOT_FOUND, "correct the image's name or tag in the task"},
	{"repository name not known", ERR_NOT_FOUND, "correct the image's name in the task"},
	{"o such image", ERR_NOT_FOUND, NULL},
	{"HTTP response to HTTPS client", ERR_UNREACHABLE,
	 "the registry speaks plain HTTP: add it to insecure-registries in the engine's daemon.json"},
	{"no such host", ERR_UNREACHABLE, "this machine cannot resolve the registry's name"},
	{"connection refused", ERR_UNREACHABLE, "the registry does not answer"},
	{"i/o timeout", ERR_UNREACHABLE, "the registry does not answer"},
	{"Client.Timeout", ERR_UNREACHABLE, "the registry does not answer"},
	{"request canceled while waiting for connection", ERR_UNREACHABLE, "the registry does not answer"},
	{"CPUs are not available", ERR_INVALID, "the engine runs with fewer CPUs than gridnode"},
	{"inimum memory limit", ERR_INVALID, "raise memory_mb in the task or container_memory in gridnode.toml"},
	{"o command specified", ERR_INVALID, "the image has no entrypoint: give the task a \"command\""},
	{"nknown capability", ERR_INVALID, "correct container_capabilities in gridnode.toml"},
	{"executable file", ERR_INVALID, "correct the task's command or its image"}, /* crun and runc */
	{"container process: exec:", ERR_INVALID, "correct the task's command or its image"},
	{"host-gateway", ERR_INVALID, "the engine has no address for its host: set one (host-gateway-ip in daemon.json)"},
};

int engine_error_explain(struct err *err, int code, const char *message)
{
	for (size_t i = 0; i < sizeof(MEANINGS) / sizeof(MEANINGS[0]); i++) {
		if (!strstr(message, MEANINGS[i].fragment))
			continue;
		if (!MEANINGS[i].advice)
			return err_set(err, MEANINGS[i].code, "%.*s", MESSAGE_MAX, message);
		return err_set(err, MEANINGS[i].code, "%.*s: %s", MESSAGE_MAX, message, MEANINGS[i].advice);
	}
	/* Of the words of a network that is not there, "network" and "not found" stand apart. */
	if (strncmp(message, "network ", strlen("network ")) == 0 && strstr(message, "not found"))
		return err_set(err, ERR_INVALID, "%.*s: correct network in gridnode.toml, or create it", MESSAGE_MAX,
			       message);
	return err_set(err, (enum err_code)code, "%.*s", MESSAGE_MAX, message);
}

static int code_of_status(int status)
{
	switch (status) {
	case 400:
		return ERR_INVALID;
	case 401:
	case 403:
		return ERR_DENIED;
	case 404:
		return ERR_NOT_FOUND;
	case 409:
		return ERR_STATE;
	case 503:
		return ERR_UNREACHABLE;
	default:
		return status >= 500 ? ERR_IO : ERR_PROTOCOL;
	}
}

int engine_error_from_answer(struct err *err, int status, const char *body, size_t len)
{
	AUTO_JSON json_t *object = NULL;
	const char *message = NULL;
	if (json_parse_object(body, len, &object, NULL) == 0) {
		message = json_string_value(json_object_get(object, "message"));
		const char *cause = json_string_value(json_object_get(object, "cause")); /* Podman's */
		if (!message || !message[0])
			message = cause;
	}
	if (message && message[0])
		return engine_error_explain(err, code_of_status(status), message);
	return err_set(err, (enum err_code)code_of_status(status), "the engine answered with status %d and no reason",
		       status);
}
