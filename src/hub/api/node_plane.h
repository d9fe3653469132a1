/* What nodes call, /gridnode/…: the part that the hub itself needs. */
#pragma once

#include "hub/hub.h"
#include "hub/task_waits.h"

/* Answers a held task call with what is true now. */
void node_plane_answer_wait(struct hub *hub, const struct task_wait *wait);

struct api_call;

/* Who calls: the node whose secret the request carries. given_id: who it says it is, or NULL. NULL when it was refused: 403 where
 * the token is no node's own, or another's. Its call counts as a sign of life. */
struct node *node_plane_caller(struct api_call *call, const char *given_id);

/* A number of the query; -1 where it is absent, -2 where it is not a number. */
int64_t node_plane_number(const struct http_request *request, const char *name);
