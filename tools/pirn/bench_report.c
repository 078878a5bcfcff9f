// SPDX-License-Identifier: MIT
/* pirn bench: the rows, as a table for people or one JSON document. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "json.h"

/* ------------------------------------------------------------------- text */

/* Which peers say something about this subject: only they get a column. */
static void peers_of(const struct bench *bench, const char *subject,
		     bool has[BENCH_PEERS])
{
	memset(has, 0, BENCH_PEERS * sizeof(has[0]));
	for (unsigned int i = 0; i < bench->row_count; i++) {
		if (strcmp(bench->rows[i].subject, subject))
			continue;
		for (int p = 0; p < BENCH_PEERS; p++)
			has[p] |= bench->rows[i].peer[p].median > 0;
	}
}

/* Four digits that say something, in the width of a column. */
static void print_value(double value)
{
	printf(" %9.*f", value < 10 ? 3 : value < 100 ? 2 : value < 1000 ? 1 : 0,
	       value);
}

static void print_head(const char *subject, const bool has[BENCH_PEERS])
{
	printf("%-32s %-13s %9s %9s %9s  %-24s %9s %6s %5s", subject, "unit",
	       "min", "median", "max", "beside", "median", "ratio", "goal");
	for (int p = 0; p < BENCH_PEERS; p++)
		if (has[p])
			printf(" %20s", bench_peer_names[p]);
	putchar('\n');
}

static void print_yardstick(const struct bench_row *row)
{
	double ratio;

	if (!row->yardstick[0]) {
		printf("  %-24s %9s %6s %5s", "-", "", "", "");
		return;
	}
	printf("  %-24s", row->yardstick);
	print_value(row->yard);
	ratio = row->spread.median / row->yard;
	printf(" %6.*f", ratio < 0.1 ? 4 : 2, ratio);
	if (row->goal > 0)
		printf(" %5.4g", row->goal);
	else
		printf(" %5s", "");
}

/* The peer's median, and how much of it this library takes. */
static void print_peer(const struct bench_row *row, enum bench_peer peer)
{
	double median = row->peer[peer].median;

	if (median > 0) {
		print_value(median);
		printf(" (%6.2fx)", row->spread.median / median);
	} else {
		printf(" %20s", "-");
	}
}

static void print_row(const struct bench_row *row, const bool has[BENCH_PEERS])
{
	printf("%-32s %-13s", row->name, row->unit);
	print_value(row->spread.least);
	print_value(row->spread.median);
	print_value(row->spread.most);
	print_yardstick(row);
	for (int p = 0; p < BENCH_PEERS; p++)
		if (has[p])
			print_peer(row, (enum bench_peer)p);
	putchar('\n');
}

static void report_text(const struct bench *bench)
{
	const char *subject = "";
	bool has[BENCH_PEERS];

	for (unsigned int i = 0; i < bench->row_count; i++) {
		const struct bench_row *row = &bench->rows[i];

		if (strcmp(subject, row->subject)) {
			subject = row->subject;
			peers_of(bench, subject, has);
			print_head(subject, has);
		}
		print_row(row, has);
	}
	for (unsigned int i = 0; i < bench->note_count; i++)
		printf("note: %s\n", bench->notes[i]);
	if (bench->peers)
		printf("note: in brackets, the median of pirn divided by the peer's\n");
}

/* ------------------------------------------------------------------- JSON */

static void json_spread(struct json *json, const struct bench_spread *s)
{
	json_number(json, "min", s->least);
	json_number(json, "median", s->median);
	json_number(json, "max", s->most);
}

static void json_peers(struct json *json, const struct bench_row *row)
{
	json_open(json, "peers", '{');
	for (int p = 0; p < BENCH_PEERS; p++) {
		if (row->peer[p].median <= 0)
			continue;
		json_open(json, bench_peer_names[p], '{');
		json_spread(json, &row->peer[p]);
		json_number(json, "ratio",
			    row->spread.median / row->peer[p].median);
		json_close(json);
	}
	json_close(json);
}

static void json_row(struct json *json, const struct bench *bench,
		     const struct bench_row *row)
{
	json_open(json, NULL, '{');
	json_string(json, "subject", row->subject);
	json_string(json, "key", row->key);
	json_string(json, "name", row->name);
	json_string(json, "unit", row->unit);
	json_count(json, "samples", row->samples);
	json_spread(json, &row->spread);
	if (row->yardstick[0]) {
		json_string(json, "yardstick", row->yardstick);
		json_number(json, "yardstick_median", row->yard);
		json_number(json, "ratio", row->spread.median / row->yard);
		if (row->goal > 0)
			json_number(json, "goal", row->goal);
	}
	if (bench->peers)
		json_peers(json, row);
	json_close(json);
}

static void report_json(const struct bench *bench)
{
	struct json json = { .out = stdout };

	json_open(&json, NULL, '{');
	json_string(&json, "version", PIRN_VERSION);
	json_open(&json, "rows", '[');
	for (unsigned int i = 0; i < bench->row_count; i++)
		json_row(&json, bench, &bench->rows[i]);
	json_close(&json);
	json_open(&json, "notes", '[');
	for (unsigned int i = 0; i < bench->note_count; i++)
		json_string(&json, NULL, bench->notes[i]);
	json_close(&json);
	json_close(&json);
}

void bench_report(const struct bench *bench)
{
	if (bench->json)
		report_json(bench);
	else
		report_text(bench);
}
