// SPDX-License-Identifier: MIT
/*
 * pirn bench: figures of the library, each beside a yardstick measured in turn
 * with it in the same run, because the machine's own speed changes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define TWO_CPUS	1u	/* wants cores on different CPUs */
#define ANY_TWO_CPUS	2u	/* or two on one */
#define IO		4u	/* has the options of io */
#define INSTRUCTIONS	8u	/* has --instructions */
#define BACKEND		16u	/* has --backend */

struct subject {
	const char *name;
	const char *help;
	unsigned int flags;
	int (*run)(struct bench *bench);
};

static const struct subject subjects[] = {
	{ "switch", "A fiber yields to another; yardstick: a bare register swap",
	  0, bench_switch },
	{ "spawn", "A fiber is made, runs, ends, is joined; yardstick: the swap",
	  0, bench_spawn },
	{ "call", "Calls to another core, both awake; yardstick: a cache-line ping-pong",
	  TWO_CPUS, bench_call },
	{ "post", "Functions sent to another core, awake; yardstick: the ping-pong",
	  TWO_CPUS, bench_post },
	{ "wake", "Calls to a core that sleeps; yardstick: a futex round trip",
	  ANY_TWO_CPUS | INSTRUCTIONS | BACKEND, bench_wake },
	{ "sync", "Mutex and semaphore of one core; yardstick: the swap", 0,
	  bench_sync },
	{ "timer", "A timer armed and taken back; yardstick: the same among fewer",
	  0, bench_timer },
	{ "io", "Random reads; yardstick: a bare io_uring loop at its best",
	  IO | INSTRUCTIONS | BACKEND, bench_io },
	{ "sim", "A read in the simulator; yardstick: copying the page", 0,
	  bench_sim },
	{ "memory", "Bytes of a fiber that sleeps, and what they are", 0,
	  bench_memory },
};

#define SUBJECTS (sizeof(subjects) / sizeof(subjects[0]))

static void list_subjects(FILE *out)
{
	for (size_t i = 0; i < SUBJECTS; i++)
		fprintf(out, "  %-10s %s\n", subjects[i].name, subjects[i].help);
	fprintf(out, "  %-10s All of these\n", "all");
}

/* ----------------------------------------------------------- command line */

enum {
	OPT_CPUS = 256,
	OPT_JSON,
	OPT_PEERS,
	OPT_REPETITIONS,
	OPT_QUICK,
	OPT_INSTRUCTIONS,
	OPT_BACKEND,
	OPT_TARGET,
	OPT_DEPTH,
	OPT_BATCH,
	OPT_BYTES,
	OPT_IOS,
	OPT_SPIN,
	OPT_NO_YARDSTICK,
	OPT_AIO_LOOP,
	OPT_NO_LIBRARY,
	OPT_JOIN,
	OPT_TIMES,
	OPT_LOOP_MODES
};

