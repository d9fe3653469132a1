/* What lies in tasks' output queues, as people read it: pages by number, and the removal of what was read. A task's results are
 * numbered from 0, in the order in which they were written, for ever: what was removed keeps its numbers.
 *
 *   asked --answered, with results--> done
 *     ^  \--none yet, and it may wait--> WAITING --they came, or the task has ended--> asked
 *     |                                      \--its deadline--> done, without results
 *     +--it was not known yet whether Redis answers
 *
 * Who waits costs one look a second for each task, and one more when the hub itself has brought results there. */
#pragma once

#include "base/err.h"
#include "hub/broker/redis_link.h"
#include "hub/task.h"
#include "net/resp.h"

#include <stdbool.h>
#include <stdint.h>

struct results;
struct results_reader;
struct results_call;

struct results_page {
	int64_t first;  /* number of the first result in it, or of the next one to come */
	int64_t next;   /* number behind the last one */
	int64_t total;  /* that were ever written */
	bool complete;  /* no further one will come, and this is the end */
	int64_t taken;  /* of a removal: so many are gone, from the oldest on; nothing else is defined then */
	const struct resp_value *results; /* an array of bulks; NULL: none */
};

enum results_writer { RESULTS_WRITER_LEFT, RESULTS_WRITER_RIGHT };

/* Owned by the asker until it is answered or abandoned. */
struct results_call {
	enum results_writer writer; /* at which end of the list workers write */
	bool take;                  /* remove what stands before the number `cursor`; else read from it on */
	int64_t cursor;
	int64_t max, bytes;         /* of the page */
	int64_t deadline_ms;        /* monotonic; until when it may wait for a first result; 0: not at all */
	void *context;
	/* page, valid until this returns; or err: Redis did not answer, or refused. */
	void (*answer)(struct results_call *call, const struct results_page *page, const struct err *err);

	/* The reader's. */
	struct results_reader *reader; /* NULL once it is answered */
	bool asked;                 /* of Redis, just now */
	bool waiting;               /* for results; neither: for the link */
	bool ended;                 /* the task had, when Redis was asked: its last result was there */
	struct results_call *prev, *next;
};

/* The links must outlive it. */
struct results *results_new(struct redis_links *links);
void results_free(struct results *results);

/* url: where the results of the task lie, which must have an output queue. False with err set where it cannot be asked;
 * never answered from inside. */
bool results_ask(struct results *results, const struct task *task, const char *url, struct results_call *call, struct err *err);
void results_abandon(struct results_call *call);

/* ---- what happens ---- */

void results_came(struct results *results, const struct task *task);
void results_task_ended(struct results *results, const struct task *task);
/* Its calls are answered ERR_CANCELLED. */
void results_task_forgotten(struct results *results, const struct task *task);
void results_link_changed(struct results *results, const struct redis_link *link);
/* Once a second. */
void results_tick(struct results *results, int64_t now_ms);
