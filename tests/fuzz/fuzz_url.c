/* URLs of people: none that is taken can be shown with its password, and none that is not can be shown at all. */
#include "fuzz.h"

#include "base/url.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

static void assert_masked(const char *url, const char *masked)
{
	CURLU *parsed = curl_url();
	char *password = NULL;
	assert(parsed);
	if (curl_url_set(parsed, CURLUPART_URL, masked, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK)
		(void)curl_url_get(parsed, CURLUPART_PASSWORD, &password, 0);
	assert(!password || !*password || strcmp(password, "***") == 0);
	assert(strlen(masked) <= strlen(url) + 3);
	curl_free(password);
	curl_url_cleanup(parsed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = malloc(size + 1);
	assert(url);
	if (size)
		memcpy(url, data, size);
	url[size] = '\0';
	struct err err = {0};
	(void)!url_check_http(url, &err);
	(void)!url_check_redis(url, &err);
	struct redis_url parts;
	int rc = url_parse_redis(url, &parts, &err);
	assert(rc || parts.socket || (parts.host && parts.port > 0 && parts.port <= 65535));
	assert(rc || !parts.socket || url_check_redis(url, &err));
	redis_url_done(&parts);
	char *masked = url_masked(url);
	assert(masked);
	assert_masked(url, masked);
	free(masked);
	free(url);
	return 0;
}
