/* Owns the numbering of a run's items. Called by what pushes them, and by --dry-run; knows neither hub nor results. */
#include "ctl/run/run_input.h"

void run_input_init(struct run_input *input, struct item_source *source, struct tracker *tracker)
{
	*input = (struct run_input){.source = source, .tracker = tracker, .ended = source == NULL};
	buf_init(&input->numbered, ITEM_MAX + 64);
}

void run_input_done(struct run_input *input)
{
	item_source_free(input->source);
	buf_done(&input->numbered);
	*input = (struct run_input){.ended = true};
}

int run_input_read(struct run_input *input, struct item *item, enum item_got *got, struct err *err)
{
	int rc = 0;
	*got = ITEM_NONE;
	while (input->source && !rc) {
		rc = item_source_next(input->source, item, got, err);
		if (rc || *got != ITEM_READY)
			break;
		input->seq++;
		if (!bits_has(&input->tracker->before, input->seq))
			break;
	}
	input->ended = input->ended || (!rc && *got == ITEM_NONE);
	input->item = *item;
	return rc;
}

static int number(struct run_input *input, struct item *item, struct err *err)
{
	buf_clear(&input->numbered);
	if (buf_printf(&input->numbered, "%lld\t", (long long)input->seq) || buf_add(&input->numbered, item->bytes, item->len) ||
	    input->numbered.len > ITEM_MAX)
		return err_set(err, ERR_TOO_BIG, "item number %lld is larger than %d MiB, its number included",
			       (long long)input->seq, ITEM_MAX / 1024 / 1024);
	item->bytes = input->numbered.data;
	item->len = input->numbered.len;
	input->tracker->given++;
	return 0;
}

int run_input_next(struct run_input *input, struct item *item, enum item_got *got, struct err *err)
{
	int rc = 0;
	if (input->has_first) {
		input->has_first = false;
		*item = input->item;
		*got = ITEM_READY;
	} else {
		rc = run_input_read(input, item, got, err);
	}
	return rc || *got != ITEM_READY ? rc : number(input, item, err);
}

int run_input_peek(struct run_input *input, bool *there, struct err *err)
{
	struct item item;
	enum item_got got;
	int rc = run_input_read(input, &item, &got, err);
	*there = !rc && got != ITEM_LATER;
	input->has_first = !rc && got == ITEM_READY;
	input->is_empty = !rc && got == ITEM_NONE;
	return rc;
}

int run_input_skip(struct run_input *input, int64_t count, bool *done, struct err *err)
{
	struct item item;
	enum item_got got = ITEM_READY;
	int rc = 0;
	while (!rc && got == ITEM_READY && input->tracker->given < count) {
		rc = run_input_read(input, &item, &got, err);
		if (!rc && got == ITEM_READY)
			input->tracker->given++;
	}
	*done = !rc && got != ITEM_LATER;
	return rc;
}

int64_t run_input_total(const struct run_input *input)
{
	int64_t count = input->source ? item_source_count(input->source) : -1;
	if (input->ended)
		return input->tracker->given;
	if (count < 0)
		return -1;
	return count - input->seq + input->tracker->given + (input->has_first ? 1 : 0);
}
