// SPDX-License-Identifier: MIT
/* The files and block devices that a subcommand works on. */
#include <string.h>

#include "pirn_cmd.h"

enum pirn_backend open_backend(enum pirn_backend asked, const char *file)
{
	enum pirn_backend use = PIRN_BACKEND_URING;

	if (asked != PIRN_BACKEND_AUTO || !file)
		return asked;
	if (pirn_backend_probe(use, NULL, 0))
		use = PIRN_BACKEND_AIO;
	if (pirn_backend_probe(PIRN_BACKEND_KMOD, NULL, 0) == 0)
		complain("using %s: %s is a file, and kmod carries block devices only",
			 pirn_backend_name(use), file);
	return use;
}

int open_complain(const char *path, int err)
{
	const char *reason = pirn_reason();

	if (!reason[0])
		reason = strerror(-err);
	/* Most reasons name it themselves. */
	if (!strncmp(reason, path, strlen(path)))
		complain("%s", reason);
	else
		complain("%s: %s", path, reason);
	return err;
}
