// SPDX-License-Identifier: MIT
/*
 * PIRN_TIMES: where the time of a core's ops goes, as histograms.
 *
 * An op's life is cut at three moments: when its fiber asked (the time of that
 * turn), when the backend issued it and when it said that it had ended (the
 * module's, from the CQE), and when the core saw that (the time of this turn).
 * With turns' times the clock is read twice a turn at most, whatever there is to
 * do in it.
 */
#include <stdlib.h>

#include <linux/pirn_histogram.h>

#include "backend.h"
#include "lib.h"

/*
 * Ops that were asked for in one turn, issued by one ENTER and seen in one turn, as
 * those of a batch mostly are: two of their times are the same, and the buckets of
 * these are looked for once.
 */
struct pirn_together {
	uint64_t asked;
	uint64_t issued;
	uint64_t seen;
	uint32_t queued;	/* bucket of PIRN_TIME_QUEUED */
	uint32_t all;		/* of PIRN_TIME_ALL */
};

struct pirn_histograms {
	uint64_t count[PIRN_TIME_LAST][PIRN_HISTOGRAM_BUCKETS];
	uint64_t most[PIRN_TIME_LAST];
	struct pirn_together latest;	/* at first: all of no time at 0 */
};

int pirn_times_start(struct pirn_core *core)
{
	if (!(core->rt->opt.flags & PIRN_TIMES))
		return 0;
	core->times = calloc(1, sizeof(*core->times));
	return core->times ? 0 : -ENOMEM;
}

void pirn_times_stop(struct pirn_core *core)
{
	free(core->times);
	core->times = NULL;
}

/* Moments of different readers: one that seems to be before is at the same time. */
static inlined uint64_t between(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* The bucket of @ns, which is counted in it. */
static inlined uint32_t look(struct pirn_histograms *times, enum pirn_time which,
			     uint64_t ns)
{
	if (unlikely(ns > times->most[which]))
		times->most[which] = ns;
	return pirn_histogram_bucket(ns);
}

static inlined void note(struct pirn_histograms *times, enum pirn_time which,
			 uint64_t ns)
{
	times->count[which][look(times, which, ns)]++;
}

static inlined void look_together(struct pirn_histograms *times, uint64_t asked,
				  uint64_t issued, uint64_t seen)
{
	times->latest = (struct pirn_together) {
		.asked = asked, .issued = issued, .seen = seen,
		.queued = look(times, PIRN_TIME_QUEUED, between(asked, issued)),
		.all = look(times, PIRN_TIME_ALL, between(asked, seen)),
	};
}

void pirn_times_parts(struct pirn_histograms *times, const struct pirn_op *op,
		      uint64_t device, uint64_t published, uint64_t seen)
{
	const struct pirn_together *latest = &times->latest;
	uint64_t issued = published - device;

	if (unlikely(op->asked != latest->asked || issued != latest->issued ||
		     seen != latest->seen))
		look_together(times, op->asked, issued, seen);
	times->count[PIRN_TIME_QUEUED][latest->queued]++;
	times->count[PIRN_TIME_ALL][latest->all]++;
	note(times, PIRN_TIME_DEVICE, device);
	note(times, PIRN_TIME_SEEN, between(published, seen));
}

void pirn_times_all(struct pirn_core *core, const struct pirn_op *op)
{
	note(core->times, PIRN_TIME_ALL,
	     between(op->asked, pirn_core_time(core)));
}

/* The least ns that @share of all are not above, to the width of a bucket. */
static uint64_t quantile(const uint64_t *count, uint64_t all, double share)
{
	uint64_t want = (uint64_t)((double)all * share), sum = 0;

	for (uint32_t i = 0; i < PIRN_HISTOGRAM_BUCKETS; i++) {
		sum += count[i];
		if (sum > want || sum == all)
			return pirn_histogram_start(i + 1) - 1;
	}
	return 0;
}

/* ---------------------------------------------------------------- public */

int pirn_core_times(enum pirn_time which, struct pirn_times *times)
{
	struct pirn_core *core = pirn_this();
	struct pirn_times found = { 0 };
	const uint64_t *count;
	size_t size;

	if (!core)
		return -EPERM;
	if ((unsigned int)which >= PIRN_TIME_LAST || !times ||
	    times->size < sizeof(times->size))
		return pirn_fail(core, -EINVAL,
				 "pirn_core_times: no such time, or size is not set");
	if (!core->times)
		return pirn_fail(core, -ENODATA,
				 "PIRN_TIMES was not in pirn_options.flags");
	count = core->times->count[which];
	for (uint32_t i = 0; i < PIRN_HISTOGRAM_BUCKETS; i++)
		found.count += count[i];
	size = times->size < sizeof(found) ? times->size : sizeof(found);
	found.size = size;
	found.half = quantile(count, found.count, 0.5);
	found.p90 = quantile(count, found.count, 0.9);
	found.p99 = quantile(count, found.count, 0.99);
	found.p999 = quantile(count, found.count, 0.999);
	found.most = core->times->most[which];
	memcpy(times, &found, size);
	return 0;
}
