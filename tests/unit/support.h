/* What every unit test needs: cmocka behind the headers that it wants to see first, a directory that vanishes, small
 * files, texts that must or must not hold something. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>

/* A setup and its teardown: a fresh directory, in which the test then works (it is the current one), and which is removed
 * with all that is in it. */
int sandbox_setup(void **state);
int sandbox_teardown(void **state);

#define in_sandbox(test) cmocka_unit_test_setup_teardown(test, sandbox_setup, sandbox_teardown)

void write_file(const char *path, const char *text);

/* The whole file; free() it. */
char *read_file(const char *path);

#define assert_contains(text, part) assert_contains_at((text), (part), __FILE__, __LINE__)
#define assert_lacks(text, part) assert_lacks_at((text), (part), __FILE__, __LINE__)
void assert_contains_at(const char *text, const char *part, const char *file, int line);
void assert_lacks_at(const char *text, const char *part, const char *file, int line);

/* While it is on, what goes to standard error goes into a file. capture_end returns it; free() it. */
void capture_begin(void);
char *capture_end(void);
