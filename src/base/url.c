/* Owns the checking and masking of URLs. Called by the config and by the task's reader; never connects anywhere, and
 * never puts a URL into an error text, since a mistyped one may hold a password anywhere. */
#include "base/url.h"

#include "base/cleanup.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static void cleanup_curl_url(CURLU **url)
{
	curl_url_cleanup(*url);
}

static void cleanup_curl_free(char **text)
{
	curl_free(*text);
}

#define AUTO_URL __attribute__((cleanup(cleanup_curl_url)))
#define AUTO_CURL __attribute__((cleanup(cleanup_curl_free)))

enum { URL_MAX_BYTES = 2048 };

static int parse(CURLU *parsed, const char *url, struct err *err)
{
	if (!parsed)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (strlen(url) > URL_MAX_BYTES)
		return err_set(err, ERR_INVALID, "the URL is longer than %d bytes", URL_MAX_BYTES);
	for (const char *c = url; *c; c++) {
		if ((unsigned char)*c <= 0x20 || *c == 0x7f)
			return err_set(err, ERR_INVALID, "the URL has a space or a control character in it");
	}
	/* libcurl forgives one slash or three, which everybody else reads differently. */
	const char *colon = url + strcspn(url, ":");
	bool two_slashes = strncmp(colon, "://", 3) == 0 && colon[3] != '/';
	if (!two_slashes || curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK)
		return err_set(err, ERR_INVALID, "not a URL of the form scheme://host:port (in a password, @ : / are written %%40 %%3A %%2F)");
	return 0;
}

static char *part(CURLU *parsed, CURLUPart what)
{
	char *text = NULL;
	return curl_url_get(parsed, what, &text, 0) == CURLUE_OK ? text : NULL;
}

static int require_scheme(CURLU *parsed, const char *plain, const char *secure, struct err *err)
{
	AUTO_CURL char *scheme = part(parsed, CURLUPART_SCHEME);
	if (!scheme || (strcmp(scheme, plain) != 0 && strcmp(scheme, secure) != 0))
		return err_set(err, ERR_INVALID, "the URL must begin with %s:// or %s://", plain, secure);
	AUTO_CURL char *host = part(parsed, CURLUPART_HOST);
	if (!host || !*host)
		return err_set(err, ERR_INVALID, "the URL names no host");
	AUTO_CURL char *port = part(parsed, CURLUPART_PORT);
	if (port && strtol(port, NULL, 10) < 1)
		return err_set(err, ERR_INVALID, "the URL's port must be 1 to 65535");
	return 0;
}

static int refuse_part(CURLU *parsed, CURLUPart what, const char *name, struct err *err)
{
	AUTO_CURL char *text = part(parsed, what);
	return text ? err_set(err, ERR_INVALID, "the URL must not have a %s", name) : 0;
}

int url_check_http(const char *url, struct err *err)
{
	AUTO_URL CURLU *parsed = curl_url();
	int rc = parse(parsed, url, err);
	if (!rc)
		rc = require_scheme(parsed, "http", "https", err);
	if (!rc)
		rc = refuse_part(parsed, CURLUPART_USER, "user (the token goes into the configuration)", err);
	if (!rc)
		rc = refuse_part(parsed, CURLUPART_QUERY, "query", err);
	if (!rc)
		rc = refuse_part(parsed, CURLUPART_FRAGMENT, "fragment", err);
	return rc;
}

static bool is_database(const char *path)
{
	if (!path || strcmp(path, "/") == 0)
		return true;
	size_t digits = strspn(path + 1, "0123456789");
	return digits > 0 && digits <= 5 && path[1 + digits] == '\0';
}

int url_check_redis(const char *url, struct err *err)
{
	AUTO_URL CURLU *parsed = curl_url();
	int rc = parse(parsed, url, err);
	if (!rc)
		rc = require_scheme(parsed, "redis", "rediss", err);
	if (!rc)
		rc = refuse_part(parsed, CURLUPART_FRAGMENT, "fragment", err);
	if (rc)
		return rc;
	AUTO_CURL char *path = part(parsed, CURLUPART_PATH);
	if (!is_database(path))
		return err_set(err, ERR_INVALID, "what follows the host must be a database number, as in redis://host:6379/0");
	return 0;
}

/* The path of unix:///path, as it stands there; NULL for any other URL. */
static const char *socket_path(const char *url)
{
	static const char SCHEME[] = "unix://";
	size_t len = sizeof(SCHEME) - 1;
	return strncmp(url, SCHEME, len) == 0 && url[len] == '/' ? url + len : NULL;
}

