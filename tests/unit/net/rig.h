/* A loop that fails the test when it takes too long, and real redis-servers beside it, in the test's sandbox. */
#pragma once

#include "../support.h"

#include <sys/types.h>
#include <uv.h>

struct rig {
	uv_loop_t loop;
	uv_timer_t guard;
	bool timed_out;
};

void rig_begin(struct rig *rig);

/* Lets the loop finish what was closed, and fails if a handle is left. */
void rig_end(struct rig *rig);

void rig_arm(struct rig *rig);
void rig_disarm(struct rig *rig);

#define run_until(rig, condition) \
	do { \
		rig_arm(rig); \
		while (!(condition) && !(rig)->timed_out) \
			(void)uv_run(&(rig)->loop, UV_RUN_ONCE); \
		rig_disarm(rig); \
		if ((rig)->timed_out) \
			fail_msg("not within 20 s: %s", #condition); \
	} while (0)

void run_for_ms(struct rig *rig, unsigned ms);

unsigned free_port(void);

/* Runs a program to its end; fails the test unless it succeeds. */
void run_program(const char *const *argv);

/* cert.pem and key.pem in the sandbox, for this name: "DNS:localhost". */
void make_certificate(const char *subject_alternative_name);

/* A redis-server on 127.0.0.1:port with these further arguments (ended by NULL); it answers when this returns. */
pid_t start_redis(unsigned port, const char *const *arguments);

/* SIGKILL, and waits for its end. */
void kill_redis(pid_t pid);
