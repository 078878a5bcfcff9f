// SPDX-License-Identifier: MIT
/* Options of a simulated world: defaults, ranges, and as text. */
#include <stdlib.h>

#include "sim.h"

/* The rates that a name alone stands for. */
static const struct {
	const char *name;
	uint32_t rate;
} faults[PIRN_SIM_FAULTS] = {
	[PIRN_SIM_EIO_READ] = { "eio_read", 1000 },
	[PIRN_SIM_EIO_WRITE] = { "eio_write", 1000 },
	[PIRN_SIM_EIO_FSYNC] = { "eio_fsync", 10000 },
	[PIRN_SIM_LOST] = { "lost", SIM_MILLION },
	[PIRN_SIM_REORDER] = { "reorder", SIM_MILLION },
	[PIRN_SIM_TORN] = { "torn", 500000 },
	[PIRN_SIM_NAMES] = { "names", 500000 },
	[PIRN_SIM_MISDIRECTED] = { "misdirected", 1000 },
	[PIRN_SIM_LATENT] = { "latent", 1000 },
	[PIRN_SIM_LYING_FLUSH] = { "lying_flush", 100000 },
	[PIRN_SIM_ENOSPC] = { "enospc", 1000 },
	[PIRN_SIM_SLOW] = { "slow", 10000 },
	[PIRN_SIM_HANG] = { "hang", 100 },
	[PIRN_SIM_STUCK] = { "stuck", 1000 },
};

#define SECOND 1000000000ull

/* Those that are a number; a default of 0 is zero. */
static const struct option {
	const char *name;
	size_t place;
	uint32_t bytes;
	uint64_t usual;
	uint64_t least;
	uint64_t most;
} options[] = {
#define OPTION(word, field, usual, least, most)				\
	{ word, offsetof(struct pirn_sim_options, field),		\
	  sizeof(((struct pirn_sim_options *)0)->field), usual, least, most }
	OPTION("seed", seed, 0, 0, UINT64_MAX),
	OPTION("cores", cores, 4, 1, PIRN_MAX_CORES),
	OPTION("block", block_bytes, 512, 512, 4096),
	OPTION("time", limit_ns, 3600 * SECOND, 1, INT64_MAX),
	OPTION("events", limit_events, 100000000, 1, UINT64_MAX),
	OPTION("turn_min", turn_min_ns, 200, 1, SECOND),
	OPTION("turn_max", turn_max_ns, 2000, 1, SECOND),
	OPTION("wake_min", wake_min_ns, 500, 1, SECOND),
	OPTION("wake_max", wake_max_ns, 20000, 1, SECOND),
	OPTION("clock", clock_ns, 25, 1, SECOND),
	OPTION("io_min", io_min_ns, 10000, 1, 1000 * SECOND),
	OPTION("io_mean", io_mean_ns, 50000, 1, 1000 * SECOND),
	OPTION("slow", slow_ns, 50000000, 1, 1000000 * SECOND),
	OPTION("hang", hang_ns, SECOND, 1, 1000000 * SECOND),
	OPTION("stuck", stuck_ns, 100000000, 1, 1000000 * SECOND),
	OPTION("switches", switches, PIRN_TURN_SWITCHES, 1, PIRN_TURN_SWITCHES),
	OPTION("shuffle", shuffle, 500000, 0, SIM_MILLION),
	OPTION("cache", cache_bytes, 64ull << 20, 4096, INT64_MAX),
	OPTION("import", import, 0, 0, 1),
};

/* The one whose zero is not its default. */
static bool is_shuffle(const struct option *o)
{
	return o->place == offsetof(struct pirn_sim_options, shuffle);
}

static uint64_t get(const struct pirn_sim_options *opt, const struct option *o)
{
	const char *at = (const char *)opt + o->place;
	uint32_t narrow;
	uint64_t wide;

	memcpy(&narrow, at, sizeof(narrow));
	if (o->bytes == sizeof(narrow))
		return narrow;
	memcpy(&wide, at, sizeof(wide));
	return wide;
}

