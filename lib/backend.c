// SPDX-License-Identifier: MIT
/* The backends by number, and choosing one. */
#include <stdlib.h>

#include "backend.h"
#include "lib.h"

/* In the order of preference; a simulation only where it is asked for. */
static const struct pirn_backend_ops *const backends[] = {
	[PIRN_BACKEND_KMOD] = &pirn_kmod_ops,
	[PIRN_BACKEND_URING] = &pirn_uring_ops,
	[PIRN_BACKEND_AIO] = &pirn_aio_ops,
	[PIRN_BACKEND_SIM] = &pirn_sim_ops,
};

const struct pirn_backend_ops *pirn_backend_ops(enum pirn_backend backend)
{
	return backend < ARRAY_SIZE(backends) ? backends[backend] : NULL;
}

static const struct pirn_backend_ops *choose_named(const char *name, char *why,
						   size_t why_bytes)
{
	char reason[160];

	for (unsigned int i = 1; i < ARRAY_SIZE(backends); i++) {
		if (strcmp(backends[i]->name, name))
			continue;
		if (backends[i]->probe(reason, sizeof(reason))) {
			snprintf(why, why_bytes, "PIRN_BACKEND: %s: %s", name,
				 reason);
			return NULL;
		}
		snprintf(why, why_bytes, "backend %s: PIRN_BACKEND is set",
			 name);
		return backends[i];
	}
	snprintf(why, why_bytes,
		 "PIRN_BACKEND=%s names no backend: kmod, uring, aio, sim",
		 name);
	return NULL;
}

/* One that works first, and why not a better one. */
static const struct pirn_backend_ops *
choose_best(const struct pirn_backend_ops *failed, const char *failure,
	    char *why, size_t why_bytes)
{
	char reason[352], rest[400] = "";
	size_t used = 0;

	for (unsigned int i = 1; i < PIRN_BACKEND_SIM; i++) {
		bool usable = !backends[i]->probe(reason, sizeof(reason));

		if (usable && !failed) {
			snprintf(why, why_bytes, "backend %s%s%s",
				 backends[i]->name, rest[0] ? "; not " : "",
				 rest);
			return backends[i];
		}
		if (usable)
			snprintf(reason, sizeof(reason), "%s",
				 backends[i] == failed ? failure :
				 "it did not start either");
		if (backends[i] == failed)
			failed = NULL;
		if (used < sizeof(rest))
			used += (size_t)snprintf(rest + used, sizeof(rest) - used,
						 "%s%s: %s", used ? "; " : "",
						 backends[i]->name, reason);
	}
	snprintf(why, why_bytes, "%s", rest);
	return NULL;
}

const struct pirn_backend_ops *
pirn_backend_choose(const struct pirn_backend_ops *failed, const char *failure,
		    char *why, size_t why_bytes)
{
	const char *named = secure_getenv("PIRN_BACKEND");
	char reason[160];

	why[0] = '\0';
	if (!named && !pirn_sim_wanted())
		return choose_best(failed, failure, why, why_bytes);
	/* What somebody has named is not another one. */
	if (failed)
		return NULL;
	if (!pirn_sim_wanted())
		return choose_named(named, why, why_bytes);
	if (!pirn_sim_ops.probe(reason, sizeof(reason))) {
		snprintf(why, why_bytes, "backend sim: PIRN_SIM is set");
		return &pirn_sim_ops;
	}
	snprintf(why, why_bytes, "PIRN_SIM: %s", reason);
	return NULL;
}

/* ---------------------------------------------------------------- public */

int pirn_backend_probe(enum pirn_backend backend, char *reason,
		       size_t reason_bytes)
{
	const struct pirn_backend_ops *ops;
	char unused[1];

	if (!reason || !reason_bytes) {
		reason = unused;
		reason_bytes = sizeof(unused);
	}
	reason[0] = '\0';
	if (backend == PIRN_BACKEND_AUTO) {
		char why[256];

		ops = pirn_backend_choose(NULL, NULL, why, sizeof(why));
		snprintf(reason, reason_bytes, "%s", why);
		return ops ? 0 : -ENODEV;
	}
	ops = pirn_backend_ops(backend);
	if (!ops) {
		snprintf(reason, reason_bytes, "no backend has the number %d",
			 (int)backend);
		return -EINVAL;
	}
	return ops->probe(reason, reason_bytes);
}

const char *pirn_backend_name(enum pirn_backend backend)
{
	const struct pirn_backend_ops *ops = pirn_backend_ops(backend);

	if (backend == PIRN_BACKEND_AUTO)
		return "auto";
	return ops ? ops->name : NULL;
}

int pirn_backend_current(void)
{
	struct pirn_core *core = pirn_this();

	if (!core)
		return -EPERM;
	for (unsigned int i = 1; i < ARRAY_SIZE(backends); i++)
		if (backends[i] == core->ops)
			return (int)i;
	return -EINVAL;
}
