/* What a hub's answer means for a person. Of hub_call.c alone. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "net/http_client.h"

#include <jansson.h>
#include <stdbool.h>

/* 0, or the code of err, whose text says what is wrong and what to do. `json` is the answer's body, or NULL. */
int hub_error_of(const struct ctl *ctl, const struct hub_request *request, const struct http_result *result, json_t *json,
		 struct err *err) MUST_CHECK;

/* The hub's own code of an error; "" without one. */
const char *hub_error_code(json_t *json);

/* Whether it may be otherwise in a moment: nobody answers, or somebody in between says so. */
bool hub_error_is_transient(const struct hub_request *request, const struct http_result *result, json_t *json);
