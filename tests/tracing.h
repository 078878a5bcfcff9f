/* SPDX-License-Identifier: MIT */
/* Where the kernel shows what the module does, beside sysfs. */
#ifndef PIRN_TESTS_TRACING_H
#define PIRN_TESTS_TRACING_H

#include "device.h"

#define TRACING "/sys/kernel/tracing"
#define DEBUG "/sys/kernel/debug"

static inline void mount_once(const char *kind, const char *where)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", where,
		 strcmp(kind, "tracefs") ? "pirn" : "events/pirn");
	if (access(path, F_OK))
		must(mount("none", where, kind, 0, NULL));
	must(access(path, F_OK));
}

#endif /* PIRN_TESTS_TRACING_H */
