// SPDX-License-Identifier: MIT
/*
 * pirn trace: one read through the module, each stage with its time, from the
 * module's tracepoints.  Uses a tracing instance of its own, so that whoever else
 * traces is not disturbed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pirn_cmd.h"

#define TRACING "/sys/kernel/tracing"

enum { OPT_OFFSET = 256, OPT_BYTES };

static const struct argp_option options[] = {
	{ "offset", OPT_OFFSET, "BYTES", 0, "Where to read (0)", 0 },
	{ "bytes", OPT_BYTES, "N", 0, "How much (4096)", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

struct trace {
	const char *target;
	uint64_t offset;
	uint32_t bytes;
	char dir[64];		/* of the instance */
	uint64_t asked;		/* ns of CLOCK_MONOTONIC */
	uint64_t returned;
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
			 " (is the module pirn loaded?)" : "");
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

/* --------------------------------------------------------------- the read */

static int read_once(struct trace *trace, struct pirn_file *file, void *buf)
{
	ssize_t n;
	int err;

	/* Once for what is slow only at first. */
	n = pirn_pread(file, buf, trace->bytes, trace->offset);
	if (n >= 0) {
		err = put(trace, "events/pirn/enable", "1");
		if (err)
			return err;
		trace->asked = pirn_now();
		n = pirn_pread(file, buf, trace->bytes, trace->offset);
		trace->returned = pirn_now();
		err = put(trace, "events/pirn/enable", "0");
		if (err)
			return err;
	}
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
	err = buf ? read_once(trace, file, buf) : -ENOMEM;
	pirn_close(file);
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
	double seconds;

	if (*text == '#' || !at)
		return false;
	if (sscanf(at, ": %31[a-z_]: %255[^\n]", name, fields) < 1)
		return false;
	while (at > text && at[-1] != ' ')
		at--;
	if (sscanf(at, "%lf", &seconds) != 1)
		return false;
	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (!strcmp(name, stages[i].event))
			line(seconds * 1e6 - (double)trace->asked / 1e3, last,
			     stages[i].what, fields);
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
	line((double)(trace->returned - trace->asked) / 1e3, &last,
	     "pirn_pread() returns", "");
	if (!found)
		complain("no event was recorded in %s", trace->dir);
	return found ? 0 : -EIO;
}

int trace_command(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "DEVICE",
		.doc = "Reads once from a block device through the module and prints "
		       "each stage with its time since the call and since the "
		       "stage before.\vRuns as root, with tracefs at " TRACING
		       ". Events have whole microseconds. Other users of the "
		       "module at that moment are shown, too: channel tells.",
	};
	struct trace trace = { .bytes = 4096 };
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	char message[256];
	int err, result = 0;

	args_parse(&argp, argc, argv, 0, &trace);
	if (instance_make(&trace))
		return EXIT_FAILED;
	opt.backend = PIRN_BACKEND_KMOD;
	opt.spin_ns = PIRN_NO_SPIN;
	opt.message = message;
	opt.message_bytes = sizeof(message);
	err = put(&trace, "trace_clock", "mono");
	if (!err) {
		err = pirn_run(&opt, main_fiber, &trace, &result);
		if (err)
			args_run_failed(err, message);
		else
			err = result ? result : print(&trace);
	}
	rmdir(trace.dir);
	return err ? EXIT_FAILED : 0;
}
