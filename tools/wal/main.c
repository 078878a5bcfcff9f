// SPDX-License-Identifier: MIT
/* The command wal: tries the example engine on a file or a block device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wal_cmd.h"

const char *command_name = "wal";

/* ------------------------------------------------------------- command line */

static const struct argp_option all_options[] = {
	{ "shards", 's', "N", 0, "Shards to make, 1 to 1024 (the CPUs there are)", 0 },
	{ "shard-bytes", 'S', "BYTES", 0, "Region of each (64M)", 0 },
	{ "log-bytes", 'l', "BYTES", 0, "Of that the log, 128K up (8M)", 0 },
	{ "force", 'f', NULL, 0, "Even when there is a store already", 0 },
	{ "records", 'n', "N", 0, "Records to write (10000)", 0 },
	{ "commits", 'c', "N", 0, "Commits of each shard (5000)", 0 },
	{ "fibers", 'F', "N", 0, "Fibers that commit, for each shard (32)", 0 },
	{ "bytes", 'B', "N", 0, "Of a value, 1 to 124 (100)", 0 },
	{ "frames", 'p', "N", 0, "Pages cached a shard, 16 up (256)", 0 },
	{ "cpus", 'C', "LIST", 0, "CPUs to run on, as 0-3,8 (all)", 0 },
	{ "backend", 'b', "NAME", 0, "auto, kmod, uring or aio (auto)", 0 },
	{ "no-flush", 'x', NULL, 0,
	  "Make nothing durable: what a crash loses, and what the flush costs", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct wal_args *a = state->input;

	switch (key) {
	case 's':
		a->shape.shards = (uint32_t)args_number("shards", arg, 1, 1024);
		return 0;
	case 'S':
		a->shape.shard_bytes = args_number("shard-bytes", arg, 1u << 20,
						   1ull << 44);
		return 0;
	case 'l':
		a->shape.log_bytes = args_number("log-bytes", arg, 128u << 10,
						 1ull << 40);
		return 0;
	case 'f':
		a->shape.force = true;
		return 0;
	case 'n':
		a->records = args_number("records", arg, 1, UINT64_MAX);
		return 0;
	case 'c':
		a->commits = args_number("commits", arg, 1, 1ull << 40);
		return 0;
	case 'F':
		a->fibers = (unsigned int)args_number("fibers", arg, 1, 100000);
		return 0;
	case 'B':
		a->bytes = (unsigned int)args_number("bytes", arg, 1,
						     WAL_VALUE_BYTES);
		return 0;
	case 'p':
		a->opt.frames = (uint32_t)args_number("frames", arg, 16, 1u << 24);
		return 0;
	case 'C':
		a->run.cpus = arg;
		return 0;
	case 'b':
		a->run.backend = args_backend(arg);
		return 0;
	case 'x':
		a->opt.no_flush = true;
		return 0;
	case ARGP_KEY_ARG:
		if (a->path)
			args_bad("takes one file or device; '%s' is one too many",
				 arg);
		a->path = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

void wal_args_parse(struct wal_args *args, const char *keys, const char *doc,
		    int argc, char **argv)
{
	struct argp_option options[sizeof(all_options) / sizeof(*all_options)];
	struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "FILE|DEVICE",
		.doc = doc,
	};
	size_t n = 0;

	memset(options, 0, sizeof(options));
	for (const struct argp_option *o = all_options; o->name; o++)
		if (strchr(keys, o->key))
			options[n++] = *o;
	*args = (struct wal_args){
		.shape = { .shard_bytes = 64u << 20, .log_bytes = 8u << 20 },
		.run = PIRN_OPTIONS_INIT,
		.records = 10000, .commits = 5000, .fibers = 32, .bytes = 100,
	};
	args_parse(&argp, argc, argv, 0, args);
	if (!args->path)
		args_bad("needs a file or a block device");
	if (args->shape.shard_bytes % 4096 || args->shape.log_bytes % 4096)
		args_bad("--shard-bytes and --log-bytes are multiples of 4096");
	/* Two superblocks, two maps and one page at the least. */
	if (args->shape.shard_bytes < args->shape.log_bytes + (20u << 10))
		args_bad("--shard-bytes is at least 20K more than --log-bytes, which is %llu",
			 (unsigned long long)args->shape.log_bytes);
}

int wal_run(struct wal_args *args, int (*fn)(void *args))
{
	char message[256] = "";
	int err, result = EXIT_FAILED;
	uint64_t frames = args->opt.frames ? args->opt.frames : 256;

	/* Shards may share a core: frames, a group and two windows for each. */
	args->run.pool_bytes = (frames * 4096 + (1u << 20)) *
			       (args->shape.shards ? args->shape.shards : 8) +
			       (4u << 20);
	args->run.message = message;
	args->run.message_bytes = sizeof(message);
	err = pirn_run(&args->run, fn, args, &result);
	return err ? args_run_failed(err, message) : result;
}

int wal_complain(const struct wal *wal, const char *what, int err)
{
	const char *why = wal_why(wal);

	if (!why[0])
		why = pirn_reason();
	complain("%s: %s", what, why[0] ? why : strerror(-err));
	return EXIT_FAILED;
}

void wal_fill(char *value, unsigned int bytes, uint64_t key, uint64_t round)
{
	char text[64];
	size_t n = (size_t)snprintf(text, sizeof(text), "record %llu, round %llu; ",
				    (unsigned long long)key,
				    (unsigned long long)round);

	for (unsigned int i = 0; i < bytes; i++)
		value[i] = text[i % n];
}

/* -------------------------------------------------------------- subcommands */

static int init_there(void *arg)
{
	struct wal_args *args = arg;
	struct wal *wal;
	int err;

	if (!args->shape.shards)
		args->shape.shards = (uint32_t)pirn_core_count();
	err = wal_init(&wal, args->path, &args->shape);
	if (err)
		wal_complain(wal, args->path, err);
	else
		printf("%s: %u shards of %llu bytes, %llu of them log\n", args->path,
		       args->shape.shards,
		       (unsigned long long)args->shape.shard_bytes,
		       (unsigned long long)args->shape.log_bytes);
	wal_free(wal);
	return err ? EXIT_FAILED : 0;
}

static int init_command(int argc, char **argv)
{
	struct wal_args args;

	wal_args_parse(&args, "sSlfbC", "Makes an empty store.", argc, argv);
	return wal_run(&args, init_there);
}

struct load {
	struct wal_args *args;
	struct wal *wal;
	uint64_t next;
	int err;
};

static int load_fiber(void *arg)
{
	struct load *load = arg;
	char value[WAL_VALUE_BYTES];
	struct wal_write w = { .value = value, .bytes = load->args->bytes };

	while (!load->err && load->next < load->args->records) {
		int err;

		w.key = load->next++;
		wal_fill(value, w.bytes, w.key, 0);
		err = wal_commit(load->wal, &w, 1);
		if (err && !load->err)
			load->err = err;
	}
	return 0;
}

static int load_there(void *arg)
{
	struct load load = { .args = arg };
	int err;

	err = wal_open(&load.wal, load.args->path, &load.args->opt);
	if (!err && load.args->records > wal_capacity(load.wal)) {
		complain("%s has room for %llu records", load.args->path,
			 (unsigned long long)wal_capacity(load.wal));
		err = -ENOSPC;
	} else if (!err) {
		err = cores_run_fibers(load.args->fibers * wal_shards(load.wal),
				       load_fiber, &load);
		err = err ? err : load.err;
		if (err)
			wal_complain(load.wal, load.args->path, err);
		else
			printf("%s: %llu records written\n", load.args->path,
			       (unsigned long long)load.args->records);
	} else {
		wal_complain(load.wal, load.args->path, err);
	}
	if (load.wal)
		wal_close(load.wal);
	wal_free(load.wal);
	return err ? EXIT_FAILED : 0;
}

static int load_command(int argc, char **argv)
{
	struct wal_args args;

	wal_args_parse(&args, "nFBpbCx", "Writes records 0 up, each in a commit of its own.",
		       argc, argv);
	return wal_run(&args, load_there);
}

static int verify_there(void *arg)
{
	struct wal_args *args = arg;
	struct wal_stats stats;
	struct wal *wal;
	int64_t bad = 0;
	int err;

	err = wal_open(&wal, args->path, &args->opt);
	if (!err)
		bad = wal_verify(wal);
	if (err || bad < 0) {
		wal_complain(wal, args->path, err ? err : (int)bad);
	} else {
		wal_stats(wal, &stats);
		printf("%s: %llu commits redone, %llu pages read, %llu mended, %lld bad\n",
		       args->path, (unsigned long long)stats.redone,
		       (unsigned long long)stats.page_reads,
		       (unsigned long long)stats.repairs, (long long)bad);
	}
	if (wal)
		wal_close(wal);
	wal_free(wal);
	return err || bad ? EXIT_FAILED : 0;
}

static int verify_command(int argc, char **argv)
{
	struct wal_args args;

	wal_args_parse(&args, "pbC",
		       "Recovers the store, as each opening does, and reads every page.",
		       argc, argv);
	return wal_run(&args, verify_there);
}

static const struct command subcommands[] = {
	{ "init", "Make an empty store in a file or on a block device", init_command },
	{ "load", "Write records, one commit each", load_command },
	{ "verify", "Recover, and read every page", verify_command },
	{ "bench", "Commits a second, beside a plain write and fdatasync loop",
	  wal_bench_command },
	{ NULL, NULL, NULL }
};

int main(int argc, char **argv)
{
	int status;

	if (!command_choose(subcommands, "SUBCOMMAND [ARGUMENT...]",
			    "A small storage engine: an example of how to write one on pirn.",
			    argc, argv, &status))
		args_bad("needs a subcommand; wal --help lists them");
	return status;
}
