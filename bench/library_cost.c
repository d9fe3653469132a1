/* What a library costs a process: memory after it is loaded, and after its first use. bench/run starts it anew for each
 * library, so that none finds what another brought in; nothing is linked but the C library.
 *
 * library_cost SONAME [URL] prints what loading and using it added; URL is what libcurl then gets. */
#include "process.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* POSIX lets dlsym's pointer be one to a function; C does not let it be cast. */
static void *find(void *library, const char *name)
{
	void *symbol = dlsym(library, name);
	if (!symbol) {
		(void)fprintf(stderr, "library_cost: no %s\n", name);
		exit(1);
	}
	return symbol;
}

#define FIND(library, function, name) \
	do { \
		void *symbol_ = find(library, name); \
		memcpy(&(function), &symbol_, sizeof(function)); \
	} while (0)

static void use_libuv(void *library, const char *url)
{
	enum { RUN_NOWAIT = 2 };
	(void)url;
	void *(*default_loop)(void);
	int (*run)(void *loop, int mode);
	FIND(library, default_loop, "uv_default_loop");
	FIND(library, run, "uv_run");
	(void)run(default_loop(), RUN_NOWAIT);
}

static void use_jansson(void *library, const char *url)
{
	(void)url;
	void *(*loads)(const char *text, size_t flags, void *error);
	char *(*dumps)(const void *json, size_t flags);
	FIND(library, loads, "json_loads");
	FIND(library, dumps, "json_dumps");
	free(dumps(loads("{\"task\": null, \"version\": 1}", 0, NULL), 0));
}

static void use_openssl(void *library, const char *url)
{
	(void)url;
	const void *(*method)(void);
	void *(*context_new)(const void *method);
	int (*default_paths)(void *context);
	FIND(library, method, "TLS_client_method");
	FIND(library, context_new, "SSL_CTX_new");
	FIND(library, default_paths, "SSL_CTX_set_default_verify_paths");
	(void)default_paths(context_new(method()));
}

static void use_sqlite(void *library, const char *url)
{
	(void)url;
	int (*open)(const char *path, void **database);
	int (*exec)(void *database, const char *sql, void *callback, void *context, char **error);
	void *database = NULL;
	FIND(library, open, "sqlite3_open");
	FIND(library, exec, "sqlite3_exec");
	if (open(":memory:", &database) == 0)
		(void)exec(database, "create table t (n)", NULL, NULL, NULL);
}

static void use_microhttpd(void *library, const char *url)
{
	enum { USE_EPOLL = 512, OPTION_END = 0 };
	(void)url;
	void *(*start)(unsigned flags, uint16_t port, void *accept, void *accept_context, void *access, void *access_context,
		       ...);
	FIND(library, start, "MHD_start_daemon");
	(void)start(USE_EPOLL, 0, NULL, NULL, find(library, "MHD_run"), NULL, OPTION_END); /* never called: nobody connects */
}

static size_t drop(const char *bytes, size_t size, size_t count, void *context)
{
	(void)bytes;
	(void)context;
	return size * count;
}

static void use_curl(void *library, const char *url)
{
	enum { OPTION_URL = 10002, OPTION_WRITE = 20011, OPTION_UNVERIFIED = 64, OPTION_ANY_HOST = 81, OPTION_TIMEOUT = 13 };
	void *(*init)(void);
	int (*setopt)(void *easy, int option, ...);
	int (*perform)(void *easy);
	FIND(library, init, "curl_easy_init");
	FIND(library, setopt, "curl_easy_setopt");
	FIND(library, perform, "curl_easy_perform");
	void *easy = init();
	if (!url)
		return;
	(void)setopt(easy, OPTION_URL, url);
	(void)setopt(easy, OPTION_WRITE, drop);
	(void)setopt(easy, OPTION_UNVERIFIED, 0L); /* the server is bench/run's own, its certificate made a moment ago */
	(void)setopt(easy, OPTION_ANY_HOST, 0L);
	(void)setopt(easy, OPTION_TIMEOUT, 10L);
	int code = perform(easy);
	if (code) {
		(void)fprintf(stderr, "library_cost: libcurl: error %d for %s\n", code, url);
		exit(1);
	}
}

static const struct {
	const char *begin; /* of the name */
	void (*use)(void *library, const char *url);
} USES[] = {
	{"libuv.", use_libuv},	     {"libjansson.", use_jansson},	 {"libssl.", use_openssl},
	{"libsqlite3.", use_sqlite}, {"libmicrohttpd.", use_microhttpd}, {"libcurl", use_curl},
};

static struct process_memory memory_now(void)
{
	struct process_memory memory;
	struct err err = {0};
	if (process_memory_read(getpid(), &memory, &err)) {
		(void)fprintf(stderr, "library_cost: %s\n", err.text);
		exit(1);
	}
	return memory;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 3) {
		(void)fprintf(stderr, "usage: library_cost SONAME [URL]\n");
		return 2;
	}
	(void)memory_now(); /* standard input and output take their buffers */
	struct process_memory before = memory_now();
	void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		(void)fprintf(stderr, "library_cost: %s\n", dlerror());
		return 1;
	}
	struct process_memory loaded = memory_now();
	for (size_t i = 0; i < sizeof(USES) / sizeof(USES[0]); i++) {
		if (strncmp(argv[1], USES[i].begin, strlen(USES[i].begin)) == 0)
			USES[i].use(library, argc == 3 ? argv[2] : NULL);
	}
	struct process_memory used = memory_now();
	(void)printf("{\"loaded_resident\": %" PRId64 ", \"loaded_private_dirty\": %" PRId64 ", \"resident\": %" PRId64
		     ", \"private_dirty\": %" PRId64 "}\n",
		     loaded.resident_bytes - before.resident_bytes, loaded.private_dirty_bytes - before.private_dirty_bytes,
		     used.resident_bytes - before.resident_bytes, used.private_dirty_bytes - before.private_dirty_bytes);
	(void)fflush(stdout);
	_exit(0); /* what was used is never given back: it was to be measured while it is there */
}
