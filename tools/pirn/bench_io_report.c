// SPDX-License-Identifier: MIT
/*
 * pirn bench io: the figures, medians over the repetitions.  Each ratio is to
 * the better of the yardstick's modes at that figure.
 */
#include <stddef.h>
#include <stdio.h>

#include "bench_io.h"

static const char *const loop_names[IO_LOOPS] = {
	[IO_LOOP_DEFER] = "defer_taskrun",
	[IO_LOOP_COOP] = "coop_taskrun",
};

/* Each figure's own median. */
static struct io_figures median(const struct io_figures *all)
{
	static const size_t fields[] = {
		offsetof(struct io_figures, wall),
		offsetof(struct io_figures, cpu),
		offsetof(struct io_figures, busy),
		offsetof(struct io_figures, enters),
		offsetof(struct io_figures, seen),
	};
	struct io_figures result = { 0 };
	double samples[IO_REPETITIONS];
	size_t f, i;

	for (f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		for (i = 0; i < IO_REPETITIONS; i++)
			samples[i] = *(const double *)
				((const char *)&all[i] + fields[f]);
		*(double *)((char *)&result + fields[f]) =
			bench_spread(samples, IO_REPETITIONS).median;
	}
	return result;
}

static double lesser(double a, double b)
{
	return a == 0 || b < a ? b : a;
}

/* The least of the yardstick's modes, figure by figure; 0: none ran. */
static struct io_figures best_loop(const struct io_results *results)
{
	struct io_figures best = { 0 };
	enum io_loop loop;

	for (loop = 0; loop < IO_LOOPS; loop++) {
		struct io_figures m = median(results->loop[loop]);

		if (!results->has_loop[loop])
			continue;
		best.wall = lesser(best.wall, m.wall);
		best.cpu = lesser(best.cpu, m.cpu);
		best.busy = lesser(best.busy, m.busy);
		best.enters = lesser(best.enters, m.enters);
	}
	return best;
}

/* ----------------------------------------------------------------- text */

static void print_row(const struct io_bench *bench, const char *name,
		      const struct io_figures *m, bool fibers)
{
	printf("%-22s %10.0f %10.0f", name, m->wall, m->cpu);
	if (bench->instructions)
		printf(" %12.0f", m->busy);
	printf(" %10.3f", m->enters);
	if (fibers)
		printf(" %11.1f %%", m->seen * 100);
	putchar('\n');
}

static void print_ratio(const struct io_bench *bench, const struct io_figures *a,
			const struct io_figures *b)
{
	printf("%-22s %10.2f %10.2f", "ratio", a->wall / b->wall,
	       a->cpu / b->cpu);
	if (bench->instructions)
		printf(" %12.2f", a->busy / b->busy);
	printf(" %10.2f\n", a->enters / b->enters);
}

static void print_head(const struct io_bench *bench)
{
	unsigned int i;

	printf("%s: random reads of %u bytes, depth %u, batch %u, CPU", bench->target,
	       bench->bytes, bench->depth, bench->batch);
	for (i = 0; i < bench->cpus; i++)
		printf("%s%d", i ? "," : " ", bench->cpu[i]);
	if (bench->scheduler[0])
		printf(", scheduler %s", bench->scheduler);
	printf("\nmedian of %d times %llu reads on each core\n", IO_REPETITIONS,
	       (unsigned long long)bench->ios);
	printf("%-22s %10s %10s", "per read", "ns", "CPU ns");
	if (bench->instructions)
		printf(" %12s", "instructions");
	printf(" %10s %13s\n", "enters", "seen without");
}

static void report_text(const struct io_bench *bench,
			const struct io_results *results)
{
	struct io_figures m = median(results->fibers);
	struct io_figures best = best_loop(results);
	enum io_loop loop;
	char name[32];

	print_head(bench);
	snprintf(name, sizeof(name), "pirn %s", pirn_backend_name(bench->used));
	print_row(bench, name, &m, true);
	for (loop = 0; loop < IO_LOOPS && bench->yardstick; loop++) {
		struct io_figures l = median(results->loop[loop]);

		snprintf(name, sizeof(name), "loop %s", loop_names[loop]);
		if (results->has_loop[loop])
			print_row(bench, name, &l, false);
		else
			printf("%-22s not on this kernel\n", name);
	}
	if (best.wall > 0)
		print_ratio(bench, &m, &best);
}

/* ----------------------------------------------------------------- JSON */

static void print_string(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if ((unsigned char)*text < ' ')
			printf("\\u%04x", (unsigned char)*text);
		else
			putchar(*text);
	}
	putchar('"');
}

static void print_object(const struct io_bench *bench, const char *name,
			 const struct io_figures *m, const char *unit)
{
	printf(", \"%s\": {\"wall%s\": %.3f, \"cpu%s\": %.3f", name, unit, m->wall,
	       unit, m->cpu);
	if (bench->instructions)
		printf(", \"instructions\": %.3f", m->busy);
	printf(", \"enters\": %.5f", m->enters);
}

static void report_json(const struct io_bench *bench,
			const struct io_results *results)
{
	struct io_figures m = median(results->fibers);
	struct io_figures best = best_loop(results);
	enum io_loop loop;

	printf("{\"target\": ");
	print_string(bench->target);
	printf(", \"scheduler\": ");
	print_string(bench->scheduler);
	printf(", \"direct\": %s, \"backend\": \"%s\", \"bytes\": %u, \"depth\": %u, \"batch\": %u, \"cores\": %u, \"ios\": %llu",
	       bench->buffered ? "false" : "true",
	       pirn_backend_name(bench->used), bench->bytes, bench->depth,
	       bench->batch, bench->cpus, (unsigned long long)bench->ios);
	print_object(bench, "pirn", &m, "_ns");
	printf(", \"seen_without_enter\": %.5f}", m.seen);
	for (loop = 0; loop < IO_LOOPS; loop++) {
		struct io_figures l = median(results->loop[loop]);

		if (!results->has_loop[loop])
			continue;
		print_object(bench, loop_names[loop], &l, "_ns");
		putchar('}');
	}
	if (best.wall > 0) {
		m.wall /= best.wall;
		m.cpu /= best.cpu;
		m.busy /= best.busy;
		m.enters /= best.enters;
		print_object(bench, "ratio", &m, "");
		putchar('}');
	}
	printf("}\n");
}

void io_report(const struct io_bench *bench, const struct io_results *results)
{
	if (bench->json)
		report_json(bench, results);
	else
		report_text(bench, results);
}
