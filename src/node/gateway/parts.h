/* The gateway's own inside, shared by the files of this folder: gateway.c (listeners, who has not said a password yet),
 * slot.c (what is open, and what closes it), slot_end.c, session.c (one connection), commands.c (the table), pop.c,
 * transaction.c (MULTI), private_list.c (rule 6), exec.c (gridexec's), answers.c. For nobody else. */
#pragma once

#include "base/buf.h"
#include "net/awake.h"
#include "net/listener.h"
#include "net/resp.h"
#include "node/gateway/gateway.h"
#include "proto/write_commands.h"

#include <uv.h>

enum {
	REPLY_MAX = 64 * 1024 * 1024,   /* bytes of replies that a connection has not read */
	REPLY_HIGH = 256 * 1024,        /* from here on no more of its commands are read */
	BEHIND_MAX = 1024 * 1024,       /* bytes of replies that wait behind a pop */
	PIPELINE_MAX = 1024 * 1024,     /* bytes that wait behind a command that waits */
	TRANSACTION_MAX = 10 * 1000,    /* commands of one MULTI */
	TRANSACTION_BYTES = 16 * 1024 * 1024,
	TRANSACTION_POPS = 128,         /* pops in one MULTI */
	PRIVATE_LISTS_MAX = 64,         /* per slot */
	CONNECTIONS_MAX = 256,          /* per slot */
	STRANGER_BYTES = 64 * 1024,     /* of a connection that has not said its password */
	SLOT_BYTES = 128 * 1024 * 1024, /* of all connections of a slot: commands that wait, and replies */
};

struct gateway_session;

/* ---- pops ---- */

/* How a pop's answer looks. */
enum pop_form {
	POP_PAIR,    /* [key, item] */
	POP_ONE,     /* item */
	POP_MANY,    /* [item, …] */
	POP_KEYED,   /* [key, [item, …]] */
	POP_MOVED,   /* item, which goes into a private list */
	POP_NEXT,    /* [item, failures, …]: a batch for gridexec, as many as the hub has at once */
	POP_LLEN,    /* no pop at all: how many there are */
};

/* One pop, as its command says. */
struct pop_request {
	enum pop_form form;
	size_t max;
	bool blocking;
	bool elsewhere;      /* none of its keys is the input queue: there is never anything */
	int64_t timeout_ms;  /* of a blocking one; 0: none */
	char *list;          /* of POP_MOVED: owned */
	size_t list_len;
	bool at_head;        /* of POP_MOVED */
	size_t offset;       /* in a MULTI: where its answer stands in the replies */
};

/*   NONE --command--> ARRIVED --all read dry, closed what it closes--> WAITING --items--> GRANTED --all read dry--> NONE
 *                        +--------------- items are here ---------------------> NONE
 *   WAITING --timeout: nil--> NONE                       in every state: the connection ends: NONE, granted items go back */
enum pop_state { POP_NONE, POP_ARRIVED, POP_WAITING, POP_GRANTED };

struct pop {
	enum pop_state state;
	struct pop_request *requests; /* more than one only in a MULTI */
	size_t request_count;
	struct pop_request single;    /* where requests points otherwise */
	bool in_transaction;
	size_t replies;               /* of a MULTI: elements of its answer */
	struct buf around;            /* of a MULTI: the answers to its other commands */
	bool blocking;
	int64_t timeout_ms;
	struct item_list granted;
	int64_t half_until_ms;        /* until when a half-received command is waited for; 0: not yet */
	struct item_want want;
	struct gateway_session *next; /* among the slot's pops that are ARRIVED or GRANTED */
};

/* ---- connections ---- */

struct gateway_session {
	struct gateway *gateway;
	struct gateway_slot *slot;       /* NULL: has not said its password */
	struct gateway_slot *only;       /* came by this slot's own listener */
	struct listener *listener;       /* that it came by; NULL: gone */
	struct gateway_session *next, *prev; /* of its slot's, or of those without one */
	int fd;
	uv_poll_t poll;
	uv_timer_t timer;
	unsigned handles;
	int events;                      /* that poll watches */
	int64_t came_ms;
	struct resp_reader *reader;
	struct resp_message *held;       /* a command that must wait for the pop before it */
	struct buf out;                  /* replies; sent is how many bytes of it have left */
	size_t sent;
	struct buf behind;               /* replies to what came behind a pop that waits */
	struct pop pop;
	uint64_t last_wrote;             /* number of the slot's write that it made last; 0: none */
	uint64_t last_loose;             /* the same, while it had nothing open itself */
	bool dry;                        /* its last read found the end */
	bool ended;                      /* the peer has closed; what it sent before is still carried out */
	bool quitting;                   /* after the replies are sent */
	bool closed;
	bool given_up;                   /* the rest of its half command was waited for in vain */
	bool hung_up;                    /* the peer is known to have closed; what it sent may still be unread */
	bool undelivered;                /* the send that failed had not sent a byte */

