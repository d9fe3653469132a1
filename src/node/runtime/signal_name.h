/* Signals of Linux containers, as engines and images write them. */
#pragma once

/* "15", "TERM" or "SIGTERM" is 15; 0 for anything else. The numbers are those of Linux, wherever gridnode runs. */
int signal_number(const char *text);
