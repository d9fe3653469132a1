/* A link as long as a person says: forwards TCP on loopback, and every byte arrives MS later, in either direction. Bandwidth is
 * not bounded, but by how much may be on its way.
 *
 * delay MS PORT      prints the port that it listens on; what comes there goes to PORT, until SIGTERM
 *
 * Each direction is a queue of chunks with the time when they are due, and a timer for the first of them. */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { CHUNK = 64 * 1024, ON_ITS_WAY_MAX = 64 * 1024 * 1024 };

struct direction;

struct chunk {
	struct chunk *next;
	struct direction *direction;
	uv_write_t write;
	uint64_t due_ns;
	size_t len; /* 0: the end */
	char bytes[];
};

struct link;

/* What one side sends the other. */
struct direction {
	struct link *link;
	uv_tcp_t *from, *to;
	uv_timer_t timer;
	struct chunk *first, *last;
	size_t on_its_way;
	bool paused;
};

struct link {
	uv_tcp_t near, far;
	uv_connect_t connect;
	struct direction there, back;
	bool closing;
	unsigned handles;
};

static uint64_t delay_ns;
static struct sockaddr_in target;
static char scratch[CHUNK];

static void start_reading(struct direction *direction);

static void give_up(const char *what)
{
	(void)fprintf(stderr, "delay: %s\n", what);
	exit(1);
}

/* ---- the end of a link ---- */

static void on_closed(uv_handle_t *handle)
{
	struct link *link = handle->data;
	struct direction *const both[] = {&link->there, &link->back};
	if (--link->handles > 0)
		return;
	for (size_t i = 0; i < 2; i++) {
		for (struct chunk *chunk = both[i]->first; chunk; chunk = both[i]->first) {
			both[i]->first = chunk->next;
			free(chunk);
		}
	}
	free(link);
}

static void close_link(struct link *link)
{
	if (link->closing)
		return;
	link->closing = true;
	uv_close((uv_handle_t *)&link->near, on_closed);
	uv_close((uv_handle_t *)&link->far, on_closed);
	uv_close((uv_handle_t *)&link->there.timer, on_closed);
	uv_close((uv_handle_t *)&link->back.timer, on_closed);
}

/* ---- a chunk's way ---- */

static void on_written(uv_write_t *write, int status)
{
	struct chunk *chunk = write->data;
	struct direction *direction = chunk->direction;
	if (status == 0) {
		direction->on_its_way -= chunk->len;
		if (direction->paused && direction->on_its_way < ON_ITS_WAY_MAX / 2)
			start_reading(direction);
	} else if (status != UV_ECANCELED) {
		close_link(direction->link);
	}
	free(chunk);
}

static void on_due(uv_timer_t *timer);

static void await_first(struct direction *direction)
{
	if (!direction->first || direction->link->closing)
		return;
	uint64_t now = uv_hrtime();
	uint64_t wait_ns = direction->first->due_ns > now ? direction->first->due_ns - now : 0;
	(void)uv_timer_start(&direction->timer, on_due, (wait_ns + 999999) / 1000000, 0);
}

static void on_due(uv_timer_t *timer)
{
	struct link *link = timer->data;
	struct direction *direction = timer == &link->there.timer ? &link->there : &link->back;
	uint64_t now = uv_hrtime();
	while (direction->first && direction->first->due_ns <= now && !link->closing) {
		struct chunk *chunk = direction->first;
		direction->first = chunk->next;
		const uv_buf_t bytes = uv_buf_init(chunk->bytes, (unsigned)chunk->len);
		chunk->write.data = chunk;
		if (chunk->len == 0 || uv_write(&chunk->write, (uv_stream_t *)direction->to, &bytes, 1, on_written)) {
			free(chunk);
			close_link(link);
		}
	}
	await_first(direction);
}

static void send_later(struct direction *direction, const char *bytes, size_t len)
{
	struct chunk *chunk = malloc(sizeof(*chunk) + len);
	if (!chunk)
		give_up("out of memory");
	chunk->next = NULL;
	chunk->direction = direction;
	chunk->due_ns = uv_hrtime() + delay_ns;
	chunk->len = len;
	memcpy(chunk->bytes, bytes, len);
	if (direction->first)
		direction->last->next = chunk;
	else
		direction->first = chunk;
	direction->last = chunk;
	direction->on_its_way += len;
	if (direction->first == chunk)
		await_first(direction);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *into)
{
	(void)handle;
	(void)suggested;
	*into = uv_buf_init(scratch, sizeof(scratch));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct link *link = stream->data;
	struct direction *direction = stream == (uv_stream_t *)&link->near ? &link->there : &link->back;
	if (len == 0)
		return;
	(void)(len < 0 ? uv_read_stop(stream) : 0);
	send_later(direction, bytes->base, len > 0 ? (size_t)len : 0);
	if (direction->on_its_way >= ON_ITS_WAY_MAX && !direction->paused) {
		direction->paused = true;
		(void)uv_read_stop(stream);
	}
}

static void start_reading(struct direction *direction)
{
	direction->paused = false;
	(void)uv_read_start((uv_stream_t *)direction->from, on_alloc, on_read);
}

/* ---- the beginning of one ---- */

static void on_connected(uv_connect_t *connect, int status)
{
	struct link *link = connect->data;
	if (link->closing)
		return;
	if (status) {
		close_link(link);
		return;
	}
	start_reading(&link->there);
	start_reading(&link->back);
}

static void init_direction(struct link *link, struct direction *direction, uv_tcp_t *from, uv_tcp_t *to)
{
	*direction = (struct direction){.link = link, .from = from, .to = to};
	(void)uv_timer_init(from->loop, &direction->timer);
	direction->timer.data = from->data = link;
	(void)uv_tcp_nodelay(to, 1);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct link *link = calloc(1, sizeof(*link));
	if (status || !link)
		give_up("no connection can be taken");
	(void)uv_tcp_init(listener->loop, &link->near);
	(void)uv_tcp_init(listener->loop, &link->far);
	if (uv_accept(listener, (uv_stream_t *)&link->near))
		give_up("no connection can be taken");
	link->handles = 4;
	link->connect.data = link;
	int rc = uv_tcp_connect(&link->connect, &link->far, (const struct sockaddr *)&target, on_connected);
	init_direction(link, &link->there, &link->near, &link->far);
	init_direction(link, &link->back, &link->far, &link->near);
	if (rc)
		close_link(link);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		give_up("delay MS PORT");
	delay_ns = strtoull(argv[1], NULL, 10) * 1000000;
	target = (struct sockaddr_in){.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10)),
				      .sin_addr = {htonl(INADDR_LOOPBACK)}};
	uv_loop_t *loop = uv_default_loop();
	uv_tcp_t listener;
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int len = sizeof(own);
	(void)uv_tcp_init(loop, &listener);
	if (uv_tcp_bind(&listener, (const struct sockaddr *)&own, 0) ||
	    uv_listen((uv_stream_t *)&listener, 128, on_connection) ||
	    uv_tcp_getsockname(&listener, (struct sockaddr *)&own, &len))
		give_up("cannot listen");
	(void)printf("%u\n", ntohs(own.sin_port));
	(void)fflush(stdout);
	return uv_run(loop, UV_RUN_DEFAULT);
}
