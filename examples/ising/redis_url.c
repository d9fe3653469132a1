/* Owns the parsing of Redis URLs, in place in one copy. The Redis link calls it. It never guesses: what is not clear is
 * refused. */
#include "redis_url.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes %XX in place. False if an escape is broken or stands for a NUL byte. */
static bool percent_decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		int high = hex_digit(from[1]);
		int low = high < 0 ? -1 : hex_digit(from[2]);
		if (low < 0 || high * 16 + low == 0)
			return false;
		*to++ = (char)(high * 16 + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

static bool read_number(const char *text, int max, int *number)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	long value = strtol(text, &end, 10);
	if (*end || value > max)
		return false;
	*number = (int)value;
	return true;
}

static const char *read_credentials(struct redis_url *url, char *text)
{
	char *password = strchr(text, ':');
	if (password) {
		*password++ = '\0';
		if (!percent_decode(password))
			return "a broken % escape in the password";
		url->password = *password ? password : NULL;
	}
	if (!percent_decode(text))
		return "a broken % escape in the user's name";
	/* AUTH with one argument means this very user, and old servers know no other form. */
	url->user = *text && strcmp(text, "default") != 0 ? text : NULL;
	return NULL;
}

static const char *read_address(struct redis_url *url, char *text)
{
	char *port;
	if (*text == '[') {
		char *close = strchr(text, ']');
		if (!close || (close[1] && close[1] != ':'))
			return "a broken IPv6 address";
		url->host = text + 1;
		*close = '\0';
		port = close[1] ? close + 2 : NULL;
	} else {
		url->host = text;
		port = strchr(text, ':');
		if (port)
			*port++ = '\0';
	}
	if (!*url->host)
		return "no host";
	if (port && (!read_number(port, 65535, &url->port) || url->port == 0))
		return "the port is no number from 1 to 65535";
	return NULL;
}

static const char *parse(struct redis_url *url)
{
	char *text = url->text;
	if (strncasecmp(text, "rediss://", 9) == 0)
		return "rediss:// (TLS) is not something this worker speaks";
	if (strncasecmp(text, "redis://", 8) != 0)
		return "it does not begin with redis://";
	text += 8;

	char *path = strchr(text, '/');
	if (path) {
		*path++ = '\0';
		if (*path && !read_number(path, 65535, &url->database))
			return "the database is no number";
	}
	char *at = strrchr(text, '@');
	if (at) {
		*at++ = '\0';
		const char *why = read_credentials(url, text);
		if (why)
			return why;
		text = at;
	}
	return read_address(url, text);
}

int redis_url_parse(struct redis_url *url, const char *text, const char **why)
{
	*url = (struct redis_url){.text = strdup(text), .port = 6379};
	*why = url->text ? parse(url) : "out of memory";
	if (!*why)
		return 0;
	redis_url_done(url);
	return -1;
}

void redis_url_done(struct redis_url *url)
{
	free(url->text);
	*url = (struct redis_url){0};
}
