// SPDX-License-Identifier: MIT
/* The command pirn: finds the subcommand and hands the rest of the line on. */
#include "pirn_cmd.h"

const char *command_name = "pirn";

static const struct command subcommands[] = {
	{ "info", "What this machine, the module and the library can do", info_command },
	{ "cp", "Copy a file or block device: all cores, direct IO", cp_command },
	{ "stat", "What the module has done on each core, in all or a second", stat_command },
	{ "trace", "One read through the module, each stage with its time", trace_command },
	{ "bench", "Measure, each figure beside a yardstick of the same run", bench_command },
	{ "sim", "Run a program in the simulator, once for each of many seeds", sim_command },
	{ NULL, NULL, NULL }
};

int main(int argc, char **argv)
{
	int status;

	if (!command_choose(subcommands, "SUBCOMMAND [ARGUMENT...]",
			    "One thread a core, fibers, and disk IO that looks "
			    "blocking and is not.",
			    argc, argv, &status))
		args_bad("needs a subcommand; pirn --help lists them");
	return status;
}
