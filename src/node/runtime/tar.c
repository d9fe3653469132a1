/* Owns the form of tar archives. Called by pause_image.c, which makes an image without any program's help. Never reads
 * one, and never touches a file. */
#include "node/runtime/tar.h"

#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, SIZE_MAX_OCTAL = 0777777777 };

/* Numbers are octal text, ended by a NUL. */
struct header {
	char path[100];
	char mode[8];
	char owner[8];
	char group[8];
	char size[12];
	char time[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char owner_name[32];
	char group_name[32];
	char device_major[8];
	char device_minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct header) == BLOCK, "a header is a block");

/* The sum of all its bytes, those of the sum itself taken as blanks. */
static void set_checksum(struct header *header)
{
	unsigned sum = 0;
	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += ((const unsigned char *)header)[i];
	(void)snprintf(header->checksum, sizeof(header->checksum), "%06o", sum & 0777777U);
}

static int add_header(struct buf *archive, const char *path, char type, unsigned mode, size_t len)
{
	struct header header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
	if (strlen(path) > TAR_PATH_MAX || len > SIZE_MAX_OCTAL)
		return ERR_INVALID;
	memcpy(header.path, path, strlen(path));
	(void)snprintf(header.mode, sizeof(header.mode), "%07o", mode & 07777U);
	(void)snprintf(header.owner, sizeof(header.owner), "%07o", 0U);
	(void)snprintf(header.group, sizeof(header.group), "%07o", 0U);
	(void)snprintf(header.size, sizeof(header.size), "%011zo", len);
	(void)snprintf(header.time, sizeof(header.time), "%011o", 0U);
	set_checksum(&header);
	return buf_add(archive, (const char *)&header, sizeof(header));
}

static int add_zeros(struct buf *archive, size_t len)
{
	static const char ZEROS[2 * BLOCK];
	return buf_add(archive, ZEROS, len);
}

int tar_add_directory(struct buf *archive, const char *path, unsigned mode)
{
	return add_header(archive, path, '5', mode, 0);
}

int tar_add_file(struct buf *archive, const char *path, unsigned mode, const char *bytes, size_t len)
{
	int rc = add_header(archive, path, '0', mode, len);
	if (rc == 0)
		rc = buf_add(archive, bytes, len);
	return rc ? rc : add_zeros(archive, (BLOCK - len % BLOCK) % BLOCK);
}

int tar_finish(struct buf *archive)
{
	return add_zeros(archive, 2 * BLOCK);
}
