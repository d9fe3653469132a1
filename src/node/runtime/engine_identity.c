/* Owns the reading of an engine's version and the choice of the API version. Called once per connection. Never assumes
 * that what answers on the socket is an engine. */
#include "node/runtime/engine_identity.h"

#include <stdio.h>
#include <string.h>

/* What this code was written against: "platform" at create came with 1.41, and nothing that it uses changed up to 1.47.
 * 1.40 ignores that parameter, and images are compared by ourselves. */
enum { API_MAJOR = 1, API_MINOR_MIN = 40, API_MINOR_MAX = 47 };

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

static bool read_api(const char *text, int *minor)
{
	int major;
	char after;
	return sscanf(text, "%d.%d%c", &major, minor, &after) == 2 && major == API_MAJOR && *minor >= 0;
}

/* Podman answers with a component "Podman Engine", Docker with "Engine". */
static bool is_podman(const json_t *answer)
{
	size_t i;
	const json_t *component;
	json_array_foreach (json_object_get(answer, "Components"), i, component) {
		if (strstr(text_of(component, "Name"), "Podman"))
			return true;
	}
	return false;
}

int engine_identity_read(struct engine_identity *identity, const json_t *answer, struct err *err)
{
	*identity = (struct engine_identity){.podman = is_podman(answer)};
	const char *os = text_of(answer, "Os");
	const char *max = text_of(answer, "ApiVersion");
	const char *min = text_of(answer, "MinAPIVersion");
	(void)snprintf(identity->product, sizeof(identity->product), "%s Engine", identity->podman ? "Podman" : "Docker");
	(void)snprintf(identity->version, sizeof(identity->version), "%s", text_of(answer, "Version"));

	int max_minor;
	int min_minor = API_MINOR_MIN;
	if (!read_api(max, &max_minor) || (min[0] && !read_api(min, &min_minor)))
		return err_set(err, ERR_PROTOCOL, "what answers there is not a container engine that gridnode knows");
	if (os[0] && strcmp(os, "linux") != 0)
		return err_set(err, ERR_PROTOCOL, "the engine runs %s containers: switch it to Linux containers", os);
	if (max_minor < API_MINOR_MIN)
		return err_set(err, ERR_PROTOCOL,
			       "%s %s speaks API %s, gridnode needs 1.%d at least: update the engine",
			       identity->product, identity->version, max, API_MINOR_MIN);
	if (min_minor > API_MINOR_MAX)
		return err_set(err, ERR_PROTOCOL,
			       "%s %s refuses API versions below %s, gridnode knows them up to 1.%d: update gridnode",
			       identity->product, identity->version, min, API_MINOR_MAX);
	(void)snprintf(identity->api, sizeof(identity->api), "%d.%d", API_MAJOR,
		       max_minor < API_MINOR_MAX ? max_minor : API_MINOR_MAX);
	return 0;
}
