/* Makes one allocation fail: our own code's (the linker hands them to us) and jansson's. A test arms the first, then the
 * second, and so on, until what it does succeeds because the failing one was never reached:
 *
 *   unsigned n = 0;
 *   do {
 *           fault_arm(++n);
 *           rc = …;
 *   } while (fault_disarm());
 */
#pragma once

#include <stdbool.h>

/* The nth allocation from now on fails, once. */
void fault_arm(unsigned nth);

/* Ends that; true if the failing one was reached. */
bool fault_disarm(void);

/* Meanwhile nothing fails and nothing counts: for what the test itself allocates. */
void fault_pause(bool pause);