static void set(struct pirn_sim_options *opt, const struct option *o,
		uint64_t value)
{
	char *at = (char *)opt + o->place;
	uint32_t narrow = (uint32_t)value;

	if (o->bytes == sizeof(narrow))
		memcpy(at, &narrow, sizeof(narrow));
	else
		memcpy(at, &value, sizeof(value));
}

static int check_pair(const char *name, uint64_t from, uint64_t to, char *why,
		      size_t why_bytes)
{
	if (from <= to)
		return 0;
	snprintf(why, why_bytes, "%s_min %llu is more than %s_max %llu", name,
		 (unsigned long long)from, name, (unsigned long long)to);
	return -EINVAL;
}

int sim_options_check(struct pirn_sim_options *opt, char *why, size_t why_bytes)
{
	bool no_shuffle = opt->shuffle == PIRN_SIM_NO_SHUFFLE;
	int err;

	for (uint32_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];
		uint64_t value = get(opt, o);

		if (!value)
			set(opt, o, o->usual);
		else if ((value < o->least || value > o->most) &&
			 !(no_shuffle && is_shuffle(o))) {
			snprintf(why, why_bytes,
				 "%s %llu is not from %llu to %llu", o->name,
				 (unsigned long long)value,
				 (unsigned long long)o->least,
				 (unsigned long long)o->most);
			return -EINVAL;
		}
	}
	if (no_shuffle)
		opt->shuffle = 0;
	if (opt->block_bytes != 512 && opt->block_bytes != 4096) {
		snprintf(why, why_bytes, "block %u is not 512 or 4096",
			 opt->block_bytes);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(opt->fault); i++) {
		if (opt->fault[i].rate <=
		    (i < PIRN_SIM_FAULTS ? SIM_MILLION : 0))
			continue;
		snprintf(why, why_bytes, "fault %u has a rate of %u", i,
			 opt->fault[i].rate);
		return -EINVAL;
	}
	err = check_pair("turn", opt->turn_min_ns, opt->turn_max_ns, why,
			 why_bytes);
	return err ? err : check_pair("wake", opt->wake_min_ns,
				      opt->wake_max_ns, why, why_bytes);
}

/* A caller of another version of the header: see pirn_options in <pirn.h>. */
int sim_options_copy(struct pirn_sim_options *to,
		     const struct pirn_sim_options *from, char *why,
		     size_t why_bytes)
{
	memset(to, 0, sizeof(*to));
	to->size = sizeof(*to);
	if (!from)
		return 0;
	if (from->size != sizeof(*to)) {
		snprintf(why, why_bytes,
			 "the size of the options is %zu, not %zu: use PIRN_SIM_OPTIONS_INIT",
			 from->size, sizeof(*to));
		return -EINVAL;
	}
	*to = *from;
	if (to->reserved || to->log[sizeof(to->log) - 1] ||
	    to->report[sizeof(to->report) - 1]) {
		snprintf(why, why_bytes, "reserved is not 0, or a path not ended");
		return -EINVAL;
	}
	return 0;
}

/* ------------------------------------------------------------------- text */

static bool is(const char *name, const char *word, size_t n)
{
	return strlen(name) == n && !memcmp(name, word, n);
}

/* Digits to @end; false when there is anything else. */
static bool number(const char *text, const char *end, uint64_t *value)
{
	*value = 0;
	if (text == end)
		return false;
	for (; text < end; text++) {
		if (*text < '0' || *text > '9' ||
		    __builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*text - '0'),
					   value))
			return false;
	}
	return true;
}

