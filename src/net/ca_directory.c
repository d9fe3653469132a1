/* Owns the choice between the two forms of the system's certificate authorities. Called when an HTTP client is made: a whole
 * file costs each process 2 MB of its own memory, the directory next to nothing. Never judges a certificate. */
#include "net/ca_directory.h"

#include <dirent.h>
#include <string.h>

enum { HASH_LEN = 8 };

static bool is_in(const char *file, const char *directory)
{
	size_t len = strlen(directory);
	return strncmp(file, directory, len) == 0 && file[len] == '/' && !strchr(file + len + 1, '/');
}

static bool is_hashed(const char *name)
{
	return strspn(name, "0123456789abcdef") == HASH_LEN && strcmp(name + HASH_LEN, ".0") == 0;
}

bool ca_directory_replaces(const char *file, const char *directory)
{
	if (!file || !directory || !is_in(file, directory))
		return false;
	DIR *entries = opendir(directory);
	const struct dirent *entry;
	bool found = false;
	while (entries && !found && (entry = readdir(entries)))
		found = is_hashed(entry->d_name);
	if (entries)
		(void)closedir(entries);
	return found;
}
