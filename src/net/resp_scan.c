/* Owns the limits of RESP2: it finds the end of a message and refuses, at the announcement, what is too big. Called by
 * the reader (resp.c) before hiredis sees a byte; never allocates, never keeps a byte.
 *
 *   a message is one value;  an array of n > 0 is complete with its n-th element:
 *
 *     +text  -text  :integer           a line                     -> value complete
 *     $n     n bytes  CRLF             n >= 0                     -> value complete     $-1 -> complete
 *     *n     then n values             n > 0: one level deeper                          *0, *-1 -> complete
 */
#include "net/resp_scan.h"

#include <assert.h>
#include <string.h>

enum { MAX_NUMBER_LINE = 24 }; /* "-9223372036854775808" and some */

void resp_scan_init(struct resp_scan *scan, const struct resp_limits *limits)
{
	assert(limits->max_depth <= RESP_MAX_DEPTH);
	*scan = (struct resp_scan){.limits = limits};
}

/* Decimal, an optional minus, no plus, no spaces, no overflow: what Redis itself writes. */
static bool parse_integer(const char *text, size_t len, int64_t *integer)
{
	bool negative = len > 0 && text[0] == '-';
	size_t i = negative;
	if (i == len)
		return false;
	int64_t value = 0;
	for (; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		/* Downwards, since the smallest has no positive twin. */
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, text[i] - '0', &value))
			return false;
	}
	if (!negative && __builtin_mul_overflow(value, -1, &value))
		return false;
	*integer = value;
	return true;
}

/* Whether the message, as long as it is known to be now, keeps to its limit. */
static int check_size(const struct resp_scan *scan, size_t known, struct err *err)
{
	if (known <= scan->limits->max_message)
		return 0;
	return err_set(err, ERR_TOO_BIG, "a message of more than %zu bytes", scan->limits->max_message);
}

/* Finds the line at pos, without its CRLF. *line_len is SIZE_MAX while its end is not there. */
static int find_line(struct resp_scan *scan, const char *bytes, size_t len, size_t max, size_t *line_len,
		     struct err *err)
{
	size_t from = scan->line_pos > scan->pos ? scan->line_pos : scan->pos;
	const char *cr = memchr(bytes + from, '\r', len - from);
	size_t known = (cr ? (size_t)(cr - bytes) : len) - scan->pos;
	*line_len = SIZE_MAX;
	if (known > max)
		return err_set(err, ERR_TOO_BIG, "a line of more than %zu bytes", max);
	scan->line_pos = scan->pos + known;
	if (!cr || scan->line_pos + 1 == len)
		return 0;
	if (cr[1] != '\n')
		return err_set(err, ERR_PROTOCOL, "a line that does not end with CR and LF");
	*line_len = known;
	return 0;
}

static int check_type(const struct resp_scan *scan, char type, struct err *err)
{
	if (!scan->limits->requests_only) {
		if (type && strchr("+-:$*", type))
			return 0;
		return err_set(err, ERR_PROTOCOL, "a byte that begins no RESP2 value");
	}
	if (scan->depth == 0 && type != '*')
		return err_set(err, ERR_PROTOCOL,
			       "inline commands are not understood here; a command is a RESP array of bulk strings");
	if (scan->depth > 0 && type != '$')
		return err_set(err, ERR_PROTOCOL, "a command must be an array of bulk strings");
	return 0;
}

/* A value is complete: so may be the arrays around it. */
static bool complete_value(struct resp_scan *scan)
{
	while (scan->depth > 0) {
		if (--scan->missing[scan->depth - 1] > 0)
			return false;
		scan->depth--;
	}
	return true;
}

/* "*n": *complete if it has no elements. */
static int begin_array(struct resp_scan *scan, int64_t count, bool *complete, struct err *err)
{
	const struct resp_limits *limits = scan->limits;
	if (count < -1 || (count < 0 && limits->requests_only))
		return err_set(err, ERR_PROTOCOL, "an array of a negative length");
	if (count > 0 && (uint64_t)count > limits->max_elements)
		return err_set(err, ERR_TOO_BIG, "an array of more than %zu elements", limits->max_elements);
	if (count > 0 && scan->depth >= limits->max_depth)
		return err_set(err, ERR_TOO_BIG, "arrays nested more than %u deep", limits->max_depth);
	*complete = count <= 0;
	if (count <= 0)
		return 0;
	if ((uint64_t)count > limits->max_values - scan->values)
		return err_set(err, ERR_TOO_BIG, "a message of more than %zu values", limits->max_values);
	scan->missing[scan->depth++] = (size_t)count;
	return 0;
}

/* "$n", of which the whole must be there: *waits otherwise, and *size is what it takes on the wire. */
static int begin_bulk(const struct resp_scan *scan, size_t head, int64_t bulk, const char *bytes, size_t len,
		      size_t *size, bool *waits, struct err *err)
{
	if (bulk < -1 || (bulk < 0 && scan->limits->requests_only))
		return err_set(err, ERR_PROTOCOL, "a bulk string of a negative length");
	if (bulk > 0 && (uint64_t)bulk > scan->limits->max_bulk)
		return err_set(err, ERR_TOO_BIG, "a bulk string of more than %zu bytes", scan->limits->max_bulk);
	*size = bulk < 0 ? head : head + (size_t)bulk + 2;
	if (bulk < 0)
		return 0;
	*waits = len - scan->pos < *size;
	if (!*waits && memcmp(bytes + scan->pos + *size - 2, "\r\n", 2) != 0)
		return err_set(err, ERR_PROTOCOL, "a bulk string that is longer than announced");
	return 0;
}

/* One value, or the head of an array. *waits when it is not all there. */
static int scan_value(struct resp_scan *scan, const char *bytes, size_t len, bool *waits, bool *complete,
		      struct err *err)
{
	char type = bytes[scan->pos];
	int rc = check_type(scan, type, err);
	if (rc)
		return rc;
	bool is_line = type == '+' || type == '-';
	size_t line_len = 0;
	rc = find_line(scan, bytes, len, is_line ? scan->limits->max_line : MAX_NUMBER_LINE, &line_len, err);
	*waits = line_len == SIZE_MAX;
	if (rc || *waits)
		return rc;

	size_t size = line_len + 2;
	size_t text_len = is_line ? line_len - 1 : 0;
	int64_t number = 0;
	if (!is_line && !parse_integer(bytes + scan->pos + 1, line_len - 1, &number))
		return err_set(err, ERR_PROTOCOL, "a length or an integer that is no number");
	*complete = true;
	if (type == '*') {
		rc = begin_array(scan, number, complete, err);
	} else if (type == '$') {
		rc = begin_bulk(scan, size, number, bytes, len, &size, waits, err);
		text_len = number > 0 ? (size_t)number : 0;
	}
	if (!rc)
		rc = check_size(scan, scan->pos + size, err); /* before a long one is waited for */
	if (rc || *waits)
		return rc;
	scan->pos += size;
	scan->values++;
	scan->text_bytes += text_len + 1;
	return 0;
}

int resp_scan(struct resp_scan *scan, const char *bytes, size_t len, bool *complete, struct err *err)
{
	*complete = false;
	while (scan->pos < len) {
		bool waits = false;
		bool value_complete = false;
		int rc = scan_value(scan, bytes, len, &waits, &value_complete, err);
		if (rc || waits)
			return rc;
		if (value_complete && complete_value(scan)) {
			*complete = true;
			return 0;
		}
	}
	return 0;
}
