/* Owns the search for records. Called when the process runtime opens; never touches what no record names. */
#include "node/runtime/process_orphans.h"

#include "base/log.h"
#include "node/runtime/process_remains.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE_MAX = 4096 };

struct orphan {
	struct process_orphans *owner;
	struct process_remains *remains; /* NULL: done with */
	struct orphan *next;
};

struct process_orphans {
	uv_timer_t turn; /* 0 ms: where there is nothing to do, that too is told later */
	process_orphans_on_done *on_done; /* NULL: abandoned */
	void *context;
	struct orphan *list;
	unsigned found;
	unsigned left;
};

static void on_turn_closed(uv_handle_t *handle)
{
	struct process_orphans *orphans = handle->data;
	while (orphans->list) {
		struct orphan *orphan = orphans->list;
		orphans->list = orphan->next;
		free(orphan);
	}
	if (orphans->on_done)
		orphans->on_done(orphans->context, orphans->found);
	free(orphans);
}

static void one_less(struct process_orphans *orphans)
{
	if (--orphans->left == 0)
		uv_close((uv_handle_t *)&orphans->turn, on_turn_closed);
}

static void on_cleared(void *context, const struct err *err)
{
	struct orphan *orphan = context;
	orphan->remains = NULL;
	if (err)
		log_warn("runtime", "an earlier run's worker is not wholly gone: %s", err->text);
	one_less(orphan->owner);
}

static void clear(struct process_orphans *orphans, const char *path)
{
	struct process_record record;
	struct err err = {0};
	if (process_record_read(path, &record, &err)) {
		log_warn("runtime", "%s; passed over", err.text);
		return;
	}
	struct orphan *orphan = calloc(1, sizeof(*orphan));
	if (!orphan)
		return; /* the next run's */
	orphan->owner = orphans;
	orphan->remains = process_remains_clear(orphans->turn.loop, &record, path, on_cleared, orphan);
	orphan->next = orphans->list;
	orphans->list = orphan;
	orphans->found++;
	orphans->left += orphan->remains != NULL;
}

static void on_turn(uv_timer_t *turn)
{
	one_less(turn->data);
}

struct process_orphans *process_orphans_clear(uv_loop_t *loop, const char *records, process_orphans_on_done *on_done,
					      void *context)
{
	struct process_orphans *orphans = calloc(1, sizeof(*orphans));
	if (!orphans)
		return NULL;
	orphans->on_done = on_done;
	orphans->context = context;
	orphans->left = 1; /* the turn's own */
	(void)uv_timer_init(loop, &orphans->turn);
	orphans->turn.data = orphans;
	(void)uv_timer_start(&orphans->turn, on_turn, 0, 0);

	DIR *directory = opendir(records);
	const struct dirent *entry;
	while (directory && orphans->found < AT_ONCE_MAX && (entry = readdir(directory))) {
		char path[PROCESS_PATH_MAX];
		int len = snprintf(path, sizeof(path), "%s/%s", records, entry->d_name);
		if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(path))
			clear(orphans, path);
	}
	if (directory)
		(void)closedir(directory);
	return orphans;
}

void process_orphans_abandon(struct process_orphans *orphans)
{
	if (!orphans)
		return;
	orphans->on_done = NULL;
	for (struct orphan *orphan = orphans->list; orphan; orphan = orphan->next) {
		process_remains_abandon(orphan->remains);
		orphan->remains = NULL;
	}
	if (!uv_is_closing((uv_handle_t *)&orphans->turn))
		uv_close((uv_handle_t *)&orphans->turn, on_turn_closed);
}
