/* Owns `gridctl join-command`: what a person types on a new machine to make it a node. Called through the table; prints, does
 * nothing, and never knows the join token: that is read on the new machine, and stands in no command line. */
#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/local_hub.h"
#include "ctl/show.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

extern const struct command COMMAND_JOIN;

enum { ADDRESS_SIZE = 64, URL_SIZE = 2200 };

struct join_options {
	const char *token_from;
	bool user;
};

static bool is_of_containers(const char *interface)
{
	static const char *const PREFIXES[] = {"docker", "br-", "veth", "virbr", "podman", "cni", "lxc"};
	for (size_t i = 0; i < sizeof(PREFIXES) / sizeof(PREFIXES[0]); i++) {
		if (strncmp(interface, PREFIXES[i], strlen(PREFIXES[i])) == 0)
			return true;
	}
	return false;
}

/* The first address of this machine that others may know it by. */
static bool own_address(char into[ADDRESS_SIZE])
{
	uv_interface_address_t *all = NULL;
	int count = 0;
	bool found = false;
	if (uv_interface_addresses(&all, &count))
		return false;
	for (int i = 0; i < count && !found; i++) {
		bool usable = !all[i].is_internal && all[i].address.address4.sin_family == AF_INET && !is_of_containers(all[i].name);
		found = usable && uv_ip4_name(&all[i].address.address4, into, ADDRESS_SIZE) == 0;
	}
	uv_free_interface_addresses(all, count);
	return found;
}

/* On loopback the hub is nobody's but this machine's. */
static void choose_url(struct ctl *ctl, char url[URL_SIZE])
{
	char address[ADDRESS_SIZE];
	const char *hub = ctl->config.hub.value;
	const char *host = strstr(hub, "://");
	(void)snprintf(url, URL_SIZE, "%s", hub);
	if (!host || !local_hub_is_here(hub))
		return;
	host += strlen("://");
	const char *rest = host + (*host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/"));
	if (own_address(address)) {
		(void)snprintf(url, URL_SIZE, "%.*s%s%s", (int)(host - hub), hub, address, rest);
		ctl_note(ctl, "%s is this machine's own; %s is taken for others to reach it by. If that is not so: --hub URL", hub, url);
	} else {
		ctl_note(ctl, "other machines cannot reach %s: give the hub's address in their network with --hub URL", hub);
	}
}

static void add_quoted(struct buf *lines, const char *before, const char *word, const char *after)
{
	if (buf_printf(lines, "%s", before))
		return;
	show_shell_word(lines, word);
	if (buf_printf(lines, "%s", after))
		return;
}

static const char PROMPT[] =
	"printf 'join_token of the hub: '; stty -echo; IFS= read -r token; stty echo; echo\n";

static int form(struct ctl *ctl, const struct join_options *options, const char *url, struct buf *lines)
{
	const char *pin = ctl->config.tls_pin.value;
	const char *ca = ctl->config.tls_ca.value;
	bool secure = strncasecmp(url, "https:", strlen("https:")) == 0;
	int rc = buf_printf(lines, "%s", options->user ? "dir=\"${XDG_CONFIG_HOME:-$HOME/.config}/idm-gridcore\"\n"
						       : "dir=/etc/idm-gridcore\n");
	if (!rc)
		rc = buf_printf(lines, "mkdir -p \"$dir\" && umask 077\n");
	if (!rc && !options->token_from)
		rc = buf_printf(lines, "%s", PROMPT);
	if (!rc && options->token_from)
		add_quoted(lines, "IFS= read -r token < ", options->token_from, "\n");
	if (!rc)
		add_quoted(lines, "set -C; { printf 'server_url = \"%s\"\\ntoken = \"%s\"\\n' ", url, " \"$token\"\n");
	if (!rc && secure && *pin)
		add_quoted(lines, "  printf 'tls_pin = \"%s\"\\n' ", pin, "\n");
	if (!rc && secure && *ca)
		rc = buf_printf(lines, "  printf 'tls_ca = \"%%s\"\\n' \"$dir/hub-ca.pem\"   # a copy of this machine's %s\n", ca);
	if (!rc)
		rc = buf_printf(lines, "} > \"$dir/gridnode.toml\"; set +C; unset token\n");
	return rc;
}

static int run_join(struct ctl *ctl, const struct command_call *call)
{
	const struct join_options *options = call->options;
	char url[URL_SIZE];
	struct buf lines;
	int exit_code = ctl_load(ctl, false);
	if (exit_code)
		return exit_code;
	choose_url(ctl, url);
	buf_init(&lines, 16 * 1024);
	if (form(ctl, options, url, &lines)) {
		exit_code = show_no_memory(ctl);
	} else if (ctl->globals.json) {
		exit_code = ctl_print_json(ctl, json_pack("{s:s, s:s}", "server_url", url, "commands", buf_text(&lines)));
	} else {
		/* In braces, so that a shell has read all of it before `read` asks. */
		printf("# On the new machine, where gridnode is installed%s. An existing gridnode.toml is left alone.\n{\n%s",
		       options->user ? "" : ", as root", buf_text(&lines));
		printf("%s\n}\n", options->user ? "gridnode" : "gridnode    # or, under systemd: systemctl enable --now gridnode");
	}
	buf_done(&lines);
	return exit_code;
}

static const struct option_row ROWS[] = {
	{.name = "token-from", .type = OPTION_TEXT, .offset = offsetof(struct join_options, token_from), .argument = "FILE",
	 .help = "a file of the new machine whose first line is the join_token, in the place\nof a question"},
	{.name = "user", .type = OPTION_FLAG, .offset = offsetof(struct join_options, user),
	 .help = "for a user who is not root there"},
};
static const struct option_table OPTIONS = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};

const struct command COMMAND_JOIN = {
	.name = "join-command",
	.group = GROUP_NODES,
	.usage = "[--token-from FILE] [--user]",
	.purpose = "Print what makes another machine a node of this hub",
	.help = "Lines for a shell there. They ask for the hub's join_token (in its computehub.toml), and\n"
		"write gridnode.toml with it, with the hub's address and, where tls_pin is set here, with\n"
		"the hub's pin. The token stands in no command line.\n",
	.options = &OPTIONS,
	.options_size = sizeof(struct join_options),
	.offline = true,
	.run = run_join,
};
