/* The handlers that the table of routes names, by the file that has them. */
#pragma once

struct api_call;

/* health.c */
void handle_health(struct api_call *call);

/* task_resource.c */
void handle_task_add(struct api_call *call);
void handle_task_list(struct api_call *call);
void handle_task_get(struct api_call *call);
void handle_task_delete(struct api_call *call);
void handle_task_next(struct api_call *call);
void handle_task_finish(struct api_call *call);

/* task_control.c */
void handle_task_finish_named(struct api_call *call);
void handle_task_cancel(struct api_call *call);
void handle_task_pause(struct api_call *call);
void handle_task_resume(struct api_call *call);
void handle_task_failures(struct api_call *call);

/* node_resource.c */
void handle_node_list(struct api_call *call);
void handle_node_stop(struct api_call *call);
void handle_node_revoke(struct api_call *call);
void handle_node_drain(struct api_call *call);
void handle_node_undrain(struct api_call *call);

/* node_plane.c */
void handle_node_register(struct api_call *call);
void handle_node_heartbeat(struct api_call *call);
void handle_node_task(struct api_call *call);

/* lease_resource.c */
void handle_node_lease(struct api_call *call);
void handle_node_commit(struct api_call *call);
void handle_node_inventory(struct api_call *call);

/* items_resource.c */
void handle_items_push(struct api_call *call);
void handle_items_count(struct api_call *call);

/* results_resource.c */
void handle_results_read(struct api_call *call);
void handle_results_take(struct api_call *call);

/* dead_resource.c */
void handle_dead_list(struct api_call *call);
void handle_dead_retry(struct api_call *call);
void handle_dead_drop(struct api_call *call);
