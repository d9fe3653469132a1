/* Owns the clearing-up after an earlier run. Called each time an engine is found, before anything is started on it.
 * Never touches a container without all of the owner's labels, nor one that belongs to a worker of this run.
 *
 * Happy path: list, created and exited ones too; remove up to AT_ONCE of them at a time; done when the last is gone.
 * A container that resists is logged and left: its name is dealt with when somebody needs it. */
#include "node/runtime/orphans.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "node/runtime/container.h"
#include "node/runtime/container_removal.h"

#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 8, LIST_TIMEOUT_MS = 60000, LIST_MAX_BYTES = 32 * 1024 * 1024 };

struct orphans {
	struct engine_host *host;
	struct engine_call *call;
	orphans_on_done *on_done;
	void *context;
	json_t *ids;   /* of those to remove */
	size_t next;   /* in ids */
	unsigned busy; /* removals under way */
	unsigned removed;
	struct err lost; /* the engine went away; code 0 while it is there */
	struct removal_place {
		struct orphans *orphans;
		struct container_removal *removal; /* NULL: free */
	} places[AT_ONCE];
};

static void free_orphans(struct orphans *orphans)
{
	json_decref(orphans->ids);
	free(orphans);
}

static void finish(struct orphans *orphans)
{
	orphans_on_done *on_done = orphans->on_done;
	void *context = orphans->context;
	unsigned removed = orphans->removed;
	struct err lost = orphans->lost;
	free_orphans(orphans);
	on_done(context, removed, lost.code ? &lost : NULL);
}

static void go_on(struct orphans *orphans);

static void on_removed(void *context, const struct err *err)
{
	struct removal_place *place = context;
	struct orphans *orphans = place->orphans;
	place->removal = NULL;
	orphans->busy--;
	if (!err)
		orphans->removed++;
	else if (err->code == ERR_CANCELLED)
		orphans->lost = *err;
	else if (err->code != ERR_STATE) /* the engine is removing it already */
		engine_host_warn(orphans->host, "a container of an earlier run cannot be removed: %s", err->text);
	go_on(orphans);
}

static void begin_removal(struct orphans *orphans, struct removal_place *place)
{
	struct err err;
	const char *id = json_string_value(json_array_get(orphans->ids, orphans->next++));
	place->orphans = orphans;
	place->removal = container_removal_start(orphans->host, id, false, on_removed, place, &err);
	if (place->removal)
		orphans->busy++;
	else
		engine_host_warn(orphans->host, "a container of an earlier run cannot be removed: %s", err.text);
}

static void go_on(struct orphans *orphans)
{
	for (size_t i = 0; i < AT_ONCE && !orphans->lost.code; i++) {
		while (!orphans->places[i].removal && orphans->next < json_array_size(orphans->ids))
			begin_removal(orphans, &orphans->places[i]);
	}
	if (orphans->busy == 0)
		finish(orphans);
}

/* A container's names start with a slash. */
static bool is_known(const struct engine_host *host, const json_t *names)
{
	size_t i;
	const json_t *name;
	json_array_foreach (names, i, name) {
		const char *text = json_string_value(name);
		if (text && container_is_known(host, text[0] == '/' ? text + 1 : text))
			return true;
	}
	return false;
}

static void choose(struct orphans *orphans, const json_t *list)
{
	size_t i;
	const json_t *item;
	json_array_foreach (list, i, item) {
		json_t *id = json_object_get(item, "Id");
		/* The engine was asked for these labels alone; one that ignores the filter must do no harm. */
		if (!engine_is_name(json_string_value(id)) ||
		    !engine_host_owns(orphans->host, json_object_get(item, "Labels")) ||
		    is_known(orphans->host, json_object_get(item, "Names")))
			continue;
		if (json_array_append(orphans->ids, id))
			return;
	}
}

static void on_listed(void *context, const struct engine_answer *answer)
{
	struct orphans *orphans = context;
	orphans->call = NULL;
	if (answer->err)
		orphans->lost = *answer->err;
	else
		choose(orphans, answer->json);
	go_on(orphans);
}

static int list(struct orphans *orphans, struct err *err)
{
	AUTO_FREE char *filter = engine_host_filter(orphans->host, NULL);
	struct buf path;
	buf_init(&path, 16 * 1024);
	int rc = filter ? buf_printf(&path, "/containers/json?all=1") : ERR_NOMEM;
	if (rc == 0)
		rc = engine_query(&path, "filters", filter);
	if (rc == 0) {
		struct engine_request request = {
			.method = "GET",
			.path = buf_text(&path),
			.timeout_ms = LIST_TIMEOUT_MS,
			.max_body = LIST_MAX_BYTES,
			.context = orphans,
			.on_answer = on_listed,
		};
		orphans->call = engine_start(orphans->host->engine, &request, err);
		rc = orphans->call ? 0 : ERR_NOMEM;
	} else {
		(void)err_set(err, (enum err_code)rc, "the list of containers cannot be asked for");
	}
	buf_done(&path);
	return rc;
}

struct orphans *orphans_remove(struct engine_host *host, orphans_on_done *on_done, void *context, struct err *err)
{
	struct orphans *orphans = calloc(1, sizeof(*orphans));
	if (!orphans) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	orphans->host = host;
	orphans->on_done = on_done;
	orphans->context = context;
	orphans->ids = json_array();
	if (!orphans->ids || list(orphans, err)) {
		free_orphans(orphans);
		return NULL;
	}
	return orphans;
}

void orphans_cancel(struct orphans *orphans)
{
	if (!orphans)
		return;
	engine_cancel(orphans->call);
	for (size_t i = 0; i < AT_ONCE; i++)
		container_removal_cancel(orphans->places[i].removal);
	free_orphans(orphans);
}
