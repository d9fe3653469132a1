/* Owns the reading of a command line. Called by main.c and by tests; knows no command and no meaning of any option. */
#include "ctl/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 64 };

/* ---- numbers ---- */

/* A decimal number, with a fraction where the unit allows one, and the unit behind it. */
struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit TIME_UNITS[] = {{"", 1000},	       {"ms", 1},		 {"s", 1000},
					 {"m", 60 * 1000},     {"min", 60 * 1000},	 {"h", 60 * 60 * 1000},
					 {"d", 24 * 60 * 60 * 1000}, {NULL, 0}};
static const struct unit SIZE_UNITS[] = {{"", 1},
					 {"B", 1},
					 {"K", 1024},
					 {"KB", 1024},
					 {"k", 1024},
					 {"M", 1024 * 1024},
					 {"MB", 1024 * 1024},
					 {"m", 1024 * 1024},
					 {"G", 1024 * 1024 * 1024},
					 {"GB", 1024 * 1024 * 1024},
					 {"g", 1024 * 1024 * 1024},
					 {NULL, 0}};

static bool read_with_unit(const char *text, const struct unit *units, int64_t *into)
{
	static const double MOST = 9e15; /* what a double counts exactly */
	size_t digits = strspn(text, "0123456789.");
	char *end = NULL;
	double number = strtod(text, &end);
	if (digits == 0 || end != text + digits || strcspn(text, "0123456789") >= digits)
		return false;
	for (const struct unit *unit = units; unit->name; unit++) {
		if (strcmp(end, unit->name) != 0)
			continue;
		double value = number * (double)unit->factor;
		*into = value <= MOST ? (int64_t)(value + 0.5) : -1;
		return value <= MOST;
	}
	return false;
}

bool options_read_seconds(const char *text, int64_t *ms)
{
	return read_with_unit(text, TIME_UNITS, ms);
}

bool options_read_bytes(const char *text, int64_t *bytes)
{
	return read_with_unit(text, SIZE_UNITS, bytes);
}

static bool read_integer(const char *text, int64_t *into)
{
	size_t sign = text[0] == '-' || text[0] == '+';
	size_t digits = strspn(text + sign, "0123456789");
	errno = 0;
	*into = strtoll(text, NULL, 10);
	return digits > 0 && text[sign + digits] == '\0' && errno == 0;
}

/* ---- one value ---- */

/* How the option is called in messages. */
static const char *shown(const struct option_row *row, char into[NAME_MAX_BYTES + 4])
{
	if (row->name)
		(void)snprintf(into, NAME_MAX_BYTES + 4, "--%.*s", NAME_MAX_BYTES, row->name);
	else
		(void)snprintf(into, NAME_MAX_BYTES + 4, "-%c", row->letter);
	return into;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t len = strlen(value);
	for (const char *at = choices; *at;) {
		size_t choice_len = strcspn(at, " ");
		if (len == choice_len && strncmp(at, value, len) == 0)
			return true;
		at += choice_len;
		at += strspn(at, " ");
	}
	return false;
}

static int collect(struct option_texts *texts, const char *value, struct err *err)
{
	const char **items = realloc(texts->items, (texts->count + 1) * sizeof(*items));
	if (!items)
		return err_set(err, ERR_NOMEM, "out of memory");
	texts->items = items;
	texts->items[texts->count++] = value;
	return 0;
}

static int check_bounds(const struct option_row *row, int64_t value, const char *unit, int64_t scale, struct err *err)
{
	char name[NAME_MAX_BYTES + 4];
	bool bounded = row->min || row->max;
	if (bounded ? value >= row->min && value <= row->max : value >= 0)
		return 0;
	if (!bounded)
		return err_set(err, ERR_INVALID, "%s must not be negative", shown(row, name));
	return err_set(err, ERR_INVALID, "%s must be from %g to %g%s", shown(row, name), (double)row->min / (double)scale,
		       (double)row->max / (double)scale, unit);
}

