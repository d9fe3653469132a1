/* Where a daemon keeps what must outlive it. */
#pragma once

/* configured: the configuration's state_dir, "" where it says nothing. Then $STATE_DIRECTORY (systemd's), else
 * /var/lib/idm-gridcore for root, else ${XDG_STATE_HOME:-~/.local/state}/idm-gridcore. free() it. NULL without memory, or
 * where there is no such place. */
char *state_directory(const char *configured);
