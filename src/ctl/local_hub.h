/* The hub of this machine, as its own configuration describes it to whoever may read that: so that on the hub's machine root needs
 * no configuration of gridctl, nor does a user who runs a hub of his own. */
#pragma once

#include <stdbool.h>

struct local_hub {
	char *path;  /* of the computehub.toml */
	char *token; /* its admin_token, else its token */
	char *url;   /* where it listens, as seen from here; NULL where the file does not say a fixed port */
	char *pin;   /* with TLS: of its key; NULL without */
};

/* Looks at the system that `gridctl up` started, in /etc/idm-gridcore and in the user's configuration directory. False where there is none that can be read, or none with
 * a token; nothing is to be freed then. */
bool local_hub_find(struct local_hub *hub);
void local_hub_done(struct local_hub *hub);

/* One file alone. */
bool local_hub_read(const char *path, struct local_hub *hub);

/* Whether the URL's host is this machine's loopback: to no other is a token of this machine sent unasked. */
bool local_hub_is_here(const char *url);
