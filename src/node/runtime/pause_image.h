/* The image of the pause program (src/pause), which is part of gridnode: made on the engine by ourselves when it is not
 * there, so that no registry is asked. Its name tells its content. */
#pragma once

#include "node/runtime/engine_host.h"

enum { PAUSE_IMAGE_NAME_SIZE = 64, PAUSE_DIGEST_SIZE = 65 };

/* Where the program is in the image, and the directory where a place's folder is mounted. */
#define PAUSE_PROGRAM "/pause"
#define PAUSE_GATE "/gate"

/* Somebody who needs the image; part of what belongs to him. */
struct pause_image_wish {
	void *context;
	/* err NULL: it is there. Once, unless withdrawn; from inside pause_image_want only where nothing can be asked. */
	void (*on_done)(void *context, const struct err *err);
	struct pause_image_wish *prev, *next; /* set by pause_image_want */
	struct engine_host *host;             /* not NULL: waits */
};

/* "idm-gridcore/pause:<16 digits>" */
void pause_image_name(char name[PAUSE_IMAGE_NAME_SIZE]);

/* The archive that the image is made of, and its SHA-256, by which an engine knows an image's layer. ERR_NOMEM. */
int pause_image_archive(struct buf *archive, char digest[PAUSE_DIGEST_SIZE]) MUST_CHECK;

/* Looks whether the image is there, with that content, and makes it if not: once for all who wait. */
void pause_image_want(struct engine_host *host, struct pause_image_wish *wish);

/* on_done does not come any more. Ignored where it does not wait. */
void pause_image_withdraw(struct pause_image_wish *wish);

/* The runtime closes: calls end, and nobody is told. */
void pause_image_drop(struct engine_host *host);
