/* Owns the way to the pause program's image: one call at a time, whoever waits. Called by places. Never pulls: an image
 * with that name that a registry, or a task, brought here has other content, and ours takes its name.
 *
 *   IDLE ──want──> LOOKING (GET image) ──there, and ours──────────> all told, IDLE
 *                     │ not there, or another                          ^
 *                     └──────────> MAKING (POST create?fromSrc) ───────┘
 *
 * What can go wrong: two agents make it at the same moment: the same content, the later one keeps the name. Somebody
 * removes it: made again for the next place, since every place looks. An engine that names layers in another way:
 * believed once it was made by this run. */
#include "node/runtime/pause_image.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "node/runtime/tar.h"
#include "pause_program.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum {
	ARCHIVE_MAX = 4 * 1024 * 1024,
	NAME_DIGITS = 16,
	LOOK_TIMEOUT_MS = 30000,
	MAKE_TIMEOUT_MS = 60000,
	PROGRAM_MODE = 0755,
	GATE_MODE = 0755,
	LOG_BYTES = 256,
};

#define REPOSITORY "idm-gridcore/pause"

int pause_image_archive(struct buf *archive, char digest[PAUSE_DIGEST_SIZE])
{
	int rc = tar_add_directory(archive, "gate/", GATE_MODE);
	if (rc == 0)
		rc = tar_add_file(archive, "pause", PROGRAM_MODE, embedded_pause, embedded_pause_len);
	if (rc == 0)
		rc = tar_finish(archive);
	if (rc)
		return ERR_NOMEM;
	unsigned char sum[SHA256_DIGEST_LENGTH];
	(void)SHA256((const unsigned char *)archive->data, archive->len, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		(void)snprintf(digest + 2 * i, 3, "%02x", sum[i]);
	return 0;
}

static void name_after(const char *digest, char name[PAUSE_IMAGE_NAME_SIZE])
{
	(void)snprintf(name, PAUSE_IMAGE_NAME_SIZE, REPOSITORY ":%.*s", NAME_DIGITS, digest);
}

void pause_image_name(char name[PAUSE_IMAGE_NAME_SIZE])
{
	struct buf archive;
	char digest[PAUSE_DIGEST_SIZE] = "none";
	buf_init(&archive, ARCHIVE_MAX);
	/* Without memory a name that no image has: what is asked for next fails too. */
	(void)!pause_image_archive(&archive, digest);
	buf_done(&archive);
	name_after(digest, name);
}

/* ---- telling ---- */

/* Who is told may withdraw others, or close the runtime, which withdraws all. */
static void tell_all(struct engine_host *host, const struct err *err)
{
	struct err why = {0};
	if (err)
		why = *err;
	while (host->pause_image.wishes) {
		struct pause_image_wish *wish = host->pause_image.wishes;
		pause_image_withdraw(wish);
		wish->on_done(wish->context, err ? &why : NULL);
	}
}

static void fail(struct engine_host *host, const struct err *err)
{
	struct err why = *err;
	(void)err_wrap(&why, "the image of the gateway's listener cannot be made");
	tell_all(host, &why);
}

/* ---- MAKING ---- */

static void look(struct engine_host *host);

/* 200 is no success yet: the look tells. What the stream says of an error is for those who search. */
static void on_stream(void *context, const char *bytes, size_t len)
{
	(void)context;
	log_debug("runtime", "the engine makes the pause image: %.*s", (int)(len < LOG_BYTES ? len : LOG_BYTES), bytes);
}

static void on_made(void *context, const struct engine_answer *answer)
{
	struct engine_host *host = context;
	host->pause_image.call = NULL;
	if (answer->err) {
		fail(host, answer->err);
		return;
	}
	host->pause_image.made = true;
	host->pause_image.just_made = true;
	look(host);
}

static int make_path(const char *digest, struct buf *path)
{
	char name[PAUSE_IMAGE_NAME_SIZE];
	name_after(digest, name);
	int rc = buf_printf(path, "/images/create");
	if (rc == 0)
		rc = engine_query(path, "fromSrc", "-");
	if (rc == 0)
		rc = engine_query(path, "repo", REPOSITORY);
	return rc ? rc : engine_query(path, "tag", strchr(name, ':') + 1);
}

static void make(struct engine_host *host, const struct buf *archive, const char *digest)
{
	struct err err = {0};
	struct buf path;
	buf_init(&path, 1024);
	if (make_path(digest, &path)) {
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	} else {
		struct engine_request request = {
			.method = "POST",
			.path = buf_text(&path),
			.archive = archive->data,
			.archive_len = archive->len,
			.timeout_ms = MAKE_TIMEOUT_MS,
			.context = host,
			.on_data = on_stream,
			.on_answer = on_made,
		};
		host->pause_image.call = engine_start(host->engine, &request, &err);
	}
	buf_done(&path);
	if (!host->pause_image.call)
		fail(host, &err);
}

/* ---- LOOKING ---- */

/* An image of one layer, whose digest is that of our archive. */
static bool has_our_layer(const json_t *image, const char *digest)
{
	static const char ALGORITHM[] = "sha256:";
	const json_t *layers = json_object_get(json_object_get(image, "RootFS"), "Layers");
	const char *layer = json_string_value(json_array_get(layers, 0));
	return json_array_size(layers) == 1 && layer && strncmp(layer, ALGORITHM, strlen(ALGORITHM)) == 0 &&
	       strcmp(layer + strlen(ALGORITHM), digest) == 0;
}

static void on_looked(void *context, const struct engine_answer *answer)
{
	struct engine_host *host = context;
	char digest[PAUSE_DIGEST_SIZE];
	struct buf archive;
	struct err err = {0};
	bool just_made = host->pause_image.just_made;
	host->pause_image.just_made = false;
	host->pause_image.call = NULL;
	buf_init(&archive, ARCHIVE_MAX);
	if (pause_image_archive(&archive, digest))
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else if (answer->err && answer->status != 404)
		err = *answer->err;
	else if (answer->err && just_made)
		(void)err_set(&err, ERR_NOT_FOUND, "the engine took it, but does not have it");

	if (err.code)
		fail(host, &err);
	else if (!answer->err && (host->pause_image.made || has_our_layer(answer->json, digest)))
		tell_all(host, NULL);
	else
		make(host, &archive, digest);
	buf_done(&archive);
}

static void look(struct engine_host *host)
{
	char name[PAUSE_IMAGE_NAME_SIZE];
	char path[PAUSE_IMAGE_NAME_SIZE + 32];
	struct err err;
	pause_image_name(name);
	(void)snprintf(path, sizeof(path), "/images/%s/json", name);
	struct engine_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = LOOK_TIMEOUT_MS,
		.context = host,
		.on_answer = on_looked,
	};
	host->pause_image.call = engine_start(host->engine, &request, &err);
	if (!host->pause_image.call)
		fail(host, &err);
}

/* ---- the caller's side ---- */

void pause_image_want(struct engine_host *host, struct pause_image_wish *wish)
{
	wish->host = host;
	DL_APPEND(host->pause_image.wishes, wish);
	if (!host->pause_image.call)
		look(host);
}

void pause_image_withdraw(struct pause_image_wish *wish)
{
	if (!wish->host)
		return;
	DL_DELETE(wish->host->pause_image.wishes, wish);
	wish->host = NULL;
}

void pause_image_drop(struct engine_host *host)
{
	while (host->pause_image.wishes)
		pause_image_withdraw(host->pause_image.wishes);
	engine_cancel(steal(host->pause_image.call));
	host->pause_image.just_made = false;
}
