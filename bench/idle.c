/* What the measured containers and processes run: a static program that does nothing until SIGTERM, and then ends with
 * status 0. */
#include <signal.h>
#include <unistd.h>

static void on_term(int number)
{
	(void)number;
	_exit(0);
}

int main(void)
{
	(void)signal(SIGTERM, on_term);
	for (;;)
		(void)pause();
}
