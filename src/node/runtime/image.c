/* Owns the way from an image's name to an image on this machine that fits it. Called through the operations table, once
 * per task and node. Never believes a pull: what counts is that the engine shows the image afterwards.
 *
 *   QUEUED ──> LOOKING ──it is here and fits, or cannot be asked for──> OVER
 *                 │  ^                                                    ^
 *      absent, or │  └──the stream ended without an error──┐              │
 *     does not fit└────────────────────────────────────> PULLING ─────────┘ an error, or silence for too long
 *
 * What can go wrong: the registry is unreachable, refuses, or does not know the tag (a status, or "error" in a stream
 * with status 200: both are read); the connection to it hangs (no message for PULL_SILENCE_MS); the image is made for
 * another platform (found by looking, since no engine says so at the pull); the engine dies (the call's own error). */
#include "node/runtime/image.h"

#include "base/log.h"
#include "node/runtime/image_name.h"
#include "node/runtime/image_platform.h"
#include "node/runtime/json_lines.h"
#include "node/runtime/pull_progress.h"
#include "node/runtime/registry_auth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	LOOK_TIMEOUT_MS = 60000, /* a busy disk */
	PULL_SILENCE_MS = 5 * 60 * 1000,
	PULL_LINE_MAX = 256 * 1024,
};

enum image_state {
	IMAGE_QUEUED,  /* for the loop's next turn */
	IMAGE_LOOKING, /* for the engine's answer about the image */
	IMAGE_PULLING, /* for the end of the pull's stream */
	IMAGE_OVER,    /* for the loop to let go of the timer */
};

struct image_call {
	struct engine_host *host;
	struct image_events events;
	enum image_state state;
	struct image_name name;
	char platform[64];
	uv_timer_t timer; /* QUEUED: the next turn; PULLING: the silence */
	struct engine_call *call;
	struct json_lines lines;
	struct pull_progress progress;
	int told_percent;
	bool garbled; /* the stream cannot be read any further */
	bool pulled;
	struct err misfit; /* what is here is for another platform; code 0 while nothing is known of that */
	struct image_call *prev, *next;
};

static void look(struct image_call *image);

/* ---- ends ---- */

static void on_timer_closed(uv_handle_t *handle)
{
	struct image_call *image = handle->data;
	json_lines_done(&image->lines);
	free(image);
}

void image_cancel(struct image_call *image)
{
	if (!image || image->state == IMAGE_OVER)
		return;
	image->state = IMAGE_OVER;
	engine_cancel(image->call);
	image->call = NULL;
	DL_DELETE(image->host->images, image);
	uv_close((uv_handle_t *)&image->timer, on_timer_closed);
}

static void finish(struct image_call *image, const struct err *err)
{
	image_cancel(image);
	image->events.on_done(image->events.context, err);
}

static void fail(struct image_call *image, const struct err *err)
{
	struct err told = *err;
	if (image->misfit.code)
		told = image->misfit; /* why there was a pull at all */
	else
		(void)err_wrap(&told, "image %s", image->name.full);
	finish(image, &told);
}

/* ---- PULLING ---- */

static void tell_progress(struct image_call *image)
{
	if (image->progress.percent == image->told_percent)
		return;
	image->told_percent = image->progress.percent;
	if (image->events.on_progress)
		image->events.on_progress(image->events.context, image->progress.percent, image->progress.text);
}

static int on_message(void *context, json_t *message)
{
	struct image_call *image = context;
	pull_progress_add(&image->progress, message);
	tell_progress(image);
	return image->state == IMAGE_PULLING ? 0 : ERR_CANCELLED;
}

static void on_silence(uv_timer_t *timer)
{
	struct image_call *image = timer->data;
	struct err err;
	(void)err_set(&err, ERR_TIMEOUT,
		      "the pull made no progress for %d minutes: check the connection to the registry %s",
		      PULL_SILENCE_MS / 60000, image->name.registry);
	fail(image, &err);
}

static void on_pull_data(void *context, const char *bytes, size_t len)
{
	struct image_call *image = context;
	(void)uv_timer_start(&image->timer, on_silence, PULL_SILENCE_MS, 0);
	if (!image->garbled && json_lines_feed(&image->lines, bytes, len, on_message, image))
		image->garbled = true;
}

static void on_pull_over(void *context, const struct engine_answer *answer)
{
	struct image_call *image = context;
	image->call = NULL;
	(void)uv_timer_stop(&image->timer);
	if (answer->err) {
		fail(image, answer->err);
		return;
	}
	if (!image->garbled && json_lines_finish(&image->lines, on_message, image))
		image->garbled = true;
	if (image->state != IMAGE_PULLING)
		return; /* cancelled by on_progress */
	if (image->progress.err.code) {
		fail(image, &image->progress.err);
		return;
	}
	/* A stream that could not be read to its end may still have been a good pull. */
	image->pulled = true;
	look(image);
}