	/* MULTI. */
	bool in_multi, multi_aborted;
	struct resp_message **queued;
	size_t queued_count, queued_capacity, queued_bytes, queued_pops;
	bool in_exec;                    /* its commands are being carried out */
	struct item_list exec_done;      /* what they close, at their end */
};

/* ---- slots ---- */

struct private_list {
	struct private_list *next;
	char *name;
	size_t name_len;
	struct item **items;             /* head first */
	size_t count, capacity;
};

struct gateway_slot {
	struct gateway *gateway;
	struct gateway_slot *next, *prev;
	struct gateway_slot_options options;
	char *input_queue, *output_queue;
	char *exec;                      /* of tasks with exec: what gridexec is told; NULL: an ordinary worker */
	size_t input_len;
	char subject[160];
	char password[44];
	struct write_targets targets;
	struct item_taker taker;
	struct listener *listener;
	struct gateway_session *sessions;
	size_t session_count;
	struct gateway_session *first_pop, *last_pop;
	struct item_list open;
	struct writes kept;
	uint64_t written;                /* writes made since the slot's start */
	int64_t gone_ms;                 /* when a connection ended last, and the last loose write of those that ended then */
	uint64_t gone_wrote;
	bool too_large;                  /* the result that is being kept has passed its cap */
	struct private_list *lists;
	size_t list_count;
	uint64_t stream_ms, stream_seq;  /* of the last id given to an XADD */
	bool stepping, draining, ending;
	bool worked;                     /* an item was finished since the slot's start */
	bool entered;                    /* somebody has said the password */
	bool told_concurrent, told_timeout;
	void (*on_idle)(void *context);
	uv_timer_t timer;                /* item_timeout, half-received commands, on_idle */
	int64_t due_ms;
};

struct gateway {
	uv_loop_t *loop;
	struct listener *listener;
	struct gateway_slot *slots;
	struct gateway_session *strangers; /* newest first */
	size_t stranger_count;
	uv_timer_t timer;
	struct awake awake;              /* workers answer at once, mostly */
	bool closing;
};

/* gateway.c */
void gateway_add_connection(struct gateway *gateway, struct gateway_slot *only, struct listener *listener, int fd);
struct gateway_slot *gateway_find_slot(struct gateway *gateway, const struct gateway_session *session, const char *password,
				       size_t len);
int gateway_open_listener(struct gateway *gateway, struct gateway_slot *only, int fd, unsigned max,
			  struct listener **listener, struct err *err) MUST_CHECK;

/* session.c */
struct gateway_session *session_new(struct gateway *gateway, int fd);
void session_link(struct gateway_session **list, struct gateway_session *session);
void session_unlink(struct gateway_session **list, struct gateway_session *session);
void session_close(struct gateway_session *session);
/* Reads all that is there, and carries out what may be. A pop is put among the slot's. */
void session_read(struct gateway_session *session);
/* What was read already. */
void session_run(struct gateway_session *session);
void session_flush(struct gateway_session *session);
bool session_is_half(const struct gateway_session *session);
/* Where the reply to the command at hand goes. */
struct buf *session_reply(struct gateway_session *session);
/* The pop is answered: `reply` goes out, then what waited behind it. */
void session_answer(struct gateway_session *session, struct buf *reply);
void session_clear_pop(struct gateway_session *session);
/* The slot now is to be looked at, as after a read. */
void session_turn(struct gateway_session *session);

