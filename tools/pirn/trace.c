// SPDX-License-Identifier: MIT
/*
 * pirn trace: one read through the module, each stage with its time, from the
 * module's tracepoints.  Uses a tracing instance of its own, so that whoever else
 * traces is not disturbed.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pirn/scope.h>

#include "pirn_cmd.h"

#define TRACING "/sys/kernel/tracing"

enum { OPT_OFFSET = 256, OPT_BYTES, OPT_WAIT };

static const struct argp_option options[] = {
	{ "offset", OPT_OFFSET, "BYTES", 0, "Where to read (0)", 0 },
	{ "bytes", OPT_BYTES, "N", 0, "How much (4096)", 0 },
	{ "wait", OPT_WAIT, "SECONDS", 0, "How long, before what there is by then is printed (10)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

struct trace {
	const char *target;
	uint64_t offset;
	uint32_t bytes;
	uint64_t wait;		/* seconds */
	uint64_t asked;		/* ns of CLOCK_MONOTONIC */
	uint64_t returned;	/* 0: it has not */
	char dir[64];		/* of the instance */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct trace *trace = state->input;

	switch (key) {
	case OPT_OFFSET:
		trace->offset = args_number("offset", arg, 0, INT64_MAX);
		break;
	case OPT_BYTES:
		trace->bytes = (uint32_t)args_number("bytes", arg, 512, 1 << 20);
		break;
	case OPT_WAIT:
		trace->wait = args_number("wait", arg, 1, 86400);
		break;
	case ARGP_KEY_ARG:
		if (trace->target)
			args_bad("reads from one device, and got '%s' too", arg);
		trace->target = arg;
		break;
	case ARGP_KEY_END:
		if (!trace->target)
			args_bad("needs a block device, as in %s /dev/nvme0n1",
				 command_name);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ----------------------------------------------------------------- tracefs */

static int put(const struct trace *trace, const char *name, const char *text)
{
	char path[128];
	int fd, err = 0;

	snprintf(path, sizeof(path), "%s/%s", trace->dir, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		err = -errno;
		complain("%s: %s%s", path, strerror(-err), err == -ENOENT ?
			 " (the module pirn is not loaded: modprobe pirn)" : "");
	}
	if (fd >= 0)
		close(fd);
	return err;
}

static int instance_make(struct trace *trace)
{
	int err;

	snprintf(trace->dir, sizeof(trace->dir), TRACING "/instances/pirn-%d",
		 (int)getpid());
	if (!mkdir(trace->dir, 0700))
		return 0;
	err = -errno;
	complain("%s: %s%s", TRACING, strerror(-err),
		 err == -EACCES || err == -EPERM ? " (tracing is root's)" :
		 err == -ENOENT ?
		 " (tracefs has to be mounted there: mount -t tracefs none " TRACING ")" :
		 "");
	return err;
}

/* ---------------------------------------------------------------- printing */

static const struct {
	const char *event;
	const char *what;
} stages[] = {
	{ "pirn_submit", "ENTER has read the SQE" },
	{ "pirn_issue", "a bio goes to the block layer" },
	{ "pirn_complete", "the device has answered, the CQE is written" },
	{ "pirn_wake", "the core, asleep, is woken" },
};

static void line(double at, double *last, const char *what, const char *fields)
{
	printf("%10.1f us  %+9.1f  %s%s%s\n", at, at - *last, what,
	       *fields ? ": " : "", fields);
	*last = at;
}

/* "   task-123   [000] d..1.   12.345678: pirn_submit: channel=...": its parts. */
static bool event(const char *text, const struct trace *trace, double *last)
{
	char name[32], fields[256] = "";
	const char *at = strstr(text, ": pirn_");
	double seconds, us;

	if (*text == '#' || !at)
		return false;
	if (sscanf(at, ": %31[a-z_]: %255[^\n]", name, fields) < 1)
		return false;
	while (at > text && at[-1] != ' ')
		at--;
	if (sscanf(at, "%lf", &seconds) != 1)
		return false;
	us = seconds * 1e6 - (double)trace->asked / 1e3;
	/* Of the read before; an event's clock has whole microseconds. */
	if (us < -1)
		return false;
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (!strcmp(name, stages[i].event))
			line(us, last, stages[i].what, fields);
	return true;
}

static int print(const struct trace *trace)
{
	char path[128], text[1024];
	unsigned int found = 0;
	double last = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/trace", trace->dir);
	file = fopen(path, "re");
	if (!file) {
		complain("%s: %s", path, strerror(errno));
		return -EIO;
	}
	line(0, &last, "a fiber calls pirn_pread()", "");
	while (fgets(text, sizeof(text), file))
		found += event(text, trace, &last);
	fclose(file);
	if (trace->returned)
		line((double)(trace->returned - trace->asked) / 1e3, &last,
		     "pirn_pread() returns", "");
	if (!found)
		complain("no event was recorded in %s", trace->dir);
	return found ? 0 : -EIO;
}

/* --------------------------------------------------------------- the read */

/*
 * The device has not answered, and may never: a runtime ends when its reads have,
 * so this one is left as it is.
 */
static void __attribute__((noreturn)) gave_up(const struct trace *trace)
{
	put(trace, "events/pirn/enable", "0");
	print(trace);
	complain("%s has not answered in %llu s: who else waits for it is in /sys/kernel/debug/pirn/channels",
		 trace->target, (unsigned long long)trace->wait);
	fflush(stdout);
	_exit(EXIT_FAILED);
}

/* Twice, for what is slow only at first; the second one counts. */
static int read_twice(struct trace *trace, struct pirn_file *file, void *buf)
{
	ssize_t n = 0;
	int err;

	err = put(trace, "events/pirn/enable", "1");
	for (int i = 0; i < 2 && n >= 0 && !err; i++) {
		trace->returned = 0;
		trace->asked = pirn_now();
		n = pirn_pread_give(file, buf, trace->bytes, trace->offset,
				    trace->asked + trace->wait * 1000000000ull);
		if (n == -ETIMEDOUT)
			gave_up(trace);
		trace->returned = pirn_now();
	}
	if (!err)
		err = put(trace, "events/pirn/enable", "0");
	if (err)
		return err;
	return n < 0 ? open_complain(trace->target, (int)n) : 0;
}

static int main_fiber(void *arg)
{
	struct trace *trace = arg;
	struct pirn_file *file;
	void *buf;
	int err;

	err = pirn_open(&file, trace->target, 0, 0);
	if (err)
		return open_complain(trace->target, err);
	buf = pirn_buf_alloc(trace->bytes);
	err = buf ? read_twice(trace, file, buf) : -ENOMEM;
	pirn_close(file);
	return err;
}

static int trace_run(struct trace *trace)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256];
	int err, result = 0;

	opt.backend = PIRN_BACKEND_KMOD;
	opt.spin_ns = PIRN_NO_SPIN;
	opt.message = message;
	opt.message_bytes = sizeof(message);
	if (put(trace, "trace_clock", "mono"))
		return EXIT_FAILED;
	err = pirn_run(&opt, main_fiber, trace, &result);
	if (err)
		return args_run_failed(err, message);
	return result || print(trace) ? EXIT_FAILED : 0;
}

