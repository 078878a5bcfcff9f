// SPDX-License-Identifier: MIT
/*
 * pirn bench io: random reads through the library and, in turn with it, through
 * a bare io_uring loop.
 *
 * In file order: bench_io.c reads the command line, looks at the target and
 * runs both sides in turn; bench_io_fibers.c is the library's side,
 * bench_uring_loop.c the yardstick; bench_io_report.c prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bench_io.h"

/* --------------------------------------------------------------- marking */

#define TIMER_LIST "/proc/timer_list"

/*
 * The kernel adds to one of two when the CPU leaves idle, interrupts taken there
 * left out: to iowait_sleeptime when a task that waits for IO said so, as
 * io_uring's do.  Exact for a program that runs now.
 */
int64_t io_idle_ns(void)
{
	FILE *file = fopen(TIMER_LIST, "re");
	unsigned long long ns, sum = 0;
	unsigned int found = 0;
	char line[256];

	if (!file) {
		complain("%s: %s; --instructions takes the idle time from there",
			 TIMER_LIST, strerror(errno));
		return -1;
	}
	while (found < 2 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " .idle_sleeptime : %llu nsecs", &ns) != 1 &&
		    sscanf(line, " .iowait_sleeptime: %llu nsecs", &ns) != 1)
			continue;
		sum += ns;
		found++;
	}
	fclose(file);
	if (found < 2)
		complain("%s has no idle_sleeptime and iowait_sleeptime; --instructions needs them",
			 TIMER_LIST);
	return found < 2 ? -1 : (int64_t)sum;
}

static void take_clocks(struct io_mark *mark)
{
	mark->cpu = bench_clock(CLOCK_THREAD_CPUTIME_ID);
	mark->wall = bench_clock(CLOCK_MONOTONIC);
}

void io_core_mark(struct io_core *core, struct io_mark *now)
{
	bool first = core->from.wall == 0;

	/* Reading the idle time is long: before the start, after the end. */
	if (!first)
		take_clocks(now);
	if (core->bench->instructions)
		now->idle = (uint64_t)io_idle_ns();
	if (first)
		take_clocks(now);
	*(first ? &core->from : &core->to) = *now;
	core->next_mark += core->bench->ios;
}

/* Cores run side by side: their rates add up. */
void io_figures_of(const struct io_core *cores, unsigned int count,
		   struct io_figures *figures)
{
	double rate = 0, ios = 0;
	unsigned int i;

	*figures = (struct io_figures){ 0 };
	for (i = 0; i < count; i++) {
		const struct io_mark *from = &cores[i].from, *to = &cores[i].to;
		double n = (double)cores[i].bench->ios;
		double wall = (double)(to->wall - from->wall);

		ios += n;
		rate += n / wall;
		figures->cpu += (double)(to->cpu - from->cpu);
		figures->busy += wall - (double)(to->idle - from->idle);
		figures->enters += (double)(to->enters - from->enters);
		figures->seen += (double)(to->seen - from->seen);
	}
	figures->wall = 1 / rate;
	figures->cpu /= ios;
	figures->busy /= ios;
	figures->enters /= ios;
	figures->seen /= ios;
}

/* --------------------------------------------------------------- target */

/*
 * The block layer's scheduler, "none" or a name: mq-deadline makes a read cost
 * either side up to half as much again.  A partition's queue is its whole
 * device's.
 */
static void read_scheduler(dev_t dev, char *text, size_t bytes)
{
	static const char *const places[] = { "", "../" };
	char path[80], line[128], *from;
	FILE *file = NULL;
	size_t i;

	for (i = 0; i < 2 && !file; i++) {
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%squeue/scheduler",
			 major(dev), minor(dev), places[i]);
		file = fopen(path, "re");
	}
	if (!file)
		return;
	/* The one in use stands in brackets, among others. */
	if (fgets(line, sizeof(line), file)) {
		from = strchr(line, '[');
		from = from ? from + 1 : line;
		snprintf(text, bytes, "%.*s", (int)strcspn(from, "]\n"), from);
	}
	fclose(file);
}

static int target_bytes(struct io_bench *bench, int fd, uint64_t *bytes)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*bytes = (uint64_t)st.st_size;
	bench->is_device = S_ISBLK(st.st_mode);
	if (!bench->is_device)
		return S_ISREG(st.st_mode) ? 0 : -ENOTBLK;
	read_scheduler(st.st_rdev, bench->scheduler, sizeof(bench->scheduler));
	return ioctl(fd, BLKGETSIZE64, bytes) < 0 ? -errno : 0;
}

