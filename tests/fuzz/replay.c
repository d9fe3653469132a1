/* Owns the replay of a corpus: feeds each file of the given directories to the fuzzer's entry point. Called by meson test,
 * so that what a fuzzer once found stays found; never makes inputs of its own. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1024 * 1024 };

static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *bytes = malloc(INPUT_MAX);
	size_t len = file && bytes ? fread(bytes, 1, INPUT_MAX, file) : 0;
	if (!file || !bytes) {
		perror(path);
		free(bytes);
		return 1;
	}
	(void)fclose(file);
	/* A block of exactly its size, so that a sanitizer sees a step beyond it. */
	uint8_t *exact = malloc(len ? len : 1);
	for (size_t i = 0; exact && i < len; i++)
		exact[i] = bytes[i];
	if (exact)
		(void)LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	free(bytes);
	return 0;
}

static int replay_directory(const char *path, unsigned *count)
{
	DIR *dir = opendir(path);
	if (!dir) {
		perror(path);
		return 1;
	}
	int failed = 0;
	for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
		char name[4096];
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		failed |= replay_file(name);
		(*count)++;
	}
	(void)closedir(dir);
	return failed;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	int failed = 0;
	for (int i = 1; i < argc; i++)
		failed |= replay_directory(argv[i], &count);
	printf("%u inputs\n", count);
	return failed || count == 0;
}
