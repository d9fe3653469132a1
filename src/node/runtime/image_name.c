/* Owns the form of image names (distribution's reference grammar, with letters of both cases). Called before an image
 * is pulled and before a container is made from it. Never asks an engine. */
#include "node/runtime/image_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { TAG_MAX = 128 };

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Letters, digits and inner '.', '_', '-'. */
static bool is_component(const char *text, size_t len, bool with_port)
{
	if (len == 0 || !is_alphanumeric(text[0]) || !is_alphanumeric(text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alphanumeric(text[i]) && !strchr("._-", text[i]) && !(with_port && text[i] == ':'))
			return false;
	}
	return true;
}

static bool is_repository(const char *text)
{
	bool first = true;
	for (;;) {
		size_t len = strcspn(text, "/");
		bool last = text[len] == '\0';
		if (!is_component(text, len, first && !last))
			return false;
		if (last)
			return true;
		first = false;
		text += len + 1;
	}
}

static bool is_tag(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > TAG_MAX || strchr(".-", text[0]))
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!is_alphanumeric(text[i]) && !strchr("._-", text[i]))
			return false;
	}
	return true;
}

/* "sha256:" and hexadecimal digits. */
static bool is_digest(const char *text)
{
	const char *colon = strchr(text, ':');
	return colon && is_component(text, (size_t)(colon - text), false) && colon[1] &&
	       strspn(colon + 1, "0123456789abcdefABCDEF") == strlen(colon + 1);
}

static void set_registry(struct image_name *name)
{
	size_t len = strcspn(name->repository, "/");
	bool has_host = name->repository[len] == '/' &&
			(memchr(name->repository, '.', len) || memchr(name->repository, ':', len) ||
			 (len == strlen("localhost") && strncmp(name->repository, "localhost", len) == 0));
	if (has_host)
		(void)snprintf(name->registry, sizeof(name->registry), "%.*s", (int)len, name->repository);
	else
		(void)snprintf(name->registry, sizeof(name->registry), "docker.io");
}

int image_name_parse(const char *text, struct image_name *name, struct err *err)
{
	*name = (struct image_name){0};
	if (strlen(text) > IMAGE_NAME_MAX - sizeof(":latest"))
		return err_set(err, ERR_INVALID, "an image's name has at most %zu bytes",
			       IMAGE_NAME_MAX - sizeof(":latest"));
	memcpy(name->repository, text, strlen(text));

	char *digest = strchr(name->repository, '@');
	if (digest)
		*digest++ = '\0';
	char *tag = strrchr(name->repository, ':');
	if (tag && strchr(tag, '/'))
		tag = NULL; /* the port of a registry */
	if (tag)
		*tag++ = '\0';

	if (!is_repository(name->repository) || (tag && !is_tag(tag)) || (digest && !is_digest(digest)))
		return err_set(err, ERR_INVALID, "\"%s\" is not an image's name: correct it in the task", text);

	const char *reference = digest ? digest : tag ? tag : "latest";
	memcpy(name->reference, reference, strlen(reference));
	size_t len = strlen(name->repository);
	memcpy(name->full, name->repository, len);
	name->full[len] = digest ? '@' : ':';
	memcpy(name->full + len + 1, reference, strlen(reference)); /* no longer than `text` with ":latest" */
	set_registry(name);
	return 0;
}
