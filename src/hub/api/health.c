/* Owns GET /health. Called by anybody, without a token; tells nothing but that the hub answers. */
#include "hub/api/handlers.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

void handle_health(struct api_call *call)
{
	reply_text(call->request, HTTP_OK, "OK");
}
