/* Owns the reading of a hub's configuration from outside. Called when gridctl has no token of its own; reads, never writes, and
 * never complains: what cannot be read is not there. */
#include "ctl/local_hub.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config.h"
#include "base/file.h"
#include "base/toml_reader.h"
#include "ctl/local_system.h"
#include "net/tls_identity.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 256 * 1024, URL_SIZE = 512 };

static const char SYSTEM_PATH[] = "/etc/idm-gridcore/computehub.toml";
static const char DEFAULT_BIND[] = "0.0.0.0:8080";

struct hub_values {
	char *admin_token, *token, *bind, *tls_cert, *tls_key;
};

static int on_value(void *context, const struct toml_value *value)
{
	struct hub_values *values = context;
	const struct {
		const char *name;
		char **into;
	} wanted[] = {{"admin_token", &values->admin_token}, {"token", &values->token},	    {"bind", &values->bind},
		      {"tls_cert", &values->tls_cert},	     {"tls_key", &values->tls_key}};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (value->type == TOML_STRING && *value->string && strcmp(value->key, wanted[i].name) == 0 && !*wanted[i].into)
			*wanted[i].into = strdup(value->string); /* without memory it is not there */
	}
	return 0;
}

static void values_done(struct hub_values *values)
{
	free(values->admin_token);
	free(values->token);
	free(values->bind);
	free(values->tls_cert);
	free(values->tls_key);
}

/* "0.0.0.0:8080" listens on loopback too. NULL for a port that is drawn at the start. */
static char *url_of(const char *bind, bool secure)
{
	const char *colon = strrchr(bind, ':');
	char url[URL_SIZE];
	if (!colon || strcmp(colon, ":0") == 0)
		return NULL;
	size_t host_len = (size_t)(colon - bind);
	bool any = host_len == 0 || strncmp(bind, "0.0.0.0:", strlen("0.0.0.0:")) == 0;
	bool any6 = strncmp(bind, "[::]:", strlen("[::]:")) == 0;
	int len = snprintf(url, sizeof(url), "%s://%.*s%s", secure ? "https" : "http",
			   any || any6 ? (int)strlen(any ? "127.0.0.1" : "[::1]") : (int)host_len,
			   any ? "127.0.0.1" : any6 ? "[::1]" : bind, colon);
	return len > 0 && (size_t)len < sizeof(url) ? strdup(url) : NULL;
}

static char *pin_of(const struct hub_values *values)
{
	struct err err;
	struct tls_identity *identity = values->tls_key ? tls_identity_load(values->tls_cert, values->tls_key, &err) : NULL;
	char *pin = identity ? strdup(tls_identity_pin(identity)) : NULL;
	tls_identity_drop(identity);
	return pin;
}

bool local_hub_read(const char *path, struct local_hub *hub)
{
	struct hub_values values = {0};
	struct buf text;
	struct err err;
	buf_init(&text, FILE_MAX_BYTES);
	*hub = (struct local_hub){0};
	int rc = file_read(path, &text, &err);
	if (!rc)
		rc = toml_read(buf_text(&text), text.len, on_value, &values, &err);
	buf_done(&text);
	char **token = values.admin_token ? &values.admin_token : &values.token;
	if (!rc && *token) {
		hub->token = steal(*token);
		hub->path = strdup(path);
		hub->url = url_of(values.bind ? values.bind : DEFAULT_BIND, values.tls_cert != NULL);
		hub->pin = values.tls_cert ? pin_of(&values) : NULL;
	}
	values_done(&values);
	if (hub->path)
		return true;
	local_hub_done(hub);
	return false;
}

/* Of `gridctl up`, as long as it is up. */
static bool read_present_system(struct local_hub *hub)
{
	char directory[LOCAL_PATH_MAX];
	char path[LOCAL_PATH_MAX + 32];
	if (!local_system_current(directory))
		return false;
	(void)snprintf(path, sizeof(path), "%s/computehub.toml", directory);
	return local_hub_read(path, hub);
}

bool local_hub_find(struct local_hub *hub)
{
	if (read_present_system(hub))
		return true;
	if (local_hub_read(SYSTEM_PATH, hub))
		return true;
	AUTO_FREE char *user = config_user_path("computehub.toml");
	return user && local_hub_read(user, hub);
}

void local_hub_done(struct local_hub *hub)
{
	free(hub->path);
	free(hub->token);
	free(hub->url);
	free(hub->pin);
	*hub = (struct local_hub){0};
}

/* 127.0.0.0/8, and no name that only looks like it. */
static bool is_loopback(const char *host)
{
	struct in_addr address;
	return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

bool local_hub_is_here(const char *url)
{
	CURLU *parsed = curl_url();
	char *host = NULL;
	bool here = false;
	if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
		here = is_loopback(host);
	curl_free(host);
	curl_url_cleanup(parsed);
	return here;
}
