/* Owns the way from a container's name or id to its absence. Called by workers at their end, for a name that is taken,
 * and for what an earlier run left. Never tries twice: that is for its caller, who knows why and how long.
 *
 *   LOOKING (GET json: is it ours?) --yes--> REMOVING (DELETE) --> done, freed
 *      |                                         ^
 *      +--no, or not there--> done        not doubtful: starts here */
#include "node/runtime/container_removal.h"

#include <stdlib.h>
#include <string.h>

enum { LOOK_TIMEOUT_MS = 30000, REMOVE_TIMEOUT_MS = 120000, REFERENCE_MAX = 256 };

struct container_removal {
	struct engine_host *host;
	struct engine_call *call;
	container_removal_on_done *on_done;
	void *context;
	char reference[REFERENCE_MAX];
};

static void finish(struct container_removal *removal, const struct err *err)
{
	container_removal_on_done *on_done = removal->on_done;
	void *context = removal->context;
	free(removal);
	on_done(context, err);
}

/* What the engine's answer to the last call means for the whole. */
static void finish_with(struct container_removal *removal, const struct engine_answer *answer)
{
	if (!answer->err || answer->status == 404) {
		finish(removal, NULL);
		return;
	}
	struct err err = *answer->err;
	if (answer->status == 0)
		err.code = ERR_CANCELLED;
	else if (answer->status == 409 || strstr(err.text, "already in progress"))
		err.code = ERR_STATE;
	else if (err.code == ERR_EXISTS || err.code == ERR_STATE || err.code == ERR_CANCELLED)
		err.code = ERR_IO; /* those three have their own meaning here */
	finish(removal, &err);
}

static int call_engine(struct container_removal *removal, const char *method, const char *suffix, int64_t timeout_ms,
		       void (*on_answer)(void *, const struct engine_answer *), struct err *err)
{
	struct buf path;
	buf_init(&path, 2 * REFERENCE_MAX);
	int rc = buf_printf(&path, "/containers/%s%s", removal->reference, suffix);
	if (rc == 0) {
		struct engine_request request = {
			.method = method,
			.path = buf_text(&path),
			.timeout_ms = timeout_ms,
			.context = removal,
			.on_answer = on_answer,
		};
		removal->call = engine_start(removal->host->engine, &request, err);
	} else {
		(void)err_set(err, ERR_NOMEM, "out of memory");
	}
	buf_done(&path);
	return removal->call ? 0 : ERR_NOMEM;
}

static void on_removed(void *context, const struct engine_answer *answer)
{
	struct container_removal *removal = context;
	removal->call = NULL;
	finish_with(removal, answer);
}

static int begin_removing(struct container_removal *removal, struct err *err)
{
	return call_engine(removal, "DELETE", "?force=1&v=1", REMOVE_TIMEOUT_MS, on_removed, err);
}

static void on_looked(void *context, const struct engine_answer *answer)
{
	struct container_removal *removal = context;
	removal->call = NULL;
	if (answer->err) {
		finish_with(removal, answer);
		return;
	}
	struct err err = {0};
	const char *id = json_string_value(json_object_get(answer->json, "Id"));
	const json_t *labels = json_object_get(json_object_get(answer->json, "Config"), "Labels");
	if (!engine_host_owns(removal->host, labels)) {
		(void)err_set(&err, ERR_EXISTS,
			      "a container with the name %s is there already and was not made by this node: rename or "
			      "remove it",
			      removal->reference);
		finish(removal, &err);
		return;
	}
	/* What was looked at is removed, not what may have got its name since. */
	if (engine_is_name(id) && strlen(id) < REFERENCE_MAX)
		memcpy(removal->reference, id, strlen(id) + 1);
	if (begin_removing(removal, &err))
		finish(removal, &err);
}

struct container_removal *container_removal_start(struct engine_host *host, const char *reference, bool doubtful,
						  container_removal_on_done *on_done, void *context, struct err *err)
{
	struct container_removal *removal = calloc(1, sizeof(*removal));
	if (!removal || !engine_is_name(reference) || strlen(reference) >= REFERENCE_MAX) {
		(void)err_set(err, removal ? ERR_INVALID : ERR_NOMEM,
			      removal ? "the container has an impossible name" : "out of memory");
		free(removal);
		return NULL;
	}
	removal->host = host;
	removal->on_done = on_done;
	removal->context = context;
	memcpy(removal->reference, reference, strlen(reference) + 1);
	int rc = doubtful ? call_engine(removal, "GET", "/json", LOOK_TIMEOUT_MS, on_looked, err)
			  : begin_removing(removal, err);
	if (rc) {
		free(removal);
		return NULL;
	}
	return removal;
}

void container_removal_cancel(struct container_removal *removal)
{
	if (!removal)
		return;
	engine_cancel(removal->call);
	free(removal);
}
