// SPDX-License-Identifier: MIT
/* The files and block devices that a subcommand works on. */
#include <string.h>

#include "pirn_cmd.h"

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
