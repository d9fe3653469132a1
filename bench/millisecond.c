/* A command that computes for one millisecond of its CPU's time and prints its argument: what the measured items run. */
#include <stdio.h>
#include <time.h>

static long now_us(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec * 1000000L + now.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
	while (now_us() < 1000) {
	}
	return puts(argc > 1 ? argv[1] : "") < 0;
}
