/* Owns gridexec: the program that makes any command a worker. Started by gridnode in the place of a container's entrypoint, or
 * as a process worker; runs one command at a time and keeps nothing between two items. Never uses a shell.
 *
 *   OPENING --what the task wants is known--> WAITING <------------------------------+
 *                                               |  items                            | result or failure, and the wish
 *                                               v                                    | for more, in one write
 *                                            RUNNING --the command ended-------------+
 *
 * Its end: 143 when asked to (SIGTERM, SIGINT) while a command runs, which is ended then (child.c), and nothing is reported: the
 * node returns the items. 0 when asked to in any other state. 1 when the gateway is lost or not understood, for which the node
 * charges whatever is open. */
#include "exec/descendants.h"
#include "exec/gateway_address.h"
#include "exec/gateway_link.h"
#include "exec/runner.h"
#include "exec/signals.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { STATUS_ASKED = 0, STATUS_BROKEN = 1, STATUS_INTERRUPTED = 143 };

struct gridexec {
	struct gateway_address address;
	struct gateway_link *link;
	struct work work;
	struct runner runner;
	struct item *items; /* work.batch of them */
};

/* What we inherited is neither ours nor the commands'; and 0, 1 and 2 are there, so that nothing of ours gets these numbers. */
static void close_inherited(void)
{
	int fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO)
		fd = dup(fd);
	if (close_range(STDERR_FILENO + 1, ~0U, 0) == 0)
		return;
	long max = sysconf(_SC_OPEN_MAX); /* a kernel before 5.9 */
	for (long number = STDERR_FILENO + 1; number < (max > 0 && max < 65536 ? max : 65536); number++)
		(void)close((int)number);
}

/* Before anything else, so that no moment is there in which a command could look. */
static int hide(struct gridexec *self, struct err *err)
{
	(void)prctl(PR_SET_DUMPABLE, 0);
	return gateway_address_take(&self->address, err);
}

static int open_all(struct gridexec *self, struct err *err)
{
	const char *text;
	size_t len;
	int rc = gateway_link_open(&self->link, &self->address, err);
	if (!rc)
		rc = gateway_link_exec(self->link, &text, &len, err);
	if (!rc)
		rc = work_read(&self->work, text, len, err);
	if (!rc)
		rc = runner_init(&self->runner, &self->work, gateway_link_fd(self->link), err);
	if (rc)
		return rc;
	self->items = calloc(self->work.batch, sizeof(*self->items));
	return self->items ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int read_items(struct gridexec *self, const struct gateway_item *given, size_t count, struct err *reason)
{
	for (size_t i = 0; i < count; i++) {
		int rc = item_init(&self->items[i], given[i].payload, given[i].len, self->work.numbered, reason);
		if (rc)
			return rc;
		self->items[i].failures = given[i].failures;
	}
	return 0;
}

/* Leaves what to say to the next IDM NEXT. */
static int report(struct gridexec *self, struct err *err)
{
	const struct outcome *outcome = &self->runner.outcome;
	if (outcome->failed)
		return gateway_link_failure(self->link, outcome->reason.text, outcome->exit_status, outcome->log, outcome->log_len,
					    err);
	if (!self->work.output_queue)
		return 0;
	return gateway_link_result(self->link, self->work.output_queue, buf_text(&outcome->result), outcome->result.len, err);
}

/* Until something ends it. Gives the status. */
static int serve(struct gridexec *self, struct err *err)
{
	for (;;) {
		const struct gateway_item *given;
		size_t count;
		struct err reason = {0};
		int rc = gateway_link_next(self->link, self->work.batch, &given, &count, err);
		if (rc == ERR_CANCELLED)
			return gateway_link_is_unsaid(self->link) ? STATUS_INTERRUPTED : STATUS_ASKED;
		if (rc)
			return STATUS_BROKEN;
		if (read_items(self, given, count, &reason))
			runner_refuse(&self->runner, &reason);
		else
			rc = runner_run(&self->runner, self->items, count, err);
		if (rc == ERR_CANCELLED || signals_stop_asked())
			return STATUS_INTERRUPTED;
		if (!rc)
			rc = report(self, err);
		if (rc)
			return STATUS_BROKEN;
	}
}

static void close_all(struct gridexec *self)
{
	if (self->runner.work)
		runner_done(&self->runner);
	work_done(&self->work);
	gateway_link_free(self->link);
	free(self->items);
}

int main(void)
{
	static struct gridexec self; /* large, for its buffers are fixed */
	struct err err = {0};
	int rc = hide(&self, &err);
	close_inherited();
	signals_init();
	descendants_init();
	if (!rc)
		rc = open_all(&self, &err);
	int status = rc == ERR_CANCELLED ? STATUS_ASKED : STATUS_BROKEN;
	if (!rc)
		status = serve(&self, &err);
	if (status == STATUS_BROKEN)
		(void)fprintf(stderr, "gridexec: %s\n", err.text);
	close_all(&self);
	return status;
}
