/* Owns the options that every command knows. Called through GLOBAL_OPTIONS by what reads and what explains a command line. */
#include "ctl/command.h"
#include "ctl/ctl_config.h"

#define FIELD(name) offsetof(struct ctl_globals, name)

static const struct option_row ROWS[] = {
	{.name = "hub", .type = OPTION_TEXT, .offset = FIELD(hub), .argument = "URL", .help = "the hub's address"},
	{.name = "token-file", .type = OPTION_TEXT, .offset = FIELD(token_file), .argument = "FILE", .hint = HINT_FILE,
	 .help = "a file whose first line is the token (a token itself is never an argument)"},
	{.name = "tls-ca", .type = OPTION_TEXT, .offset = FIELD(tls_ca), .argument = "FILE", .hint = HINT_FILE,
	 .help = "for https: the authorities to trust, in PEM form"},
	{.name = "tls-pin", .type = OPTION_TEXT, .offset = FIELD(tls_pin), .argument = "PIN",
	 .help = "for https: the hub's public key, sha256//..., as its log shows it at start"},
	{.name = "config", .type = OPTION_TEXT, .offset = FIELD(config), .argument = "FILE", .hint = HINT_FILE,
	 .help = "this configuration in the place of gridctl.toml"},
	{.name = "retry-for", .type = OPTION_SECONDS, .offset = FIELD(retry_for_ms), .argument = "SECONDS",
	 .help = "how long a hub that does not answer is tried; 0: once"},
	{.name = "json", .type = OPTION_FLAG, .offset = FIELD(json), .help = "print JSON, for programs"},
	{.name = "quiet", .letter = 'q', .type = OPTION_FLAG, .offset = FIELD(quiet), .help = "say errors alone"},
	{.name = "verbose", .letter = 'v', .type = OPTION_FLAG, .offset = FIELD(verbose), .help = "say each call to the hub"},
	{.name = "version", .type = OPTION_FLAG, .offset = FIELD(version), .help = "print the version and end"},
	{.name = "help", .letter = 'h', .type = OPTION_FLAG, .offset = FIELD(help), .help = "print the help and end"},
};

const struct option_table GLOBAL_OPTIONS = {.rows = ROWS, .count = sizeof(ROWS) / sizeof(ROWS[0])};
