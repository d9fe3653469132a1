/* RESP2, the protocol of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/): bytes in, messages out;
 * and the writing of replies and commands. Pure: no sockets, no logging.
 *
 * A reader gives one message at a time:
 *
 *     rc = resp_reader_feed(reader, bytes, len, &err);
 *     while (!rc && !(rc = resp_reader_next(reader, &value, &err)) && value)
 *             use(value);
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RESP_MAX_DEPTH = 7 }; /* of arrays in arrays; what every release of hiredis takes */

/* What a peer may send. Passing one is ERR_TOO_BIG, known from the announcement: nothing is allocated for it. */
struct resp_limits {
	bool requests_only;   /* from workers: arrays of bulk strings, nothing else */
	unsigned max_depth;   /* of arrays in arrays, up to RESP_MAX_DEPTH; 0 refuses arrays */
	size_t max_elements;  /* of one array */
	size_t max_values;    /* of one message, arrays counted too */
	size_t max_bulk;      /* bytes of one bulk string */
	size_t max_line;      /* bytes of one simple string or error */
	size_t max_message;   /* bytes of one message on the wire */
	size_t max_pipelined; /* bytes behind the message that is being read */
};

extern const struct resp_limits RESP_LIMITS_REQUESTS; /* what workers send to a gateway */
extern const struct resp_limits RESP_LIMITS_REPLIES;  /* what Redis answers */

enum resp_type {
	RESP_NIL,     /* a nil bulk or a nil array */
	RESP_STATUS,  /* a simple string, as in +OK */
	RESP_ERROR,
	RESP_INTEGER,
	RESP_BULK,
	RESP_ARRAY,
};

struct resp_value {
	enum resp_type type;
	int64_t integer;                   /* RESP_INTEGER */
	const char *text;                  /* RESP_STATUS, RESP_ERROR, RESP_BULK: len bytes and a NUL behind; else "" */
	size_t len;
	const struct resp_value *elements; /* RESP_ARRAY: count of them; NULL for none */
	size_t count;
};

/* A message that outlives its reader. */
struct resp_message {
	const struct resp_value *value;
	size_t size; /* bytes of memory that it takes */
};

struct resp_reader;

/* limits must outlive the reader. NULL only without memory. */
struct resp_reader *resp_reader_new(const struct resp_limits *limits);
void resp_reader_free(struct resp_reader *reader);

/* Takes a copy. Take all messages out with resp_reader_next before feeding more; who must leave some in stops reading from
 * the peer meanwhile. ERR_TOO_BIG past max_message + max_pipelined; ERR_NOMEM. */
int resp_reader_feed(struct resp_reader *reader, const char *bytes, size_t len, struct err *err) MUST_CHECK;

/* The next message: 0 with *value set, valid until the next call with this reader; 0 with NULL when more bytes are
 * needed. Else ERR_PROTOCOL, ERR_TOO_BIG or ERR_NOMEM, again at every further call: the stream is of no use any more. The
 * error's text holds none of the peer's bytes. */
int resp_reader_next(struct resp_reader *reader, const struct resp_value **value, struct err *err) MUST_CHECK;

/* The message that resp_reader_next just gave, for keeps: resp_message_free it. NULL if there is none. Costs no copy. */
struct resp_message *resp_reader_take(struct resp_reader *reader);
void resp_message_free(struct resp_message *message);

/* Bytes fed that are in no message given out yet. */
size_t resp_reader_buffered(const struct resp_reader *reader);

/* Whether the value is a status, error or bulk with exactly this text. */
bool resp_is(const struct resp_value *value, const char *text);

/* The same whatever the case: command names come in either. */
bool resp_is_nocase(const struct resp_value *value, const char *text);

/* Each appends one value; errors are buf_add's, and the buffer is unchanged then. */
int resp_add_status(struct buf *buf, const char *text) MUST_CHECK; /* CR and LF in it become spaces */
int resp_add_error(struct buf *buf, const char *text) MUST_CHECK;  /* "ERR …", the same */
int resp_add_integer(struct buf *buf, int64_t integer) MUST_CHECK;
int resp_add_bulk(struct buf *buf, const void *bytes, size_t len) MUST_CHECK;
int resp_add_nil(struct buf *buf) MUST_CHECK;       /* $-1 */
int resp_add_nil_array(struct buf *buf) MUST_CHECK; /* *-1: a blocking pop that timed out, an EXEC that was given up */
int resp_add_array(struct buf *buf, size_t count) MUST_CHECK; /* the head; the elements follow */

/* A command as clients send it. lens NULL: strlen of each. */
int resp_add_command(struct buf *buf, size_t argc, const char *const *argv, const size_t *lens) MUST_CHECK;
