/* The programs that a local system is made of: where they are, and what gridnode knows of this machine. */
#pragma once

#include "base/err.h"
#include "ctl/local_system.h"

struct local_programs {
	char redis[LOCAL_PATH_MAX];
	char hub[LOCAL_PATH_MAX];
	char node[LOCAL_PATH_MAX];
};

/* Ours are looked for beside gridctl itself, then in PATH; Redis (or Valkey) in PATH. ERR_NOT_FOUND names what to install. */
int local_programs_find(struct local_programs *programs, struct err *err) MUST_CHECK;

/* "unix:///var/run/docker.sock"; ERR_NOT_FOUND with the reason where no container engine can be used. */
int local_programs_engine(const struct local_programs *programs, char url[LOCAL_PATH_MAX], struct err *err) MUST_CHECK;