static int set_number(const struct option_row *row, int64_t *into, const char *value, struct err *err)
{
	char name[NAME_MAX_BYTES + 4];
	int64_t number = 0;
	switch (row->type) {
	case OPTION_SECONDS:
		if (!options_read_seconds(value, &number))
			return err_set(err, ERR_INVALID, "%s must be a time, as 10, 1.5, 500ms, 5m or 2h, not \"%.64s\"",
				       shown(row, name), value);
		break;
	case OPTION_BYTES:
		if (!options_read_bytes(value, &number))
			return err_set(err, ERR_INVALID, "%s must be a size, as 512, 64K, 8M or 2G, not \"%.64s\"",
				       shown(row, name), value);
		break;
	default:
		if (!read_integer(value, &number))
			return err_set(err, ERR_INVALID, "%s must be a whole number, not \"%.64s\"", shown(row, name), value);
		break;
	}
	bool time = row->type == OPTION_SECONDS;
	int rc = check_bounds(row, number, time ? " seconds" : row->type == OPTION_BYTES ? " bytes" : "", time ? 1000 : 1, err);
	if (!rc)
		*into = number;
	return rc;
}

int options_set(const struct option_row *row, void *into, const char *value, struct err *err)
{
	void *field = (char *)into + row->offset;
	char name[NAME_MAX_BYTES + 4];
	switch (row->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_TEXT:
		if (row->choices && !is_choice(row->choices, value))
			return err_set(err, ERR_INVALID, "%s must be one of: %s", shown(row, name), row->choices);
		*(const char **)field = value;
		return 0;
	case OPTION_TEXTS:
		return collect(field, value, err);
	default:
		return set_number(row, field, value, err);
	}
}

void options_free_texts(struct option_texts *texts)
{
	free(texts->items);
	*texts = (struct option_texts){0};
}

/* ---- suggestions ---- */

/* How many letters are to be added, left out, replaced or swapped with their neighbour; over names that are short. */
static size_t distance_of(const char *a, const char *b)
{
	size_t b_len = strlen(b);
	size_t rows[3][NAME_MAX_BYTES + 1]; /* the one before the last, the last, this one */
	if (strlen(a) > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
		return NAME_MAX_BYTES;
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (size_t i = 0; a[i]; i++) {
		const size_t *before = rows[(i + 2) % 3]; /* not looked at in the first round */
		const size_t *last = rows[i % 3];
		size_t *row = rows[(i + 1) % 3];
		row[0] = i + 1;
		for (size_t j = 0; j < b_len; j++) {
			size_t least = last[j] + (a[i] != b[j]);
			least = last[j + 1] + 1 < least ? last[j + 1] + 1 : least;
			least = row[j] + 1 < least ? row[j] + 1 : least;
			bool swapped = i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j];
			row[j + 1] = swapped && before[j - 1] + 1 < least ? before[j - 1] + 1 : least;
		}
	}
	return rows[strlen(a) % 3][b_len];
}

void options_consider(struct option_nearest *nearest, const char *typed, const char *name)
{
	size_t typed_len = strlen(typed);
	size_t distance = distance_of(typed, name);
	/* What was begun well is near, however much is missing. */
	if (typed_len >= 3 && strncmp(typed, name, typed_len) == 0)
		distance = 1;
	size_t most = typed_len <= 3 ? 1 : typed_len <= 6 ? 2 : 3;
	if (distance > most || (nearest->name && nearest->distance <= distance))
		return;
	*nearest = (struct option_nearest){.name = name, .distance = distance};
}

/* ---- the line ---- */

struct found {
	const struct option_row *row;
	void *into;
};

