/* Owns the reading of /proc for the measurements. Called by the load and the small measuring programs; never writes there. */
#include "process.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

int process_memory_read(int pid, struct process_memory *memory, struct err *err)
{
	char path[64];
	char line[256];
	long long kilobytes;
	*memory = (struct process_memory){0};
	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	if (!file)
		return err_from_errno(err, errno, "cannot read %s", path);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Rss: %lld kB", &kilobytes) == 1)
			memory->resident_bytes = kilobytes * 1024;
		else if (sscanf(line, "Private_Dirty: %lld kB", &kilobytes) == 1)
			memory->private_dirty_bytes = kilobytes * 1024;
	}
	return memory->resident_bytes ? 0 : err_set(err, ERR_PROTOCOL, "%s tells nothing", path);
}

static int64_t thread_cpu_ns(int pid, const char *thread)
{
	char path[320];
	long long ns = 0;
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, thread);
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	return file && fscanf(file, "%lld", &ns) == 1 ? ns : 0;
}

int process_cpu_ns(int pid, int64_t *ns, struct err *err)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *threads = opendir(path);
	if (!threads)
		return err_from_errno(err, errno, "cannot read %s", path);
	*ns = 0;
	const struct dirent *entry;
	while ((entry = readdir(threads))) {
		if (entry->d_name[0] != '.')
			*ns += thread_cpu_ns(pid, entry->d_name);
	}
	(void)closedir(threads);
	return 0;
}
