/* Owns the sandbox and the capturing of standard error. Called by every unit test; knows nothing of the project. */
#include "support.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char sandbox[4096];
static char before[4096];

int sandbox_setup(void **state)
{
	(void)state;
	const char *base = getenv("TMPDIR");
	(void)snprintf(sandbox, sizeof(sandbox), "%s/idm-unit-XXXXXX", base && *base ? base : "/tmp");
	return !getcwd(before, sizeof(before)) || !mkdtemp(sandbox) || chdir(sandbox) ? -1 : 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path);
}

int sandbox_teardown(void **state)
{
	(void)state;
	if (chdir(before))
		return -1;
	return nftw(sandbox, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static char *read_all(FILE *file)
{
	size_t size = 0;
	size_t len = 0;
	char *text = NULL;
	do {
		size += 4096;
		text = realloc(text, size);
		assert_non_null(text);
		len += fread(text + len, 1, size - len - 1, file);
	} while (len == size - 1);
	text[len] = '\0';
	(void)fclose(file);
	return text;
}

char *read_file(const char *path)
{
	FILE *file = fopen(path, "re");
	assert_non_null(file);
	return read_all(file);
}

void assert_contains_at(const char *text, const char *part, const char *file, int line)
{
	if (!text || !strstr(text, part)) {
		print_error("\"%s\" does not contain \"%s\"\n", text ? text : "(null)", part);
		_fail(file, line);
	}
}

void assert_lacks_at(const char *text, const char *part, const char *file, int line)
{
	if (text && strstr(text, part)) {
		print_error("\"%s\" contains \"%s\"\n", text, part);
		_fail(file, line);
	}
}

static FILE *captured;
static int real_stderr;

void capture_begin(void)
{
	captured = tmpfile();
	assert_non_null(captured);
	real_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_true(real_stderr >= 0);
	assert_true(dup2(fileno(captured), STDERR_FILENO) >= 0);
}

char *capture_end(void)
{
	assert_true(dup2(real_stderr, STDERR_FILENO) >= 0);
	(void)close(real_stderr);
	rewind(captured);
	return read_all(captured);
}
