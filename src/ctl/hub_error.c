/* Owns the reading of answers that are errors. Called for every answer; decides neither on repeating nor on exit statuses. */
#include "ctl/hub_error.h"

#include <string.h>
#include <strings.h>

enum { MESSAGE_SHOWN = 500 };

/* Of the hub's own errors, by its code; what is not here goes by the status. */
static const struct {
	const char *code;
	enum err_code err;
} CODES[] = {
	{"not_found", ERR_NOT_FOUND}, {"conflict", ERR_EXISTS},	      {"bad_state", ERR_STATE},
	{"no_task_waiting", ERR_STATE}, {"no_task_running", ERR_STATE}, {"gap", ERR_STATE},
	{"redis_full", ERR_NO_SPACE}, {"redis_unreachable", ERR_IO}, {"too_large", ERR_TOO_BIG},
};

static const char *error_field(json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json_object_get(json, "error"), name));
	return text ? text : "";
}

const char *hub_error_code(json_t *json)
{
	return error_field(json, "code");
}

bool hub_error_is_transient(const struct hub_request *request, const struct http_result *result, json_t *json)
{
	const char *code = hub_error_code(json);
	if (result->error)
		return result->error == ERR_UNREACHABLE || result->error == ERR_TIMEOUT;
	if (result->status == 502 || result->status == 504)
		return true;
	if (result->status != 503)
		return false;
	return !*code || strcmp(code, "ending") == 0 || (request->patient && strcmp(code, "redis_unreachable") == 0);
}

static int without_answer(const struct ctl *ctl, const struct hub_request *request, const struct http_result *result, struct err *err)
{
	const char *hub = ctl->config.hub.value;
	bool plain = strncasecmp(hub, "http:", strlen("http:")) == 0;
	if (result->error == ERR_DENIED)
		return err_set(err, ERR_DENIED, "the hub at %s is not trusted: %s", hub, result->text);
	if (result->error != ERR_UNREACHABLE && result->error != ERR_TIMEOUT)
		return err_set(err, result->error, "the call to the hub at %s failed: %s", hub, result->text);
	if (request->once && result->sent)
		return err_set(err, ERR_UNREACHABLE,
			       "the hub at %s went away before it answered (%s): whether it was done is not known; look before you "
			       "repeat it", hub, result->text);
	return err_set(err, result->error, "the hub at %s does not answer: %s; is it running there? --hub or 'gridctl config' name another%s",
		       hub, result->text, result->hung_up && plain ? "; with TLS its address begins with https://" : "");
}

static int refused(const struct ctl *ctl, const struct http_result *result, json_t *json, struct err *err)
{
	const struct ctl_setting *token = &ctl->config.token;
	const char *hub = ctl->config.hub.value;
	if (!*token->value)
		return err_set(err, ERR_DENIED,
			       "the hub at %s wants a token: its admin_token (or, to look only, its viewer_token) by 'gridctl config "
			       "init', --token-file FILE or $IDM_GRIDCORE_TOKEN", hub);
	if (result->status == 401)
		return err_set(err, ERR_DENIED,
			       "the hub at %s refuses the token of %s: it must be the hub's admin_token (or, to look only, its "
			       "viewer_token)", hub, token->source);
	return err_set(err, ERR_DENIED, "the hub at %s refuses the token of %s: %.*s", hub, token->source, MESSAGE_SHOWN,
		       error_field(json, "message"));
}

static bool is_unknown_path(const struct http_result *result, json_t *json)
{
	static const char UNKNOWN[] = "there is no such path";
	return result->status == 405 ||
	       (result->status == 404 && strncmp(error_field(json, "message"), UNKNOWN, sizeof(UNKNOWN) - 1) == 0);
}

static enum err_code code_of(int status, const char *code)
{
	for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++) {
		if (strcmp(CODES[i].code, code) == 0)
			return CODES[i].err;
	}
	return status == 404 ? ERR_NOT_FOUND : status == 409 ? ERR_STATE : status == 413 ? ERR_TOO_BIG : status < 500 ? ERR_INVALID : ERR_IO;
}

int hub_error_of(const struct ctl *ctl, const struct hub_request *request, const struct http_result *result, json_t *json,
		 struct err *err)
{
	const char *hub = ctl->config.hub.value;
	const char *message = error_field(json, "message");
	if (result->error)
		return without_answer(ctl, request, result, err);
	if (result->status / 100 == 2) {
		if (json || request->raw)
			return 0;
		return err_set(err, ERR_PROTOCOL, "what answers at %s is not a hub: no JSON", hub);
	}
	if (!*message && (result->status == 502 || result->status == 503 || result->status == 504))
		return err_set(err, ERR_UNREACHABLE, "the hub at %s does not answer: a proxy before it says %d; is the hub running?", hub,
			       result->status);
	if (result->status == 401 || result->status == 403)
		return refused(ctl, result, json, err);
	if (is_unknown_path(result, json) && strstr(request->path, "%2F")) /* the hub sees it decoded */
		return err_set(err, ERR_NOT_FOUND, "there is nothing of that name: none has a '/' in it");
	if (is_unknown_path(result, json) && *message)
		return err_set(err, ERR_PROTOCOL, "the hub at %s is too old for %s: update it", hub,
			       request->needs ? request->needs : request->path);
	if (!*message)
		return err_set(err, ERR_PROTOCOL, "what answers at %s is not a hub: it said %d, and no reason", hub, result->status);
	return err_set(err, code_of(result->status, hub_error_code(json)), "%.*s", MESSAGE_SHOWN, message);
}
