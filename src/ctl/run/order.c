/* Owns the results that wait for their turn, and the temporary file of those that memory shall not hold. Called by the run's sink
 * alone; writes no result itself. */
#include "ctl/run/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct waiting {
	int64_t seq, tag;
	char *bytes;    /* NULL: in the file, from offset on */
	int64_t offset;
	size_t len;
};

struct order {
	order_is_void *is_void;
	void *context;
	int64_t next;
	struct waiting *heap; /* the smallest number at [0] */
	size_t count, capacity;
	size_t memory, memory_max;
	int fd;               /* of the file; -1 until it is needed */
	int64_t file_end;     /* 0 again when nothing in it waits */
	size_t in_file;
	char *given;          /* what the last entry points to */
};

struct order *order_new(int64_t next, size_t memory_max, order_is_void *is_void, void *context)
{
	struct order *order = calloc(1, sizeof(*order));
	if (order)
		*order = (struct order){.is_void = is_void, .context = context, .next = next, .memory_max = memory_max, .fd = -1};
	return order;
}

void order_free(struct order *order)
{
	if (!order)
		return;
	for (size_t i = 0; i < order->count; i++)
		free(order->heap[i].bytes);
	if (order->fd >= 0)
		(void)close(order->fd);
	free(order->heap);
	free(order->given);
	free(order);
}

/* ---- the temporary file ---- */

static const char *temporary_directory(void)
{
	const char *directory = getenv("TMPDIR");
	return directory && *directory ? directory : "/var/tmp"; /* /tmp is memory on many machines */
}

static int open_file(struct order *order, struct err *err)
{
	char path[4096];
	int len = snprintf(path, sizeof(path), "%s/gridctl-XXXXXX", temporary_directory());
	if (len < 0 || (size_t)len >= sizeof(path))
		return err_set(err, ERR_TOO_BIG, "TMPDIR is too long");
	order->fd = mkostemp(path, O_CLOEXEC);
	if (order->fd < 0)
		return err_from_errno(err, errno, "a temporary file for results that wait for their turn: %s", path);
	(void)unlink(path);
	return 0;
}

static int spill(struct order *order, const char *bytes, size_t len, struct err *err)
{
	int rc = order->fd >= 0 ? 0 : open_file(order, err);
	for (size_t done = 0; !rc && done < len;) {
		ssize_t written = pwrite(order->fd, bytes + done, len - done, order->file_end + (off_t)done);
		if (written >= 0)
			done += (size_t)written;
		else if (errno != EINTR)
			rc = err_from_errno(err, errno, "the temporary file of results that wait for their turn, in %s",
					    temporary_directory());
	}
	return rc;
}

static int fetch(const struct order *order, const struct waiting *entry, char *into, struct err *err)
{
	for (size_t done = 0; done < entry->len;) {
		ssize_t len = pread(order->fd, into + done, entry->len - done, entry->offset + (off_t)done);
		if (len > 0)
			done += (size_t)len;
		else if (len == 0 || errno != EINTR)
			return err_from_errno(err, len ? errno : EIO, "the temporary file of results that wait for their turn");
	}
	return 0;
}

/* ---- the heap ---- */

static void put(struct order *order, size_t at, struct waiting entry)
{
	while (at > 0 && order->heap[(at - 1) / 2].seq > entry.seq) {
		order->heap[at] = order->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	order->heap[at] = entry;
}

static struct waiting pop(struct order *order)
{
	struct waiting top = order->heap[0];
	struct waiting last = order->heap[--order->count];
	size_t at = 0;
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= order->count)
			break;
		if (child + 1 < order->count && order->heap[child + 1].seq < order->heap[child].seq)
			child++;
		if (order->heap[child].seq >= last.seq)
			break;
		order->heap[at] = order->heap[child];
		at = child;
	}
	if (order->count)
		order->heap[at] = last;
	return top;
}

static int make_room(struct order *order)
{
	if (order->count < order->capacity)
		return 0;
	size_t capacity = order->capacity ? 2 * order->capacity : 64;
	struct waiting *heap = realloc(order->heap, capacity * sizeof(*heap));
	if (!heap)
		return ERR_NOMEM;
	order->heap = heap;
	order->capacity = capacity;
	return 0;
}

int order_add(struct order *order, int64_t seq, int64_t tag, const char *bytes, size_t len, struct err *err)
{
	struct waiting entry = {.seq = seq, .tag = tag, .len = len};
	if (make_room(order))
		return err_set(err, ERR_NOMEM, "out of memory");
	if (order->memory + len <= order->memory_max) {
		entry.bytes = malloc(len + 1);
		if (!entry.bytes)
			return err_set(err, ERR_NOMEM, "out of memory");
		memcpy(entry.bytes, bytes, len);
		order->memory += len;
	} else {
		entry.offset = order->file_end;
		int rc = spill(order, bytes, len, err);
		if (rc)
			return rc;
		order->file_end += (int64_t)len;
		order->in_file++;
	}
	put(order, order->count++, entry);
	return 0;
}

/* Whether the smallest one may go now. */
static bool is_due(struct order *order, bool all)
{
	if (order->count == 0)
		return false;
	int64_t first = order->heap[0].seq;
	while (order->next < first && order->is_void(order->context, order->next))
		order->next++;
	return all || first <= order->next;
}

int order_take(struct order *order, bool all, struct order_entry *entry, bool *got, struct err *err)
{
	free(order->given);
	order->given = NULL;
	*got = is_due(order, all);
	if (!*got)
		return 0;
	struct waiting top = pop(order);
	order->given = top.bytes;
	if (top.bytes) {
		order->memory -= top.len;
	} else {
		order->given = malloc(top.len + 1);
		int rc = order->given ? fetch(order, &top, order->given, err) : err_set(err, ERR_NOMEM, "out of memory");
		if (--order->in_file == 0) {
			order->file_end = 0;
			(void)!ftruncate(order->fd, 0); /* it only gives the disk its space back */
		}
		if (rc)
			return rc;
	}
	if (top.seq >= order->next)
		order->next = top.seq + 1;
	*entry = (struct order_entry){.seq = top.seq, .tag = top.tag, .bytes = order->given, .len = top.len};
	return 0;
}

int64_t order_next(const struct order *order)
{
	return order->next;
}

size_t order_waiting(const struct order *order)
{
	return order->count;
}

int64_t order_spilled(const struct order *order)
{
	return order->file_end;
}
