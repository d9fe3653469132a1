/* Owns placeholders. Called by work.c for the command that the gateway names, and by main for each item; never knows what
 * a command is for, and never gives one to a shell. */
#include "exec/template.h"

#include <assert.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS_CAP = 8 * 1024 * 1024 }; /* of all together; Linux takes 6 MiB at most */

enum kind { TEXT, ITEM, NO_EXTENSION, BASE, DIRECTORY, BASE_NO_EXTENSION, SEQ, COLUMN };

struct template_piece {
	enum kind kind;
	bool ends_word;
	unsigned column; /* from 1; of COLUMN alone */
	const char *text; /* of TEXT alone */
	size_t len;
};

struct slice {
	const char *bytes;
	size_t len;
};

static const struct {
	const char *name;
	enum kind kind;
	unsigned column;
} PLACEHOLDERS[] = {
	{"{}", ITEM, 0},      {"{.}", NO_EXTENSION, 0}, {"{/}", BASE, 0},   {"{//}", DIRECTORY, 0}, {"{/.}", BASE_NO_EXTENSION, 0},
	{"{#}", SEQ, 0},      {"{1}", COLUMN, 1},       {"{2}", COLUMN, 2}, {"{3}", COLUMN, 3},     {"{4}", COLUMN, 4},
	{"{5}", COLUMN, 5},   {"{6}", COLUMN, 6},       {"{7}", COLUMN, 7}, {"{8}", COLUMN, 8},     {"{9}", COLUMN, 9},
};

/* ---- the template ---- */

/* The placeholder that begins here; its length, or 0. */
static size_t match(const char *text, struct template_piece *piece)
{
	for (size_t i = 0; i < sizeof(PLACEHOLDERS) / sizeof(PLACEHOLDERS[0]); i++) {
		size_t len = strlen(PLACEHOLDERS[i].name);
		if (strncmp(text, PLACEHOLDERS[i].name, len) != 0)
			continue;
		*piece = (struct template_piece){.kind = PLACEHOLDERS[i].kind, .column = PLACEHOLDERS[i].column};
		return len;
	}
	return 0;
}

/* Cuts a word; writes its pieces where there is room for them (NULL: only counts). An empty word is one empty text. */
static size_t cut(const char *word, struct template_piece *pieces)
{
	size_t count = 0;
	const char *start = word;
	const char *at = word;
	for (;;) {
		struct template_piece found;
		size_t len = *at == '{' ? match(at, &found) : 0;
		if (*at && !len) {
			at++;
			continue;
		}
		if (at > start || (!*at && count == 0)) {
			if (pieces)
				pieces[count] = (struct template_piece){.text = start, .len = (size_t)(at - start)};
			count++;
		}
		if (!*at)
			break;
		if (pieces)
			pieces[count] = found;
		count++;
		at += len;
		start = at;
	}
	if (pieces)
		pieces[count - 1].ends_word = true;
	return count;
}

int template_init(struct template *template, const char *const *words, size_t count, struct err *err)
{
	*template = (struct template){.words = count};
	size_t pieces = 0;
	for (size_t i = 0; i < count; i++)
		pieces += cut(words[i], NULL);
	template->pieces = calloc(pieces + 1, sizeof(*template->pieces));
	if (!template->pieces)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		template->pieces_count += cut(words[i], template->pieces + template->pieces_count);
	for (size_t i = 0; i < pieces; i++) {
		enum kind kind = template->pieces[i].kind;
		template->varies |= kind != TEXT;
		template->takes_item |= kind != TEXT && kind != SEQ;
	}
	return 0;
}

void template_done(struct template *template)
{
	free(template->pieces);
	*template = (struct template){0};
}

/* ---- what a placeholder stands for ---- */

/* NULL if it is not there. */
static const char *last_of(struct slice text, char c)
{
	while (text.len > 0) {
		if (text.bytes[--text.len] == c)
			return text.bytes + text.len;
	}
	return NULL;
}

