/* Owns the reading of RESP2: the bytes of a peer until they make a message, and the message as a tree of values. Called by
 * the gateway's sessions, the Redis client and the readers of lease bodies; never sends, never logs.
 *
 * The scanner (resp_scan.c) finds the end of a message and holds the limits. Only a whole message that keeps to them goes
 * to hiredis' reader, which takes it apart; its values are built in one block, whose exact size the scanner counted. */
#include "net/resp.h"

#include "net/resp_scan.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { KEPT_BYTES = 64 * 1024 }; /* memory that an idle reader keeps at most, in each of its buffers */

const struct resp_limits RESP_LIMITS_REQUESTS = {
	.requests_only = true,
	.max_depth = 1,
	.max_elements = 1024 * 1024,
	.max_values = 1024 * 1024 + 1,
	.max_bulk = 64 * 1024 * 1024,
	.max_line = 64 * 1024,
	.max_message = 64 * 1024 * 1024 + 64 * 1024,
	.max_pipelined = 1024 * 1024,
};

const struct resp_limits RESP_LIMITS_REPLIES = {
	.max_depth = RESP_MAX_DEPTH,
	.max_elements = 4 * 1024 * 1024,
	.max_values = 4 * 1024 * 1024,
	.max_bulk = 128 * 1024 * 1024,
	.max_line = 64 * 1024,
	.max_message = 256 * 1024 * 1024,
	.max_pipelined = 1024 * 1024,
};

/* Messages and their values in one block: [block][values…][texts…]. */
struct block {
	struct resp_message message;
	size_t values_used;
	char *text; /* where the next one goes */
	struct resp_value values[];
};

struct resp_reader {
	const struct resp_limits *limits;
	struct buf buf;
	size_t start; /* of the message that is being read, in buf */
	struct resp_scan scan;
	redisReader *hiredis; /* NULL until the first message, and after a large one */
	struct block *block;  /* of the message that was given out last */
	struct err broken;    /* what every further call answers */
};

/* ---- what hiredis calls: one value each, in the order of the bytes ---- */

static struct resp_value *new_value(const redisReadTask *task, enum resp_type type)
{
	struct block *block = task->privdata;
	struct resp_value *value = block->values; /* the message itself */
	if (task->parent) {
		const struct resp_value *parent = task->parent->obj;
		size_t first = (size_t)(parent->elements - block->values);
		value = &block->values[first + (size_t)task->idx];
	}
	*value = (struct resp_value){.type = type, .text = ""};
	return value;
}

static void *create_string(const redisReadTask *task, char *bytes, size_t len)
{
	enum resp_type type = task->type == REDIS_REPLY_STRING   ? RESP_BULK
			      : task->type == REDIS_REPLY_STATUS ? RESP_STATUS
								 : RESP_ERROR;
	struct resp_value *value = new_value(task, type);
	struct block *block = task->privdata;
	memcpy(block->text, bytes, len);
	block->text[len] = '\0';
	value->text = block->text;
	value->len = len;
	block->text += len + 1;
	return value;
}

static struct resp_value *create_array_of(const redisReadTask *task, size_t count)
{
	struct block *block = task->privdata;
	struct resp_value *value = new_value(task, RESP_ARRAY);
	value->count = count;
	value->elements = count ? &block->values[block->values_used] : NULL;
	block->values_used += count;
	return value;
}

static void *create_integer(const redisReadTask *task, long long integer)
{
	struct resp_value *value = new_value(task, RESP_INTEGER);
	value->integer = integer;
	return value;
}

static void *create_nil(const redisReadTask *task)
{
	return new_value(task, RESP_NIL);
}

/* All of them live in the block. */
static void free_nothing(void *value)
{
	(void)value;
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t count)
{
	return create_array_of(task, count);
}
#else
static void *create_array(const redisReadTask *task, int count)
{
	return create_array_of(task, (size_t)count);
}
#endif

/* What RESP3 has besides stays NULL: the scanner lets none of it through. */
static redisReplyObjectFunctions functions = {
	.createString = create_string,
	.createArray = create_array,
	.createInteger = create_integer,
	.createNil = create_nil,
	.freeObject = free_nothing,
};

/* ---- messages ---- */

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

static struct block *block_new(const struct resp_scan *scan)
{
	size_t values_size = scan->values * sizeof(struct resp_value);
	size_t size = sizeof(struct block) + values_size + scan->text_bytes;
	struct block *block = malloc(size);
	if (!block)
		return NULL;
	block->message = (struct resp_message){.value = block->values, .size = size};
	block->values_used = 1;
	block->text = (char *)block->values + values_size;
	return block;
}

