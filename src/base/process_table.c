/* Owns the reading of /proc. Called by the process runtime when it starts a worker and when it clears up after one; never
 * sends a signal. */
#include "base/process_table.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { STAT_TEXT_MAX = 1024 };

/* "PID (name) state parent group …": the name may hold anything, a ')' too. The start is field 22 (proc(5)). */
int process_stat_parse(const char *text, struct process_stat *stat)
{
	const char *rest = strrchr(text, ')');
	if (!rest || sscanf(rest + 1, " %c %*d %d", &stat->state, &stat->group) != 2)
		return ERR_INVALID;
	for (int field = 2; field < 22; field++) {
		rest = strchr(rest + 1, ' ');
		if (!rest)
			return ERR_INVALID;
	}
	return sscanf(rest, " %" SCNu64, &stat->start) == 1 ? 0 : ERR_INVALID;
}

int process_stat_read(int pid, struct process_stat *stat)
{
	char path[64];
	char text[STAT_TEXT_MAX];
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		return ERR_NOT_FOUND;
	return process_stat_parse(text, stat);
}

static bool lives(const struct process_stat *stat)
{
	return stat->state != 'Z' && stat->state != 'X';
}

/* The kernel gives a group's number to nobody else as long as one of its members is there, waited for or not. */
bool process_group_lives(int group, uint64_t start)
{
	struct process_stat stat;
	if (process_stat_read(group, &stat) == 0) {
		if (stat.start != start)
			return false;
		if (lives(&stat))
			return true;
	}
	DIR *processes = opendir("/proc");
	const struct dirent *entry;
	bool found = false;
	while (processes && !found && (entry = readdir(processes))) {
		if (!isdigit((unsigned char)entry->d_name[0]) || process_stat_read(atoi(entry->d_name), &stat))
			continue;
		found = stat.group == group && stat.start >= start && lives(&stat);
	}
	if (processes)
		(void)closedir(processes);
	return found;
}

void process_table_boot_id(char id[BOOT_ID_SIZE])
{
	AUTO_FCLOSE FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file || !fgets(id, BOOT_ID_SIZE, file))
		id[0] = '\0';
	id[strcspn(id, "\n")] = '\0';
}
