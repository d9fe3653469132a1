/* Owns a question on the controlling terminal. Called by run and attach, at Ctrl-C; standard input may be the items. */
#include "ctl/question.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct question {
	int fd;
	uv_poll_t poll;
	question_on_answer *on_answer;
	void *context;
};

static void on_closed(uv_handle_t *handle)
{
	struct question *question = handle->data;
	(void)close(question->fd);
	free(question);
}

void question_close(struct question *question)
{
	if (question && !uv_is_closing((uv_handle_t *)&question->poll))
		uv_close((uv_handle_t *)&question->poll, on_closed);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct question *question = poll->data;
	char line[256];
	(void)events;
	ssize_t len = status < 0 ? 0 : read(question->fd, line, sizeof(line));
	char letter = len > 0 && line[0] != '\n' ? (char)tolower((unsigned char)line[0]) : '\0';
	question_close(question);
	question->on_answer(question->context, letter);
}

struct question *question_ask(uv_loop_t *loop, const char *text, question_on_answer *on_answer, void *context)
{
	struct question *question = calloc(1, sizeof(*question));
	if (!question)
		return NULL;
	question->on_answer = on_answer;
	question->context = context;
	question->fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	question->poll.data = question;
	if (question->fd < 0 || write(question->fd, text, strlen(text)) < 0 || uv_poll_init(loop, &question->poll, question->fd)) {
		if (question->fd >= 0)
			(void)close(question->fd);
		free(question);
		return NULL;
	}
	(void)uv_poll_start(&question->poll, UV_READABLE, on_readable);
	return question;
}