/*
 * Until the child has ended; it is stopped where we are.  One that waits for the
 * device in the kernel itself, as in open(2) of a disk that recovers, cannot be.
 */
static int trace_wait(const struct trace *trace, pid_t child,
		      const sigset_t *signals)
{
	const struct timespec patience = { .tv_sec = 3 };
	int sig = 0, got, status;

	while (waitpid(child, &status, WNOHANG) <= 0) {
		got = sig ? sigtimedwait(signals, NULL, &patience) :
			    sigwaitinfo(signals, NULL);
		if (got > 0 && got != SIGCHLD) {
			sig = got;
			kill(child, SIGKILL);
		} else if (got < 0 && errno == EAGAIN) {
			complain("process %d waits in the kernel for %s and does not end: it is left",
				 (int)child, trace->target);
			return 128 + sig;
		}
	}
	if (sig)
		return 128 + sig;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

/*
 * In a child, so that the instance can be taken away whatever becomes of the read:
 * one that is open cannot.
 */
static int trace_child(struct trace *trace)
{
	sigset_t signals, before;
	int status = EXIT_FAILED;
	pid_t child;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_BLOCK, &signals, &before);
	if (instance_make(trace))
		return EXIT_FAILED;
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		exit(trace_run(trace));
	}
	if (child < 0)
		complain("fork: %s", strerror(errno));
	else
		status = trace_wait(trace, child, &signals);
	rmdir(trace->dir);
	return status;
}

int trace_command(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "DEVICE",
		.doc = "Reads once from a block device through the module and prints "
		       "each stage with its time since the call and since the "
		       "stage before; or, where the device does not answer, how far "
		       "it came.\vRuns as root, with tracefs at " TRACING
		       ". Events have whole microseconds. Other users of the "
		       "module at that moment are shown, too: channel tells.",
	};
	struct trace trace = { .bytes = 4096, .wait = 10 };

	args_parse(&argp, argc, argv, 0, &trace);
	return trace_child(&trace);
}
