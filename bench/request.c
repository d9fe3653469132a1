/* Owns the form of the load's requests: what libcurl sends for an agent, byte for byte where it matters. Called by the
 * commands; sends nothing. */
#include "request.h"

#include <string.h>

int request_write(struct buf *into, const char *method, const char *path, const char *token, const char *body)
{
	buf_clear(into);
	int rc = buf_printf(into,
			    "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: gridnode/" PROJECT_VERSION "\r\nAccept: */*\r\n"
			    "Authorization: Bearer %s\r\n",
			    method, path, token);
	if (rc == 0 && body)
		rc = buf_printf(into, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	else if (rc == 0)
		rc = buf_printf(into, "%s\r\n", strcmp(method, "POST") == 0 ? "Content-Length: 0\r\n" : "");
	return rc;
}
