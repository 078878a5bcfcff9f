// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sysfs and debugfs add up, and the histogram's buckets.
 */
#include "stats.c"
#include "fixture.h"

/* The suite runs before the module's own init. */
static int stats_suite_init(struct kunit_suite *suite)
{
	return pirn_stats_init();
}

static void stats_suite_exit(struct kunit_suite *suite)
{
	pirn_stats_exit();
}

static struct pirn_channel *stats_channel(struct kunit *test, u64 completed)
{
	struct pirn_channel *ch = fixture_channel(test, 8, 0);

	ch->counters.completed = completed;
	ch->histogram = kvcalloc(PIRN_HISTOGRAM_BUCKETS,
				 sizeof(*ch->histogram), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ch->histogram);
	ch->histogram[3] = completed;
	pirn_stats_add(ch);
	return ch;
}

static void stats_channel_goes(struct kunit *test, struct pirn_channel *ch)
{
	u64 *histogram = ch->histogram;

	pirn_stats_remove(ch);
	/* charged to its user, so it goes with it */
	KUNIT_EXPECT_PTR_EQ(test, ch->histogram, histogram);
	kvfree(ch->histogram);
}

/* As a reader of the attribute sees it. */
static u64 stats_shown(struct kunit *test, const char *name)
{
	struct pirn_cpu_stats *cpu = &pirn_cpu_stats[0];
	char *page = (char *)__get_free_page(GFP_KERNEL);
	unsigned int i;
	u64 value = U64_MAX;

	KUNIT_ASSERT_NOT_NULL(test, page);
	for (i = 0; i < PIRN_NR_STATS; i++) {
		if (strcmp(cpu->attrs[i].attr.attr.name, name))
			continue;
		pirn_stat_show(NULL, &cpu->attrs[i].attr, page);
		KUNIT_EXPECT_EQ(test, kstrtoull(page, 10, &value), 0);
	}
	free_page((unsigned long)page);
	return value;
}

static u64 stats_times(struct kunit *test)
{
	u64 *sum = kunit_kcalloc(test, PIRN_HISTOGRAM_BUCKETS, sizeof(*sum),
				 GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sum);
	pirn_stats_device_times(0, sum);
	return sum[3];
}

static void stats_outlive_their_channels(struct kunit *test)
{
	struct pirn_channel *a = stats_channel(test, 5);
	struct pirn_channel *b = stats_channel(test, 7);

	a->in_flight = 4;
	a->join_entries = 1;
	KUNIT_EXPECT_EQ(test, stats_shown(test, "completed"), 12);
	KUNIT_EXPECT_EQ(test, stats_shown(test, "in_flight"), 3);
	KUNIT_EXPECT_EQ(test, stats_times(test), 12);
	a->in_flight = 0;
	a->join_entries = 0;
	stats_channel_goes(test, a);
	KUNIT_EXPECT_EQ(test, stats_shown(test, "completed"), 12);
	KUNIT_EXPECT_EQ(test, stats_times(test), 12);
	b->counters.completed++;
	stats_channel_goes(test, b);
	KUNIT_EXPECT_EQ(test, stats_shown(test, "completed"), 13);
	KUNIT_EXPECT_EQ(test, stats_shown(test, "in_flight"), 0);
	KUNIT_EXPECT_EQ(test, stats_times(test), 12);
}

static void stats_buckets_hold_what_they_say(struct kunit *test)
{
	u32 bucket;
	u64 ns;

	for (bucket = 0; bucket < PIRN_HISTOGRAM_BUCKETS; bucket++) {
		ns = pirn_histogram_start(bucket);
		KUNIT_ASSERT_EQ(test, pirn_histogram_bucket(ns), bucket);
		if (bucket)
			KUNIT_ASSERT_EQ(test, pirn_histogram_bucket(ns - 1),
					bucket - 1);
	}
	/* never past the end: the end of an op indexes with it */
	KUNIT_EXPECT_EQ(test, pirn_histogram_bucket(U64_MAX),
			PIRN_HISTOGRAM_BUCKETS - 1);
}

static struct kunit_case stats_cases[] = {
	KUNIT_CASE(stats_outlive_their_channels),
	KUNIT_CASE(stats_buckets_hold_what_they_say),
	{}
};

static struct kunit_suite stats_suite = {
	.name = "pirn_stats",
	.suite_init = stats_suite_init,
	.suite_exit = stats_suite_exit,
	.test_cases = stats_cases,
};

kunit_test_suite(stats_suite);