static struct slice base_of(struct slice path)
{
	const char *slash = last_of(path, '/');
	size_t skip = slash ? (size_t)(slash - path.bytes) + 1 : 0;
	return (struct slice){path.bytes + skip, path.len - skip};
}

/* Without the last dot of the base name, and what follows it. */
static struct slice without_extension(struct slice path)
{
	struct slice base = base_of(path);
	const char *dot = last_of(base, '.');
	return dot ? (struct slice){path.bytes, (size_t)(dot - path.bytes)} : path;
}

/* But for the first byte. */
static struct slice without_end_slashes(struct slice path)
{
	while (path.len > 1 && path.bytes[path.len - 1] == '/')
		path.len--;
	return path;
}

static struct slice directory_of(struct slice path)
{
	path = without_end_slashes(path);
	struct slice base = base_of(path);
	if (base.len == path.len)
		return (struct slice){".", 1};
	path.len -= base.len;
	return without_end_slashes(path);
}

/* The nth from 1; empty where there are fewer. */
static struct slice column_of(struct slice line, unsigned n)
{
	for (;; n--) {
		const char *tab = line.len ? memchr(line.bytes, '\t', line.len) : NULL;
		size_t len = tab ? (size_t)(tab - line.bytes) : line.len;
		if (n == 1)
			return (struct slice){line.bytes, len};
		if (!tab)
			return (struct slice){"", 0};
		line = (struct slice){tab + 1, line.len - len - 1};
	}
}

static struct slice value_of(const struct template_piece *piece, const struct item *item, char number[32])
{
	if (piece->kind == TEXT)
		return (struct slice){piece->text, piece->len};
	struct slice whole = {item->bytes, item->len};
	switch (piece->kind) {
	case NO_EXTENSION:
		return without_extension(whole);
	case BASE:
		return base_of(whole);
	case DIRECTORY:
		return directory_of(whole);
	case BASE_NO_EXTENSION:
		return without_extension(base_of(whole));
	case COLUMN:
		return column_of(whole, piece->column);
	case SEQ:
		if (!item->has_seq)
			return (struct slice){"", 0};
		(void)snprintf(number, 32, "%" PRId64, item->seq);
		return (struct slice){number, strlen(number)};
	default:
		return whole;
	}
}

/* ---- arguments ---- */

void arguments_init(struct arguments *arguments)
{
	*arguments = (struct arguments){0};
	buf_init(&arguments->text, ARGUMENTS_CAP);
}

void arguments_done(struct arguments *arguments)
{
	buf_done(&arguments->text);
	free(arguments->argv);
	*arguments = (struct arguments){0};
}

static int add_piece(struct buf *text, const struct template_piece *piece, const struct item *item, struct err *err)
{
	char number[32];
	struct slice value = value_of(piece, item, number);
	if (value.len && memchr(value.bytes, '\0', value.len))
		return err_set(err, ERR_INVALID, "the item contains NUL: it cannot be an argument");
	int rc = buf_add(text, value.bytes, value.len);
	if (!rc && piece->ends_word)
		rc = buf_add(text, "", 1);
	if (rc == ERR_TOO_BIG)
		return err_set(err, ERR_INVALID, "the item is too long for an argument");
	return rc ? err_set(err, rc, "out of memory") : 0;
}

int template_expand(const struct template *template, const struct item *item, struct arguments *arguments, struct err *err)
{
	assert(item || !template->varies);
	buf_clear(&arguments->text);
	for (size_t i = 0; i < template->pieces_count; i++) {
		int rc = add_piece(&arguments->text, &template->pieces[i], item, err);
		if (rc)
			return rc;
	}
	/* Pointers only now: the text has moved while it grew. */
	if (!arguments->argv)
		arguments->argv = calloc(template->words + 1, sizeof(char *));
	if (!arguments->argv)
		return err_set(err, ERR_NOMEM, "out of memory");
	char *word = arguments->text.data;
	for (size_t i = 0; i < template->words; i++) {
		arguments->argv[i] = word;
		word += strlen(word) + 1;
	}
	return 0;
}
