/* A question to the person at the terminal, while the loop goes on. */
#pragma once

#include "base/err.h"

#include <uv.h>

struct question;

/* on_answer comes once, never from inside, with the first letter of the line in lower case (0: an empty line, or the terminal is
 * gone). NULL where there is no terminal to ask on. */
typedef void question_on_answer(void *context, char letter);
struct question *question_ask(uv_loop_t *loop, const char *text, question_on_answer *on_answer, void *context);

/* No callback any more. NULL is ignored. */
void question_close(struct question *question);