static int check_socket(const char *path, struct err *err)
{
	size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	if (strlen(path) > max)
		return err_set(err, ERR_INVALID, "the path of the socket is longer than %zu bytes", max);
	for (const char *c = path; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '?')
			return err_set(err, ERR_INVALID,
				       "the path of the socket has a '?' or a control character in it (unix:// takes a path alone)");
	}
	return 0;
}

int url_check_own_redis(const char *url, struct err *err)
{
	const char *path = socket_path(url);
	return path ? check_socket(path, err) : url_check_redis(url, err);
}

/* A copy of a part, decoded and in our own memory; NULL where there is none. */
static int copy_part(CURLU *parsed, CURLUPart what, char **into, struct err *err)
{
	AUTO_CURL char *text = NULL;
	CURLUcode code = curl_url_get(parsed, what, &text, CURLU_URLDECODE);
	*into = NULL;
	if (code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD || (text && !*text))
		return 0;
	if (code == CURLUE_OUT_OF_MEMORY)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (code != CURLUE_OK)
		return err_set(err, ERR_INVALID, "the URL has a control character in its user or password");
	*into = text ? strdup(text) : NULL;
	return *into ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

/* "[::1]" without its brackets. */
static void strip_brackets(char *host)
{
	size_t len = strlen(host);
	if (host[0] != '[' || host[len - 1] != ']')
		return;
	memmove(host, host + 1, len - 2);
	host[len - 2] = '\0';
}

int url_parse_redis(const char *url, struct redis_url *parts, struct err *err)
{
	*parts = (struct redis_url){.port = 6379};
	int rc = url_check_own_redis(url, err);
	if (rc)
		return rc;
	if (socket_path(url)) {
		parts->socket = strdup(socket_path(url));
		return parts->socket ? 0 : err_set(err, ERR_NOMEM, "out of memory");
	}
	AUTO_URL CURLU *parsed = curl_url();
	rc = parse(parsed, url, err);
	if (!rc)
		rc = refuse_part(parsed, CURLUPART_QUERY, "query (a password stands before the host: redis://:password@host)",
				 err);
	if (!rc)
		rc = copy_part(parsed, CURLUPART_HOST, &parts->host, err);
	if (!rc)
		rc = copy_part(parsed, CURLUPART_USER, &parts->user, err);
	if (!rc)
		rc = copy_part(parsed, CURLUPART_PASSWORD, &parts->password, err);
	if (rc)
		return rc;
	if (parts->user && !parts->password)
		return err_set(err, ERR_INVALID,
			       "the URL has a user without a password; write redis://:password@host or "
			       "redis://user:password@host");
	if (!parts->host)
		return err_set(err, ERR_INVALID, "the URL names no host");
	strip_brackets(parts->host);
	AUTO_CURL char *scheme = part(parsed, CURLUPART_SCHEME);
	AUTO_CURL char *port = part(parsed, CURLUPART_PORT);
	AUTO_CURL char *path = part(parsed, CURLUPART_PATH);
	parts->tls = scheme && strcmp(scheme, "rediss") == 0;
	if (port)
		parts->port = (unsigned)strtoul(port, NULL, 10);
	if (path && path[1])
		parts->database = (unsigned)strtoul(path + 1, NULL, 10);
	return 0;
}

void redis_url_done(struct redis_url *parts)
{
	free(parts->socket);
	free(parts->host);
	free(parts->user);
	if (parts->password)
		explicit_bzero(parts->password, strlen(parts->password));
	free(parts->password);
	*parts = (struct redis_url){0};
}

char *url_masked(const char *url)
{
	if (socket_path(url) && check_socket(socket_path(url), NULL) == 0)
		return strdup(url);
	AUTO_URL CURLU *parsed = curl_url();
	if (parse(parsed, url, NULL))
		return strdup("***");

	/* The text stays as its author wrote it, but for "user:password@": a password goes, and so does a lone user. */
	const char *authority = strstr(url, "://") + 3;
	size_t authority_len = strcspn(authority, "/?#");
	const char *at = memrchr(authority, '@', authority_len);
	const char *colon = at ? memchr(authority, ':', (size_t)(at - authority)) : NULL;
	const char *secret = colon ? colon + 1 : authority;
	const char *rest = at ? at : authority;
	size_t rest_len = strcspn(rest, "?#"); /* redis-py takes "?password=…" too */

	size_t size = strlen(url) + sizeof("***");
	char *masked = malloc(size);
	if (masked)
		(void)snprintf(masked, size, "%.*s%s%.*s", (int)((at ? secret : authority) - url), url, at ? "***" : "",
			       (int)rest_len, rest);
	return masked;
}
