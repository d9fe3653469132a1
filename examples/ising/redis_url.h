/* redis://[user][:password]@host[:port][/database], taken apart. The Redis link calls it at start. It never
 * connects. */
#pragma once

struct redis_url {
	char *text;                                /* holds all the strings below */
	const char *user, *password;               /* NULL if there is none; percent-decoded */
	const char *host;                          /* without the brackets of IPv6 */
	int port;                                  /* 6379 if it names none */
	int database;                              /* 0 if it names none */
};

/* 0, or -1 with *why set to a reason that contains nothing of the URL, which may hold a password. */
int redis_url_parse(struct redis_url *url, const char *text, const char **why);
void redis_url_done(struct redis_url *url);
