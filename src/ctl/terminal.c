/* Owns what is to be known of terminals. Called by the frame once at start, and by what asks a person; keeps no state but the echo
 * that it turned off, which an interrupt gives back. */
#include "ctl/terminal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

static int columns_of(int fd)
{
	struct winsize size = {0};
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	const char *columns = getenv("COLUMNS");
	int number = columns ? atoi(columns) : 0;
	return number > 0 ? number : 80;
}

void terminal_look(struct terminal *terminal, int fd)
{
	const char *kind = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");
	*terminal = (struct terminal){.is_one = isatty(fd)};
	if (!terminal->is_one)
		return;
	terminal->columns = columns_of(fd);
	terminal->colors = !(no_color && *no_color) && kind && *kind && strcmp(kind, "dumb") != 0;
}

/* ---- questions ---- */

static struct {
	int fd;
	struct termios before;
} hidden = {.fd = -1};

static void show_again(void)
{
	if (hidden.fd >= 0)
		(void)tcsetattr(hidden.fd, TCSADRAIN, &hidden.before);
	hidden.fd = -1;
}

static void on_interrupt(int number)
{
	show_again();
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

static void hide(int fd)
{
	struct termios quiet;
	if (tcgetattr(fd, &hidden.before))
		return;
	quiet = hidden.before;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	hidden.fd = fd;
	(void)signal(SIGINT, on_interrupt);
	(void)signal(SIGTERM, on_interrupt);
	if (tcsetattr(fd, TCSAFLUSH, &quiet))
		hidden.fd = -1;
}

static int read_line(int fd, struct buf *answer, struct err *err)
{
	for (;;) {
		char byte;
		ssize_t len = read(fd, &byte, 1);
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_from_errno(err, errno, "cannot read from the terminal");
		if (len == 0 || byte == '\n')
			return buf_add(answer, "", 0);
		if (buf_add(answer, &byte, 1))
			return err_set(err, ERR_TOO_BIG, "the answer is longer than %zu bytes", answer->cap);
	}
}

int terminal_ask(const char *question, bool secret, struct buf *answer, struct err *err)
{
	AUTO_CLOSE int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_set(err, ERR_STATE, "there is no terminal to ask on");
	if (secret)
		hide(fd); /* before the question: what is typed upon it must not be dropped, nor seen */
	int rc = write(fd, question, strlen(question)) < 0 ? err_from_errno(err, errno, "cannot write to the terminal")
							   : read_line(fd, answer, err);
	if (secret) {
		show_again();
		(void)signal(SIGINT, SIG_DFL);
		(void)signal(SIGTERM, SIG_DFL);
		if (write(fd, "\n", 1) < 0)
			return rc; /* the cursor stays where it is */
	}
	return rc;
}