/* The whole message at start, as values. */
static int take_apart(struct resp_reader *reader, struct err *err)
{
	if (!reader->hiredis)
		reader->hiredis = redisReaderCreateWithFunctions(&functions);
	reader->block = block_new(&reader->scan);
	if (!reader->hiredis || !reader->block)
		return out_of_memory(err);

	reader->hiredis->privdata = reader->block;
	void *value = NULL;
	if (redisReaderFeed(reader->hiredis, reader->buf.data + reader->start, reader->scan.pos) != REDIS_OK)
		return out_of_memory(err);
	if (redisReaderGetReply(reader->hiredis, &value) != REDIS_OK || !value) {
		if (reader->hiredis->err == REDIS_ERR_OOM)
			return out_of_memory(err);
		return err_set(err, ERR_PROTOCOL, "a value that is not RESP2");
	}
	return 0;
}

/* The message that was read last has been used, and its bytes are in the block. */
static void finish_message(struct resp_reader *reader)
{
	if (reader->scan.pos > KEPT_BYTES && reader->hiredis) {
		redisReaderFree(reader->hiredis);
		reader->hiredis = NULL;
	}
	reader->start += reader->scan.pos;
	resp_scan_init(&reader->scan, reader->limits);
}

/* Moves what is not read yet to the front; an empty buffer that grew large is given back. */
static void compact(struct resp_reader *reader)
{
	if (reader->start == reader->buf.len && reader->buf.capacity > KEPT_BYTES) {
		size_t cap = reader->buf.cap;
		buf_done(&reader->buf);
		buf_init(&reader->buf, cap);
	} else {
		buf_consume(&reader->buf, reader->start);
	}
	reader->start = 0;
}

struct resp_reader *resp_reader_new(const struct resp_limits *limits)
{
	struct resp_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	reader->limits = limits;
	buf_init(&reader->buf, limits->max_message + limits->max_pipelined);
	resp_scan_init(&reader->scan, limits);
	return reader;
}

void resp_reader_free(struct resp_reader *reader)
{
	if (!reader)
		return;
	if (reader->hiredis)
		redisReaderFree(reader->hiredis);
	free(reader->block);
	buf_done(&reader->buf);
	free(reader);
}

int resp_reader_feed(struct resp_reader *reader, const char *bytes, size_t len, struct err *err)
{
	if (reader->broken.code)
		return err_set(err, reader->broken.code, "%s", reader->broken.text);
	compact(reader);
	int rc = buf_add(&reader->buf, bytes, len);
	if (rc == ERR_TOO_BIG)
		return err_set(err, rc, "more than %zu bytes ahead of what is read", reader->buf.cap);
	return rc ? out_of_memory(err) : 0;
}

int resp_reader_next(struct resp_reader *reader, const struct resp_value **value, struct err *err)
{
	*value = NULL;
	if (reader->broken.code)
		return err_set(err, reader->broken.code, "%s", reader->broken.text);
	free(reader->block);
	reader->block = NULL;

	bool complete = false;
	size_t len = reader->buf.len - reader->start;
	int rc = len == 0 ? 0
			  : resp_scan(&reader->scan, reader->buf.data + reader->start, len, &complete, &reader->broken);
	if (!rc && complete)
		rc = take_apart(reader, &reader->broken);
	if (rc)
		return err_set(err, reader->broken.code, "%s", reader->broken.text);
	if (complete) {
		*value = reader->block->message.value;
		finish_message(reader);
	} else if (len == 0) {
		compact(reader);
	}
	return 0;
}

struct resp_message *resp_reader_take(struct resp_reader *reader)
{
	struct block *block = reader->block;
	reader->block = NULL;
	return block ? &block->message : NULL;
}

void resp_message_free(struct resp_message *message)
{
	free(message); /* the head of its block */
}

size_t resp_reader_buffered(const struct resp_reader *reader)
{
	return reader->buf.len - reader->start;
}

static bool has_text(const struct resp_value *value)
{
	return value->type == RESP_STATUS || value->type == RESP_ERROR || value->type == RESP_BULK;
}

bool resp_is(const struct resp_value *value, const char *text)
{
	return has_text(value) && value->len == strlen(text) && memcmp(value->text, text, value->len) == 0;
}

bool resp_is_nocase(const struct resp_value *value, const char *text)
{
	/* A NUL inside of the value ends the comparison early, so its length is compared too. */
	return has_text(value) && value->len == strlen(text) && strcasecmp(value->text, text) == 0;
}
