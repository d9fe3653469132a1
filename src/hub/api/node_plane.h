/* What nodes call, /gridnode/…: the part that the hub itself needs. */
#pragma once

#include "hub/hub.h"
#include "hub/task_waits.h"

/* Answers a held task call with what is true now. */
void node_plane_answer_wait(struct hub *hub, const struct task_wait *wait);