static struct found find(const struct option_parse *parse, const char *name, size_t len, char letter)
{
	for (size_t t = 0; t < parse->target_count; t++) {
		const struct option_target *target = &parse->targets[t];
		for (size_t i = 0; i < target->table->count; i++) {
			const struct option_row *row = &target->table->rows[i];
			bool fits = name ? row->name && strlen(row->name) == len && strncmp(row->name, name, len) == 0
					 : row->letter == letter;
			if (fits)
				return (struct found){row, target->into};
		}
	}
	return (struct found){NULL, NULL};
}

static int unknown_long(const struct option_parse *parse, const char *name, size_t len, struct err *err)
{
	char typed[NAME_MAX_BYTES + 1];
	struct option_nearest nearest = {NULL, 0};
	(void)snprintf(typed, sizeof(typed), "%.*s", len > NAME_MAX_BYTES ? NAME_MAX_BYTES : (int)len, name);
	for (size_t t = 0; t < parse->target_count; t++) {
		const struct option_table *table = parse->targets[t].table;
		for (size_t i = 0; i < table->count; i++) {
			if (table->rows[i].name && !table->rows[i].hidden)
				options_consider(&nearest, typed, table->rows[i].name);
		}
	}
	if (nearest.name)
		return err_set(err, ERR_INVALID, "unknown option --%s; did you mean --%s?", typed, nearest.name);
	return err_set(err, ERR_INVALID, "unknown option --%s", typed);
}

static int parse_long(const struct option_parse *parse, const char *const *argv, size_t count, size_t *at, struct err *err)
{
	const char *name = argv[*at] + 2;
	size_t len = strcspn(name, "=");
	const char *value = name[len] == '=' ? name + len + 1 : NULL;
	struct found found = find(parse, name, len, 0);
	if (!found.row)
		return unknown_long(parse, name, len, err);
	if (found.row->type == OPTION_FLAG && value)
		return err_set(err, ERR_INVALID, "--%s takes no value", found.row->name);
	if (found.row->type != OPTION_FLAG && !value) {
		if (*at + 1 >= count)
			return err_set(err, ERR_INVALID, "--%s needs a value: --%s %s", found.row->name, found.row->name,
				       found.row->argument);
		value = argv[++*at];
	}
	return options_set(found.row, found.into, value, err);
}

static int parse_letters(const struct option_parse *parse, const char *const *argv, size_t count, size_t *at, struct err *err)
{
	for (const char *letter = argv[*at] + 1; *letter; letter++) {
		struct found found = find(parse, NULL, 0, *letter);
		if (!found.row)
			return err_set(err, ERR_INVALID, "unknown option -%c", *letter >= ' ' && *letter <= '~' ? *letter : '?');
		const char *value = NULL;
		if (found.row->type != OPTION_FLAG) {
			value = letter[1] ? letter + 1 : *at + 1 < count ? argv[++*at] : NULL;
			if (!value)
				return err_set(err, ERR_INVALID, "-%c needs a value: -%c %s", *letter, *letter, found.row->argument);
		}
		int rc = options_set(found.row, found.into, value, err);
		if (rc || value)
			return rc;
	}
	return 0;
}

int options_parse(struct option_parse *parse, const char *const *argv, size_t count, struct err *err)
{
	parse->operand_count = 0;
	parse->operands = calloc(count + 1, sizeof(*parse->operands));
	if (!parse->operands)
		return err_set(err, ERR_NOMEM, "out of memory");
	bool options_end = false;
	for (size_t at = 0; at < count; at++) {
		const char *word = argv[at];
		int rc = 0;
		if (options_end || word[0] != '-' || word[1] == '\0') {
			parse->operands[parse->operand_count++] = word;
			options_end = options_end || parse->stop_at_operand;
		} else if (strcmp(word, "--") == 0) {
			options_end = true;
		} else if (word[1] == '-') {
			rc = parse_long(parse, argv, count, &at, err);
		} else {
			rc = parse_letters(parse, argv, count, &at, err);
		}
		if (rc)
			return rc;
	}
	return 0;
}

void options_done(struct option_parse *parse)
{
	free(parse->operands);
	parse->operands = NULL;
	parse->operand_count = 0;
}
