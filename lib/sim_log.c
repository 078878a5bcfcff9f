// SPDX-License-Identifier: MIT
/*
 * The hash of a run, its log, and the report for "pirn sim".
 *
 * The report is a file that is mapped shared, so that it tells how far a program
 * came that was killed: struct sim_report.  A process with several worlds, one
 * after the other, folds the hash of each into the next line.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim.h"
#include "sim_report.h"

/* Eight bytes at a time in four lanes, each a multiplication deep. */
void sim_mix_bytes(struct pirn_sim *sim, const void *data, size_t bytes)
{
	uint64_t lane[4] = { 1, 2, 3, 4 }, word;
	const char *from = data;

	sim_mix(sim, bytes);
	for (; bytes >= 32; bytes -= 32, from += 32) {
		for (uint32_t i = 0; i < 4; i++) {
			memcpy(&word, from + 8 * i, 8);
			lane[i] = (lane[i] ^ word) * 0x9fb21c651e98df25;
			lane[i] ^= lane[i] >> 29;
		}
	}
	for (uint32_t i = 0; bytes; i++) {
		size_t n = bytes < 8 ? bytes : 8;

		word = 0;
		memcpy(&word, from, n);
		lane[i] = (lane[i] ^ word) * 0x9fb21c651e98df25;
		lane[i] ^= lane[i] >> 29;
		from += n;
		bytes -= n;
	}
	for (uint32_t i = 0; i < 4; i++)
		sim_mix(sim, lane[i]);
}

static void line_start(struct pirn_sim *sim, const struct sim_node *node,
		       int core)
{
	fprintf(sim->log, "%llu.%09llu",
		(unsigned long long)(sim->now / 1000000000u),
		(unsigned long long)(sim->now % 1000000000u));
	if (node && core >= 0)
		fprintf(sim->log, " node %u core %d: ", node->number, core);
	else if (node)
		fprintf(sim->log, " node %u: ", node->number);
	else
		fprintf(sim->log, " scenario: ");
}

void sim_log_line(struct pirn_sim *sim, const struct sim_node *node, int core,
		  const char *format, ...)
{
	va_list args;

	line_start(sim, node, core);
	va_start(args, format);
	vfprintf(sim->log, format, args);
	va_end(args);
	fputc('\n', sim->log);
}

void pirn_sim_log(struct pirn_sim *sim, const char *format, ...)
{
	struct pirn_core *core = pirn_this();
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sim_mix_bytes(sim, text, strlen(text));
	sim_log(sim, core ? sim_node_of(core) : NULL,
		core ? (int)core->index : -1, "%s", text);
}

/* ----------------------------------------------------------------- report */

void sim_report_update(struct pirn_sim *sim)
{
	struct sim_report *report = sim->report;

	report->hash = sim->hash;
	report->events = sim->counts.events;
	memcpy(report->injected, sim->counts.injected,
	       sizeof(report->injected));
}

static int report_open(struct pirn_sim *sim)
{
	struct sim_report *report;
	int fd = open(sim->opt.report, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = ftruncate(fd, sizeof(*report)) ? -errno : 0;
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED,
		      fd, 0);
	if (!err && report == MAP_FAILED)
		err = -errno;
	close(fd);
	if (err)
		return err;
	sim->report = report;
	report->version = SIM_REPORT_VERSION;
	report->worlds++;
	report->before = (report->before ^ report->hash) * 0x9fb21c651e98df25;
	for (uint32_t i = 0; i < PIRN_SIM_FAULTS; i++)
		report->injected_before[i] += report->injected[i];
	sim_report_update(sim);
	return 0;
}

int sim_log_open(struct pirn_sim *sim, char *why, size_t why_bytes)
{
	int err;

	if (sim->opt.report[0]) {
		err = report_open(sim);
		if (err) {
			snprintf(why, why_bytes, "%s: %s", sim->opt.report,
				 strerror(-err));
			return err;
		}
	}
	if (!sim->opt.log[0])
		return 0;
	sim->log = fopen(sim->opt.log, "ae");
	if (!sim->log) {
		err = -errno;
		snprintf(why, why_bytes, "%s: %s", sim->opt.log,
			 strerror(-err));
		return err;
	}
	/* What led to an abort is to be there. */
	setvbuf(sim->log, NULL, _IOLBF, 0);
	sim_log(sim, NULL, -1, "seed %llu", (unsigned long long)sim->opt.seed);
	return 0;
}

void sim_log_close(struct pirn_sim *sim)
{
	if (sim->log) {
		sim_log(sim, NULL, -1, "hash %016llx",
			(unsigned long long)sim->hash);
		fclose(sim->log);
	}
	sim->log = NULL;
	if (sim->report) {
		sim_report_update(sim);
		munmap(sim->report, sizeof(*sim->report));
	}
	sim->report = NULL;
}
