/* Owns the reading of mountinfo and cgroup (proc(5), cgroups(7)). Called once, when the process runtime opens; opens no file
 * itself, so that a test can show it any machine. */
#include "node/runtime/cgroup_place.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 2048 };

static const char *next_line(const char *text, char line[LINE_MAX_BYTES])
{
	size_t len = strcspn(text, "\n");
	(void)snprintf(line, LINE_MAX_BYTES, "%.*s", (int)(len < LINE_MAX_BYTES ? len : LINE_MAX_BYTES - 1), text);
	return text[len] ? text + len + 1 : NULL;
}

static bool list_has(const char *list, const char *word)
{
	size_t len = strlen(word);
	for (const char *item = list; item; item = strchr(item, ',')) {
		item += *item == ',';
		if (strncmp(item, word, len) == 0 && (item[len] == ',' || item[len] == '\0'))
			return true;
	}
	return false;
}

/* "36 35 98:0 /root /mount options… - type source superoptions" */
static bool is_mount(char *line, enum cgroup_version version, char **root, char **mount)
{
	char type[32];
	char super[256] = "";
	char *dash = strstr(line, " - ");
	if (!dash || sscanf(dash, " - %31s %*s %255s", type, super) < 1)
		return false;
	if (version == CGROUP_V2 ? strcmp(type, "cgroup2") != 0 : strcmp(type, "cgroup") != 0 || !list_has(super, "memory"))
		return false;
	char *save;
	(void)strtok_r(line, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	(void)strtok_r(NULL, " ", &save);
	*root = strtok_r(NULL, " ", &save);
	*mount = strtok_r(NULL, " ", &save);
	return *root && *mount;
}

/* "4:memory:/path", or "0::/path" in version 2 */
static bool own_path(const char *cgroup, enum cgroup_version version, char path[LINE_MAX_BYTES])
{
	char line[LINE_MAX_BYTES];
	while (cgroup) {
		cgroup = next_line(cgroup, line);
		char *controllers = strchr(line, ':');
		char *at = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!at)
			continue;
		*at = '\0';
		if (version == CGROUP_V2 ? strcmp(line, "0:") == 0 : list_has(controllers + 1, "memory")) {
			memmove(path, at + 1, strlen(at + 1) + 1);
			return true;
		}
	}
	return false;
}

static bool find(const char *mountinfo, const char *cgroup, enum cgroup_version version, struct cgroup_place *place)
{
	char line[LINE_MAX_BYTES];
	char own[LINE_MAX_BYTES];
	if (!own_path(cgroup, version, own))
		return false;
	while (mountinfo) {
		char *root;
		char *mount;
		mountinfo = next_line(mountinfo, line);
		if (!is_mount(line, version, &root, &mount))
			continue;
		/* A container may see a part of the hierarchy alone; where its own group lies outside, there is none to use. */
		size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
		const char *rest = own + skip;
		if (strncmp(own, root, skip) != 0 || (*rest != '/' && *rest != '\0') || strncmp(rest, "/..", 3) == 0)
			continue;
		int len = snprintf(place->own, sizeof(place->own), "%s%s", mount, strcmp(rest, "/") == 0 ? "" : rest);
		text_copy(place->root, sizeof(place->root), mount);
		place->version = version;
		return len > 0 && (size_t)len < sizeof(place->own);
	}
	return false;
}

int cgroup_place_find(const char *mountinfo, const char *cgroup, struct cgroup_place *place)
{
	*place = (struct cgroup_place){0};
	bool found = find(mountinfo, cgroup, CGROUP_V1, place) || find(mountinfo, cgroup, CGROUP_V2, place);
	return found ? 0 : ERR_NOT_FOUND;
}
