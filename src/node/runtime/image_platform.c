/* Owns the comparison of platforms. Called with each inspected image, since no engine enforces the wanted platform by
 * itself. Never trusts that a field is there. */
#include "node/runtime/image_platform.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text ? text : "";
}

/* "v7" → 7; 0 where there is none. */
static int variant_number(const char *variant)
{
	return variant[0] == 'v' ? atoi(variant + 1) : 0;
}

static bool variant_fits(const char *wanted, const char *has)
{
	if (wanted[0] == '\0' || has[0] == '\0' || strcmp(wanted, has) == 0)
		return true;
	int most = variant_number(wanted);
	int needs = variant_number(has);
	return most && needs && needs <= most;
}

int image_platform_check(const char *image, const char *wanted, const json_t *inspected, struct err *err)
{
	const char *os = text_of(inspected, "Os");
	const char *architecture = text_of(inspected, "Architecture");
	const char *variant = text_of(inspected, "Variant");

	char base[128];
	(void)snprintf(base, sizeof(base), "%s/%s", os, architecture);
	size_t len = strlen(base);
	bool same = strncmp(wanted, base, len) == 0 && (wanted[len] == '\0' || wanted[len] == '/');
	if (same && variant_fits(wanted[len] ? wanted + len + 1 : "", variant))
		return 0;
	return err_set(err, ERR_INVALID,
		       "image %s is %s%s%s, this machine wants %s: give the task an image for this platform in \"images\"",
		       image, base, variant[0] ? "/" : "", variant, wanted);
}
