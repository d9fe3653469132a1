/* Owns the form of a launch plan: every field as text that ends with a NUL, lists after their length. Called by the process
 * runtime and by the launcher; never opens or starts anything. */
#include "node/runtime/launch_plan.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

enum { OWN_VARIABLES = 4 };

static const char MAGIC[] = "idm launch plan 1";

/* ---- writing ---- */

static int add_text(struct buf *out, const char *text)
{
	return buf_add(out, text, strlen(text) + 1);
}

static int add_number(struct buf *out, int64_t number)
{
	int rc = buf_printf(out, "%" PRId64, number);
	return rc ? rc : buf_add(out, "", 1);
}

static int add_list(struct buf *out, char *const *items)
{
	int64_t count = 0;
	while (items[count])
		count++;
	int rc = add_number(out, count);
	for (int64_t i = 0; i < count && !rc; i++)
		rc = add_text(out, items[i]);
	return rc;
}

int launch_plan_encode(const struct launch_plan *plan, struct buf *out)
{
	const int64_t numbers[] = {plan->parent, plan->change_user,       plan->uid,
				   plan->gid,    plan->no_new_privileges, plan->processes_max,
				   plan->gridexec};
	int rc = add_text(out, MAGIC);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]) && !rc; i++)
		rc = add_number(out, numbers[i]);
	if (!rc)
		rc = add_number(out, (int64_t)plan->group_count);
	for (size_t i = 0; i < plan->group_count && !rc; i++)
		rc = add_number(out, plan->groups[i]);
	if (!rc)
		rc = add_text(out, plan->cpus);
	if (!rc)
		rc = add_text(out, plan->directory);
	if (!rc)
		rc = add_list(out, plan->argv);
	return rc ? rc : add_list(out, plan->env);
}

/* ---- reading ---- */

struct reader {
	char *at;
	char *end;
	bool failed;
};

static char *next_text(struct reader *reader)
{
	static char nothing[1];
	char *text = reader->at;
	char *nul = reader->at < reader->end ? memchr(text, '\0', (size_t)(reader->end - text)) : NULL;
	if (!nul) {
		reader->failed = true;
		return nothing;
	}
	reader->at = nul + 1;
	return text;
}

static int64_t next_number(struct reader *reader, int64_t max)
{
	const char *text = next_text(reader);
	char *end;
	long long number = strtoll(text, &end, 10);
	if (*text == '\0' || *end || number < 0 || number > max)
		reader->failed = true;
	return reader->failed ? 0 : number;
}

static char **next_list(struct reader *reader)
{
	int64_t count = next_number(reader, LAUNCH_PLAN_MAX);
	char **items = calloc((size_t)count + 1, sizeof(*items));
	if (!items)
		reader->failed = true;
	for (int64_t i = 0; items && i < count && !reader->failed; i++)
		items[i] = next_text(reader);
	return items;
}

int launch_plan_decode(char *bytes, size_t len, struct launch_plan *plan)
{
	struct reader reader = {.at = bytes, .end = bytes + len};
	*plan = (struct launch_plan){0};
	if (strcmp(next_text(&reader), MAGIC) != 0)
		return ERR_INVALID;
	plan->parent = next_number(&reader, INT32_MAX);
	plan->change_user = next_number(&reader, 1);
	plan->uid = (uid_t)next_number(&reader, UINT32_MAX);
	plan->gid = (gid_t)next_number(&reader, UINT32_MAX);
	plan->no_new_privileges = next_number(&reader, 1);
	plan->processes_max = next_number(&reader, INT64_MAX);
	plan->gridexec = next_number(&reader, 1);
	plan->group_count = (size_t)next_number(&reader, LAUNCH_GROUPS_MAX);
	for (size_t i = 0; i < plan->group_count; i++)
		plan->groups[i] = (gid_t)next_number(&reader, UINT32_MAX);
	plan->cpus = next_text(&reader);
	plan->directory = next_text(&reader);
	plan->argv = next_list(&reader);
	plan->env = next_list(&reader);
	bool whole = !reader.failed && reader.at == reader.end && plan->argv[0];
	if (!whole)
		launch_plan_done(plan);
	return whole ? 0 : ERR_INVALID;
}

void launch_plan_done(struct launch_plan *plan)
{
	free(plan->argv);
	free(plan->env);
	*plan = (struct launch_plan){0};
}

/* ---- the environment ---- */

static bool has_variable(const char *const *env, const char *entry)
{
	size_t len = strcspn(entry, "=") + 1;
	for (; env && *env; env++) {
		if (strncmp(*env, entry, len) == 0)
			return true;
	}
	return false;
}

static char *join(const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(value) + 1;
	char *entry = malloc(size);
	if (entry)
		(void)snprintf(entry, size, "%s%s", name, value);
	return entry;
}

void launch_environment_free(char **env)
{
	for (char **entry = env; entry && *entry; entry++)
		free(*entry);
	free(env);
}

char **launch_environment(const char *const *wanted, const char *directory)
{
	const char *const own[OWN_VARIABLES][2] = {
		{"PATH=", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{"HOME=", directory},
		{"LANG=", "C.UTF-8"},
		{"TMPDIR=", directory},
	};
	size_t count = 0;
	while (wanted && wanted[count])
		count++;
	char **env = calloc(count + OWN_VARIABLES + 1, sizeof(*env));
	size_t len = 0;
	bool whole = env != NULL;
	for (size_t i = 0; whole && i < OWN_VARIABLES; i++) {
		if (has_variable(wanted, own[i][0]))
			continue;
		env[len] = join(own[i][0], own[i][1]);
		whole = env[len++] != NULL;
	}
	for (size_t i = 0; whole && i < count; i++) {
		env[len] = strdup(wanted[i]);
		whole = env[len++] != NULL;
	}
	if (whole)
		return env;
	launch_environment_free(env);
	return NULL;
}
