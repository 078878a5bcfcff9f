/* SPDX-License-Identifier: MIT */
/* What a simulated process leaves for "pirn sim" in the file report=FILE. */
#ifndef PIRN_SIM_REPORT_H
#define PIRN_SIM_REPORT_H

#include <stdint.h>

#define SIM_REPORT_VERSION 1u

struct sim_report {
	uint64_t version;
	uint64_t worlds;		/* the process made, one after the other */
	uint64_t before;		/* the hashes of all but the last, folded */
	uint64_t hash;			/* of the last, up to now */
	uint64_t events;
	uint64_t injected[32];		/* in the last, by enum pirn_sim_fault */
	uint64_t injected_before[32];
};

#endif /* PIRN_SIM_REPORT_H */