/* slot.c */
void slot_step(struct gateway_slot *slot, const struct gateway_session *just_read);
void slot_add_pop(struct gateway_slot *slot, struct gateway_session *session);
void slot_remove_pop(struct gateway_slot *slot, struct gateway_session *session);
void slot_session_gone(struct gateway_slot *slot, struct gateway_session *session);
void slot_close_items(struct gateway_slot *slot, struct item_list *done);
void slot_return_items(struct gateway_slot *slot, struct item_list *items);
/* Read all connections, and carry out what may be; false while a command is half received. */
bool slot_read_dry(struct gateway_slot *slot, const struct gateway_session *just_read);
void slot_fail_items(struct gateway_slot *slot, struct item_list *items, const char *reason, const struct gateway_end *end);
/* 0, or what the worker is told. */
int slot_write(struct gateway_slot *slot, struct gateway_session *session, const struct write_arg *args, size_t count,
	       struct err *err) MUST_CHECK;
/* What is open on this connection has failed, together; what was written for it is dropped. */
void slot_fail_open(struct gateway_slot *slot, const struct gateway_session *session, const char *reason,
		    const struct gateway_end *end);
void slot_schedule(struct gateway_slot *slot, int64_t at_ms);
void slot_check_idle(struct gateway_slot *slot);

/* evidence.c */
void evidence_of_write(struct gateway_slot *slot, struct gateway_session *session);
/* The session ends: its items have none any more. */
void evidence_of_end(struct gateway_slot *slot, const struct gateway_session *session);
/* Of an item whose session is gone. */
bool evidence_is_there(const struct item *item);
/* Of any item, when the worker has exited by itself. */
bool evidence_is_there_at_exit(const struct gateway_slot *slot, const struct item *item);

/* commands.c */
/* Whether it must wait for a pop before it. */
bool command_waits(const struct gateway_session *session, const struct resp_value *message);
/* Carries it out: its reply is written, or it has become the session's pop. */
void command_run(struct gateway_session *session, const struct resp_value *message);
/* One command of a MULTI. */
void command_run_queued(struct gateway_session *session, const struct resp_value *message);

/* pop.c: what kind of pop the message is; an error is what the worker is told. */
bool pop_is(const struct resp_value *message);
int pop_parse(const struct gateway_slot *slot, const struct resp_value *message, struct pop_request *request,
	      struct err *err) MUST_CHECK;
/* IDM NEXT <max> */
int pop_parse_next(const struct resp_value *max, struct pop_request *request, struct err *err) MUST_CHECK;
void pop_request_done(struct pop_request *request);
void pop_begin(struct gateway_session *session, struct pop_request *request);
/* The answer to one request, out of the granted items; they go over to `open`. */
int pop_form(struct gateway_slot *slot, const struct pop_request *request, struct item_list *granted, size_t reserve,
	     struct item_list *opened, struct buf *reply) MUST_CHECK;

/* transaction.c */
void transaction_begin(struct gateway_session *session, struct buf *reply);
void transaction_queue(struct gateway_session *session, const struct resp_value *message, struct buf *reply);
void transaction_exec(struct gateway_session *session, struct buf *reply);
void transaction_discard(struct gateway_session *session);

/* private_list.c */
struct private_list *private_list_find(const struct gateway_slot *slot, const char *name, size_t len);
int private_list_add(struct gateway_slot *slot, const struct pop_request *request, struct item *item) MUST_CHECK;
void private_list_forget(struct gateway_slot *slot, struct item *item);
void private_lists_done(struct gateway_slot *slot);
/* LMOVE and its kin out of such a list; from_head, to_head: LEFT. */
void private_list_move(struct gateway_session *session, struct private_list *list, const struct resp_value *to,
		       bool from_head, bool to_head, struct buf *reply);
void private_list_lrem(struct gateway_session *session, const struct resp_value *message, struct buf *reply);
void private_list_lrange(struct gateway_session *session, const struct resp_value *message, struct buf *reply);
void private_list_del(struct gateway_session *session, const struct resp_value *message, struct buf *reply);

/* exec.c: IDM … */
void exec_run(struct gateway_session *session, const struct resp_value *message, struct buf *reply);

/* answers.c: replies never fail but for memory or a peer that does not read: the session ends then. */
void answer_status(struct gateway_session *session, struct buf *reply, const char *text);
void answer_error(struct gateway_session *session, struct buf *reply, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void answer_integer(struct gateway_session *session, struct buf *reply, int64_t integer);
void answer_bulk(struct gateway_session *session, struct buf *reply, const char *bytes, size_t len);
void answer_nil(struct gateway_session *session, struct buf *reply);
void answer_array(struct gateway_session *session, struct buf *reply, size_t count);
void answer_unsupported(struct gateway_session *session, struct buf *reply, const struct resp_value *message,
			const char *why);