/* NAME[:RATE[:MOST]] */
static int fault_parse(struct pirn_sim_options *opt, const char *at, size_t n,
		       char *why, size_t why_bytes)
{
	const char *end = at + n, *rate = memchr(at, ':', n), *most = NULL;
	uint64_t value[2] = { 0, 0 };
	bool good = true;
	uint32_t i;

	if (rate)
		most = memchr(rate + 1, ':', (size_t)(end - rate - 1));
	if (rate)
		good = number(rate + 1, most ? most : end, &value[0]) &&
		       value[0] <= SIM_MILLION;
	if (most)
		good &= number(most + 1, end, &value[1]) &&
			value[1] <= UINT32_MAX;
	for (i = 0; i < PIRN_SIM_FAULTS; i++)
		if (is(faults[i].name, at, (size_t)((rate ? rate : end) - at)))
			break;
	if (i == PIRN_SIM_FAULTS || !good) {
		snprintf(why, why_bytes,
			 "'%.*s' is no fault: NAME[:RATE[:MOST]], as in eio_read:500:3",
			 (int)n, at);
		return -EINVAL;
	}
	opt->fault[i].rate = rate ? (uint32_t)value[0] : faults[i].rate;
	opt->fault[i].most = (uint32_t)value[1];
	return 0;
}

static int faults_parse(struct pirn_sim_options *opt, const char *at,
			const char *end, char *why, size_t why_bytes)
{
	memset(opt->fault, 0, sizeof(opt->fault));
	while (at < end) {
		size_t n = strcspn(at, "+,");
		int err = fault_parse(opt, at, n, why, why_bytes);

		if (err)
			return err;
		at += n + (at[n] == '+');
	}
	return 0;
}

static int path_parse(char *path, size_t bytes, const char *at, const char *end,
		      char *why, size_t why_bytes)
{
	size_t n = (size_t)(end - at);

	if (n >= bytes) {
		snprintf(why, why_bytes, "a path longer than %zu bytes",
			 bytes - 1);
		return -EINVAL;
	}
	memcpy(path, at, n);
	path[n] = '\0';
	return 0;
}

static int word_parse(struct pirn_sim_options *opt, const char *word,
		      const char *end, char *why, size_t why_bytes)
{
	const char *value = memchr(word, '=', (size_t)(end - word));
	size_t n = (size_t)((value ? value : end) - word);
	uint64_t found;

	value = value ? value + 1 : end;
	if (is("faults", word, n))
		return faults_parse(opt, value, end, why, why_bytes);
	if (is("log", word, n))
		return path_parse(opt->log, sizeof(opt->log), value, end, why,
				  why_bytes);
	if (is("report", word, n))
		return path_parse(opt->report, sizeof(opt->report), value, end,
				  why, why_bytes);
	for (uint32_t i = 0; i < ARRAY_SIZE(options); i++) {
		const struct option *o = &options[i];

		if (!is(o->name, word, n))
			continue;
		if (!number(value, end, &found) || found < o->least ||
		    found > o->most) {
			snprintf(why, why_bytes,
				 "%s is a number from %llu to %llu, not '%.*s'",
				 o->name, (unsigned long long)o->least,
				 (unsigned long long)o->most,
				 (int)(end - value), value);
			return -EINVAL;
		}
		if (!found && is_shuffle(o))
			found = PIRN_SIM_NO_SHUFFLE;
		set(opt, o, found);
		return 0;
	}
	snprintf(why, why_bytes,
		 "'%.*s' is no option of a simulation: <pirn/sim.h> lists them",
		 (int)(end - word), word);
	return -EINVAL;
}

/* ---------------------------------------------------------------- public */

const char *pirn_sim_fault_name(enum pirn_sim_fault fault)
{
	return (unsigned int)fault < PIRN_SIM_FAULTS ? faults[fault].name : NULL;
}

int pirn_sim_options_parse(struct pirn_sim_options *opt, const char *text,
			   char *why, size_t why_bytes)
{
	char unused[1];

	if (!why || !why_bytes) {
		why = unused;
		why_bytes = sizeof(unused);
	}
	while (*text) {
		const char *end = text + strcspn(text, ",");
		int err = end > text ? word_parse(opt, text, end, why,
						  why_bytes) : 0;

		if (err)
			return err;
		text = end + (*end == ',');
	}
	return 0;
}

int pirn_sim_options_env(struct pirn_sim_options *opt, char *why,
			 size_t why_bytes)
{
	const char *text = secure_getenv("PIRN_SIM");

	if (why && why_bytes)
		why[0] = '\0';
	return text ? pirn_sim_options_parse(opt, text, why, why_bytes) :
		      -ENOENT;
}
