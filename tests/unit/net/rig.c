/* Owns the loop and the redis-servers of the tests of the net floor. They die with the test: whatever ends it. */
#include "rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static void on_guard(uv_timer_t *timer)
{
	((struct rig *)timer->data)->timed_out = true;
}

void rig_begin(struct rig *rig)
{
	*rig = (struct rig){0};
	assert_int_equal(uv_loop_init(&rig->loop), 0);
	(void)uv_timer_init(&rig->loop, &rig->guard);
	rig->guard.data = rig;
}

void rig_end(struct rig *rig)
{
	rig_arm(rig);
	uv_unref((uv_handle_t *)&rig->guard);
	(void)uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_false(rig->timed_out);
	uv_close((uv_handle_t *)&rig->guard, NULL);
	(void)uv_run(&rig->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&rig->loop), 0);
}

void rig_arm(struct rig *rig)
{
	(void)uv_timer_start(&rig->guard, on_guard, PATIENCE_MS, 0);
}

void rig_disarm(struct rig *rig)
{
	(void)uv_timer_stop(&rig->guard);
}

static void on_pause_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

void run_for_ms(struct rig *rig, unsigned ms)
{
	uv_timer_t timer;
	bool over = false;
	(void)uv_timer_init(&rig->loop, &timer);
	timer.data = &over;
	(void)uv_timer_start(&timer, on_pause_over, ms, 0);
	run_until(rig, over);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&rig->loop, UV_RUN_NOWAIT);
}

static int loopback_socket(unsigned port, struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd;
}

unsigned free_port(void)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);
	int fd = loopback_socket(0, &address);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	(void)close(fd);
	return ntohs(address.sin_port);
}

static pid_t start(const char *const *argv)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!freopen("/dev/null", "w", stdout) || !freopen("programs.log", "a", stderr))
		_exit(126);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	_exit(127);
}

void run_program(const char *const *argv)
{
	int status = 0;
	pid_t pid = start(argv);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("%s ended with %#x", argv[0], status);
}

void make_certificate(const char *subject_alternative_name)
{
	char extension[256];
	(void)snprintf(extension, sizeof(extension), "subjectAltName=%s", subject_alternative_name);
	run_program((const char *const[]){"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
					  "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem", "-subj",
					  "/CN=a test", "-addext", extension, NULL});
}

static bool answers(unsigned port)
{
	struct sockaddr_in address;
	int fd = loopback_socket(port, &address);
	bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	(void)close(fd);
	return connected;
}

pid_t start_redis(unsigned port, const char *const *arguments)
{
	char port_text[8];
	(void)snprintf(port_text, sizeof(port_text), "%u", port);
	const char *argv[32] = {"redis-server", "--bind", "127.0.0.1", "--port", port_text, "--save", "", "--dir", ".",
				"--daemonize", "no"};
	size_t argc = 11;
	for (; *arguments; arguments++) {
		assert_true(argc < 31);
		argv[argc++] = *arguments;
	}
	argv[argc] = NULL;
	pid_t pid = start(argv);
	for (int i = 0; i < 1000 && !answers(port); i++) {
		assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it ended at once */
		(void)usleep(20 * 1000);
	}
	assert_true(answers(port));
	return pid;
}

void kill_redis(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}
