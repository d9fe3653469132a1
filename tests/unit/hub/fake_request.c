/* Owns requests that no socket carries. Called by the tests of the hub's API and of its held calls. */
#include "fake_request.h"

#include "../support.h"

#include <stdlib.h>
#include <string.h>

static const char *fake_query(const struct http_request *request, const char *name)
{
	const struct fake_request *fake = (const struct fake_request *)request;
	for (size_t i = 0; i + 1 < 8 && fake->query[i]; i += 2) {
		if (strcmp(fake->query[i], name) == 0)
			return fake->query[i + 1];
	}
	return NULL;
}

/* A few bytes at a time, as a slow reader takes them. */
static void take_produced(struct fake_request *fake, const struct http_response *response)
{
	size_t len = 0;
	ssize_t got;
	do {
		fake->body = realloc(fake->body, len + 8);
		assert_non_null(fake->body);
		got = response->produce(response->produce_context, fake->body + len, 7);
		assert_true(got <= 7);
		len += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	fake->body[len] = '\0';
	response->produce_done(response->produce_context);
}

static void fake_respond(struct http_request *request, const struct http_response *response)
{
	struct fake_request *fake = (struct fake_request *)request;
	fake->answers++;
	assert_int_equal(fake->answers, 1);
	fake->held = false;
	fake->status = response->status;
	fake->allow = response->allow ? strdup(response->allow) : NULL;
	fake->authenticate = response->authenticate;
	if (response->produce) {
		take_produced(fake, response);
		return;
	}
	fake->body = response->body; /* ours now; what handlers make ends with a NUL */
	if (fake->body)
		assert_int_equal(strlen(fake->body), response->body_len);
}

static void fake_hold(struct http_request *request)
{
	struct fake_request *fake = (struct fake_request *)request;
	assert_non_null(request->on_gone);
	assert_int_equal(fake->answers, 0);
	fake->held = true;
}

static void fake_peer(const struct http_request *request, char *into, size_t size)
{
	(void)request;
	(void)snprintf(into, size, "192.0.2.1");
}

static const struct http_transport FAKE_TRANSPORT = {
	.query = fake_query, .respond = fake_respond, .hold = fake_hold, .peer = fake_peer};

void fake_init(struct fake_request *fake, const char *method, const char *path, const char *body)
{
	*fake = (struct fake_request){.request = {.transport = &FAKE_TRANSPORT,
						  .method = method,
						  .path = path,
						  .bearer = "test-token",
						  .body = body ? body : "",
						  .body_len = body ? strlen(body) : 0}};
}

void fake_done(struct fake_request *fake)
{
	assert_false(fake->held);
	free(fake->body);
	free(fake->allow);
}

void fake_go(struct fake_request *fake)
{
	assert_true(fake->held);
	fake->held = false;
	fake->request.on_gone(&fake->request);
}

json_t *fake_json(const struct fake_request *fake)
{
	json_error_t error;
	json_t *value = json_loads(fake->body, JSON_DECODE_ANY, &error);
	if (!value)
		fail_msg("%s is no JSON: %s", fake->body, error.text);
	return value;
}
