/* Owns the frame's life, its messages and its waiting. Called by main.c and by every command; knows no command. */
#include "ctl/ctl.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "ctl/shown.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MESSAGE_MAX_BYTES = 4096 };

/* ---- messages ---- */

__attribute__((format(printf, 2, 0))) static void say(struct ctl *ctl, const char *format, va_list arguments)
{
	char text[MESSAGE_MAX_BYTES];
	struct buf line;
	(void)vsnprintf(text, sizeof(text), format, arguments);
	buf_init(&line, 2 * MESSAGE_MAX_BYTES);
	shown_add(&line, text, 0); /* a hub's words, and names of others, may stand in it */
	if (ctl->on_message) {
		ctl->on_message(ctl->message_context, buf_text(&line));
	} else {
		(void)fflush(stdout);
		(void)fprintf(stderr, "gridctl: %s\n", buf_text(&line));
	}
	buf_done(&line);
}

void ctl_error(struct ctl *ctl, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say(ctl, format, arguments);
	va_end(arguments);
}

void ctl_note(struct ctl *ctl, const char *format, ...)
{
	va_list arguments;
	if (ctl->globals.quiet)
		return;
	va_start(arguments, format);
	say(ctl, format, arguments);
	va_end(arguments);
}

void ctl_detail(struct ctl *ctl, const char *format, ...)
{
	va_list arguments;
	if (!ctl->globals.verbose)
		return;
	va_start(arguments, format);
	say(ctl, format, arguments);
	va_end(arguments);
}

int ctl_exit_status(const struct err *err)
{
	switch (err->code) {
	case ERR_OK:
		return CTL_OK;
	case ERR_UNREACHABLE:
	case ERR_TIMEOUT:
		return CTL_UNREACHABLE;
	case ERR_DENIED:
		return CTL_DENIED;
	case ERR_CANCELLED:
		return CTL_INTERRUPTED;
	default:
		return CTL_FAILED;
	}
}

int ctl_fail(struct ctl *ctl, const struct err *err)
{
	if (err->code != ERR_CANCELLED)
		ctl_error(ctl, "%s", err->text);
	return ctl_exit_status(err);
}

int ctl_usage(struct ctl *ctl, const struct command *command, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	say(ctl, format, arguments);
	va_end(arguments);
	if (command)
		(void)fprintf(stderr, "Usage: gridctl %s%s%s\nTry 'gridctl %s --help'.\n", command->name, *command->usage ? " " : "",
			      command->usage, command->name);
	else
		(void)fprintf(stderr, "Try 'gridctl --help'.\n");
	return CTL_USAGE;
}

/* ---- standard output ---- */

int ctl_flush(struct ctl *ctl)
{
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CTL_OK;
	int error = errno; /* 0: it failed before, and nobody knows how */
	struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};
	bool reader_gone = error == EPIPE || (error == 0 && poll(&output, 1, 0) > 0 && (output.revents & POLLERR));
	if (reader_gone) { /* it has seen enough */
		(void)signal(SIGPIPE, SIG_DFL);
		(void)raise(SIGPIPE);
	}
	ctl_error(ctl, "cannot write to standard output: %s", error ? strerror(error) : "not all of it was taken");
	return CTL_FAILED;
}

int ctl_print_json(struct ctl *ctl, json_t *value)
{
	AUTO_JSON json_t *owned = value;
	if (!owned) {
		ctl_error(ctl, "out of memory");
		return CTL_FAILED;
	}
	(void)json_dumpf(owned, stdout, JSON_ENCODE_ANY | (ctl->out.is_one ? JSON_INDENT(2) : JSON_COMPACT));
	(void)fputc('\n', stdout);
	return ctl_flush(ctl);
}

/* ---- life ---- */

int ctl_open(struct ctl *ctl)
{
	ctl->retry_for_ms = RETRY_FOR_MS;
	terminal_look(&ctl->out, STDOUT_FILENO);
	terminal_look(&ctl->err, STDERR_FILENO);
	if (uv_loop_init(&ctl->loop) == 0)
		return 0;
	ctl_error(ctl, "the event loop could not start");
	return CTL_FAILED;
}

void ctl_close(struct ctl *ctl)
{
	http_client_close(ctl->http);
	(void)uv_run(&ctl->loop, UV_RUN_DEFAULT); /* what is closed needs a turn of the loop */
	(void)uv_loop_close(&ctl->loop);
	free(ctl->authorization);
	ctl_config_done(&ctl->config);
}

static void on_problem(void *context, const char *text)
{
	ctl_error(context, "%s", text);
}

static void on_warning(void *context, const char *text)
{
	ctl_note(context, "%s", text);
}

static void on_nothing(void *context, const char *text)
{
	(void)context;
	(void)text;
}

int ctl_load(struct ctl *ctl, bool silent)
{
	int rc = ctl_config_load(&ctl->config, &ctl->globals, silent ? on_nothing : on_problem, silent ? on_nothing : on_warning, ctl);
	return rc ? CTL_CONFIG : CTL_OK;
}

int ctl_connect(struct ctl *ctl, bool silent)
{
	const char *token = ctl->config.token.value;
	struct buf header;
	buf_init(&header, 16 * 1024);
	int rc = *token ? buf_printf(&header, "Authorization: Bearer %s", token) : 0;
	ctl->authorization = rc || !*token ? NULL : buf_steal(&header);
	buf_done(&header);
	if (!rc)
		ctl->http = http_client_new(&ctl->loop, "gridctl/" PROJECT_VERSION);
	if (!ctl->http) {
		if (!silent)
			ctl_error(ctl, "out of memory");
		return CTL_FAILED;
	}
	ctl->trust = (struct http_trust){.ca_file = ctl->config.tls_ca.value, .pins = ctl->config.tls_pin.value};
	http_client_set_trust(ctl->http, &ctl->trust);
	return CTL_OK;
}

int ctl_wait(struct ctl *ctl, const bool *done, struct err *err)
{
	while (!*done && !ctl->interrupted)
		(void)uv_run(&ctl->loop, UV_RUN_ONCE);
	return *done ? 0 : err_set(err, ERR_CANCELLED, "interrupted");
}
