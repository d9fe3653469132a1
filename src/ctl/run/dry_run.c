/* Owns what --dry-run prints. Called by run in the place of everything else. */
#include "ctl/run/dry_run.h"

#include "base/buf.h"
#include "ctl/run/placeholders.h"

#include <stdio.h>
#include <string.h>

enum { LINE_MAX_BYTES = 256 * 1024 * 1024 };

struct dry {
	struct ctl *ctl;
	const struct run_options *options;
	const struct run_words *words;
	struct buf fed;    /* the items that the next command gets on standard input, quoted */
	int64_t in_batch;
	bool ready;
};

static int add_command(const struct dry *dry, struct buf *line, const struct item *item, int64_t seq)
{
	struct buf argument;
	int rc = 0;
	buf_init(&argument, ITEM_MAX * 4);
	for (size_t i = 0; i < dry->words->command_len && !rc; i++) {
		buf_clear(&argument);
		rc = placeholders_fill(&argument, dry->words->command[i], item->bytes, item->len, seq);
		if (!rc && i)
			rc = buf_add(line, " ", 1);
		if (!rc)
			rc = placeholders_quote(line, buf_text(&argument), argument.len);
	}
	buf_done(&argument);
	return rc;
}

/* What feeds the command: a shell's words for the very bytes that gridexec writes. */
static int add_feeding(const struct dry *dry, struct buf *line, const struct item *item)
{
	if (item->name) {
		int rc = placeholders_quote(line, dry->options->directory, strlen(dry->options->directory));
		if (!rc)
			rc = buf_add(line, "/", 1);
		return rc ? rc : placeholders_quote(line, item->name, strlen(item->name));
	}
	int rc = buf_printf(line, "printf '%%s%s'", dry->options->nul ? "\\0" : "\\n");
	return rc ? rc : buf_add(line, buf_text(&dry->fed), dry->fed.len);
}

static int print_command(struct dry *dry, const struct item *item, int64_t seq)
{
	struct buf line;
	bool as_argument = run_words_have_placeholder(dry->words);
	buf_init(&line, LINE_MAX_BYTES);
	int rc = 0;
	if (!as_argument && !item->name) {
		rc = add_feeding(dry, &line, item);
		if (!rc)
			rc = buf_add(&line, " | ", 3);
	}
	if (!rc)
		rc = add_command(dry, &line, item, seq);
	if (!rc && !as_argument && item->name) {
		rc = buf_add(&line, " < ", 3);
		if (!rc)
			rc = add_feeding(dry, &line, item);
	}
	if (!rc)
		rc = buf_add(&line, "\n", 1);
	if (!rc)
		(void)fwrite(line.data, 1, line.len, stdout);
	buf_done(&line);
	buf_clear(&dry->fed);
	dry->in_batch = 0;
	return rc;
}

static int take(struct dry *dry, const struct item *item, int64_t seq)
{
	int rc = buf_add(&dry->fed, " ", 1);
	if (!rc)
		rc = placeholders_quote(&dry->fed, item->bytes, item->len);
	dry->in_batch++;
	return rc || dry->in_batch < dry->options->task.batch ? rc : print_command(dry, item, seq);
}

static void on_ready(void *context)
{
	struct dry *dry = context;
	dry->ready = true;
}

int dry_run(struct ctl *ctl, const struct run_options *options, const struct run_words *words, struct run_input *input)
{
	struct dry dry = {.ctl = ctl, .options = options, .words = words};
	struct item item = {0};
	enum item_got got = ITEM_READY;
	struct err err = {0};
	int rc = 0;
	buf_init(&dry.fed, LINE_MAX_BYTES);
	item_source_listen(input->source, on_ready, &dry);
	while (!rc && got != ITEM_NONE) {
		dry.ready = false;
		rc = run_input_read(input, &item, &got, &err);
		if (!rc && got == ITEM_READY && take(&dry, &item, input->seq))
			rc = err_set(&err, ERR_TOO_BIG, "item %lld is too large to be printed", (long long)input->seq);
		if (!rc && got == ITEM_LATER)
			rc = ctl_wait(ctl, &dry.ready, &err);
	}
	if (!rc && dry.in_batch)
		rc = print_command(&dry, &(struct item){.bytes = ""}, input->seq) ? err_set(&err, ERR_NOMEM, "out of memory") : 0;
	buf_done(&dry.fed);
	return rc ? ctl_fail(ctl, &err) : CTL_OK;
}