static const struct argp_option options[] = {
	{ "cpus", OPT_CPUS, "LIST", 0,
	  "CPUs, as 0-3,8: io uses all, the others the first or the first two (where it is started)", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON document", 0 },
	{ "peers", OPT_PEERS, NULL, 0,
	  "Beside Boost.Context, Boost.Fiber, Boost.Asio and libuv, too", 0 },
	{ "repetitions", OPT_REPETITIONS, "N", 0,
	  "Samples of each (11; 55 shorter ones where two cores take part)", 0 },
	{ "quick", OPT_QUICK, NULL, OPTION_HIDDEN, NULL, 0 },
	{ "backend", OPT_BACKEND, "BACKEND", 0,
	  "io, wake: auto, kmod, uring or aio (auto)", 1 },
	{ "instructions", OPT_INSTRUCTIONS, NULL, 0,
	  "io, wake: this machine's clock counts instructions, as under tests/vm/run --icount", 1 },
	{ "target", OPT_TARGET, "PATH", 0,
	  "io: block device or file to read (a new file in TMPDIR or /var/tmp)", 2 },
	{ "depth", OPT_DEPTH, "N", 0, "io: reads in flight on each core (32)", 2 },
	{ "batch", OPT_BATCH, "N", 0,
	  "io: reads in one submission, and how many completions the loop waits for (8; 1 with --join)", 2 },
	{ "bytes", OPT_BYTES, "N", 0, "io: bytes of one read (4096)", 2 },
	{ "ios", OPT_IOS, "N", 0, "io: reads of a sample on each core (10000)", 2 },
	{ "spin", OPT_SPIN, "NS", 0,
	  "io: how long an idle core looks for work before it sleeps (0, as the loop does)", 2 },
	{ "join", OPT_JOIN, NULL, 0,
	  "io: one fiber on each core waits for all --depth reads before the next; the loop too, for --batch at a time", 2 },
	{ "times", OPT_TIMES, NULL, 0, "io: with PIRN_TIMES, to see what they cost", 2 },
	{ "aio-loop", OPT_AIO_LOOP, NULL, 0,
	  "io: and a bare linux-aio loop, which reaps in user space, in rows of its own", 2 },
	{ "no-yardstick", OPT_NO_YARDSTICK, NULL, 0, "io: only the library", 2 },
	{ "loop-modes", OPT_LOOP_MODES, "N", OPTION_HIDDEN, NULL, 2 },
	{ "no-library", OPT_NO_LIBRARY, NULL, 0, "io: only the yardstick", 2 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

struct line {
	struct bench bench;
	bool chosen[SUBJECTS];
	bool any;
	/* The last option seen of those that not all subjects have. */
	const char *special[BACKEND + 1];
};

static void choose(struct line *line, const char *name)
{
	bool all = !strcmp(name, "all"), found = false;

	for (size_t i = 0; i < SUBJECTS; i++) {
		if (all || !strcmp(name, subjects[i].name))
			found = line->chosen[i] = true;
	}
	if (!found)
		args_bad("knows no '%s'; %s --help lists what it knows", name,
			 command_name);
	line->any = true;
}

/* Each subject's own options are for naught when it is not chosen. */
static void check_special(const struct line *line)
{
	for (unsigned int flag = 1; flag <= BACKEND; flag <<= 1) {
		bool had = false;

		if (!line->special[flag])
			continue;
		for (size_t i = 0; i < SUBJECTS; i++)
			had |= line->chosen[i] && subjects[i].flags & flag;
		if (!had)
			args_bad("--%s is for %s only", line->special[flag],
				 flag == IO ? "io" : "io and wake");
	}
}

static void check_io(struct bench_io_options *io, const struct bench *bench)
{
	if (!io->batch)
		io->batch = io->join ? 1 : io->depth < 8 ? io->depth : 8;
	if (io->batch > io->depth)
		args_bad("--batch=%u is more than --depth=%u; it is at most as much",
			 io->batch, io->depth);
	if (io->join && (io->depth < 2 || io->depth > BENCH_JOIN))
		args_bad("--join joins 2 to %u reads, not --depth=%u", BENCH_JOIN,
			 io->depth);
	if (io->bytes % 512)
		args_bad("--bytes is a multiple of 512, not %u", io->bytes);
	if (io->no_yardstick && io->no_library)
		args_bad("--no-yardstick and --no-library leave nothing to measure");
	if (io->no_yardstick && io->aio_loop)
		args_bad("--aio-loop runs beside the yardstick: not with --no-yardstick");
	if (bench->instructions && io->spin_ns != PIRN_NO_SPIN)
		args_bad("--spin would be counted as work: not with --instructions");
}

static error_t parse_io(int key, const char *arg, struct bench_io_options *io)
{
	switch (key) {
	case OPT_TARGET:
		io->target = arg;
		break;
	case OPT_DEPTH:
		io->depth = (uint32_t)args_number("depth", arg, 1, 4096);
		break;
	case OPT_BATCH:
		io->batch = (uint32_t)args_number("batch", arg, 1, 4096);
		break;
	case OPT_BYTES:
		io->bytes = (uint32_t)args_number("bytes", arg, 512, 1 << 20);
		break;
	case OPT_IOS:
		io->ios = args_number("ios", arg, 100, 1ull << 40);
		break;
	case OPT_SPIN:
		io->spin_ns = args_number("spin", arg, 0, 1000000000);
		if (!io->spin_ns)
			io->spin_ns = PIRN_NO_SPIN;
		break;
	case OPT_NO_YARDSTICK:
		io->no_yardstick = true;
		break;
	case OPT_AIO_LOOP:
		io->aio_loop = true;
		break;
	case OPT_NO_LIBRARY:
		io->no_library = true;
		break;
	case OPT_JOIN:
		io->join = true;
		break;
	case OPT_TIMES:
		io->times = true;
		break;
	case OPT_LOOP_MODES:
		io->loop_modes = (unsigned int)args_number("loop-modes", arg, 1, 2);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse_common(int key, char *arg, struct line *line)
{
	struct bench *bench = &line->bench;

	switch (key) {
	case OPT_CPUS:
		if (strspn(arg, "0123456789,-") != strlen(arg) || !*arg)
			args_bad("--cpus is a list as 0-3,8, not '%s'", arg);
		bench->cpus = arg;
		break;
	case OPT_JSON:
		bench->json = true;
		break;
	case OPT_PEERS:
		bench->peers = true;
		break;
	case OPT_REPETITIONS:
		bench->repetitions = (unsigned int)
			args_number("repetitions", arg, 1, BENCH_SAMPLES);
		break;
	case OPT_QUICK:
		bench->quick = true;
		break;
	case OPT_INSTRUCTIONS:
		bench->instructions = true;
		line->special[INSTRUCTIONS] = "instructions";
		break;
	case OPT_BACKEND:
		bench->backend = args_backend(arg);
		line->special[BACKEND] = "backend";
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct line *line = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		choose(line, arg);
		return 0;
	case ARGP_KEY_END:
		check_special(line);
		check_io(&line->bench.io, &line->bench);
		return 0;
	}
	if (!parse_common(key, arg, line))
		return 0;
	if (parse_io(key, arg, &line->bench.io))
		return ARGP_ERR_UNKNOWN;
	for (const struct argp_option *o = options; o->name; o++)
		if (o->key == key)
			line->special[IO] = o->name;
	return 0;
}

static char *list_in_help(int key, const char *text, void *input)
{
	char *help;
	size_t size;
	FILE *out;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	out = open_memstream(&help, &size);
	if (!out)
		return (char *)text;
	fprintf(out, "Subjects:\n\n");
	list_subjects(out);
	fprintf(out, "\n%s", text ? text : "");
	fclose(out);
	return help;
}

/* ---------------------------------------------------------------- running */

static void free_results(struct bench *bench)
{
	for (unsigned int i = 0; i < bench->note_count; i++)
		free(bench->notes[i]);
	free(bench->notes);
	free(bench->rows);
}

static int run(struct line *line)
{
	struct bench *bench = &line->bench;
	int err = 0;

	if (bench->peers)
		err = bench_peers_check();
	for (size_t i = 0; i < SUBJECTS && !err; i++) {
		if (!line->chosen[i])
			continue;
		bench->subject = subjects[i].name;
		err = subjects[i].run(bench);
		if (!err && bench->peers)
			err = bench_peers_run(bench);
	}
	if (!err)
		bench_report(bench);
	free_results(bench);
	return !err ? 0 : bench->misused ? EXIT_USAGE : EXIT_FAILED;
}

int bench_command(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.args_doc = "[SUBJECT...]",
		.doc = "Measures each SUBJECT and its yardstick in turn, in one "
		       "run; without one, lists the subjects.\v"
		       "Medians are compared: of thread CPU time where one core "
		       "works, of elapsed time where two do. \"goal\" is what "
		       "the ratio is meant to be at most. Numbers may end in "
		       "K, M or G.",
		.help_filter = list_in_help,
	};
	struct line line = {
		.bench = {
			.io = {
				.depth = 32,
				.bytes = 4096,
				.ios = 10000,
				.spin_ns = PIRN_NO_SPIN,
				.loop_modes = 2,
			},
		},
	};

	args_parse(&argp, argc, argv, 0, &line);
	if (line.any)
		return run(&line);
	list_subjects(stdout);
	return 0;
}