static int look_at_target(struct io_bench *bench)
{
	uint64_t bytes;
	int err, fd;

	fd = open(bench->target, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (fd < 0 && errno == EINVAL) {
		bench->buffered = true;
		fd = open(bench->target, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		complain("%s: %s", bench->target, strerror(errno));
		return -errno;
	}
	err = target_bytes(bench, fd, &bytes);
	close(fd);
	if (err == -ENOTBLK)
		complain("%s is neither a file nor a block device", bench->target);
	else if (err)
		complain("%s: %s", bench->target, strerror(-err));
	if (err)
		return err;
	bench->blocks = bytes / bench->bytes;
	if (!bench->blocks) {
		complain("%s holds %llu bytes, less than one read of %u",
			 bench->target, (unsigned long long)bytes, bench->bytes);
		return -EINVAL;
	}
	if (bench->buffered)
		complain("%s: no direct IO here, both sides go through the page cache",
			 bench->target);
	return 0;
}

/* --------------------------------------------------------------- running */

static int run_loops(const struct io_bench *bench, struct io_results *results,
		     unsigned int repetition)
{
	enum io_loop loop;
	int err;

	for (loop = 0; loop < IO_LOOPS; loop++) {
		err = io_run_loop(bench, loop, &results->loop[loop][repetition]);
		results->has_loop[loop] = err == 0;
		if (err && err != -EINVAL)
			return err;
	}
	return 0;
}

static int run(struct io_bench *bench)
{
	struct io_results results = { 0 };
	unsigned int i;
	int err = look_at_target(bench);

	if (!err && bench->instructions) {
		if (sysconf(_SC_NPROCESSORS_ONLN) != 1) {
			complain("--instructions needs a machine with one CPU online, as under tests/vm/run --icount");
			return EXIT_FAILED;
		}
		if (io_idle_ns() < 0)
			return EXIT_FAILED;
	}
	if (!err)
		bench->backend = open_backend(bench->backend, bench->is_device ?
					      NULL : bench->target);
	for (i = 0; i < IO_REPETITIONS && !err; i++) {
		err = io_run_fibers(bench, &results.fibers[i]);
		if (!err && bench->yardstick)
			err = run_loops(bench, &results, i);
	}
	if (!err)
		io_report(bench, &results);
	free(bench->cpu);
	return err ? EXIT_FAILED : 0;
}

enum {
	OPT_TARGET = 256,
	OPT_BACKEND,
	OPT_DEPTH,
	OPT_BATCH,
	OPT_BYTES,
	OPT_IOS,
	OPT_CORES,
	OPT_SPIN,
	OPT_NO_YARDSTICK,
	OPT_INSTRUCTIONS,
	OPT_JSON
};

static const struct argp_option options[] = {
	{ "target", OPT_TARGET, "PATH", 0, "Block device or file to read", 0 },
	{ "backend", OPT_BACKEND, "BACKEND", 0, "auto, kmod or uring (auto)", 0 },
	{ "depth", OPT_DEPTH, "N", 0, "Reads in flight on each core (32)", 0 },
	{ "batch", OPT_BATCH, "N", 0,
	  "Reads in one submission, and how many completions the loop waits for (8)", 0 },
	{ "bytes", OPT_BYTES, "N", 0, "Bytes of one read (4096)", 0 },
	{ "ios", OPT_IOS, "N", 0, "Reads measured on each core (50000)", 0 },
	{ "cores", OPT_CORES, "LIST", 0, "CPUs, as 0-3,8 (where it is started)", 0 },
	{ "spin", OPT_SPIN, "NS", 0,
	  "How long an idle core looks for work before it sleeps (0, as the loop does)", 0 },
	{ "no-yardstick", OPT_NO_YARDSTICK, NULL, 0, "Only the library", 0 },
	{ "instructions", OPT_INSTRUCTIONS, NULL, 0,
	  "Also elapsed less idle time: instructions, on a machine whose clock counts them", 0 },
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 }
};

static void check(struct io_bench *bench)
{
	if (!bench->target)
		args_bad("needs a file or block device to read: --target=PATH");
	if (!bench->batch)
		bench->batch = bench->depth < 8 ? bench->depth : 8;
	if (bench->batch > bench->depth)
		args_bad("--batch=%u is more than --depth=%u; it is at most as much",
			 bench->batch, bench->depth);
	if (bench->bytes % 512)
		args_bad("--bytes is a multiple of 512, not %u", bench->bytes);
	if (bench->instructions && bench->spin_ns != PIRN_NO_SPIN)
		args_bad("--spin would be counted as work: not with --instructions");
}

static error_t parse_number(int key, const char *arg, struct io_bench *bench)
{
	switch (key) {
	case OPT_DEPTH:
		bench->depth = (uint32_t)args_number("depth", arg, 1, 4096);
		break;
	case OPT_BATCH:
		bench->batch = (uint32_t)args_number("batch", arg, 1, 4096);
		break;
	case OPT_BYTES:
		bench->bytes = (uint32_t)args_number("bytes", arg, 512, 1 << 20);
		break;
	case OPT_IOS:
		bench->ios = args_number("ios", arg, 100, 1ull << 40);
		break;
	case OPT_SPIN:
		bench->spin_ns = args_number("spin", arg, 0, 1000000000);
		if (!bench->spin_ns)
			bench->spin_ns = PIRN_NO_SPIN;
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct io_bench *bench = state->input;

	switch (key) {
	case OPT_TARGET:
		bench->target = arg;
		break;
	case OPT_BACKEND:
		bench->backend = args_backend(arg);
		break;
	case OPT_CORES:
		bench->cores = arg;
		break;
	case OPT_NO_YARDSTICK:
		bench->yardstick = false;
		break;
	case OPT_INSTRUCTIONS:
		bench->instructions = true;
		break;
	case OPT_JSON:
		bench->json = true;
		break;
	case ARGP_KEY_ARG:
		args_bad("takes options only, and got '%s'; as in --target=%s",
			 arg, arg);
	case ARGP_KEY_END:
		check(bench);
		break;
	default:
		return parse_number(key, arg, bench);
	}
	return 0;
}

int bench_io_command(int argc, char **argv)
{
	static const struct argp argp = {
		.options = options,
		.parser = parse,
		.doc = "Random reads, by as many fibers as --depth says. "
		       "Yardstick: a bare io_uring loop with a registered file, "
		       "registered buffers and a registered ring.\v"
		       "Both sides read the same offsets, in turn, three times "
		       "each; medians are printed.  Numbers may end in K, M or G.",
	};
	struct io_bench bench = {
		.depth = 32,
		.bytes = 4096,
		.ios = 50000,
		.spin_ns = PIRN_NO_SPIN,
		.yardstick = true,
	};
	char here[16];

	snprintf(here, sizeof(here), "%d", sched_getcpu());
	bench.cores = here;
	args_parse(&argp, argc, argv, 0, &bench);
	return run(&bench);
}
