/* The inside of a container's life, shared by the files that drive it: container.c (the machine and its end),
 * container_birth.c (until it runs), container_run.c (until it has ended), container_news.c (what events tell). Nobody else includes this. */
#pragma once

#include "base/backoff.h"
#include "node/runtime/container.h"
#include "node/runtime/container_inquest.h"
#include "node/runtime/container_removal.h"

enum { CONTAINER_ID_MAX = 128 };

/* What each state waits for:
 *
 *   QUEUED ──> CREATING ──> REGISTERING ──> STARTING ──> RUNNING ──> INQUEST ──> EXITED ─┐
 *                │   ^          │              │           │  ^        │  │              │
 *     name taken,│   │          │              │      wait │  └running─┘  │ no answer    │
 *     feature    v   │          │              │     broke v              v              │
 *     missing   CLEARING <──────┼──────────────┘         ADRIFT <─────────┘              │
 *                │              v                                                        │ remove()
 *                └───────────> FAILED ──────────────────────────────────────────────> REMOVING ──> GONE
 */
enum container_state {
	CONTAINER_QUEUED,      /* for the loop's next turn */
	CONTAINER_CREATING,    /* for the answer to create */
	CONTAINER_CLEARING,    /* for the removal of what stands in the way: another run's, or one made in vain */
	CONTAINER_REGISTERING, /* for the headers of wait */
	CONTAINER_STARTING,    /* for the answer to start */
	CONTAINER_RUNNING,     /* for the body of wait */
	CONTAINER_ADRIFT,      /* for the engine to come back, or a while */
	CONTAINER_INQUEST,     /* for what the engine knows of the end */
	CONTAINER_FAILED,      /* for remove(): never ran, on_started told why */
	CONTAINER_EXITED,      /* for remove(): on_exit told how */
	CONTAINER_REMOVING,    /* for the removal, for the engine to come back, or a while */
	CONTAINER_GONE,        /* for the loop to let go of the timers */
};

/* What the engine may have of us. */
enum made { MADE_NOTHING, MADE_PERHAPS, MADE };

enum { NO_SIGNAL = -1 };

/* A set of Linux' signals, 1 to 64: a bit for each. */
static inline uint64_t signal_bit(int signal)
{
	return signal >= 1 && signal <= 64 ? UINT64_C(1) << (signal - 1) : 0;
}

struct worker {
	struct engine_host *host;
	struct worker_events events;
	enum container_state state;
	uv_timer_t turn;  /* 0 ms: a wish is heard */
	uv_timer_t pause; /* how long a state waits at most, or until it tries again */
	int open_handles;

	char *name;
	char *platform;
	char *cpus;
	json_t *body;     /* of create */
	enum made made;
	char id[CONTAINER_ID_MAX];  /* while made is MADE */

	struct engine_call *call;  /* create or start */
	struct engine_call *wait;
	struct engine_call *kill;
	struct engine_call *look;  /* for the process to pin */
	struct container_removal *removal;
	struct container_inquest *inquest;

	bool exit_known;  /* wait told the status, perhaps before start was answered */
	int exit_status;
	bool started_told;
	bool oom_seen;    /* an event told */
	bool events_awaited; /* INQUEST: those that may come after the end had their time */
	bool remove_wanted;
	bool waits_for_engine; /* REMOVING: nothing was asked, since it is away */
	int signal_wanted; /* the strongest that was not sent yet, or NO_SIGNAL */
	int signal_sending;
	uint64_t signals_seen; /* events told: a bit for each that anybody sent through the engine */
	uint64_t signals_sent; /* those of ours */
	unsigned name_taken;
	struct backoff backoff; /* of ADRIFT, CLEARING, REMOVING */
	struct worker *prev, *next;
};

/* Moves to a state (or into it anew) and does what is to be done there. May tell the owner, who may close everything:
 * whoever calls it from a callback returns at once, or looks at the state before it goes on. */
void container_enter(struct worker *worker, enum container_state state);

/* It will never run: tells the owner, or removes it at once if that is the wish. */
void container_fail(struct worker *worker, const struct err *err);
void container_fail_cancelled(struct worker *worker);

/* Sets how long the state waits; when it is over, container.c decides by the state what follows. */
void container_pause_for(struct worker *worker, int64_t ms);
void container_pause_longer(struct worker *worker);

/* A call about this container: "/containers/<id>/<suffix>". */
struct engine_call *container_call(struct worker *worker, const char *method, const char *suffix, int64_t timeout_ms,
				   void (*on_headers)(void *, int),
				   void (*on_answer)(void *, const struct engine_answer *), struct err *err);

/* container_birth.c */
void container_begin_creating(struct worker *worker);
void container_begin_clearing(struct worker *worker);
void container_begin_registering(struct worker *worker);
void container_give_up_registering(struct worker *worker);
void container_begin_starting(struct worker *worker);
bool container_open_wait(struct worker *worker, const char *condition, struct err *err);

/* container_run.c */
void container_begin_running(struct worker *worker);
void container_begin_inquest(struct worker *worker);
void container_send_signal(struct worker *worker);