/* The header's value, or NULL: pull as anybody. */
static char *credentials_for(struct image_call *image)
{
	struct registry_auth auth;
	struct err err = {0};
	const char *registry = image->name.registry;
	if (registry_auth_load(&auth, registry, &err))
		engine_host_warn(image->host, "images of %s are pulled without credentials: %s", registry, err.text);
	else if (auth.helper)
		engine_host_warn(image->host,
				 "images of %s are pulled without credentials: docker's config names a credential "
				 "helper, which gridnode does not ask; log in without one (remove credsStore and "
				 "credHelpers, then docker login %s), or pull the image by hand",
				 registry, registry);
	return auth.header;
}

static int pull_path(const struct image_call *image, struct buf *path)
{
	int rc = buf_printf(path, "/images/create");
	if (rc == 0)
		rc = engine_query(path, "fromImage", image->name.repository);
	if (rc == 0)
		rc = engine_query(path, "tag", image->name.reference);
	if (rc == 0 && image->platform[0])
		rc = engine_query(path, "platform", image->platform);
	return rc;
}

static void pull(struct image_call *image)
{
	struct err err = {0};
	struct buf path;
	buf_init(&path, 4096);
	char *credentials = credentials_for(image);
	image->state = IMAGE_PULLING;
	if (pull_path(image, &path)) {
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	} else {
		struct engine_request request = {
			.method = "POST",
			.path = buf_text(&path),
			.registry_auth = credentials,
			.context = image,
			.on_data = on_pull_data,
			.on_answer = on_pull_over,
		};
		image->call = engine_start(image->host->engine, &request, &err);
	}
	free(credentials);
	buf_done(&path);
	if (!image->call) {
		fail(image, &err);
		return;
	}
	(void)uv_timer_start(&image->timer, on_silence, PULL_SILENCE_MS, 0);
	if (image->events.on_progress)
		image->events.on_progress(image->events.context, -1, "pulling");
}

/* ---- LOOKING ---- */

static void on_looked(void *context, const struct engine_answer *answer)
{
	struct image_call *image = context;
	struct err err = {0};
	image->call = NULL;
	image->misfit = err;
	if (!answer->err && image->platform[0] &&
	    image_platform_check(image->name.full, image->platform, answer->json, &err))
		image->misfit = err; /* the registry may have it for ours too */

	if (!answer->err && !image->misfit.code) {
		finish(image, NULL);
	} else if (!image->pulled && (image->misfit.code || answer->status == 404)) {
		pull(image);
	} else if (answer->status == 404) {
		(void)err_set(&err, ERR_NOT_FOUND, "the pull ended, but the image is not there%s%s",
			      image->progress.text[0] ? ": it stopped at " : "", image->progress.text);
		fail(image, &err);
	} else {
		fail(image, answer->err ? answer->err : &image->misfit);
	}
}

static void look(struct image_call *image)
{
	char path[IMAGE_NAME_MAX + 32];
	struct err err;
	(void)snprintf(path, sizeof(path), "/images/%s/json", image->name.full);
	struct engine_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = LOOK_TIMEOUT_MS,
		.context = image,
		.on_answer = on_looked,
	};
	image->state = IMAGE_LOOKING;
	image->call = engine_start(image->host->engine, &request, &err);
	if (!image->call)
		fail(image, &err);
}

/* ---- the caller's side ---- */

static void on_turn(uv_timer_t *timer)
{
	struct image_call *image = timer->data;
	if (image->host->ready)
		look(image);
	else
		fail(image, &image->host->lost);
}

struct image_call *image_prepare(struct engine_host *host, const char *text, const char *platform,
				 const struct image_events *events, struct err *err)
{
	struct image_call *image = calloc(1, sizeof(*image));
	if (!image) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (image_name_parse(text, &image->name, err)) {
		free(image);
		return NULL;
	}
	image->host = host;
	image->events = *events;
	image->told_percent = -1;
	(void)snprintf(image->platform, sizeof(image->platform), "%s", platform ? platform : "");
	json_lines_init(&image->lines, PULL_LINE_MAX);
	pull_progress_init(&image->progress);
	(void)uv_timer_init(host->loop, &image->timer);
	image->timer.data = image;
	DL_APPEND(host->images, image);
	(void)uv_timer_start(&image->timer, on_turn, 0, 0);
	return image;
}

void image_cancel_all(struct engine_host *host)
{
	while (host->images)
		image_cancel(host->images);
}
