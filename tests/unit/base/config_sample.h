/* A table of keys of every kind, for the tests of the configuration. */
#pragma once

#include "base/config.h"

#include <stddef.h>
#include <string.h>

struct sample {
	char *name;
	char *token;
	int64_t seconds;
	bool flag;
	struct config_strings list;
};

static inline int check_name(const char *value, struct err *err)
{
	return strcmp(value, "bad") == 0 ? err_set(err, ERR_INVALID, "must not be that") : 0;
}

static const struct config_key SAMPLE_KEYS[] = {
	{.name = "name", .type = CONFIG_STRING, .offset = offsetof(struct sample, name), .fallback = "\"somebody\"",
	 .check = check_name, .help = "Who it is.\nIn two lines."},
	{.name = "token", .type = CONFIG_STRING, .offset = offsetof(struct sample, token), .required = true,
	 .environment = "IDM_TEST_TOKEN", .check = check_name, .help = "The secret."},
	{.name = "seconds", .type = CONFIG_INTEGER, .offset = offsetof(struct sample, seconds), .fallback = "30", .min = 1,
	 .max = 60, .unit = "seconds", .help = "How long."},
	{.name = "flag", .type = CONFIG_BOOLEAN, .offset = offsetof(struct sample, flag), .fallback = "true",
	 .help = "Whether."},
	{.name = "list", .type = CONFIG_STRINGS, .offset = offsetof(struct sample, list), .fallback = "[\"a\", \"b\"]",
	 .help = "Which."},
};

static const struct config_table SAMPLE_TABLE = {
	.file_name = "sample.toml",
	.title = "sample: what the tests read.",
	.keys = SAMPLE_KEYS,
	.count = sizeof(SAMPLE_KEYS) / sizeof(SAMPLE_KEYS[0]),
};
