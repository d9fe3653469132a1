#include "scripted_runtime.h"

#include "base/text.h"

#include <assert.h>
#include <string.h>

static void note_url(struct worker *worker, const struct worker_spec *spec)
{
	static const char NAME[] = "INPUT_REDIS_URL=";
	for (size_t i = 0; spec->env && spec->env[i]; i++) {
		if (strncmp(spec->env[i], NAME, sizeof(NAME) - 1) == 0)
			text_copy(worker->url, sizeof(worker->url), spec->env[i] + sizeof(NAME) - 1);
	}
}

static struct worker *start(struct runtime *runtime, const struct worker_spec *spec, const struct worker_events *events,
			    struct err *err)
{
	if (runtime->refuse_start) {
		(void)err_set(err, ERR_NOMEM, "refused by the script");
		return NULL;
	}
	assert(runtime->worker_count < SCRIPTED_WORKERS_MAX);
	struct worker *worker = &runtime->workers[runtime->worker_count++];
	assert(!spec->place || (!spec->place->gone && !spec->place->closed));
	*worker = (struct worker){.events = *events, .place = spec->place};
	note_url(worker, spec);
	text_copy(worker->name, sizeof(worker->name), spec->name);
	text_copy(worker->image, sizeof(worker->image), spec->image);
	text_copy(worker->cpus, sizeof(worker->cpus), spec->cpus);
	return worker;
}

static void signal_worker(struct worker *worker, enum worker_signal signal)
{
	assert(!worker->gone);
	if (signal == WORKER_KILL)
		worker->killed++;
	else
		worker->terminated++;
}

static void remove_worker(struct worker *worker)
{
	assert(!worker->gone);
	worker->removed++;
}

static struct image_call *prepare_image(struct runtime *runtime, const char *image, const char *platform,
					const struct image_events *events, struct err *err)
{
	(void)platform;
	(void)err;
	assert(runtime->image_count < SCRIPTED_IMAGES_MAX);
	struct image_call *call = &runtime->images[runtime->image_count++];
	*call = (struct image_call){.events = *events};
	text_copy(call->image, sizeof(call->image), image);
	return call;
}

static void cancel_image(struct image_call *call)
{
	if (call)
		call->cancelled = true;
}

static struct place *open_place(struct runtime *runtime, const struct place_spec *spec, const struct place_events *events,
				struct err *err)
{
	if (runtime->refuse_place) {
		(void)err_set(err, ERR_NOMEM, "refused by the script");
		return NULL;
	}
	assert(runtime->place_count < SCRIPTED_PLACES_MAX);
	struct place *place = &runtime->places[runtime->place_count++];
	*place = (struct place){.events = *events, .outbound = spec->outbound};
	text_copy(place->name, sizeof(place->name), spec->name);
	return place;
}

static const char *place_address(const struct place *place)
{
	assert(!place->gone);
	return "127.0.0.1:6379";
}

static void close_place(struct place *place)
{
	assert(!place->gone);
	place->closed++;
}

const struct runtime_ops scripted_runtime = {
	.name = "scripted",
	.noun = "worker",
	.prepare_image = prepare_image,
	.cancel_image = cancel_image,
	.start = start,
	.signal = signal_worker,
	.remove = remove_worker,
};

const struct runtime_ops scripted_runtime_with_places = {
	.name = "scripted",
	.noun = "worker",
	.prepare_image = prepare_image,
	.cancel_image = cancel_image,
	.start = start,
	.signal = signal_worker,
	.remove = remove_worker,
	.open_place = open_place,
	.place_address = place_address,
	.close_place = close_place,
};

void script_started(struct worker *worker)
{
	worker->events.on_started(worker->events.context, NULL);
}

void script_start_failed(struct worker *worker, enum err_code code, const char *text)
{
	struct err err;
	(void)err_set(&err, code, "%s", text);
	worker->events.on_started(worker->events.context, &err);
}

void script_exited(struct worker *worker, int status)
{
	const struct worker_exit result = {.status = status, .log_tail = status ? "last words\n" : ""};
	worker->events.on_exit(worker->events.context, &result);
}

void script_removed(struct worker *worker)
{
	assert(worker->removed > 0);
	worker->gone = true;
	worker->events.on_removed(worker->events.context, NULL);
}

void script_image_ready(struct image_call *call)
{
	assert(!call->cancelled && !call->done);
	call->done = true;
	call->events.on_done(call->events.context, NULL);
}

void script_image_failed(struct image_call *call, const char *text)
{
	struct err err;
	assert(!call->cancelled && !call->done);
	call->done = true;
	(void)err_set(&err, ERR_NOT_FOUND, "%s", text);
	call->events.on_done(call->events.context, &err);
}

void script_place_listening(struct place *place, int fd)
{
	assert(!place->closed);
	place->events.on_listening(place->events.context, fd);
}

void script_place_lost(struct place *place, const char *text)
{
	struct err err;
	assert(!place->closed);
	(void)err_set(&err, ERR_UNREACHABLE, "%s", text);
	place->events.on_lost(place->events.context, &err);
}

void script_place_closed(struct place *place)
{
	assert(place->closed > 0);
	place->gone = true;
	place->events.on_closed(place->events.context, NULL);
}
