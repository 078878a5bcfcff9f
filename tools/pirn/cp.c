// SPDX-License-Identifier: MIT
/*
 * pirn cp: copies a file or block device with direct IO from all cores.
 *
 * In file order: cp.c reads the command line and chooses the backend,
 * cp_files.c looks at both sides and opens them, cp_pass.c hands out chunks to
 * fibers, cp_chunk.c copies one, cp_verify.c compares one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cp.h"

volatile sig_atomic_t cp_signal;

static void on_signal(int sig)
{
	cp_signal = sig;
}

/* The copy stops at the next chunk; a second signal ends the process. */
static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction act = {
		.sa_handler = on_signal,
		.sa_flags = SA_RESTART | (int)SA_RESETHAND,
	};
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &act, NULL);
}

static uint64_t pool_bytes(const struct cp *cp)
{
	uint64_t piece = 4096;

	/* A buffer is aligned to its size rounded up to a power of two. */
	while (piece < cp->chunk)
		piece *= 2;
	return CP_BUFS * cp->depth * piece + (4u << 20);
}

static void show_throughput(const struct cp *cp, uint64_t ns)
{
	double seconds = (double)ns / 1e9;

	printf("%s %llu bytes in %.3f s", cp->verb, (unsigned long long)cp->size,
	       seconds);
	if (cp->size && ns)
		printf(", %.0f MiB/s", (double)cp->size / (1 << 20) / seconds);
	putchar('\n');
	/* Verifying may take as long again. */
	fflush(stdout);
}

static int copy_and_verify(struct cp *cp)
{
	int err;

	if (cp_open(cp) < 0)
		return EXIT_FAILED;
	err = cp_empty_dst(cp);
	if (!err) {
		err = cp_pass(cp, "copied", cp_copy_chunk);
		if (err)
			cp_complain(cp);
	}
	if (!err)
		err = cp_finish_dst(cp);
	if (!err) {
		show_throughput(cp, pirn_now() - cp->started);
		if (cp->verify)
			err = cp_verify(cp);
		if (!err && cp->verify)
			show_throughput(cp, pirn_now() - cp->started);
	}
	cp_close(cp);
	return err ? EXIT_FAILED : 0;
}

static int main_fiber(void *arg)
{
	struct cp *cp = arg;

	/* Between devices the module is what makes a difference. */
	cp->say_message = cp->verbose ||
			  (cp->backend == PIRN_BACKEND_AUTO &&
			   cp->src.is_device && cp->dst.is_device &&
			   pirn_backend_current() != PIRN_BACKEND_KMOD);
	return copy_and_verify(cp);
}

static int run(struct cp *cp)
{
	struct pirn_options opt = PIRN_OPTIONS_INIT;
	int err, status = EXIT_FAILED;
	char message[256] = "";

	opt.cpus = cp->cores;
	opt.backend = cp->backend;
	opt.io_depth = cp->depth < 2 ? 2 : cp->depth;
	opt.io_batch = opt.io_depth < 32 ? opt.io_depth : 32;
	opt.pool_bytes = pool_bytes(cp);
	opt.message = message;
	opt.message_bytes = sizeof(message);
	err = pirn_run(&opt, main_fiber, cp, &status);
	if (err < 0)
		return args_run_failed(err, message);
	if (message[0] && cp->say_message)
		complain("%s", message);
	return status;
}

enum {
	OPT_BACKEND = 256,
	OPT_CORES,
	OPT_DEPTH,
	OPT_CHUNK,
	OPT_VERIFY
};

static const struct argp_option options[] = {
	{ "backend", OPT_BACKEND, "BACKEND", 0, "auto, kmod, uring or aio", 0 },
	{ "cores", OPT_CORES, "LIST", 0, "CPUs to use, as 0-3,8 (all)", 0 },
	{ "depth", OPT_DEPTH, "N", 0, "Chunks in flight on each core (16)", 0 },
	{ "chunk", OPT_CHUNK, "BYTES", 0, "Bytes in one read and write (256K)", 0 },
	{ "verify", OPT_VERIFY, NULL, 0, "Read DST back and compare with SRC", 0 },
	{ "verbose", 'v', NULL, 0, "Say which backend is used, and why", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

static void parse_path(struct cp *cp, const char *arg)
{
	if (!cp->src.path)
		cp->src.path = arg;
	else if (!cp->dst.path)
		cp->dst.path = arg;
	else
		args_bad("takes one SRC and one DST, and got '%s' besides", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct cp *cp = state->input;

	switch (key) {
	case OPT_BACKEND:
		cp->backend = args_backend(arg);
		break;
	case OPT_CORES:
		cp->cores = arg;
		break;
	case OPT_DEPTH:
		cp->depth = (uint32_t)args_number("depth", arg, 1, 4096);
		break;
	case OPT_CHUNK:
		cp->chunk = (uint32_t)args_number("chunk", arg, 512, 16 << 20);
		break;
	case OPT_VERIFY:
		cp->verify = true;
		break;
	case 'v':
		cp->verbose = true;
		break;
	case ARGP_KEY_ARG:
		parse_path(cp, arg);
		break;
	case ARGP_KEY_END:
		if (!cp->dst.path)
			args_bad("needs a file or block device to copy and one to copy to: %s SRC DST",
				 command_name);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int cp_command(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "SRC DST",
		.doc = "Copies a file or block device to a file or block device, "
		       "with direct IO by many fibers on all cores, and makes "
		       "the copy durable.\v"
		       "Numbers may end in K, M or G.",
	};
	struct cp cp = {
		.depth = 16,
		.chunk = 256 << 10,
		.src = { .name = "SRC" },
		.dst = { .name = "DST" },
		.failed = ATOMIC_FLAG_INIT,
	};
	int status;

	args_parse(&argp, argc, argv, 0, &cp);
	if (cp_look(&cp) < 0)
		return EXIT_FAILED;
	catch_signals();
	status = run(&cp);
	if (cp_signal)
		raise(cp_signal);
	return status;
}
