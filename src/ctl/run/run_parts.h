/* A run under way: what run and attach share. For the files of run/ alone.
 *
 *   WORKING --all items have ended, and their results are here--> FINISHED
 *      |    --somebody else ended the task----------------------> ENDED
 *      |    --Ctrl-C, and no wish to cancel it; SIGTERM---------> LEFT      the task goes on; attach comes back to it
 *      |    --Ctrl-C, and "cancel"------------------------------> CANCELLED
 *      |    --the hub says no, or nothing can be written--------> FAILED    (from FINISHED and ENDED, too)
 *      +--> HALTING (--halt soon: what runs may end) -----------> HALTED
 *
 * Whatever it was, what has been received is written and acknowledged before the end (run_flow.c: settle). */
#pragma once

#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/items_push.h"
#include "ctl/live_line.h"
#include "ctl/question.h"
#include "ctl/rate.h"
#include "ctl/results_read.h"
#include "ctl/run/halt.h"
#include "ctl/run/run_input.h"
#include "ctl/run/run_options.h"
#include "ctl/run/run_result.h"
#include "ctl/run/run_state.h"
#include "ctl/run/sink.h"
#include "ctl/run/tracker.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum run_phase {
	RUN_WORKING,
	RUN_HALTING,
	RUN_FINISHED,
	RUN_ENDED,
	RUN_LEFT,
	RUN_CANCELLED,
	RUN_HALTED,
	RUN_FAILED,
};

enum { FAILURES_TOLD = 20, REASON_MAX = 240, RUN_NAME_SIZE = 129 };

/* What the hub said of the task, a moment ago. */
struct run_look {
	bool known;
	char status[16];
	char blocked[200];    /* why nothing can go on; "" */
	char behind[140];     /* the task that runs instead; "" */
	int64_t ahead;        /* tasks that come before this one; 0: none, or not known */
	int64_t waiting, leased, done, dead;
	bool numbers;         /* these are known */
	bool paused;
	int64_t nodes;        /* online; -1: not known */
	int64_t serial;       /* grows with each look */
};

struct run_failure {
	int64_t seq;
	char text[REASON_MAX];
};

struct run {
	struct ctl *ctl;
	const struct run_output_options *output;
	const char *name;
	const char *const *command; /* with its placeholders; NULL where it is not known */
	size_t command_len;
	enum result_layout layout;
	bool attached;              /* earlier results may be gone: the hub's counts decide when all is done */
	bool resume_log;            /* the job log goes on (--resume) */
	int64_t before_count;       /* items that it has already */
	struct halt halt;
	struct run_input input;
	struct tracker tracker;
	char push_id[PUSH_ID_SIZE]; /* the task's one push: its own id, as the hub gave it */
	struct items_push *push;
	bool push_done;
	int64_t pushed;             /* attached: items that the hub has */
	struct results_read *read;
	bool page_empty;            /* the last page had everything that there was … */
	int64_t page_serial;        /* … after this look */
	int64_t asked_serial;       /* the page that is under way was asked for after this look */
	bool page_complete;
	int64_t next_place;         /* of the next result */
	int joblog_fd;              /* -1: not open */
	struct sink *sink;
	struct run_state state;     /* what attach will need */
	int64_t state_saved_ms;

	enum run_phase phase;
	bool over;                  /* the phase is a last one: ctl_wait's flag */
	bool broken;                /* nothing more can be read or written */
	struct err err;             /* RUN_FAILED */
	bool hub_knows;             /* it was told of the end */
	bool given_up;              /* FAILED before an item was in: the task is cancelled */

	struct run_look look;
	int64_t halt_serial;        /* HALTING: looks from this one on know of it; 0: not yet */
	struct hub_call *pause_call;
	struct hub_call *look_call, *list_call, *nodes_call, *dead_call;
	uv_timer_t look_timer;
	int64_t nodes_ms, list_ms;  /* when they were asked last */
	json_t *hostnames;          /* node id → hostname */
	int64_t dead_read;          /* dead letters read so far */
	bool dead_changed;          /* they are to be read from the beginning */
	int64_t stuck_serial;
	int stuck;                  /* looks in a row that say it is done while results are missing */
	struct bits reported;       /* failures that the job log has */
	struct run_failure failures[FAILURES_TOLD];
	size_t failure_count;

	struct live_line live;
	struct rate rate;
	int64_t begun_ms;
	uv_signal_t signals[3];
	size_t signal_count;
	bool timer_open;
	struct question *question;
};

/* ---- run_flow.c ---- */

/* Runs everything from a registered task to its end, and says how it went. An exit status. */
int run_flow(struct run *run);

/* Decides whether it is over. Called after whatever changed. */
void run_consider(struct run *run);
void run_end(struct run *run, enum run_phase phase);
void run_fail(struct run *run, const struct err *err);
/* A result cannot be written: even when all have come the run has failed then, and the task stays, with what was not written. */
void run_fail_written(struct run *run, const struct err *err);

/* ---- run.c ---- */

/* The push's id follows from the task's, so that whoever attaches knows it. */
void run_name_push(struct run *run, json_t *task);

/* Frees what a run owns, but for itself. */
void run_done(struct run *run);

/* ---- run_results.c ---- */

/* What the job log says of one item. */
struct run_row {
	int64_t seq;
	const char *item;
	size_t item_len;
	const char *node;
	double started, seconds;
	size_t receive;
	int exit_status, signal;
};
/* Appends it, where there is a job log. */
int run_results_row(const struct run *run, struct buf *row, const struct run_row *what) MUST_CHECK;

/* The job log, where there is to be one; what it has stays until the run begins. */
int run_results_open_log(struct run *run, struct err *err) MUST_CHECK;

/* Opens sink and reader; results from `cursor` on. */
int run_results_begin(struct run *run, int64_t cursor, struct err *err) MUST_CHECK;
void run_results_more(struct run *run);
/* What is there is wanted now, if no page was asked for since that look: a call that the hub holds is not waited for. */
void run_results_hurry(struct run *run, int64_t serial);
void run_save_order(struct run *run);

/* ---- run_look.c ---- */

int run_look_begin(struct run *run) MUST_CHECK;
void run_look_end(struct run *run);
void run_show(struct run *run);

/* ---- run_dead.c ---- */

void run_dead_look(struct run *run);

/* ---- run_leave.c ---- */

int run_signals_begin(struct run *run) MUST_CHECK;
void run_signals_end(struct run *run);
void run_halt_look(struct run *run);

/* ---- run_report.c ---- */

/* The last words; the exit status. */
int run_report(struct run *run);
