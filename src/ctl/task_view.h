/* A task as the hub shows it, read for those who watch and wait. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/progress_line.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct task_view {
	char name[140];
	char status[16];    /* "pending", "running", "completed", "cancelled" */
	char blocked[200];  /* why nothing can go on; "" */
	bool paused, ended;
	bool numbers;       /* these are known */
	int64_t waiting, leased, done, dead, total;
	double rate;        /* per second; 0: not known */
};

void task_view_read(struct task_view *view, json_t *task);

/* Whether everything that was ever pushed has ended, well or not. */
bool task_view_is_idle(const struct task_view *view);

/* The exit status of a task with so many dead letters. */
int task_view_exit_status(const struct task_view *view);

/* What it waits for, in a few words; NULL: nothing, it works. `nodes`: online ones, -1 where not known. */
const char *task_view_state(const struct task_view *view, int64_t nodes, char *into, size_t size);
