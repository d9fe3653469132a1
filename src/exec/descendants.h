/* What a command leaves running. */
#pragma once

/* From now on descendants whose parents end become our children, also where we are not a first process. */
void descendants_init(void);

/* Kills and reaps all children, and those that become ours meanwhile, until there are none; gives up after some seconds, when one
 * hangs in the kernel. For when no child is wanted any more. */
void descendants_end(void);
