/* Owns the reading of Docker's own config file. Called before each pull. Never writes that file, never runs a
 * credential helper, and never lets a credential into a message.
 *
 * The file: {"auths": {"<server>": {"auth": base64("user:password"), "identitytoken": …}}, "credsStore": "<helper>",
 * "credHelpers": {"<registry>": "<helper>"}}. With a helper the entry under "auths" is there, but empty. */
#include "node/runtime/registry_auth.h"

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX = 1024 * 1024, SECRET_MAX = 64 * 1024 };

/* Under which name docker keeps its own hub. */
static const char DOCKER_HUB[] = "https://index.docker.io/v1/";

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* Whether a key of "auths" ("https://registry/v1/", "registry") names the registry. */
static bool names_registry(const char *key, const char *registry)
{
	if (strcmp(registry, "docker.io") == 0 && strcmp(key, DOCKER_HUB) == 0)
		return true;
	const char *host = strstr(key, "://");
	host = host ? host + 3 : key;
	size_t len = strcspn(host, "/");
	return len == strlen(registry) && strncmp(host, registry, len) == 0;
}

static const json_t *entry_of(const json_t *config, const char *registry)
{
	json_t *auths = json_object_get(config, "auths");
	const char *key;
	json_t *entry;
	json_object_foreach (auths, key, entry) {
		if (names_registry(key, registry))
			return entry;
	}
	return NULL;
}

/* "user:password" out of "auth"; a user and a password of their own win. */
static int split_credentials(const json_t *entry, struct buf *decoded, const char **user, const char **password)
{
	*user = text_of(entry, "username");
	*password = text_of(entry, "password");
	if (**user && **password)
		return 0;
	const char *auth = text_of(entry, "auth");
	if (base64_decode(decoded, auth, strlen(auth)) || decoded->len == 0)
		return ERR_INVALID;
	char *colon = strchr(decoded->data, ':');
	if (!colon || strlen(decoded->data) != decoded->len)
		return ERR_INVALID;
	*colon = '\0';
	*user = decoded->data;
	*password = colon + 1;
	return 0;
}

static json_t *credentials(const json_t *entry, const char *server)
{
	const char *identity_token = text_of(entry, "identitytoken");
	if (identity_token[0])
		return json_pack("{s:s, s:s}", "identitytoken", identity_token, "serveraddress", server);

	struct buf decoded;
	buf_init(&decoded, SECRET_MAX);
	const char *user;
	const char *password;
	json_t *result = NULL;
	if (split_credentials(entry, &decoded, &user, &password) == 0)
		result = json_pack("{s:s, s:s, s:s}", "username", user, "password", password, "serveraddress", server);
	buf_done(&decoded);
	return result;
}

static char *encode(const json_t *object)
{
	AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);
	if (!text)
		return NULL;
	struct buf header;
	buf_init(&header, 2 * SECRET_MAX);
	char *result = base64url_encode(&header, text, strlen(text)) ? NULL : buf_steal(&header);
	buf_done(&header);
	return result;
}

static bool is_empty(const json_t *entry)
{
	return !text_of(entry, "auth")[0] && !text_of(entry, "identitytoken")[0] && !text_of(entry, "username")[0];
}

int registry_auth_read(struct registry_auth *auth, const json_t *config, const char *registry, struct err *err)
{
	*auth = (struct registry_auth){0};
	const json_t *entry = entry_of(config, registry);
	const char *hub_or_registry = strcmp(registry, "docker.io") == 0 ? DOCKER_HUB : registry;
	json_t *helpers = json_object_get(config, "credHelpers");
	bool has_helper = json_object_get(helpers, registry) || json_object_get(helpers, hub_or_registry);

	if (!entry || is_empty(entry)) {
		auth->helper = has_helper || (entry && text_of(config, "credsStore")[0]);
		return 0;
	}
	AUTO_JSON json_t *object = credentials(entry, hub_or_registry);
	auth->header = object ? encode(object) : NULL;
	return auth->header ? 0
			    : err_set(err, ERR_INVALID, "the entry for %s cannot be read: log in again (docker login %s)",
				      registry, registry);
}

static int config_path(struct buf *path)
{
	const char *directory = getenv("DOCKER_CONFIG");
	if (directory && directory[0])
		return buf_printf(path, "%s/config.json", directory);
	const char *home = getenv("HOME");
	return buf_printf(path, "%s/.docker/config.json", home ? home : "");
}

int registry_auth_load(struct registry_auth *auth, const char *registry, struct err *err)
{
	*auth = (struct registry_auth){0};
	struct buf path;
	struct buf text;
	buf_init(&path, 4096);
	buf_init(&text, CONFIG_MAX);
	AUTO_JSON json_t *config = NULL;

	int rc = config_path(&path);
	if (rc == 0)
		rc = file_read(buf_text(&path), &text, err);
	if (rc == 0)
		rc = json_parse_object(buf_text(&text), text.len, &config, err);
	if (rc == 0)
		rc = registry_auth_read(auth, config, registry, err);
	if (rc == ERR_NOT_FOUND)
		rc = 0; /* nobody ever logged in */
	else if (rc && err)
		(void)err_wrap(err, "%s", buf_text(&path));
	buf_done(&text);
	buf_done(&path);
	return rc;
}

void registry_auth_done(struct registry_auth *auth)
{
	free(auth->header);
	*auth = (struct registry_auth){0};
}
